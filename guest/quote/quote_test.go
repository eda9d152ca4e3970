package quote

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"safebox/guest/quote/quotetest"
	"safebox/measure/tpm/golden"
	"safebox/verifier/bootreport"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
	verifiertpm "safebox/verifier/tpm"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// open makes our TPM of the emulator.
func open(t testing.TB, d *quotetest.TPM) *TPM {
	t.Helper()
	q, err := New(d.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// report is that of a real boot: testdata/README.md of package bootreport.
func report(t testing.TB) *bootreport.Report {
	t.Helper()
	b, err := os.ReadFile("../../verifier/bootreport/testdata/honest.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := bootreport.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTemplate(t *testing.T) {
	// The verifier's template is written from the specification by hand, byte
	// by byte; ours is what go-tpm makes of its structures.
	if got, want := tpm2.Marshal(attestationKey()), verifiertpm.AKTemplate(); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// TestQuote: after the events of a real boot the emulator's registers are those
// of that boot's TPM, and the quote is about them.
func TestQuote(t *testing.T) {
	d := quotetest.Start(t)
	boot := report(t)
	d.Replay(t, boot.EventLog)
	q := open(t, d)
	qualifying := [32]byte{1, 2, 3}
	for i, bank := range golden.Banks() {
		got, err := q.Quote(bank, qualifying)
		if err != nil {
			t.Fatal(err)
		}
		if boot.Banks[i].Algorithm != got.Bank {
			t.Fatalf("bank %s, report has %s", got.Bank, boot.Banks[i].Algorithm)
		}
		var want []evidence.PCR
		for n := range 16 {
			value := boot.Banks[i].PCRs[n]
			if n == 10 { // the kernel's IMA, which keeps a log of its own
				value = bank.Zero().String()
			}
			want = append(want, evidence.PCR{Index: n, Value: value})
		}
		if diff := cmp.Diff(want, got.PCRs); diff != "" {
			t.Errorf("%v: registers: %s", bank, diff)
		}
		checkQuote(t, q, got, qualifying)
	}
}

// checkQuote verifies with the verifier's own decoders, which share no code
// with go-tpm.
func checkQuote(t *testing.T, q *TPM, got *evidence.Quote, qualifying [32]byte) {
	t.Helper()
	ak, err := verifiertpm.DecodePublic(q.AK())
	if err != nil {
		t.Fatal(err)
	}
	if err := verifiertpm.CheckAK(ak); err != nil {
		t.Error(err)
	}
	a, err := verifiertpm.DecodeAttest(got.Attest)
	if err != nil {
		t.Fatal(err)
	}
	s, err := verifiertpm.DecodeSignature(got.Signature)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ak.ECDSA()
	if err != nil {
		t.Fatal(err)
	}
	if !s.Verify(key, got.Attest) {
		t.Error("the signature does not verify")
	}
	if err := a.CheckSigner(ak); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(a.ExtraData, qualifying[:]) {
		t.Errorf("qualifying data: got %x, want %x", a.ExtraData, qualifying)
	}
	var values [][]byte
	for _, p := range got.PCRs {
		v, err := hex.DecodeString(p.Value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	if err := a.CheckDigest(values); err != nil {
		t.Error(err)
	}
}

// TestExtend: values by python3,
//
//	H(b"\0"*n + H(b"event").digest()).hexdigest() for H of hashlib.sha256, n 32, and hashlib.sha384, n 48
func TestExtend(t *testing.T) {
	q := open(t, quotetest.Start(t))
	if err := q.Extend(func(b golden.Bank) golden.Digest { return b.Sum([]byte("event")) }); err != nil {
		t.Fatal(err)
	}
	for bank, want := range map[golden.Bank]string{
		golden.SHA256: "12db50484c569ef2d5446a9790ee2be42a913d1c755cde998469926762f54066",
		golden.SHA384: "977c24d042585f3bff34d70c1b62ccb4a19296a8655199752e218c3552a2ea886d3f8c8285283dfdffb0052f4ad9a134",
	} {
		got, err := q.ReadPCRs(bank)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			switch {
			case i == RuntimePCR && v.String() != want:
				t.Errorf("%v pcr%d: got %v, want %s", bank, i, v, want)
			case i != RuntimePCR && !v.Equal(bank.Zero()):
				t.Errorf("%v pcr%d: got %v, want zero", bank, i, v)
			}
		}
	}
}

// TestRegistersMove: the values that come with a quote are those it signs,
// whoever else extends at the same time.
func TestRegistersMove(t *testing.T) {
	d := quotetest.Start(t)
	for name, c := range map[string]struct {
		moves int
		ok    bool
	}{"once": {1, true}, "always": {100, false}} {
		m := &mover{TPM: d.Open(t), left: c.moves}
		q, err := New(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := q.Quote(golden.SHA256, [32]byte{})
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
		if err == nil {
			checkQuote(t, q, got, [32]byte{})
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// mover extends PCR 10 after each quote, as IMA in the kernel may.
type mover struct {
	transport.TPM
	left int
}

func (m *mover) Send(command []byte) ([]byte, error) {
	out, err := m.TPM.Send(command)
	if code := command[6:10]; err == nil && m.left > 0 && bytes.Equal(code, []byte{0, 0, 1, 0x58}) { // TPM_CC_Quote
		m.left--
		_, err = tpm2.PCRExtend{
			PCRHandle: tpm2.AuthHandle{Handle: 10, Auth: tpm2.PasswordAuth(nil)},
			Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}},
		}.Execute(m.TPM)
	}
	return out, err
}

// TestSameKey: at every boot, and not in another TPM.
func TestSameKey(t *testing.T) {
	d := quotetest.Start(t)
	first := open(t, d).AK()
	d.Restart(t)
	if again := open(t, d).AK(); !bytes.Equal(first, again) {
		t.Errorf("got %x after a restart, before it was %x", again, first)
	}
	if other := open(t, quotetest.Start(t)).AK(); bytes.Equal(first, other) {
		t.Error("another TPM has the same attestation key")
	}
}

func TestIdentity(t *testing.T) {
	d := quotetest.Start(t)
	q := open(t, d)
	check := func(t *testing.T) *guestapi.Identity {
		t.Helper()
		id, err := q.Identity()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := id.Encode(); err != nil {
			t.Error(err)
		}
		if len(id.EKs) != 2 {
			t.Fatalf("got %d endorsement keys, want 2", len(id.EKs))
		}
		root, err := x509.ParseCertificate(quotetest.Certificate(t, d.Root))
		if err != nil {
			t.Fatal(err)
		}
		for _, ek := range id.EKs {
			p, err := verifiertpm.DecodePublic(ek.Public)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifiertpm.CheckEK(ek.Kind, p); err != nil {
				t.Errorf("%s: %v", ek.Kind, err)
			}
			issuers := [][]byte{quotetest.Certificate(t, d.Issuer)}
			if err := verifiertpm.CheckEKCertificate(p, ek.Certificate, issuers, root, time.Now()); err != nil {
				t.Errorf("%s: %v", ek.Kind, err)
			}
		}
		return id
	}
	persistent := check(t)
	evict(t, d)
	if diff := cmp.Diff(persistent, check(t)); diff != "" {
		t.Errorf("keys made from templates: %s", diff)
	}
	noneLeft(t, d, q)
}

// evict takes the endorsement keys out of persistent memory, where swtpm_setup
// put them: many TPMs come without.
func evict(t *testing.T, d *quotetest.TPM) {
	t.Helper()
	tpm := d.Open(t)
	for _, e := range endorsements() {
		read, err := tpm2.ReadPublic{ObjectHandle: e.handle}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tpm2.EvictControl{
			Auth:             tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
			ObjectHandle:     &tpm2.NamedHandle{Handle: e.handle, Name: read.Name},
			PersistentHandle: e.handle,
		}.Execute(tpm)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// noneLeft fails unless the attestation key is all that is loaded, and nothing
// is after it is closed.
func noneLeft(t *testing.T, d *quotetest.TPM, q *TPM) {
	t.Helper()
	if got := handles(t, d); len(got) != 1 || got[0] != q.ak {
		t.Errorf("loaded: got %v, want %v alone", got, q.ak)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if got := handles(t, d); len(got) != 0 {
		t.Errorf("loaded after Close: %v", got)
	}
}

// handles lists transient objects and sessions (TPM 2.0 Library, Part 2, table
// TPM_HT: 0x80 transient, 0x02 and 0x03 sessions).
func handles(t *testing.T, d *quotetest.TPM) []tpm2.TPMHandle {
	t.Helper()
	var all []tpm2.TPMHandle
	for _, first := range []uint32{0x80000000, 0x02000000, 0x03000000} {
		got, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 64}.Execute(d.Open(t))
		if err != nil {
			t.Fatal(err)
		}
		list, err := got.CapabilityData.Data.Handles()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list.Handle...)
	}
	return all
}

func TestActivate(t *testing.T) {
	d := quotetest.Start(t)
	q := open(t, d)
	id, err := q.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, persistent := range []bool{true, false} {
		if !persistent {
			evict(t, d)
		}
		for _, ek := range id.EKs {
			value, e := enroll(t, id, ek)
			got, err := q.Activate(e)
			if err != nil || !bytes.Equal(got, value) {
				t.Errorf("%s, persistent %t: got %x, %v, want %x", ek.Kind, persistent, got, err, value)
			}
		}
	}
	noneLeft(t, d, q)
}

// enroll makes a credential as an owner does, with the verifier's code.
func enroll(t *testing.T, id *guestapi.Identity, ek guestapi.EK) ([]byte, *challenge.Enroll) {
	t.Helper()
	public, err := verifiertpm.DecodePublic(ek.Public)
	if err != nil {
		t.Fatal(err)
	}
	ak, err := verifiertpm.DecodePublic(id.AK)
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 32)
	if _, err := rand.Read(value); err != nil {
		t.Fatal(err)
	}
	credential, secret, err := verifiertpm.MakeCredential(rand.Reader, public, ak.Name(), value)
	if err != nil {
		t.Fatal(err)
	}
	return value, &challenge.Enroll{EK: ek.Kind, AKName: ak.Name(), Credential: credential, Secret: secret}
}

func TestActivateRefuses(t *testing.T) {
	d := quotetest.Start(t)
	q := open(t, d)
	id, err := q.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, ek := range id.EKs {
		for name, change := range map[string]func(e *challenge.Enroll){
			"other key":      func(e *challenge.Enroll) { e.AKName[33] ^= 1 },
			"no such EK":     func(e *challenge.Enroll) { e.EK = "rsa4096" },
			"credential":     func(e *challenge.Enroll) { e.Credential[len(e.Credential)-1] ^= 1 },
			"HMAC":           func(e *challenge.Enroll) { e.Credential[5] ^= 1 },
			"secret":         func(e *challenge.Enroll) { e.Secret[len(e.Secret)-1] ^= 1 },
			"credential cut": func(e *challenge.Enroll) { e.Credential = e.Credential[:4] },
			"secret empty":   func(e *challenge.Enroll) { e.Secret = nil },
		} {
			_, e := enroll(t, id, ek)
			change(e)
			if got, err := q.Activate(e); err == nil {
				t.Errorf("%s: %s: got %x", ek.Kind, name, got)
			}
		}
	}
	other := open(t, quotetest.Start(t))
	foreign, err := other.Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, ek := range foreign.EKs { // made for another TPM's EK and our AK
		_, e := enroll(t, id, ek)
		if got, err := q.Activate(e); err == nil {
			t.Errorf("%s of another TPM: got %x", ek.Kind, got)
		}
	}
	noneLeft(t, d, q)
}

func TestCertificateOfAnotherKey(t *testing.T) {
	d := quotetest.Start(t)
	q := open(t, d)
	a, b := endorsements()[0], endorsements()[1]
	a.certificate = b.certificate
	if _, err := q.endorsementKey(a); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v", err)
	}
	a.certificate = 0x01c0ffff
	if ek, err := q.endorsementKey(a); ek != nil || err != nil {
		t.Errorf("no certificate: got %v, %v, want neither", ek, err)
	}
}
