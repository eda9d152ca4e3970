// Package gce reads the evidence of machines on Google Compute Engine: the
// attestation that go-tpm-tools makes, and what Google says of a machine in the
// certificate of its attestation key. It verifies nothing; cloud does.
//
// It implements proto/attest.proto and proto/tpm.proto of
// google/go-tpm-tools at 67670e5, in the encoding of Protocol Buffers
// ("Encoding"): every field number is known, none comes twice that is not
// repeated. Its four enclosed messages of other projects are not read.
package gce

import (
	"fmt"

	"safebox/verifier/tpm"
)

// Limits of an attestation.
const (
	maxSize         = 2 << 20
	maxQuotes       = 4
	maxIntermediate = 8
	pcrs            = 24
	maxName         = 256 // bytes of a name of project, zone or instance
)

// Fields of attest.Attestation.
const (
	fieldAKPublic     = 1
	fieldQuotes       = 2
	fieldEventLog     = 3
	fieldInstance     = 4
	fieldCanonicalLog = 5
	fieldAKCert       = 6
	fieldIntermediate = 7
	fieldSNP          = 8
	fieldTDX          = 9
)

// Attestation is an attest.Attestation:
//
//	1  ak_pub               bytes, TPMT_PUBLIC
//	2  quotes               tpm.Quote, repeated
//	3  event_log            bytes
//	4  instance_info        GCEInstanceInfo
//	5  canonical_event_log  bytes
//	6  ak_cert              bytes, DER
//	7  intermediate_certs   bytes, DER, repeated
//	8  sev_snp_attestation  sevsnp.Attestation
//	9  tdx_attestation      tdx.QuoteV4
type Attestation struct {
	AKPublic      []byte
	Quotes        []Quote
	EventLog      []byte
	Instance      *Instance // what the machine says of itself, unsigned; nil if it says nothing
	AKCertificate []byte    // DER; empty if there is none
	Intermediates [][]byte  // DER

	CanonicalLog bool   // there is a log of another format, which is not read
	Report       string // the hardware report that is there and not read: "SEV-SNP", "TDX" or ""
}

// Quote is a tpm.Quote, with its tpm.PCRs:
//
//	1  quote    bytes, TPMS_ATTEST
//	2  raw_sig  bytes, TPMT_SIGNATURE
//	3  pcrs     tpm.PCRs: 1 hash, 2 pcrs (a map of number to bytes)
type Quote struct {
	Attest    []byte
	Signature []byte
	Bank      tpm.Algorithm // SHA-1 included
	Values    map[int][]byte
}

// Decode parses an attestation.
func Decode(b []byte) (*Attestation, error) {
	a, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("parsing attestation: %w", err)
	}
	return a, nil
}

func decode(b []byte) (*Attestation, error) {
	if len(b) > maxSize {
		return nil, fmt.Errorf("length: got %d, want at most %d", len(b), maxSize)
	}
	a := &Attestation{}
	var seen uint16
	for m := (message{b: b}); m.more(); {
		f, err := m.next()
		if err != nil {
			return nil, err
		}
		if f.number < fieldAKPublic || f.number > fieldTDX || f.wire != wireBytes {
			return nil, fmt.Errorf("field %d of wire type %d: unknown", f.number, f.wire)
		}
		if seen&(1<<f.number) != 0 && f.number != fieldQuotes && f.number != fieldIntermediate {
			return nil, fmt.Errorf("field %d: comes twice", f.number)
		}
		seen |= 1 << f.number
		if err := a.set(f); err != nil {
			return nil, fmt.Errorf("field %d: %w", f.number, err)
		}
	}
	if len(a.AKPublic) == 0 || len(a.Quotes) == 0 {
		return nil, fmt.Errorf("got %d bytes of an attestation key and %d quotes, want both", len(a.AKPublic), len(a.Quotes))
	}
	if seen&(1<<fieldSNP) != 0 && seen&(1<<fieldTDX) != 0 {
		return nil, fmt.Errorf("fields %d and %d: want one hardware report", fieldSNP, fieldTDX)
	}
	return a, nil
}

func (a *Attestation) set(f field) error {
	switch f.number {
	case fieldAKPublic:
		a.AKPublic = f.bytes
	case fieldQuotes:
		return a.addQuote(f.bytes)
	case fieldEventLog:
		a.EventLog = f.bytes
	case fieldInstance:
		i, err := decodeInstance(f.bytes)
		a.Instance = i
		return err
	case fieldCanonicalLog:
		a.CanonicalLog = true
	case fieldAKCert:
		a.AKCertificate = f.bytes
	case fieldIntermediate:
		if len(a.Intermediates) == maxIntermediate {
			return fmt.Errorf("got more than %d", maxIntermediate)
		}
		a.Intermediates = append(a.Intermediates, f.bytes)
	case fieldSNP:
		a.Report = "SEV-SNP"
	case fieldTDX:
		a.Report = "TDX"
	}
	return nil
}

// addQuote reads a tpm.Quote, one for each bank.
func (a *Attestation) addQuote(b []byte) error {
	q := Quote{}
	err := fields(b, func(f field) error {
		switch {
		case f.number == 1 && f.wire == wireBytes:
			q.Attest = f.bytes
		case f.number == 2 && f.wire == wireBytes:
			q.Signature = f.bytes
		case f.number == 3 && f.wire == wireBytes:
			return q.registers(f.bytes)
		default:
			return errUnknown(f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(q.Attest) == 0 || len(q.Signature) == 0 || len(q.Values) == 0 {
		return fmt.Errorf("quote: got %d bytes, a signature of %d and %d registers, want all three", len(q.Attest), len(q.Signature), len(q.Values))
	}
	for i := range a.Quotes {
		if a.Quotes[i].Bank == q.Bank {
			return fmt.Errorf("quote: bank %#04x comes twice", uint16(q.Bank))
		}
	}
	if len(a.Quotes) == maxQuotes {
		return fmt.Errorf("got more than %d", maxQuotes)
	}
	a.Quotes = append(a.Quotes, q)
	return nil
}

// registers reads a tpm.PCRs. The map's entries may come in any order.
func (q *Quote) registers(b []byte) error {
	q.Values = map[int][]byte{}
	for m := (message{b: b}); m.more(); {
		f, err := m.next()
		if err != nil {
			return err
		}
		switch {
		case f.number == 1 && f.wire == wireVarint && q.Bank == 0:
			if q.Bank = tpm.Algorithm(f.value); f.value > 0xffff || bankSize(q.Bank) == 0 {
				return fmt.Errorf("bank: got %#x, want a hash of the SHA family", f.value)
			}
		case f.number == 2 && f.wire == wireBytes:
			if err := q.register(f.bytes); err != nil {
				return err
			}
		default:
			return errUnknown(f)
		}
	}
	size := bankSize(q.Bank)
	for i, v := range q.Values {
		if size == 0 || len(v) != size {
			return fmt.Errorf("register %d of bank %#04x: got %d bytes, want %d", i, uint16(q.Bank), len(v), size)
		}
	}
	return nil
}

// register reads an entry of the map: 1 key, 2 value.
func (q *Quote) register(b []byte) error {
	var value []byte
	index := uint64(pcrs)
	if err := fields(b, func(f field) error {
		switch {
		case f.number == 1 && f.wire == wireVarint:
			index = f.value
		case f.number == 2 && f.wire == wireBytes:
			value = f.bytes
		default:
			return errUnknown(f)
		}
		return nil
	}); err != nil {
		return err
	}
	if index >= pcrs {
		return fmt.Errorf("register: got index %d, want one below %d", index, pcrs)
	}
	if _, twice := q.Values[int(index)]; twice {
		return fmt.Errorf("register %d: comes twice", index)
	}
	q.Values[int(index)] = value
	return nil
}

// bankSize is the length of a register, 0 for a hash that no bank has.
func bankSize(a tpm.Algorithm) int {
	switch a {
	case tpm.AlgSHA1:
		return 20
	case tpm.AlgSHA256:
		return 32
	case tpm.AlgSHA384:
		return 48
	case tpm.AlgSHA512:
		return 64
	}
	return 0
}

// fields calls set for each field of a message in which none may come twice.
func fields(b []byte, set func(field) error) error {
	var seen uint64
	for m := (message{b: b}); m.more(); {
		f, err := m.next()
		if err != nil {
			return err
		}
		if f.number >= 64 || seen&(1<<f.number) != 0 {
			return fmt.Errorf("field %d: unknown, or comes twice", f.number)
		}
		seen |= 1 << f.number
		if err := set(f); err != nil {
			return err
		}
	}
	return nil
}

func errUnknown(f field) error {
	return fmt.Errorf("field %d of wire type %d: unknown, or comes twice", f.number, f.wire)
}
