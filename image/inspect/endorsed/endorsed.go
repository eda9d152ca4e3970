// Package endorsed describes what vendors say about machines: certificates,
// revocation lists, Intel's TCB documents, our collateral bundle of them, and
// the rollback memory that outlives them. The verifier's readers take them in;
// no signature, time or revocation is checked.
package endorsed

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"safebox/image/inspect/tree"
	"safebox/verifier/endorse"
	"safebox/verifier/memory"
)

// Formats lists what is recognised.
func Formats() []tree.Format {
	return []tree.Format{
		{Kind: "certificates", Match: isCertificates, Items: set},
		{Kind: "revocation list", Match: isCRL, Items: set},
		{Kind: "collateral bundle", Match: isBundle, Items: set},
		{Kind: "rollback memory", Match: isMemory, Items: rollback},
		{Kind: "TCB info", Match: isTCBInfo, Items: set},
		{Kind: "QE identity", Match: isIdentity, Items: set},
		{Kind: "collateral", Match: isCollateral, Items: set},
	}
}

// Any describes endorsements of any form inside another file.
func Any(name string, b []byte) tree.Item {
	return tree.Inner(name, b, func(b []byte) ([]tree.Item, error) {
		items, err := set(b)
		if err != nil {
			return nil, err
		}
		return items[1:], nil // the outer file says that nothing is verified
	})
}

// set describes a file of endorsements. What the verifier would pass over is
// told; a file that it would pass over as a whole is an error.
func set(b []byte) ([]tree.Item, error) {
	var s endorse.Set
	s.Add("file", b)
	note := s.Files[0]
	if note.Found == "" {
		return nil, errors.New(note.Why)
	}
	items := []tree.Item{
		tree.Unverified("no signature, time or revocation was checked"),
		tree.New("found", "%s", note.Found),
	}
	if note.Why != "" {
		items = append(items, tree.New("passed_over", "%s", note.Why))
	}
	for i, c := range s.Certificates {
		items = append(items, certificate(fmt.Sprintf("certificate %d", i), c))
	}
	for i, l := range s.CRLs {
		items = append(items, list(fmt.Sprintf("revocation list %d", i), l))
	}
	for _, x := range s.TCBInfos {
		items = append(items, tcbInfo(x))
	}
	for _, x := range s.Identities {
		items = append(items, identity(x))
	}
	return items, nil
}

// Chain describes certificates in their order.
func Chain(name string, certificates []*x509.Certificate) tree.Item {
	var items []tree.Item
	for i, c := range certificates {
		items = append(items, certificate(fmt.Sprintf("certificate %d", i), c))
	}
	return tree.List(name, items)
}

// Beginnings of files (RFC 7468, sections 5 and 6; X.690, 8.1.2; RFC 5280,
// sections 4.1 and 5.1): a certificate's first field is [0], a list's an
// INTEGER.
const (
	pemCertificate = "-----BEGIN CERTIFICATE-----"
	pemCRL         = "-----BEGIN X509 CRL-----"
	tagSequence    = 0x30
	tagInteger     = 0x02
	tagVersion     = 0xa0
)

func isCertificates(b []byte) bool { return isDER(b, tagVersion, pemCertificate) }

func isCRL(b []byte) bool { return isDER(b, tagInteger, pemCRL) }

// isDER recognises PEM, DER, hex of DER and base64 of DER.
func isDER(b []byte, first byte, pem string) bool {
	if len(b) > endorse.MaxFile {
		return false
	}
	if startsDER(b, first) {
		return true
	}
	text := bytes.TrimSpace(b)
	const start = 16 // bytes that hold both headers
	der := make([]byte, start)
	switch {
	case bytes.HasPrefix(text, []byte(pem)):
		return true
	case len(text) < 2*start:
		return false
	}
	if _, err := hex.Decode(der, text[:2*start]); err == nil {
		return startsDER(der, first)
	}
	// 24 characters of base64 are 18 bytes.
	der, err := base64.StdEncoding.DecodeString(string(text[:24]))
	return err == nil && startsDER(der, first)
}

// startsDER wants two SEQUENCEs of 128 bytes or more and the tag of the first
// field in them.
func startsDER(b []byte, first byte) bool {
	for range 2 {
		if len(b) < 2 || b[0] != tagSequence || b[1] < 0x81 || b[1] > 0x83 {
			return false
		}
		header := 2 + int(b[1]&0x7f)
		if len(b) < header {
			return false
		}
		b = b[header:]
	}
	return len(b) > 0 && b[0] == first
}

func isBundle(b []byte) bool {
	return len(b) <= endorse.MaxBundle && tree.Declares(b, endorse.Type)
}

func isMemory(b []byte) bool {
	return len(b) <= memory.MaxSize && tree.Declares(b, memory.Type)
}
