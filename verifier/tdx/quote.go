package tdx

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Form is the layout of a quote's body.
type Form uint8

// The forms that are read. The zero value is none.
const (
	V4       Form = iota + 1 // quote version 4, body of TDX 1.0
	V5Body10                 // quote version 5, body type 2, of TDX 1.0
	V5Body15                 // quote version 5, body type 3, of TDX 1.5
)

// String gives the form's name in policies.
func (f Form) String() string {
	switch f {
	case V4:
		return "v4"
	case V5Body10:
		return "v5/1.0"
	case V5Body15:
		return "v5/1.5"
	}
	return fmt.Sprintf("form %d", uint8(f))
}

// Sizes and numbers of a quote (Intel TDX DCAP Quoting Library API, rev. 0.9,
// appendix A.3: TD Quote Format; version 5: A.4).
const (
	headerSize  = 48
	version4    = 4
	version5    = 5
	keyECDSA256 = 2    // attestation key type: ECDSA-256 with P-256
	teeTDX      = 0x81 // TEE type; 0 is SGX
	bodyType10  = 2    // version 5: TD report of TDX 1.0
	bodyType15  = 3    // version 5: TD report of TDX 1.5
	bodyHeader  = 6    // version 5: type u16, size u32

	// MaxSize bounds a quote with its padding: the largest blob that Linux
	// hands out (include/linux/tsm.h, TSM_REPORT_OUTBLOB_MAX).
	MaxSize = 32 << 10
)

// QEVendorIntel is the vendor of Intel's quoting enclave (appendix A.3.1).
const QEVendorIntel = "939a7233f79c4ca9940a0db3957f0607"

// Header is the first part of a quote.
type Header struct {
	Version            uint16
	AttestationKeyType uint16
	TEEType            uint32
	QEVendor           [16]byte
	UserData           [20]byte // the quoting enclave's own; its identifier in the first 16 bytes
}

// Quote is a decoded quote. Nothing in it is verified.
type Quote struct {
	Form    Form
	Header  Header
	Body    Body
	Data    SignatureData
	Padding int // zero bytes after the quote

	signed []byte // header and body as received, which the attestation key signs
}

// Decode parses a quote of a TD. Every length must be exact; after the quote
// there may be zeros, with which quoting services fill their buffer, and
// nothing else.
//
//	version             u16       4 or 5
//	attestation key     u16       2
//	TEE type            u32       0x81
//	reserved            u32       0 (quotes of SGX: SVNs of QE and PCE)
//	QE vendor           16 bytes
//	user data           20 bytes
//	body type, size     u16, u32  version 5 alone
//	body                584 or 648 bytes
//	size                u32       of the signature data
//	signature data
//	padding             zeros
func Decode(b []byte) (*Quote, error) {
	q, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("parsing TD quote: %w", err)
	}
	return q, nil
}

func decode(b []byte) (*Quote, error) {
	if len(b) < headerSize || len(b) > MaxSize {
		return nil, fmt.Errorf("length: got %d, want %d to %d", len(b), headerSize, MaxSize)
	}
	h, err := decodeHeader(b)
	if err != nil {
		return nil, err
	}
	q := &Quote{Header: h}
	at, err := q.decodeBody(b)
	if err != nil {
		return nil, err
	}
	q.signed = b[:at:at]
	if len(b)-at < 4 {
		return nil, fmt.Errorf("signature data at %#x: got %d bytes, want a size of 4", at, len(b)-at)
	}
	size := uint64(binary.LittleEndian.Uint32(b[at:]))
	at += 4
	if size > uint64(len(b)-at) {
		return nil, fmt.Errorf("signature data at %#x: size: got %d, want at most the %d bytes left", at, size, len(b)-at)
	}
	end := at + int(size)
	if q.Data, err = decodeSignatureData(b[at:end], at); err != nil {
		return nil, err
	}
	for i, v := range b[end:] {
		if v != 0 {
			return nil, fmt.Errorf("after the quote at %#x: got %#02x, want nothing or zeros", end+i, v)
		}
	}
	q.Padding = len(b) - end
	return q, nil
}

func decodeHeader(b []byte) (Header, error) {
	le := binary.LittleEndian
	h := Header{
		Version: le.Uint16(b), AttestationKeyType: le.Uint16(b[2:]), TEEType: le.Uint32(b[4:]),
		QEVendor: [16]byte(b[12:]), UserData: [20]byte(b[28:]),
	}
	switch {
	case h.TEEType != teeTDX && h.Version == 3:
		return h, errors.New("version: got 3, which is a quote of an SGX enclave, want 4 or 5 of a TD")
	case h.Version != version4 && h.Version != version5:
		return h, fmt.Errorf("version: got %d, want %d or %d", h.Version, version4, version5)
	case h.AttestationKeyType != keyECDSA256:
		return h, fmt.Errorf("attestation key type at 0x2: got %d, want %d (ECDSA P-256)", h.AttestationKeyType, keyECDSA256)
	case h.TEEType != teeTDX:
		return h, fmt.Errorf("TEE type at 0x4: got %#x, want %#x (TDX)", h.TEEType, teeTDX)
	case le.Uint32(b[8:]) != 0:
		return h, fmt.Errorf("reserved at 0x8: got %#x, want 0", le.Uint32(b[8:]))
	}
	return h, nil
}

// decodeBody reads the body and gives the offset after it.
func (q *Quote) decodeBody(b []byte) (int, error) {
	at := headerSize
	size := bodySize10
	q.Form = V4
	if q.Header.Version == version5 {
		if len(b) < at+bodyHeader {
			return 0, fmt.Errorf("body at %#x: got %d bytes, want its type and size", at, len(b)-at)
		}
		kind := binary.LittleEndian.Uint16(b[at:])
		switch kind {
		case bodyType10:
			q.Form = V5Body10
		case bodyType15:
			q.Form, size = V5Body15, bodySize15
		default:
			return 0, fmt.Errorf("body type at %#x: got %d, want %d (TDX 1.0) or %d (TDX 1.5)", at, kind, bodyType10, bodyType15)
		}
		if got := binary.LittleEndian.Uint32(b[at+2:]); got != uint32(size) {
			return 0, fmt.Errorf("body size at %#x: got %d, want %d", at+2, got, size)
		}
		at += bodyHeader
	}
	if len(b)-at < size {
		return 0, fmt.Errorf("body at %#x: got %d bytes, want %d", at, len(b)-at, size)
	}
	q.Body = decodeBody(b[at : at+size])
	return at + size, nil
}

// Encode is the inverse of Decode.
func (q *Quote) Encode() []byte {
	b := append(q.EncodeSigned(), 0, 0, 0, 0)
	at := len(b)
	b = q.Data.append(b)
	binary.LittleEndian.PutUint32(b[at-4:], uint32(len(b)-at))
	return append(b, make([]byte, q.Padding)...)
}

// EncodeSigned gives header and body, which are what the attestation key signs.
func (q *Quote) EncodeSigned() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, 8<<10)
	b = le.AppendUint16(b, q.Header.Version)
	b = le.AppendUint16(b, q.Header.AttestationKeyType)
	b = le.AppendUint32(b, q.Header.TEEType)
	b = le.AppendUint32(b, 0)
	b = append(b, q.Header.QEVendor[:]...)
	b = append(b, q.Header.UserData[:]...)
	switch q.Form {
	case V5Body10:
		b = le.AppendUint32(le.AppendUint16(b, bodyType10), bodySize10)
	case V5Body15:
		b = le.AppendUint32(le.AppendUint16(b, bodyType15), bodySize15)
	}
	return q.Body.append(b, q.Form)
}

// intelQE reports whether the quoting enclave says that it is Intel's.
func (h *Header) intelQE() bool {
	want, err := hex.DecodeString(QEVendorIntel)
	return err == nil && bytes.Equal(h.QEVendor[:], want)
}
