package api

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits of the server. Peers are on the untrusted side; the point is that
// the process stays small and alive whatever they send.
const (
	maxConnections = 64
	maxHeader      = 8 << 10
	headerTimeout  = 5 * time.Second
	requestTimeout = 10 * time.Second // without a body
	answerTimeout  = 30 * time.Second // of what net/http answers by itself
	transferBase   = 10 * time.Second // for a body or an answer, and
	transferRate   = 1 << 20          // one second more for each MiB
)

// Serve answers requests on l until l fails.
func Serve(l net.Listener, h http.Handler) error {
	return newServer(h).Serve(newLimited(l, maxConnections))
}

func newServer(h http.Handler) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		MaxHeaderBytes:    maxHeader,
		// "OPTIONS *" is answered as everything else is.
		DisableGeneralOptionsHandler: true,
		// What clients do wrong is not worth a line, and lines from here would
		// mix with those of PID 1.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s.SetKeepAlivesEnabled(false)
	return s
}

// limited is a listener that holds at most so many connections open; the
// rest wait in the kernel's queue, which is bounded too.
type limited struct {
	net.Listener
	slots chan struct{}
}

func newLimited(l net.Listener, n int) *limited {
	return &limited{Listener: l, slots: make(chan struct{}, n)}
}

// Accept waits for a free slot, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, free: func() { <-l.slots }}, nil
}

// limitedConn gives its slot back when it is closed, once.
type limitedConn struct {
	net.Conn
	once sync.Once
	free func()
}

// Close closes the connection and frees its slot.
func (c *limitedConn) Close() error {
	defer c.once.Do(c.free)
	return c.Conn.Close()
}
