package endorse

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"safebox/verifier/canon"
	"safebox/verifier/chain"
)

// Type is the value of the bundle's member "type".
const Type = "safebox/collateral/v1"

// MaxBundle bounds a bundle. One machine's collateral is below 64 KiB; a long
// revocation list makes it longer.
const MaxBundle = 2 << 20

// document is a collateral bundle (docs/format-collateral.md).
type document struct {
	Type         string   `json:"type"`
	Certificates [][]byte `json:"certificates"`  // DER, ascending
	CRLs         [][]byte `json:"crls"`          // DER, ascending
	TCBInfos     []object `json:"tcb_infos"`     // ascending by body, then signature
	Identities   []object `json:"qe_identities"` // likewise
}

// object is one Signed: the exact text that is signed, as a string.
type object struct {
	Body      string `json:"body"`
	Signature []byte `json:"signature"`
}

// Encode writes a collateral bundle. Equal sets give equal bytes, in whatever
// order they were gathered; what became of the files is not part of it.
func (s *Set) Encode() ([]byte, error) {
	d := document{
		Type:         Type,
		Certificates: encodeDER(s.Certificates, func(c *x509.Certificate) []byte { return c.Raw }),
		CRLs:         encodeDER(s.CRLs, func(l *x509.RevocationList) []byte { return l.Raw }),
	}
	var err error
	if d.TCBInfos, err = encodeSigned(s.TCBInfos); err != nil {
		return nil, fmt.Errorf("encoding collateral bundle: TCB info %w", err)
	}
	if d.Identities, err = encodeSigned(s.Identities); err != nil {
		return nil, fmt.Errorf("encoding collateral bundle: QE identity %w", err)
	}
	if err := d.checkCounts(); err != nil {
		return nil, fmt.Errorf("encoding collateral bundle: %w", err)
	}
	b, err := canon.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding collateral bundle: %w", err)
	}
	if len(b) > MaxBundle {
		return nil, fmt.Errorf("encoding collateral bundle: got %d bytes, want at most %d", len(b), MaxBundle)
	}
	return b, nil
}

func encodeDER[T any](from []T, raw func(T) []byte) [][]byte {
	out := make([][]byte, 0, len(from))
	for _, x := range from {
		out = append(out, raw(x))
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

func encodeSigned(from []Signed) ([]object, error) {
	sorted := slices.Clone(from)
	slices.SortFunc(sorted, compareSigned)
	out := make([]object, 0, len(from))
	for i, s := range slices.CompactFunc(sorted, Signed.equal) {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		out = append(out, object{Body: string(s.Body), Signature: s.Signature})
	}
	return out, nil
}

func compareSigned(a, b Signed) int {
	if c := bytes.Compare(a.Body, b.Body); c != 0 {
		return c
	}
	return bytes.Compare(a.Signature, b.Signature)
}

// Decode reads a collateral bundle and refuses every other form than the one
// that Encode writes. It checks no signature.
func Decode(bundle []byte) (*Set, error) {
	if len(bundle) > MaxBundle {
		return nil, fmt.Errorf("decoding collateral bundle: got %d bytes, want at most %d", len(bundle), MaxBundle)
	}
	var d document
	if err := canon.Unmarshal(bundle, &d); err != nil {
		return nil, fmt.Errorf("decoding collateral bundle: %w", err)
	}
	s, err := d.set()
	if err != nil {
		return nil, fmt.Errorf("decoding collateral bundle: %w", err)
	}
	return s, nil
}

func (d *document) set() (*Set, error) {
	if d.Type != Type {
		return nil, fmt.Errorf("type: got %q, want %q", clip(d.Type), Type)
	}
	if err := d.checkCounts(); err != nil {
		return nil, err
	}
	s := &Set{}
	var err error
	if s.Certificates, err = decodeDER("certificate", d.Certificates, chain.ParseCertificate); err != nil {
		return nil, err
	}
	if s.CRLs, err = decodeDER("revocation list", d.CRLs, chain.ParseCRL); err != nil {
		return nil, err
	}
	if s.TCBInfos, err = decodeSigned("TCB info", d.TCBInfos); err != nil {
		return nil, err
	}
	if s.Identities, err = decodeSigned("QE identity", d.Identities); err != nil {
		return nil, err
	}
	return s, nil
}

func (d *document) checkCounts() error {
	if d.Certificates == nil || d.CRLs == nil || d.TCBInfos == nil || d.Identities == nil {
		return errors.New("a list is null, want [] for none")
	}
	for _, n := range []struct {
		what      string
		got, most int
	}{
		{"certificates", len(d.Certificates), MaxCertificates},
		{"revocation lists", len(d.CRLs), MaxCRLs},
		{"TCB infos", len(d.TCBInfos), MaxSigned},
		{"QE identities", len(d.Identities), MaxSigned},
	} {
		if n.got > n.most {
			return fmt.Errorf("%s: got %d, want at most %d", n.what, n.got, n.most)
		}
	}
	return nil
}

func decodeDER[T any](what string, from [][]byte, parse func([]byte) (T, error)) ([]T, error) {
	var out []T
	for i, der := range from {
		if i > 0 && bytes.Compare(from[i-1], der) >= 0 {
			return nil, fmt.Errorf("%s %d: not above the one before it", what, i)
		}
		x, err := parse(der)
		if err != nil {
			return nil, fmt.Errorf("%s %d: %w", what, i, err)
		}
		out = append(out, x)
	}
	return out, nil
}

func decodeSigned(what string, from []object) ([]Signed, error) {
	var out []Signed
	for i, o := range from {
		s := Signed{Body: []byte(o.Body), Signature: o.Signature}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("%s %d: %w", what, i, err)
		}
		if i > 0 && compareSigned(out[i-1], s) >= 0 {
			return nil, fmt.Errorf("%s %d: not above the one before it", what, i)
		}
		out = append(out, s)
	}
	return out, nil
}
