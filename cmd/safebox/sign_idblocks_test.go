package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"safebox/measure/snp/idblock"
	"safebox/verifier/release"
)

// TestIDBlockPolicy: a policy that no firmware takes is refused before anything
// is signed: bit 17 must be one (AMD 56860, "Guest Policy").
func TestIDBlockPolicy(t *testing.T) {
	for policy, ok := range map[string]bool{"0x30000": true, "0x10000": false, "0": false, "x": false} {
		f := idBlockFlags{policy: policy}
		if _, _, err := f.owner(); (err == nil) != ok {
			t.Errorf("policy %s: got %v, want accepted: %v", policy, err, ok)
		}
	}
}

// TestIDBlockFiles: each machine of the launch has its block, at the offsets of
// AMD 56860 (SEV-SNP Firmware ABI 1.57), table "Structure of the ID Block", and
// an authentication page that opens with it and with no other.
func TestIDBlockFiles(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	digests := []string{strings.Repeat("a5", 48), strings.Repeat("5a", 48)}
	launch := release.Launch{Platform: release.PlatformSNP, SNP: &release.SNP{Shapes: []release.SNPMachine{
		{Name: "qemu/EPYC-Milan/4", VMM: "qemu", LaunchDigest: digests[0]},
		{Name: "qemu/EPYC-Genoa/1", VMM: "qemu", LaunchDigest: digests[1]},
	}}}
	owner := idblock.Owner{FamilyID: [16]byte{1}, ImageID: [16]byte{2}, GuestSVN: 7}
	files, err := idBlockFiles(launch, owner, 0x30000, idblock.Keys{ID: key})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	content := map[string][]byte{}
	for _, f := range files {
		names = append(names, f.Name)
		content[f.Name] = f.content
	}
	if got, want := strings.Join(names, " "), "EPYC-Genoa-1.id-auth EPYC-Genoa-1.id-block EPYC-Milan-4.id-auth EPYC-Milan-4.id-block"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	block := content["EPYC-Milan-4.id-block"]
	if got := hex.EncodeToString(block[:48]); len(block) != 96 || got != digests[0] {
		t.Errorf("%d bytes, launch digest %s, want 96 bytes, %s", len(block), got, digests[0])
	}
	if block[48] != 1 || block[64] != 2 || binary.LittleEndian.Uint32(block[84:]) != 7 || binary.LittleEndian.Uint64(block[88:]) != 0x30000 {
		t.Errorf("family, image, security version or policy: got %x", block[48:])
	}
	if _, _, err := idblock.Open(block, content["EPYC-Milan-4.id-auth"]); err != nil {
		t.Error(err)
	}
	if _, _, err := idblock.Open(block, content["EPYC-Genoa-1.id-auth"]); err == nil {
		t.Error("the page of another machine opens the block")
	}
	launch.SNP.Shapes = nil
	if _, err := idBlockFiles(launch, owner, 0x30000, idblock.Keys{ID: key}); err == nil {
		t.Error("no machine, no error")
	}
}
