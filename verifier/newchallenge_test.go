package verifier

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"testing"
	"time"

	"safebox/verifier/challenge"
)

func capturedOptions(t testing.TB) ChallengeOptions {
	t.Helper()
	block, _ := pem.Decode(readFile(t, "vtpm/root.pem"))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return ChallengeOptions{
		Audience: [32]byte{1}, Release: [32]byte{2}, Issued: root.NotBefore.Add(time.Hour), Life: time.Minute,
		Enrollment: readFile(t, "vtpm/enrollment.json"), Root: root,
	}
}

// TestNewChallenge looks at the files; that a TPM answers is TestLive's.
func TestNewChallenge(t *testing.T) {
	o := capturedOptions(t)
	file, secret, err := NewChallenge(rand.Reader, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := challenge.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := challenge.DecodeSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	if c.Audience != [32]byte{1} || c.Release != [32]byte{2} || c.Expires != o.Issued.Unix()+60 || c.Enroll == nil || c.Enroll.EK != challenge.RSA2048 {
		t.Errorf("challenge: got %+v", c)
	}
	e, err := challenge.DecodeEnrollment(o.Enrollment)
	if err != nil {
		t.Fatal(err)
	}
	if s.Issued != o.Issued.Unix() || s.Challenge != sha256.Sum256(file) || s.Enroll.Root != sha256.Sum256(o.Root.Raw) ||
		s.Enroll.EKCertificate != sha256.Sum256(e.EKCertificate) || len(s.Enroll.Value) != 32 {
		t.Errorf("secret: got %+v", s)
	}
	again, _, err := NewChallenge(rand.Reader, o)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := challenge.Decode(again); err != nil || other.Nonce == c.Nonce {
		t.Errorf("two challenges with one nonce: %v", err)
	}
}

func TestNewChallengeRefuses(t *testing.T) {
	enrolled := func(change func(*challenge.Enrollment)) func(*ChallengeOptions) {
		return func(o *ChallengeOptions) {
			e, err := challenge.DecodeEnrollment(o.Enrollment)
			if err != nil {
				t.Fatal(err)
			}
			change(e)
			if o.Enrollment, err = e.Encode(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, change := range map[string]func(*ChallengeOptions){
		"no life":              func(o *ChallengeOptions) { o.Life = 0 },
		"half a second":        func(o *ChallengeOptions) { o.Life = time.Second / 2 },
		"enrolment, no root":   func(o *ChallengeOptions) { o.Root = nil },
		"root, no enrolment":   func(o *ChallengeOptions) { o.Enrollment = nil },
		"before the root":      func(o *ChallengeOptions) { o.Issued = o.Root.NotBefore.Add(-time.Hour) },
		"enrolment is none":    func(o *ChallengeOptions) { o.Enrollment = []byte("{}") },
		"AK of another kind":   enrolled(func(e *challenge.Enrollment) { e.AK = e.EKPublic }),
		"AK may decrypt":       enrolled(func(e *challenge.Enrollment) { e.AK[5] ^= 2 }),
		"EK may sign":          enrolled(func(e *challenge.Enrollment) { e.EKPublic[5] ^= 4 }),
		"EK of another kind":   enrolled(func(e *challenge.Enrollment) { e.EK = challenge.ECC384 }),
		"EK of another TPM":    enrolled(func(e *challenge.Enrollment) { e.EKPublic[100] ^= 1 }),
		"certificate changed":  enrolled(func(e *challenge.Enrollment) { e.EKCertificate[len(e.EKCertificate)-1] ^= 1 }),
		"issuer left out":      enrolled(func(e *challenge.Enrollment) { e.Issuers = nil }),
		"root as certificate":  enrolled(func(e *challenge.Enrollment) { e.EKCertificate = e.Issuers[0] }),
		"key that can't parse": enrolled(func(e *challenge.Enrollment) { e.EKPublic = e.EKPublic[:9] }),
	} {
		o := capturedOptions(t)
		change(&o)
		if _, _, err := NewChallenge(rand.Reader, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, n := range []int64{0, 31, 40, 70} {
		short := io.MultiReader(io.LimitReader(rand.Reader, n), errReader{})
		if _, _, err := NewChallenge(short, capturedOptions(t)); err == nil {
			t.Errorf("%d random bytes: no error", n)
		}
	}
	// A nonce of zeros would be the one thing left to notice.
	plain := capturedOptions(t)
	plain.Enrollment, plain.Root = nil, nil
	if _, _, err := NewChallenge(errReader{}, plain); err == nil {
		t.Error("no randomness for a challenge without enrolment: no error")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("no entropy") }
