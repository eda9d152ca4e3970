package dsse

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// smallOrder lists the y-coordinates, little-endian, of points of edwards25519
// whose order divides the cofactor 8 (RFC 8032, section 5.1): that of order 4
// and both of order 8. A signature under such a key verifies for messages that
// nobody signed. Those of order 1 and 2 have x = 0, which checkPoint's last
// step refuses.
func smallOrder() []string {
	return []string{
		strings.Repeat("\x00", ed25519.PublicKeySize),
		"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
		"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
	}
}

// checkPoint wants the encoding of a point on edwards25519 (RFC 8032, section
// 5.1.3) that is not of small order. crypto/ed25519 refuses signatures under
// what is no point; here it is refused before it gets into a policy, where it
// would stand for a signer who can never revoke.
func checkPoint(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("got %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	encoded := slices.Clone(key)
	encoded[31] &= 0x7f // sign of x
	if slices.Contains(smallOrder(), string(encoded)) {
		return errors.New("point of small order, want an Ed25519 key")
	}
	slices.Reverse(encoded)
	one := big.NewInt(1)
	p := new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	y := new(big.Int).SetBytes(encoded)
	if y.Cmp(p) >= 0 {
		return errors.New("y-coordinate not below 2^255-19, want an Ed25519 key")
	}
	// x^2 = (y^2-1) / (d y^2+1) with d = -121665/121666. Numerator times
	// denominator is a square exactly if the quotient is; times 121666 on both
	// sides of the denominator to stay in integers: v = 121666 - 121665 y^2.
	square := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(square, one)
	v := new(big.Int).Sub(big.NewInt(121666), new(big.Int).Mul(big.NewInt(121665), square))
	u.Mul(u, v).Mul(u, big.NewInt(121666)).Mod(u, p)
	if big.Jacobi(u, p) != 1 { // 0 for x = 0, -1 for no square
		return errors.New("no point on the curve or one of order 2, want an Ed25519 key")
	}
	return nil
}
