package challenge

import (
	"bytes"
	"testing"
)

// encoder is what all three files are.
type encoder interface{ Encode() ([]byte, error) }

// roundTrips: what decodes, encodes to the same bytes.
func roundTrips[T encoder](t *testing.T, b []byte, decode func([]byte) (T, error)) {
	t.Helper()
	v, err := decode(b)
	if err != nil {
		return
	}
	again, err := v.Encode()
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("accepted %s, encodes as %s, %v", b, again, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(example(f))
	f.Add(read(f, "../testdata/vtpm/challenge.json"))
	f.Fuzz(func(t *testing.T, b []byte) { roundTrips(t, b, Decode) })
}

func FuzzDecodeSecret(f *testing.F) {
	f.Add(read(f, "../testdata/vtpm/secret.json"))
	_, s, _ := captured(f)
	s.Enroll = nil
	b, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrips(t, b, DecodeSecret) })
}

func FuzzDecodeEnrollment(f *testing.F) {
	f.Add(read(f, "../testdata/vtpm/enrollment.json"))
	_, _, e := captured(f)
	// Real, but short: the fuzzer spends its time on making large inputs small.
	e.EKCertificate, e.EKPublic, e.Issuers = e.EKCertificate[:16], e.EKPublic[:16], nil
	b, err := e.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrips(t, b, DecodeEnrollment) })
}
