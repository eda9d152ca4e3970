package snp_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"testing"

	"safebox/verifier/chain"
	"safebox/verifier/endorse"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
)

// TestRealLeaves reads the extensions of all genuine certificates. Values are
// what `openssl asn1parse` shows of them, and INDEX.md's.
func TestRealLeaves(t *testing.T) {
	for _, c := range []struct {
		file, name, tcb, hwid, csp string
		version                    uint8
	}{
		{"snp/ms-tav/milan_vcek.pem", "Milan-B0", "bootloader 0x4, TEE 0x0, SNP 0x18, microcode 0xdb", "4ffb5cb4fd594f3f", "", 0},
		{"snp/ms-tav/genoa_vcek.pem", "Genoa", "bootloader 0xa, TEE 0x0, SNP 0x17, microcode 0x54", "b1e24a27bbc3a4d5", "", 0},
		{"snp/ms-tav/turin_vcek.pem", "Turin", "FMC 0x1, bootloader 0x1, TEE 0x1, SNP 0x4, microcode 0x51", "59790fb1c39f35c1", "", 1},
		{"snp/virtee/vcek_turin.der", "Turin", "FMC 0x0, bootloader 0x0, TEE 0x0, SNP 0x0, microcode 0x9", "1e550a8ee5cf9f4d", "", 1},
		{"snp/dstack/vcek.pem", "Milan-B0", "bootloader 0x4, TEE 0x0, SNP 0x17, microcode 0xd5", "38d174589d2dff97", "", 0},
		{"snp/go-sev-guest/vcek.der", "Milan-B0", "bootloader 0x2, TEE 0x0, SNP 0x5, microcode 0x44", "3ac3fe21e13fb099", "", 0},
		{"vtpm/trustee/az-snp-vtpm/vcek-genoa.pem", "Genoa", "bootloader 0xa, TEE 0x0, SNP 0x17, microcode 0x54", "0506ffba875e939c", "", 0},
		{"snp/trustee/test-vlek.der", "Milan", "bootloader 0x4, TEE 0x0, SNP 0x18, microcode 0xd9", "", "CN=cc-us-east-2.amazonaws.com", 0},
	} {
		l, err := snp.ParseLeaf(certificate(t, c.file))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		hwid := l.HWID[:min(8, len(l.HWID))]
		if l.ProductName != c.name || l.TCB.String() != c.tcb || hex.EncodeToString(hwid) != c.hwid || l.CSPID != c.csp || l.StructVersion != c.version {
			t.Errorf("%s: got %s, %v, %x, %q, %d", c.file, l.ProductName, l.TCB, hwid, l.CSPID, l.StructVersion)
		}
	}
}

func certificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	set := &endorse.Set{}
	set.Add(name, read(t, name))
	if len(set.Certificates) != 1 {
		t.Fatalf("%s: %d certificates", name, len(set.Certificates))
	}
	return set.Certificates[0]
}

// TestCorruptedLeaves: trustee's corrupted certificates have another HWID than
// was signed; the newer one wraps it in an OCTET STRING.
func TestCorruptedLeaves(t *testing.T) {
	root := snp.PinnedRoots().Milan
	ask := &endorse.Set{}
	ask.Add("chain", read(t, "snp/roots/ask_ark_milan.pem"))
	for _, name := range []string{"snp/trustee/test-vcek-invalid-legacy.der", "snp/trustee/test-vcek-invalid-new.der"} {
		c := certificate(t, name)
		if err := chain.CheckPath([]*x509.Certificate{c, ask.Issuers(c)[0], root}); err == nil {
			t.Errorf("%s: its signature is good", name)
		}
	}
	// openssl asn1parse prints the extension as 0440 and the bytes 00 to 3f.
	leaf, err := snp.ParseLeaf(certificate(t, "snp/trustee/test-vcek-invalid-new.der"))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range leaf.HWID {
		if len(leaf.HWID) != 64 || int(b) != i {
			t.Fatalf("HWID: got %x, want 00 to 3f", leaf.HWID)
		}
	}
}

// TestTwice: crypto/x509 refuses a certificate with an extension twice, so that
// only a list made by hand can have it.
func TestTwice(t *testing.T) {
	r := snptest.Genoa()
	list := snptest.Extensions(&r, snp.Genoa)
	if _, err := snp.ParseLeaf(&x509.Certificate{Extensions: list}); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		twice := append(append([]pkix.Extension{}, list...), list[i])
		if _, err := snp.ParseLeaf(&x509.Certificate{Extensions: twice}); err == nil {
			t.Errorf("%v twice was accepted", list[i].Id)
		}
	}
}

// TestProducts: families and models of verify.md 1.1.
func TestProducts(t *testing.T) {
	for _, c := range []struct {
		family, model uint8
		want          snp.Product
	}{
		{0x19, 0x00, snp.Milan},
		{0x19, 0x0f, snp.Milan},
		{0x19, 0x10, snp.Genoa},
		{0x19, 0x1f, snp.Genoa},
		{0x19, 0xa0, snp.Genoa},
		{0x19, 0xaf, snp.Genoa},
		{0x1a, 0x00, snp.Turin},
		{0x1a, 0x1f, snp.Turin},
		{0x19, 0x20, 0},
		{0x19, 0x9f, 0},
		{0x19, 0xb0, 0},
		{0x1a, 0x20, 0},
		{0x1a, 0x50, 0},
		{0x17, 0x31, 0},
		{0, 0, 0},
		{0x18, 0, 0},
		{0x1b, 0, 0},
	} {
		if got := (snp.CPUID{Family: c.family, Model: c.model}).Product(); got != c.want {
			t.Errorf("%#x/%#x: got %v, want %v", c.family, c.model, got, c.want)
		}
	}
	for _, p := range []snp.Product{snp.Milan, snp.Genoa, snp.Turin} {
		if snp.ParseProduct(p.String()) != p {
			t.Errorf("%v", p)
		}
	}
}

// TestLayouts: the bytes of a TCB, by verify.md 1.1.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		report snp.Report
		raw    [8]byte
		want   string
	}{
		{snptest.Milan(), [8]byte{1, 2, 0, 0, 0, 0, 3, 4}, "bootloader 0x1, TEE 0x2, SNP 0x3, microcode 0x4"},
		{snptest.Genoa(), [8]byte{1, 2, 0, 0, 0, 0, 3, 4}, "bootloader 0x1, TEE 0x2, SNP 0x3, microcode 0x4"},
		{snptest.Siena(), [8]byte{1, 2, 0, 0, 0, 0, 3, 4}, "bootloader 0x1, TEE 0x2, SNP 0x3, microcode 0x4"},
		{snptest.Turin(), [8]byte{1, 2, 3, 4, 0, 0, 0, 5}, "FMC 0x1, bootloader 0x2, TEE 0x3, SNP 0x4, microcode 0x5"},
	} {
		r := c.report
		snptest.SetTCB(&r, c.raw)
		got, err := snp.Decode(snptest.Encode(&r))
		if err != nil {
			t.Fatal(err)
		}
		for _, tcb := range []snp.TCB{got.Reported, got.Committed, got.Current, got.Launch} {
			if tcb.String() != c.want {
				t.Errorf("%v: got %v, want %s", got.CPUID, tcb, c.want)
			}
		}
	}
}
