package object

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// ManifestType is the value of Manifest.Type.
const ManifestType = "safebox/manifest/v1"

// MaxManifest bounds the bytes of a manifest.
const MaxManifest = 16 << 10

// maxTime is the last second that a manifest may name: 9999-12-31T23:59:59Z.
const maxTime = 253402300799

// PadNone is the only padding of this version: size is the file's.
const PadNone = "none"

// Octets is a value of 32 bytes; a manifest writes it as standard base64 with
// padding.
type Octets [32]byte

// String returns base64.
func (o Octets) String() string { return base64.StdEncoding.EncodeToString(o[:]) }

// MarshalText implements encoding.TextMarshaler.
func (o Octets) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Octets) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) != len(o) {
		return fmt.Errorf("%.100q: want %d bytes of base64", text, len(o))
	}
	copy(o[:], b)
	return nil
}

// Manifest says what an object is (specs/runtime.md, section B5). Its fields
// stand in the order of the file: unlike our other documents its names are not
// sorted.
type Manifest struct {
	Type   string  `json:"type"`
	Suite  int     `json:"suite"`
	OID    Octets  `json:"oid"`  // random, public
	Size   int64   `json:"size"` // bytes of plaintext
	Pad    string  `json:"pad"`
	Chunk  int     `json:"chunk"`  // ChunkSize
	Chunks uint32  `json:"chunks"` // number of chunks
	K      int     `json:"k"`
	M      int     `json:"m"`
	Depth  int     `json:"depth"`  // of the key tree
	Root   Octets  `json:"root"`   // of the leaf table
	Policy Octets  `json:"policy"` // SHA-256 of the upload policy, of the empty string if there is none
	Writer Octets  `json:"writer"` // Ed25519 public key that signs the manifest
	Time   int64   `json:"time"`   // seconds since 1970, by the writer's clock
	Prev   *string `json:"prev"`   // identifier of the version before, or null
}

// Profile gives the manifest's k and m their name.
func (m *Manifest) Profile() (Profile, error) {
	p, ok := profileOf(m.K, m.M)
	if !ok {
		return Profile{}, fmt.Errorf("k and m: got %d and %d, want those of one of %v", m.K, m.M, Profiles())
	}
	return p, nil
}

// Encode gives the manifest's bytes, whose SHA-256 names the object.
func (m *Manifest) Encode() ([]byte, error) {
	if _, err := m.check(); err != nil {
		return nil, fmt.Errorf("encoding manifest: %w", err)
	}
	return json.Marshal(m) // of the strings that check admits none is escaped
}

// DecodeManifest reads a manifest strictly: what Encode would not write in
// exactly these bytes is refused.
func DecodeManifest(b []byte) (*Manifest, error) {
	m, _, err := decodeManifest(b)
	if err != nil {
		return nil, fmt.Errorf("decoding manifest: %w", err)
	}
	return m, nil
}

func decodeManifest(b []byte) (*Manifest, Geometry, error) {
	if len(b) > MaxManifest {
		return nil, Geometry{}, fmt.Errorf("size: got %d bytes, want at most %d", len(b), MaxManifest)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, Geometry{}, err
	}
	g, err := m.check()
	if err != nil {
		return nil, Geometry{}, err
	}
	again, err := json.Marshal(&m)
	if err != nil {
		return nil, Geometry{}, err
	}
	if !bytes.Equal(again, b) {
		return nil, Geometry{}, fmt.Errorf("got %d bytes that are not in the one form of this manifest, which has %d", len(b), len(again))
	}
	return &m, g, nil
}

// check compares every field with what this version knows.
func (m *Manifest) check() (Geometry, error) {
	switch {
	case m.Type != ManifestType:
		return Geometry{}, fmt.Errorf("type: got %.100q, want %q", m.Type, ManifestType)
	case m.Suite != Suite:
		return Geometry{}, fmt.Errorf("suite: got %d, want %d", m.Suite, Suite)
	case m.Pad != PadNone:
		return Geometry{}, fmt.Errorf("pad: got %.100q, want %q", m.Pad, PadNone)
	case m.Chunk != ChunkSize:
		return Geometry{}, fmt.Errorf("chunk: got %d bytes, want %d", m.Chunk, ChunkSize)
	case m.Depth != Depth:
		return Geometry{}, fmt.Errorf("depth: got %d, want %d", m.Depth, Depth)
	case m.Time < 0 || m.Time > maxTime:
		return Geometry{}, fmt.Errorf("time: got %d, want 0 to %d", m.Time, maxTime)
	}
	p, err := m.Profile()
	if err != nil {
		return Geometry{}, err
	}
	g, err := NewGeometry(m.Size, p)
	if err != nil {
		return Geometry{}, err
	}
	if m.Chunks != g.Chunks {
		return Geometry{}, fmt.Errorf("chunks: got %d, want %d for %d bytes", m.Chunks, g.Chunks, m.Size)
	}
	if m.Prev != nil {
		if _, err := ParseCID(*m.Prev); err != nil {
			return Geometry{}, fmt.Errorf("prev: %w", err)
		}
	}
	return g, nil
}
