package idblock

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/snp"
	"safebox/measure/vectortest"
)

// vector is an ID block of virtee/sev (tests/id-block.rs) or of
// sev-snp-measure (tests/test_id_block.py), which agree on the format.
type vector struct {
	DigestHex    string `json:"launch_digest_hex"`
	DigestBase64 []byte `json:"launch_digest_b64"`
	FamilyID     string `json:"family_id"`
	ImageID      string `json:"image_id"`
	GuestSVN     uint32 `json:"guest_svn"`
	Policy       Policy `json:"policy"`
	IDKey        string `json:"id_key"`
	AuthorKey    string `json:"author_key"`
	Block        []byte `json:"expected_id_block_b64"`
	IDDigest     []byte `json:"expected_id_key_digest_b64"`
	AuthorDigest []byte `json:"expected_author_key_digest_b64"`
	Auth         string `json:"id_auth_file"`
	IDSig        string `json:"id_sig_file"`
	AuthorSig    string `json:"author_sig_file"`
}

func (v vector) block(t testing.TB) Block {
	t.Helper()
	digest := v.DigestBase64
	if v.DigestHex != "" {
		digest = unhex(t, v.DigestHex)
	}
	b := Block{LaunchDigest: snp.Digest(digest), GuestSVN: v.GuestSVN, Policy: v.Policy}
	if v.FamilyID != "" {
		b.FamilyID, b.ImageID = [16]byte(unhex(t, v.FamilyID)), [16]byte(unhex(t, v.ImageID))
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func privateKey(t testing.TB, text []byte) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	return vectortest.File(t, os.DirFS("../../testdata"), name)
}

func TestVectors(t *testing.T) {
	vectortest.Each(t, os.DirFS("../../testdata"), "snp/idblock", func(t *testing.T, from vectortest.Vector) {
		var v vector
		from.Decode(t, &v)
		block := v.block(t)
		encoded, err := block.Encode()
		if err != nil || !bytes.Equal(encoded, v.Block) {
			t.Errorf("block: got %x, %v, want %x", encoded, err, v.Block)
		}
		if got, err := DecodeBlock(v.Block); err != nil || got != block {
			t.Errorf("decoding: got %+v, %v, want %+v", got, err, block)
		}
		id, author := privateKey(t, from.File(t, v.IDKey)), privateKey(t, from.File(t, v.AuthorKey))
		made, err := Sign(block, id, author)
		if err != nil {
			t.Fatal(err)
		}
		if got := made.Key.Digest(); !bytes.Equal(got[:], v.IDDigest) {
			t.Errorf("ID key: got %v, want %x", got, v.IDDigest)
		}
		if got := made.Author.Key.Digest(); !bytes.Equal(got[:], v.AuthorDigest) {
			t.Errorf("author key: got %v, want %x", got, v.AuthorDigest)
		}
		if _, opened, err := Open(v.Block, made.Encode()); err != nil || *opened.Author != *made.Author || opened.Key != made.Key {
			t.Errorf("opening what was made: got %+v, %v", opened, err)
		}
		again, err := Sign(block, id, author)
		if err != nil || !bytes.Equal(again.Encode(), made.Encode()) {
			t.Errorf("signing twice: got two results: %v", err)
		}
		set, err := Make(block, Keys{ID: id, Author: author})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(set.BlockBytes, v.Block) || set.BlockBase64() != base64.StdEncoding.EncodeToString(v.Block) {
			t.Errorf("set: block: got %x, want %x", set.BlockBytes, v.Block)
		}
		if b, err := base64.StdEncoding.DecodeString(set.AuthBase64()); err != nil || !bytes.Equal(b, made.Encode()) || !bytes.Equal(b, set.AuthBytes) {
			t.Errorf("set: authentication differs from that of Sign: %v", err)
		}
		if set.Block != block || !set.AuthorKeyEnabled() {
			t.Errorf("set: got %+v, author key enabled %t", set.Block, set.AuthorKeyEnabled())
		}
		if v.Auth != "" {
			published(t, from, v, made)
			unsigned(t, from.File(t, v.Auth), set.AuthBytes)
		}
	})
}

// unsigned compares what virtee/sev made with what is made here, byte for byte
// outside of the two signatures (AMD 56860, 8.18), whose nonces are random
// there.
func unsigned(t *testing.T, want, got []byte) {
	t.Helper()
	want, got = bytes.Clone(want), bytes.Clone(got)
	for _, b := range [][]byte{want, got} {
		clear(b[0x040:0x240])
		clear(b[0x680:0x880])
	}
	if !bytes.Equal(got, want) {
		t.Error("authentication: bytes outside of the signatures differ")
	}
}

// TestMakeRefuses: what Sign and Encode refuse.
func TestMakeRefuses(t *testing.T) {
	good := Block{LaunchDigest: snp.Digest{1}, Policy: DefaultPolicy}
	for want, c := range map[string]struct {
		b Block
		k Keys
	}{
		"launch digest at 0x0: got zeros": {Block{Policy: DefaultPolicy}, Keys{ID: rfcKey(t)}},
		"ID key: got none":                {good, Keys{Author: rfcKey(t)}},
		"author key: public key: curve":   {good, Keys{ID: rfcKey(t), Author: otherCurve(t)}},
	} {
		if s, err := Make(c.b, c.k); err == nil || s != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, %v, want an error with %q", s, err, want)
		}
	}
	set, err := Make(good, Keys{ID: rfcKey(t)})
	if err != nil || set.AuthorKeyEnabled() {
		t.Errorf("without an author: %v", err)
	}
	owner := Owner{FamilyID: [16]byte{1}, ImageID: [16]byte{2}, GuestSVN: 3}
	if got, want := owner.Block(snp.Digest{4}, 5), (Block{snp.Digest{4}, [16]byte{1}, [16]byte{2}, 3, 5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// published opens what virtee/sev made with the same keys: its signatures are
// random, all other bytes must be as here.
func published(t *testing.T, from vectortest.Vector, v vector, made *Auth) {
	page := from.File(t, v.Auth)
	_, auth, err := Open(v.Block, page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(auth.Encode(), page) {
		t.Error("encoding again differs")
	}
	if auth.Key != made.Key || auth.Author == nil || auth.Author.Key != made.Author.Key {
		t.Errorf("got keys %v, %+v", auth.Key.Digest(), auth.Author)
	}
	for _, c := range []struct {
		file    string
		key     PublicKey
		message []byte
	}{
		{v.IDSig, auth.Key, v.Block},
		{v.AuthorSig, auth.Author.Key, page[0x240:0x644]},
	} {
		b := from.File(t, c.file)
		sig, err := DecodeSignature(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := sig.verify(c.key, c.message); err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		if !bytes.Equal(sig.Encode(), b) {
			t.Errorf("%s: encoding again differs", c.file)
		}
	}
}

// TestDeterministic has the signatures of RFC 6979, A.2.6, with SHA-384.
func TestDeterministic(t *testing.T) {
	k := rfcKey(t)
	for message, want := range map[string]string{
		"sample": "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46" +
			"99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
		"test": "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb0542a7f0812998da8f1dd3ca3cf023db" +
			"ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e06a739f040649a667bf3b828246baa5a5",
	} {
		sig, err := sign(k, []byte(message))
		if got := hex.EncodeToString(append(sig.r[:], sig.s[:]...)); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", message, got, err, want)
		}
	}
}

func TestWithoutAuthor(t *testing.T) {
	block := Block{LaunchDigest: snp.Digest{1}, Policy: DefaultPolicy}
	made, err := Sign(block, rfcKey(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	page := made.Encode()
	if !bytes.Equal(page[4:8], make([]byte, 4)) || !bytes.Equal(page[0x644:], make([]byte, 4096-0x644)) {
		t.Error("the author's part is not zero")
	}
	encoded, err := block.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := Open(encoded, page); err != nil || got.Author != nil {
		t.Errorf("got %+v, %v, want no author", got, err)
	}
}

// realBlock is the block of vector rust/id-block.
func realBlock(t testing.TB) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("oU1jg0HlZ0Yo/h4C++3r5eWrT68d1y2JZgaOYVu5nv0T0hSzXCMXFbOOJj3GBZdFAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAwAAAAAA")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFlips changes every bit of a real block and of all that is not zero in
// its real authentication.
func TestFlips(t *testing.T) {
	page := file(t, "sev-rust/test_auth_block.bin")
	block := realBlock(t)
	if _, _, err := Open(block, page); err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(block) {
		b := bytes.Clone(block)
		b[bit/8] ^= 1 << (bit % 8)
		if _, _, err := Open(b, page); err == nil {
			t.Errorf("block: bit %d: got no error", bit)
		}
	}
	for i := range page {
		b := bytes.Clone(page)
		b[i] ^= 0x10
		if _, _, err := Open(block, b); err == nil {
			t.Errorf("authentication: byte %#x: got no error", i)
		}
	}
}

func TestRefuses(t *testing.T) {
	page := file(t, "sev-rust/test_auth_block.bin")
	block := append(bytes.Repeat([]byte{1}, 48), make([]byte, 48)...)
	block[0x50], block[0x5a] = 1, 3
	decode := func(of []byte, f func([]byte) error) func(int, ...byte) error {
		return func(at int, change ...byte) error {
			b := bytes.Clone(of)
			copy(b[at:], change)
			return f(b)
		}
	}
	inBlock := decode(block, func(b []byte) error { _, err := DecodeBlock(b); return err })
	inAuth := decode(page, func(b []byte) error { _, err := DecodeAuth(b); return err })
	inKey := decode(page[0x240:0x644], func(b []byte) error { _, err := DecodePublicKey(b); return err })
	inSig := decode(page[0x40:0x240], func(b []byte) error { _, err := DecodeSignature(b); return err })
	zeros, ones := make([]byte, 48), bytes.Repeat([]byte{0xff}, 48)
	short := func(f func([]byte) error, n int) error { return f(make([]byte, n)) }
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"short block", short(func(b []byte) error { _, err := DecodeBlock(b); return err }, 95), "parsing ID block: length: got 95, want 96"},
		{"block version", inBlock(0x50, 2), "parsing ID block: version at 0x50: got 2, want 1"},
		{"no digest", inBlock(0, zeros...), "parsing ID block: launch digest at 0x0: got zeros, want the digest of a launch"},
		{"policy bit 17", inBlock(0x5a, 1), "policy at 0x58: got 0x10000, want bit 17 set: it is reserved and must be one"},
		{"policy bit 26", inBlock(0x5b, 4), "policy at 0x58: got 0x4030000, want bits 26 to 63 zero: they are reserved"},
		{"policy bit 63", inBlock(0x5f, 0x80), "want bits 26 to 63 zero"},
		{"long authentication", short(func(b []byte) error { _, err := DecodeAuth(b); return err }, 4097), "parsing ID authentication: length: got 4097, want 4096"},
		{"algorithm", inAuth(0, 2), "algorithm of the ID key at 0x0: got 2, want 1 (ECDSA P-384 with SHA-384)"},
		{"author's algorithm", inAuth(4, 2), "algorithm of the author key at 0x4: got 2, want 1, or 0 for none"},
		{"author without algorithm", inAuth(4, 0), "author key without an algorithm: reserved bytes: got 0x"},
		{"first gap", inAuth(0x3f, 1), "parsing ID authentication: reserved bytes: got 0x01 at 0x3f, want zeros from 0x8 to 0x40"},
		{"second gap", inAuth(0x644, 1), "reserved bytes: got 0x01 at 0x644, want zeros from 0x644 to 0x680"},
		{"last gap", inAuth(0xfff, 1), "reserved bytes: got 0x01 at 0xfff, want zeros from 0xc84 to 0x1000"},
		{"author key", inAuth(0x880, 1), "author key: key at 0x880: curve at 0x0: got 1, want 2 (P-384)"},
		{"ID signature", inAuth(0x40, zeros...), "ID key: signature at 0x40: r: got 0, want at least 1"},
		{"short key", short(func(b []byte) error { _, err := DecodePublicKey(b); return err }, 1027), "parsing public key: length: got 1027, want 1028"},
		{"long x", inKey(0x34, 1), "x: reserved bytes: got 0x01 at 0x34, want zeros from 0x34 to 0x4c"},
		{"long y", inKey(0x93, 1), "y: reserved bytes: got 0x01 at 0x93, want zeros from 0x7c to 0x94"},
		{"end of key", inKey(0x403, 1), "reserved bytes: got 0x01 at 0x403, want zeros from 0x94 to 0x404"},
		{"not on the curve", inKey(0x4c, 0), "want a point of curve P-384"},
		{"above the prime", inKey(0x04, ones...), "want a point of curve P-384"},
		{"short signature", short(func(b []byte) error { _, err := DecodeSignature(b); return err }, 511), "parsing signature: length: got 511, want 512"},
		{"s is zero", inSig(0x48, zeros...), "parsing signature: s: got 0, want at least 1"},
		{"r above the order", inSig(0, ones...), "r: got ffff"},
		{"long r", inSig(0x47, 1), "r: reserved bytes: got 0x01 at 0x47, want zeros from 0x30 to 0x48"},
		{"end of signature", inSig(0x90, 1), "reserved bytes: got 0x01 at 0x90, want zeros from 0x90 to 0x200"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, c.err, c.want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	good := Block{LaunchDigest: snp.Digest{1}, Policy: DefaultPolicy}
	k := rfcKey(t)
	mixed := *k
	mixed.PublicKey = privateKey(t, file(t, "sev-rust/test_id_key.pem")).PublicKey
	for _, c := range []struct {
		name       string
		b          Block
		id, author *ecdsa.PrivateKey
		want       string
	}{
		{"no digest", Block{Policy: DefaultPolicy}, k, nil, "writing ID block: launch digest at 0x0: got zeros"},
		{"no policy", Block{LaunchDigest: snp.Digest{1}}, k, nil, "writing ID block: policy at 0x58: got 0x0, want bit 17 set"},
		{"no key", good, nil, k, "signing ID block: ID key: got none"},
		{"P-256", good, otherCurve(t), nil, "signing ID block: ID key: public key: curve: got P-256, want P-384"},
		{"author of P-256", good, k, otherCurve(t), "signing ID key: author key: public key: curve: got P-256, want P-384"},
		{"two halves", good, &mixed, nil, "signing ID block: ID key: "},
	} {
		_, err := Sign(c.b, c.id, c.author)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	if err := (&Auth{}).Verify(good); err == nil {
		t.Error("an empty authentication: got no error")
	}
	made, err := Sign(good, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	made.Key = PublicKey{}
	if err := made.Verify(good); err == nil || !strings.Contains(err.Error(), "want a point of curve P-384") {
		t.Errorf("a signature without a key: got %v", err)
	}
}

func TestPolicy(t *testing.T) {
	if got, want := DefaultPolicy.String(), "0x30000: ABI 0.0, SMT"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if DefaultPolicy != 0x30000 {
		t.Errorf("got %#x", uint64(DefaultPolicy))
	}
	// Bits as in the table of the specification and in Linux,
	// include/linux/psp-sev.h, SNP_POLICY_MASK_*.
	all := Policy(0x3ff013a)
	const want = "0x3ff013a: ABI 1.58, SMT, MIGRATE_MA, DEBUG, SINGLE_SOCKET, CXL_ALLOW, MEM_AES_256_XTS, RAPL_DIS, CIPHERTEXT_HIDING_DRAM, PAGE_SWAP_DISABLE"
	if got := all.String(); got != want || all.Check() != nil {
		t.Errorf("got %s, %v, want %s", got, all.Check(), want)
	}
	if every := Policy(1<<26 - 1); every.Check() != nil { // no ABI version and no choice is reserved
		t.Errorf("%v: got %v", every, every.Check())
	}
	lines := strings.Split(strings.TrimSpace((SMT | Debug | reservedOne).Describe()), "\n")
	if diff := cmp.Diff([]string{
		"ABI: version 0.0 of the firmware ABI or later",
		"SMT: 1, the host may run SMT",
		"MIGRATE_MA: 0, no migration agent",
		"DEBUG: 1, the host may read and change the guest's memory",
		"SINGLE_SOCKET: 0, several sockets are allowed",
		"CXL_ALLOW: 0, no CXL devices or memory",
		"MEM_AES_256_XTS: 0, AES-128-XEX or AES-256-XTS memory encryption",
		"RAPL_DIS: 0, RAPL, the measuring of power, may be on",
		"CIPHERTEXT_HIDING_DRAM: 0, the host may see ciphertext",
		"PAGE_SWAP_DISABLE: 0, the host may move and swap pages",
	}, lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i, bit := range []uint{16, 18, 19, 20, 21, 22, 23, 24, 25} {
		if got := PolicyBits()[i]; got.Mask != 1<<bit {
			t.Errorf("%s: got %#x, want bit %d", got.Name, uint64(got.Mask), bit)
		}
	}
}
