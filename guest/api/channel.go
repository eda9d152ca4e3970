package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"safebox/verifier/guestapi"
)

// Limits of the host's answers on a shard channel.
const (
	maxAnswerHeader = 8 << 10
	maxAnswerError  = 4 << 10 // body of an answer that is no shard
)

// channel is one connection over which the guest is the HTTP/1.1 client.
type channel struct {
	conn net.Conn
	in   *io.LimitedReader // of conn: bounds one answer
	r    *bufio.Reader     // of in
}

func newChannel(conn net.Conn) *channel {
	in := &io.LimitedReader{R: conn}
	return &channel{conn: conn, in: in, r: bufio.NewReaderSize(in, 4<<10)}
}

// hangUp closes a connection that is of no more use: its other end sees that,
// and nobody else asks.
func hangUp(c io.Closer) {
	if err := c.Close(); err != nil {
		return
	}
}

// errUnasked is for a host that is out of turn.
var errUnasked = errors.New("the host speaks without being asked")

// fetch makes one request. An error that is a *guestapi.Problem is the host's
// answer, and the channel is still good; after any other it is not.
func (c *channel) fetch(root [32]byte, limit int64) ([]byte, error) {
	if c.r.Buffered() > 0 {
		return nil, errUnasked
	}
	if err := c.conn.SetDeadline(time.Now().Add(fetchTime)); err != nil {
		return nil, err
	}
	request := fmt.Sprintf("GET %s%x HTTP/1.1\r\nHost: safebox\r\n\r\n", guestapi.ShardPath, root)
	if _, err := io.WriteString(c.conn, request); err != nil {
		return nil, err
	}
	c.in.N = maxAnswerHeader
	a, err := http.ReadResponse(c.r, nil) // nil: the answer to a GET
	if err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	body, err := c.body(a, root, limit)
	return body, errors.Join(err, a.Body.Close())
}

func (c *channel) body(a *http.Response, root [32]byte, limit int64) ([]byte, error) {
	refused := a.StatusCode != http.StatusOK
	most := limit
	if refused {
		most = maxAnswerError
	}
	switch {
	case a.StatusCode < 200 || a.ProtoMajor != 1 || a.ProtoMinor != 1 || a.Close:
		return nil, fmt.Errorf("answer %d in HTTP %d.%d, close %v; want a final one in HTTP 1.1 that leaves the channel open", a.StatusCode, a.ProtoMajor, a.ProtoMinor, a.Close)
	case a.ContentLength < 0:
		return nil, errors.New("answer without its length (Content-Length)")
	case refused && a.ContentLength > most:
		return nil, fmt.Errorf("answer %d of %d bytes, want at most %d", a.StatusCode, a.ContentLength, most)
	case a.ContentLength > most || !refused && a.ContentLength == 0:
		return nil, fmt.Errorf("shard of %d bytes, want 1 to %d", a.ContentLength, most)
	}
	c.in.N = a.ContentLength // with what is buffered more than enough, but still bounded
	body := make([]byte, a.ContentLength)
	if _, err := io.ReadFull(a.Body, body); err != nil {
		return nil, fmt.Errorf("reading answer: %w", err)
	}
	if refused {
		return nil, &guestapi.Problem{ID: problemShard, Detail: fmt.Sprintf("shard %x: the host answers %d", root, a.StatusCode)}
	}
	return body, nil
}
