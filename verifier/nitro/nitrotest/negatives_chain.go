package nitrotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"testing"
	"time"

	"safebox/verifier/policy/nitropolicy"
)

// pathChanges: NITRO-4, which certificates there are and in which order.
func pathChanges() []change {
	bundle := func(f func([][]byte) [][]byte) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { e.Document.Bundle = f }
	}
	swap := func(i, j int) func(testing.TB, *Evidence) {
		return bundle(func(l [][]byte) [][]byte { l[i], l[j] = l[j], l[i]; return l })
	}
	return []change{
		{"another root, whose chain holds", func(t testing.TB, e *Evidence) { e.Pinned = otherRoot(t) }},
		{"cabundle[0] is the pinned root, the chain another's", func(t testing.TB, e *Evidence) {
			e.Pinned = otherRoot(t)
			e.Document.Bundle = func(l [][]byte) [][]byte { l[0] = e.Pinned; return l }
		}},
		{"cabundle[0] is another root, the chain the pinned one's", func(t testing.TB, e *Evidence) {
			other := otherRoot(t)
			e.Document.Bundle = func(l [][]byte) [][]byte { l[0] = other; return l }
		}},
		{"one byte after the root", bundle(func(l [][]byte) [][]byte { l[0] = append(slices.Clone(l[0]), 0); return l })},
		{"cabundle without its root", bundle(func(l [][]byte) [][]byte { return l[1:] })},
		{"cabundle from the instance to the root", bundle(func(l [][]byte) [][]byte { slices.Reverse(l); return l })},
		{"regional and zonal swapped", swap(1, 2)},
		{"no zonal", bundle(func(l [][]byte) [][]byte { return slices.Delete(l, 2, 3) })},
		{"the root twice", bundle(func(l [][]byte) [][]byte { return slices.Insert(l, 1, l[0]) })},
		{"zonal twice", bundle(func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[2]) })},
		{"9 certificates", func(t testing.TB, e *Evidence) {
			e.Document.Bundle = nil
			for range 4 {
				e.Chain = slices.Insert(e.Chain, 1, Link{Key: newKey(t, elliptic.P384()), Template: e.Chain[Root].Template})
			}
		}},
		{"a byte after the zonal certificate", bundle(func(l [][]byte) [][]byte { l[2] = append(slices.Clone(l[2]), 0); return l })},
		{"a zonal certificate that is none", bundle(func(l [][]byte) [][]byte { l[2] = []byte{0x30, 0}; return l })},
		{"the instance's certificate as leaf", func(_ testing.TB, e *Evidence) {
			e.Chain[Leaf].Template.IsCA, e.Chain[Leaf].Template.MaxPathLen = true, -1
			e.Chain[Instance].Template.MaxPathLen, e.Chain[Instance].Template.MaxPathLenZero = 1, false
			e.Chain[Zonal].Template.MaxPathLen, e.Chain[Regional].Template.MaxPathLen = 2, 3
		}},
		{"no root is pinned", func(_ testing.TB, e *Evidence) { e.NoRoots = true }},
		{"the policy says nothing of revocation", func(_ testing.TB, e *Evidence) { e.Policy.AnyCRL = false }},
		{"leaf that is no certificate", func(_ testing.TB, e *Evidence) {
			e.Document.Fields = with("certificate", Bytes(repeat("x", 600)))
		}},
	}
}

// otherRoot is another's root of the same name.
func otherRoot(t testing.TB) []byte {
	t.Helper()
	links, err := NewChain(Names{Partition: "aws"}, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	list, err := Issue(links[:1])
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// certificateChanges: NITRO-4, what one certificate says.
func certificateChanges() []change {
	link := func(i int, f func(t testing.TB, l *Link)) func(testing.TB, *Evidence) {
		return func(t testing.TB, e *Evidence) { f(t, &e.Chain[i]) }
	}
	template := func(i int, f func(c *x509.Certificate)) func(testing.TB, *Evidence) {
		return link(i, func(_ testing.TB, l *Link) { f(&l.Template) })
	}
	curve := func(i int, c elliptic.Curve) func(testing.TB, *Evidence) {
		return link(i, func(t testing.TB, l *Link) { l.Key = newKey(t, c) })
	}
	list := []change{
		{"leaf's key on P-256", curve(Leaf, elliptic.P256())},
		{"leaf's key on P-521", curve(Leaf, elliptic.P521())},
		{"leaf's key Ed25519", link(Leaf, func(t testing.TB, l *Link) { l.Key = edKey(t) })},
		{"zonal key on P-256", curve(Zonal, elliptic.P256())},
		{"regional key on P-521", curve(Regional, elliptic.P521())},
		{"leaf signs no documents", template(Leaf, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })},
		{"leaf may sign certificates", template(Leaf, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })},
		{"regional may have no zonal below", template(Regional, func(c *x509.Certificate) { c.MaxPathLen = 1 })},
		{"zonal may have no instance below", template(Zonal, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })},
	}
	for i, name := range []string{Regional: "regional", Zonal: "zonal", Instance: "instance"} {
		if name == "" {
			continue
		}
		list = append(list,
			change{name + " may not sign certificates", template(i, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })},
			change{name + " is no authority", template(i, func(c *x509.Certificate) { c.IsCA, c.MaxPathLen, c.MaxPathLenZero = false, -1, false })})
	}
	for i, name := range []string{Regional: "regional", Zonal: "zonal", Instance: "instance", Leaf: "leaf"} {
		if name == "" {
			continue
		}
		list = append(list,
			change{name + " signed with SHA-256", template(i, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA256 })},
			change{name + " signed with SHA-512", template(i, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA512 })},
			change{name + " signed by another key", link(i, func(t testing.TB, l *Link) { l.Signer = newKey(t, elliptic.P384()) })},
			change{name + "'s signature has a bit flipped", link(i, func(_ testing.TB, l *Link) {
				l.Raw = func(der []byte) []byte { der[len(der)-1] ^= 1; return der }
			})},
			change{name + " names another issuer", link(i, func(_ testing.TB, l *Link) {
				l.Issuer = &x509.Certificate{Subject: pkix.Name{CommonName: "aws.nitro-enclave"}}
			})},
			change{name + " has an unknown critical extension", template(i, func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
			})},
			change{name + " has a critical extension that AWS does not use", template(i, func(c *x509.Certificate) {
				c.ExtKeyUsage = nil
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: []byte{0x30, 6, 6, 4, 0x55, 0x1d, 0x25, 0}}}
			})})
	}
	return list
}

// validityChanges: NITRO-4, each certificate one second out of its time.
func validityChanges() []change {
	list := []change{{"judged by its own time, zonal begins a second later, within the skew", func(_ testing.TB, e *Evidence) {
		e.Policy.Time = nitropolicy.Self
		e.Chain[Zonal].Template.NotBefore = e.Document.Timestamp.Add(time.Second)
	}}}
	for i, name := range []string{"root", "regional", "zonal", "instance", "leaf"} {
		list = append(list,
			change{fmt.Sprintf("%s ended a second ago", name), func(_ testing.TB, e *Evidence) {
				e.Chain[i].Template.NotAfter = e.At.Add(-time.Second)
			}},
			change{fmt.Sprintf("%s begins in a second, and more than the skew", name), func(_ testing.TB, e *Evidence) {
				e.Chain[i].Template.NotBefore = e.At.Add(e.Policy.Skew + time.Second)
				if i == Leaf {
					e.Document.Timestamp = e.At.Add(e.Policy.Skew)
				}
			}})
	}
	return list
}

func newKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t testing.TB) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
