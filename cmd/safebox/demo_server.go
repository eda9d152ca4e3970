package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// server is a program that serves until it is ended.
type server struct {
	url   string
	end   context.CancelFunc
	ended chan error
}

// startServer starts a program and returns when it has printed that it listens.
func startServer(ctx context.Context, program string, args ...string) (*server, error) {
	ctx, end := context.WithCancel(ctx)
	s := &server{end: end, ended: make(chan error, 1)}
	up := make(chan string, 1)
	go func() { s.ended <- runServer(ctx, up, program, args...) }()
	select {
	case s.url = <-up:
		return s, nil
	case err := <-s.ended:
		end()
		return nil, errors.Join(err, errors.New("ended before it listened"))
	}
}

// stop ends the program in good order.
func (s *server) stop() error {
	s.end()
	return <-s.ended
}

// runServer runs a program until ctx ends, tells the address that it prints,
// and gives its failure.
func runServer(ctx context.Context, up chan<- string, program string, args ...string) error {
	// Linux ties the signal for the program's death to the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			up <- url
		}
	}
	err = cmd.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // ended because it was told to
	}
	if err = errors.Join(lines.Err(), err); err != nil {
		return fmt.Errorf("%s: %w", lastError(stderr.String(), err), err)
	}
	return nil
}
