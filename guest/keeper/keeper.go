// Package keeper is the process of the guest that holds keys
// (specs/protocol.md 7): it makes the KEM key of each challenge and the receipt
// key, has the TPM sign what this guest is, takes the chunk keys of a grant,
// gives chunks in plaintext to the one worker that the grant names a module
// for, and lets its outputs leave only sealed to the grant's recipients.
//
// It implements specs/protocol.md 1 to 3, 5 and 6 (the guest's side) and
// specs/runtime.md A1, A6 and A8. It has no network and no file system;
// requests come from the process api over package wire, shards come from
// there as well, and whatever comes is taken for the host's.
//
// # Where secrets are
//
// Seeds of KEM keys, nodes of the key tree, the receipt key's seed and the
// chunk being read lie in memory outside the Go heap (arena.go) and are wiped
// when they have done their work: a KEM seed when its challenge expires or
// gets its grant, nodes when the job ends or its lease does, whichever way.
//
// What that does not cover, because Go's library works on its own heap and
// stack: while a grant is opened, crypto/hpke holds the expanded private key,
// the shared secret and the plaintext of the nodes (the last one is cleared);
// while a chunk is opened, derived keys and the AES key schedule; while a
// receipt is signed, the expanded Ed25519 key. They are garbage afterwards,
// and stay in memory until the runtime uses that memory again. The kernel
// zeroes freed pages (init_on_free), nothing is swapped and nothing dumped.
package keeper

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"safebox/guest/object"
	"safebox/guest/spawn"
	"safebox/guest/wire"
	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"
)

// Device is the TPM: quote.TPM.
type Device interface {
	AK() []byte
	Identity() (*guestapi.Identity, error)
	Quote(bank golden.Bank, qualifying [32]byte) (*evidence.Quote, error)
	Extend(digest func(golden.Bank) golden.Digest) error
	Activate(e *challenge.Enroll) ([]byte, error)
}

// Workers starts worker processes: PID 1 does, on our request.
type Workers interface {
	Start(l spawn.Limits) (Worker, error)
}

// Worker is a worker process, seen as the stream on which it makes its calls.
type Worker interface {
	io.ReadWriteCloser
	Kill() error
	Wait() spawn.Ending // after it has ended
}

// Options is what a keeper works with. All fields are required.
type Options struct {
	Device   Device
	Workers  Workers
	Shards   object.Fetcher
	EventLog []byte // of the firmware, as the kernel gave it

	// Boottime is the time since the machine started, CLOCK_BOOTTIME: it goes
	// on while the machine is suspended, and nobody sets it. A host that
	// pauses the machine stops it all the same.
	Boottime func() time.Duration
	// Now is the time of day as the host set it: good for telling an honest
	// host's grants apart, and no proof of anything.
	Now func() time.Time
}

func (o *Options) check() error {
	switch {
	case o.Device == nil, o.Workers == nil, o.Shards == nil, o.Boottime == nil, o.Now == nil:
		return errors.New("device, workers, shards and clocks are required")
	case len(o.EventLog) == 0 || len(o.EventLog) > evidence.MaxEventLog:
		return fmt.Errorf("event log: got %d bytes, want 1 to %d", len(o.EventLog), evidence.MaxEventLog)
	}
	return nil
}

// Keeper is the process's state. It is safe for concurrent use.
type Keeper struct {
	options     Options
	arena       *arena
	chunk       *region // the chunk being read
	receipt     slot    // seed of the receipt key
	receiptKey  [32]byte
	bootSession [32]byte

	mu            sync.Mutex
	closed        bool
	challenges    challenges
	configured    bool   // nothing may configure any more
	configuration []byte // the document, empty if there is none
	limits        configuration.Worker
	runtime       []evidence.RuntimeEvent // what PCR 15 was extended with
	spent         []spent                 // grants of this boot
	jobs          jobs
	sequence      int64 // of receipts
	running       sync.WaitGroup
}

// maxSlots is the receipt key, the challenges, and the nodes of one job.
const maxSlots = 1 + maxChallenges + verifierobject.MaxNodes

// New makes the keys of this boot.
func New(o Options) (*Keeper, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("making keeper: %w", err)
	}
	a, err := newArena(maxSlots)
	if err != nil {
		return nil, fmt.Errorf("making keeper: %w", err)
	}
	chunk, err := newRegion(verifierobject.ShardSize)
	if err != nil {
		return nil, fmt.Errorf("making keeper: %w", errors.Join(err, a.region.close()))
	}
	k := &Keeper{options: o, arena: a, chunk: chunk, limits: configuration.Default().Worker}
	if err := k.makeKeys(); err != nil {
		return nil, fmt.Errorf("making keeper: %w", errors.Join(err, k.Close()))
	}
	return k, nil
}

func (k *Keeper) makeKeys() error {
	seed, err := k.arena.random()
	if err != nil {
		return err
	}
	k.receipt = seed
	key := k.signingKey()
	defer clear(key)
	k.receiptKey = [32]byte(key.Public().(ed25519.PublicKey))
	_, err = rand.Read(k.bootSession[:])
	return err
}

// signingKey expands the receipt key on the Go heap; who asks clears it.
func (k *Keeper) signingKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(k.receipt.bytes())
}

// errClosed is for requests that come after the keys are gone.
var errClosed = errors.New("the keeper is closed")

// Close ends the job, if one runs, and wipes everything. No request is
// answered afterwards that needs a key.
func (k *Keeper) Close() error {
	k.mu.Lock()
	k.closed = true
	k.jobs.stop()
	k.mu.Unlock()
	k.running.Wait()
	return errors.Join(k.chunk.close(), k.arena.region.close())
}

// Handle answers a request of the process api.
func (k *Keeper) Handle(op uint8, body []byte) ([]byte, error) {
	k.expire()
	switch op {
	case wire.OpIdentity:
		return k.identity(body)
	case wire.OpConfigure:
		return nil, k.configure(body)
	case wire.OpEvidence:
		return k.evidence(body)
	case wire.OpSubmit:
		return k.submit(body)
	case wire.OpStatus:
		return k.status(body)
	case wire.OpResult:
		return k.result(body)
	}
	return nil, problem(ProblemRequest, "operation %#02x is not known", op)
}

// expire wipes the keys of challenges that are over. Requests do, and a timer
// for each challenge, for when no request comes.
func (k *Keeper) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.challenges.expire(k.options.Boottime())
	}
}

func (k *Keeper) identity(body []byte) ([]byte, error) {
	if len(body) != 0 {
		return nil, problem(ProblemRequest, "body of %d bytes, want none", len(body))
	}
	id, err := k.options.Device.Identity()
	if err != nil {
		return nil, err
	}
	return id.Encode()
}

func (k *Keeper) status(body []byte) ([]byte, error) {
	id, err := jobID(body)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	j, err := k.jobs.find(id)
	if err != nil {
		return nil, err
	}
	return j.encodeStatus()
}

func (k *Keeper) result(body []byte) ([]byte, error) {
	id, err := jobID(body)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	j, err := k.jobs.find(id)
	if err != nil {
		return nil, err
	}
	switch {
	case j.problem != nil:
		return nil, j.problem
	case j.result == nil:
		return nil, problem(ProblemRunning, "job %v runs", id)
	}
	return j.result, nil
}

func jobID(body []byte) (canon.Octets16, error) {
	if len(body) != len(canon.Octets16{}) {
		return canon.Octets16{}, problem(ProblemRequest, "job identifier of %d bytes, want 16", len(body))
	}
	return canon.Octets16(body), nil
}
