package main

import (
	"fmt"
	"net"

	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
)

// maxConnections bounds the connections of a log or a witness.
const maxConnections = 4096

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
