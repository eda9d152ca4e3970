// Package collateral fetches what vendors publish about a machine, and keeps
// it on disk for later: AMD's Key Distribution Service and Intel's Provisioning
// Certification Service. It is the one package under verifier/ that dials.
//
// Everything fetched is untrusted until it is verified. TLS to the vendor is a
// courtesy to the network: nothing here checks a signature, and no verdict may
// rest on where a byte came from. What comes out is an endorse.Set, which the
// platforms' packages verify as they would one from the adversary.
//
// Implements the requests of AMD 57230 (VCEK Certificate and KDS Interface
// Specification), chapter 4, and of Intel's API "PCS for TDX and SGX", version 4.
package collateral

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/endorse"
	"safebox/verifier/snp"
)

// Services of the vendors.
const (
	AMD       = "https://kdsintf.amd.com"
	Intel     = "https://api.trustedservices.intel.com"
	IntelRoot = "https://certificates.trustedservices.intel.com"
)

// Headers of Intel's responses that carry the issuers of what is in the body,
// as PEM with percent-encoding.
const (
	tcbInfoChain  = "TCB-Info-Issuer-Chain"
	identityChain = "SGX-Enclave-Identity-Issuer-Chain"
	pckCRLChain   = "SGX-PCK-CRL-Issuer-Chain"
)

// Bounds of responses.
const (
	maxChainHeader = 32 << 10  // bytes of a header with a chain
	maxPEMChain    = 64 << 10  // bytes of AMD's cert_chain
	maxResponse    = 512 << 10 // bytes of Intel's JSON
)

// Fetcher fetches and keeps collateral. Its fields are set once; a Fetcher may
// be used from several goroutines.
type Fetcher struct {
	// Client makes the requests; nil is one of net/http's with a time limit.
	// Whatever its settings are, no redirect is followed.
	Client *http.Client

	// Cache is the folder of kept copies; it is made if it is missing. Empty
	// keeps nothing.
	Cache string

	// Offline dials nobody: only kept copies are used, whatever their age.
	Offline bool

	// Fresh is how long a kept copy is used without asking again. Chip
	// certificates never change, so theirs is used for ever.
	Fresh time.Duration

	// Now is the time, for the age of kept copies. It must be set.
	Now func() time.Time

	// Wait waits between attempts; nil waits by the clock.
	Wait func(context.Context, time.Duration) error

	// Progress is told in words what is going on; nil tells nobody.
	Progress func(string)

	// AMD, Intel and IntelRoot replace the services by mirrors, which have to
	// speak HTTPS too; empty are the vendors' own.
	AMD, Intel, IntelRoot string
}

// item is one thing to fetch.
type item struct {
	what    string
	url     string
	header  string // that holds the issuers, "" if none does
	most    int    // bytes of the body
	forever bool   // a kept copy never grows old
	want    func(*endorse.Set) bool
}

func certificates(s *endorse.Set) bool { return len(s.Certificates) > 0 }
func lists(s *endorse.Set) bool        { return len(s.CRLs) > 0 }
func infos(s *endorse.Set) bool        { return len(s.TCBInfos) > 0 && len(s.Certificates) > 0 }
func identities(s *endorse.Set) bool   { return len(s.Identities) > 0 && len(s.Certificates) > 0 }
func listWithIssuers(s *endorse.Set) bool {
	return len(s.CRLs) > 0 && len(s.Certificates) > 0
}

// SNP says of which SEV-SNP machine certificates are wanted, by the fields of
// its report.
type SNP struct {
	Product string   // "Milan", "Genoa" or "Turin", as the KDS names the line
	ChipID  [64]byte // CHIP_ID

	// TCB is REPORTED_TCB. FMC counts for Turin alone.
	FMC, Bootloader, TEE, SNP, Microcode uint8

	// VLEK wants the issuers and the list of a VLEK. The VLEK itself comes from
	// the provider of the machine: the KDS gives it to nobody else.
	VLEK bool
}

// chipIDSize is how many bytes of CHIP_ID name the chip (AMD 57230: hwID; 8
// bytes for Turin, as in the extension of its certificates).
func (m SNP) chipIDSize() (int, error) {
	switch m.Product {
	case "Milan", "Genoa":
		return 64, nil
	case "Turin":
		return 8, nil
	}
	return 0, fmt.Errorf("product: got %q, want Milan, Genoa or Turin", m.Product)
}

// items lists what an SNP machine needs (AMD 57230, sections 4.1 to 4.3).
func (m SNP) items(base string) ([]item, error) {
	size, err := m.chipIDSize()
	if err != nil {
		return nil, err
	}
	kind := "vcek"
	if m.VLEK {
		kind = "vlek"
	}
	prefix := base + "/" + kind + "/v1/" + m.Product
	all := []item{
		{what: "issuers of " + m.Product, url: prefix + "/cert_chain", most: maxPEMChain, want: certificates},
		{what: "revocation list of " + m.Product, url: prefix + "/crl", most: chain.MaxCRL, want: lists},
	}
	if m.VLEK {
		return all, nil
	}
	if m.ChipID == [64]byte{} {
		return nil, errors.New("chip ID is masked (all zero): the KDS cannot name the chip")
	}
	tcb := fmt.Sprintf("blSPL=%02d&teeSPL=%02d&snpSPL=%02d&ucodeSPL=%02d", m.Bootloader, m.TEE, m.SNP, m.Microcode)
	if m.Product == "Turin" {
		tcb = fmt.Sprintf("fmcSPL=%02d&", m.FMC) + tcb
	}
	return append(all, item{
		what: "chip certificate", url: fmt.Sprintf("%s/%x?%s", prefix, m.ChipID[:size], tcb),
		most: chain.MaxCertificate, forever: true, want: m.certified,
	}), nil
}

// certified reports whether a set is the chip's certificate for the TCB alone. A
// kept copy of it never grows old, so that one of something else would stay.
func (m SNP) certified(s *endorse.Set) bool {
	if len(s.Certificates) != 1 {
		return false
	}
	leaf, err := snp.ParseLeaf(s.Certificates[0])
	if err != nil || leaf.Product.String() != m.Product || len(leaf.HWID) == 0 || !bytes.HasPrefix(m.ChipID[:], leaf.HWID) {
		return false
	}
	t := leaf.TCB
	return t.Bootloader == m.Bootloader && t.TEE == m.TEE && t.SNP == m.SNP && t.Microcode == m.Microcode && t.FMC == m.turinFMC()
}

// turinFMC is FMC where there is one.
func (m SNP) turinFMC() uint8 {
	if m.Product == "Turin" {
		return m.FMC
	}
	return 0
}

// TDX says for which TDX machine collateral is wanted, by its PCK certificate.
type TDX struct {
	FMSPC [6]byte
	CA    string // "platform" or "processor": who issued the PCK certificate
	Early bool   // the channel "early" in place of "standard"
}

// items lists what a TDX machine needs (Intel PCS version 4: Get TDX TCB Info,
// Get TDX QE Identity, Get Revocation List).
func (m TDX) items(base, root string) ([]item, error) {
	if m.CA != "platform" && m.CA != "processor" {
		return nil, fmt.Errorf("issuer of the PCK certificate: got %q, want platform or processor", m.CA)
	}
	channel := "standard"
	if m.Early {
		channel = "early"
	}
	return []item{
		{
			what: "TCB info", url: fmt.Sprintf("%s/tdx/certification/v4/tcb?fmspc=%X&update=%s", base, m.FMSPC, channel),
			header: tcbInfoChain, most: maxResponse, want: infos,
		},
		{
			what: "QE identity", url: base + "/tdx/certification/v4/qe/identity?update=" + channel,
			header: identityChain, most: maxResponse, want: identities,
		},
		{
			what: "PCK revocation list", url: base + "/sgx/certification/v4/pckcrl?ca=" + m.CA + "&encoding=der",
			header: pckCRLChain, most: chain.MaxCRL, want: listWithIssuers,
		},
		{what: "root revocation list", url: root + "/IntelSGXRootCA.der", most: chain.MaxCRL, want: lists},
	}, nil
}

// SNP fetches the collateral of an SNP machine. When a part of it cannot be
// had, the rest is given together with the error.
func (f *Fetcher) SNP(ctx context.Context, m SNP) (*endorse.Set, error) {
	items, err := m.items(or(f.AMD, AMD))
	if err != nil {
		return nil, fmt.Errorf("fetching SNP collateral: %w", err)
	}
	return f.all(ctx, items)
}

// TDX fetches the collateral of a TDX machine. When a part of it cannot be had,
// the rest is given together with the error.
func (f *Fetcher) TDX(ctx context.Context, m TDX) (*endorse.Set, error) {
	items, err := m.items(or(f.Intel, Intel), or(f.IntelRoot, IntelRoot))
	if err != nil {
		return nil, fmt.Errorf("fetching TDX collateral: %w", err)
	}
	return f.all(ctx, items)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return strings.TrimSuffix(s, "/")
}

func (f *Fetcher) all(ctx context.Context, items []item) (*endorse.Set, error) {
	if f.Now == nil {
		return nil, errors.New("fetching collateral: no time was given")
	}
	set := &endorse.Set{}
	var failed []error
	for _, i := range items {
		c, err := f.one(ctx, i)
		if err != nil {
			failed = append(failed, fmt.Errorf("fetching %s: %w", i.what, err))
			continue
		}
		c.addTo(set)
	}
	return set, errors.Join(failed...)
}

// one gives a kept copy that is fresh, or else fetches one, or else gives a kept
// copy that is not fresh: whether it still counts is for the verifier to say.
func (f *Fetcher) one(ctx context.Context, i item) (*copied, error) {
	kept, keptErr := f.load(i)
	if kept != nil && (f.Offline || i.forever || f.fresh(kept)) {
		f.say("%s: kept copy of %s", i.what, kept.when())
		return kept, nil
	}
	if f.Offline {
		return nil, fmt.Errorf("no kept copy of %s, and dialling is off: %w", i.url, keptErr)
	}
	got, err := f.fetch(ctx, i)
	if err != nil {
		if kept == nil || ctx.Err() != nil {
			return nil, err
		}
		f.say("%s: %v; kept copy of %s is used", i.what, err, kept.when())
		return kept, nil
	}
	if err := f.store(got); err != nil {
		return nil, err
	}
	return got, nil
}

// fresh reports whether a kept copy need not be asked for again. One of the
// future was kept by a clock that was wrong.
func (f *Fetcher) fresh(c *copied) bool {
	age := f.Now().Sub(time.Unix(c.Fetched, 0))
	return age >= 0 && age < f.Fresh
}

func (f *Fetcher) say(format string, args ...any) {
	if f.Progress != nil {
		f.Progress(fmt.Sprintf(format, args...))
	}
}

// unescapeChain reads the issuers from a header.
func unescapeChain(header string) (string, error) {
	if len(header) > maxChainHeader {
		return "", fmt.Errorf("got %d bytes, want at most %d", len(header), maxChainHeader)
	}
	return url.PathUnescape(header) // PEM has '+', which is no space here
}
