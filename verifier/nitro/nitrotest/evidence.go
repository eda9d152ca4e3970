package nitrotest

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"encoding/hex"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/policy/table"
	"safebox/verifier/verdict"
)

// Facts of the evidence. The instance is that of a real document, whose PCR4 is
// known (vectors, pcr/known_answers.json: pcr4_instance_id).
const (
	instanceID    = "i-0a22e5c5f24d22174"
	instancePCR4  = "45706d7b621e4620a332e147a5ddb000b049f73d47d3e61f6b03d2069152d4df6a4a786ad1c10102b955799a9dc96b44"
	separatorPCR  = "518923b0f955d08da077c96aaba522b9decede61c599cea6c41889cfbea4ae4d50529d96fe4d1afdafb65e7f95bf23c4" // nitrotpm_separator_only
	secureBootOff = "98441c7f7625d10058c47683aec486ce311c633235eb555593a7ee791121e3578ae72d04ecef661f272d59058b77af35" // nitrotpm_pcr7_secureboot_off_no_keys
)

// Evidence is a document to be, the policy and what is expected of it.
type Evidence struct {
	Document Document
	Chain    []Link
	Policy   nitropolicy.Policy
	Expected nitro.Expected
	At       time.Time
	NoRoots  bool
	Pinned   []byte        // root that is pinned, DER; nil: the chain's
	Key      crypto.Signer // that signs the document; nil: the leaf's
}

// New makes evidence that passes under a profile, with the lists that the
// profile leaves to the owner.
func New(t testing.TB, kind nitropolicy.Kind, profile string) *Evidence {
	t.Helper()
	e := &Evidence{At: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Policy: Policy(t, kind, profile)}
	e.Expected = nitro.Expected{Nonce: bytes.Repeat([]byte{0xa1}, 32), UserData: bytes.Repeat([]byte{0xb2}, 64)}
	e.Document = Document{
		Digest: "SHA384", Timestamp: e.At.Add(-2*time.Second + 345*time.Millisecond),
		Nonce: bytes.Clone(e.Expected.Nonce), UserData: bytes.Clone(e.Expected.UserData), Indefinite: true,
	}
	e.Policy.Instances, e.Policy.AnyInstance = []string{instanceID}, false
	if kind == nitropolicy.Enclave {
		e.Document.Module = instanceID + "-enc0191cceb4289903f"
		e.enclave(t)
	} else {
		e.Document.Module, e.Document.TPM = instanceID+"-tpm0000000000000000", true
		e.tpm(t)
	}
	var err error
	e.Chain, err = NewChain(Names{e.Document.Module, instanceID, "us-east-1", "aws"}, e.At)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// enclave sets the registers of an enclave that has its configuration and no
// keys yet.
func (e *Evidence) enclave(t testing.TB) {
	t.Helper()
	e.Document.PCRs = map[int][]byte{}
	for i := range 16 {
		e.Document.PCRs[i] = make([]byte, 48)
	}
	e.Document.PCRs[3], e.Document.PCRs[4] = made("role"), parse(t, instancePCR4)
	e.release(map[int]string{0: "image", 1: "kernel", 2: "application", 16: "configuration"})
}

// tpm sets the registers of an instance that booted a unified kernel image with
// Secure Boot off.
func (e *Evidence) tpm(t testing.TB) {
	t.Helper()
	e.Document.PCRs = map[int][]byte{}
	for i := range 24 {
		e.Document.PCRs[i] = make([]byte, 48)
		if i >= 17 && i <= 22 {
			e.Document.PCRs[i] = bytes.Repeat([]byte{0xff}, 48)
		}
	}
	for _, i := range []int{2, 3, 6} {
		e.Document.PCRs[i] = parse(t, separatorPCR)
	}
	e.Document.PCRs[0], e.Document.PCRs[1], e.Document.PCRs[5] = made("firmware"), made("settings"), made("partitions")
	e.release(map[int]string{4: "boot", 9: "initrd", 11: "sections", 15: "configuration"})
	e.Document.PCRs[7] = parse(t, secureBootOff)
	e.Expected.PCRs[7] = [][48]byte{[48]byte(e.Document.PCRs[7])}
}

// release sets registers, and what is expected of them.
func (e *Evidence) release(names map[int]string) {
	e.Expected.PCRs = map[int][][48]byte{}
	for i, name := range names {
		e.Document.PCRs[i] = made(name)
		e.Expected.PCRs[i] = [][48]byte{[48]byte(made("another " + name)), [48]byte(made(name))}
	}
}

// Policy reads the table of a profile.
func Policy(t testing.TB, kind nitropolicy.Kind, profile string) nitropolicy.Policy {
	t.Helper()
	root, err := table.Parse([]byte(nitropolicy.Section(kind, profile)))
	if err != nil {
		t.Fatal(err)
	}
	name := "nitro"
	if kind == nitropolicy.NitroTPM {
		name = "nitrotpm"
	}
	p := nitropolicy.Read(root.Table(name), kind, profile)
	root.End()
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// Make signs the document and gives the input of its verification.
func (e *Evidence) Make(t testing.TB) nitro.Input {
	t.Helper()
	certificates, err := Issue(e.Chain)
	if err != nil {
		t.Fatal(err)
	}
	key := e.Key
	if key == nil {
		key = e.Chain[len(e.Chain)-1].Key
	}
	b, err := e.Document.Make(certificates, key)
	if err != nil {
		t.Fatal(err)
	}
	in := nitro.Input{Document: b, Expected: e.Expected, Rules: chain.Rules{At: e.At}, Policy: &e.Policy}
	if e.NoRoots {
		return in
	}
	pinned := e.Pinned
	if pinned == nil {
		pinned = certificates[0]
	}
	if in.Roots, err = nitro.NewRoots(pinned); err != nil {
		t.Fatal(err)
	}
	return in
}

// Verify makes the evidence and verifies it.
func (e *Evidence) Verify(t testing.TB) *verdict.Verdict {
	t.Helper()
	in := e.Make(t)
	log := check.New()
	nitro.Verify(in, log)
	return log.Verdict(nitro.Definitions(e.Policy.Kind))
}

func made(name string) []byte {
	sum := sha512.Sum384([]byte(name))
	return sum[:]
}

func parse(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 48 {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}
