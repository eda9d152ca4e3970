package verifier

import (
	"crypto/sha256"
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/publishtest"
)

// published gives the captured session a bundle that was published, and a
// policy that wants one.
func withPublication(t testing.TB, in Input, publish func(release []byte, at time.Time) *publishtest.Publication) Input {
	t.Helper()
	b, err := bundle.Decode(in.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	p := publish(b.Release, in.At)
	in.Bundle, in.Policy = p.Encode(t), p.Policy.Apply(t, in.Policy)
	return in
}

// intact is a publication with nothing wrong.
func intact(t testing.TB, in Input) Input {
	t.Helper()
	return withPublication(t, in, func(release []byte, at time.Time) *publishtest.Publication {
		return publishtest.New(t, release, at).Publish(t)
	})
}

// TestPublished: a published release passes with the rest of a session, and the
// verdict and the claims say how it was published.
func TestPublished(t *testing.T) {
	in := captured(t)
	b, err := bundle.Decode(in.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	p := publishtest.New(t, b.Release, in.At).Publish(t)
	r := Verify(intact(t, in))
	accepted(t, "published", r)
	v := r.Verdict.Published
	if v == nil || v.Version != "TEST-ONLY.1.0.0" && v.Version != "1.0.0" || v.SVN != 1 || v.Origin != publishtest.Origin || v.Size != 4 ||
		v.Time != in.At.Format(time.RFC3339) || len(v.Rebuilt) != 3 {
		t.Errorf("got %+v", v)
	}
	if got := r.Claims.Published; got == nil || got.Checkpoint != p.Body() {
		t.Errorf("claims: got %+v, want checkpoint %x", got, p.Body())
	}
	body := sha256.Sum256(p.Log.Body())
	if r.Claims.Published.Checkpoint != body {
		t.Errorf("checkpoint: got %s, want %x", r.Claims.Published.Checkpoint, body)
	}
}

// TestAttacks: each attack on a publication is refused by exactly its check, in
// an evidence's verdict too, and leaves no claims and no memory.
func TestAttacks(t *testing.T) {
	in := captured(t)
	in.Memory = []byte{}
	for _, a := range publishtest.Attacks() {
		t.Run(a.ID+" "+a.Name, func(t *testing.T) {
			r := Verify(withPublication(t, in, func(release []byte, at time.Time) *publishtest.Publication {
				return a.Make(t, release, at)
			}))
			refused(t, r, a.ID, true)
			if r.Memory != nil || r.Verdict.Published != nil {
				t.Errorf("a refusal left %s, %+v", r.Memory, r.Verdict.Published)
			}
		})
	}
}
