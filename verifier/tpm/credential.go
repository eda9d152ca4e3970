package tpm

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// identity is the label of credential protection, with its NUL (Part 1,
// section 24.4).
const identity = "IDENTITY\x00"

// MakeCredential encrypts value so that only the TPM that has the endorsement
// key can read it, and only when it holds a key with the given Name (Part 1,
// section 24). credential is the buffer of a TPM2B_ID_OBJECT and secret that of a
// TPM2B_ENCRYPTED_SECRET, as TPM2_ActivateCredential takes them.
//
//  1. seed: random and RSA-OAEP encrypted to an RSA key; agreed with a fresh
//     key and ECDH for an ECC key;
//  2. encIdentity = AES-CFB(KDFa(seed, "STORAGE", name), TPM2B value), IV zero;
//  3. outer HMAC with KDFa(seed, "INTEGRITY") over encIdentity and the name;
//  4. credential = TPM2B HMAC and encIdentity.
func MakeCredential(random io.Reader, ek *Public, name, value []byte) (credential, secret []byte, err error) {
	if n := len(value); n == 0 || n > ek.NameAlg.size() {
		return nil, nil, fmt.Errorf("making credential: value: got %d bytes, want 1 to %d", n, ek.NameAlg.size())
	}
	if ek.Symmetric != AlgAES {
		return nil, nil, errors.New("making credential: the key has no symmetric algorithm: want an endorsement key")
	}
	var seed []byte
	switch ek.Type {
	case AlgRSA:
		seed, secret, err = rsaSeed(random, ek)
	case AlgECC:
		seed, secret, err = eccSeed(random, ek)
	default:
		err = fmt.Errorf("key type: got %#04x, want RSA or ECC", uint16(ek.Type))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("making credential: %w", err)
	}
	bits := 8 * ek.NameAlg.size()
	block, err := aes.NewCipher(kdfa(ek.NameAlg, seed, "STORAGE", name, int(ek.KeyBits)))
	if err != nil {
		return nil, nil, fmt.Errorf("making credential: %w", err)
	}
	encrypted := encryptCFB(block, sized(value))
	mac := hmac.New(ek.NameAlg.hash, kdfa(ek.NameAlg, seed, "INTEGRITY", nil, bits))
	mac.Write(encrypted)
	mac.Write(name)
	return append(sized(mac.Sum(nil)), encrypted...), secret, nil
}

// rsaSeed makes a seed as long as the name algorithm's digest and encrypts it
// with OAEP: its hash is the name algorithm, its label the identity with its
// NUL (Part 1, annex B.10.4).
func rsaSeed(random io.Reader, ek *Public) (seed, secret []byte, err error) {
	key, err := ek.RSA()
	if err != nil {
		return nil, nil, err
	}
	seed = make([]byte, ek.NameAlg.size())
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, nil, err
	}
	secret, err = rsa.EncryptOAEP(ek.NameAlg.hash(), random, key, seed, []byte(identity))
	return seed, secret, err
}

// eccSeed agrees on a seed with a fresh key on the same curve: seed =
// KDFe(Z, "IDENTITY", x of the fresh key, x of the endorsement key), and the
// secret is the fresh point as a TPMS_ECC_POINT (Part 1, annex C.6.4).
func eccSeed(random io.Reader, ek *Public) (seed, secret []byte, err error) {
	if ek.Curve != CurveP384 {
		return nil, nil, fmt.Errorf("curve: got %#04x, want P-384", uint16(ek.Curve))
	}
	theirs, err := ecdh.P384().NewPublicKey(append(append([]byte{4}, ek.X...), ek.Y...))
	if err != nil {
		return nil, nil, err
	}
	ours, err := ecdh.P384().GenerateKey(random)
	if err != nil {
		return nil, nil, err
	}
	z, err := ours.ECDH(theirs)
	if err != nil {
		return nil, nil, err
	}
	point := ours.PublicKey().Bytes()[1:]
	x, y := point[:len(ek.X)], point[len(ek.X):]
	return kdfe(ek.NameAlg, z, identity, x, ek.X), append(sized(x), sized(y)...), nil
}

// kdfa is KDFa (Part 1, section 11.4.10.2: SP 800-108 in counter mode with
// HMAC): blocks of HMAC(key, counter || label || 0 || context || bits).
func kdfa(a Algorithm, key []byte, label string, context []byte, bits int) []byte {
	var out []byte
	for counter := uint32(1); len(out) < bits/8; counter++ {
		mac := hmac.New(a.hash, key)
		mac.Write(binary.BigEndian.AppendUint32(nil, counter))
		mac.Write([]byte(label))
		mac.Write([]byte{0})
		mac.Write(context)
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(bits)))
		out = mac.Sum(out)
	}
	return out[:bits/8]
}

// kdfe is KDFe (Part 1, section 11.4.10.3: SP 800-56A) for one block, as long as
// the digest: H(counter || Z || label with NUL || party U || party V).
func kdfe(a Algorithm, z []byte, label string, partyU, partyV []byte) []byte {
	h := a.hash()
	for _, part := range [][]byte{{0, 0, 0, 1}, z, []byte(label), partyU, partyV} {
		h.Write(part)
	}
	return h.Sum(nil)
}

// encryptCFB is AES in cipher feedback mode with a zero IV (SP 800-38A, 6.3:
// CFB128), which the TPM uses for its own data only; an HMAC covers it.
func encryptCFB(block cipher.Block, plain []byte) []byte {
	out := make([]byte, len(plain))
	feedback := make([]byte, block.BlockSize())
	for i := 0; i < len(plain); i += block.BlockSize() {
		end := min(i+block.BlockSize(), len(plain))
		block.Encrypt(feedback, feedback)
		for j := i; j < end; j++ {
			out[j] = plain[j] ^ feedback[j-i]
		}
		copy(feedback, out[i:end])
	}
	return out
}

// sized is a TPM2B: u16 size, then the bytes.
func sized(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// hash returns a new hash; the algorithm is one that size knows.
func (a Algorithm) hash() hash.Hash {
	if a == AlgSHA384 {
		return sha512.New384()
	}
	return sha256.New()
}
