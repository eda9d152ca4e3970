package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWork: each role's process does its own work for some seconds under
// confinement.
func TestWork(t *testing.T) {
	compiler := probe{role: Worker, args: []string{"compiler"}}
	interpreter := probe{role: Worker, args: []string{"interpreter"}}
	for _, tt := range []struct {
		p      probe
		action string
	}{
		{probe{role: Keeper}, "work"},
		{probe{role: Keeper}, "keys"},
		{probe{role: API}, "work"},
		{compiler, "work"},
		{compiler, "wasm compiler"},
		{compiler, "wasm interpreter"},
		{interpreter, "wasm interpreter"},
	} {
		t.Run(string(tt.p.role)+" "+tt.action, func(t *testing.T) {
			t.Parallel()
			if got := tt.p.says(t, tt.action); got != "fine" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestCompilerWithoutLeave: the engine that compiles can't run in a process
// that was started for the other one.
func TestCompilerWithoutLeave(t *testing.T) {
	cmd, out := probe{role: Worker, args: []string{"interpreter"}}.command(t, "wasm compiler")
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "operation not permitted") {
		t.Errorf("got %v, %q", err, out)
	}
}

// TestWire: roles talk on sockets that they are handed.
func TestWire(t *testing.T) {
	for _, r := range roles() {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
		cmd, out := probe{role: r}.command(t, "wire", theirs)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := theirs.Close(); err != nil {
			t.Fatal(err)
		}
		if err := echo(ours); err != nil {
			t.Errorf("%s: %v", r, err)
		}
		if err := cmd.Wait(); err != nil || out.String() != "fine" {
			t.Errorf("%s: got %v, %q", r, err, out)
		}
	}
}

// echo sends frames for a second and wants each back.
func echo(f *os.File) error {
	_, err := f.Write([]byte{0})
	sent := bytes.Repeat([]byte("frame"), 1000)
	got := make([]byte, len(sent))
	for end := time.Now().Add(time.Second); err == nil && time.Now().Before(end); {
		_, err = f.Write(sent)
		if err == nil {
			_, err = io.ReadFull(f, got)
		}
		if err == nil && !bytes.Equal(sent, got) {
			err = errors.New("another frame came back")
		}
	}
	return errors.Join(err, f.Close())
}

// TestHTTP: the API serves on a listener that it was handed.
func TestHTTP(t *testing.T) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	cmd, out := probe{role: API}.command(t, "http", f)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	results := make(chan error)
	const clients = 8
	for range clients {
		go func() { results <- post(fmt.Sprintf("http://%s/", l.Addr()), time.Second) }()
	}
	for range clients {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := post(fmt.Sprintf("http://%s/end", l.Addr()), 0); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil || out.String() != "fine" {
		t.Errorf("got %v, %q", err, out)
	}
}

// post sends bodies for a time, and at least one, and wants each back.
func post(url string, span time.Duration) error {
	body := bytes.Repeat([]byte("body"), 1<<16)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for end := time.Now().Add(span); ; {
		answer, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		if !bytes.Equal(got, body) {
			return fmt.Errorf("got %d bytes back, want %d", len(got), len(body))
		}
		if time.Now().After(end) {
			return nil
		}
	}
}
