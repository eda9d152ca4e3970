package differential

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm-tools/proto/attest"
	"google.golang.org/protobuf/proto"

	"safebox/measure/eventlog"
	"safebox/verifier"
	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/cloud"
	"safebox/verifier/tpm/tpmtest"
	"safebox/verifier/transcript"
)

// Google's attestations, and the certificates that its machines' keys are under.
const (
	gceNonce   = "vtpm/go-tpm-tools/attestations/gce-cos-85-nonce9009.pb"
	gceNoNonce = "vtpm/go-tpm-tools/attestations/gce-cos-85-no-nonce.pb"
	gceCerts   = "vtpm/go-tpm-tools/ca-certs/"
)

func gceFiles(t testing.TB) []verifier.File {
	t.Helper()
	return files(t, gceCerts+"gcp_ek_ak_ca_intermediate_v3.crt", gceCerts+"gcp_ek_ak_ca_root.crt", gceCerts+"tpm_ek_intermediate_2.crt",
		gceCerts+"tpm_ek_intermediate_3.crt", gceCerts+"tpm_ek_root_1.cer")
}

// tpmChange is one thing that differs from genuine evidence.
type tpmChange struct {
	name   string
	change func(in *cloud.Input)
	clock  time.Duration // by which the machine's clock is ahead of the time that is asked about
}

// TestTPM compares on genuine attestations and their mutants, and on those of
// machines in software.
func TestTPM(t *testing.T) {
	pairs := slices.Concat(tpmRealPairs(t), tpmMadePairs(t))
	compare(t, "go-tpm-tools", pairs, least{15, 168})
}

func gceInput(t testing.TB, p *tpmpolicy.Policy) cloud.Input {
	t.Helper()
	own := *p
	own.AnyExtraData, own.ExtraData = false, [][]byte{{0x90, 0x09}} // INDEX.md
	own.Explained = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}
	return cloud.Input{
		Evidence: read(t, gceNonce), Endorsements: setOf(gceFiles(t)), Policy: &own, Rules: chain.Rules{At: day(t, "2021-09-01"), AnyAgeCRL: true},
		Hardware: func(h azure.Hardware, _ [64]byte, _ *check.Recorder) error {
			return fmt.Errorf("no report of kind %v wanted", h.Kind)
		},
	}
}

func tpmRealPairs(t *testing.T) []pair {
	t.Helper()
	text, p := profileTest(t, transcript.VTPM)
	in := gceInput(t, &p.Quote)
	raw := verifier.VerifyRaw(verifier.RawInput{Platform: transcript.VTPM, Evidence: in.Evidence, Policy: text, Vendor: verifier.Vendor{Collateral: gceFiles(t)}, At: in.Rules.At})
	if got, want := ofVerdict(raw.Verdict), ourTPM(in); got != want || !want.accepted() {
		t.Errorf("VerifyRaw %v, cloud.Verify %v", got, want)
	}
	var pairs []pair
	for _, c := range slices.Concat(nonceChanges(t), attestationChanges(t, in), logChanges(t, in), authorityChanges(t, in)) {
		in := gceInput(t, &p.Quote)
		c.change(&in)
		pairs = append(pairs, pair{"real/" + c.name, ourTPM(in), theirTPM(t, in, in.Rules.At.Add(c.clock))})
	}
	return pairs
}

func nonceChanges(t testing.TB) []tpmChange {
	t.Helper()
	none := read(t, gceNoNonce)
	set := func(name string, change func(in *cloud.Input)) tpmChange {
		return tpmChange{name: name, change: change}
	}
	return []tpmChange{
		set("unchanged", func(*cloud.Input) {}),
		set("nonce: another", func(in *cloud.Input) { in.Policy.ExtraData = [][]byte{{0x90, 0x0a}} }),
		set("nonce: longer", func(in *cloud.Input) { in.Policy.ExtraData = [][]byte{{0x90, 0x09, 0}} }),
		set("nonce: a part of it", func(in *cloud.Input) { in.Policy.ExtraData = [][]byte{{0x90}} }),
		set("nonce: nobody gave one", func(in *cloud.Input) { in.Policy.ExtraData, in.Policy.Transcript = nil, true }),
		set("nonce: none in the quote", func(in *cloud.Input) { in.Evidence = none }),
		set("nonce: none in the quote, none expected", func(in *cloud.Input) {
			in.Evidence, in.Policy.ExtraData, in.Policy.AnyExtraData = none, nil, true
		}),
	}
}

// attestationChanges are bits and members of the attestation.
func attestationChanges(t testing.TB, in cloud.Input) []tpmChange {
	t.Helper()
	edit := func(name string, change func(a *attest.Attestation)) tpmChange {
		a := &attest.Attestation{}
		if err := proto.Unmarshal(in.Evidence, a); err != nil {
			t.Fatal(err)
		}
		change(a)
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return tpmChange{name: name, change: func(in *cloud.Input) { in.Evidence = b }}
	}
	sha256Quote := 1 // the banks of the file: SHA-1, SHA-256, SHA-384
	list := []tpmChange{
		edit("encoded again", func(*attest.Attestation) {}),
		edit("without the SHA-256 quote", func(a *attest.Attestation) { a.Quotes = slices.Delete(a.Quotes, 1, 2) }),
		edit("SHA-1 quote alone", func(a *attest.Attestation) { a.Quotes = a.Quotes[:1] }),
		edit("quotes in the other order", func(a *attest.Attestation) { slices.Reverse(a.Quotes) }),
		edit("SHA-256 quote twice", func(a *attest.Attestation) { a.Quotes = append(a.Quotes, a.Quotes[1]) }),
		edit("no quotes", func(a *attest.Attestation) { a.Quotes = nil }),
		edit("another key", func(a *attest.Attestation) { a.AkPub = flip(a.AkPub, len(a.AkPub)-1, 0) }),
		edit("no key", func(a *attest.Attestation) { a.AkPub = nil }),
		edit("no certificate", func(a *attest.Attestation) { a.AkCert = nil }),
		edit("certificate, bit of its signature", func(a *attest.Attestation) { a.AkCert = flip(a.AkCert, len(a.AkCert)-9, 0) }),
		edit("certificate, bit of its key", func(a *attest.Attestation) { a.AkCert = flip(a.AkCert, len(a.AkCert)/2, 0) }),
		edit("certificate with a byte behind it", func(a *attest.Attestation) { a.AkCert = with(a.AkCert, 0) }),
		edit("instance of another name", func(a *attest.Attestation) {
			a.InstanceInfo = &attest.GCEInstanceInfo{Zone: "elsewhere", ProjectId: "other", InstanceName: "other"}
		}),
		edit("register left out", func(a *attest.Attestation) { delete(a.Quotes[1].Pcrs.Pcrs, 7) }),
		edit("register too short", func(a *attest.Attestation) { a.Quotes[1].Pcrs.Pcrs[7] = a.Quotes[1].Pcrs.Pcrs[7][1:] }),
		edit("register 24", func(a *attest.Attestation) { a.Quotes[1].Pcrs.Pcrs[24] = make([]byte, 32) }),
		edit("another bank named", func(a *attest.Attestation) { a.Quotes[1].Pcrs.Hash = a.Quotes[0].Pcrs.Hash }),
		{name: "field that nobody knows", change: func(in *cloud.Input) { in.Evidence = with(in.Evidence, 15<<3|2, 1, 0) }},
		{name: "byte behind it", change: func(in *cloud.Input) { in.Evidence = with(in.Evidence, 0) }},
		{name: "half", change: func(in *cloud.Input) { in.Evidence = in.Evidence[:len(in.Evidence)/2] }},
		{name: "nothing", change: func(in *cloud.Input) { in.Evidence = nil }},
	}
	first := &attest.Attestation{}
	if err := proto.Unmarshal(in.Evidence, first); err != nil {
		t.Fatal(err)
	}
	q := first.Quotes[sha256Quote]
	for at := 3; at < len(q.Quote); at += 8 {
		list = append(list, edit(fmt.Sprintf("quote, bit at %#x", at), func(a *attest.Attestation) {
			a.Quotes[1].Quote = flip(q.Quote, at, at/8%8)
		}))
	}
	for at := 0; at < len(q.RawSig); at += 32 {
		list = append(list, edit(fmt.Sprintf("signature, bit at %#x", at), func(a *attest.Attestation) {
			a.Quotes[1].RawSig = flip(q.RawSig, at, at/32%8)
		}))
	}
	for index := range uint32(24) {
		list = append(list, edit(fmt.Sprintf("register %d, bit", index), func(a *attest.Attestation) {
			a.Quotes[1].Pcrs.Pcrs[index] = flip(a.Quotes[1].Pcrs.Pcrs[index], int(index), 0)
		}))
	}
	return append(list,
		edit("quote with a byte behind it", func(a *attest.Attestation) { a.Quotes[1].Quote = with(a.Quotes[1].Quote, 0) }),
		edit("signature with a byte behind it", func(a *attest.Attestation) { a.Quotes[1].RawSig = with(a.Quotes[1].RawSig, 0) }),
		edit("key with a byte behind it", func(a *attest.Attestation) { a.AkPub = with(a.AkPub, 0) }),
	)
}

// logChanges are changes of the event log.
func logChanges(t testing.TB, in cloud.Input) []tpmChange {
	t.Helper()
	first := &attest.Attestation{}
	if err := proto.Unmarshal(in.Evidence, first); err != nil {
		t.Fatal(err)
	}
	withLog := func(name string, log []byte) tpmChange {
		a, ok := proto.Clone(first).(*attest.Attestation)
		if !ok {
			t.Fatal("no attestation")
		}
		a.EventLog = log
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return tpmChange{name: "log: " + name, change: func(in *cloud.Input) { in.Evidence = b }}
	}
	edit := func(name string, change func(l *eventlog.Log)) tpmChange {
		l, err := eventlog.Decode(first.EventLog)
		if err != nil {
			t.Fatal(err)
		}
		change(l)
		return withLog(name, l.Encode())
	}
	// digest is where an event has that of SHA-256.
	digest := func(e *eventlog.Event) []byte {
		for _, d := range e.Digests {
			if d.Algorithm == eventlog.SHA256 {
				return d.Value
			}
		}
		t.Fatal("no SHA-256")
		return nil
	}
	l, err := eventlog.Decode(first.EventLog)
	if err != nil {
		t.Fatal(err)
	}
	list := []tpmChange{
		withLog("none", nil),
		withLog("half", first.EventLog[:len(first.EventLog)/2]),
		withLog("byte behind it", with(first.EventLog, 0)),
		withLog("of another machine", read(t, "vtpm/go-tpm-tools/eventlogs/rhel8-uefi.bin")),
		edit("encoded again", func(*eventlog.Log) {}),
		edit("events exchanged", func(l *eventlog.Log) { l.Events[1], l.Events[2] = l.Events[2], l.Events[1] }),
		edit("register 24", func(l *eventlog.Log) { l.Events[3].PCR = 24 }),
	}
	for i := range l.Events {
		if l.Events[i].Type == eventlog.NoAction {
			continue
		}
		list = append(list,
			edit(fmt.Sprintf("digest of event %d", i), func(l *eventlog.Log) { digest(&l.Events[i])[5] ^= 1 }),
			edit(fmt.Sprintf("event %d left out", i), func(l *eventlog.Log) { l.Events = slices.Delete(l.Events, i, i+1) }))
	}
	return append(list, untold(edit, l)...)
}

// untold are changes of what the registers do not cover.
func untold(edit func(name string, change func(l *eventlog.Log)) tpmChange, l *eventlog.Log) []tpmChange {
	last := len(l.Events) - 1
	separator := slices.IndexFunc(l.Events, func(e eventlog.Event) bool { return e.Type == eventlog.Separator && e.PCR == 7 })
	return []tpmChange{
		edit("SHA-1 digest of an event", func(l *eventlog.Log) { l.Events[last].Digests[0].Value[0] ^= 1 }),
		edit("data of the last event", func(l *eventlog.Log) { l.Events[last].Data[0] ^= 1 }),
		edit("type of the last event", func(l *eventlog.Log) { l.Events[last].Type = 0x7777 }),
		edit("data of a separator", func(l *eventlog.Log) { l.Events[separator].Data = []byte{1, 0, 0, 0} }),
		edit("separator made another event", func(l *eventlog.Log) { l.Events[separator].Type = eventlog.IPL }),
		edit("event that extends nothing, of a register", func(l *eventlog.Log) {
			e := l.Events[last]
			e.Type = eventlog.NoAction
			l.Events = append(l.Events, e)
		}),
	}
}

// authorityChanges are about the certificate of the key.
func authorityChanges(t testing.TB, in cloud.Input) []tpmChange {
	t.Helper()
	a := &attest.Attestation{}
	if err := proto.Unmarshal(in.Evidence, a); err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(a.AkCert)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string, when time.Time) tpmChange {
		return tpmChange{name: "certificate " + name, change: func(in *cloud.Input) { in.Rules.At = when }}
	}
	without := func(name string, drop func(c *x509.Certificate) bool) tpmChange {
		return tpmChange{name: name, change: func(in *cloud.Input) {
			in.Endorsements = &endorse.Set{Certificates: slices.DeleteFunc(slices.Clone(in.Endorsements.Certificates), drop)}
		}}
	}
	root := func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }
	return []tpmChange{
		at("begins in a second", c.NotBefore.Add(-time.Second)),
		at("begins now", c.NotBefore),
		at("ends now", c.NotAfter),
		at("ended a second ago", c.NotAfter.Add(time.Second)),
		{name: "clock after the certificate's end", change: func(*cloud.Input) {}, clock: c.NotAfter.Sub(in.Rules.At) + time.Hour},
		{name: "clock before the certificate's beginning", change: func(*cloud.Input) {}, clock: -in.Rules.At.Sub(c.NotBefore) - time.Hour},
		without("no root", root),
		without("no intermediate", func(c *x509.Certificate) bool { return !root(c) }),
		{name: "no endorsements", change: func(in *cloud.Input) { in.Endorsements = nil }},
		{name: "policy: other roots", change: func(in *cloud.Input) { in.Policy.Roots = []tpmpolicy.Root{{SHA256: sha256.Sum256(a.AkCert)}} }},
		{name: "policy: no certificates", change: func(in *cloud.Input) { in.Policy.AttestationKeys = []string{tpmpolicy.Hardware} }},
		{name: "policy: the key pinned", change: func(in *cloud.Input) {
			in.Policy.AttestationKeys, in.Policy.Pins = []string{tpmpolicy.Pinned}, [][32]byte{sha256.Sum256(a.AkPub)}
		}},
		{name: "policy: another key pinned", change: func(in *cloud.Input) {
			in.Policy.AttestationKeys, in.Policy.Pins = []string{tpmpolicy.Pinned}, [][32]byte{{1}}
		}},
		{name: "policy: registers of the firmware explained, the loader's digest changed", change: func(in *cloud.Input) {
			in.Policy.Explained = []int{0, 1, 2, 3, 4, 5, 6, 7}
			l := logChanges(t, *in)
			l[slices.IndexFunc(l, func(c tpmChange) bool { return c.name == "log: digest of event 24" })].change(in)
		}},
		{name: "policy: fewer registers", change: func(in *cloud.Input) { in.Policy.PCRs = in.Policy.PCRs[:8] }},
		{name: "policy: revocation lists", change: func(in *cloud.Input) { in.Policy.AnyCRL = false }},
		{name: "policy: extended key usage of attestation keys", change: func(in *cloud.Input) { in.Policy.CertificateUsage = tpmpolicy.UsageAIK }},
		{name: "policy: another instance", change: func(in *cloud.Input) {
			in.Policy.AnyInstance, in.Policy.Instances = false, []tpmpolicy.Instance{{Project: "other", ProjectNumber: -1, Zone: "any", Name: "any", ID: -1}}
		}},
		{name: "policy: events of an appliance", change: func(in *cloud.Input) { in.Policy.Events = tpmpolicy.Appliance }},
		{name: "policy: Secure Boot on", change: func(in *cloud.Input) { in.Policy.SecureBoot = tpmpolicy.On }},
		{name: "policy: Secure Boot off", change: func(in *cloud.Input) { in.Policy.SecureBoot = tpmpolicy.Off }},
		{name: "policy: register of the release", change: func(in *cloud.Input) {
			in.Policy.AnyRegisters, in.Policy.Registers = false, []tpmpolicy.Register{{Index: 4, Values: [][]byte{make([]byte, 32)}}}
		}},
	}
}

// signedAgain gives an attestation another key and its quotes the name of one,
// which the library wants and tpmtest's have not, and signs them again. It sends
// along the registers that are quoted.
func signedAgain(t testing.TB, file []byte, key *rsa.PrivateKey, quoted []int) []byte {
	t.Helper()
	a := &attest.Attestation{}
	if err := proto.Unmarshal(file, a); err != nil {
		t.Fatal(err)
	}
	copy(a.AkPub[len(a.AkPub)-256:], key.N.Bytes()) // the modulus ends a TPMT_PUBLIC of RSA
	for _, q := range a.Quotes {
		maps.DeleteFunc(q.Pcrs.Pcrs, func(index uint32, _ []byte) bool { return !slices.Contains(quoted, int(index)) })
		const name = 8 // after magic, type and size of qualifiedSigner (TPMS_ATTEST)
		copy(q.Quote[name:], []byte{0, 0x0b})
		sum := sha256.Sum256(q.Quote)
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		q.RawSig = append([]byte{0, 0x14, 0, 0x0b, 1, 0}, signature...) // TPMT_SIGNATURE: RSASSA, SHA-256, size
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tpmMadePairs compares on machines in software under a test authority.
func tpmMadePairs(t *testing.T) []pair {
	t.Helper()
	ek := asn1.ObjectIdentifier{2, 23, 133, 8, 1}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []pair
	for _, c := range []struct {
		name   string
		change func(m *tpmtest.Machine)
	}{
		{"unchanged", func(*tpmtest.Machine) {}},
		{"key without restricted", func(m *tpmtest.Machine) { m.Attributes ^= tpm.Restricted }},
		{"key without fixedTPM", func(m *tpmtest.Machine) { m.Attributes ^= tpm.FixedTPM }},
		{"key that decrypts", func(m *tpmtest.Machine) { m.Attributes ^= tpm.Decrypt }},
		{"certificate of an endorsement key", func(m *tpmtest.Machine) {
			m.Certificate.Usage, m.Certificate.Extended = x509.KeyUsageKeyEncipherment, []asn1.ObjectIdentifier{ek}
		}},
		{"certificate without extended key usage", func(m *tpmtest.Machine) { m.Certificate.Extended = nil }},
		{"certificate that ended a second ago", func(m *tpmtest.Machine) { m.Certificate.Until = tpmtest.Now().Add(-time.Second) }},
		{"certificate that begins in a second", func(m *tpmtest.Machine) { m.Certificate.From = tpmtest.Now().Add(time.Second) }},
		{"certificate under another root", func(m *tpmtest.Machine) { m.Certificate.OtherRoot = true }},
		{"certificate that names no instance", func(m *tpmtest.Machine) { m.Certificate.Instance = nil }},
		{"no revocation lists", func(m *tpmtest.Machine) { m.Lists = func() []*x509.RevocationList { return nil } }},
		{"quote of fewer registers", func(m *tpmtest.Machine) { m.PCRs = m.PCRs[:8] }},
		{"quote of harmless registers alone", func(m *tpmtest.Machine) { m.PCRs = []int{16, 23} }},
		{"no quote but another structure", func(m *tpmtest.Machine) { m.AttestType = 0x8017 }},
		{"clock that was set back", func(m *tpmtest.Machine) { m.Safe = false }},
		{"machine that was resumed", func(m *tpmtest.Machine) { m.Restarts = 1 }},
		{"no log", func(m *tpmtest.Machine) { m.Logged = nil }},
		{"event that is in no log", func(m *tpmtest.Machine) { m.Unlogged = append(m.Unlogged, tpmtest.Event{PCR: 4, Data: []byte("more")}) }},
		{"register 23 that no log explains", func(m *tpmtest.Machine) {
			m.Unlogged = append(m.Unlogged, tpmtest.Event{PCR: 23, Data: []byte("more")})
		}},
		{"event of an unknown type", func(m *tpmtest.Machine) {
			m.Events = append(m.Events, tpmtest.Event{PCR: 4, Type: 0x7777, Data: []byte("x")})
			m.Logged = slices.Clone(m.Events)
		}},
		{"event whose data is not what was hashed", func(m *tpmtest.Machine) {
			m.Logged = slices.Clone(m.Events)
			m.Logged[0].Hashed, m.Logged[0].Data = m.Events[0].Data, []byte("2\x00\x00\x00")
		}},
		{"registers of another release", func(m *tpmtest.Machine) {
			m.Input = func(in *cloud.Input) { in.Expected.Registers = []map[int][]byte{{4: make([]byte, 32)}} }
		}},
		{"nobody gave the release", func(m *tpmtest.Machine) { m.Input = func(in *cloud.Input) { in.Expected.Registers = nil } }},
	} {
		m := tpmtest.Google(t)
		m.Certificate.Key = key.Public()
		c.change(m)
		m.File = func(b []byte) []byte { return signedAgain(t, b, key, m.PCRs) }
		in := m.Inputs()
		pairs = append(pairs, pair{"made/" + c.name, ourTPM(in), theirTPM(t, in, in.Rules.At)})
	}
	return pairs
}
