package snptest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"math/big"
	"slices"
	"testing"

	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
)

// signedSize is the part of a report that is signed (AMD 56860, 7.3).
const signedSize = 0x2a0

// Encode writes a report by the offsets of AMD 56860, 7.3. TCBs are written from
// their raw bytes.
func Encode(r *snp.Report) []byte {
	b := make([]byte, snp.Size)
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put64 := func(at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
	put32(0, r.Version)
	put32(4, r.GuestSVN)
	put64(8, uint64(r.Policy))
	put32(0x30, r.VMPL)
	put32(0x34, r.SignatureAlgorithm)
	put64(0x40, uint64(r.Platform))
	put32(0x48, uint32(r.Signer))
	for _, f := range []struct {
		at    int
		bytes []byte
	}{
		{0x10, r.FamilyID[:]},
		{0x20, r.ImageID[:]},
		{0x38, r.Current.Raw[:]},
		{0x50, r.ReportData[:]},
		{0x90, r.Measurement[:]},
		{0xc0, r.HostData[:]},
		{0xe0, r.IDKeyDigest[:]},
		{0x110, r.AuthorKeyDigest[:]},
		{0x140, r.ReportID[:]},
		{0x160, r.ReportIDMA[:]},
		{0x180, r.Reported.Raw[:]},
		{0x1a0, r.ChipID[:]},
		{0x1e0, r.Committed.Raw[:]},
		{0x1f0, r.Launch.Raw[:]},
	} {
		copy(b[f.at:], f.bytes)
	}
	if r.Version >= 3 {
		b[0x188], b[0x189], b[0x18a] = r.CPUID.Family, r.CPUID.Model, r.CPUID.Stepping
	}
	version := func(at int, v snppolicy.Version) { b[at], b[at+1], b[at+2] = v.Build, v.Minor, v.Major }
	version(0x1e8, r.CurrentFirmware)
	version(0x1ec, r.CommittedFirmware)
	if r.Version >= 5 {
		put64(0x1f8, r.LaunchMitigations)
		put64(0x200, r.CurrentMitigations)
	}
	putNumbers(b, r.SignatureR[:], r.SignatureS[:])
	return b
}

// putNumbers writes R and S, which are big endian here and little endian there.
func putNumbers(b, r, s []byte) {
	for i, n := range [][]byte{r, s} {
		n = slices.Clone(n)
		slices.Reverse(n)
		copy(b[signedSize+72*i:], n)
	}
}

// Sign signs the bytes of a report.
func Sign(t testing.TB, b []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	sum := sha512.Sum384(b[:signedSize])
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	word := func(n *big.Int) []byte { return n.FillBytes(make([]byte, 48)) }
	putNumbers(b, word(r), word(s))
}
