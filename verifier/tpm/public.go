package tpm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/big"
)

// maxPublic bounds a TPMT_PUBLIC: an RSA key of 2048 bits with a policy takes
// less than 400 bytes.
const maxPublic = 512

// Public is a TPMT_PUBLIC (Part 2, 12.2.4) of a kind that keys here may
// have: an RSA-2048 or an ECC key, either restricted decryption (an endorsement
// key) or restricted signing with ECDSA and SHA-256 (an attestation key).
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
	Scheme     Algorithm // AlgECDSA with SHA-256, or AlgNull
	Curve      Curve     // of an ECC key, else 0
	Modulus    []byte    // of an RSA key: 256 bytes; the exponent is 65537
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
// u16 scheme (null: an endorsement key), u16 key bits, u32 exponent (0 stands
// for 65537), TPM2B modulus.
func (p *Public) rsa(r *reader) {
	p.symmetric(r)
	r.want(uint16(AlgNull), "scheme")
	p.Scheme = AlgNull
	r.want(2048, "key bits")
	if e := r.u32("exponent"); e != 0 {
		r.refuse("exponent: got %d, want 0, which stands for 65537", e)
	}
	p.Modulus = r.sized(256, "modulus")
	if r.err == nil && (len(p.Modulus) != 256 || p.Modulus[0]&0x80 == 0 || p.Modulus[255]&1 == 0) {
		r.refuse("modulus: got %d bytes, want an odd number of 2048 bits", len(p.Modulus))
	}
}

// ecc reads TPMS_ECC_PARMS (Part 2, 12.2.3.6) and the point: symmetric,
// TPMT_ECC_SCHEME, u16 curve, TPMT_KDF_SCHEME (null), TPM2B x, TPM2B y.
func (p *Public) ecc(r *reader) {
	p.symmetric(r)
	p.Scheme = Algorithm(r.u16("scheme"))
	switch p.Scheme {
	case AlgNull:
	case AlgECDSA:
		r.want(uint16(AlgSHA256), "hash of the scheme")
	default:
		r.refuse("scheme: got %#04x, want ECDSA or null", uint16(p.Scheme))
	}
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

// size is the length of a digest, 0 for an algorithm that is not a known hash.
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
