package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"safebox/guest/confine"
	"safebox/guest/quote"
	"safebox/guest/spawn"
	"safebox/guest/wire"
	"safebox/verifier/evidence"

	"github.com/google/go-tpm/tpm2/transport"
	"golang.org/x/sys/unix"
)

// Role is argument 0 of the process that holds keys.
const Role = string(confine.Keeper)

// ReadyReply is what the process writes to readyFile, and then closes it, when
// it is about to serve. Anything else is the reason why it can't.
const ReadyReply = "ready"

// File descriptors that PID 1 hands over, in this order after the standard
// streams.
const (
	spawnFile = 3 + iota // to PID 1, which starts workers
	apiFile              // from the API, which asks
	fetchFile            // to the API, which gets shards
	tpmFile              // the TPM
	logFile              // the firmware's event log, sealed
	readyFile            // a pipe to PID 1
	endOfFiles
)

// Main is the process: it returns, with an exit status, when it fails or the
// API is gone. PID 1 powers the machine off then.
func Main() int {
	// Not inherited by anything, should this process ever start one.
	for fd := spawnFile; fd < endOfFiles; fd++ {
		unix.CloseOnExec(fd)
	}
	ready := os.NewFile(readyFile, "ready")
	k, err := takeOver()
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
	err = wire.Serve(os.NewFile(apiFile, "api"), wire.MaxRequestKeeper, k.Handle)
	if err = errors.Join(err, k.Close()); err != nil {
		return 1
	}
	return 0
}

// takeOver gives away every right that is not needed, and only then looks at
// what PID 1 left open.
func takeOver() (*Keeper, error) {
	if err := confine.Apply(confine.Keeper); err != nil {
		return nil, err
	}
	workers, err := spawn.NewClient(os.NewFile(spawnFile, "spawn"))
	if err != nil {
		return nil, err
	}
	log, err := readLog(os.NewFile(logFile, "event log"))
	if err != nil {
		return nil, err
	}
	device, err := quote.New(transport.FromReadWriter(os.NewFile(tpmFile, "tpm")))
	if err != nil {
		return nil, err
	}
	return New(Options{
		Device:   device,
		Workers:  processes{workers},
		Shards:   fetcher{wire.NewClient(os.NewFile(fetchFile, "fetch"), wire.MaxReplyFetch)},
		EventLog: log,
		Boottime: boottime,
		Now:      time.Now,
	})
}

func readLog(f *os.File) ([]byte, error) {
	log, err := io.ReadAll(io.LimitReader(f, evidence.MaxEventLog+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading the event log: %w", err)
	}
	return log, nil // New refuses one that is too long
}

// boottime reads CLOCK_BOOTTIME (clock_gettime(2)), which every kernel that
// runs this program has: a keeper without a clock can't keep a lease.
func boottime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("clock_gettime: %v", err))
	}
	return time.Duration(t.Nano())
}

// fetcher gets shards from the process api. It asks for one at a time, and
// api bounds how long that takes.
type fetcher struct{ client *wire.Client }

// Fetch implements object.Fetcher.
func (f fetcher) Fetch(ctx context.Context, root [32]byte, limit int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	shard, err := f.client.Call(wire.OpFetch, wire.Fetch{Root: root, Limit: uint32(limit)}.Encode())
	if err != nil {
		return nil, err
	}
	if len(shard) > limit {
		return nil, fmt.Errorf("shard of %d bytes, want at most %d", len(shard), limit)
	}
	return shard, nil
}

// processes starts worker processes by PID 1.
type processes struct{ client *spawn.Client }

// Start implements Workers.
func (p processes) Start(l spawn.Limits) (Worker, error) {
	w, err := p.client.Start(l)
	if err != nil {
		return nil, err
	}
	return process{w.Conn, w}, nil
}

// process is a worker process.
type process struct {
	*os.File
	worker *spawn.Worker
}

// Kill implements Worker.
func (p process) Kill() error { return p.worker.Kill() }

// Wait implements Worker.
func (p process) Wait() spawn.Ending { return p.worker.Wait() }
