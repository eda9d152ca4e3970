package record_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// epoch is 2026-01-01 00:00:00 UTC, by `date -ud 2026-01-01 +%s`.
const epoch = 1767225600

// sum is the directory hash of golang.org/x/mod v0.42.0, as go.sum has it.
const sum = "h1:ICeL3t2L30ljSPHHxDnR4fqVcBt/zR2zJAb9juavmQg="

// digest is SHA-256 of the text, as it stands for a release.json.
func digest(text string) canon.Octets32 { return sha256.Sum256([]byte(text)) }

func goodRelease() record.Release {
	return record.Release{
		Digest: digest("one"), Version: "1.2.0", SVN: 3,
		Source: record.Source{
			Commit: "0123456789abcdef0123456789abcdef01234567", Tree: "89abcdef0123456789abcdef0123456789abcdef", Sum: sum,
		},
		Supersedes: digest("zero").String(), NotBefore: epoch,
	}
}

func goodMatch() record.Rebuild {
	return record.Rebuild{
		Digest: digest("one"), Rebuilder: "Example Auditors", Result: record.Match, Rebuilt: digest("one"),
		Source: sum, Environment: record.Environment{Arch: "amd64", Go: "1.26.8", OS: "linux"}, Time: epoch + 86400,
	}
}

func goodMismatch() record.Rebuild {
	r := goodMatch()
	r.Result, r.Rebuilt = record.Mismatch, digest("other")
	r.Differences = []record.Difference{
		{Path: `safebox.efi, section .initrd, "/init", byte 4096`, Got: "0x90", Want: "0xcc"},
		{Path: "release.json", Got: digest("other").String(), Want: digest("one").String()},
	}
	return r
}

func goodRevoke() record.Revoke {
	return record.Revoke{
		// sort(1) of the three digests.
		Digests:  []canon.Octets32{digest("two"), digest("one"), digest("three")},
		SVNFloor: 4, Reason: "init follows links out of its folder", Effective: epoch + 2*86400,
	}
}

// signers are the keys of RFC 8032, section 7.1, TEST 1 to 3.
func signers(t testing.TB) []dsse.Signer {
	t.Helper()
	var list []dsse.Signer
	for _, seed := range []string{
		"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			t.Fatal(err)
		}
		s, err := dsse.NewSigner(ed25519.NewKeyFromSeed(b))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// readEntry gives a file that vectors.py made.
func readEntry(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sign signs a statement, which must be one.
func sign(t testing.TB, encode func() ([]byte, error), by ...dsse.Signer) []byte {
	t.Helper()
	statement, err := encode()
	if err != nil {
		t.Fatal(err)
	}
	entry, err := record.Sign(statement, by...)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// TestVectors: what vectors.py wrote is what we write, and is read as what it
// says.
func TestVectors(t *testing.T) {
	keys := signers(t)
	release, match, mismatch, revoke := goodRelease(), goodMatch(), goodMismatch(), goodRevoke()
	for _, tt := range []struct {
		file   string
		encode func() ([]byte, error)
		by     []dsse.Signer
		want   record.Record
	}{
		{"release.dsse", release.Encode, keys[:2], record.Record{Release: &release}},
		{"match.dsse", match.Encode, keys[2:], record.Record{Rebuild: &match}},
		{"mismatch.dsse", mismatch.Encode, keys[2:], record.Record{Rebuild: &mismatch}},
		{"revoke.dsse", revoke.Encode, keys[:1], record.Record{Revoke: &revoke}},
	} {
		entry := readEntry(t, tt.file)
		if diff := cmp.Diff(string(entry), string(sign(t, tt.encode, tt.by...))); diff != "" {
			t.Errorf("%s: %s", tt.file, diff)
		}
		got, err := record.Decode(entry)
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		for i, k := range keys {
			signed := false
			for _, s := range tt.by {
				signed = signed || s.Public() == k.Public()
			}
			if got.Envelope.SignedBy(k.Public()) != signed {
				t.Errorf("%s: signed by key %d: got %t, want %t", tt.file, i, !signed, signed)
			}
		}
		statement, err := record.DecodeStatement(got.Envelope.Payload)
		if err != nil {
			t.Errorf("%s: statement: %v", tt.file, err)
		}
		if diff := cmp.Diff(&tt.want, statement); diff != "" {
			t.Errorf("%s: statement: %s", tt.file, diff)
		}
		got.Envelope = nil
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.file, diff)
		}
	}
}

// TestSign: in whatever order and how often it is asked, an entry has one form.
func TestSign(t *testing.T) {
	keys, want := signers(t), readEntry(t, "release.dsse")
	r := goodRelease()
	if got := sign(t, r.Encode, keys[1], keys[0]); string(got) != string(want) {
		t.Errorf("other order: got %s", got)
	}
	got, err := record.AddSignature(sign(t, r.Encode, keys[1]), keys[0])
	if err != nil || string(got) != string(want) {
		t.Errorf("one after the other: got %s, %v", got, err)
	}
	statement, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		call func() ([]byte, error)
		want string
	}{
		"no signer":        {func() ([]byte, error) { return record.Sign(statement) }, "signatures: got 0"},
		"one key twice":    {func() ([]byte, error) { return record.Sign(statement, keys[0], keys[0]) }, "already signed"},
		"no statement":     {func() ([]byte, error) { return record.Sign([]byte("{}"), keys[0]) }, "record: fields"},
		"statement spaced": {func() ([]byte, error) { return record.Sign(append(statement, '\n'), keys[0]) }, "record: canonical form"},
		"signed before":    {func() ([]byte, error) { return record.AddSignature(want, keys[1]) }, "already signed"},
		"no entry":         {func() ([]byte, error) { return record.AddSignature(statement, keys[1]) }, "record: fields"},
	} {
		if b, err := tt.call(); err == nil || b != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}
