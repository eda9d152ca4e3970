package grant_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/grant"
	"safebox/verifier/object"
)

// vectors are those of docs/format-grant.md, which testdata/vectors.py made
// without our code.
type vectors map[string][]byte

func readVectors(t testing.TB) vectors {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format-grant.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## Vectors\n")
	_, block, _ := strings.Cut(section, "\n```\n")
	block, rest, found := strings.Cut(block, "\n```\n")
	if !found || strings.TrimSpace(rest) != "" {
		t.Fatal("docs/format-grant.md: no block of vectors at the end")
	}
	v, name := vectors{}, ""
	for line := range strings.SplitSeq(block, "\n") {
		digits, isValue := strings.CutPrefix(line, "  ")
		if !isValue {
			name = line
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		v[name] = append(v[name], b...)
	}
	return v
}

// value gives a vector, which must be there.
func (v vectors) value(t testing.TB, name string) []byte {
	t.Helper()
	if len(v[name]) == 0 {
		t.Fatalf("vector %s: missing", name)
	}
	return v[name]
}

func (v vectors) key(t testing.TB, name string) hpke.PrivateKey {
	t.Helper()
	key, err := hpke.MLKEM768X25519().NewPrivateKey(v.value(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// document is the vector's document as docs/format-grant.md describes it.
func (v vectors) document(t testing.TB) grant.Document {
	t.Helper()
	return grant.Document{
		Type:       grant.Type,
		Object:     object.CID([]byte("manifest")),
		Ranges:     object.Ranges{{0, 3}, {8, 9}},
		Module:     sha256.Sum256([]byte("module")),
		Params:     sha256.Sum256([]byte("params")),
		Recipients: [][]byte{v.value(t, "recipient_key")},
		Transcript: canon.Octets32(v.value(t, "transcript")),
		Evidence:   sha256.Sum256([]byte("evidence")),
		Release:    sha256.Sum256([]byte("release")),
		Checkpoint: digest("checkpoint"),
		NotBefore:  1767225600,
		NotAfter:   1767226500,
		Serial:     canon.Octets16{0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef},
	}
}

func wantBytes(t *testing.T, name string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\ngot  %x\nwant %x", name, got, want)
	}
}

func wantSum(t *testing.T, name string, got, want []byte) {
	t.Helper()
	sum := sha256.Sum256(got)
	wantBytes(t, name, sum[:], want)
}

// What Seal writes is the vector, but for the message that HPKE draws random
// numbers for.
func TestVectorsSeal(t *testing.T) {
	v := readVectors(t)
	owner := ed25519.NewKeyFromSeed(v.value(t, "owner_seed"))
	wantBytes(t, "owner_key", owner.Public().(ed25519.PublicKey), v.value(t, "owner_key"))
	wantBytes(t, "kem", append([]byte{0x64, 0x7a}, v.key(t, "kem_seed").PublicKey().Bytes()...), v.value(t, "kem"))
	wantBytes(t, "recipient_key", v.key(t, "recipient_seed").PublicKey().Bytes(), v.value(t, "recipient_key"))
	nodes, err := object.RootNode([32]byte(v.value(t, "fs")), [32]byte(v.value(t, "oid")), object.Suite).Cover(object.Ranges{{0, 3}, {8, 9}})
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, "nodes", object.EncodeNodes(nodes), v.value(t, "nodes"))
	doc := v.document(t)
	file, err := grant.Seal(&doc, owner, v.value(t, "kem"), [64]byte(v.value(t, "t")), nodes)
	if err != nil {
		t.Fatal(err)
	}
	p := takeApart(t, file)
	wantBytes(t, "document", p.payload(t), v.value(t, "document"))
	wantSum(t, "document_sha256", p.payload(t), v.value(t, "document_sha256"))
	wantSum(t, "envelope_sha256", p.Envelope, v.value(t, "envelope_sha256"))
	wantBytes(t, "pae_head", dsse.PAE(dsse.TypeGrant, p.payload(t)), append(v.value(t, "pae_head"), v.value(t, "document")...))
	if sig := base64.StdEncoding.EncodeToString(v.value(t, "signature")); !bytes.Contains(p.Envelope, []byte(`"sig":"`+sig+`"`)) {
		t.Errorf("signature: got %s, want %x", p.Envelope, v.value(t, "signature"))
	}
	if got, want := len(p.Sealed), len(v.value(t, "sealed")); got != want {
		t.Errorf("sealed: got %d bytes, want %d", got, want)
	}
	p.Sealed = v.value(t, "sealed")
	wantSum(t, "file_sha256", p.join(t), v.value(t, "file_sha256"))
}

// The file that another implementation of HPKE sealed opens.
func TestVectorsOpen(t *testing.T) {
	v := readVectors(t)
	doc := v.document(t)
	owner := ed25519.NewKeyFromSeed(v.value(t, "owner_seed"))
	file := parts{
		Type:     grant.FileType,
		Envelope: dsse.Sign(dsse.TypeGrant, v.value(t, "document"), owner),
		Sealed:   v.value(t, "sealed"),
	}.join(t)
	wantSum(t, "file_sha256", file, v.value(t, "file_sha256"))
	transcript := [64]byte(v.value(t, "t"))
	o, err := grant.Open(file, grant.Expectation{
		Owner: [32]byte(v.value(t, "owner_key")), T: transcript,
		Evidence: doc.Evidence, Release: doc.Release, Now: time.Unix(doc.NotAfter, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(doc, o.Document); diff != "" {
		t.Error(diff)
	}
	wantBytes(t, "digest", o.Digest[:], v.value(t, "document_sha256"))
	nodes, err := o.Unseal(v.key(t, "kem_seed"), transcript)
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, "nodes", object.EncodeNodes(nodes), v.value(t, "nodes"))
	slot := binary.BigEndian.Uint32(v.value(t, "output_slot"))
	output, err := grant.OpenOutput(v.key(t, "recipient_seed"), o.Digest, slot, v.value(t, "output_sealed"))
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, "output", output, v.value(t, "output"))
}

// The info strings open the messages by crypto/hpke alone, so they are what
// the document says.
func TestVectorsInfo(t *testing.T) {
	v := readVectors(t)
	for _, n := range []struct{ key, info, sealed, plain string }{
		{"kem_seed", "info", "sealed", "nodes"},
		{"recipient_seed", "output_info", "output_sealed", "output"},
	} {
		got, err := hpke.Open(v.key(t, n.key), hpke.HKDFSHA256(), hpke.AES256GCM(), v.value(t, n.info), v.value(t, n.sealed))
		if err != nil {
			t.Fatal(err)
		}
		wantBytes(t, n.plain, got, v.value(t, n.plain))
	}
	wantSum(t, "transcript", v.value(t, "t"), v.value(t, "transcript"))
}
