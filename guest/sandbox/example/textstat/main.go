//go:build wasip1

// Command textstat counts the text of the granted chunks: bytes, lines, words,
// distinct words, the longest line, and the most frequent words. It runs in the
// sandbox; its parameters are {"top":N}, with N from 0 to 1000, and its one
// output is a JSON object:
//
//	bytes     of the granted ranges
//	lines     newline characters
//	words     runs of bytes other than ASCII white space; a word ends where a
//	          range ends. For ASCII text that is wc -w.
//	distinct  different words
//	longest   bytes of the longest line, without its newline
//	utf8      whether each range is valid UTF-8 by itself
//	top       the most frequent words: {"count":..,"word":..}, the more frequent
//	          first, equal ones by their bytes
package main

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"safebox/guest/sandbox/sdk"
)

// Bounds that keep memory bounded whatever the text is.
const (
	maxTop      = 1000
	maxDistinct = 1 << 20
	maxWord     = 64 << 10
	bufferSize  = 64 << 10
)

func main() {
	if err := run(); err != nil {
		sdk.Log(err.Error())
		sdk.Abort(1)
	}
}

func run() error {
	top, err := parameters()
	if err != nil {
		return err
	}
	s := &statistics{counts: map[string]int64{}, utf8: true}
	for n := range sdk.Inputs() {
		if err := s.read(sdk.Input(n)); err != nil {
			return err
		}
	}
	out, err := sdk.NewOutput()
	if err != nil {
		return err
	}
	if _, err := out.Write(s.json(top)); err != nil {
		return err
	}
	return out.Close()
}

// parameters reads {"top":N}.
func parameters() (int, error) {
	b, err := sdk.Params()
	if err != nil {
		return 0, err
	}
	text, ok := strings.CutPrefix(string(b), `{"top":`)
	text, end := strings.CutSuffix(text, "}")
	top, err := strconv.Atoi(text)
	if !ok || !end || err != nil || top < 0 || top > maxTop {
		return 0, errors.New(`parameters: want {"top":N}, N from 0 to 1000`)
	}
	return top, nil
}

// statistics counts.
type statistics struct {
	bytes, lines, words, longest int64
	utf8                         bool

	counts map[string]int64
	word   []byte
	line   int64
	rest   []byte // of a character that the end of a buffer cut
}

// read counts the granted ranges of an input.
func (s *statistics) read(in sdk.Input) error {
	g, err := in.Granted()
	if err != nil {
		return err
	}
	buffer := make([]byte, bufferSize)
	for _, r := range g.Ranges {
		offset, end := r[0]*g.ChunkSize, min(r[1]*g.ChunkSize, g.Size)
		for offset < end {
			n, err := in.ReadAt(buffer[:min(bufferSize, end-offset)], offset)
			if err != nil {
				return err // also io.EOF: the object is as long as it says
			}
			if err := s.count(buffer[:n]); err != nil {
				return err
			}
			offset += int64(n)
		}
		if err := s.endOfRange(); err != nil {
			return err
		}
	}
	return nil
}

func (s *statistics) count(b []byte) error {
	s.bytes += int64(len(b))
	s.validate(b)
	for _, c := range b {
		if c == '\n' {
			s.lines++
			s.endOfLine()
		} else {
			s.line++
		}
		switch c {
		case ' ', '\t', '\n', '\v', '\f', '\r':
			if err := s.endOfWord(); err != nil {
				return err
			}
		default:
			if len(s.word) == maxWord {
				return errors.New("a word is longer than 64 KiB")
			}
			s.word = append(s.word, c)
		}
	}
	return nil
}

// validate looks at the text as UTF-8, with what the last buffer cut off.
func (s *statistics) validate(b []byte) {
	text := append(s.rest, b...)
	for len(text) > 0 && s.utf8 {
		if !utf8.FullRune(text) {
			break
		}
		r, n := utf8.DecodeRune(text)
		s.utf8 = r != utf8.RuneError || n > 1
		text = text[n:]
	}
	s.rest = append([]byte(nil), text[:min(len(text), utf8.UTFMax)]...)
}

func (s *statistics) endOfWord() error {
	if len(s.word) == 0 {
		return nil
	}
	s.words++
	s.counts[string(s.word)]++
	s.word = s.word[:0]
	if len(s.counts) > maxDistinct {
		return errors.New("more than 2^20 different words")
	}
	return nil
}

func (s *statistics) endOfLine() {
	s.longest = max(s.longest, s.line)
	s.line = 0
}

func (s *statistics) endOfRange() error {
	s.endOfLine()
	s.utf8 = s.utf8 && len(s.rest) == 0
	s.rest = nil
	return s.endOfWord()
}

// entry is a word and how often it was there.
type entry struct {
	word  string
	count int64
}

// sorted gives the words, the more frequent first.
func (s *statistics) sorted() []entry {
	all := make([]entry, 0, len(s.counts))
	for word, count := range s.counts {
		all = append(all, entry{word, count})
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.word, b.word))
	})
	return all
}

// json writes the output. Reflection would make the program a megabyte larger.
func (s *statistics) json(top int) []byte {
	all := s.sorted()
	b := []byte(`{"bytes":` + strconv.FormatInt(s.bytes, 10) + `,"lines":` + strconv.FormatInt(s.lines, 10) +
		`,"words":` + strconv.FormatInt(s.words, 10) + `,"distinct":` + strconv.Itoa(len(all)) +
		`,"longest":` + strconv.FormatInt(s.longest, 10) + `,"utf8":` + strconv.FormatBool(s.utf8) + `,"top":[`)
	for i, e := range all[:min(top, len(all))] {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"count":`+strconv.FormatInt(e.count, 10)+`,"word":`...)
		b = append(appendString(b, e.word), '}')
	}
	return append(b, "]}\n"...)
}

// appendString writes a JSON string (RFC 8259, section 7). What is not UTF-8
// becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
