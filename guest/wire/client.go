package wire

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"safebox/verifier/guestapi"
)

// errBroken is what every call gets after one that lost its place in the
// stream: replies would be taken for those of other requests.
var errBroken = errors.New("connection failed earlier")

// Client makes calls over one connection, one at a time. It is safe for
// concurrent use.
type Client struct {
	mu     sync.Mutex
	rw     io.ReadWriteCloser
	limit  int // of a reply
	broken bool
}

// NewClient gives a client that takes replies of at most limit bytes: one of
// the MaxReply constants. It owns the connection.
func NewClient(rw io.ReadWriteCloser, limit int) *Client {
	return &Client{rw: rw, limit: limit}
}

// Call sends a request and waits for the reply. An error of the other end is a
// *guestapi.Problem; any other error ends the connection.
func (c *Client) Call(op uint8, body []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return nil, fmt.Errorf("calling %#02x: %w", op, errBroken)
	}
	answer, problem, err := c.exchange(op, body)
	if err != nil {
		c.broken = true
		return nil, errors.Join(fmt.Errorf("calling %#02x: %w", op, err), c.rw.Close())
	}
	if problem != nil {
		return nil, problem
	}
	return answer, nil
}

func (c *Client) exchange(op uint8, body []byte) ([]byte, *guestapi.Problem, error) {
	if err := writeFrame(c.rw, op, body); err != nil {
		return nil, nil, err
	}
	status, answer, err := readFrame(c.rw, c.limit)
	if err != nil {
		return nil, nil, cut(err)
	}
	switch status {
	case statusOK:
		return answer, nil, nil
	case statusError:
		problem, err := guestapi.DecodeProblem(answer)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %s", ErrFrame, err.Error()) // its end of input is not ours
		}
		return nil, problem, nil
	}
	return nil, nil, fmt.Errorf("%w: status %d, want 0 or 1", ErrFrame, status)
}

// Close ends the connection. A call that waits for its reply fails.
func (c *Client) Close() error { return c.rw.Close() }
