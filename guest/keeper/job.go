package keeper

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"time"

	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	"safebox/verifier/object"
	"safebox/verifier/transcript"
)

const (
	// maxGrants is how many grants one boot takes: each leaves an event in the
	// runtime log, behind the one of the configuration.
	maxGrants = evidence.MaxRuntime - 1

	// maxJobs and maxKept bound the jobs and the bytes of results that are
	// kept. The oldest are forgotten first.
	maxJobs = 8
	maxKept = guestapi.MaxResult
)

// spent is a grant that was used. What marks it is its serial, for the owner
// that signed it, and the transcript, whose KEM key is gone.
type spent struct {
	owner      [32]byte
	serial     canon.Octets16
	transcript [32]byte
}

// job is a job that was admitted.
type job struct {
	id      canon.Octets16
	grant   *grant.Opened
	open    open // without its seed, which is wiped
	object  *object.Object
	params  []byte
	module  []byte
	keys    *keys
	arrival time.Duration
	lease   time.Duration // from arrival

	// The rest is set when the job ends, under Keeper.mu.
	ended   bool
	problem *guestapi.Problem
	result  []byte
	cancel  context.CancelFunc
}

// jobs is the table of jobs, oldest first. At most the last one runs.
type jobs []*job

func (t jobs) find(id canon.Octets16) (*job, error) {
	for _, j := range t {
		if j.id == id {
			return j, nil
		}
	}
	return nil, problem(ProblemJobUnknown, "job %v: it never was, or is forgotten: the last %d are kept", id, maxJobs)
}

func (t jobs) busy() bool { return len(t) > 0 && !t[len(t)-1].ended }

func (t jobs) stop() {
	if t.busy() {
		t[len(t)-1].cancel()
	}
}

// forget drops the oldest jobs until the table is within its bounds. The last
// one stays.
func (t *jobs) forget() {
	bytes := 0
	for i := len(*t) - 1; i >= 0; i-- {
		bytes += len((*t)[i].result)
		if kept := len(*t) - i; kept > 1 && (kept > maxJobs || bytes > maxKept) {
			*t = slices.Delete(*t, 0, i+1)
			return
		}
	}
}

func (j *job) encodeStatus() ([]byte, error) {
	s := &guestapi.Status{Type: guestapi.StatusType, Job: j.id, State: guestapi.Running, Problem: j.problem}
	switch {
	case j.problem != nil:
		s.State = guestapi.Failed
	case j.ended:
		s.State = guestapi.Done
	}
	return s.Encode()
}

// submit admits a job and starts it, or says by name why not. What is refused
// before step 10 changes nothing: the same grant may come again.
//
//  1. the job is one,
//  2. no other job runs, and this boot takes another grant,
//  3. the grant is for a challenge that is open here,
//  4. its owner signed it, for this transcript, evidence and release, it names
//     the checkpoint that shows the release published, and its time holds
//     (package grant),
//  5. its serial was not used before,
//  6. the module is the grant's,
//  7. the parameters are the grant's,
//  8. the manifest and leaf table are those of the grant's object, and the
//     object has the chunks,
//  9. the sealed part opens and holds the nodes of exactly these chunks,
//  10. the grant is spent: the KEM key is wiped, and PCR 15 says that keys
//     arrived, before any of them is used.
func (k *Keeper) submit(body []byte) ([]byte, error) {
	in, err := guestapi.DecodeJob(body)
	if err != nil {
		return nil, problem(ProblemJobFormat, "%v", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, errClosed
	}
	if k.jobs.busy() {
		return nil, problem(ProblemJobBusy, "a job runs: one at a time")
	}
	if len(k.spent) >= maxGrants {
		return nil, problem(ProblemGrantLimit, "this guest took %d grants: start another one", maxGrants)
	}
	j, err := k.admit(in)
	if err != nil {
		return nil, err
	}
	if err := k.accept(j); err != nil {
		return nil, err
	}
	status, err := j.encodeStatus()
	if err != nil {
		j.keys.wipe()
		return nil, err
	}
	k.start(j)
	return status, nil
}

// admit is steps 3 to 8.
func (k *Keeper) admit(in *guestapi.Job) (*job, error) {
	o, err := k.challengeOf(in.Grant)
	if err != nil {
		return nil, err
	}
	now := k.options.Now()
	g, err := grant.Open(in.Grant, grant.Expectation{
		Owner: o.owner, T: o.t, Evidence: o.evidence, Release: o.release, Now: now,
	})
	if err != nil {
		return nil, err
	}
	doc := &g.Document
	if k.isSpent(func(s spent) bool { return s.owner == o.owner && s.serial == doc.Serial }) {
		return nil, problem(ProblemGrantSerial, "serial %v was used before", doc.Serial)
	}
	if got := canon.Octets32(sha256.Sum256(in.Module)); got != doc.Module {
		return nil, problem(ProblemJobModule, "module: got SHA-256 %v, want %v", got, doc.Module)
	}
	if got := canon.Octets32(sha256.Sum256(in.Params)); got != doc.Params {
		return nil, problem(ProblemJobParams, "parameters: got SHA-256 %v, want %v", got, doc.Params)
	}
	obj, err := object.OpenManifest(in.Manifest, doc.Object, in.Leaves)
	if err != nil {
		return nil, err
	}
	if err := doc.Ranges.Check(obj.Geometry.Chunks); err != nil {
		return nil, problem(ProblemGrantRanges, "%v", err)
	}
	return &job{
		grant: g, open: o, object: obj, params: in.Params, module: in.Module,
		arrival: k.options.Boottime(),
		lease:   lease(doc, now),
	}, nil
}

// challengeOf is step 3.
func (k *Keeper) challengeOf(file []byte) (open, error) {
	digest, err := grant.Peek(file)
	if err != nil {
		return open{}, err
	}
	if o, ok := k.challenges.find(digest); ok {
		return o, nil
	}
	if k.isSpent(func(s spent) bool { return s.transcript == digest }) {
		return open{}, problem(ProblemGrantSerial, "a grant for this evidence was used before")
	}
	return open{}, problem(ProblemGrantOpen, "transcript %x is of no open challenge: it is another guest's or another boot's, or %v are over", digest, challengeLife)
}

func (k *Keeper) isSpent(is func(spent) bool) bool { return slices.ContainsFunc(k.spent, is) }

// lease is how long the keys may be used: until notAfter as our clock sees it
// now, measured from here by a clock that the host does not set (specs/
// protocol.md 5). Package grant has checked that now is within the grant's time.
func lease(doc *grant.Document, now time.Time) time.Duration {
	left := min(doc.NotAfter-now.Unix(), grant.MaxLife)
	return time.Duration(max(left, 0)) * time.Second
}

// accept is steps 9 and 10.
func (k *Keeper) accept(j *job) error {
	if _, err := rand.Read(j.id[:]); err != nil {
		return err
	}
	keys, err := k.unseal(j)
	if err != nil {
		return err
	}
	k.spent = append(k.spent, spent{j.open.owner, j.grant.Document.Serial, j.open.transcript})
	k.challenges.remove(j.open.transcript)
	err = k.options.Device.Extend(func(b golden.Bank) golden.Digest {
		return transcript.KeysEvent(b, j.grant.Digest)
	})
	if err != nil {
		keys.wipe()
		return err
	}
	k.runtime = append(k.runtime, evidence.RuntimeEvent{Kind: evidence.KindKeys, Digest: j.grant.Digest})
	j.keys = keys
	return nil
}

// unseal takes the nodes out of the grant into the arena.
func (k *Keeper) unseal(j *job) (*keys, error) {
	key, err := privateKey(j.open.seed)
	if err != nil {
		return nil, err
	}
	nodes, err := j.grant.Unseal(key, j.open.t)
	if err != nil {
		return nil, err
	}
	defer clear(nodes)
	return k.newKeys(j.object.Manifest.OID, nodes)
}
