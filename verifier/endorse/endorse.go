// Package endorse gathers what vendors say about a machine, in whatever form
// it was found: certificates, revocation lists, TCB infos and QE identities.
// Nothing in a Set is trusted: the platforms' packages verify what they take
// from it.
package endorse

import (
	"bytes"
	"crypto/x509"
)

// Set is what was found. Duplicates are left out.
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

// File says what a file was taken for.
type File struct {
	Name  string
	Found string // what was found in it, such as "2 certificates"; empty if ignored
	Why   string // why it, or a part of it, was ignored; empty if it was not
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
