package object

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"safebox/verifier/dsse"
	"safebox/verifier/guestapi"
)

// MaxEnvelope bounds the file of a signed manifest in bytes: the manifest in
// base64, and the envelope around it.
const MaxEnvelope = 32 << 10

// Identifiers of the reasons to refuse an object.
const (
	ProblemManifest = "object-manifest" // not readable, or not signed by its writer
	ProblemCID      = "object-cid"      // another object than the one asked for
	ProblemLeaves   = "object-leaves"   // leaf table of another object, or damaged
)

// Object is an object whose manifest and leaf table hold.
type Object struct {
	Manifest Manifest
	CID      string
	Geometry Geometry
	leaves   []Leaf
}

// OpenManifest checks, in this order (docs/format-object.md, "Opening"):
//
//  1. the envelope and the manifest in it are in their one form,
//  2. the manifest's writer signed it,
//  3. its identifier is the one wanted,
//  4. the leaf table is the one that the manifest names,
//  5. its leaves are those that size and profile demand.
//
// Every error is a *guestapi.Problem.
func OpenManifest(envelope []byte, wantCID string, leaves []byte) (*Object, error) {
	manifest, err := dsse.Payload(envelope, dsse.TypeManifest, MaxManifest)
	if err != nil {
		return nil, problem(ProblemManifest, "%v", err)
	}
	m, g, err := decodeManifest(manifest)
	if err != nil {
		return nil, problem(ProblemManifest, "decoding manifest: %v", err)
	}
	if _, err := dsse.Open(envelope, dsse.TypeManifest, ed25519.PublicKey(m.Writer[:]), MaxManifest); err != nil {
		return nil, problem(ProblemManifest, "not signed by the writer it names: %v", err)
	}
	cid := CID(manifest)
	if cid != wantCID {
		return nil, problem(ProblemCID, "got object %s, want %.80q", cid, wantCID)
	}
	table, err := DecodeLeaves(leaves)
	if err != nil {
		return nil, problem(ProblemLeaves, "%v", err)
	}
	if got := Root(table); got != m.Root {
		return nil, problem(ProblemLeaves, "leaf table: got root %x, want %x", got, [32]byte(m.Root))
	}
	if err := checkGeometry(table, g); err != nil {
		return nil, problem(ProblemLeaves, "leaf table: %v", err)
	}
	return &Object{Manifest: *m, CID: cid, Geometry: g, leaves: table}, nil
}

func problem(id, format string, args ...any) error {
	return &guestapi.Problem{ID: id, Detail: fmt.Sprintf(format, args...)}
}

// Leaf gives leaf i, which must be below Geometry.Leaves().
func (o *Object) Leaf(i int) Leaf { return o.leaves[i] }

// AAD is the additional data that chunk i is sealed with.
func (o *Object) AAD(i uint32) []byte { return o.Geometry.AAD(o.Manifest.OID, i) }

// AAD is the additional data of chunk i of the object with this oid
// (specs/runtime.md, section B4): "safebox/v1/aad" || oid || u32be i || u32be
// length of the plaintext || flags, where bit 0 marks the last chunk.
func (g Geometry) AAD(oid [32]byte, i uint32) []byte {
	b := append([]byte("safebox/v1/aad"), oid[:]...)
	b = binary.BigEndian.AppendUint32(b, i)
	b = binary.BigEndian.AppendUint32(b, uint32(g.PlainLen(i)))
	if g.Last(i) {
		return append(b, 1)
	}
	return append(b, 0)
}
