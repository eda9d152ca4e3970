package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"

	"safebox/guest/confine"
	"safebox/guest/wire"
	"safebox/verifier/bootreport"

	"golang.org/x/sys/unix"
)

// Role is argument 0 of the process that serves the API.
const Role = string(confine.API)

// ReadyReply is what the process writes to readyFile, and then closes it, when
// it is about to serve. Anything else is the reason why it can't.
const ReadyReply = "ready"

// File descriptors that PID 1 hands over, in this order after the standard
// streams.
const (
	reportFile = 3 + iota // the boot report, sealed
	socketFile            // TCP, listening
	keeperFile            // to the keeper, which answers
	fetchFile             // from the keeper, which asks for shards
	readyFile             // a pipe to PID 1
	endOfFiles
)

// softMemory is where the garbage collector begins to work harder. What
// requests hold at the same time is at most 5/6 of it (TestMemoryBound).
const softMemory = 400 << 20

// Main is the process: it returns, with an exit status, only when it fails.
func Main() int {
	// Not inherited by anything, should this process ever start one.
	for fd := reportFile; fd < endOfFiles; fd++ {
		unix.CloseOnExec(fd)
	}
	ready := os.NewFile(readyFile, "ready")
	p, err := takeOver()
	reply := ReadyReply
	if err != nil {
		reply = err.Error()
	}
	if _, werr := io.WriteString(ready, reply); werr != nil || err != nil {
		return 1
	}
	if err := ready.Close(); err != nil {
		return 1
	}
	if err := p.run(); err != nil {
		return 1
	}
	return 0
}

// process is what PID 1 left open.
type process struct {
	socket net.Listener
	report []byte
	keeper io.ReadWriteCloser
	fetch  io.ReadWriteCloser
}

// takeOver takes over what PID 1 left open, and gives away everything else
// before it reads a byte: a process that was started by anybody else, or with
// privileges, serves nothing.
func takeOver() (*process, error) {
	report := os.NewFile(reportFile, "report")
	socket := os.NewFile(socketFile, "socket")
	l, err := net.FileListener(socket)
	if err = errors.Join(err, socket.Close()); err != nil {
		return nil, fmt.Errorf("taking over the socket: %w", err)
	}
	if err := confine.Apply(confine.API); err != nil {
		return nil, err
	}
	debug.SetMemoryLimit(softMemory)
	p := &process{socket: l, keeper: os.NewFile(keeperFile, "keeper"), fetch: os.NewFile(fetchFile, "fetch")}
	if p.report, err = io.ReadAll(io.LimitReader(report, bootreport.MaxSize+1)); err != nil {
		return nil, fmt.Errorf("reading the boot report: %w", err)
	}
	if _, err := bootreport.Decode(p.report); err != nil {
		return nil, err
	}
	return p, report.Close()
}

// run serves both sides, until the first of them ends.
func (p *process) run() error {
	shards := NewShards()
	ended := make(chan error, 2)
	go func() {
		err := wire.Serve(p.fetch, wire.MaxRequestFetch, shards.Serve)
		if err == nil {
			err = errors.New("the keeper has closed its connection")
		}
		ended <- err
	}()
	keeper := wire.NewClient(p.keeper, wire.MaxReplyKeeper)
	go func() { ended <- Serve(p.socket, NewHandler(p.report, keeper, shards)) }()
	return <-ended
}
