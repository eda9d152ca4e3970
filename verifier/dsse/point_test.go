package dsse_test

import (
	"crypto/ed25519"
	"math/big"
	"slices"
	"testing"

	"safebox/verifier/dsse"
)

// curve is edwards25519 in the textbook's way: RFC 8032, section 5.1, with
// inverses and square roots.
type curve struct{ p, d *big.Int }

func newCurve() curve {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	d.Mul(d, big.NewInt(-121665)).Mod(d, p)
	return curve{p, d}
}

// x gives a coordinate for y (section 5.1.3), nil if there is none.
func (c curve) x(y *big.Int) *big.Int {
	square := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(square, big.NewInt(1))
	v := new(big.Int).Mul(c.d, square)
	v.Add(v, big.NewInt(1)).ModInverse(v, c.p)
	u.Mul(u, v).Mod(u, c.p)
	return new(big.Int).ModSqrt(u, c.p)
}

// double gives 2P (section 5.1.4, affine).
func (c curve) double(x, y *big.Int) (*big.Int, *big.Int) {
	xy, xx, yy := new(big.Int).Mul(x, y), new(big.Int).Mul(x, x), new(big.Int).Mul(y, y)
	dxxyy := new(big.Int).Mul(xx, yy)
	dxxyy.Mul(dxxyy, c.d).Mod(dxxyy, c.p)
	left := new(big.Int).Add(big.NewInt(1), dxxyy)
	left.ModInverse(left.Mod(left, c.p), c.p).Mul(left, xy).Mul(left, big.NewInt(2)).Mod(left, c.p)
	right := new(big.Int).Sub(big.NewInt(1), dxxyy)
	right.ModInverse(right.Mod(right, c.p), c.p).Mul(right, yy.Add(yy, xx)).Mod(right, c.p)
	return left, right
}

// small says whether 8P is the neutral element.
func (c curve) small(y *big.Int) bool {
	x := c.x(y)
	for range 3 {
		x, y = c.double(x, y)
	}
	return x.Sign() == 0 && y.Cmp(big.NewInt(1)) == 0
}

// encode writes y and a sign.
func encode(y *big.Int, sign byte) ed25519.PublicKey {
	b := y.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	b[31] |= sign << 7
	return b
}

// TestPoints compares with the textbook: small numbers and those near p, of
// which about half are points, and what is known of small order.
func TestPoints(t *testing.T) {
	c := newCurve()
	var list []*big.Int
	for i := range int64(60) {
		list = append(list, big.NewInt(i), new(big.Int).Sub(c.p, big.NewInt(i+1)))
	}
	// A point of order 8 doubles to one of order 4, which has y = 0. So x^2 +
	// y^2 = 0, and with the curve's equation d y^4 + 2 y^2 - 1 = 0.
	root := new(big.Int).Add(big.NewInt(1), c.d)
	root.ModSqrt(root.Mod(root, c.p), c.p)
	inverse := new(big.Int).ModInverse(c.d, c.p)
	for _, sign := range []int64{1, -1} {
		square := new(big.Int).Mul(root, big.NewInt(sign))
		square.Sub(square, big.NewInt(1)).Mul(square, inverse).Mod(square, c.p)
		if y := new(big.Int).ModSqrt(square, c.p); y != nil {
			list = append(list, y, new(big.Int).Sub(c.p, y))
		}
	}
	points, small := 0, 0
	for _, y := range list {
		want := c.x(y) != nil
		if want && c.small(y) {
			want = false
			small++
		} else if want {
			points++
		}
		for sign := range byte(2) {
			if got := dsse.Ed25519Key(encode(y, sign)) != (dsse.PublicKey{}); got != want {
				t.Errorf("y = %s, sign %d: taken %t, want %t", y, sign, got, want)
			}
		}
	}
	// 0, 1, p-1 and two of order 8: all that there are of small order.
	if small != 5 || points < 40 {
		t.Errorf("got %d of small order and %d points, want 5 and about 60: the test does not reach them", small, points)
	}
	for i := range int64(19) { // 2^255-19 to 2^255-1
		y := new(big.Int).Add(c.p, big.NewInt(i))
		for sign := range byte(2) {
			if key := dsse.Ed25519Key(encode(y, sign)); key != (dsse.PublicKey{}) {
				t.Errorf("y = p + %d: taken", i)
			}
		}
	}
}
