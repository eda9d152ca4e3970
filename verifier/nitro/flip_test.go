package nitro_test

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy/nitropolicy"
)

// TestFlips: a real document with a bit flipped is refused, whichever bit it is:
// one of every byte, and all eight of the headers' and the signature's. The
// policy checks nothing else, so the refusal is that of format, chain or
// signature.
func TestFlips(t *testing.T) {
	document := read(t, documents, "anjuna_sample_prod_doc.cbor")
	at := time.UnixMilli(1616018515685)
	type flip struct{ offset, bit int }
	var flips []flip
	for i := range document {
		// COSE_Sign1: 84 44 a1013822 a0 59 LLLL payload 58 60 signature
		if i < 10 || i >= len(document)-98 {
			for bit := range 8 {
				flips = append(flips, flip{i, bit})
			}
			continue
		}
		flips = append(flips, flip{i, i * 5 % 8})
	}
	work := make(chan flip, len(flips))
	for _, f := range flips {
		work <- f
	}
	close(work)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			p := nitrotest.Policy(t, nitropolicy.Enclave, "test")
			roots := nitro.PinnedRoots()
			for f := range work {
				b := append([]byte(nil), document...)
				b[f.offset] ^= 1 << f.bit
				log := check.New()
				doc := nitro.Verify(nitro.Input{Document: b, Rules: chain.Rules{At: at}, Policy: &p, Roots: roots}, log)
				if v := log.Verdict(nitro.Definitions(nitro.Enclave)); v.OK || doc != nil {
					t.Errorf("bit %d of byte %d flipped: accepted", f.bit, f.offset)
				}
			}
		})
	}
	group.Wait()
	if len(flips) < len(document) {
		t.Errorf("%d flips, want one for each of %d bytes", len(flips), len(document))
	}
}
