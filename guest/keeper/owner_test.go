package keeper

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"safebox/guest/object"
	"safebox/guest/wire"
	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	verifierobject "safebox/verifier/object"
)

// owner is who has data and lets it out.
type owner struct {
	audience  ed25519.PrivateKey
	recipient hpke.PrivateKey
}

func newOwner(t testing.TB) *owner {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return &owner{key, recipient}
}

func (o *owner) public() canon.Octets32 {
	return canon.Octets32(o.audience.Public().(ed25519.PublicKey))
}

// stored is a sealed object and the shards of it.
type stored struct {
	*object.Sealed
	plain  []byte
	shards *shards
}

// newObject seals random bytes: five chunks, the last one short.
func newObject(t testing.TB) *stored {
	t.Helper()
	plain := make([]byte, 4*verifierobject.ChunkSize+1000)
	if _, err := rand.Read(plain); err != nil {
		t.Fatal(err)
	}
	return seal(t, plain)
}

// seal seals an object with profile small.
func seal(t testing.TB, plain []byte) *stored {
	t.Helper()
	s := &stored{plain: plain, shards: &shards{all: map[[32]byte][]byte{}}}
	profile, err := verifierobject.ParseProfile("small")
	if err != nil {
		t.Fatal(err)
	}
	s.Sealed, err = object.Put(context.Background(), bytes.NewReader(s.plain), int64(len(s.plain)), object.Options{Profile: profile, Time: 1}, s.shards)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// chunk is the plaintext of chunk i.
func (s *stored) chunk(i int) []byte {
	return s.plain[i*verifierobject.ChunkSize : min((i+1)*verifierobject.ChunkSize, len(s.plain))]
}

// shards is a store that can lose and change what it holds.
type shards struct {
	mu    sync.Mutex
	all   map[[32]byte][]byte
	fetch func(root [32]byte) // called before each fetch, if not nil
}

// Put implements object.Store.
func (s *shards) Put(_ context.Context, root [32]byte, shard []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[root] = bytes.Clone(shard)
	return nil
}

// handle is the process api's answer to OpFetch.
func (s *shards) handle(op uint8, body []byte) ([]byte, error) {
	f, err := wire.DecodeFetch(body)
	if op != wire.OpFetch || err != nil {
		return nil, fmt.Errorf("op %#x: %w", op, err)
	}
	s.mu.Lock()
	before := s.fetch
	s.mu.Unlock()
	if before != nil {
		before(f.Root)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	shard, ok := s.all[f.Root]
	if !ok {
		return nil, &guestapi.Problem{ID: "shard-missing", Detail: "not here"}
	}
	return shard, nil
}

// visit is a challenge and its answer.
type visit struct {
	owner     *owner
	challenge *challenge.Challenge
	file      []byte
	evidence  *evidence.Evidence
}

// newChallenge is without enrolment.
func newChallenge(o *owner) *challenge.Challenge {
	c := &challenge.Challenge{Type: challenge.Type, Audience: o.public(), Release: canon.Octets32{1, 2, 3}, Expires: time.Now().Unix() + 60}
	if _, err := rand.Read(c.Nonce[:]); err != nil {
		panic(err)
	}
	return c
}

// visit asks for evidence.
func (g *guest) visit(t testing.TB, o *owner) *visit {
	t.Helper()
	return g.ask(t, o, newChallenge(o))
}

func (g *guest) ask(t testing.TB, o *owner, c *challenge.Challenge) *visit {
	t.Helper()
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file, err := g.Handle(wire.OpEvidence, b)
	if err != nil {
		t.Fatal(err)
	}
	e, err := evidence.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	return &visit{o, c, file, e}
}

// order is what an owner grants, and what comes along with the grant.
type order struct {
	*visit
	t      [64]byte
	doc    grant.Document
	nodes  []verifierobject.Node
	signer ed25519.PrivateKey
	kem    []byte
	job    guestapi.Job
}

// order prepares a grant of chunks of an object.
func (v *visit) order(t testing.TB, s *stored, ranges verifierobject.Ranges) *order {
	t.Helper()
	sum, err := v.evidence.Transcript().Sum()
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := s.Keys.Root().Cover(ranges)
	if err != nil {
		t.Fatal(err)
	}
	o := &order{visit: v, t: sum, nodes: nodes, signer: v.owner.audience, kem: v.evidence.KEM}
	o.job = guestapi.Job{Manifest: s.Envelope, Leaves: s.Leaves, Params: []byte(`{"top":3}`), Module: []byte("\x00asm\x01\x00\x00\x00")}
	o.doc = grant.Document{
		Type: grant.Type, Object: s.CID, Ranges: ranges,
		Module: sha256.Sum256(o.job.Module), Params: sha256.Sum256(o.job.Params),
		Recipients: [][]byte{v.owner.recipient.PublicKey().Bytes()},
		Transcript: sha256.Sum256(sum[:]), Evidence: sha256.Sum256(v.file), Release: v.challenge.Release,
		Checkpoint: &canon.Octets32{4, 5, 6},
		NotBefore:  time.Now().Unix() - 1, NotAfter: time.Now().Unix() + 600,
	}
	if _, err := rand.Read(o.doc.Serial[:]); err != nil {
		t.Fatal(err)
	}
	return o
}

// seal signs and seals the grant, and gives the job.
func (o *order) seal(t testing.TB) []byte {
	t.Helper()
	file, err := grant.Seal(&o.doc, o.signer, o.kem, o.t, o.nodes)
	if err != nil {
		t.Fatal(err)
	}
	o.job.Grant = file
	return o.encode(t)
}

func (o *order) encode(t testing.TB) []byte {
	t.Helper()
	b, err := o.job.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// grantFile is a grant file taken apart, to be put together otherwise.
type grantFile struct {
	Envelope []byte `json:"envelope"`
	Sealed   []byte `json:"sealed"`
	Type     string `json:"type"`
}

func parseGrant(file []byte) (*grantFile, error) {
	var f grantFile
	err := json.Unmarshal(file, &f)
	return &f, err
}

// grantPayload is the grant document in a grant file.
func grantPayload(file []byte) ([]byte, error) {
	f, err := parseGrant(file)
	if err != nil {
		return nil, err
	}
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	err = json.Unmarshal(f.Envelope, &envelope)
	return envelope.Payload, err
}

func openOutput(t testing.TB, who *owner, digest [32]byte, sealed []byte) []byte {
	t.Helper()
	plain, err := grant.OpenOutput(who.recipient, digest, 0, sealed)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
