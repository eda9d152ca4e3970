package nitrotest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"safebox/verifier/policy/nitropolicy"
)

// timeChanges: NITRO-5.
func timeChanges() []change {
	stamp := func(d time.Duration) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { e.Document.Timestamp = e.At.Add(d) }
	}
	leaf := func(before, after, at time.Duration) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) {
			e.Chain[Leaf].Template.NotBefore, e.Chain[Leaf].Template.NotAfter = e.At.Add(before), e.At.Add(after)
			e.Document.Timestamp = e.At.Add(at)
		}
	}
	return []change{
		{"a millisecond too old", stamp(-300*time.Second - time.Millisecond)},
		{"a minute too old for an archive", func(t testing.TB, e *Evidence) {
			e.Policy.Time = nitropolicy.At
			stamp(-6*time.Minute)(t, e)
		}},
		{"from the future, by the skew, the rounding and a millisecond", stamp(6*time.Second + time.Millisecond)},
		{"made before the leaf's life", leaf(-100*time.Second, time.Hour, -101*time.Second-time.Millisecond)},
		{"made after the leaf's life", leaf(-100*time.Second, 0, time.Second+time.Millisecond)},
		{"the policy allows no age", func(_ testing.TB, e *Evidence) { e.Policy.MaxAge = 0 }},
		{"timestamp in seconds", func(_ testing.TB, e *Evidence) {
			e.Document.Fields = with("timestamp", Number(uint64(e.At.Unix())))
		}},
	}
}

// signatureChanges: NITRO-6.
func signatureChanges() []change {
	signature := func(f func(b []byte)) func(testing.TB, *Evidence) {
		return signed(func(s *Sign1) {
			b := slices.Clone(s.Signature[len(s.Signature)-96:])
			f(b)
			s.Signature = Bytes(b)
		})
	}
	structure := func(f func(protected, payload []byte) []byte) func(testing.TB, *Evidence) {
		return func(t testing.TB, e *Evidence) {
			key := e.Chain[Leaf].Key
			e.Document.Signed = func(s *Sign1) {
				b, err := Sign(key, f(Map(Pair{Number(1), Negative(34)}), []byte(s.Payload[3:])))
				if err != nil {
					t.Fatal(err)
				}
				s.Signature = Bytes(b)
			}
		}
	}
	order := elliptic.P384().Params().N
	return []change{
		{"signed by another key", func(t testing.TB, e *Evidence) { e.Key = newKey(t, elliptic.P384()) }},
		{"signed by the instance's key", func(_ testing.TB, e *Evidence) { e.Key = e.Chain[Instance].Key }},
		{"signed over SHA-256", func(t testing.TB, e *Evidence) {
			key, ok := e.Chain[Leaf].Key.(*ecdsa.PrivateKey)
			if !ok {
				t.Fatal("leaf's key")
			}
			e.Document.Signed = func(s *Sign1) {
				sum := sha256.Sum256(SigStructure(Map(Pair{Number(1), Negative(34)}), s.Payload[3:]))
				r, second, err := ecdsa.Sign(rand.Reader, key, sum[:])
				if err != nil {
					t.Fatal(err)
				}
				s.Signature = Bytes(append(r.FillBytes(make([]byte, 48)), second.FillBytes(make([]byte, 48))...))
			}
		}},
		{"a bit of r flipped", signature(func(b []byte) { b[0] ^= 1 })},
		{"a bit of s flipped", signature(func(b []byte) { b[95] ^= 0x80 })},
		{"r zero", signature(func(b []byte) { clear(b[:48]) })},
		{"s zero", signature(func(b []byte) { clear(b[48:]) })},
		{"r and s zero", signature(func(b []byte) { clear(b) })},
		{"r is the curve's order", signature(func(b []byte) { order.FillBytes(b[:48]) })},
		{"s is the curve's order", signature(func(b []byte) { order.FillBytes(b[48:]) })},
		{"r and s swapped", signature(func(b []byte) { copy(b, slices.Concat(b[48:], b[:48])) })},
		{"a bit of an unchecked register flipped", signed(func(s *Sign1) {
			at := max(bytes.Index(s.Payload, made("role")), bytes.Index(s.Payload, made("firmware")))
			s.Payload[at] ^= 1
		})},
		{"protected headers encoded otherwise", signed(func(s *Sign1) { s.Protected = Bytes(Item{0xb8, 1, 1, 0x38, 0x22}) })},
		{"signed over the payload alone", structure(func(_, payload []byte) []byte { return payload })},
		{"signed as a COSE_Signature", structure(func(protected, payload []byte) []byte {
			return Array(Text("Signature"), Bytes(protected), Bytes(nil), Bytes(nil), Bytes(payload))
		})},
		{"signed with external data", structure(func(protected, payload []byte) []byte {
			return Array(Text("Signature1"), Bytes(protected), Bytes([]byte{0}), Bytes(payload))
		})},
	}
}

// nameChanges: NITRO-7.
func nameChanges() []change {
	name := func(i int, f func(e *Evidence) string) func(testing.TB, *Evidence) {
		return func(_ testing.TB, e *Evidence) { e.Chain[i].Template.Subject.CommonName = f(e) }
	}
	const suffix = ".us-east-1.aws.nitro-enclaves"
	return []change{
		{"leaf of another module", name(Leaf, func(e *Evidence) string {
			return instanceID + "-" + e.Document.Module[20:23] + "ffffffffffffffff.us-east-1.aws"
		})},
		{"leaf of another region", name(Leaf, func(e *Evidence) string { return e.Document.Module + ".us-east-2.aws" })},
		{"leaf of no region", name(Leaf, func(e *Evidence) string { return e.Document.Module + ".aws" })},
		{"leaf of an empty region", name(Leaf, func(e *Evidence) string { return e.Document.Module + "..aws" })},
		{"leaf of another partition", name(Leaf, func(e *Evidence) string { return e.Document.Module + ".us-east-1.aws-cn" })},
		{"leaf with more after its name", name(Leaf, func(e *Evidence) string { return e.Document.Module + ".us-east-1.aws.example" })},
		{"leaf with more before its name", name(Leaf, func(e *Evidence) string { return "x" + e.Document.Module + ".us-east-1.aws" })},
		{"leaf without a name", name(Leaf, func(*Evidence) string { return "" })},
		{"instance's certificate of another instance", name(Instance, func(*Evidence) string { return "i-0a22e5c5f24d22175" + suffix })},
		{"instance's certificate with more after its name", name(Instance, func(*Evidence) string { return instanceID + suffix + ".example" })},
		{"leaf issued by the zonal authority", func(_ testing.TB, e *Evidence) { e.Chain = slices.Delete(e.Chain, Instance, Leaf) }},
		{"leaf issued by the root", func(_ testing.TB, e *Evidence) { e.Chain = slices.Delete(e.Chain, Regional, Leaf) }},
		{"root of no partition", name(Root, func(*Evidence) string { return "aws" })},
		{"root of no partition, and an instance's certificate like it", func(_ testing.TB, e *Evidence) {
			e.Chain[Root].Template.Subject.CommonName = "aws"
			e.Chain[Instance].Template.Subject.CommonName = instanceID + ".us-east-1.aws"
		}},
		{"a region that is none, in all names", func(_ testing.TB, e *Evidence) {
			e.Chain[Leaf].Template.Subject.CommonName = e.Document.Module + ".us-east-1.x.aws"
			e.Chain[Instance].Template.Subject.CommonName = instanceID + ".us-east-1.x.aws.nitro-enclaves"
		}},
		{"an empty region, in all names", func(_ testing.TB, e *Evidence) {
			e.Chain[Leaf].Template.Subject.CommonName = e.Document.Module + "..aws"
			e.Chain[Instance].Template.Subject.CommonName = instanceID + "..aws.nitro-enclaves"
		}},
		{"root of another partition", name(Root, func(*Evidence) string { return "aws-cn.nitro-enclaves" })},
	}
}
