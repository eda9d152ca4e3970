package snp

import (
	"crypto/sha256"
	"testing"
)

// TestLaunchMeasure: the constants of virtee/sev, src/session/mod.rs, test
// "verify" (Apache-2.0), and those of testdata/oracle.py.
func TestLaunchMeasure(t *testing.T) {
	o := readOracle(t).LaunchMeasure
	for name, c := range map[string]struct {
		tik, nonce, digest string
		api                [3]uint8
		policy             uint32
		want               string
	}{
		"virtee/sev": {
			"66320db73158a35a255d051758e95ed4", "4fbe0bedbad6c86ae8f68971d103e554",
			"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			[3]uint8{0, 0x12, 0x0f},
			0,
			"6faab2daae389bcd3405a05d6cafe33c0414f7bedd0bae19ba5f38b7fd1664ea",
		},
		"oracle": {o.TIK, o.Nonce, o.Digest, o.API, o.Policy, o.Expected},
	} {
		got := LaunchMeasure([16]byte(unhex(t, c.tik, 16)), [32]byte(unhex(t, c.digest, 32)), Measured{
			APIMajor: c.api[0], APIMinor: c.api[1], Build: c.api[2], Policy: c.policy, Nonce: [16]byte(unhex(t, c.nonce, 16)),
		})
		if want := [32]byte(unhex(t, c.want, 32)); got != want {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
}

// TestCommandLine: a NUL follows the text, and white space counts.
func TestCommandLine(t *testing.T) {
	for text, bytes := range map[string]string{"": "\x00", " a b\n": " a b\n\x00", "quiet": "quiet\x00"} {
		if got, want := HashCommandLine(text), sha256.Sum256([]byte(bytes)); got != want {
			t.Errorf("%q: got %x, want %x", text, got, want)
		}
	}
}
