package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"

	"safebox/guest/confine"
	"safebox/guest/wire"

	"golang.org/x/sys/unix"
)

// Role is argument 0 of a worker process.
const Role = string(confine.Worker)

// keeperFile is the descriptor that PID 1 hands over: the connection to the
// keeper.
const keeperFile = 3

// Main is the process. It gives its exit status; what happened goes to the
// keeper.
func Main() int {
	unix.CloseOnExec(keeperFile)
	connection := os.NewFile(keeperFile, "keeper")
	if err := confine.Apply(confine.Worker); err != nil {
		return 1
	}
	if err := work(wire.NewClient(connection, wire.MaxReplyWorker)); err != nil {
		return 1
	}
	return 0
}

// work asks for the job, runs it and says how it ended.
func work(c *wire.Client) (err error) {
	defer func() { err = errors.Join(err, c.Close()) }()
	b, err := c.Call(wire.OpJob, nil)
	if err != nil {
		return fmt.Errorf("asking for the job: %w", err)
	}
	job, err := wire.DecodeJob(b)
	if err != nil {
		return err
	}
	done, err := Run(context.Background(), job, remote{c})
	if err != nil {
		return err
	}
	body, err := done.Encode()
	if err != nil {
		return err
	}
	_, err = c.Call(wire.OpDone, body)
	return err
}

// remote is the keeper at the other end of a connection.
type remote struct{ c *wire.Client }

func (r remote) Chunk(input, index uint32) ([]byte, error) {
	return r.c.Call(wire.OpChunk, wire.Chunk{Input: input, Index: index}.Encode())
}

func (r remote) Output(slot uint32, kind string, data []byte) error {
	b, err := wire.Output{Slot: slot, Kind: kind, Data: data}.Encode()
	if err != nil {
		return err
	}
	defer clear(b)
	_, err = r.c.Call(wire.OpOutput, b)
	return err
}

func (r remote) Log(level uint8, text string) error {
	_, err := r.c.Call(wire.OpLog, wire.Log{Level: level, Text: text}.Encode())
	return err
}
