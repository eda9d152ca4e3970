package nitro_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy/nitropolicy"
)

// seed adds the real documents, one that signs for itself, and one of each kind
// from the test's own PKI.
func seed(f *testing.F) {
	f.Helper()
	for _, r := range reals() {
		f.Add(read(f, documents, r.file))
	}
	f.Add(read(f, own, "blocky_selfsigned_attestation.cbor"))
	for _, kind := range []nitropolicy.Kind{nitropolicy.Enclave, nitropolicy.NitroTPM} {
		f.Add(nitrotest.New(f, kind, "strict").Make(f).Document)
	}
}

// FuzzDecode: what is decoded keeps the rules of its fields, and encoded again by
// another writer it decodes to the same.
func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := nitro.Decode(b)
		if err != nil {
			if doc != nil {
				t.Fatal("a document and an error")
			}
			return
		}
		if len(b) > nitro.MaxSize || doc.ModuleID == "" || len(doc.PCRs) == 0 || len(doc.PCRs) > 32 || len(doc.CABundle) == 0 ||
			doc.Timestamp.UnixMilli() <= 0 || len(doc.Nonce) > 1024 || len(doc.UserData) > 1024 || len(doc.PublicKey) > 1024 {
			t.Fatalf("decoded %+v", doc)
		}
		again, err := nitro.Decode(encode(doc))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(doc, again); diff != "" {
			t.Fatalf("-decoded +decoded again:\n%s", diff)
		}
	})
}

// encode writes a document, unsigned.
func encode(doc *nitro.Document) []byte {
	text, number, octets := nitrotest.Text, nitrotest.Number, nitrotest.BytesOrNull
	var registers []nitrotest.Pair
	for _, i := range slices.Sorted(maps.Keys(doc.PCRs)) {
		value := doc.PCRs[i]
		registers = append(registers, nitrotest.Pair{Key: number(uint64(i)), Value: octets(value[:])})
	}
	var bundle []nitrotest.Item
	for _, der := range doc.CABundle {
		bundle = append(bundle, octets(der))
	}
	key := "pcrs"
	if doc.Kind == nitropolicy.NitroTPM {
		key = "nitrotpm_pcrs"
	}
	pairs := []nitrotest.Pair{
		{Key: text("module_id"), Value: text(doc.ModuleID)},
		{Key: text("digest"), Value: text("SHA384")},
		{Key: text("timestamp"), Value: number(uint64(doc.Timestamp.UnixMilli()))},
		{Key: text(key), Value: nitrotest.Map(registers...)},
		{Key: text("certificate"), Value: octets(doc.Certificate)},
		{Key: text("cabundle"), Value: nitrotest.Array(bundle...)},
	}
	for _, f := range []struct {
		key   string
		value []byte
	}{{"public_key", doc.PublicKey}, {"user_data", doc.UserData}, {"nonce", doc.Nonce}} {
		if f.value != nil { // leaving null out keeps what is written no longer than what was read
			pairs = append(pairs, nitrotest.Pair{Key: text(f.key), Value: octets(f.value)})
		}
	}
	header := nitrotest.Map(nitrotest.Pair{Key: number(1), Value: nitrotest.Negative(34)})
	return nitrotest.Array(octets(header), nitrotest.Map(), octets(nitrotest.Map(pairs...)), octets(make([]byte, 96)))
}

// FuzzVerify: nothing but the real documents themselves is accepted, and nothing
// panics. A tag before a document is no other document.
func FuzzVerify(f *testing.F) {
	seed(f)
	known := map[string]bool{}
	for _, r := range reals() {
		known[string(read(f, documents, r.file))] = true
	}
	policies := []nitropolicy.Policy{
		nitrotest.Policy(f, nitropolicy.Enclave, "test"), nitrotest.Policy(f, nitropolicy.NitroTPM, "test"),
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range policies {
			p.AcceptDebug, p.Time = true, nitropolicy.Self
			log := check.New()
			doc := nitro.Verify(nitro.Input{Document: b, Rules: chain.Rules{At: time.Unix(1700000000, 0)}, Policy: &p, Roots: nitro.PinnedRoots()}, log)
			v := log.Verdict(nitro.Definitions(p.Kind))
			if (v.OK || doc != nil) && !known[string(bytes.TrimPrefix(b, []byte{0xd2}))] {
				t.Fatalf("accepted, and no real document:\n%s", v.Text())
			}
		}
	})
}
