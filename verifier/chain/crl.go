package chain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"safebox/verifier/check"
)

// MaxCRL bounds one revocation list in DER. Intel's have a few KiB.
const MaxCRL = 4 << 20

// Extensions of revocation lists (RFC 5280, section 5.2).
func authorityKeyID() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 35} } // 5.2.1
func crlNumber() asn1.ObjectIdentifier      { return asn1.ObjectIdentifier{2, 5, 29, 20} } // 5.2.3
func deltaCRL() asn1.ObjectIdentifier       { return asn1.ObjectIdentifier{2, 5, 29, 27} } // 5.2.4
func distribution() asn1.ObjectIdentifier   { return asn1.ObjectIdentifier{2, 5, 29, 28} } // 5.2.5

// CRL is a revocation list that its issuer signed. OpenCRL, OpenList and
// SignedList alone make it; the last of them looks at no time.
type CRL struct {
	Number     uint64 // cRLNumber
	ThisUpdate time.Time
	NextUpdate time.Time
	Grace      time.Duration // by how much the list had expired and was taken nevertheless; 0 if it had not
	Raw        []byte        // the whole list in DER

	what    string            // in messages: written once, for a list that is kept
	issuer  [sha256.Size]byte // of the issuer's SubjectPublicKeyInfo
	entries []x509.RevocationListEntry
}

// ParseCRL reads exactly one revocation list in DER, with nothing after it. It
// checks no signature.
func ParseCRL(der []byte) (*x509.RevocationList, error) {
	if len(der) == 0 || len(der) > MaxCRL {
		return nil, fmt.Errorf("parsing revocation list: got %d bytes, want 1 to %d", len(der), MaxCRL)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("parsing revocation list: %w", err)
	}
	if len(list.Raw) != len(der) {
		return nil, fmt.Errorf("parsing revocation list: got %d bytes, want %d and nothing after them", len(der), len(list.Raw))
	}
	return list, nil
}

// OpenCRL parses a revocation list and opens it as OpenList does.
func OpenCRL(der []byte, issuer *x509.Certificate, r Rules, kind Age) (*CRL, error) {
	list, err := ParseCRL(der)
	if err != nil {
		return nil, err
	}
	return OpenList(list, issuer, r, kind)
}

// OpenList checks a revocation list that was parsed:
//
//  1. its issuer's name is the subject of the issuer, byte for byte, which is an
//     authority that may sign lists (cRLSign);
//  2. it is whole: no delta, no part of one, no critical extension that is not
//     read here, in the list and in its entries; it has a number;
//  3. the signature is the issuer's, over the received bytes;
//  4. thisUpdate, nextUpdate and its age hold at the time of the rules.
//
// The issuer's own certificate is for the caller to check.
func OpenList(list *x509.RevocationList, issuer *x509.Certificate, r Rules, kind Age) (*CRL, error) {
	c, err := SignedList(list, issuer)
	if err != nil {
		return nil, err
	}
	return c.Current(r, kind)
}

// SignedList checks a list as OpenList does, but for its times. Such a list can
// say that a certificate is revoked: that it ended later takes nothing back. It
// cannot say that one is not.
func SignedList(list *x509.RevocationList, issuer *x509.Certificate) (*CRL, error) {
	if list == nil || issuer == nil {
		return nil, errors.New("opening revocation list: no list or no issuer")
	}
	what := fmt.Sprintf("revocation list of %q", issuer.Subject.String())
	number, err := checkList(list, issuer)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", what, err)
	}
	return &CRL{
		Number: number, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate, Raw: list.Raw,
		what: what, issuer: sha256.Sum256(issuer.RawSubjectPublicKeyInfo), entries: list.RevokedCertificateEntries,
	}, nil
}

// Current gives the list if it counts at the time of the rules, with the grace
// that it needs.
func (c *CRL) Current(r Rules, kind Age) (*CRL, error) {
	grace, err := r.Document(c.what, c.ThisUpdate, c.NextUpdate, kind)
	if err != nil {
		return nil, err
	}
	current := *c
	current.Grace = grace
	return &current, nil
}

func checkList(list *x509.RevocationList, issuer *x509.Certificate) (uint64, error) {
	if !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
		return 0, fmt.Errorf("issuer: got %q", list.Issuer.String())
	}
	if err := checkAuthority(issuer, x509.KeyUsageCRLSign, "cRLSign"); err != nil {
		return 0, err
	}
	if err := checkListExtensions(list.Extensions); err != nil {
		return 0, err
	}
	if list.Number == nil || list.Number.Sign() < 0 || !list.Number.IsUint64() {
		return 0, fmt.Errorf("number: got %v, want one of at most 64 bits", list.Number)
	}
	for i, e := range list.RevokedCertificateEntries {
		if k := slices.IndexFunc(e.Extensions, func(x pkix.Extension) bool { return x.Critical }); k >= 0 {
			return 0, fmt.Errorf("entry %d: critical extension %v is unknown", i, e.Extensions[k].Id)
		}
	}
	if !slices.Contains(Algorithms(), list.SignatureAlgorithm) {
		return 0, fmt.Errorf("signature algorithm: got %s, want one of %v", list.SignatureAlgorithm, Algorithms())
	}
	if err := CheckKey(issuer); err != nil {
		return 0, err
	}
	if err := issuer.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature); err != nil {
		return 0, fmt.Errorf("signature: %w", err)
	}
	return list.Number.Uint64(), nil
}

// checkListExtensions refuses a list that is not the whole one. A delta list
// and an issuing distribution point must be critical (RFC 5280, 5.2.4, 5.2.5);
// where they are not, they still say that the list is not whole.
func checkListExtensions(extensions []pkix.Extension) error {
	for i, e := range extensions {
		if slices.ContainsFunc(extensions[:i], func(x pkix.Extension) bool { return x.Id.Equal(e.Id) }) {
			return fmt.Errorf("extension %v twice", e.Id)
		}
		switch {
		case e.Id.Equal(deltaCRL()):
			return errors.New("it is a delta list, want a whole one")
		case e.Id.Equal(distribution()):
			return errors.New("it has an issuing distribution point, want a whole list")
		case e.Critical && !e.Id.Equal(authorityKeyID()) && !e.Id.Equal(crlNumber()):
			return fmt.Errorf("critical extension %v is unknown", e.Id)
		}
	}
	return nil
}

// Revoked reports whether a serial number is in the list, for whatever reason.
func (c *CRL) Revoked(serial *big.Int) bool {
	return slices.ContainsFunc(c.entries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(serial) == 0 })
}

// Observation is the list's number, for the rollback memory.
func (c *CRL) Observation() check.Observation {
	return check.Observation{Key: "crl/" + hex.EncodeToString(c.issuer[:]), Value: c.Number}
}

// Observations are what the rollback memory has to see of the list: its number,
// the second of its thisUpdate, and that this second has passed. Intel's lists
// all have number 1, so that only thisUpdate tells an old one from a newer one.
func (c *CRL) Observations() []check.Observation {
	second := uint64(max(c.ThisUpdate.Unix(), 0))
	return []check.Observation{
		c.Observation(),
		{Key: "crl-time/" + hex.EncodeToString(c.issuer[:]), Value: second},
		{Key: "time", Value: second},
	}
}
