package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safebox/host/shard"
	"safebox/verifier/guestapi"
)

// root is the name of the one shard that stores of these tests hold.
var root = strings.Repeat("ab", 32)

func store(t *testing.T) http.Handler {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, root), []byte("a shard"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder, err := shard.NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return shard.Handler(folder)
}

// channelGuest is a guest that turns connections around by hand.
type channelGuest struct {
	net.Listener
	relay *Relay
	news  chan error
	stop  context.CancelFunc
	ended chan struct{}
}

func startChannel(t *testing.T) *channelGuest {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g := &channelGuest{Listener: l, relay: New(l.Addr().String(), nil, store(t)), news: make(chan error, 16), stop: cancel, ended: make(chan struct{})}
	go func() {
		g.relay.ServeShards(ctx, func(err error) { g.news <- err })
		close(g.ended)
	}()
	t.Cleanup(func() {
		cancel()
		closeIt(t, l)
		<-g.ended
	})
	return g
}

// accept reads the request for a channel and answers it.
func (g *channelGuest) accept(t *testing.T, answer string) net.Conn {
	t.Helper()
	c, err := g.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	want := "GET /v1/shard-channel HTTP/1.1\r\nHost: safebox\r\nConnection: Upgrade\r\nUpgrade: safebox-shards/1\r\n\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("request %q, %v, want %q", got, err, want)
	}
	if _, err := io.WriteString(c, answer); err != nil {
		t.Fatal(err)
	}
	return c
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: safebox-shards/1\r\n\r\n"

func TestServeShards(t *testing.T) {
	g := startChannel(t)
	// The first request comes in one piece with the answer.
	c := g.accept(t, switching+"GET /v1/sh/"+root+" HTTP/1.1\r\nHost: safebox\r\n\r\n")
	r := bufio.NewReader(c)
	for _, tt := range []struct {
		next, status, body string // next is sent after the answer
	}{
		{"GET /v1/sh/" + strings.Repeat("00", 32), "200 OK", "a shard"},
		{"PUT /v1/sh/" + root, "404 Not Found", "shard-missing"},
		{"GET /v1/instance", "404 Not Found", "relay-path"},
		{"GET /v1/health", "404 Not Found", "relay-path"},
		{"GET /v1/sh/" + root, "404 Not Found", "relay-path"},
		{"", "200 OK", "a shard"},
	} {
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(a.Body)
		if err != nil || a.Status != tt.status || !strings.Contains(string(b), tt.body) || a.Close || a.ContentLength < 0 {
			t.Errorf("got %q, %v, %s, close %v, want %s %q", b, err, a.Status, a.Close, tt.status, tt.body)
		}
		closeIt(t, a.Body)
		if tt.next != "" {
			if _, err := io.WriteString(c, tt.next+" HTTP/1.1\r\nHost: safebox\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-g.news; err != nil {
		t.Errorf("news: %v", err)
	}

	// The guest drops it: there is another. The host's end: this one goes.
	closeIt(t, c)
	c = g.accept(t, switching)
	defer closeIt(t, c)
	g.stop()
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("after the end: %q, %v", b, err)
	}
	<-g.ended
}

// TestServeShardsRefused: one word about a guest that takes no channel, and
// one when it does again.
func TestServeShardsRefused(t *testing.T) {
	g := startChannel(t)
	for _, answer := range []string{
		"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"HTTP/1.1 101 " + strings.Repeat("x", maxSwitch) + "\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n",
	} {
		closeIt(t, g.accept(t, answer))
	}
	c := g.accept(t, switching)
	defer closeIt(t, c)
	if err := <-g.news; err == nil || !strings.Contains(err.Error(), "opening shard channel: the guest answers 404") {
		t.Errorf("first news: %v", err)
	}
	if err := <-g.news; err != nil {
		t.Errorf("second news: %v", err)
	}
}

// answered is a connection to a guest that gives one answer.
type answered struct {
	net.Conn
	answer   io.Reader
	deadline time.Time
}

func (a *answered) Read(b []byte) (int, error)    { return a.answer.Read(b) }
func (*answered) Write(b []byte) (int, error)     { return len(b), nil }
func (a *answered) SetDeadline(d time.Time) error { a.deadline = d; return nil }

// TestSwitchOver: which answers open a channel, and that it may be silent for
// as long as nobody computes.
func TestSwitchOver(t *testing.T) {
	for answer, want := range map[string]string{
		switching: "",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n": `with Upgrade "h2c"`,
		"HTTP/1.1 200 OK\r\nUpgrade: " + guestapi.ShardProtocol + "\r\n\r\n":              "answers 200",
		"HTTP/1.1 101 " + strings.Repeat("x", 2*maxSwitch) + "\r\n\r\n":                   "longer than 4096 bytes",
		"HTTP/1.1 101 Switching": "EOF",
	} {
		c := &answered{answer: strings.NewReader(answer + "GET /")}
		err := switchOver(c)
		switch {
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.60q: got %v, want %q", answer, err, want)
		case want == "" && (err != nil || !c.deadline.IsZero()):
			t.Errorf("got %v, deadline %v", err, c.deadline)
		}
		if rest, err := io.ReadAll(c.answer); want == "" && (err != nil || string(rest) != "GET /") {
			t.Errorf("the guest's first request: %q, %v", rest, err)
		}
	}
}

// TestCallersShards: callers put and get from the same store.
func TestCallersShards(t *testing.T) {
	r := httptest.NewServer(New("127.0.0.1:1", nil, store(t)).Handler())
	defer r.Close()
	if status, body := do(t, http.MethodGet, r.URL+guestapi.ShardPath+root, nil); status != 200 || body != "a shard" {
		t.Errorf("got %d %q", status, body)
	}
	if status, body := do(t, http.MethodPut, r.URL+guestapi.ShardPath+root, strings.NewReader("other")); status != 400 || problemOf(t, body) != "shard-name" {
		t.Errorf("a shard under a name that is not its own: got %d %q", status, body)
	}
	if status, body := do(t, http.MethodGet, r.URL+fmt.Sprintf("%s%064x", guestapi.ShardPath, 7), nil); status != 404 || problemOf(t, body) != "shard-missing" {
		t.Errorf("got %d %q", status, body)
	}
}
