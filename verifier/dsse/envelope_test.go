package dsse_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	oracle "github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
)

// inToto is a payload type of several signers.
const inToto = "application/vnd.in-toto+json"

// signed is an envelope of {} by the three keys of RFC 8032 and p256.sec1.
func signed(t testing.TB) *dsse.Envelope {
	t.Helper()
	e := &dsse.Envelope{Payload: []byte("{}"), PayloadType: inToto}
	for _, s := range fourSigners(t) {
		if err := e.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func fourSigners(t testing.TB) []dsse.Signer {
	t.Helper()
	list := []dsse.Signer{mustSigner(t, p256Key(t))}
	for _, v := range rfcKeys() {
		list = append(list, mustSigner(t, ed25519.NewKeyFromSeed(unhex(t, v.seed))))
	}
	return list
}

func encoded(t testing.TB, e *dsse.Envelope) []byte {
	t.Helper()
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEnvelope: in whatever order the keys sign, the envelope has one form.
func TestEnvelope(t *testing.T) {
	e := signed(t)
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	// sort(1) of the four IDs.
	want := []string{rfcKeyID, p256ID, rfcKeys()[1].id, rfcKeys()[2].id}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
	got, err := dsse.DecodeEnvelope(encoded(t, e), inToto, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Error(diff)
	}
	for _, s := range fourSigners(t) {
		if !got.SignedBy(s.Public()) {
			t.Errorf("not signed by %s", s.Public().ID())
		}
		if err := got.Add(s); err == nil || !strings.Contains(err.Error(), "already signed") || len(got.Signatures) != 4 {
			t.Errorf("second signature of %s: got %v", s.Public().ID(), err)
		}
	}
	other := mustSigner(t, ed25519.NewKeyFromSeed(make([]byte, 32)))
	if got.SignedBy(other.Public()) || got.SignedBy(dsse.PublicKey{}) {
		t.Error("signed by a key that did not")
	}
}

// TestSignedBy: a signature that was changed in any byte, or moved under
// another key's name, or that is for another payload or type, is none.
func TestSignedBy(t *testing.T) {
	signers := fourSigners(t)
	for i, s := range signers {
		own := func(e *dsse.Envelope) *dsse.Signature {
			at := slices.IndexFunc(e.Signatures, func(x dsse.Signature) bool { return x.KeyID == s.Public().ID() })
			return &e.Signatures[at]
		}
		good := signed(t)
		for at := range own(good).Sig {
			own(good).Sig[at] ^= 1
			if good.SignedBy(s.Public()) {
				t.Errorf("signer %d: byte %d of the signature flipped: still signed", i, at)
			}
			own(good).Sig[at] ^= 1
		}
		if !good.SignedBy(s.Public()) {
			t.Fatal("the test broke its own envelope")
		}
		for name, change := range map[string]func(e *dsse.Envelope){
			"other payload":     func(e *dsse.Envelope) { e.Payload = []byte("[]") },
			"other type":        func(e *dsse.Envelope) { e.PayloadType += "x" },
			"other key's name":  func(e *dsse.Envelope) { own(e).KeyID = strings.Repeat("0", 64) },
			"other's signature": func(e *dsse.Envelope) { own(e).Sig = otherThan(e, s.Public().ID()) },
			"gone": func(e *dsse.Envelope) {
				e.Signatures = slices.DeleteFunc(e.Signatures, func(x dsse.Signature) bool { return x.KeyID == s.Public().ID() })
			},
		} {
			e := signed(t)
			change(e)
			if e.SignedBy(s.Public()) {
				t.Errorf("signer %d: %s: still signed", i, name)
			}
		}
	}
}

// otherThan is the signature of some other key.
func otherThan(e *dsse.Envelope, id string) []byte {
	for _, s := range e.Signatures {
		if s.KeyID != id {
			return s.Sig
		}
	}
	return nil
}

// named is a verifier of the library under our key ID.
type named struct {
	oracle.SignerVerifier
	id string
}

func (n named) KeyID() (string, error) { return n.id, nil }

// libraryKeys are the four keys as go-securesystemslib reads them from PEM.
func libraryKeys(t *testing.T) []oracle.Verifier {
	t.Helper()
	var list []oracle.Verifier
	for _, k := range append([]crypto.Signer{p256Key(t)}, rfcSigners(t)...) {
		der, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		key, err := signerverifier.LoadKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		if err != nil {
			t.Fatal(err)
		}
		var v oracle.SignerVerifier
		if key.KeyType == signerverifier.ECDSAKeyType {
			v, err = signerverifier.NewECDSASignerVerifierFromSSLibKey(key)
		} else {
			v, err = signerverifier.NewED25519SignerVerifierFromSSLibKey(key)
		}
		if err != nil {
			t.Fatal(err)
		}
		ours, err := dsse.NewPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, named{v, ours.ID()})
	}
	return list
}

func rfcSigners(t *testing.T) []crypto.Signer {
	t.Helper()
	var list []crypto.Signer
	for _, v := range rfcKeys() {
		list = append(list, ed25519.NewKeyFromSeed(unhex(t, v.seed)))
	}
	return list
}

// TestEnvelopeAgainstLibrary: go-securesystemslib, with its own readers of
// keys, counts the signatures of our envelope as we do.
func TestEnvelopeAgainstLibrary(t *testing.T) {
	verifiers := libraryKeys(t)
	all, err := oracle.NewMultiEnvelopeVerifier(4, verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	open := func(b []byte) error {
		var e oracle.Envelope
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		accepted, body, err := all.VerifyAndDecode(context.Background(), &e)
		if err == nil && (len(accepted) != 4 || string(body) != "{}") {
			t.Errorf("library: got %d keys and %q", len(accepted), body)
		}
		return err
	}
	if err := open(encoded(t, signed(t))); err != nil {
		t.Errorf("library: %v", err)
	}
	e := signed(t)
	e.Signatures[2].Sig[10] ^= 1
	if err := open(encoded(t, e)); err == nil {
		t.Error("library takes a changed signature: the comparison says nothing")
	}
}

func TestDecodeEnvelopeRefuses(t *testing.T) {
	e := signed(t)
	good := string(encoded(t, e))
	b64 := base64.StdEncoding.EncodeToString
	list := make([]string, len(e.Signatures))
	for i, s := range e.Signatures {
		list[i] = fmt.Sprintf(`{"keyid":"%s","sig":"%s"}`, s.KeyID, b64(s.Sig))
	}
	with := func(list ...string) string {
		return `{"payload":"e30=","payloadType":"` + inToto + `","signatures":[` + strings.Join(list, ",") + `]}`
	}
	if with(list...) != good {
		t.Fatalf("the test's own envelope: got %s, want %s", with(list...), good)
	}
	sig := func(n int) string { return `{"keyid":"` + rfcKeyID + `","sig":"` + b64(make([]byte, n)) + `"}` }
	many := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(`{"keyid":"%064x","sig":"%s"}`, i, b64(make([]byte, 72)))
		}
		return with(all...)
	}
	if _, err := dsse.DecodeEnvelope([]byte(many(16)), inToto, 2); err != nil {
		t.Errorf("16 signatures of 72 bytes: %v", err)
	}
	for _, n := range []int{8, 64, 72} {
		if _, err := dsse.DecodeEnvelope([]byte(with(sig(n))), inToto, 2); err != nil {
			t.Errorf("signature of %d bytes: %v", n, err)
		}
	}
	for name, tt := range map[string]struct{ envelope, want string }{
		"empty":                  {"", "byte 0: want"},
		"none":                   {with(), "want \"{\\\"keyid\\\":\""},
		"17 signatures":          {many(17), "signatures: got 17, want 1 to 16"},
		"too long":               {many(100), "size: got"},
		"payload too long":       {strings.Replace(good, "e30=", b64([]byte("123")), 1), "payload: got 3 bytes, want at most 2"},
		"other type":             {strings.Replace(good, inToto, "application/json", 1), "payload type: got"},
		"payload null":           {strings.Replace(good, `"e30="`, "null", 1), "want standard base64"},
		"signatures null":        {good[:strings.Index(good, "[")] + "null}", "want"},
		"swapped":                {with(list[1], list[0], list[2], list[3]), "signature 1: keyid " + rfcKeyID + ": not sorted, or twice"},
		"one key twice":          {with(list[0], list[0]), "not sorted, or twice"},
		"one key twice, apart":   {with(list[0], list[1], list[0]), "not sorted, or twice"},
		"comma at the end":       {with(list[0], ""), "want"},
		"comma before":           {with("", list[0]), "want"},
		"signature of 7 bytes":   {with(sig(7)), "got 7 bytes, want 8 to 72"},
		"signature of 73 bytes":  {with(sig(73)), "got 73 bytes, want 8 to 72"},
		"signature empty":        {with(sig(0)), "got 0 bytes, want 8 to 72"},
		"keyid in capitals":      {with(strings.Replace(list[0], rfcKeyID, strings.ToUpper(rfcKeyID), 1)), "keyid: got"},
		"keyid short":            {with(strings.Replace(list[0], rfcKeyID, rfcKeyID[2:], 1)), "keyid: got"},
		"keyid long":             {with(strings.Replace(list[0], rfcKeyID, rfcKeyID+"00", 1)), "keyid: got"},
		"keyid no hex":           {with(strings.Replace(list[0], "21fe", "21fg", 1)), "keyid: got"},
		"keyid empty":            {with(strings.Replace(list[0], rfcKeyID, "", 1)), "keyid: got"},
		"keyid left out":         {with(strings.Replace(list[0], `"keyid":"`+rfcKeyID+`",`, "", 1)), "want"},
		"keyid twice":            {with(strings.Replace(list[0], `{`, `{"keyid":"`+rfcKeyID+`",`, 1)), "want"},
		"payload twice":          {strings.Replace(good, `{`, `{"payload":"e30=",`, 1), "want"},
		"unknown member":         {strings.Replace(good, `"payloadType"`, `"payloadHint":"","payloadType"`, 1), "want"},
		"other order":            {`{"payloadType":"` + inToto + `","payload":"e30=","signatures":[` + list[0] + `]}`, "want"},
		"space":                  {strings.Replace(good, ",", ", ", 1), "want"},
		"newline at end":         {good + "\n", "want the end"},
		"byte order mark":        {"\ufeff" + good, "want"},
		"cut":                    {good[:len(good)-1], "want"},
		"escape":                 {strings.Replace(good, inToto, `\u0061`+inToto[1:], 1), "want a string in canonical form"},
		"slash escaped":          {strings.Replace(good, "application/", `application\/`, 1), "want a string in canonical form"},
		"base64 without padding": {strings.Replace(good, "e30=", "e30", 1), "want standard base64"},
		"base64 with bits":       {strings.Replace(good, "e30=", "e31=", 1), "want standard base64"},
		"base64 with newline":    {strings.Replace(good, "e30=", `e3\n0=`, 1), "want standard base64"},
	} {
		if tt.envelope == good {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if e, err := dsse.DecodeEnvelope([]byte(tt.envelope), inToto, 2); err == nil || e != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tt.want)
		}
	}
}

// TestEncodeRefuses: Encode writes nothing that DecodeEnvelope would not read.
func TestEncodeRefuses(t *testing.T) {
	for name, change := range map[string]func(e *dsse.Envelope){
		"no payload":       func(e *dsse.Envelope) { e.Payload = nil },
		"payload too long": func(e *dsse.Envelope) { e.Payload = make([]byte, dsse.MaxSize+1) },
		"no type":          func(e *dsse.Envelope) { e.PayloadType = "" },
		"long type":        func(e *dsse.Envelope) { e.PayloadType = strings.Repeat("x", 256) },
		"type no UTF-8":    func(e *dsse.Envelope) { e.PayloadType = "\xff" },
		"type with escape": func(e *dsse.Envelope) { e.PayloadType = "a\x1fb" },
		"type in UTF-8":    func(e *dsse.Envelope) { e.PayloadType = "\u00e9" },
		"type with space":  func(e *dsse.Envelope) { e.PayloadType = "a b" },
		"no signature":     func(e *dsse.Envelope) { e.Signatures = nil },
		"not sorted":       func(e *dsse.Envelope) { slices.Reverse(e.Signatures) },
		"twice":            func(e *dsse.Envelope) { e.Signatures[1] = e.Signatures[0] },
		"keyid":            func(e *dsse.Envelope) { e.Signatures[0].KeyID = "" },
		"signature":        func(e *dsse.Envelope) { e.Signatures[0].Sig = nil },
	} {
		e := signed(t)
		change(e)
		if b, err := e.Encode(); err == nil || b != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestAddMany: sixteen keys sign, one more does not.
func TestAddMany(t *testing.T) {
	e := &dsse.Envelope{Payload: []byte("{}"), PayloadType: inToto}
	for i := range byte(17) {
		err := e.Add(mustSigner(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i}, 32))))
		if (err == nil) != (i < 16) {
			t.Errorf("signature %d: got %v", i, err)
		}
	}
	if _, err := dsse.DecodeEnvelope(encoded(t, e), inToto, 2); err != nil || len(e.Signatures) != 16 {
		t.Errorf("got %d signatures, %v", len(e.Signatures), err)
	}
}

// FuzzDecodeEnvelope: what is accepted is in its one form, and package canon's
// other reader takes it too.
func FuzzDecodeEnvelope(f *testing.F) {
	f.Add(encoded(f, signed(f)))
	f.Add(dsse.Sign(inToto, []byte("payload"), testKey(f)))
	f.Add([]byte(`{"payload":"","payloadType":"` + inToto + `","signatures":[{"keyid":"` + rfcKeyID + `","sig":"AAAAAAAAAAA="},]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := dsse.DecodeEnvelope(b, inToto, 1000)
		if err != nil {
			return
		}
		if again := encoded(t, e); !bytes.Equal(again, b) {
			t.Errorf("accepted %q, encodes as %q", b, again)
		}
		var other dsse.Envelope
		if err := canon.Unmarshal(b, &other); err != nil {
			t.Errorf("accepted %q: %v", b, err)
		}
		if diff := cmp.Diff(&other, e); diff != "" {
			t.Error(diff)
		}
	})
}
