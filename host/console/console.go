// Package console handles what a guest writes on its serial port. All of it is
// the guest's choice, and the guest is not the host's friend: the log is
// bounded, lines are bounded, and what reaches a terminal is printable.
package console

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Limits in bytes.
const (
	MaxLog  = 16 << 20 // of a log; the rest of the console is dropped
	MaxLine = 4 << 10  // of a line; a longer one is cut into several
)

// Log copies a console into a file, up to MaxLog, and never fails: a full disk
// stops the log and not the guest. Err tells afterwards.
type Log struct {
	w    io.Writer
	left int
	err  error
}

// NewLog makes a log that writes to w.
func NewLog(w io.Writer) *Log { return &Log{w: w, left: MaxLog} }

// Write takes all of p.
func (l *Log) Write(p []byte) (int, error) {
	if l.left == 0 {
		return len(p), nil
	}
	part := p[:min(len(p), l.left)]
	l.left -= len(part)
	l.write(part)
	if l.left == 0 {
		l.write(fmt.Appendf(nil, "\nsafebox-host: log full after %d bytes, the rest is dropped\n", MaxLog))
	}
	return len(p), nil
}

func (l *Log) write(p []byte) {
	if l.err == nil {
		_, l.err = l.w.Write(p)
	}
}

// Err is the error that stopped the log, if one did.
func (l *Log) Err() error { return l.err }

// Lines cuts a console into clean lines and hands each to a function. It keeps
// the last few for error messages.
type Lines struct {
	emit    func(string)
	partial []byte
	mu      sync.Mutex // guards last, which others read
	last    []string
}

// keptLines is how many lines Last remembers.
const keptLines = 3

// NewLines makes Lines that call emit for every line that is not empty.
func NewLines(emit func(string)) *Lines { return &Lines{emit: emit} }

// Write takes all of p.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		end := i >= 0
		if !end {
			i = len(p)
		}
		i = min(i, MaxLine-len(l.partial))
		l.partial = append(l.partial, p[:i]...)
		p = p[i:]
		switch {
		case end && len(p) > 0 && p[0] == '\n':
			p = p[1:]
			l.flush()
		case len(l.partial) == MaxLine:
			l.flush()
		}
	}
	return n, nil
}

// Close hands over an unfinished last line.
func (l *Lines) Close() error {
	l.flush()
	return nil
}

func (l *Lines) flush() {
	s := strings.TrimRight(Clean(string(l.partial)), " \t")
	l.partial = l.partial[:0]
	if s == "" {
		return
	}
	l.mu.Lock()
	l.last = append(l.last, s)
	if len(l.last) > keptLines {
		l.last = l.last[1:]
	}
	l.mu.Unlock()
	l.emit(s)
}

// Last gives the last lines, oldest first.
func (l *Lines) Last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.last...)
}

// Clean makes text fit for a terminal: control characters other than newline
// and tab disappear, and with an escape character the rest of its control
// sequence (ECMA-48, fifth edition, section 5.4). Firmware clears the screen
// and moves the cursor with them; a hostile guest could do worse.
func Clean(s string) string {
	var b strings.Builder
	for s != "" {
		if s[0] == 0x1b {
			s = s[escapeLen(s):]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteByte('?')
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// escapeLen is the length of the control sequence at the start of s: ESC [,
// parameters 0x30 to 0x3f, intermediates 0x20 to 0x2f and a final byte. Of
// other escape sequences only ESC itself goes: what follows is printable.
func escapeLen(s string) int {
	if len(s) < 2 || s[1] != '[' {
		return 1
	}
	i := 2
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x3f {
		i++
	}
	if i < len(s) && s[i] >= 0x40 && s[i] <= 0x7e {
		i++
	}
	return i
}
