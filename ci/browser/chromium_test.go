// Package browser looks at our pages in a real browser: Chromium without a
// window, driven over a pipe by the Chrome DevTools Protocol (version 1.3),
// with a profile of its own and without a network.
package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is how long the browser may take for one answer, on a busy machine.
const patience = 120 * time.Second

// chromium is a running browser. Its methods are for one goroutine; they end
// the test on any failure of the browser itself.
type chromium struct {
	t       *testing.T
	in, out *os.File
	answers *bufio.Reader // of out
	calls   int
	events  []message // that came since the last call of take
}

// message is what the protocol sends either way.
type message struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// start runs a browser until the test ends.
func start(t *testing.T) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("looking for Chromium: %v\nhint: ci/setup installs it", err)
	}
	profile := filepath.Join(t.TempDir(), "profile")
	if err := os.Mkdir(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	theirIn, in := pipe(t)
	out, theirOut := pipe(t)
	cmd := exec.Command(path,
		"--headless=new", "--remote-debugging-pipe", "--user-data-dir="+profile,
		"--no-sandbox", // root has no other way; the page under test is ours
		"--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-sync",
		"--disable-background-networking", "--disable-component-update", "--disable-breakpad",
		"--password-store=basic", "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile, "TZ=UTC", "LC_ALL=C.UTF-8")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}        // 3 and 4, as --remote-debugging-pipe has it
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its helpers end with it
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	b := &chromium{t: t, in: in, out: out, answers: bufio.NewReaderSize(out, 1<<20)}
	t.Cleanup(func() {
		stop(t, b, cmd)
		removeAll(t, profile)
	})
	for _, f := range []*os.File{theirIn, theirOut} {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() }) // some are closed by then
	return r, w
}

// stop ends the browser and every process that it started: they are one
// process group, whose number stays ours until Wait.
func stop(t *testing.T, b *chromium, cmd *exec.Cmd) {
	if err := b.send(message{ID: -1, Method: "Browser.close"}); err == nil {
		for err == nil {
			_, err = b.read()
		}
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("ending Chromium: %v", err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Errorf("waiting for Chromium: %v", err)
	}
}

// removeAll removes the profile, in which a helper may still be writing its
// last file.
func removeAll(t *testing.T, dir string) {
	var err error
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("removing Chromium's profile: %v", err)
}

func (b *chromium) send(m message) error {
	encoded, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := b.in.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = b.in.Write(append(encoded, 0))
	return err
}

// read reads what stands before the next zero byte, which ends each message.
func (b *chromium) read() ([]byte, error) {
	if err := b.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	return b.answers.ReadBytes(0)
}

// receive reads one message.
func (b *chromium) receive() message {
	b.t.Helper()
	encoded, err := b.read()
	if err != nil {
		b.t.Fatalf("reading from Chromium: %v", err)
	}
	var m message
	if err := json.Unmarshal(encoded[:len(encoded)-1], &m); err != nil {
		b.t.Fatalf("reading from Chromium: %v", err)
	}
	return m
}

// call runs a command and decodes its result. Events that come meanwhile are
// kept.
func (b *chromium) call(session, method string, params, result any) {
	b.t.Helper()
	encoded, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	b.calls++
	id := b.calls
	if err := b.send(message{ID: id, Method: method, Session: session, Params: encoded}); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		m := b.receive()
		if m.ID != id {
			b.events = append(b.events, m)
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

// await waits for an event.
func (b *chromium) await(method string) {
	b.t.Helper()
	for _, m := range b.events {
		if m.Method == method {
			return
		}
	}
	for {
		m := b.receive()
		b.events = append(b.events, m)
		if m.Method == method {
			return
		}
	}
}

// take gives the events that came since it was last called.
func (b *chromium) take() []message {
	list := b.events
	b.events = nil
	return list
}

// evaluate runs an expression in the page, from outside the page's own policy.
func (b *chromium) evaluate(session, expression string, result any) {
	b.t.Helper()
	var r struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text      string          `json:"text"`
			Exception json.RawMessage `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.call(session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.Exception != nil {
		b.t.Fatalf("evaluating: %s %s", r.Exception.Text, r.Exception.Exception)
	}
	if err := json.Unmarshal(r.Result.Value, result); err != nil {
		b.t.Fatal(fmt.Errorf("evaluating: %w", err))
	}
}
