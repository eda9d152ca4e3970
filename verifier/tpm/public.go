package tpm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/big"
)

// maxPublic bounds a TPMT_PUBLIC: an RSA key of 4096 bits with a policy takes
// less than 620 bytes.
const maxPublic = 640

// maxModulus is the size of the modulus of RSA-4096.
const maxModulus = 512

// Public is a TPMT_PUBLIC (Part 2, 12.2.4) of a kind that keys here may
// have: an RSA or an ECC key, for decryption (an endorsement key) or for signing
// with RSASSA or ECDSA and a SHA-2 hash (an attestation key). What a key of
// either kind must be is for CheckAK, CheckEK and CheckQuotingKey to say.
//
//	type              u16        TPM_ALG_RSA or TPM_ALG_ECC
//	nameAlg           u16        TPM_ALG_SHA256 or TPM_ALG_SHA384
//	objectAttributes  u32
//	authPolicy        TPM2B      empty or as long as nameAlg's digest
//	parameters        TPMS_RSA_PARMS or TPMS_ECC_PARMS
//	unique            TPM2B_PUBLIC_KEY_RSA or TPMS_ECC_POINT
type Public struct {
	Type       Algorithm
	NameAlg    Algorithm
	Attributes Attributes
	AuthPolicy []byte
	Symmetric  Algorithm // AlgAES with CFB, or AlgNull
	KeyBits    uint16    // of Symmetric, 0 with AlgNull
	Scheme     Algorithm // AlgECDSA of an ECC key, AlgRSASSA of an RSA key, or AlgNull
	SchemeHash Algorithm // of Scheme: a SHA-2 hash, 0 with AlgNull
	Curve      Curve     // of an ECC key, else 0
	Modulus    []byte    // of an RSA key: 256, 384 or 512 bytes; the exponent is 65537
	X, Y       []byte    // of an ECC key: the curve's size each

	raw []byte
}

// DecodePublic parses a TPMT_PUBLIC. Every byte must belong to it.
func DecodePublic(b []byte) (*Public, error) {
	p, err := decodePublic(b)
	if err != nil {
		return nil, fmt.Errorf("parsing TPMT_PUBLIC: %w", err)
	}
	return p, nil
}

func decodePublic(b []byte) (*Public, error) {
	if len(b) > maxPublic {
		return nil, fmt.Errorf("length: got %d, want at most %d", len(b), maxPublic)
	}
	r := &reader{b: b}
	p := &Public{Type: Algorithm(r.u16("type")), raw: b}
	p.NameAlg = Algorithm(r.u16("name algorithm"))
	p.Attributes = Attributes(r.u32("attributes"))
	p.AuthPolicy = r.sized(maxDigest, "authorization policy")
	if r.err != nil {
		return nil, r.err
	}
	size := p.NameAlg.size()
	if size == 0 {
		return nil, fmt.Errorf("name algorithm: got %#04x, want SHA-256 or SHA-384", uint16(p.NameAlg))
	}
	if n := len(p.AuthPolicy); n != 0 && n != size {
		return nil, fmt.Errorf("authorization policy: got %d bytes, want 0 or %d", n, size)
	}
	switch p.Type {
	case AlgRSA:
		p.rsa(r)
	case AlgECC:
		p.ecc(r)
	default:
		return nil, fmt.Errorf("type: got %#04x, want RSA or ECC", uint16(p.Type))
	}
	return p, r.done()
}

// symmetric reads a TPMT_SYM_DEF_OBJECT (Part 2, 11.1.7): u16 algorithm,
// then, unless it is null, u16 key bits and u16 mode.
func (p *Public) symmetric(r *reader) {
	p.Symmetric = Algorithm(r.u16("symmetric algorithm"))
	switch p.Symmetric {
	case AlgNull:
	case AlgAES:
		p.KeyBits = r.u16("symmetric key bits")
		if p.KeyBits != 128 && p.KeyBits != 256 {
			r.refuse("symmetric key bits: got %d, want 128 or 256", p.KeyBits)
		}
		r.want(uint16(AlgCFB), "symmetric mode")
	default:
		r.refuse("symmetric algorithm: got %#04x, want AES or null", uint16(p.Symmetric))
	}
}

// rsa reads TPMS_RSA_PARMS (Part 2, 12.2.3.5) and the modulus: symmetric,
// TPMT_RSA_SCHEME (null: an endorsement key), u16 key bits, u32 exponent (0
// stands for 65537), TPM2B modulus.
func (p *Public) rsa(r *reader) {
	p.symmetric(r)
	p.scheme(r, AlgRSASSA)
	bits := int(r.u16("key bits"))
	if bits != 2048 && bits != 3072 && bits != 4096 {
		r.refuse("key bits: got %d, want 2048, 3072 or 4096", bits)
	}
	if e := r.u32("exponent"); e != 0 {
		r.refuse("exponent: got %d, want 0, which stands for 65537", e)
	}
	p.Modulus = r.sized(maxModulus, "modulus")
	if n := len(p.Modulus); r.err == nil && (8*n != bits || p.Modulus[0]&0x80 == 0 || p.Modulus[n-1]&1 == 0) {
		r.refuse("modulus: got %d bytes, want an odd number of %d bits", n, bits)
	}
}

// scheme reads a TPMT_RSA_SCHEME or TPMT_ECC_SCHEME (Part 2, 11.2.4.2 and
// 11.2.5.6): u16 algorithm, then, unless it is null, u16 hash.
func (p *Public) scheme(r *reader, signing Algorithm) {
	switch p.Scheme = Algorithm(r.u16("scheme")); p.Scheme {
	case AlgNull:
	case signing:
		p.SchemeHash = Algorithm(r.u16("hash of the scheme"))
		if p.SchemeHash.Hash() == 0 {
			r.refuse("hash of the scheme: got %#04x, want SHA-256, SHA-384 or SHA-512", uint16(p.SchemeHash))
		}
	default:
		r.refuse("scheme: got %#04x, want %#04x or null", uint16(p.Scheme), uint16(signing))
	}
}

// ecc reads TPMS_ECC_PARMS (Part 2, 12.2.3.6) and the point: symmetric,
// TPMT_ECC_SCHEME, u16 curve, TPMT_KDF_SCHEME (null), TPM2B x, TPM2B y.
func (p *Public) ecc(r *reader) {
	p.symmetric(r)
	p.scheme(r, AlgECDSA)
	p.Curve = Curve(r.u16("curve"))
	r.want(uint16(AlgNull), "key derivation")
	p.X, p.Y = r.sized(66, "x"), r.sized(66, "y")
	if r.err != nil {
		return
	}
	size := p.Curve.size()
	if size == 0 {
		r.refuse("curve: got %#04x, want P-256 or P-384", uint16(p.Curve))
	} else if len(p.X) != size || len(p.Y) != size {
		r.refuse("point: got %d and %d bytes, want %d each", len(p.X), len(p.Y), size)
	}
}

// Bytes is the TPMT_PUBLIC as it was decoded.
func (p *Public) Bytes() []byte { return p.raw }

// Name is the object's Name: nameAlg, then the digest of the TPMT_PUBLIC (Part
// 1, section 16, "Names").
func (p *Public) Name() []byte {
	name := binary.BigEndian.AppendUint16(nil, uint16(p.NameAlg))
	if p.NameAlg == AlgSHA384 {
		sum := sha512.Sum384(p.raw)
		return append(name, sum[:]...)
	}
	sum := sha256.Sum256(p.raw)
	return append(name, sum[:]...)
}

// ECDSA gives the key for crypto/ecdsa. It refuses a point that is not on the
// curve.
func (p *Public) ECDSA() (*ecdsa.PublicKey, error) {
	curve := p.Curve.std()
	if p.Type != AlgECC || curve == nil {
		return nil, fmt.Errorf("key type: got %#04x, want ECC on a known curve", uint16(p.Type))
	}
	point := append(append([]byte{4}, p.X...), p.Y...) // SEC 1, 2.3.3: uncompressed
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, fmt.Errorf("point: got %x, %x, want one on the curve: %w", p.X, p.Y, err)
	}
	return key, nil
}

// RSA gives the key for crypto/rsa.
func (p *Public) RSA() (*rsa.PublicKey, error) {
	if p.Type != AlgRSA {
		return nil, fmt.Errorf("key type: got %#04x, want RSA", uint16(p.Type))
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(p.Modulus), E: 65537}, nil
}

// Key gives the key for crypto/rsa or crypto/ecdsa: an *rsa.PublicKey or an
// *ecdsa.PublicKey.
func (p *Public) Key() (crypto.PublicKey, error) {
	if p.Type == AlgRSA {
		return p.RSA()
	}
	return p.ECDSA()
}

// size is the length of a digest of a Name or a bank, 0 for an algorithm that
// these may not use.
func (a Algorithm) size() int {
	switch a {
	case AlgSHA256:
		return sha256.Size
	case AlgSHA384:
		return sha512.Size384
	}
	return 0
}

// size is the length of a coordinate, 0 for an unknown curve.
func (c Curve) size() int {
	switch c {
	case CurveP256:
		return 32
	case CurveP384:
		return 48
	}
	return 0
}

func (c Curve) std() elliptic.Curve {
	switch c {
	case CurveP256:
		return elliptic.P256()
	case CurveP384:
		return elliptic.P384()
	}
	return nil
}
