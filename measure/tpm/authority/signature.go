package authority

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// Object identifiers of a signature.
const (
	oidSignedData      = "1.2.840.113549.1.7.2"   // RFC 2315, section 14
	oidIndirectData    = "1.3.6.1.4.1.311.2.1.4"  // Authenticode 1.0, SPC_INDIRECT_DATA_OBJID
	oidMessageDigest   = "1.2.840.113549.1.9.4"   // RFC 2985, section 5.3.2
	oidSHA256          = "2.16.840.1.101.3.4.2.1" // RFC 5754, section 2.2
	oidRSA             = "1.2.840.113549.1.1.1"   // RFC 8017, appendix A.1
	certificateVersion = 0x0200                   // UEFI 2.10, section 32.2.4, WIN_CERTIFICATE
	certificatePKCS    = 0x0002                   // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	winHeaderSize      = 8                        // dwLength, wRevision, wCertificateType
	maxSignature       = 1 << 16                  // of a WIN_CERTIFICATE
)

// contentInfo is ContentInfo of RFC 2315, section 7.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

// signedData is SignedData of RFC 2315, section 9.1.
type signedData struct {
	Version          int
	DigestAlgorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Content          contentInfo
	Certificates     asn1.RawValue `asn1:"optional,tag:0"`
	CRLs             asn1.RawValue `asn1:"optional,tag:1"`
	Signers          []signerInfo  `asn1:"set"`
}

// signerInfo is SignerInfo of RFC 2315, section 9.2.
type signerInfo struct {
	Version         int
	Issuer          issuerAndSerial
	DigestAlgorithm pkix.AlgorithmIdentifier
	Authenticated   asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm       pkix.AlgorithmIdentifier
	Signature       []byte
	Unauthenticated asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Name   asn1.RawValue
	Serial *big.Int
}

// attribute is Attribute of RFC 2985, appendix A.
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue `asn1:"set"`
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

// openSignature checks the one signature of an image whose Authenticode digest
// is given, and returns the certificate of who made it. Firmware accepts more
// than this does; what a boot was not seen with is refused.
func openSignature(table []byte, digest [32]byte) (*x509.Certificate, error) {
	der, err := openTable(table)
	if err != nil {
		return nil, err
	}
	sd, err := decodeSignedData(der)
	if err != nil {
		return nil, err
	}
	signer, err := decodeCertificate(sd)
	if err != nil {
		return nil, err
	}
	content, err := checkContent(sd, digest)
	if err != nil {
		return nil, err
	}
	if err := checkSigner(&sd.Signers[0], signer, content); err != nil {
		return nil, err
	}
	return signer, nil
}

// openTable takes the PKCS #7 message out of the attribute certificate table.
func openTable(b []byte) ([]byte, error) {
	if len(b) < winHeaderSize || len(b) > maxSignature {
		return nil, fmt.Errorf("certificate table: got %d bytes, want %d to %d", len(b), winHeaderSize, maxSignature)
	}
	le := binary.LittleEndian
	size := le.Uint32(b)
	if size < winHeaderSize || uint64(size) > uint64(len(b)) || len(b)-int(size) >= 8 {
		return nil, fmt.Errorf("certificate table: first certificate: got %d bytes, want it to fill the %d bytes of the table: several signatures were not seen", size, len(b))
	}
	if version, kind := le.Uint16(b[4:]), le.Uint16(b[6:]); version != certificateVersion || kind != certificatePKCS {
		return nil, fmt.Errorf("certificate table: revision and type: got %#04x %#04x, want %#04x %#04x", version, kind, certificateVersion, certificatePKCS)
	}
	return b[winHeaderSize:size], nil
}

func decodeSignedData(der []byte) (*signedData, error) {
	var outer contentInfo
	rest, err := asn1.Unmarshal(der, &outer)
	if err != nil {
		return nil, fmt.Errorf("PKCS #7 message: %w", err)
	}
	// dwLength may count the padding to 8 (sbsigntool does).
	if len(rest) >= 8 || len(bytes.TrimLeft(rest, "\x00")) != 0 {
		return nil, fmt.Errorf("PKCS #7 message: %d bytes follow it", len(rest))
	}
	if got := outer.Type.String(); got != oidSignedData {
		return nil, fmt.Errorf("PKCS #7 message: type: got %s, want %s (signed data)", got, oidSignedData)
	}
	sd := &signedData{}
	if err := unmarshal(outer.Content.Bytes, sd); err != nil {
		return nil, fmt.Errorf("signed data: %w", err)
	}
	if len(sd.Signers) != 1 {
		return nil, fmt.Errorf("signed data: got %d signers, want 1", len(sd.Signers))
	}
	return sd, nil
}

// unmarshal is asn1.Unmarshal that wants every byte used.
func unmarshal(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err == nil && len(rest) != 0 {
		err = fmt.Errorf("%d bytes follow", len(rest))
	}
	return err
}

// decodeCertificate returns the signer's certificate. With more than one in
// the message, firmware builds chains, which was not seen.
func decodeCertificate(sd *signedData) (*x509.Certificate, error) {
	cert, err := parseCertificate(sd.Certificates.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificates of the signature: want exactly one: %w", err)
	}
	want := sd.Signers[0].Issuer
	if !bytes.Equal(cert.RawIssuer, want.Name.FullBytes) || cert.SerialNumber.Cmp(want.Serial) != 0 {
		return nil, errors.New("certificates of the signature: the one there is not the signer's")
	}
	return cert, nil
}

// checkContent compares the digest that was signed with the image's, and
// returns the signed bytes.
func checkContent(sd *signedData, digest [32]byte) ([]byte, error) {
	if got := sd.Content.Type.String(); got != oidIndirectData {
		return nil, fmt.Errorf("signed content: type: got %s, want %s (Authenticode)", got, oidIndirectData)
	}
	var content indirectData
	var outer asn1.RawValue
	if err := unmarshal(sd.Content.Content.Bytes, &outer); err != nil {
		return nil, fmt.Errorf("signed content: %w", err)
	}
	if err := unmarshal(sd.Content.Content.Bytes, &content); err != nil {
		return nil, fmt.Errorf("signed content: %w", err)
	}
	if got := content.Digest.Algorithm.Algorithm.String(); got != oidSHA256 {
		return nil, fmt.Errorf("signed content: digest algorithm: got %s, want %s (SHA-256): others were not seen", got, oidSHA256)
	}
	if got := content.Digest.Value; !bytes.Equal(got, digest[:]) {
		return nil, fmt.Errorf("signed content: digest: got %x, want %x, the image's: it was changed after signing", got, digest)
	}
	return outer.Bytes, nil
}

// checkSigner verifies the signature over the authenticated attributes (RFC
// 2315, section 9.3), which hold the hash of the content.
func checkSigner(s *signerInfo, cert *x509.Certificate, content []byte) error {
	if got := s.DigestAlgorithm.Algorithm.String(); got != oidSHA256 {
		return fmt.Errorf("signer: digest algorithm: got %s, want %s (SHA-256): others were not seen", got, oidSHA256)
	}
	if got := s.Algorithm.Algorithm.String(); got != oidRSA {
		return fmt.Errorf("signer: signature algorithm: got %s, want %s (RSA): others were not seen", got, oidRSA)
	}
	found, err := messageDigest(s.Authenticated.Bytes)
	if err != nil {
		return fmt.Errorf("signer: authenticated attributes: %w", err)
	}
	if want := sha256.Sum256(content); !bytes.Equal(found, want[:]) {
		return fmt.Errorf("signer: message digest: got %x, want %x", found, want)
	}
	if len(s.Authenticated.FullBytes) == 0 {
		return errors.New("signer: authenticated attributes: missing")
	}
	// They are signed with the tag of a SET instead of their own.
	signed := bytes.Clone(s.Authenticated.FullBytes)
	signed[0] = asn1.TagSet | 0x20
	if err := cert.CheckSignature(x509.SHA256WithRSA, signed, s.Signature); err != nil {
		return fmt.Errorf("signer: %w", err)
	}
	return nil
}

// messageDigest finds the one attribute of that type.
func messageDigest(attributes []byte) ([]byte, error) {
	var found []byte
	for rest := attributes; len(rest) > 0; {
		var a attribute
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return nil, err
		}
		if a.Type.String() != oidMessageDigest {
			continue
		}
		if found != nil {
			return nil, errors.New("message digest: told twice")
		}
		if err := unmarshal(a.Values.Bytes, &found); err != nil {
			return nil, fmt.Errorf("message digest: %w", err)
		}
	}
	if found == nil {
		return nil, errors.New("message digest: missing")
	}
	return found, nil
}
