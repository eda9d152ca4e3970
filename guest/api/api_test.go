package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"safebox/guest/wire"
	"safebox/verifier/guestapi"
)

const testReport = `{"type":"a report"}`

// keeper is one that answers as it is told.
type keeper struct {
	answer           []byte
	err              error
	entered, release chan struct{} // nil: not used

	mu    sync.Mutex
	calls []call
}

type call struct {
	op   uint8
	body string
}

func (k *keeper) Call(op uint8, body []byte) ([]byte, error) {
	if k.entered != nil {
		k.entered <- struct{}{}
		<-k.release
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, call{op, string(body)})
	return k.answer, k.err
}

// serve starts the server with all its limits and gives its address.
func serve(t *testing.T, k Keeper) string {
	t.Helper()
	return serveWith(t, k, NewShards(), func(*http.Server) {})
}

func serveWith(t *testing.T, k Keeper, shards *Shards, change func(*http.Server)) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(NewHandler([]byte(testReport), k, shards))
	change(s)
	done := make(chan error, 1)
	go func() { done <- s.Serve(newLimited(l, maxConnections)) }()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("server ended with %v", err)
		}
	})
	return l.Addr().String()
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// exchange sends raw bytes and reads until the server closes, so that what a
// client library would tidy arrives as it is.
func exchange(t *testing.T, address, request string) (status int, header http.Header, body string) {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	r := bufio.NewReader(c)
	a, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Close {
		t.Error("the answer does not say that the connection ends")
	}
	// A server that leaves a request unread resets the connection.
	b, err := io.ReadAll(a.Body)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); len(rest) != 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the answer: %q, %v; want the end of the connection", rest, err)
	}
	return a.StatusCode, a.Header, string(b)
}

func TestAnswers(t *testing.T) {
	const id = "000102030405060708090a0b0c0d0e0f"
	address := serve(t, &keeper{answer: []byte("an answer")})
	tests := []struct {
		request string
		status  int
		body    string
	}{
		{"GET /v1/health", 200, `{"status":"ok","type":"safebox/health/v1"}` + "\n"},
		{"GET /v1/boot-report", 200, testReport + "\n"},
		{"GET /v1/identity", 200, "an answer"},
		{"GET /v1/jobs/" + id, 200, "an answer"},
		{"GET /v1/jobs/" + id + "/result", 200, "an answer"},
		{"GET /", 404, `{"error":{"detail":"no such path","id":"http-path"}}`},
		{"GET /v1/health/", 404, ""},
		{"GET /v1/health?x=1", 404, ""},
		{"GET /v1/health?", 404, ""},
		{"GET /v1/x/../health", 404, ""},
		{"GET //v1/health", 404, ""},
		{"GET /v1/%68ealth", 404, ""},
		{"GET /V1/HEALTH", 404, ""},
		{"GET http://other/v1/health", 404, ""},
		{"GET /proc/self/environ", 404, ""},
		{"GET /v1/sh/" + id, 404, ""},
		{"GET /v1/jobs/", 404, ""},
		{"GET /v1/jobs/" + id[1:], 404, ""},
		{"GET /v1/jobs/" + id + "0", 404, ""},
		{"GET /v1/jobs/" + strings.ToUpper(id), 404, ""},
		{"GET /v1/jobs/" + id + "/", 404, ""},
		{"GET /v1/jobs/" + id + "/result/", 404, ""},
		{"GET /v1/jobs/" + id + "/result/result", 404, ""},
		{"GET /v1/jobs/" + id + "?x", 404, ""},
		{"GET /v1/jobs//result", 404, ""},
		{"GET /v1/jobs/result", 404, ""},
		{"OPTIONS *", 404, ""},
		{"PRI *", 404, ""},
		{"POST /v1/health", 405, `{"error":{"detail":"only GET is allowed","id":"http-method"}}`},
		{"HEAD /v1/health", 405, ""},
		{"PUT /v1/boot-report", 405, ""},
		{"DELETE /v1/boot-report", 405, ""},
		{"POST /v1/identity", 405, ""},
		{"GET /v1/configuration", 405, `{"error":{"detail":"only POST is allowed","id":"http-method"}}`},
		{"GET /v1/evidence", 405, ""},
		{"GET /v1/jobs", 405, ""},
		{"PUT /v1/jobs", 405, ""},
		{"DELETE /v1/jobs/" + id, 405, ""},
		{"POST /v1/jobs/" + id + "/result", 405, ""},
		{"POST /v1/shard-channel", 405, ""},
		{"POST /v1/evidence", 400, `{"error":{"detail":"want a body","id":"http-body"}}`},
		{"GET /v1/shard-channel", 426, `{"error":{"detail":"want Connection: Upgrade and Upgrade: safebox-shards/1","id":"http-method"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.request, func(t *testing.T) {
			status, header, body := exchange(t, address, tt.request+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if tt.body != "" && body != tt.body {
				t.Errorf("body %q, want %q", body, tt.body)
			}
			if status == 405 && header.Get("Allow") == "" {
				t.Errorf("Allow: %q", header.Get("Allow"))
			}
			want := "application/json"
			if strings.HasSuffix(tt.request, id+"/result") && status == 200 {
				want = "application/octet-stream"
			}
			if header.Get("Content-Type") != want || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("header %v", header)
			}
		})
	}
}

// TestPasses: what the keeper gets is what came, byte for byte.
func TestPasses(t *testing.T) {
	job := strings.Repeat("\x00job", 1<<20)
	for _, tt := range []struct {
		name, request string
		want          call
	}{
		{"identity", "GET /v1/identity HTTP/1.1\r\nHost: x\r\n\r\n", call{wire.OpIdentity, ""}},
		{"configuration", post("/v1/configuration", "{}\x00"), call{wire.OpConfigure, "{}\x00"}},
		{"evidence", post("/v1/evidence", " {}"), call{wire.OpEvidence, " {}"}},
		{"job", post("/v1/jobs", job), call{wire.OpSubmit, job}},
		{"status", "GET /v1/jobs/000102030405060708090a0b0c0d0e0f HTTP/1.1\r\nHost: x\r\n\r\n", call{wire.OpStatus, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f"}},
		{"result", "GET /v1/jobs/ff0102030405060708090a0b0c0d0e0f/result HTTP/1.0\r\n\r\n", call{wire.OpResult, "\xff\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &keeper{}
			if status, _, body := exchange(t, serve(t, k), tt.request); status != 200 || body != "" {
				t.Errorf("got %d %q, want 200 and nothing", status, body)
			}
			if len(k.calls) != 1 || k.calls[0] != tt.want {
				t.Errorf("the keeper got %.200q, want %.200q", k.calls, tt.want)
			}
		})
	}
}

// TestBodies: each path's limit, exactly.
func TestBodies(t *testing.T) {
	for path, limit := range map[string]int{
		"/v1/configuration": 65536, // format-configuration.md: 64 KiB
		"/v1/evidence":      4096,  // specs/protocol.md 1: 4 KiB
		"/v1/jobs":          guestapi.MaxJob,
	} {
		k := &keeper{}
		address := serve(t, k)
		if status, _, _ := exchange(t, address, post(path, strings.Repeat("x", limit))); status != 200 {
			t.Errorf("%s: %d bytes: got %d", path, limit, status)
		}
		if len(k.calls) != 1 || len(k.calls[0].body) != limit {
			t.Errorf("%s: the keeper did not get it", path)
		}
		request := post(path, strings.Repeat("x", limit+1))
		if limit > 1<<20 { // net/http closes then, and does not read so much
			request, _, _ = strings.Cut(request, "xxx")
		}
		if status, _, body := exchange(t, address, request); status != 413 || !strings.Contains(body, "http-body") {
			t.Errorf("%s: %d bytes: got %d %q, want 413", path, limit+1, status, body)
		}
		if len(k.calls) != 1 {
			t.Errorf("%s: the keeper was asked", path)
		}
	}
}

func TestMalformed(t *testing.T) {
	k := &keeper{}
	address := serve(t, k)
	get := "GET /v1/health HTTP/1.1\r\nHost: x\r\n"
	post := "POST /v1/evidence HTTP/1.1\r\nHost: x\r\n"
	tests := []struct {
		name, request string
		status        int
	}{
		{"body", get + "Content-Length: 5\r\n\r\nhello", 400},
		{"chunked body", get + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400},
		{"body of no bytes", get + "Content-Length: 0\r\n\r\n", 200},
		{"header too large", get + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		{"path too long", "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"no HTTP", "hello\r\n\r\n", 400},
		{"other version", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505},
		{"second request is not read", get + "\r\n" + get + "\r\n", 200},
		{"keep-alive asked for", get + "Connection: keep-alive\r\n\r\n", 200},
		{"post, chunked", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411},
		{"post, chunked and with a length", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 411},
		{"post, other encoding", post + "Transfer-Encoding: gzip\r\n\r\n", 501},
		{"post, two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400},
		{"post, length below 0", post + "Content-Length: -5\r\n\r\nhello", 400},
		{"post, length with a sign", post + "Content-Length: +5\r\n\r\nhello", 400},
		{"post, endless length", post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
		{"post, huge length", post + "Content-Length: 9223372036854775807\r\n\r\n", 413},
		{"post, no length", post + "\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, _, body := exchange(t, address, tt.request); status != tt.status {
				t.Errorf("status %d, want %d: %s", status, tt.status, body)
			}
		})
	}
	if len(k.calls) > 0 {
		t.Errorf("the keeper was asked: %q", k.calls)
	}
}

// TestProblems: the keeper's word passes with a status that fits; what went
// wrong between processes does not.
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		body   string
	}{
		{&guestapi.Problem{ID: "grant-audience", Detail: "got a, want b"}, 422, `{"error":{"detail":"got a, want b","id":"grant-audience"}}`},
		{fmt.Errorf("around: %w", &guestapi.Problem{ID: "job-unknown", Detail: "x"}), 404, `{"error":{"detail":"x","id":"job-unknown"}}`},
		{&guestapi.Problem{ID: "config-late", Detail: "x"}, 409, `{"error":{"detail":"x","id":"config-late"}}`},
		{&guestapi.Problem{ID: "job-busy", Detail: "x"}, 503, `{"error":{"detail":"x","id":"job-busy"}}`},
		{&guestapi.Problem{ID: "internal", Detail: "x"}, 500, `{"error":{"detail":"x","id":"internal"}}`},
		{&guestapi.Problem{}, 500, `{"error":{"detail":"a problem that can't be told","id":"keeper"}}`},
		{errors.New("calling 0x01: broken frame"), 500, `{"error":{"detail":"the keeper gave no answer","id":"keeper"}}`},
	} {
		address := serve(t, &keeper{err: tt.err})
		if status, _, body := exchange(t, address, "GET /v1/identity HTTP/1.1\r\nHost: x\r\n\r\n"); status != tt.status || body != tt.body {
			t.Errorf("%v: got %d %q, want %d %q", tt.err, status, body, tt.status, tt.body)
		}
	}
	address := serve(t, &keeper{answer: make([]byte, guestapi.MaxIdentity+1)})
	if status, _, body := exchange(t, address, "GET /v1/identity HTTP/1.1\r\nHost: x\r\n\r\n"); status != 500 || len(body) > 100 {
		t.Errorf("an answer that is too long: got %d and %d bytes", status, len(body))
	}
}

// TestBusy: a route has its slots and no more, whoever waits; other routes go
// on.
func TestBusy(t *testing.T) {
	k := &keeper{entered: make(chan struct{}), release: make(chan struct{})}
	address := serve(t, k)
	first := make(chan int)
	go func() {
		status, _, _ := exchange(t, address, post("/v1/jobs", "first"))
		first <- status
	}()
	<-k.entered
	// Larger than all the buffers on the way: it is read before the answer.
	status, header, body := exchange(t, address, post("/v1/jobs", strings.Repeat("x", 30<<20)))
	if status != 503 || header.Get("Retry-After") != "1" || !strings.Contains(body, `"http-busy"`) {
		t.Errorf("got %d %v %q, want 503", status, header, body)
	}
	if status, _, _ := exchange(t, address, "GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"); status != 200 {
		t.Errorf("health: got %d", status)
	}
	close(k.release)
	if status := <-first; status != 200 {
		t.Errorf("the first job: got %d", status)
	}
	go func() { <-k.entered }()
	if status, _, _ := exchange(t, address, post("/v1/jobs", "next")); status != 200 {
		t.Errorf("the next job: got %d", status)
	}
}

// TestTimes: a slow keeper costs no answer, and a slow client no slot for
// longer than the body's length is worth.
func TestTimes(t *testing.T) {
	// 10 s and 1 s for each MiB, by hand.
	for size, want := range map[int64]time.Duration{0: 10 * time.Second, 1<<20 - 1: 10 * time.Second, 48 << 20: 58 * time.Second, 256 << 20: 266 * time.Second} {
		if got := transferTime(size); got != want {
			t.Errorf("%d bytes: got %v, want %v", size, got, want)
		}
	}
	k := &keeper{answer: []byte("late"), entered: make(chan struct{}), release: make(chan struct{})}
	address := serveWith(t, k, NewShards(), func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond })
	go func() {
		<-k.entered
		time.Sleep(200 * time.Millisecond)
		close(k.release)
	}()
	if status, _, body := exchange(t, address, post("/v1/evidence", "x")); status != 200 || body != "late" {
		t.Errorf("got %d %q, want the late answer", status, body)
	}
}

// TestSlowBody: a client that stops in the middle is answered, and the slot
// is free then.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	address := serve(t, k)
	began := time.Now()
	// exchange does not send the rest, and does not close either.
	status, _, body := exchange(t, address, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
	if took := time.Since(began); status != 408 || took > transferTime(100)+5*time.Second {
		t.Errorf("got %d %q after %v, want 408", status, body, took)
	}
	if status, _, _ := exchange(t, address, post("/v1/jobs", "next")); status != 200 || len(k.calls) != 1 || k.calls[0].body != "next" {
		t.Errorf("the next: got %d, the keeper %q", status, k.calls)
	}
}

// TestMemoryBound adds up what NewHandler promises.
func TestMemoryBound(t *testing.T) {
	h := NewHandler(nil, nil, nil).(*handler)
	sum := 0
	for _, rt := range append(slices.Collect(maps.Values(h.exact)), h.status, h.result) {
		if cap(rt.slots) == 0 {
			t.Errorf("operation %d has no slots", rt.op)
		}
		sum += cap(rt.slots) * (rt.body + rt.answer)
	}
	t.Logf("%d MiB", sum>>20)
	if sum > softMemory/6*5 {
		t.Errorf("requests may claim %d bytes, want at most 5/6 of %d", sum, softMemory)
	}
}

// kept is a ResponseWriter that remembers the bodies themselves.
type kept struct {
	http.ResponseWriter
	bodies [][]byte
}

func (k *kept) Write(b []byte) (int, error) {
	k.bodies = append(k.bodies, b)
	return len(b), nil
}

// SetWriteDeadline is for http.ResponseController.
func (*kept) SetWriteDeadline(time.Time) error { return nil }

// TestReportIsNotCopied: the report is large, its path has no slots, and a
// client may read as slowly as it likes.
func TestReportIsNotCopied(t *testing.T) {
	h := NewHandler([]byte(testReport), nil, nil)
	w := &kept{ResponseWriter: httptest.NewRecorder()}
	for range 2 {
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, guestapi.ReportPath, nil))
	}
	if len(w.bodies) != 2 || &w.bodies[0][0] != &w.bodies[1][0] {
		t.Errorf("%d answers, want 2 of the same bytes and no copies", len(w.bodies))
	}
}

// TestConnectionLimit: with all slots taken by clients that say nothing, the
// next waits in the queue until one of them leaves.
func TestConnectionLimit(t *testing.T) {
	inner, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLimited(inner, 2)
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	var clients []net.Conn
	for range 3 {
		c, err := net.Dial("tcp4", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	first, second := <-accepted, <-accepted
	select {
	case <-accepted:
		t.Fatal("a third connection with two slots")
	case <-time.After(100 * time.Millisecond):
	}
	// Closing twice frees one slot.
	for range 2 {
		if err := first.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
	third := <-accepted
	if n := len(l.slots); n != 2 {
		t.Errorf("%d slots taken, want 2", n)
	}
	for _, c := range append(clients, second, third) {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := inner.Close(); err != nil {
		t.Error(err)
	}
	if _, open := <-accepted; open {
		t.Error("accepted after the end")
	}
	if n := len(l.slots); n != 0 {
		t.Errorf("%d slots taken at the end, want 0", n)
	}
}

// TestManyAtOnce: more clients than slots are all served.
func TestManyAtOnce(t *testing.T) {
	address := serve(t, &keeper{})
	results := make(chan error)
	const clients = 3 * maxConnections
	for range clients {
		go func() {
			a, err := http.Get("http://" + address + guestapi.HealthPath)
			if err == nil {
				err = a.Body.Close()
				if a.StatusCode != http.StatusOK {
					err = fmt.Errorf("status %d", a.StatusCode)
				}
			}
			results <- err
		}()
	}
	for range clients {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
