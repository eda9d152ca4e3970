package idblock

import (
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"fmt"
)

// AuthSize is the length of the ID authentication information: a page.
const AuthSize = 4096

// Fields of the ID authentication information (AMD 56860, 8.18, table
// "Structure of the ID Authentication Information"):
//
//	0x000  ID_KEY_ALGO    u32  1 = ECDSA P-384 with SHA-384
//	0x004  AUTH_KEY_ALGO  u32  1, or 0 without an author key
//	0x008  zeros
//	0x040  ID_BLOCK_SIG   512 bytes   by the ID key
//	0x240  ID_KEY         1028 bytes
//	0x644  zeros
//	0x680  ID_KEY_SIG     512 bytes   by the author key, of ID_KEY
//	0x880  AUTHOR_KEY     1028 bytes
//	0xc84  zeros
const (
	algorithm       = 1
	authAuthor      = 0x004
	authReserved    = 0x008
	authBlockSig    = 0x040
	authIDKey       = 0x240
	authIDKeyEnd    = authIDKey + PublicKeySize
	authIDKeySig    = 0x680
	authAuthorKey   = 0x880
	authAuthorKeyTo = authAuthorKey + PublicKeySize
)

// Auth is the ID authentication information.
type Auth struct {
	Key       PublicKey
	Signature Signature // of the ID block, by Key
	Author    *Author   // nil if the launch has no author key
}

// Author says who vouches for the ID key.
type Author struct {
	Key       PublicKey
	Signature Signature // of the ID key, by Key
}

// Sign makes the authentication of a block. Author may be nil: then the launch
// must be made with AUTHOR_KEY_EN 0, and the report has no author key.
func Sign(b Block, id, author *ecdsa.PrivateKey) (*Auth, error) {
	message, err := b.Encode()
	if err != nil {
		return nil, err
	}
	a := &Auth{}
	if a.Key, a.Signature, err = signWith(id, message); err != nil {
		return nil, fmt.Errorf("signing ID block: ID key: %w", err)
	}
	if author == nil {
		return a, nil
	}
	a.Author = &Author{}
	if a.Author.Key, a.Author.Signature, err = signWith(author, a.Key.Encode()); err != nil {
		return nil, fmt.Errorf("signing ID key: author key: %w", err)
	}
	return a, nil
}

func signWith(k *ecdsa.PrivateKey, message []byte) (PublicKey, Signature, error) {
	if k == nil {
		return PublicKey{}, Signature{}, errors.New("got none")
	}
	public, err := NewPublicKey(&k.PublicKey)
	if err != nil {
		return PublicKey{}, Signature{}, err
	}
	sig, err := sign(k, message)
	if err != nil {
		return PublicKey{}, Signature{}, err
	}
	// The two halves of a key that was put together by hand may not match.
	if err := sig.verify(public, message); err != nil {
		return PublicKey{}, Signature{}, err
	}
	return public, sig, nil
}

// Verify checks that the block is what the ID key signed and, where there is
// an author key, that it signed the ID key. Who the keys belong to is for the
// caller to know, by their digests.
func (a *Auth) Verify(b Block) error {
	message, err := b.Encode()
	if err != nil {
		return err
	}
	if err := a.Signature.verify(a.Key, message); err != nil {
		return fmt.Errorf("verifying ID block: ID key: %w", err)
	}
	if a.Author == nil {
		return nil
	}
	if err := a.Author.Signature.verify(a.Author.Key, a.Key.Encode()); err != nil {
		return fmt.Errorf("verifying ID key: author key: %w", err)
	}
	return nil
}

// Open parses and verifies a block and its authentication.
func Open(block, auth []byte) (Block, *Auth, error) {
	b, err := DecodeBlock(block)
	if err != nil {
		return Block{}, nil, err
	}
	a, err := DecodeAuth(auth)
	if err != nil {
		return Block{}, nil, err
	}
	if err := a.Verify(b); err != nil {
		return Block{}, nil, err
	}
	return b, a, nil
}

// Encode gives the page.
func (a *Auth) Encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, AuthSize)
	le.PutUint32(b, algorithm)
	copy(b[authBlockSig:], a.Signature.Encode())
	copy(b[authIDKey:], a.Key.Encode())
	if a.Author != nil {
		le.PutUint32(b[authAuthor:], algorithm)
		copy(b[authIDKeySig:], a.Author.Signature.Encode())
		copy(b[authAuthorKey:], a.Author.Key.Encode())
	}
	return b
}

// DecodeAuth parses the page. Its signatures are not verified yet: Verify does
// that, with the block.
func DecodeAuth(b []byte) (*Auth, error) {
	a, err := decodeAuth(b)
	if err != nil {
		return nil, fmt.Errorf("parsing ID authentication: %w", err)
	}
	return a, nil
}

func decodeAuth(b []byte) (*Auth, error) {
	if len(b) != AuthSize {
		return nil, fmt.Errorf("length: got %d, want %d", len(b), AuthSize)
	}
	le := binary.LittleEndian
	if v := le.Uint32(b); v != algorithm {
		return nil, fmt.Errorf("algorithm of the ID key at 0x0: got %d, want %d (ECDSA P-384 with SHA-384)", v, algorithm)
	}
	for _, gap := range [][2]int{{authReserved, authBlockSig}, {authIDKeyEnd, authIDKeySig}, {authAuthorKeyTo, AuthSize}} {
		if err := checkZero(b, gap[0], gap[1]); err != nil {
			return nil, err
		}
	}
	var a Auth
	var err error
	if a.Signature, a.Key, err = decodePair(b, authBlockSig, authIDKey); err != nil {
		return nil, fmt.Errorf("ID key: %w", err)
	}
	switch v := le.Uint32(b[authAuthor:]); v {
	case 0:
		if err := checkZero(b, authIDKeySig, authAuthorKeyTo); err != nil {
			return nil, fmt.Errorf("author key without an algorithm: %w", err)
		}
	case algorithm:
		a.Author = &Author{}
		if a.Author.Signature, a.Author.Key, err = decodePair(b, authIDKeySig, authAuthorKey); err != nil {
			return nil, fmt.Errorf("author key: %w", err)
		}
	default:
		return nil, fmt.Errorf("algorithm of the author key at 0x4: got %d, want %d, or 0 for none", v, algorithm)
	}
	return &a, nil
}

// decodePair parses a signature and the key that made it.
func decodePair(b []byte, sigAt, keyAt int) (Signature, PublicKey, error) {
	sig, err := decodeSignature(b[sigAt : sigAt+SignatureSize])
	if err != nil {
		return Signature{}, PublicKey{}, fmt.Errorf("signature at %#x: %w", sigAt, err)
	}
	k, err := decodePublicKey(b[keyAt : keyAt+PublicKeySize])
	if err != nil {
		return Signature{}, PublicKey{}, fmt.Errorf("key at %#x: %w", keyAt, err)
	}
	return sig, k, nil
}
