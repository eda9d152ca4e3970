package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"safebox/guest/wire"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/guestapi"
)

// memoryConn is a connection whose client has sent all that it will send.
type memoryConn struct {
	in   *bytes.Reader
	out  bytes.Buffer
	over sync.Once
	done chan struct{} // closed by Close, unless nil
}

func (c *memoryConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *memoryConn) Write(p []byte) (int, error) { return c.out.Write(p) }

func (c *memoryConn) Close() error {
	if c.done != nil {
		c.over.Do(func() { close(c.done) })
	}
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// queue is a listener whose connections come from a test.
type queue chan net.Conn

func (q queue) Accept() (net.Conn, error) { return <-q, nil }
func (q queue) Close() error              { return nil }
func (q queue) Addr() net.Addr            { return &net.TCPAddr{} }

// strict is a keeper that notices what should not have reached it.
type strict struct{ wrong error }

func (k *strict) Call(op uint8, body []byte) ([]byte, error) {
	limits := map[uint8][2]int{
		wire.OpIdentity: {0, 0}, wire.OpConfigure: {1, configuration.MaxSize}, wire.OpEvidence: {1, challenge.MaxSize},
		wire.OpSubmit: {1, guestapi.MaxJob}, wire.OpStatus: {16, 16}, wire.OpResult: {16, 16},
	}
	l, ok := limits[op]
	if !ok || len(body) < l[0] || len(body) > l[1] {
		k.wrong = fmt.Errorf("operation %#x with %d bytes", op, len(body))
	}
	if len(body) > 0 && body[0]%2 == 1 {
		return nil, &guestapi.Problem{ID: "grant-format", Detail: "odd"}
	}
	if op == wire.OpConfigure {
		return nil, nil // as the keeper does; an answer from it would be a fault, status 500
	}
	return body, nil
}

// FuzzAPI sends raw bytes to the whole server: net/http with our limits, and
// our handler. Whatever comes, there is no panic, the keeper gets nothing that
// its operation does not take, and there is at most one answer, of a status
// that we or net/http give.
func FuzzAPI(f *testing.F) {
	const id = "000102030405060708090a0b0c0d0e0f"
	for _, uri := range []string{"/v1/health", "/v1/boot-report", "/v1/identity", "/v1/jobs/" + id, "/v1/jobs/" + id + "/result", "/", "*"} {
		f.Add([]byte("GET " + uri + " HTTP/1.1\r\nHost: x\r\n\r\n"))
	}
	for _, uri := range []string{"/v1/configuration", "/v1/evidence", "/v1/jobs"} {
		f.Add([]byte(post(uri, "{}")))
		f.Add([]byte("POST " + uri + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	}
	f.Add([]byte(upgrade))
	f.Add([]byte(upgrade + ok("unasked")))
	f.Add([]byte("POST /v1/evidence HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"))

	keeper, shards := &strict{}, NewShards()
	var panicked any
	inner := NewHandler([]byte(testReport), keeper, shards)
	s := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				panicked = p
			}
		}()
		inner.ServeHTTP(w, r)
	}))
	conns := make(queue)
	go func() { f.Error(s.Serve(conns)) }()
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &memoryConn{in: bytes.NewReader(b), done: make(chan struct{})}
		conns <- c
		if !closes(c, shards) {
			return
		}
		if panicked != nil || keeper.wrong != nil {
			t.Fatalf("panic %v, keeper %v", panicked, keeper.wrong)
		}
		checkAnswers(t, c.out.Bytes())
	})
}

// closes waits until the server has closed the connection; false if it became
// a channel, of which nobody but a fetch sees the end.
func closes(c *memoryConn, shards *Shards) bool {
	for {
		select {
		case <-c.done:
			return true
		case <-time.After(time.Millisecond):
		}
		shards.mu.Lock()
		taken := shards.current != nil && shards.current.conn == net.Conn(c)
		shards.mu.Unlock()
		if taken {
			return false
		}
	}
}

func checkAnswers(t *testing.T, out []byte) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(out))
	for final := false; ; {
		if _, err := r.Peek(1); errors.Is(err, io.EOF) {
			return
		}
		a, err := http.ReadResponse(r, nil)
		if err != nil || final {
			t.Fatalf("answer %q: %v, after the last %v", out, err, final)
		}
		if !slices.Contains([]int{100, 101, 200, 400, 404, 405, 408, 411, 413, 417, 422, 426, 431, 501, 505}, a.StatusCode) {
			t.Errorf("status %d", a.StatusCode)
		}
		final = a.StatusCode != http.StatusContinue
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			t.Errorf("answer %q: %v", out, err)
		}
		if err := a.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}
