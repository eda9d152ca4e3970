package nitro

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"safebox/verifier/policy/nitropolicy"
)

// Kind is the kind of a document.
type Kind = nitropolicy.Kind

// The kinds.
const (
	Enclave  = nitropolicy.Enclave
	NitroTPM = nitropolicy.NitroTPM
)

// Keys of the payload (specs/nitro.md, sections 4.1 and 7).
const (
	keyModule      = "module_id"
	keyDigest      = "digest"
	keyTimestamp   = "timestamp"
	keyPCRs        = "pcrs"
	keyTPMPCRs     = "nitrotpm_pcrs"
	keyCertificate = "certificate"
	keyBundle      = "cabundle"
	keyPublicKey   = "public_key"
	keyUserData    = "user_data"
	keyNonce       = "nonce"
)

// Limits of fields (specs/nitro.md, section 4.1).
const (
	maxModule      = 64   // bytes; i-<17>-enc<16> has 39
	maxCertificate = 1024 // bytes of DER
	maxField       = 1024 // bytes: real documents have it, whatever AWS's text says
	digestName     = "SHA384"
)

// maxTime is the last millisecond of the year 9999, the last that a certificate
// can name (RFC 5280, section 4.1.2.5.2).
const maxTime = 253402300799999

// Document is the payload of an attestation document. Decode gives it
// unverified, Verify verified.
type Document struct {
	Kind        Kind
	ModuleID    string    // i-<17 hex>-enc<16 hex> or i-<17 hex>-tpm<16 hex>
	Instance    string    // the i-... of ModuleID
	Timestamp   time.Time // when it was signed, to the millisecond
	PCRs        map[int][48]byte
	Certificate []byte   // the leaf, DER
	CABundle    [][]byte // from the root down, DER
	PublicKey   []byte   // nil when absent or null
	UserData    []byte   // nil when absent or null
	Nonce       []byte   // nil when absent or null
}

// Decode reads a document: specs/nitro.md, section 4.4, steps 1 to 3. Nothing is
// verified.
func Decode(b []byte) (*Document, error) {
	d, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("decoding attestation document: %w", err)
	}
	m, err := decodeMessage(d, b)
	if err != nil {
		return nil, fmt.Errorf("decoding attestation document: %w", err)
	}
	p, err := decodePayload(d, m.payload)
	if err != nil {
		return nil, fmt.Errorf("decoding attestation document: %w", err)
	}
	doc, err := p.document()
	if err != nil {
		return nil, fmt.Errorf("decoding attestation document: %w", err)
	}
	return doc, nil
}

// payload is a payload whose keys are known.
type payload struct {
	decoder *decoder
	kind    Kind
	fields  map[string]cbor.RawMessage
}

// decodePayload: specs/nitro.md, section 4.4, step 2.
func decodePayload(d *decoder, b []byte) (*payload, error) {
	fields, err := pairs[string](d, b)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	known := []string{
		keyModule, keyDigest, keyTimestamp, keyPCRs, keyTPMPCRs, keyCertificate, keyBundle, keyPublicKey, keyUserData, keyNonce,
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, key) {
			return nil, fmt.Errorf("payload: key %.40q: unknown", key)
		}
	}
	_, enclave := fields[keyPCRs]
	_, tpm := fields[keyTPMPCRs]
	switch {
	case enclave && tpm:
		return nil, fmt.Errorf("payload: got both %s and %s, want one of them", keyPCRs, keyTPMPCRs)
	case enclave:
		return &payload{d, Enclave, fields}, nil
	case tpm:
		return &payload{d, NitroTPM, fields}, nil
	}
	return nil, fmt.Errorf("payload: got neither %s nor %s", keyPCRs, keyTPMPCRs)
}

// document: specs/nitro.md, section 4.4, step 3, the rules of section 4.1.
func (p *payload) document() (*Document, error) {
	doc := &Document{Kind: p.kind}
	for _, step := range []struct {
		key  string
		read func(item []byte, doc *Document) error
	}{
		{keyModule, p.module},
		{keyDigest, p.digest},
		{keyTimestamp, p.timestamp},
		{p.registersKey(), p.registers},
		{keyCertificate, p.certificate},
		{keyBundle, p.bundle},
	} {
		item, ok := p.fields[step.key]
		if !ok {
			return nil, fmt.Errorf("%s: missing", step.key)
		}
		if err := step.read(item, doc); err != nil {
			return nil, fmt.Errorf("%s: %w", step.key, err)
		}
	}
	for _, field := range []struct {
		key string
		to  *[]byte
	}{{keyPublicKey, &doc.PublicKey}, {keyUserData, &doc.UserData}, {keyNonce, &doc.Nonce}} {
		if err := p.optional(field.key, field.to); err != nil {
			return nil, fmt.Errorf("%s: %w", field.key, err)
		}
	}
	return doc, nil
}

func (p *payload) registersKey() string {
	if p.kind == Enclave {
		return keyPCRs
	}
	return keyTPMPCRs
}

func (p *payload) module(item []byte, doc *Document) error {
	s, err := p.decoder.text(item)
	if err != nil {
		return err
	}
	form := regexp.MustCompile(`^(i-[0-9a-f]{17})-(enc|tpm)[0-9a-f]{16}$`)
	found := form.FindStringSubmatch(s)
	want := map[Kind]string{Enclave: "enc", NitroTPM: "tpm"}[p.kind]
	if len(s) > maxModule || found == nil || found[2] != want {
		return fmt.Errorf("got %.64q, want i-, 17 hexadecimal digits, -%s and 16 more", s, want)
	}
	doc.ModuleID, doc.Instance = s, found[1]
	return nil
}

func (p *payload) digest(item []byte, _ *Document) error {
	s, err := p.decoder.text(item)
	if err == nil && s != digestName {
		err = fmt.Errorf("got %.40q, want %q", s, digestName)
	}
	return err
}

func (p *payload) timestamp(item []byte, doc *Document) error {
	n, err := p.decoder.number(item)
	if err != nil {
		return err
	}
	if n == 0 || n > maxTime {
		return fmt.Errorf("got %d, want 1 to %d milliseconds", n, int64(maxTime))
	}
	doc.Timestamp = time.UnixMilli(int64(n)).UTC()
	return nil
}

func (p *payload) certificate(item []byte, doc *Document) (err error) {
	doc.Certificate, err = p.decoder.bytes(item)
	if n := len(doc.Certificate); err == nil && (n == 0 || n > maxCertificate) {
		err = fmt.Errorf("got %d bytes, want 1 to %d", n, maxCertificate)
	}
	return err
}

func (p *payload) bundle(item []byte, doc *Document) error {
	list, err := p.decoder.array(item)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errors.New("got none, want at least the root")
	}
	for i, item := range list {
		b, err := p.decoder.bytes(item)
		if n := len(b); err == nil && (n == 0 || n > maxCertificate) {
			err = fmt.Errorf("got %d bytes, want 1 to %d", n, maxCertificate)
		}
		if err != nil {
			return fmt.Errorf("certificate %d: %w", i, err)
		}
		doc.CABundle = append(doc.CABundle, b)
	}
	return nil
}

// registers reads the registers. A TPM's document has all 24 (specs/nitro.md,
// section 7), an enclave's those that are locked.
func (p *payload) registers(item []byte, doc *Document) error {
	found, err := pairs[uint64](p.decoder, item)
	if err != nil {
		return err
	}
	doc.PCRs = make(map[int][48]byte, len(found))
	for _, i := range slices.Sorted(maps.Keys(found)) {
		if i >= uint64(p.kind.Registers()) {
			return fmt.Errorf("got register %d, want 0 to %d", i, p.kind.Registers()-1)
		}
		b, err := p.decoder.bytes(found[i])
		if err == nil && len(b) != 48 {
			err = fmt.Errorf("got %d bytes, want 48", len(b))
		}
		if err != nil {
			return fmt.Errorf("register %d: %w", i, err)
		}
		doc.PCRs[int(i)] = [48]byte(b)
	}
	if want := p.kind.Registers(); p.kind == NitroTPM && len(found) != want {
		return fmt.Errorf("got %d registers, want all %d", len(found), want)
	}
	if len(found) == 0 {
		return errors.New("got no registers")
	}
	return nil
}

// optional reads a field that may be missing or null.
func (p *payload) optional(key string, to *[]byte) error {
	item, ok := p.fields[key]
	if !ok || len(item) == 1 && item[0] == null {
		return nil
	}
	b, err := p.decoder.bytes(item)
	if err != nil {
		return err
	}
	if len(b) > maxField {
		return fmt.Errorf("got %d bytes, want at most %d", len(b), maxField)
	}
	*to = b
	return nil
}
