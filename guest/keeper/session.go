package keeper

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"safebox/guest/object"
	"safebox/guest/wire"
	"safebox/verifier/canon"
	"safebox/verifier/configuration"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"
)

const (
	// maxOutputs is how many slots a receipt has room for: they count from 0,
	// and each is written once.
	maxOutputs = 64

	// frameRoom is what a frame of the worker may have beyond an output's
	// data.
	frameRoom = 64 << 10

	// maxLogs bounds how often a worker may log: the text goes nowhere, and
	// each call costs the keeper time.
	maxLogs = 4096
)

// session is the keeper's side of one worker. The worker runs a stranger's
// program: each of its calls is taken for hostile.
type session struct {
	keeper *Keeper
	job    *job
	limits configuration.Worker
	reader *object.Reader
	ctx    context.Context // ends with the lease
	worker Worker

	begun   bool
	outputs []wire.Output // ascending by slot
	written int64
	logs    int
	done    *wire.Done
	failed  *guestapi.Problem // why the run can't have a result

	killing sync.Once
	killErr error
}

// requestLimit is the largest frame that this worker may send.
func (s *session) requestLimit() int {
	return int(min(s.limits.Output+frameRoom, wire.MaxRequestWorker))
}

// kill ends the worker, at the first call. Who reads killErr has called it.
func (s *session) kill() {
	s.killing.Do(func() { s.killErr = s.worker.Kill() })
}

// wipe forgets the outputs in plaintext.
func (s *session) wipe() {
	for _, o := range s.outputs {
		clear(o.Data)
	}
	s.outputs = nil
}

// handle answers one call. OpJob comes first and once, OpDone last and once.
func (s *session) handle(op uint8, body []byte) ([]byte, error) {
	if err := s.keeper.leaseOver(s.ctx, s.job); err != nil {
		return nil, err
	}
	if s.done != nil || s.failed != nil || s.begun == (op == wire.OpJob) {
		return nil, problem(ProblemRequest, "operation %#02x is out of order", op)
	}
	switch op {
	case wire.OpJob:
		return s.begin(body)
	case wire.OpChunk:
		return s.chunk(body)
	case wire.OpOutput:
		err := s.output(body)
		if err != nil {
			clear(body) // plaintext that nobody will wipe later
		}
		return nil, err
	case wire.OpDone:
		return nil, s.end(body)
	case wire.OpLog:
		return nil, s.log(body)
	}
	return nil, problem(ProblemRequest, "operation %#02x is not known", op)
}

// begin tells the worker what to run.
func (s *session) begin(body []byte) ([]byte, error) {
	if len(body) != 0 {
		return nil, problem(ProblemRequest, "body of %d bytes, want none", len(body))
	}
	s.begun = true
	doc, g := &s.job.grant.Document, s.job.object.Geometry
	j := &wire.Job{
		Module: s.job.module,
		Info: wire.Info{
			Engine: s.limits.Engine,
			Inputs: []wire.Input{{
				ChunkSize: verifierobject.ChunkSize,
				Chunks:    int64(g.Chunks),
				Ranges:    doc.Ranges,
				Root:      doc.Object,
				Size:      g.Size,
			}},
			Memory: s.limits.Memory,
			Output: s.limits.Output,
			Params: append([]byte{}, s.job.params...),
			Seed:   s.seed(),
			Time:   doc.NotBefore * 1000,
		},
	}
	return j.Encode()
}

// seed makes the program's random numbers a function of what the owner signed
// (specs/runtime.md A6): a run can be repeated, and no host chooses them.
// They are not secret from whoever sees the grant document.
func (s *session) seed() canon.Octets32 {
	h := hmac.New(sha256.New, s.job.grant.Digest[:])
	h.Write([]byte("safebox/worker-seed/v1\x00"))
	h.Write(s.job.grant.Document.Module[:])
	return canon.Octets32(h.Sum(nil))
}

// chunk reads a granted chunk. A chunk outside the grant is refused, and the
// program may go on; a granted one that can't be read ends the run.
func (s *session) chunk(body []byte) ([]byte, error) {
	c, err := wire.DecodeChunk(body)
	if err != nil {
		return nil, problem(ProblemRequest, "%v", err)
	}
	if c.Input != 0 || !s.job.grant.Document.Ranges.Contains(c.Index) {
		return nil, problem(object.ProblemKey, "input %d, chunk %d: not granted", c.Input, c.Index)
	}
	plain, err := s.reader.Chunk(s.ctx, c.Index, s.keeper.chunk.bytes)
	// The host chooses how long that took. What is read while the lease ends
	// fails for want of a key, or comes a moment too late: say so.
	if over := s.keeper.leaseOver(s.ctx, s.job); over != nil {
		clear(plain)
		return nil, over
	}
	if err == nil {
		return plain, nil
	}
	var p *guestapi.Problem
	if !errors.As(err, &p) {
		p = problem(wire.Internal, "%v", err)
	}
	s.failed = p
	s.endSoon()
	return nil, p
}

// output takes one output.
func (s *session) output(body []byte) error {
	o, err := wire.DecodeOutput(body)
	if err == nil {
		err = checkOutput(o)
	}
	if err != nil {
		return problem(ProblemRequest, "%v", err)
	}
	s.written += int64(len(o.Data))
	if s.written > s.limits.Output {
		return problem(ProblemJobOutput, "%d bytes of output, the configuration allows %d", s.written, s.limits.Output)
	}
	at, taken := slices.BinarySearchFunc(s.outputs, o.Slot, func(o wire.Output, slot uint32) int {
		return int(int64(o.Slot) - int64(slot))
	})
	if taken {
		return problem(ProblemJobOutput, "slot %d was written before", o.Slot)
	}
	s.outputs = slices.Insert(s.outputs, at, o)
	return nil
}

// end takes the worker's last word.
func (s *session) end(body []byte) error {
	d, err := wire.DecodeDone(body)
	if err == nil {
		err = checkDone(d, s.limits.Memory)
	}
	if err != nil {
		return problem(ProblemRequest, "%v", err)
	}
	s.done = &d
	s.endSoon()
	return nil
}

// endSoon lets the worker take its reply and leave by itself, or else kills it.
func (s *session) endSoon() { time.AfterFunc(endGrace, s.kill) }

// log takes a line of the program, and drops it: what a program says about
// its input leaves as an output, sealed, or not at all.
func (s *session) log(body []byte) error {
	if _, err := wire.DecodeLog(body); err != nil {
		return problem(ProblemRequest, "%v", err)
	}
	if s.logs++; s.logs > maxLogs {
		return problem(ProblemRequest, "more than %d lines", maxLogs)
	}
	return nil
}
