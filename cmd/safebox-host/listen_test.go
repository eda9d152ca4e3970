package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	hosttlog "safebox/host/tlog"
)

// TestLogHeldConnections: strangers who open more connections than the process
// may have files, and send nothing, do not keep the log from writing what it was
// given before, and it lives on.
func TestLogHeldConnections(t *testing.T) {
	const files, strangers = "48", 80
	k := newKillTest(t, 2)
	cmd := exec.Command("sh", "-c", `ulimit -n "$1" && shift && exec "$@"`, "sh", files, "safebox-host", "log", "serve", "--dir", k.dir, "--key", k.keyFile,
		"--listen", "127.0.0.1:0", "--witnesses", k.policyFile, "--submitters", k.submitters)
	url, stderr := listening(t, cmd)
	// One client is in before the strangers come.
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	post := func(entry []byte) (int, error) {
		r, err := client.Post(url+hosttlog.EntriesPath, "application/json", bytes.NewReader(entry))
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, r.Body)
		return r.StatusCode, err
	}
	if status, err := post(k.entries[0]); status != http.StatusCreated {
		t.Errorf("alone: got status %d, %v", status, err)
	}
	for range strangers {
		c, err := net.DialTimeout("tcp", strings.TrimPrefix(url, "http://"), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // for the server to let in as many as it does
	if status, err := post(k.entries[1]); status != http.StatusCreated {
		t.Errorf("among strangers: got status %d, %v", status, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil || strings.Contains(stderr.String(), "too many open files") {
		t.Errorf("got %v: %s", err, stderr.String())
	}
}

// listening starts a server and waits for the address that it prints. What it
// says on standard error is complete when it has ended.
func listening(t *testing.T, cmd *exec.Cmd) (url string, stderr *bytes.Buffer) {
	t.Helper()
	stderr = &bytes.Buffer{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "listening ")
	if err != nil || !ok {
		t.Fatalf("it says %q, %v; %v: %s", line, err, cmd.Wait(), stderr.String())
	}
	return url, stderr
}
