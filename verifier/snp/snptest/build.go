package snptest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"testing"

	"safebox/measure/snp/idblock"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
)

// Build says what evidence to make: a report, and hooks that change one thing
// before it is signed. Product is the line of the chain.
type Build struct {
	Product snp.Product
	Report  snp.Report

	Bytes        func(b []byte)               // of the report, before it is signed
	Signed       func(b []byte)               // of the report, after
	Root         func(c *x509.Certificate)    // template
	Intermediate func(c *x509.Certificate)    // template
	Leaf         func(c *x509.Certificate)    // template
	CRL          func(l *x509.RevocationList) // template

	RootKey, IntermediateKey string           // "", "other", "weak": whose key it is
	ListKey                  string           // signs the list: "", "other"
	LeafKey                  crypto.PublicKey // instead of the report's key
	SigningKey               string           // of the report: "", "other"
}

// Evidence is a report with what vouches for it.
type Evidence struct {
	Report                   []byte
	Root, Intermediate, Leaf *x509.Certificate
	CRL                      *x509.RevocationList
}

// Set gives the endorsements as a relying party finds them: all but the root.
func (e *Evidence) Set() *endorse.Set {
	return &endorse.Set{Certificates: []*x509.Certificate{e.Leaf, e.Intermediate}, CRLs: []*x509.RevocationList{e.CRL}}
}

// Roots pins the root of the evidence.
func (e *Evidence) Roots() snp.Roots {
	switch e.Root.Subject.CommonName {
	case "ARK-Milan":
		return snp.Roots{Milan: e.Root}
	case "ARK-Genoa":
		return snp.Roots{Genoa: e.Root}
	}
	return snp.Roots{Turin: e.Root}
}

// Make makes evidence.
func (a *Authority) Make(t testing.TB, b Build) *Evidence {
	t.Helper()
	e := &Evidence{}
	root := RootTemplate(t, b.Product)
	change(b.Root, root)
	rootKey := a.key(b.RootKey, a.ark)
	plain, name := b.Root == nil && b.RootKey == "", b.Product.String()
	e.Root = once(a.made, plain, name, func() *x509.Certificate {
		return issue(t, root, root, rootKey.Public(), rootKey)
	})
	e.CRL = once(a.lists, plain && b.CRL == nil && b.ListKey == "", name, func() *x509.RevocationList {
		return a.list(t, b, root)
	})

	usual := a.ask
	if b.Report.Signer.SigningKey() == snp.VLEK {
		usual = a.asvk
	}
	intermediate := IntermediateTemplate(t, b.Product, b.Report.Signer.SigningKey())
	change(b.Intermediate, intermediate)
	intermediateKey := a.key(b.IntermediateKey, usual)
	plain, name = plain && b.Intermediate == nil && b.IntermediateKey == "", name+" "+b.Report.Signer.SigningKey().String()
	e.Intermediate = once(a.made, plain, name, func() *x509.Certificate {
		return issue(t, intermediate, e.Root, intermediateKey.Public(), rootKey)
	})

	leaf := LeafTemplate(t, &b.Report, b.Product)
	change(b.Leaf, leaf)
	public := b.LeafKey
	if public == nil {
		public = a.leaf.Public()
	}
	plain, name = plain && b.Leaf == nil && b.LeafKey == nil, fmt.Sprintf("%s %x %x", name, b.Report.Reported.Raw, b.Report.ChipID)
	e.Leaf = once(a.made, plain, name, func() *x509.Certificate {
		return issue(t, leaf, e.Intermediate, public, intermediateKey)
	})

	e.Report = a.sign(t, b)
	return e
}

func change[T any](hook func(*T), v *T) {
	if hook != nil {
		hook(v)
	}
}

func (a *Authority) key(name string, usual crypto.Signer) crypto.Signer {
	switch name {
	case "other":
		return a.other
	case "weak":
		return a.weak
	}
	return usual
}

// list makes AMD's revocation list of the product. Whoever signs it says that it
// may.
func (a *Authority) list(t testing.TB, b Build, issuer *x509.Certificate) *x509.RevocationList {
	t.Helper()
	template := &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: At().AddDate(0, 0, -10), NextUpdate: At().AddDate(1, 0, -10),
		SignatureAlgorithm: x509.SHA384WithRSAPSS,
	}
	change(b.CRL, template)
	named := *issuer
	named.KeyUsage |= x509.KeyUsageCRLSign
	der, err := x509.CreateRevocationList(rand.Reader, template, &named, a.key(b.ListKey, a.key(b.RootKey, a.ark)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (a *Authority) sign(t testing.TB, b Build) []byte {
	t.Helper()
	raw := Encode(&b.Report)
	if b.Bytes != nil {
		b.Bytes(raw)
	}
	key := a.leaf
	if b.SigningKey == "other" {
		key = New(t).leaf
	}
	Sign(t, raw, key)
	if b.Signed != nil {
		b.Signed(raw)
	}
	return raw
}

// Report is evidence of a Genoa machine about the given report data, as other
// packages' tests need it; change may change the report before it is signed.
func (a *Authority) Report(t testing.TB, reportData [64]byte, change func(r *snp.Report)) *Evidence {
	t.Helper()
	b := Build{Product: snp.Genoa, Report: Genoa()}
	b.Report.ReportData = reportData
	if change != nil {
		change(&b.Report)
	}
	return a.Make(t, b)
}

// fill gives bytes that no other field has.
func fill[T ~[]byte](b T, first byte) {
	for i := range b {
		b[i] = first + byte(i)
	}
}

// guest is a report that fits each profile, without what the processor decides.
func guest() snp.Report {
	r := snp.Report{
		Version: 5, Policy: 1 << 17, SignatureAlgorithm: 1,
		Platform: snp.PlatformECC | snp.PlatformAliasCheckComplete | snp.PlatformIOMMUSafe,
		// Bits 1, 2 and 4: verify.md 8.
		LaunchMitigations: 0x16, CurrentMitigations: 0x16,
	}
	fill(r.ReportData[:], 0x10)
	fill(r.Measurement[:], 0x20)
	fill(r.HostData[:], 0x30)
	fill(r.ReportID[:], 0x40)
	fill(r.ReportIDMA[:], 0)
	for i := range r.ReportIDMA {
		r.ReportIDMA[i] = 0xff
	}
	fill(r.ChipID[:], 0x50)
	return r
}

// with sets the processor, one TCB for all four, and one firmware for both.
func with(cpu snp.CPUID, tcb [8]byte, build byte) snp.Report {
	r := guest()
	r.CPUID = cpu
	SetTCB(&r, tcb)
	r.CurrentFirmware = snppolicy.Version{Major: 1, Minor: 55, Build: build}
	r.CommittedFirmware = r.CurrentFirmware
	return r
}

// SetTCB sets all four TCBs.
func SetTCB(r *snp.Report, raw [8]byte) {
	r.Reported.Raw, r.Committed.Raw, r.Current.Raw, r.Launch.Raw = raw, raw, raw, raw
}

// Genoa is a report of a Genoa B1 at the floors of verify.md 8.
func Genoa() snp.Report {
	return with(snp.CPUID{Family: 0x19, Model: 0x11, Stepping: 1}, [8]byte{10, 0, 0, 0, 0, 0, 0x1b, 0x56}, 38)
}

// GenoaX is a report of a Genoa-X B2 at its floors.
func GenoaX() snp.Report {
	return with(snp.CPUID{Family: 0x19, Model: 0x11, Stepping: 2}, [8]byte{10, 0, 0, 0, 0, 0, 0x1b, 0x51}, 38)
}

// Siena is a report of a Siena, which shares model, stepping and root with
// Bergamo. The profiles have no floors for it.
func Siena() snp.Report {
	return with(snp.CPUID{Family: 0x19, Model: 0xa0, Stepping: 2}, [8]byte{10, 0, 0, 0, 0, 0, 0x1b, 0x1a}, 40)
}

// Turin is a report of a Turin C1 at its floors. Its chip ID has 8 bytes.
func Turin() snp.Report {
	r := with(snp.CPUID{Family: 0x1a, Model: 0x02, Stepping: 1}, [8]byte{1, 1, 1, 4, 0, 0, 0, 0x51}, 65)
	clear(r.ChipID[8:])
	return r
}

// Milan is a report of a Milan B1 at its floors.
func Milan() snp.Report {
	return with(snp.CPUID{Family: 0x19, Model: 0x01, Stepping: 1}, [8]byte{4, 0, 0, 0, 0, 0, 0x1d, 0xde}, 29)
}

// MilanX is a report of a Milan-X B2 at its floors.
func MilanX() snp.Report {
	return with(snp.CPUID{Family: 0x19, Model: 0x01, Stepping: 2}, [8]byte{4, 0, 0, 0, 0, 0, 0x1d, 0x47}, 29)
}

// VLEK makes a report one that a provider's key signed.
func VLEK(r *snp.Report) { r.Signer = snp.SignerInfo(snp.VLEK << 2) }

// SMT makes a report one of a machine with simultaneous multithreading.
func SMT(r *snp.Report) {
	r.Policy |= idblock.SMT
	r.Platform |= snp.PlatformSMT
}
