package authority

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"

	"safebox/measure/pkcs7"
)

// Fields of the WIN_CERTIFICATE of a signature (UEFI 2.10, section 32.2.4).
const (
	CertificateRevision   = 0x0200
	CertificatePKCS       = 0x0002 // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	CertificateHeaderSize = 8      // dwLength, wRevision, wCertificateType
)

// maxSignature bounds a WIN_CERTIFICATE.
const maxSignature = 1 << 16

// IndirectDataType is SPC_INDIRECT_DATA_OBJID of Authenticode 1.0, the type of
// the content that an image's signature signs.
func IndirectDataType() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
}

// indirectData is SpcIndirectDataContent of Authenticode 1.0, section
// "SpcIndirectDataContent".
type indirectData struct {
	Data   asn1.RawValue
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Value     []byte
	}
}

// OpenSignature checks the one signature of an image whose Authenticode digest
// is given, and returns the certificate of who made it. Firmware accepts more
// than this does; what a boot was not seen with is refused.
func OpenSignature(table []byte, digest [32]byte) (*x509.Certificate, error) {
	der, err := openTable(table)
	if err != nil {
		return nil, err
	}
	sd, err := pkcs7.Decode(der)
	if err != nil {
		return nil, err
	}
	content, err := checkContent(sd, digest)
	if err != nil {
		return nil, err
	}
	if sd.Attributes == nil {
		return nil, errors.New("signer: authenticated attributes: missing")
	}
	if err := sd.Verify(content); err != nil {
		return nil, err
	}
	return sd.Signer, nil
}

// openTable takes the PKCS #7 message out of the attribute certificate table.
func openTable(b []byte) ([]byte, error) {
	if len(b) < CertificateHeaderSize || len(b) > maxSignature {
		return nil, fmt.Errorf("certificate table: got %d bytes, want %d to %d", len(b), CertificateHeaderSize, maxSignature)
	}
	le := binary.LittleEndian
	size := le.Uint32(b)
	if size < CertificateHeaderSize || uint64(size) > uint64(len(b)) || len(b)-int(size) >= 8 {
		return nil, fmt.Errorf("certificate table: first certificate: got %d bytes, want it to fill the %d bytes of the table: several signatures were not seen", size, len(b))
	}
	if version, kind := le.Uint16(b[4:]), le.Uint16(b[6:]); version != CertificateRevision || kind != CertificatePKCS {
		return nil, fmt.Errorf("certificate table: revision and type: got %#04x %#04x, want %#04x %#04x", version, kind, CertificateRevision, CertificatePKCS)
	}
	return cutPadding(b[CertificateHeaderSize:size])
}

// cutPadding cuts the zeros behind the message: dwLength may count the padding
// to 8 (sbsigntool's does).
func cutPadding(b []byte) ([]byte, error) {
	var message asn1.RawValue
	rest, err := asn1.Unmarshal(b, &message)
	if err != nil {
		return nil, fmt.Errorf("PKCS #7 message: %w", err)
	}
	if len(rest) >= 8 || len(bytes.TrimLeft(rest, "\x00")) != 0 {
		return nil, fmt.Errorf("PKCS #7 message: %d bytes follow it", len(rest))
	}
	return message.FullBytes, nil
}

// checkContent compares the digest that was signed with the image's, and
// returns the signed bytes.
func checkContent(sd *pkcs7.SignedData, digest [32]byte) ([]byte, error) {
	if !sd.ContentType.Equal(IndirectDataType()) {
		return nil, fmt.Errorf("signed content: type: got %v, want %v (Authenticode)", sd.ContentType, IndirectDataType())
	}
	var content indirectData
	var outer asn1.RawValue
	if err := pkcs7.Unmarshal(sd.Content, &outer); err != nil {
		return nil, fmt.Errorf("signed content: %w", err)
	}
	if err := pkcs7.Unmarshal(sd.Content, &content); err != nil {
		return nil, fmt.Errorf("signed content: %w", err)
	}
	if got := content.Digest.Algorithm.Algorithm; !got.Equal(pkcs7.SHA256()) {
		return nil, fmt.Errorf("signed content: digest algorithm: got %v, want %v (SHA-256): others were not seen", got, pkcs7.SHA256())
	}
	if got := content.Digest.Value; !bytes.Equal(got, digest[:]) {
		return nil, fmt.Errorf("signed content: digest: got %x, want %x, the image's: it was changed after signing", got, digest)
	}
	return outer.Bytes, nil
}
