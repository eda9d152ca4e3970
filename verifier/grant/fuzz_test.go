package grant_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/grant"
)

// FuzzOpen feeds grant files. Whatever opens is in its one form.
func FuzzOpen(f *testing.F) {
	s := newScene(f)
	f.Add(s.seal(f))
	s.doc.Recipients = s.doc.Recipients[:1]
	f.Add(s.seal(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, peekErr := grant.Peek(b)
		o, err := grant.Open(b, s.expect)
		if err != nil {
			return
		}
		if peekErr != nil {
			t.Errorf("Open accepts, Peek refuses: %v", peekErr)
		}
		if again := takeApart(t, b).join(t); !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q", b, again)
		}
		if nodes, err := o.Unseal(s.guest, s.t); err == nil && len(nodes) == 0 {
			t.Error("opened a grant of nothing")
		}
	})
}

// FuzzDocument feeds documents that the owner signed.
func FuzzDocument(f *testing.F) {
	s := newScene(f)
	p := takeApart(f, s.seal(f))
	f.Add(p.payload(f))
	f.Add(readVectors(f).value(f, "document"))
	f.Fuzz(func(t *testing.T, b []byte) {
		q := p
		q.Envelope = dsse.Sign(dsse.TypeGrant, b, s.owner)
		file, err := canon.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		o, err := grant.Open(file, s.expect)
		if err != nil {
			return
		}
		again, err := canon.Marshal(o.Document)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q, %v", b, again, err)
		}
		if want := sha256.Sum256(b); o.Digest != want {
			t.Errorf("digest: got %x, want %x", o.Digest, want)
		}
	})
}
