package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"safebox/verifier/guestapi"
)

// Pauses between attempts to open a shard channel: from the first to the last,
// each twice the one before.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 3200 * time.Millisecond
)

// maxSwitch bounds the guest's answer to the request for a channel.
const maxSwitch = 4 << 10

// ServeShards keeps a shard channel to the guest open and answers the guest's
// requests on it, until ctx ends. tell gets nil whenever a channel has opened,
// and an error when that stops being possible.
func (r *Relay) ServeShards(ctx context.Context, tell func(error)) {
	pause, failing := firstPause, false
	for ctx.Err() == nil {
		conn, err := r.openChannel(ctx)
		switch {
		case err == nil:
			tell(nil)
			pause, failing = firstPause, false
			r.serveChannel(ctx, conn)
		case !failing && ctx.Err() == nil:
			tell(fmt.Errorf("opening shard channel: %w", err))
			failing = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// openChannel asks the guest to turn a connection around.
func (r *Relay) openChannel(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, "tcp", r.guest)
	if err != nil {
		return nil, err
	}
	if err := switchOver(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// switchOver makes the request and reads the answer, and not a byte more: what
// follows is the guest's first request.
func switchOver(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(memoryTime)); err != nil {
		return err
	}
	request := "GET " + guestapi.ShardChannelPath + " HTTP/1.1\r\nHost: safebox\r\n" +
		"Connection: Upgrade\r\nUpgrade: " + guestapi.ShardProtocol + "\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
		if len(head) == maxSwitch {
			return fmt.Errorf("the guest's answer is longer than %d bytes", maxSwitch)
		}
		if _, err := io.ReadFull(conn, b); err != nil {
			return fmt.Errorf("reading the guest's answer: %w", err)
		}
	}
	a, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return err
	}
	if err := a.Body.Close(); err != nil {
		return err
	}
	if a.StatusCode != http.StatusSwitchingProtocols || a.Header.Get("Upgrade") != guestapi.ShardProtocol {
		return fmt.Errorf("the guest answers %d with Upgrade %q, want 101 with %q", a.StatusCode, a.Header.Get("Upgrade"), guestapi.ShardProtocol)
	}
	return conn.SetDeadline(time.Time{})
}

// serveChannel answers the guest's requests until the connection or ctx ends.
func (r *Relay) serveChannel(ctx context.Context, conn net.Conn) {
	l := newOnce(conn)
	s := &http.Server{
		Handler: http.HandlerFunc(r.serveGuest),
		// One connection, silent for as long as nobody computes: only what
		// goes to the guest has a time.
		WriteTimeout:   memoryTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				l.end()
			}
		},
	}
	stop := context.AfterFunc(ctx, func() {
		if conn.Close() != nil {
			return // it has ended by itself
		}
	})
	defer stop()
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		panic(err) // our own listener has no other error
	}
}

// serveGuest gives shards to the guest, which may read them and nothing else.
func (r *Relay) serveGuest(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet || !strings.HasPrefix(req.URL.Path, guestapi.ShardPath) {
		fail(w, http.StatusNotFound, problemPath, errors.New("want GET of a shard"))
		return
	}
	r.shards.ServeHTTP(w, req)
}

// once is a listener that gives one connection and lasts as long as that.
type once struct {
	conns chan net.Conn
	addr  net.Addr
	over  sync.Once
}

func newOnce(conn net.Conn) *once {
	l := &once{conns: make(chan net.Conn, 1), addr: conn.LocalAddr()}
	l.conns <- conn
	return l
}

// Accept gives the connection, then waits for its end.
func (l *once) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *once) end() { l.over.Do(func() { close(l.conns) }) }

// Close ends the listener.
func (l *once) Close() error {
	l.end()
	return nil
}

// Addr is the connection's address on this side.
func (l *once) Addr() net.Addr { return l.addr }
