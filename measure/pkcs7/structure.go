package pkcs7

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
)

// contentInfo is ContentInfo of RFC 2315, section 7.
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
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

// issuerAndSerial is IssuerAndSerialNumber of RFC 2315, section 6.7.
type issuerAndSerial struct {
	Name   asn1.RawValue
	Serial *big.Int
}

// attribute is Attribute of RFC 2985, appendix A.
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue `asn1:"set"`
}
