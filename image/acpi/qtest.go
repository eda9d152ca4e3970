package acpi

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// qtest speaks QEMU's test protocol (QEMU 10.0, system/qtest.c): a line with a
// command, a line with its reply, "OK" or "OK value". It carries accesses as the
// guest's CPU would make them; the CPU itself does not run.
type qtest struct {
	conn net.Conn
	r    *bufio.Reader
}

// maxReply bounds a line of QEMU's, and batchSize the commands that are sent
// before the replies are read: together they fit into a socket's buffer.
const (
	maxReply  = 4096
	batchSize = 512
)

func newQtest(conn net.Conn) *qtest {
	return &qtest{conn: conn, r: bufio.NewReaderSize(conn, maxReply)}
}

// reply reads one reply and returns its value, "" if it has none.
func (q *qtest) reply() (string, error) {
	line, err := q.r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(string(line), "\n")
	if text == "OK" {
		return "", nil
	}
	value, ok := strings.CutPrefix(text, "OK ")
	if !ok {
		return "", fmt.Errorf("got %q, want OK", text)
	}
	return value, nil
}

// out writes to an I/O port; width is b, w or l.
func (q *qtest) out(width string, port uint16, value uint32) error {
	if _, err := fmt.Fprintf(q.conn, "out%s %#x %#x\n", width, port, value); err != nil {
		return fmt.Errorf("test protocol: %w", err)
	}
	got, err := q.reply()
	if err == nil && got != "" {
		err = fmt.Errorf("got %q, want OK alone", got)
	}
	if err != nil {
		return fmt.Errorf("test protocol: out%s %#x: %w", width, port, err)
	}
	return nil
}

// in reads from an I/O port of 32 bits.
func (q *qtest) in(port uint16) (uint32, error) {
	if _, err := fmt.Fprintf(q.conn, "inl %#x\n", port); err != nil {
		return 0, fmt.Errorf("test protocol: %w", err)
	}
	v, err := q.number(32)
	if err != nil {
		return 0, fmt.Errorf("test protocol: inl %#x: %w", port, err)
	}
	return uint32(v), nil
}

// inBytes reads n bytes from an I/O port of 8 bits.
func (q *qtest) inBytes(port uint16, n int) ([]byte, error) {
	out := make([]byte, 0, n)
	command := fmt.Sprintf("inb %#x\n", port)
	for len(out) < n {
		batch := min(batchSize, n-len(out))
		if _, err := q.conn.Write([]byte(strings.Repeat(command, batch))); err != nil {
			return nil, fmt.Errorf("test protocol: %w", err)
		}
		for range batch {
			v, err := q.number(8)
			if err != nil {
				return nil, fmt.Errorf("test protocol: inb %#x: %w", port, err)
			}
			out = append(out, byte(v))
		}
	}
	return out, nil
}

func (q *qtest) number(bits int) (uint64, error) {
	value, err := q.reply()
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutPrefix(value, "0x")
	if !ok {
		return 0, fmt.Errorf("got value %q, want a number", value)
	}
	v, err := strconv.ParseUint(digits, 16, bits)
	if err != nil {
		return 0, fmt.Errorf("got value %q, want a number of %d bits", value, bits)
	}
	return v, nil
}
