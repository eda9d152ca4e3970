package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"safebox/verifier/guestapi"
)

const testReport = `{"type":"a report"}`

// serve starts the server with all its limits and gives its address.
func serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Serve(l, NewHandler([]byte(testReport))) }()
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
	address := serve(t)
	tests := []struct {
		request string
		status  int
		body    string
	}{
		{"GET " + guestapi.HealthPath, 200, `{"status":"ok","type":"safebox/health/v1"}` + "\n"},
		{"GET " + guestapi.ReportPath, 200, testReport + "\n"},
		{"GET /", 404, `{"error":"no such path"}` + "\n"},
		{"GET " + guestapi.HealthPath + "/", 404, ""},
		{"GET " + guestapi.HealthPath + "?x=1", 404, ""},
		{"GET /v1/x/../health", 404, ""},
		{"GET //v1/health", 404, ""},
		{"GET /v1/%68ealth", 404, ""},
		{"GET /V1/HEALTH", 404, ""},
		{"GET http://other/v1/health", 404, ""},
		{"GET /proc/self/environ", 404, ""},
		{"OPTIONS *", 405, ""},
		{"POST " + guestapi.HealthPath, 405, `{"error":"only GET is allowed"}` + "\n"},
		{"HEAD " + guestapi.HealthPath, 405, ""},
		{"PUT " + guestapi.ReportPath, 405, ""},
		{"DELETE " + guestapi.ReportPath, 405, ""},
		{"PRI *", 405, ""},
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
			if status == 405 && header.Get("Allow") != "GET" {
				t.Errorf("Allow: %q", header.Get("Allow"))
			}
			if header.Get("Content-Type") != "application/json" {
				t.Errorf("header %v", header)
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	address := serve(t)
	get := "GET " + guestapi.HealthPath + " HTTP/1.1\r\nHost: x\r\n"
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, _, body := exchange(t, address, tt.request); status != tt.status {
				t.Errorf("status %d, want %d: %s", status, tt.status, body)
			}
		})
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
	address := serve(t)
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
