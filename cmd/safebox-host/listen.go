package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
)

// maxConnections bounds the connections of a log or a witness.
const maxConnections = 4096

// drainTime is how long requests under way may take after a signal.
const drainTime = 5 * time.Second

// serveHTTP listens on an address, says so, and serves until a signal, or until
// stopped: nil for a server that ends by a signal alone.
func serveHTTP(c *cobra.Command, address string, server *http.Server, stopped <-chan struct{}) error {
	ln, err := listen(address)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(c.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	if _, err := fmt.Fprintf(c.OutOrStdout(), "listening http://%s\n", ln.Addr()); err != nil {
		return errors.Join(err, server.Close())
	}
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-stopped:
		return server.Close()
	case <-ctx.Done():
	}
	return drain(ctx, server, served)
}

// drain lets requests under way come to their end; those that wait for
// witnesses that don't answer are broken off.
func drain(ctx context.Context, server *http.Server, served <-chan error) error {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := server.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if err != nil {
		return fmt.Errorf("ending requests: %w", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// listen listens for clients, of whom at most half of the files that the process
// may open are let in: what it must write has the others. Strangers who hold
// connections open keep others waiting, but stop nothing.
func listen(address string) (net.Listener, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("asking how many files may be open: %w", err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, cli.Failed(fmt.Errorf("listening on %s: %w", address, err), "choose another --listen, as 127.0.0.1:8080")
	}
	return netutil.LimitListener(ln, int(min(files.Cur/2, maxConnections))), nil
}
