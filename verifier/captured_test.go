package verifier

import (
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/challenge"
)

// captured is the session in testdata/vtpm, whole and good.
func captured(t testing.TB) Input {
	t.Helper()
	in := Input{
		Evidence: readFile(t, "vtpm/evidence.json"), Policy: readFile(t, "vtpm/policy.toml"),
		Challenge: readFile(t, "vtpm/challenge.json"), Secret: readFile(t, "vtpm/secret.json"),
	}
	s, err := challenge.DecodeSecret(in.Secret)
	if err != nil {
		t.Fatal(err)
	}
	in.At = time.Unix(s.Issued+30, 0).UTC()
	if in.Bundle, err = bundle.Encode(&bundle.Bundle{Release: readFile(t, "boot/release.json")}); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestCaptured(t *testing.T) { accepted(t, "captured session", Verify(captured(t))) }
