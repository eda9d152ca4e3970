package tdx

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Certification data types (Intel TDX DCAP Quoting Library API, rev. 0.9,
// A.3.9: QE Certification Data).
const (
	certificationChain = 5 // PEM: PCK leaf, intermediate, root
	certificationQE    = 6 // QE report and what certifies it
)

const certificationHeader = 6 // type u16, size u32

// SignatureData is the last part of a quote (A.3.8: ECDSA 256-bit Quote
// Signature Data Structure, Version 4).
type SignatureData struct {
	Signature   [64]byte      // r || s, big endian, by Key over header and body
	Key         [64]byte      // attestation key on P-256: x || y, big endian
	Report      EnclaveReport // of the quoting enclave
	QESignature [64]byte      // r || s by the PCK over the report
	AuthData    []byte        // of the quoting enclave; the report binds it with Key
	Chain       []byte        // PEM: PCK leaf, intermediate, root; a NUL byte may follow
}

// decodeSignatureData reads signature data that begins at an offset of the
// quote and has no byte too many:
//
//	signature    64 bytes
//	key          64 bytes
//	type, size   u16, u32   6
//	QE report    384 bytes
//	signature    64 bytes   of the PCK
//	auth data    u16, bytes
//	type, size   u16, u32   5
//	PEM
func decodeSignatureData(b []byte, at int) (SignatureData, error) {
	const fixed = 64 + 64 + certificationHeader + reportSize + 64 + 2
	if len(b) < fixed {
		return SignatureData{}, fmt.Errorf("signature data at %#x: got %d bytes, want at least %d", at, len(b), fixed)
	}
	d := SignatureData{Signature: [64]byte(b), Key: [64]byte(b[64:])}
	rest, err := certification(b[128:], at+128, certificationQE)
	if err != nil {
		return d, err
	}
	if d.Report, err = decodeReport(rest[:reportSize], at+128+certificationHeader); err != nil {
		return d, err
	}
	d.QESignature = [64]byte(rest[reportSize:])
	size := int(binary.LittleEndian.Uint16(rest[reportSize+64:]))
	rest = rest[reportSize+64+2:]
	if len(rest) < size+certificationHeader {
		return d, fmt.Errorf("QE authentication data at %#x: size: got %d, want at most %d", at+fixed-2, size, len(rest)-certificationHeader)
	}
	d.AuthData = rest[:size:size]
	if d.Chain, err = certification(rest[size:], at+fixed+size, certificationChain); err != nil {
		return d, err
	}
	return d, nil
}

// certification reads the header of certification data, which must be of a
// type and reach to the end.
func certification(b []byte, at int, kind uint16) ([]byte, error) {
	if len(b) < certificationHeader {
		return nil, errors.New("certification data: cut off")
	}
	if got := binary.LittleEndian.Uint16(b); got != kind {
		return nil, fmt.Errorf("certification data type at %#x: got %d, want %d", at, got, kind)
	}
	if got, want := binary.LittleEndian.Uint32(b[2:]), uint32(len(b)-certificationHeader); got != want {
		return nil, fmt.Errorf("certification data size at %#x: got %d, want %d", at+2, got, want)
	}
	return b[certificationHeader:], nil
}

// append is the inverse of decodeSignatureData.
func (d *SignatureData) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, d.Signature[:]...)
	b = append(b, d.Key[:]...)
	b = le.AppendUint16(b, certificationQE)
	b = le.AppendUint32(b, uint32(reportSize+64+2+len(d.AuthData)+certificationHeader+len(d.Chain)))
	b = append(b, d.Report.Encode()...)
	b = append(b, d.QESignature[:]...)
	b = le.AppendUint16(b, uint16(len(d.AuthData)))
	b = append(b, d.AuthData...)
	b = le.AppendUint16(b, certificationChain)
	b = le.AppendUint32(b, uint32(len(d.Chain)))
	return append(b, d.Chain...)
}
