package verifier

import (
	"bytes"
	"crypto/sha256"
	"testing"
	"time"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
	"safebox/verifier/bundle"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/hostile"
	"safebox/verifier/release"
)

// change gives another input than the captured one.
type change func(testing.TB, Input) Input

// withEvidence changes the captured evidence without a new quote.
func withEvidence(f func(testing.TB, *evidence.Evidence)) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		e, err := evidence.Decode(in.Evidence)
		if err != nil {
			t.Fatal(err)
		}
		f(t, e)
		if in.Evidence, err = e.Encode(); err != nil {
			t.Fatal(err)
		}
		return in
	}
}

// withChallenge changes the challenge, and the secret to go with it.
func withChallenge(f func(*challenge.Challenge, *challenge.Secret)) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		c, err := challenge.Decode(in.Challenge)
		if err != nil {
			t.Fatal(err)
		}
		s, err := challenge.DecodeSecret(in.Secret)
		if err != nil {
			t.Fatal(err)
		}
		f(c, s)
		if in.Challenge, err = c.Encode(); err != nil {
			t.Fatal(err)
		}
		s.Challenge = sha256.Sum256(in.Challenge)
		if in.Secret, err = s.Encode(); err != nil {
			t.Fatal(err)
		}
		return in
	}
}

func withoutEnrolment(t testing.TB, in Input) (file, secret []byte) {
	t.Helper()
	in = withChallenge(func(c *challenge.Challenge, s *challenge.Secret) { c.Enroll, s.Enroll = nil, nil })(t, in)
	return in.Challenge, in.Secret
}

// withPolicy replaces text in the policy.
func withPolicy(old, with string) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		if !bytes.Contains(in.Policy, []byte(old)) {
			t.Fatalf("%q is not in the policy", old)
		}
		in.Policy = bytes.Replace(in.Policy, []byte(old), []byte(with), 1)
		return in
	}
}

// withRelease changes the release; challenge and evidence keep asking for the
// old one.
func withRelease(f func(*release.Release)) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		r, err := release.Decode(readFile(t, "boot/release.json"))
		if err != nil {
			t.Fatal(err)
		}
		f(r)
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if in.Bundle, err = bundle.Encode(&bundle.Bundle{Release: b}); err != nil {
			t.Fatal(err)
		}
		return in
	}
}

// withLog changes the event log.
func withLog(f func([]eventlog.Event) []eventlog.Event) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		b, err := hostile.Evidence(in.Evidence, hostile.EventLog(f))
		if err != nil {
			t.Fatal(err)
		}
		in.Evidence = b
		return in
	}
}

// withForger answers with a key that signs lies.
func withForger(f func(testing.TB, *evidence.Evidence), lie func(golden.Bank, *attestation)) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		return newForger(t, in).input(t, in, func(e *evidence.Evidence) {
			if f != nil {
				f(t, e)
			}
		}, lie)
	}
}

// sha384 lies in one of the two quotes only.
func sha384(lie func(*attestation)) func(golden.Bank, *attestation) {
	return func(b golden.Bank, a *attestation) {
		if b == golden.SHA384 {
			lie(a)
		}
	}
}

func at(f func(s *challenge.Secret, c *challenge.Challenge) time.Time) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		withChallenge(func(c *challenge.Challenge, s *challenge.Secret) { in.At = f(s, c) })(t, in)
		return in
	}
}

func together(list ...change) change {
	return func(t testing.TB, in Input) Input {
		t.Helper()
		for _, c := range list {
			in = c(t, in)
		}
		return in
	}
}
