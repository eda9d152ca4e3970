package endorse

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"safebox/verifier/chain"
)

// Bounds of the work that one file can cause.
const (
	maxObjects = MaxCertificates + MaxCRLs // PEM blocks and DER structures
	maxValues  = 4096                      // JSON values
	maxDepth   = 8                         // of JSON in JSON
)

// Tags of DER (X.690, section 8.1.2) by which structures are told apart.
const (
	tagInteger  = 0x02
	tagSequence = 0x30
	tagVersion  = 0xa0 // TBSCertificate.version (RFC 5280, section 4.1)
)

// Types of PEM blocks (RFC 7468, sections 5.1 and 6).
const (
	pemBegin       = "-----BEGIN "
	pemCertificate = "CERTIFICATE"
	pemCRL         = "X509 CRL"
)

// Add takes from a file what it recognises by its content, whatever its name
// is:
//
//  1. PEM blocks of certificates and revocation lists, with nothing between
//     them;
//  2. a certificate or a revocation list in DER, in hex of DER or in base64 of
//     DER;
//  3. Intel's responses, {"tcbInfo":{..},"signature":".."} and
//     {"enclaveIdentity":{..},"signature":".."};
//  4. a JSON object with tcb_info, tcb_info_signature, qe_identity and
//     qe_identity_signature as strings;
//  5. a collateral bundle of our own;
//  6. any other JSON in which these are found as values, at most 8 deep.
//
// What it does not take is noted in Files with its reason. A file that holds
// more than a Set may hold adds nothing.
func (s *Set) Add(name string, file []byte) {
	a := &adder{}
	a.file(file)
	note := File{Name: name, Why: strings.Join(a.why, "; ")}
	if err := a.into(s, &note); err != nil {
		note.Found, note.Why = "", err.Error()
	}
	s.Files = append(s.Files, note)
}

// adder reads one file.
type adder struct {
	found   Set
	why     []string // what was passed over
	refused error    // the whole file is
	objects int
	values  int
}

// into moves what was found to a set, all or nothing.
func (a *adder) into(s *Set, note *File) error {
	if a.refused != nil {
		return a.refused
	}
	var distinct Set
	if err := distinct.merge(&a.found); err != nil {
		return err
	}
	note.Found = distinct.text()
	return s.merge(&distinct)
}

// maxWhy bounds what a file can make people read.
const maxWhy = 8

func (a *adder) ignore(format string, args ...any) {
	if len(a.why) < maxWhy {
		a.why = append(a.why, fmt.Sprintf(format, args...))
	}
}

// spend counts one unit of work and says whether it may be done.
func (a *adder) spend(counter *int, most int, what string) bool {
	if *counter++; *counter > most && a.refused == nil {
		a.refused = fmt.Errorf("more than %d %s in one file", most, what)
	}
	return a.refused == nil
}

// file looks at a whole file.
func (a *adder) file(b []byte) {
	switch {
	case len(b) == 0:
		a.ignore("empty")
	case len(b) > MaxFile:
		a.ignore("got %d bytes, want at most %d", len(b), MaxFile)
	case isDER(b):
		if !a.der(b) {
			a.ignore("DER of neither a certificate nor a revocation list")
		}
	case a.text(b, 0):
	default:
		a.ignore("%s", guess(b))
	}
}

// text looks at text, and reports whether it was of a known form.
func (a *adder) text(b []byte, depth int) bool {
	b = bytes.TrimSpace(b)
	switch {
	case bytes.HasPrefix(b, []byte(pemBegin)):
		a.pem(b)
		return true
	case bytes.HasPrefix(b, []byte("{")):
		a.object(b, depth)
		return true
	case bytes.HasPrefix(b, []byte("30")): // hex of a SEQUENCE
		der := make([]byte, hex.DecodedLen(len(b)))
		_, err := hex.Decode(der, b)
		return err == nil && isDER(der) && a.der(der)
	case bytes.HasPrefix(b, []byte("MI")): // base64 of a SEQUENCE of 128 bytes or more
		der, err := base64.StdEncoding.AppendDecode(nil, b)
		return err == nil && isDER(der) && a.der(der)
	}
	return false
}

// pem takes the blocks of a PEM file, up to the first that is malformed.
func (a *adder) pem(b []byte) {
	if n := bytes.Count(b, []byte(pemBegin)); n > maxObjects {
		a.refused = fmt.Errorf("PEM: got %d blocks, want at most %d", n, maxObjects)
		return
	}
	for rest := b; len(rest) > 0; rest = bytes.TrimSpace(rest) {
		at := len(b) - len(rest)
		block, after, err := chain.ReadBlock(rest)
		if err != nil {
			a.ignore("PEM at %d: %v, nothing after it was read", at, err)
			return
		}
		switch rest = after; block.Type {
		case pemCertificate:
			a.certificate(block.Bytes)
		case pemCRL:
			a.crl(block.Bytes)
		default:
			a.ignore("PEM at %d: block %q is neither %q nor %q", at, clip(block.Type), pemCertificate, pemCRL)
		}
	}
}

// isDER reports whether b begins as a SEQUENCE of 128 bytes to 16 MiB: no text
// does (X.690, section 8.1.3.5: the second byte is above 0x80).
func isDER(b []byte) bool { return len(b) > 4 && b[0] == tagSequence && b[1] >= 0x81 && b[1] <= 0x83 }

// der takes a certificate or a list, and reports whether it began like one.
func (a *adder) der(b []byte) bool {
	var outer, inner asn1.RawValue
	if _, err := asn1.Unmarshal(b, &outer); err != nil {
		a.ignore("DER: %v", err)
		return true
	}
	if _, err := asn1.Unmarshal(outer.Bytes, &inner); err != nil || inner.Tag != asn1.TagSequence || len(inner.Bytes) == 0 {
		return false
	}
	switch inner.Bytes[0] {
	case tagVersion:
		a.certificate(b)
	case tagInteger: // TBSCertList.version (RFC 5280, section 5.1)
		a.crl(b)
	default:
		return false
	}
	return true
}

func (a *adder) certificate(der []byte) {
	if !a.spend(&a.objects, maxObjects, "certificates and revocation lists") {
		return
	}
	c, err := chain.ParseCertificate(der)
	if err != nil {
		a.ignore("%v", err)
		return
	}
	a.found.Certificates = append(a.found.Certificates, c)
}

func (a *adder) crl(der []byte) {
	if !a.spend(&a.objects, maxObjects, "certificates and revocation lists") {
		return
	}
	list, err := chain.ParseCRL(der)
	if err != nil {
		a.ignore("%v", err)
		return
	}
	a.found.CRLs = append(a.found.CRLs, list)
}

// text says for people what a set holds.
func (s *Set) text() string {
	var parts []string
	for _, n := range []struct {
		count     int
		one, many string
	}{
		{len(s.Certificates), "certificate", "certificates"},
		{len(s.CRLs), "revocation list", "revocation lists"},
		{len(s.TCBInfos), "TCB info", "TCB infos"},
		{len(s.Identities), "QE identity", "QE identities"},
	} {
		switch n.count {
		case 0:
		case 1:
			parts = append(parts, "1 "+n.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.many))
		}
	}
	return strings.Join(parts, ", ")
}

// clip shortens a stranger's text for an error.
func clip(s string) string { return s[:min(len(s), 64)] }
