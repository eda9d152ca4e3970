package inspect

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"safebox/verifier/bundle"
	"safebox/verifier/dsse"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sharedEvidence is the evidence file of a session with a TPM emulator.
func sharedEvidence(t testing.TB) []byte {
	return file(t, "../../verifier/testdata/vtpm/evidence.json")
}

// TestChallenge: members as jq shows them, the date by date -u.
func TestChallenge(t *testing.T) {
	wants(t, describe(t, file(t, "../../verifier/testdata/vtpm/challenge.json"), "challenge"), map[string]string{
		"nonce":   "7af50d10673b50485e4b80ab820ee331174a82fa29fd22143e1e397b9f00ea76",
		"release": "526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6",
		"expires": "1795245994, 2026-11-21T07:26:34Z", "enroll/ek": `"rsa2048"`,
	})
}

// TestBundle: the digest is sha256sum's of the release; Python's tar of the same
// content is recognised, and refused for its form.
func TestBundle(t *testing.T) {
	b, err := bundle.Encode(&bundle.Bundle{Release: file(t, "../../verifier/testdata/boot/release.json")})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, describe(t, b, "bundle"), map[string]string{
		"verified":             "no: decoded only, not verified: safebox verify",
		"release.json":         "10840 bytes, sha256 526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6",
		"release.json/release": "526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6", "release.json/epoch": "1767225600",
	})
	python := file(t, "../../verifier/bundle/testdata/python.tar")
	if got := Kind(python); got != "bundle" {
		t.Errorf("Python's tar: got kind %q, want bundle", got)
	}
	if _, err := Bytes(python); err == nil || !strings.Contains(err.Error(), "inspecting bundle: decoding bundle: ") {
		t.Errorf("Python's tar: got error %v, want one of the bundle's reader", err)
	}
	other := bytes.Replace(python, []byte("release.json"), []byte("another.json"), 1)
	if got := Kind(other); got != "" {
		t.Errorf("tar of another file: got kind %q, want none", got)
	}
}

// TestManifest: the manifest, its identifier and the writer's seed are vectors
// of docs/format-object.md, which a Python program made.
func TestManifest(t *testing.T) {
	vector := func(name string) string {
		t.Helper()
		_, value, ok := strings.Cut(string(file(t, "../../docs/format-object.md")), "\n"+name+" ")
		value, _, end := strings.Cut(value, "\n")
		if !ok || !end {
			t.Fatalf("docs/format-object.md has no vector %s", name)
		}
		return value
	}
	want := map[string]string{
		"root_cid": "bagaaieraogcwez4xdz5katqlom7yzf3qtt6i5swdjmakiexdfs7dphb5lraa",
		"oid":      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
		"size":     "1048660 bytes in 2 chunks of 1048560", "profile": "small, 4 data and 2 parity shards",
		"leaves_root": "fc104b8f42d8cc505202bda41a66f1cb9d8707aea8a7eb60e8746c2a6e257b2f",
		"time":        "1700000000, 2023-11-14T22:13:20Z, by the writer's clock", "previous": "none",
	}
	manifest := []byte(vector("manifest"))
	wants(t, describe(t, manifest, "object manifest"), want)
	seed, err := hex.DecodeString(vector("writer_seed"))
	if err != nil {
		t.Fatal(err)
	}
	envelope := dsse.Sign(dsse.TypeManifest, manifest, ed25519.NewKeyFromSeed(seed))
	wants(t, describe(t, envelope, "object manifest"), want)
	if r := describe(t, envelope, "object manifest"); r.SHA256 != vector("envelope_sha256") {
		t.Errorf("envelope: got SHA-256 %s, want that of the document", r.SHA256)
	}
	wants(t, describe(t, bytes.Replace(manifest, []byte(`"prev":null`), []byte(`"prev":"`+want["root_cid"]+`"`), 1), "object manifest"),
		map[string]string{"previous": want["root_cid"]})
}

// TestReceipt: receipt.json is output of verifier/receipt/testdata/vectors.py,
// its members as Python shows them.
func TestReceipt(t *testing.T) {
	wants(t, describe(t, file(t, "../../verifier/receipt/testdata/receipt.json"), "receipt"), map[string]string{
		"verified":   "no: decoded only, not verified: safebox receipt verify",
		"key_id":     "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c",
		"evidence":   "ee8250fb76e094b34b471f13a73dbbe51d1ae142e9df59d7c0d31ec20f0a0a8e",
		"grant":      "3492ad65d05a973fef8c825521eeb41ae64625a672a8aeeeabc696e16d62a020",
		"module":     "120970d812836f19888625587a4606a5ad23cef31c8684e601771552548fc6b9",
		"params":     "a20b52fae57cc7a99c9651f1b573950fd211823e3ace3bb9c273c06430f24cd3",
		"release":    "a4d451ec23463726f72c43d64c710968f6b602cd653b4de8adee1b556240a829",
		"transcript": "54e6289e14c7b0e7ad9acc2dfc4c1e3d027d0eef7f5c4c3fe7c292761d0e06a6",
		"inputs":     "1", "inputs/object": `"bagaaieraawz2x4sxtjplmzadzv4l4vl73bqggoq74iidy5scamg67yzmmv7q", chunks 0-2,8`,
		"outputs": "1", "outputs/slot 0": `"object", 6 bytes`, "memory_peak": "1048576 bytes", "exit": "0", "trap": "none",
	})
}
