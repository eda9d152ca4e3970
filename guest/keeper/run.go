package keeper

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"safebox/guest/object"
	"safebox/guest/spawn"
	"safebox/guest/wire"
	"safebox/verifier/canon"
	"safebox/verifier/configuration"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	"safebox/verifier/receipt"
)

const (
	// workerOverhead is memory that a worker may use beyond the program's
	// linear memory: the Go runtime, the module and its machine code.
	workerOverhead = 256 << 20

	// endGrace is how long a worker may live after it said that it is done.
	endGrace = 2 * time.Second
)

// Traps that the keeper itself sees; others are the worker's to name.
const (
	trapWall   = "wall"   // killed at the time limit
	trapMemory = "memory" // killed at the memory limit
	trapKilled = "killed" // ended before it was done
)

// start runs an accepted job beside the requests to come. The lease counts from
// the grant's arrival: the TPM, which was asked since, is the host's, and takes
// as long as the host wants.
func (k *Keeper) start(j *job) {
	ctx, cancel := context.WithTimeout(context.Background(), j.lease-(k.options.Boottime()-j.arrival))
	j.cancel = cancel
	k.jobs = append(k.jobs, j)
	k.jobs.forget()
	limits := k.limits
	k.running.Go(func() {
		defer cancel()
		// The lease wipes keys when it ends, whatever the run waits for.
		stop := context.AfterFunc(ctx, j.keys.wipe)
		result, err := k.run(ctx, j, limits)
		stop()
		j.keys.wipe()
		clear(k.chunk.bytes)
		k.end(j, result, err)
	})
}

// end records how a job ended.
func (k *Keeper) end(j *job, result []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j.ended, j.result = true, result
	if err != nil {
		var p *guestapi.Problem
		if !errors.As(err, &p) {
			p = problem(wire.Internal, "%v", err)
		}
		j.problem = p
	}
	// A kept job is its result and no more.
	j.module, j.params, j.object, j.keys = nil, nil, nil, nil
	k.jobs.forget()
}

// run is the life of a worker: it starts, makes its calls, ends, and what it
// left is sealed.
func (k *Keeper) run(ctx context.Context, j *job, limits configuration.Worker) ([]byte, error) {
	reader, err := object.NewReader(j.object, j.keys, k.options.Shards)
	if err != nil {
		return nil, err
	}
	began := k.options.Boottime()
	w, err := k.options.Workers.Start(spawn.Limits{
		Memory: limits.Memory + workerOverhead,
		Wall:   time.Duration(limits.Wall) * time.Second,
		Engine: limits.Engine,
	})
	if err != nil {
		return nil, problem(ProblemWorkerStart, "%v", err)
	}
	s := &session{keeper: k, job: j, limits: limits, reader: reader, ctx: ctx, worker: w}
	defer s.wipe()
	kill := context.AfterFunc(ctx, s.kill)
	defer kill()
	serveErr := wire.Serve(w, s.requestLimit(), s.handle)
	s.kill() // one that closed its stream has nothing more to do
	ending := w.Wait()
	if err := w.Close(); err != nil {
		return nil, err
	}
	took := k.options.Boottime() - began
	if err := s.failure(serveErr); err != nil {
		return nil, err
	}
	return k.conclude(j, s, ending, took)
}

// leaseOver says why nothing more comes of a job, if so.
func (k *Keeper) leaseOver(ctx context.Context, j *job) error {
	if ctx.Err() != nil || k.options.Boottime()-j.arrival >= j.lease {
		return problem(ProblemGrantLease, "the grant's %v, counted from its arrival, are over", j.lease)
	}
	return nil
}

// conclude seals the outputs of a run that ended, well or by its own fault,
// and signs what was done.
func (k *Keeper) conclude(j *job, s *session, ending spawn.Ending, took time.Duration) ([]byte, error) {
	done := s.outcome(ending)
	doc := &j.grant.Document
	r := &receipt.Document{
		Type:       receipt.Type,
		Grant:      j.grant.Digest,
		Module:     doc.Module,
		Params:     doc.Params,
		Evidence:   doc.Evidence,
		Transcript: doc.Transcript,
		Release:    doc.Release,
		Inputs:     []receipt.Input{{Root: doc.Object, Ranges: doc.Ranges}},
		Outputs:    []receipt.Output{},
		Exit:       done.Exit,
		Trap:       done.Trap,
		MemoryPeak: done.MemoryPeak,
		WallMicros: took.Microseconds(),
		Serial:     doc.Serial,
		Time:       k.options.Now().Unix(),
	}
	result := &guestapi.Result{}
	if done.Trap == "" {
		if err := s.sealOutputs(r, result); err != nil {
			return nil, err
		}
	}
	if err := k.leaseOver(s.ctx, j); err != nil {
		return nil, err
	}
	envelope, err := k.sign(r)
	if err != nil {
		return nil, err
	}
	result.Receipt = envelope
	return result.Encode()
}

// sign numbers and signs a receipt.
func (k *Keeper) sign(r *receipt.Document) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sequence++
	r.Sequence = k.sequence
	key := k.signingKey()
	defer clear(key)
	return receipt.Sign(r, key)
}

// sealOutputs seals each output to each recipient of the grant.
func (s *session) sealOutputs(r *receipt.Document, result *guestapi.Result) error {
	size := 0
	for _, o := range s.outputs {
		sealed := guestapi.Output{Slot: o.Slot}
		record := receipt.Output{Slot: o.Slot, Kind: o.Kind, Size: int64(len(o.Data))}
		for _, recipient := range s.job.grant.Document.Recipients {
			c, err := grant.SealOutput(recipient, s.job.grant.Digest, o.Slot, o.Data)
			if err != nil {
				return err
			}
			if size += len(c); size > maxKept {
				return problem(ProblemJobOutput, "sealed outputs of more than %d bytes", maxKept)
			}
			sealed.Sealed = append(sealed.Sealed, c)
			record.Sealed = append(record.Sealed, canon.Octets32(sha256.Sum256(c)))
		}
		result.Outputs = append(result.Outputs, sealed)
		r.Outputs = append(r.Outputs, record)
	}
	return nil
}

// outcome is what the worker said, or how it ended before it could say it.
func (s *session) outcome(ending spawn.Ending) wire.Done {
	switch {
	case s.done != nil:
		return *s.done
	case ending.Wall:
		return wire.Done{Trap: trapWall}
	case ending.OOM:
		return wire.Done{Trap: trapMemory}
	}
	return wire.Done{Trap: trapKilled}
}

// failure gives the reason why a run has no result: not what the program did,
// but what its surroundings did. A stream that broke off is no such reason: it
// does when a worker is killed, and the ending says why.
func (s *session) failure(serveErr error) error {
	if err := s.keeper.leaseOver(s.ctx, s.job); err != nil {
		return err
	}
	switch {
	case s.failed != nil:
		return s.failed
	case s.killErr != nil:
		return s.killErr
	case s.done == nil && errors.Is(serveErr, wire.ErrFrame):
		return problem(ProblemJobWorker, "%v", serveErr)
	}
	return nil
}
