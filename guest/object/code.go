package object

import (
	"github.com/klauspost/reedsolomon"

	"safebox/verifier/object"
)

// newCode gives the erasure code of a profile (docs/format-object.md, "Erasure
// code"): the library's default matrix.
func newCode(p object.Profile) (reedsolomon.Encoder, error) {
	return reedsolomon.New(p.K, p.M)
}

// position is where a stripe's leaf j stands in the code: data first, then
// the positions that a short stripe lacks, which count as zeros, then parity.
func position(st object.Stripe, p object.Profile, j int) int {
	if j < st.Data {
		return j
	}
	return p.K + j - st.Data
}
