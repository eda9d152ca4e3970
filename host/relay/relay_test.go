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
	url := through(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the guest was asked for %s", r.URL) })
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/health/", "/v1/health/x", "/v1/grant", "/v1//health"} {
		if status, _, _ := get(t, url+path); status == 200 {
			t.Errorf("%s: got 200", path)
		}
	}
	resp, err := http.Post(url+guestapi.HealthPath, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, resp.Body)
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", resp.StatusCode)
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
