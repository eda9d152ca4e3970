package spawn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Client is the keeper's side: it asks PID 1 for workers.
type Client struct {
	conn *net.UnixConn

	starting sync.Mutex // one start at a time

	mu      sync.Mutex
	last    uint32
	workers map[uint32]*Worker
	answer  chan started // of the start under way
	failed  error        // why nothing comes any more
}

// started is PID 1's answer to a start.
type started struct {
	file *os.File
	err  error
}

// Worker is a process that runs, or ran.
type Worker struct {
	// Conn is the stream to the worker, which serves no request but makes them.
	// The holder closes it.
	Conn *os.File

	client *Client
	number uint32
	done   chan struct{}
	ending Ending
}

// NewClient takes over the keeper's end of the socket pair and closes f.
func NewClient(f *os.File) (*Client, error) {
	c, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("taking over the spawn socket: %w", err)
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("taking over the spawn socket: got a %T", c), c.Close())
	}
	client := &Client{conn: conn, workers: map[uint32]*Worker{}}
	go client.receive()
	return client, nil
}

// Start asks for a worker and waits until it is started.
func (c *Client) Start(l Limits) (*Worker, error) {
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	c.starting.Lock()
	defer c.starting.Unlock()
	answer := make(chan started, 1)
	c.mu.Lock()
	if c.failed != nil {
		c.mu.Unlock()
		return nil, fmt.Errorf("starting a worker: %w", c.failed)
	}
	c.last++
	w := &Worker{client: c, number: c.last, done: make(chan struct{})}
	c.workers[w.number], c.answer = w, answer
	c.mu.Unlock()

	if _, err := c.conn.Write(message{op: opStart, worker: w.number, limits: l}.encode()); err != nil {
		return nil, fmt.Errorf("starting a worker: %w", err)
	}
	a := <-answer
	if a.err != nil {
		return nil, fmt.Errorf("starting a worker: %w", a.err)
	}
	w.Conn = a.file
	return w, nil
}

// Wait gives the ending of the worker once it has ended and PID 1 has said so.
func (w *Worker) Wait() Ending {
	<-w.done
	return w.ending
}

// Kill asks PID 1 to kill the worker. One that has ended stays as it is.
func (w *Worker) Kill() error {
	if _, err := w.client.conn.Write(message{op: opKill, worker: w.number}.encode()); err != nil {
		return fmt.Errorf("killing a worker: %w", err)
	}
	return nil
}

// receive routes PID 1's messages until the socket fails.
func (c *Client) receive() {
	for {
		m, file, err := c.read()
		if err == nil {
			err = c.route(m, file)
		}
		if err != nil {
			c.fail(errors.Join(err, c.conn.Close()))
			return
		}
	}
}

// read gives one message and the descriptor that came with it, if one did.
func (c *Client) read() (message, *os.File, error) {
	b := make([]byte, maxMessage+1)
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.conn.ReadMsgUnix(b, oob)
	if err != nil {
		return message{}, nil, fmt.Errorf("reading from PID 1: %w", err)
	}
	file, err := received(oob[:oobn])
	if err != nil {
		return message{}, nil, err
	}
	m, err := decodeMessage(b[:n])
	if err != nil && file != nil {
		err = errors.Join(err, file.Close())
	}
	return m, file, err
}

// received takes the descriptor out of a control message (unix(7), SCM_RIGHTS).
func received(oob []byte) (*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("parsing control message: %w", err)
	}
	if len(messages) != 1 {
		return nil, fmt.Errorf("parsing control message: got %d, want 1", len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, fmt.Errorf("parsing control message: %w", err)
	}
	if len(fds) != 1 { // the buffer has room for one
		return nil, fmt.Errorf("parsing control message: got %d descriptors, want 1", len(fds))
	}
	return os.NewFile(uintptr(fds[0]), "worker"), nil
}

// route gives a message to whom it concerns.
func (c *Client) route(m message, file *os.File) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.workers[m.worker]
	switch {
	case w == nil:
	case m.op == opStarted && file != nil && c.answer != nil:
		c.answer <- started{file: file}
		c.answer = nil
		return nil
	case m.op == opRefused && file == nil && c.answer != nil:
		c.answer <- started{err: errors.New(m.text)}
		c.answer = nil
		delete(c.workers, m.worker)
		return nil
	case m.op == opEnded && file == nil:
		w.ending = m.ending
		close(w.done)
		delete(c.workers, m.worker)
		return nil
	}
	err := fmt.Errorf("message %d of PID 1 about worker %d: not expected", m.op, m.worker)
	if file != nil {
		err = errors.Join(err, file.Close())
	}
	return err
}

// fail ends all that waits.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
	if c.answer != nil {
		c.answer <- started{err: err}
		c.answer = nil
	}
	for n, w := range c.workers {
		w.ending = Ending{Status: -1}
		close(w.done)
		delete(c.workers, n)
	}
}
