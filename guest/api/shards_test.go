package api

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"safebox/guest/wire"
	"safebox/verifier/guestapi"
	"safebox/verifier/object"
)

const upgrade = "GET /v1/shard-channel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: safebox-shards/1\r\n\r\n"

// open is a host that opens a shard channel.
func open(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	if _, err := io.WriteString(c, upgrade); err != nil {
		t.Fatal(err)
	}
	// RFC 9110, section 15.2.2, as text.
	want := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: safebox-shards/1\r\n\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
	return c
}

// answers makes the host answer each request, which it also checks, with the
// next text.
func answers(t *testing.T, c net.Conn, root [32]byte, texts ...string) {
	r := bufio.NewReader(c)
	want := fmt.Sprintf("GET /v1/sh/%x HTTP/1.1\r\nHost: safebox\r\n\r\n", root)
	for _, text := range texts {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Errorf("request %q, %v, want %q", got, err, want)
			return
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Error(err)
		}
	}
}

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func problemID(err error) string {
	var p *guestapi.Problem
	if errors.As(err, &p) {
		return p.ID
	}
	return fmt.Sprint(err)
}

func TestFetch(t *testing.T) {
	shards, root := NewShards(), [32]byte{1, 2}
	address := serveWith(t, &keeper{}, shards, func(*http.Server) {})
	c := open(t, address)
	long := strings.Repeat("s", maxShard)
	go answers(t, c, root, ok("first"), "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", ok("second"), ok(long))
	request := wire.Fetch{Root: root, Limit: 100}
	for _, want := range []string{"first", "shard-missing", "shard-missing", "second"} {
		got, err := shards.Serve(wire.OpFetch, request.Encode())
		if err != nil {
			got = []byte(problemID(err))
		}
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	request.Limit = maxShard
	if got, err := shards.Serve(wire.OpFetch, request.Encode()); err != nil || string(got) != long {
		t.Errorf("the largest shard: got %d bytes, %v", len(got), err)
	}
}

func TestFetchRefusesRequests(t *testing.T) {
	shards := NewShards()
	for name, f := range map[string]func() ([]byte, error){
		"other operation": func() ([]byte, error) { return shards.Serve(wire.OpSubmit, wire.Fetch{Limit: 1}.Encode()) },
		"short":           func() ([]byte, error) { return shards.Serve(wire.OpFetch, make([]byte, 35)) },
		"no bytes":        func() ([]byte, error) { return shards.Fetch([32]byte{}, 0) },
		"too many bytes":  func() ([]byte, error) { return shards.Fetch([32]byte{}, maxShard+1) },
	} {
		if b, err := f(); err == nil {
			t.Errorf("%s: got %d bytes", name, len(b))
		}
	}
}

// TestFetchBadAnswers: whatever the host says, what comes back is a shard
// within the limit or an error, and the next channel works.
func TestFetchBadAnswers(t *testing.T) {
	for name, text := range map[string]string{
		"no HTTP":              "hello\r\n\r\n",
		"too long":             ok(strings.Repeat("x", 101)),
		"empty":                ok(""),
		"shorter than it says": "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx",
		"chunked":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"until the end":        "HTTP/1.1 200 OK\r\n\r\nx",
		"closing":              "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.0":             "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
		"interim":              "HTTP/1.1 100 Continue\r\n\r\n" + ok("x"),
		"switching again":      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"endless header":       "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxAnswerHeader) + "\r\nContent-Length: 1\r\n\r\nx",
		"long error":           "HTTP/1.1 404 No\r\nContent-Length: 4097\r\n\r\n" + strings.Repeat("x", 4097),
		"two lengths":          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"no length, not found": "HTTP/1.1 404 No\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			shards, root := NewShards(), [32]byte{7}
			ours, theirs := net.Pipe()
			shards.Use(ours)
			go func() {
				io.CopyN(io.Discard, theirs, int64(len(fmt.Sprintf("GET /v1/sh/%x HTTP/1.1\r\nHost: safebox\r\n\r\n", root)))) //nolint:errcheck // a host that fails is one
				io.WriteString(theirs, text)                                                                                   //nolint:errcheck // likewise
				theirs.Close()                                                                                                 //nolint:errcheck // likewise
				ours, theirs = net.Pipe()
				shards.Use(ours)
				answers(t, theirs, root, ok("good"))
			}()
			if b, err := shards.Fetch(root, 100); err != nil || string(b) != "good" {
				t.Errorf("got %q, %v, want what the second channel gives", b, err)
			}
		})
	}
}

// TestUnasked: bytes that nobody asked for would be taken for the next answer.
func TestUnasked(t *testing.T) {
	shards, root := NewShards(), [32]byte{7}
	ours, theirs := net.Pipe()
	shards.Use(ours)
	go answers(t, theirs, root, ok("good")+ok("forged"))
	if b, err := shards.Fetch(root, 100); err != nil || string(b) != "good" {
		t.Fatalf("got %q, %v", b, err)
	}
	again, next := net.Pipe()
	go func() {
		time.Sleep(50 * time.Millisecond)
		shards.Use(again)
		answers(t, next, root, ok("better"))
	}()
	if b, err := shards.Fetch(root, 100); err != nil || string(b) != "better" {
		t.Errorf("got %q, %v, want the next channel asked", b, err)
	}
}

// TestNoChannel: a fetch waits for a host, but not for ever; and it tries two
// channels, not more.
func TestNoChannel(t *testing.T) {
	t.Parallel()
	shards, root := NewShards(), [32]byte{9}
	began := time.Now()
	_, err := shards.Fetch(root, 100)
	if took := time.Since(began); problemID(err) != "shard-channel" || took < channelWait || took > channelWait+5*time.Second {
		t.Errorf("got %v after %v, want shard-channel after %v", err, took, channelWait)
	}
	go func() {
		for range attempts {
			ours, theirs := net.Pipe()
			shards.Use(ours)
			answers(t, theirs, root, "no\r\n")
		}
	}()
	if _, err := shards.Fetch(root, 100); problemID(err) != "shard-channel" {
		t.Errorf("got %v, want shard-channel", err)
	}
}

// TestReplaced: the newest channel counts, and the one before is closed.
func TestReplaced(t *testing.T) {
	shards, root := NewShards(), [32]byte{3}
	address := serveWith(t, &keeper{}, shards, func(*http.Server) {})
	old := open(t, address)
	go answers(t, open(t, address), root, ok("new"))
	if err := old.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := old.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the old channel: %d, %v, want its end", n, err)
	}
	if b, err := shards.Fetch(root, 100); err != nil || string(b) != "new" {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestUpgrade: requests that are not quite one.
func TestUpgrade(t *testing.T) {
	shards := NewShards()
	address := serveWith(t, &keeper{}, shards, func(*http.Server) {})
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"other protocol":  {strings.Replace(upgrade, "shards/1", "shards/2", 1), 426},
		"two protocols":   {strings.Replace(upgrade, "shards/1", "shards/1, h2c", 1), 426},
		"twice":           {strings.Replace(upgrade, "\r\n\r\n", "\r\nUpgrade: h2c\r\n\r\n", 1), 426},
		"no Connection":   {strings.Replace(upgrade, "Connection: Upgrade\r\n", "", 1), 426},
		"more Connection": {strings.Replace(upgrade, "Connection: Upgrade", "Connection: Upgrade, close", 1), 426},
		"HTTP/1.0":        {strings.Replace(upgrade, "HTTP/1.1", "HTTP/1.0", 1), 426},
		"body":            {strings.Replace(upgrade, "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", 1), 400},
		"POST":            {strings.Replace(upgrade, "GET", "POST", 1), 405},
	} {
		if status, _, body := exchange(t, address, tt.request); status != tt.status {
			t.Errorf("%s: got %d %q, want %d", name, status, body, tt.status)
		}
	}
	c, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, upgrade+ok("unasked")); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); len(b) > 0 {
		t.Errorf("a host out of turn got %q, %v, want nothing", b, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if shards.current != nil {
		t.Error("one of them was taken for a channel")
	}
}

// FuzzShardAnswer: bytes of a host on the channel never give more than was
// asked for, nor anything after a problem.
func FuzzShardAnswer(f *testing.F) {
	f.Add([]byte(ok("a shard")))
	f.Add([]byte("HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nnone"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/2\r\nContent-Length: 1\r\n\r\nx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 64
		c := newChannel(&memoryConn{in: bytes.NewReader(b)})
		for range 2 {
			shard, err := c.fetch([32]byte{5}, limit)
			if err == nil && (len(shard) == 0 || len(shard) > limit || !bytes.Contains(b, shard)) {
				t.Errorf("got %q", shard)
			}
			if err != nil && problemID(err) != problemShard {
				return
			}
		}
	})
}

// A limit above the frame that takes the shard to the keeper would cost the
// connection.
func TestShardSize(t *testing.T) {
	if maxShard != object.ShardSize || wire.MaxReplyFetch != 1+maxShard {
		t.Errorf("got %d, want %d and one less than %d", maxShard, object.ShardSize, wire.MaxReplyFetch)
	}
}

// TestSecondAnswer: a second answer to one request is not taken for the answer to
// the next.
func TestSecondAnswer(t *testing.T) {
	ours, theirs := net.Pipe()
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshard"
	host := make(chan error, 1)
	go func() {
		_, err := http.ReadRequest(bufio.NewReader(theirs))
		if err == nil {
			_, err = io.WriteString(theirs, answer+answer)
		}
		host <- err
	}()
	c := newChannel(ours)
	if b, err := c.fetch([32]byte{1}, 5); err != nil || string(b) != "shard" {
		t.Fatalf("got %q, %v", b, err)
	}
	if err := <-host; err != nil {
		t.Fatal(err)
	}
	if b, err := c.fetch([32]byte{2}, 5); !errors.Is(err, errUnasked) {
		t.Errorf("got %q, %v, want %v", b, err, errUnasked)
	}
	if err := errors.Join(ours.Close(), theirs.Close()); err != nil {
		t.Error(err)
	}
}
