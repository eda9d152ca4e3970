package variables

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"safebox/measure/pkcs7"
)

// Layout of an update, a file NAME.auth (UEFI 2.10, section 8.2.2:
// EFI_VARIABLE_AUTHENTICATION_2).
const (
	timeSize        = 16
	winHeaderSize   = 8 + 16 // WIN_CERTIFICATE_UEFI_GUID: dwLength, wRevision, wCertificateType, CertType
	winRevision     = 0x0200
	winTypeUEFIGUID = 0x0ef1 // WIN_CERT_TYPE_EFI_GUID
	maxUpdate       = 1 << 20
)

// typePKCS7 is EFI_CERT_TYPE_PKCS7_GUID (UEFI 2.10, section 32.2.4).
func typePKCS7() [16]byte {
	return [16]byte{0x9d, 0xd2, 0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49, 0x8a, 0xa9, 0x34, 0x7d, 0x37, 0x56, 0x65, 0xa7}
}

// ToBeSigned gives the bytes over which an update is signed (UEFI 2.10, section
// 8.2.2): the name in UTF-16LE without a NUL, owner, attributes, time, data.
func (v *Variable) ToBeSigned() []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(v.Name)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	b = append(b, v.Owner[:]...)
	b = binary.LittleEndian.AppendUint32(b, Attributes)
	b = append(b, v.Time[:]...)
	return append(b, v.Data...)
}

// Sign gives the update signed with a key that is at hand.
func (v *Variable) Sign(key crypto.Signer, cert *x509.Certificate) ([]byte, error) {
	signature, err := pkcs7.Sign(v.ToBeSigned(), key, cert)
	if err != nil {
		return nil, fmt.Errorf("signing update of %s: %w", v.Name, err)
	}
	return v.Attach(signature, cert)
}

// Attach gives the update with a signature over ToBeSigned, which is checked:
//
//	TimeStamp         16 bytes
//	dwLength          u32, from here to the end of CertData
//	wRevision         u16
//	wCertificateType  u16
//	CertType          16 bytes
//	CertData          SignedData, detached, without authenticated attributes
//	                  and without a ContentInfo around it
//	data              the variable's
func (v *Variable) Attach(signature []byte, cert *x509.Certificate) ([]byte, error) {
	if err := pkcs7.CheckSigner(cert); err != nil {
		return nil, fmt.Errorf("signing update of %s: %w", v.Name, err)
	}
	s := &pkcs7.SignedData{ContentType: pkcs7.Data(), Signer: cert, Signature: signature}
	der, err := s.EncodeBare()
	if err != nil {
		return nil, fmt.Errorf("signing update of %s: %w", v.Name, err)
	}
	le := binary.LittleEndian
	b := bytes.Clone(v.Time[:])
	b = le.AppendUint32(b, uint32(winHeaderSize+len(der)))
	b = le.AppendUint16(b, winRevision)
	b = le.AppendUint16(b, winTypeUEFIGUID)
	kind := typePKCS7()
	b = append(append(append(b, kind[:]...), der...), v.Data...)
	if _, _, err := OpenUpdate(v.Name, b); err != nil {
		return nil, fmt.Errorf("signing update of %s: %w", v.Name, err)
	}
	return b, nil
}

// OpenUpdate reads an update of the variable of that name, checks its signature
// and gives the certificate that it was signed with. Whether that may sign
// depends on what a machine has enrolled.
func OpenUpdate(name string, b []byte) (*Variable, *x509.Certificate, error) {
	if len(b) < timeSize+winHeaderSize || len(b) > maxUpdate {
		return nil, nil, fmt.Errorf("parsing update: got %d bytes, want %d to %d", len(b), timeSize+winHeaderSize, maxUpdate)
	}
	le := binary.LittleEndian
	win := b[timeSize:]
	length, revision, kind := le.Uint32(win), le.Uint16(win[4:]), le.Uint16(win[6:])
	if length < winHeaderSize || uint64(length) > uint64(len(win)) {
		return nil, nil, fmt.Errorf("parsing update at %#x: length: got %d, want %d to %d", timeSize, length, winHeaderSize, len(win))
	}
	if revision != winRevision || kind != winTypeUEFIGUID || [16]byte(win[8:24]) != typePKCS7() {
		return nil, nil, fmt.Errorf("parsing update at %#x: revision and type: got %#04x %#04x %x, want %#04x %#04x %x",
			timeSize+4, revision, kind, win[8:24], winRevision, winTypeUEFIGUID, typePKCS7())
	}
	v, err := New(name, Time(b[:timeSize]), bytes.Clone(win[length:]))
	if err != nil {
		return nil, nil, fmt.Errorf("parsing update at %#x: %w", timeSize+int(length), err)
	}
	s, err := openSignature(win[winHeaderSize:length])
	if err != nil {
		return nil, nil, fmt.Errorf("parsing update at %#x: %w", timeSize+winHeaderSize, err)
	}
	if err := s.Verify(v.ToBeSigned()); err != nil {
		return nil, nil, fmt.Errorf("verifying update of %s: %w", name, err)
	}
	return v, s.Signer, nil
}

// openSignature reads the SignedData of an update.
func openSignature(der []byte) (*pkcs7.SignedData, error) {
	s, err := pkcs7.DecodeBare(der)
	if err != nil {
		return nil, err
	}
	if s.Content != nil || !s.ContentType.Equal(pkcs7.Data()) {
		return nil, fmt.Errorf("signed data: content: got type %v with %d bytes, want %v without", s.ContentType, len(s.Content), pkcs7.Data())
	}
	if s.Attributes != nil {
		return nil, fmt.Errorf("signed data: authenticated attributes: got %d bytes, want none", len(s.Attributes))
	}
	return s, nil
}
