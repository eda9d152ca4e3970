package cloud

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/gce"
	"safebox/verifier/tpm/jsontree"
)

// protobufStart is how an attestation begins: field 1 with bytes, the public
// area of the attestation key. The first encoders wrote fields in order, and
// all do.
const protobufStart = 0x0a

// Limits of plain evidence.
const (
	plainPCRs     = 24
	plainPCRSize  = 32 // only the SHA-256 bank is quoted
	maxPlainKey   = 1024
	maxPlainQuote = 1024
)

// Decode recognises a file by its content and parses it.
func Decode(b []byte) (*Evidence, error) {
	e, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("parsing TPM evidence: %w", err)
	}
	return e, nil
}

func decode(b []byte) (*Evidence, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("length: got %d, want at most %d", len(b), MaxSize)
	}
	// JSON first: its white space may be what a protobuf message begins with.
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		return decodeJSON(b)
	}
	if len(b) > 0 && b[0] == protobufStart {
		return decodeGoogle(b)
	}
	return nil, fmt.Errorf("form: got %q at the start, want a go-tpm-tools attestation or a JSON object", b[:min(len(b), 8)])
}

func decodeGoogle(b []byte) (*Evidence, error) {
	a, err := gce.Decode(b)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Form: GoTPMTools, KeyBytes: a.AKPublic, EventLog: a.EventLog, Google: a}
	if e.Public, err = tpm.DecodePublic(a.AKPublic); err != nil {
		return nil, err
	}
	if e.Key, err = e.Public.Key(); err != nil {
		return nil, err
	}
	for _, q := range a.Quotes {
		if bankName(q.Bank) == "" {
			e.Ignored = append(e.Ignored, fmt.Sprintf("quote of bank %#04x, which is not SHA-256 or SHA-384", uint16(q.Bank)))
			continue
		}
		s, err := tpm.DecodeQuoteSignature(q.Signature)
		if err != nil {
			return nil, err
		}
		e.Quotes = append(e.Quotes, Quote{Bank: q.Bank, Attest: q.Attest, Signature: s, Values: q.Values})
	}
	if a.CanonicalLog {
		e.Ignored = append(e.Ignored, "canonical event log: what it tells of must have another explanation")
	}
	if a.Report != "" {
		e.Ignored = append(e.Ignored, a.Report+" report: it does not bind the attestation key; verify it by itself")
	}
	if a.Instance != nil && len(a.AKCertificate) == 0 {
		e.Ignored = append(e.Ignored, "instance information: nothing signs it")
	}
	return e, nil
}

func decodeJSON(b []byte) (*Evidence, error) {
	o, err := jsontree.Parse(b)
	if err != nil {
		return nil, err
	}
	if azure.Recognised(o) {
		return decodeAzure(o)
	}
	if o.Has("ak_public") {
		return decodePlain(o)
	}
	return nil, errors.New("form: JSON without hcl_report, report or ak_public is no evidence of a TPM")
}

func decodeAzure(o *jsontree.Object) (*Evidence, error) {
	a, err := azure.Decode(o)
	if err != nil {
		return nil, err
	}
	e := &Evidence{Form: Azure, Key: a.Report.Claims.AK, Azure: a}
	if e.KeyBytes, err = x509.MarshalPKIXPublicKey(e.Key); err != nil {
		return nil, err
	}
	e.Quotes = []Quote{{
		Bank: tpm.AlgSHA256, Attest: a.Quote.Message, Signature: tpm.PlainRSASSA(tpm.AlgSHA256, a.Quote.Signature), Values: byIndex(a.Quote.PCRs),
	}}
	return e, nil
}

// decodePlain reads evidence of a TPM without anything that vouches for its
// key: ak_public is a SubjectPublicKeyInfo, the quote's signature a
// TPMT_SIGNATURE.
func decodePlain(o *jsontree.Object) (*Evidence, error) {
	e := &Evidence{Form: Plain, KeyBytes: o.Base64("ak_public", base64.StdEncoding, maxPlainKey)}
	q := o.Object("tpm_quote")
	attest := q.Base64("message", base64.StdEncoding, maxPlainQuote)
	raw := q.Base64("signature", base64.StdEncoding, maxPlainQuote)
	values := q.HexList("pcrs", plainPCRs, plainPCRSize)
	_ = q.End() // the first error is the whole file's
	if err := o.End(); err != nil {
		return nil, err
	}
	for i, v := range values {
		if len(values) != plainPCRs || len(v) != plainPCRSize {
			return nil, fmt.Errorf("pcrs: got %d, register %d of %d bytes, want %d of %d", len(values), i, len(v), plainPCRs, plainPCRSize)
		}
	}
	key, err := x509.ParsePKIXPublicKey(e.KeyBytes)
	if err != nil {
		return nil, fmt.Errorf("ak_public: %w", err)
	}
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, e.KeyBytes) {
		return nil, errors.New("ak_public: want a SubjectPublicKeyInfo in DER and nothing after it")
	}
	e.Key = key
	s, err := tpm.DecodeQuoteSignature(raw)
	if err != nil {
		return nil, err
	}
	e.Quotes = []Quote{{Bank: tpm.AlgSHA256, Attest: attest, Signature: s, Values: byIndex(values)}}
	return e, nil
}

func byIndex(list [][]byte) map[int][]byte {
	values := make(map[int][]byte, len(list))
	for i, v := range list {
		values[i] = v
	}
	return values
}

// bankName is the name of a bank that verdicts rest on, empty for others.
func bankName(a tpm.Algorithm) string {
	switch a {
	case tpm.AlgSHA256:
		return "sha256"
	case tpm.AlgSHA384:
		return "sha384"
	}
	return ""
}
