// Package endorse gathers what vendors say about a machine, in whatever form
// it was found: certificates, revocation lists, TCB infos and QE identities. It
// also packs them into one file, the collateral bundle
// (docs/format-collateral.md), so that evidence can be verified offline.
//
// Nothing in a Set is trusted: the platforms' packages verify what they take
// from it. A file that is not understood is noted and left out; what it lacks
// for that a platform's check will say.
//
// Reads X.509 certificates and lists (RFC 5280) in DER, PEM (RFC 7468), hex and
// base64, and the JSON of Intel's Provisioning Certification Service, API
// version 4.
package endorse

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
)

// Limits of a Set, and so of what one file may add to it.
const (
	MaxFile         = 8 << 20 // bytes of one file
	MaxCertificates = 256
	MaxCRLs         = 64
	MaxSigned       = 64        // TCB infos, and as many QE identities
	MaxBody         = 256 << 10 // bytes of one signed object; Intel's have up to about 10 KiB
	signatureSize   = 64        // ECDSA P-256: r || s
)

// Set is what was found, without duplicates.
type Set struct {
	Certificates []*x509.Certificate
	CRLs         []*x509.RevocationList // to be opened by chain.OpenList
	TCBInfos     []Signed               // Intel's TCB infos, of SGX and of TDX
	Identities   []Signed               // Intel's identities of quoting enclaves
	Files        []File                 // what became of each file, for people
}

// Signed is a JSON object with a detached signature.
type Signed struct {
	Body      []byte // the exact bytes of the object, which are what is signed
	Signature []byte // ECDSA P-256: 64 bytes, r || s, big endian
}

func (a Signed) equal(b Signed) bool {
	return bytes.Equal(a.Body, b.Body) && bytes.Equal(a.Signature, b.Signature)
}

// File says what a file was taken for.
type File struct {
	Name  string
	Found string // what was found in it, such as "2 certificates"; empty if nothing was
	Why   string // why it, or a part of it, was ignored; empty if nothing was
}

// Issuers lists the certificates whose subject is the issuer of the given one,
// in the order in which they were added. They are candidates: the name is all
// that was compared.
func (s *Set) Issuers(of *x509.Certificate) []*x509.Certificate {
	var found []*x509.Certificate
	for _, c := range s.Certificates {
		if bytes.Equal(c.RawSubject, of.RawIssuer) {
			found = append(found, c)
		}
	}
	return found
}

// merge adds what is new in another set, all or nothing.
func (s *Set) merge(other *Set) error {
	certificates := union(s.Certificates, other.Certificates, func(a, b *x509.Certificate) bool { return bytes.Equal(a.Raw, b.Raw) })
	lists := union(s.CRLs, other.CRLs, func(a, b *x509.RevocationList) bool { return bytes.Equal(a.Raw, b.Raw) })
	infos := union(s.TCBInfos, other.TCBInfos, Signed.equal)
	identities := union(s.Identities, other.Identities, Signed.equal)
	for _, n := range []struct {
		what      string
		got, most int
	}{
		{"certificates", len(certificates), MaxCertificates},
		{"revocation lists", len(lists), MaxCRLs},
		{"TCB infos", len(infos), MaxSigned},
		{"QE identities", len(identities), MaxSigned},
	} {
		if n.got > n.most {
			return fmt.Errorf("too many %s: got %d with those of other files, want at most %d", n.what, n.got, n.most)
		}
	}
	s.Certificates, s.CRLs, s.TCBInfos, s.Identities = certificates, lists, infos, identities
	return nil
}

// union gives a, then what of b is not there yet.
func union[T any](a, b []T, equal func(T, T) bool) []T {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.ContainsFunc(out, func(y T) bool { return equal(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}
