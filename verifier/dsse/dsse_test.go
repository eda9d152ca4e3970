package dsse_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	oracle "github.com/secure-systems-lab/go-securesystemslib/dsse"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
)

// rfcSeed is the secret key of RFC 8032, section 7.1, TEST 1.
const rfcSeed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

// rfcKeyID is SHA-256 of that test's public key d75a9801...511a, by
// `xxd -r -p | sha256sum`.
const rfcKeyID = "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9"

func testKey(t testing.TB) ed25519.PrivateKey {
	seed, err := hex.DecodeString(rfcSeed)
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// The vectors are those of the DSSE specification: protocol.md, "Test
// vectors", and the empty one of its Go library's own test.
func TestPAE(t *testing.T) {
	for _, tt := range []struct{ payloadType, payload, want string }{
		{"http://example.com/HelloWorld", "hello world", "DSSEv1 29 http://example.com/HelloWorld 11 hello world"},
		{"", "", "DSSEv1 0  0 "},
		{"http://example.com/HelloWorld", "ಠ", "DSSEv1 29 http://example.com/HelloWorld 3 ಠ"},
	} {
		if got := dsse.PAE(tt.payloadType, []byte(tt.payload)); string(got) != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func FuzzPAE(f *testing.F) {
	f.Add("http://example.com/HelloWorld", []byte("hello world"))
	f.Fuzz(func(t *testing.T, payloadType string, payload []byte) {
		if got, want := dsse.PAE(payloadType, payload), oracle.PAE(payloadType, payload); !bytes.Equal(got, want) {
			t.Errorf("got %q, go-securesystemslib %q", got, want)
		}
	})
}

// signer is our key in the library's terms.
type signer struct{ key ed25519.PrivateKey }

func (s signer) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(s.key, data), nil
}

func (s signer) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(s.Public().(ed25519.PublicKey), data, sig) {
		return errors.New("does not verify")
	}
	return nil
}

func (s signer) KeyID() (string, error)   { return rfcKeyID, nil }
func (s signer) Public() crypto.PublicKey { return s.key.Public() }

// What we sign verifies under go-securesystemslib; what it signs opens here
// when it is written canonically, and byte for byte the same comes out.
func TestAgainstLibrary(t *testing.T) {
	key, payload := testKey(t), []byte(`{"hello":"world"}`)
	ours := dsse.Sign(dsse.TypeGrant, payload, key)

	var e oracle.Envelope
	if err := json.Unmarshal(ours, &e); err != nil {
		t.Fatal(err)
	}
	verifier, err := oracle.NewEnvelopeVerifier(signer{key})
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err := verifier.Verify(t.Context(), &e); err != nil || len(accepted) != 1 || accepted[0].KeyID != rfcKeyID {
		t.Errorf("library: got %+v, %v, want one accepted key %s", accepted, err, rfcKeyID)
	}

	es, err := oracle.NewEnvelopeSigner(signer{key})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := es.SignPayload(t.Context(), dsse.TypeGrant, payload)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := canon.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(canonical), string(ours)); diff != "" {
		t.Errorf("library's envelope, canonical, and ours: %s", diff)
	}
	if got, err := dsse.Open(canonical, dsse.TypeGrant, key.Public().(ed25519.PublicKey), 100); err != nil || !bytes.Equal(got, payload) {
		t.Errorf("opening library's envelope: got %q, %v", got, err)
	}
	plain, err := json.MarshalIndent(theirs, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dsse.Open(plain, dsse.TypeGrant, key.Public().(ed25519.PublicKey), 100); err == nil || !strings.Contains(err.Error(), "not in canonical form") {
		t.Errorf("indented envelope: got %v, want a refusal for its form", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	key, payload := testKey(t), []byte("payload 01234")
	public := key.Public().(ed25519.PublicKey)
	good := string(dsse.Sign(dsse.TypeGrant, payload, key))
	if _, err := dsse.Open([]byte(good), dsse.TypeGrant, public, len(payload)); err != nil {
		t.Fatal(err)
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	byOther := string(dsse.Sign(dsse.TypeGrant, payload, other))
	b64 := base64.StdEncoding.EncodeToString
	sig := good[strings.Index(good, `"signatures":[`)+len(`"signatures":[`) : len(good)-2]
	for name, tt := range map[string]struct{ envelope, want string }{
		"other payload":       {strings.Replace(good, b64(payload), b64([]byte("payload 01244")), 1), "does not verify under key " + rfcKeyID},
		"other key":           {byOther, "keyid: got"},
		"other key, our name": {strings.Replace(byOther, dsse.KeyID(other.Public().(ed25519.PublicKey)), rfcKeyID, 1), "does not verify under key " + rfcKeyID},
		"our key, other name": {strings.Replace(good, rfcKeyID, dsse.KeyID(other.Public().(ed25519.PublicKey)), 1), "keyid: got"},
		"no name":             {strings.Replace(good, rfcKeyID, "", 1), "keyid: got"},
		"other type":          {string(dsse.Sign(dsse.TypeReceipt, payload, key)), "payload type: got"},
		"type rewritten":      {strings.Replace(string(dsse.Sign(dsse.TypeReceipt, payload, key)), dsse.TypeReceipt, dsse.TypeGrant, 1), "does not verify"},
		"two signatures":      {strings.Replace(good, sig, sig+","+sig, 1), "signatures: got 2, want 1"},
		"no signature":        {strings.Replace(good, sig, "", 1), "signatures: got 0, want 1"},
		"signatures null":     {strings.Replace(good, "["+sig+"]", "null", 1), "signatures: got 0, want 1"},
		"short signature":     {strings.Replace(good, sig, `{"keyid":"`+rfcKeyID+`","sig":"AAAA"}`, 1), "signature: got 3 bytes, want 64"},
		"payload null":        {strings.Replace(good, `"`+b64(payload)+`"`, "null", 1), "payload: got null"},
		"payload too long":    {string(dsse.Sign(dsse.TypeGrant, append(payload, '5'), key)), "payload: got 14 bytes, want at most 13"},
		"file too long":       {good + strings.Repeat(" ", 1000), "size: got"},
		"newline at end":      {good + "\n", "not in canonical form"},
		"unknown member":      {strings.Replace(good, `{"keyid"`, `{"cert":"","keyid"`, 1), "unknown field"},
		"bits after base64":   {strings.Replace(good, "NA==", "NB==", 1), ""},
		"empty":               {"", ""},
	} {
		if tt.envelope == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if _, err := dsse.Open([]byte(tt.envelope), dsse.TypeGrant, public, len(payload)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, tt.want)
		}
	}
	if _, err := dsse.Open([]byte(good), dsse.TypeGrant, nil, len(payload)); err == nil {
		t.Error("no key: accepted")
	}
}

// Payload reads what Open reads, whoever signed.
func TestPayload(t *testing.T) {
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	got, err := dsse.Payload(dsse.Sign(dsse.TypeManifest, []byte("x"), other), dsse.TypeManifest, 1)
	if err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := dsse.Payload(dsse.Sign(dsse.TypeGrant, []byte("x"), other), dsse.TypeManifest, 1); err == nil {
		t.Error("other type: accepted")
	}
}

func FuzzOpen(f *testing.F) {
	key := testKey(f)
	public := key.Public().(ed25519.PublicKey)
	f.Add(dsse.Sign(dsse.TypeGrant, []byte("payload"), key))
	f.Add(dsse.Sign(dsse.TypeGrant, nil, key))
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, err := dsse.Payload(b, dsse.TypeGrant, 1000)
		if err != nil {
			return
		}
		// Only Sign's own signatures verify here, so what opens is what it
		// writes.
		if _, err := dsse.Open(b, dsse.TypeGrant, public, 1000); err == nil && !bytes.Equal(b, dsse.Sign(dsse.TypeGrant, payload, key)) {
			t.Errorf("opened %q, which Sign would not write", b)
		}
	})
}

// A key of another length is an error: crypto/ed25519 would panic.
func TestOpenWithoutKey(t *testing.T) {
	envelope := dsse.Sign(dsse.TypeGrant, []byte("{}"), testKey(t))
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := dsse.Open(envelope, dsse.TypeGrant, make([]byte, n), 100); err == nil || !strings.Contains(err.Error(), "public key: got ") {
			t.Errorf("key of %d bytes: got %v", n, err)
		}
	}
}
