package relay

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"safebox/verifier/bootreport"
	"safebox/verifier/guestapi"
)

// through starts a guest with the given behaviour and a relay before it.
func through(t *testing.T, guest http.HandlerFunc) string {
	t.Helper()
	g := httptest.NewServer(guest)
	t.Cleanup(g.Close)
	return relayTo(t, g.Listener.Addr().String())
}

func relayTo(t *testing.T, addr string) string {
	t.Helper()
	r := httptest.NewServer(New(addr, func() any { return map[string]string{"id": "a1"} }, nil).Handler())
	t.Cleanup(r.Close)
	return r.URL
}

func get(t *testing.T, url string) (int, http.Header, string) {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, resp.Body)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func TestRelayPassesAnswers(t *testing.T) {
	big := strings.Repeat("r", bootreport.MaxSize)
	url := through(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Set-Cookie", "a=b")
		switch r.URL.Path {
		case guestapi.HealthPath:
			send(t, w, `{"ok":true}`+r.URL.RawQuery+r.Header.Get("Cookie"))
		case guestapi.ReportPath:
			send(t, w, big)
		}
	})
	for path, want := range map[string]string{
		guestapi.HealthPath + "?x=1": `{"ok":true}`,
		guestapi.ReportPath:          big,
		InstancePath:                 `{"id":"a1"}` + "\n",
	} {
		status, h, body := get(t, url+path)
		if status != 200 || body != want {
			t.Errorf("%s: got %d and %d bytes, want 200 and %d bytes", path, status, len(body), len(want))
		}
		if h.Get("Content-Type") != "application/json" || h.Get("Set-Cookie") != "" {
			t.Errorf("%s: the guest's headers passed: %v", path, h)
		}
	}
}

func TestRelayKnowsItsPathsOnly(t *testing.T) {
	const id = "000102030405060708090a0b0c0d0e0f"
	url := through(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the guest was asked for %s %s", r.Method, r.URL)
	})
	for _, tt := range []struct {
		request string
		status  int
		problem string
	}{
		{"GET /", 404, "relay-path"},
		{"GET /v1", 404, "relay-path"},
		{"GET /v1/health/", 404, "relay-path"},
		{"GET /v1//health", 404, "relay-path"},
		{"GET /v1/grant", 404, "relay-path"},
		{"GET /v1/shard-channel", 404, "relay-path"},
		{"GET /v1/sh/" + id + id, 404, "relay-shards"},
		{"PUT /v1/sh/" + id + id, 404, "relay-shards"},
		{"GET /v1/jobs/", 404, "relay-path"},
		{"GET /v1/jobs/x", 404, "relay-path"},
		{"GET /v1/jobs/" + id + "/", 404, "relay-path"},
		{"GET /v1/jobs/" + id + "/log", 404, "relay-path"},
		{"GET /v1/jobs/" + id + "/result/x", 404, "relay-path"},
		{"POST /v1/health", 405, "relay-method"},
		{"HEAD /v1/health", 405, ""},
		{"PUT /v1/jobs", 405, "relay-method"},
		{"GET /v1/evidence", 405, "relay-method"},
		{"DELETE /v1/jobs/" + id, 405, "relay-method"},
		{"POST " + InstancePath, 405, "relay-method"},
		{"POST /v1/evidence", 400, "relay-body"},
	} {
		method, path, _ := strings.Cut(tt.request, " ")
		status, body := do(t, method, url+path, nil)
		if status != tt.status || tt.problem != "" && problemOf(t, body) != tt.problem {
			t.Errorf("%s: got %d %q, want %d %s", tt.request, status, body, tt.status, tt.problem)
		}
	}
}

// do makes a request; a body that is no strings.Reader has no known length.
func do(t *testing.T, method, url string, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, resp.Body)
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func problemOf(t *testing.T, body string) string {
	t.Helper()
	p, err := guestapi.DecodeProblem([]byte(body))
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return p.ID
}

// TestRelayPassesBodies: byte for byte and with their length, up to each
// path's limit; nothing else of the caller passes.
func TestRelayPassesBodies(t *testing.T) {
	var got []byte
	url := through(t, func(w http.ResponseWriter, r *http.Request) {
		var err error
		if got, err = io.ReadAll(r.Body); err != nil || r.ContentLength != int64(len(got)) {
			t.Errorf("%d of %d bytes, %v", len(got), r.ContentLength, err)
		}
		if r.Method != http.MethodPost || r.URL.RawQuery != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
		}
		w.WriteHeader(http.StatusTeapot)
		send(t, w, "answer")
	})
	for path, limit := range map[string]int{
		"/v1/configuration": 65536,
		"/v1/evidence":      4096,
		"/v1/jobs":          guestapi.MaxJob,
	} {
		want := strings.Repeat("j", limit)
		if status, body := do(t, http.MethodPost, url+path+"?x=1", strings.NewReader(want)); status != http.StatusTeapot || body != "answer" {
			t.Errorf("%s: got %d %q", path, status, body)
		}
		if string(got) != want {
			t.Errorf("%s: the guest got %d bytes, want %d", path, len(got), limit)
		}
		got = nil
		if status, body := do(t, http.MethodPost, url+path, strings.NewReader(want+"j")); status != http.StatusRequestEntityTooLarge || problemOf(t, body) != "relay-body" {
			t.Errorf("%s, one byte more: got %d %q", path, status, body)
		}
		if status, body := do(t, http.MethodPost, url+path, io.MultiReader(strings.NewReader("chunked"))); status != http.StatusLengthRequired || problemOf(t, body) != "relay-body" {
			t.Errorf("%s, chunked: got %d %q", path, status, body)
		}
		if got != nil {
			t.Errorf("%s: the guest was asked all the same", path)
		}
	}
}

const resultPath = "/v1/jobs/000102030405060708090a0b0c0d0e0f/result"

// TestRelayStreamsResults: a result arrives while the guest is still sending
// it, and one that breaks off does not look whole.
func TestRelayStreamsResults(t *testing.T) {
	half := strings.Repeat("0123456789abcdef", 64<<10) // more than the buffers on the way
	more := make(chan struct{})
	url := through(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(2*len(half)))
		w.Header().Set("Content-Type", "text/html")
		send(t, w, half)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		if _, whole := <-more; whole {
			send(t, w, half)
		}
	})
	for _, whole := range []bool{true, false} {
		resp, err := http.Get(url + resultPath)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/octet-stream" || resp.ContentLength != int64(2*len(half)) {
			t.Errorf("got %d %v", resp.StatusCode, resp.Header)
		}
		first := make([]byte, len(half)/2)
		if _, err := io.ReadFull(resp.Body, first); err != nil {
			t.Errorf("while the guest sends: %v", err)
		}
		if whole {
			more <- struct{}{}
		} else {
			close(more)
		}
		rest, err := io.ReadAll(resp.Body)
		if whole && (err != nil || string(first)+string(rest) != half+half) {
			t.Errorf("got %d bytes, %v", len(first)+len(rest), err)
		}
		if !whole && err == nil {
			t.Errorf("%d bytes look like the whole result", len(first)+len(rest))
		}
		closeIt(t, resp.Body)
	}
}

func TestRelayBoundsResults(t *testing.T) {
	for name, tt := range map[string]struct {
		guest   http.HandlerFunc
		status  int
		problem string
	}{
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(guestapi.MaxResult+1))
		}, 502, "relay-guest"},
		"of unknown length": {func(w http.ResponseWriter, _ *http.Request) {
			send(t, w, strings.Repeat("x", 10000))
		}, 502, "relay-guest"},
		"long problem": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(guestapi.MaxProblem+1))
			w.WriteHeader(404)
		}, 502, "relay-guest"},
		"problem": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(404)
			send(t, w, `{"error":{"detail":"no such job","id":"job-unknown"}}`)
		}, 404, "job-unknown"},
	} {
		if status, body := do(t, http.MethodGet, through(t, tt.guest)+resultPath, nil); status != tt.status || problemOf(t, body) != tt.problem {
			t.Errorf("%s: got %d %q, want %d %s", name, status, body, tt.status, tt.problem)
		}
	}
}

// A page that somebody looks at on this machine posts nothing.
func TestRelayRefusesWebPages(t *testing.T) {
	url := through(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the guest was asked for %s", r.URL) })
	req, err := http.NewRequest(http.MethodPost, url+guestapi.JobsPath, strings.NewReader("job"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://example.org")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, resp.Body)
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 403 || problemOf(t, string(b)) != "relay-origin" {
		t.Errorf("got %d %q, %v", resp.StatusCode, b, err)
	}
}

func TestRelayBoundsTheGuest(t *testing.T) {
	for _, tc := range []struct {
		name   string
		guest  http.HandlerFunc
		status int
		want   string
	}{
		{"long health", func(w http.ResponseWriter, _ *http.Request) {
			send(t, w, strings.Repeat("x", maxHealth+1))
		}, 502, "longer than 4096 bytes"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, 502, "longer than"},
		{"endless headers", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 1000 {
				w.Header().Set("H"+strconv.Itoa(i), strings.Repeat("x", 1000))
			}
		}, 502, "header"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/evil", http.StatusFound)
		}, 502, "status 302"},
		{"less than promised", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			send(t, w, "x")
		}, 502, "EOF"},
		{"its own failure", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			send(t, w, `{"error":"not yet"}`)
		}, 503, "not yet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, _, body := get(t, through(t, tc.guest)+guestapi.HealthPath)
			if status != tc.status || !strings.Contains(body, tc.want) || len(body) > 1000 {
				t.Errorf("got %d %.300q, want %d with %q", status, body, tc.status, tc.want)
			}
		})
	}
}

func TestRelayWithoutGuest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	url := relayTo(t, addr)
	if status, _, body := get(t, url+guestapi.HealthPath); status != 502 || !strings.Contains(body, "refused") {
		t.Errorf("got %d %q, want 502", status, body)
	}
	if status, _, _ := get(t, url+InstancePath); status != 200 {
		t.Errorf("the host's own words need no guest: got %d", status)
	}
}

// A guest that holds many requests open does not make the relay hold more.
func TestRelayBoundsRequests(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	url := through(t, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	done := make(chan int)
	for range maxRequests {
		go func() {
			resp, err := http.Get(url + guestapi.HealthPath)
			if err != nil {
				done <- 0
				return
			}
			closeIt(t, resp.Body)
			done <- resp.StatusCode
		}()
	}
	for range maxRequests {
		<-entered
	}
	if status, _, _ := get(t, url+guestapi.HealthPath); status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", status)
	}
	close(release)
	for range maxRequests {
		if status := <-done; status != 200 {
			t.Errorf("got %d, want 200", status)
		}
	}
}

func TestHealthy(t *testing.T) {
	status := 503
	g := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != guestapi.HealthPath {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer g.Close()
	r := NewClient(g.URL)
	if err := r.Healthy(t.Context()); err == nil || !strings.Contains(err.Error(), "status 503") {
		t.Errorf("got %v, want 503 reported", err)
	}
	status = 200
	if err := r.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServerHasLimits(t *testing.T) {
	s := New("127.0.0.1:1", nil, nil).Server()
	for name, d := range map[string]time.Duration{
		"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout,
	} {
		if d <= 0 || d > time.Minute {
			t.Errorf("%s time: %v", name, d)
		}
	}
}

func send(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Error(err)
	}
}

func closeIt(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
