package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// random gives the same bytes in every run with the same seed: block n is
// HMAC-SHA256(seed, u64be n) (specs/runtime.md A5, rand). They are no secret.
type random struct {
	seed    [32]byte
	counter uint64
	rest    []byte
}

func newRandom(seed [32]byte) *random { return &random{seed: seed} }

func (r *random) read(dst []byte) {
	for len(dst) > 0 {
		if len(r.rest) == 0 {
			h := hmac.New(sha256.New, r.seed[:])
			h.Write(binary.BigEndian.AppendUint64(nil, r.counter))
			r.rest = h.Sum(nil)
			r.counter++
		}
		n := copy(dst, r.rest)
		dst, r.rest = dst[n:], r.rest[n:]
	}
}
