package verifier

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
	"safebox/verifier/bundle"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/hostile"
	"safebox/verifier/memory"
	"safebox/verifier/policy"
	"safebox/verifier/publishtest"
	"safebox/verifier/release"
)

// refusal is an input that must fail the check want, and if it is alone no
// other.
type refusal struct {
	name, want string
	alone      bool
	change     change
}

func refusals() []refusal {
	return slices.Concat(sessionRefusals(), releaseRefusals(), keyRefusals(), quoteRefusals(), eventRefusals())
}

func sessionRefusals() []refusal {
	return []refusal{
		{"policy is no TOML", "POL-1", true, withPolicy("[vtpm]", "[vtpm")},
		{"policy of nobody", "POL-1", true, func(_ testing.TB, in Input) Input { in.Policy = nil; return in }},
		{"policy is stale", "POL-2", false, func(_ testing.TB, in Input) Input {
			in.At = time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
			return in
		}},
		{"no time", "POL-2", false, func(_ testing.TB, in Input) Input { in.At = time.Time{}; return in }},
		{"no time either", "FR-3", false, func(_ testing.TB, in Input) Input { in.At = time.Time{}; return in }},
		{"newline after the evidence", "EV-1", false, func(_ testing.TB, in Input) Input {
			in.Evidence = append(bytes.Clone(in.Evidence), '\n')
			return in
		}},
		{"evidence of 100 MB", "EV-1", true, func(_ testing.TB, in Input) Input {
			in.Evidence = append(bytes.Clone(in.Evidence), make([]byte, 100<<20)...)
			return in
		}},
		{"review was before", "POL-2", true, withPolicy("review = 2027-05-31", "review = 2026-11-01")},
		{"platform is not the policy's", "PLAT-1", true, func(t testing.TB, in Input) Input {
			var err error
			if in.Policy, err = policy.Profile(policy.Test, []string{"nitro"}); err != nil {
				t.Fatal(err)
			}
			return in
		}},
		{"challenge of nobody for a known key", "CH-1", true, func(t testing.TB, in Input) Input {
			in = withForger(nil, nil)(t, in)
			in.Challenge, in.Secret = []byte{}, nil
			return in
		}},
		{"another platform", "PLAT-1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) {
			e.Platform, e.VTPM, e.SNP = "snp", nil, &evidence.SNP{Report: []byte{1}}
		})},
		{"nobody witnessed the time", "TIME-1", true, withPolicy("time = \"any\"", `time = "authenticated"`)},
		{"a time before this verifier", "TIME-1", true, func(t testing.TB, in Input) Input {
			secret, err := challenge.DecodeSecret(in.Secret)
			if err != nil {
				t.Fatal(err)
			}
			secret.Issued = made().Unix() - 20
			c, err := challenge.Decode(in.Challenge)
			if err != nil {
				t.Fatal(err)
			}
			c.Expires = secret.Issued + 30
			in = withChallenge(func(cc *challenge.Challenge, s *challenge.Secret) { cc.Expires, s.Issued = c.Expires, secret.Issued })(t, in)
			in.At = made().Add(-time.Second)
			return withPolicy(`mode = "as-of"`, `mode = "live"`)(t, in)
		}},
		{"no memory", "ROLL-1", true, withPolicy(`memory = "any"`, `memory = "required"`)},
		{"memory of another kind", "ROLL-1", true, func(_ testing.TB, in Input) Input { in.Memory = []byte("{}"); return in }},
		{"memory of a later time", "ROLL-1", true, func(t testing.TB, in Input) Input {
			m := &memory.Memory{}
			if err := m.Merge(nil, in.At.Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			var err error
			if in.Memory, err = m.Encode(); err != nil {
				t.Fatal(err)
			}
			in.At = in.At.Truncate(time.Second)
			return withPolicy(`mode = "as-of"`, `mode = "live"`)(t, in)
		}},
		{"challenge is no challenge", "CH-1", false, func(_ testing.TB, in Input) Input { in.Challenge = in.Secret; return in }},
		{"no challenge", "CH-1", false, func(_ testing.TB, in Input) Input { in.Challenge = nil; return in }},
		{"secret is no secret", "CH-1", false, func(_ testing.TB, in Input) Input { in.Secret = in.Challenge; return in }},
		{"empty secret", "CH-1", false, func(_ testing.TB, in Input) Input { in.Secret = []byte{}; return in }},
		{"secret of another challenge", "CH-1", false, func(t testing.TB, in Input) Input {
			other := withChallenge(func(c *challenge.Challenge, _ *challenge.Secret) { c.Nonce[0] ^= 1 })(t, in)
			in.Secret = other.Secret
			return in
		}},
		{"secret of what is no challenge", "CH-1", false, func(t testing.TB, in Input) Input {
			s, err := challenge.DecodeSecret(in.Secret)
			if err != nil {
				t.Fatal(err)
			}
			in.Challenge = append(bytes.Clone(in.Challenge), '\n')
			s.Challenge = sha256.Sum256(in.Challenge)
			if in.Secret, err = s.Encode(); err != nil {
				t.Fatal(err)
			}
			return in
		}},
		{"secret without the enrolment", "CH-1", false, withChallenge(func(_ *challenge.Challenge, s *challenge.Secret) { s.Enroll = nil })},
		{"secret for another key", "CH-1", false, withChallenge(func(_ *challenge.Challenge, s *challenge.Secret) {
			s.Enroll.AKName = slices.Clone(s.Enroll.AKName)
			s.Enroll.AKName[5] ^= 1
		})},
		{"foreign nonce", "FR-1", true, withChallenge(func(c *challenge.Challenge, _ *challenge.Secret) { c.Nonce[31] ^= 0x80 })},
		{"foreign audience", "FR-2", true, withChallenge(func(c *challenge.Challenge, _ *challenge.Secret) { c.Audience[0] ^= 1 })},
		{"a second late", "FR-3", true, at(func(_ *challenge.Secret, c *challenge.Challenge) time.Time { return time.Unix(c.Expires+1, 0) })},
		{"a second early", "FR-3", true, at(func(s *challenge.Secret, _ *challenge.Challenge) time.Time { return time.Unix(s.Issued-1, 0) })},
		{"challenge lives a second too long", "FR-4", true, withPolicy("max_life = 3600", "max_life = 599")},
		{"challenge ends before it begins", "FR-4", false, withChallenge(func(c *challenge.Challenge, s *challenge.Secret) { s.Issued = c.Expires })},
		{"nobody knows when the challenge was made", "FR-4", false, func(_ testing.TB, in Input) Input { in.Secret = nil; return in }},
	}
}

func releaseRefusals() []refusal {
	return []refusal{
		{"no bundle", "REL-1", true, func(_ testing.TB, in Input) Input { in.Bundle = nil; return in }},
		{"bundle without its end", "REL-1", false, func(_ testing.TB, in Input) Input { in.Bundle = in.Bundle[:len(in.Bundle)-512]; return in }},
		{"release with a weaker rule", "REL-1", false, func(t testing.TB, in Input) Input {
			text := bytes.Replace(readFile(t, "boot/release.json"), []byte(`"name":"pcr4","rule":"exact"`), []byte(`"name":"pcr4","rule":"fixed-disk"`), 1)
			var err error
			if in.Bundle, err = bundle.Encode(&bundle.Bundle{Release: text}); err != nil {
				t.Fatal(err)
			}
			return in
		}},
		{"release with one digest changed", "REL-2", true, func(t testing.TB, in Input) Input {
			b, err := hostile.Release(in.Bundle)
			if err != nil {
				t.Fatal(err)
			}
			in.Bundle = b
			return in
		}},
		{"challenge for another release", "REL-2", true, withChallenge(func(c *challenge.Challenge, _ *challenge.Secret) { c.Release[7] ^= 1 })},
		{"evidence for another release", "REL-2", true, withForger(func(_ testing.TB, e *evidence.Evidence) { e.Release[7] ^= 1 }, nil)},
		{"unsigned release", "REL-3", true, func(t testing.TB, in Input) Input {
			in.Policy = publishtest.NewPolicy(t).Apply(t, in.Policy)
			return in
		}},
		{"a document that the policy does not list", "CFG-1", true, withPolicy(`documents = "any"`, `documents = ["`+strings.Repeat("0a", 32)+`"]`)},
		{"a document where the policy wants none", "CFG-1", true, together(withPolicy(`documents = "any"`, `documents = ["none"]`), withForger(func(t testing.TB, e *evidence.Evidence) {
			b, err := configuration.Default().Encode()
			if err != nil {
				t.Fatal(err)
			}
			e.Configuration = b
			setRuntime(t, e, configEvent(e))
		}, nil))},
		{"a document that is none", "CFG-1", true, withForger(func(t testing.TB, e *evidence.Evidence) {
			e.Configuration = []byte("{}")
			setRuntime(t, e, configEvent(e))
		}, nil)},
		{"changed configuration document", "CFG-2", false, withEvidence(func(t testing.TB, e *evidence.Evidence) {
			b, err := configuration.Default().Encode()
			if err != nil {
				t.Fatal(err)
			}
			e.Configuration = b
		})},
		{"document that was not measured", "CFG-2", true, withForger(func(t testing.TB, e *evidence.Evidence) {
			b, err := configuration.Default().Encode()
			if err != nil {
				t.Fatal(err)
			}
			e.Configuration = b
		}, nil)},
		{"no runtime log", "CFG-2", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Runtime = nil })},
		{"arrival of keys left out", "CFG-2", true, withForger(func(t testing.TB, e *evidence.Evidence) {
			setRuntime(t, e, configEvent(e), keysEvent())
			e.VTPM.Runtime = e.VTPM.Runtime[:1]
		}, nil)},
		{"arrival of keys made up", "CFG-2", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Runtime = append(e.VTPM.Runtime, keysEvent()) })},
		{"keys before the configuration", "CFG-2", true, withForger(func(t testing.TB, e *evidence.Evidence) { setRuntime(t, e, keysEvent(), configEvent(e)) }, nil)},
		{"the configuration's digest as arrived keys", "CFG-2", true, withForger(func(t testing.TB, e *evidence.Evidence) {
			setRuntime(t, e, evidence.RuntimeEvent{Kind: evidence.KindKeys, Digest: configEvent(e).Digest})
		}, nil)},
		{"configuration twice", "CFG-2", true, withForger(func(t testing.TB, e *evidence.Evidence) { setRuntime(t, e, configEvent(e), configEvent(e)) }, nil)},
		{"keys where the policy wants a fresh machine", "CFG-2", true, together(withPolicy(`state = "working"`, `state = "fresh"`), withForger(func(t testing.TB, e *evidence.Evidence) {
			setRuntime(t, e, configEvent(e), keysEvent())
		}, nil))},
		{"nothing in register 15 of one bank", "CFG-2", true, withForger(func(t testing.TB, e *evidence.Evidence) {
			setRegister(t, e, golden.SHA384, 15, golden.SHA384.Zero())
		}, nil)},
	}
}

func keyRefusals() []refusal {
	list := []refusal{
		{"activation with another secret", "TPM-K1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Activation[0] ^= 1 })},
		{"no activation", "TPM-K1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Activation = nil })},
		{"longer activation", "TPM-K1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Activation = append(e.VTPM.Activation, 0) })},
		{"activation that nobody asked for", "TPM-K1", false, func(t testing.TB, in Input) Input {
			in.Challenge, in.Secret = withoutEnrolment(t, in)
			return in
		}},
		{"activation that nobody asked for, of a pinned key", "TPM-K1", false, withForger(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Activation = make([]byte, 32) }, nil)},
		{"activation that nobody remembers", "TPM-K1", false, func(_ testing.TB, in Input) Input { in.Secret = nil; return in }},
		{"AK without activation or pin", "TPM-K1", false, together(withForger(nil, nil), func(_ testing.TB, in Input) Input { in.Pin = nil; return in })},
		{"pin of another key", "TPM-K1", false, func(t testing.TB, in Input) Input {
			in.Pin = withForger(nil, nil)(t, in).Pin
			return in
		}},
		{"quote from another key", "TPM-K1", false, func(t testing.TB, in Input) Input {
			challenge, secret := in.Challenge, in.Secret
			in = withForger(nil, nil)(t, in)
			in.Challenge, in.Secret, in.Pin = challenge, secret, nil
			return in
		}},
		// The host has the true TPM answer the activation, and quotes with a key of its own.
		{"quote from another key, activation from the TPM", "TPM-K1", false, func(t testing.TB, in Input) Input {
			return withTrueActivation(t, in, func(*challenge.Secret, []byte) {})
		}},
		{"secret whose name is of another key", "TPM-K1", false, func(t testing.TB, in Input) Input {
			return withTrueActivation(t, in, func(s *challenge.Secret, ak []byte) { s.Enroll.AK = ak })
		}},
		{"secret whose key is none", "TPM-K1", false, withChallenge(func(_ *challenge.Challenge, s *challenge.Secret) { s.Enroll.AK = []byte{1} })},
		{"pin is no pin", "TPM-K1", false, together(withForger(nil, nil), func(_ testing.TB, in Input) Input { in.Pin = []byte("{}"); return in })},
		{"empty pin", "TPM-K1", false, together(withForger(nil, nil), func(_ testing.TB, in Input) Input { in.Pin = []byte{}; return in })},
		{"AK cut short", "TPM-K2", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.AK = e.VTPM.AK[:len(e.VTPM.AK)-1] })},
		{"AK's point not on the curve", "TPM-K2", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.AK[len(e.VTPM.AK)-1] ^= 1 })},
		{"software root refused", "TPM-K5", true, withPolicy(`software_roots = "accept"`, `software_roots = "refuse"`)},
		{"root that the policy does not name", "TPM-K5", true, withPolicy(`sha256 = "`, `sha256 = "`+strings.Repeat("00", 32)+"\"\nx = \"")},
		{"pin under a foreign root", "TPM-K5", true, func(t testing.TB, in Input) Input {
			f := newForger(t, in)
			f.pin.Root[0] ^= 1
			return f.input(t, in, nil, nil)
		}},
	}
	list[len(list)-2].change = func(t testing.TB, in Input) Input {
		i := bytes.Index(in.Policy, []byte(`sha256 = "`)) + len(`sha256 = "`)
		in.Policy = bytes.Clone(in.Policy)
		copy(in.Policy[i:], strings.Repeat("0", 64))
		return in
	}
	// Every bit of the attestation key before its point is the template's.
	for _, i := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 17, 19} {
		list = append(list, refusal{"AK with another template", "TPM-K2", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.AK[i] ^= 4 })})
	}
	return list
}

// withTrueActivation is the captured challenge with its true answer, in
// evidence that a key of the host's has quoted. The secret may be changed.
func withTrueActivation(t testing.TB, in Input, change func(s *challenge.Secret, ak []byte)) Input {
	t.Helper()
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	f := newForger(t, in)
	forged := f.input(t, in, func(changed *evidence.Evidence) { changed.VTPM.Activation = e.VTPM.Activation }, nil)
	in.Evidence = forged.Evidence
	return withChallenge(func(_ *challenge.Challenge, s *challenge.Secret) { change(s, f.ak) })(t, in)
}

func quoteRefusals() []refusal {
	list := []refusal{
		{"other nonce in old evidence", "TPM-Q1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.Nonce[0] ^= 1 })},
		{"other audience in old evidence", "TPM-Q1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.Audience[0] ^= 1 })},
		{"other KEM key", "TPM-Q1", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.KEM[900] ^= 1 })},
		{"other receipt key", "TPM-Q1", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.ReceiptKey[0] ^= 1 })},
		{"other release in old evidence", "TPM-Q1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.Release[0] ^= 1 })},
		{"other boot session", "TPM-Q1", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.BootSession[0] ^= 1 })},
		{"other document in old evidence", "TPM-Q1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.Configuration = []byte("{}") })},
		{"not made by a TPM", "TPM-Q1", false, withForger(nil, sha384(func(a *attestation) { a.magic = 0x30820122 }))},
		{"no quote but a certification", "TPM-Q1", false, withForger(nil, sha384(func(a *attestation) { a.typ = 0x8017 }))},
		{"extra data is a prefix", "TPM-Q1", true, withForger(nil, sha384(func(a *attestation) { a.extra = a.extra[:31] }))},
		{"no extra data", "TPM-Q1", true, withForger(nil, sha384(func(a *attestation) { a.extra = nil }))},
		{"key of another hierarchy", "TPM-Q1", true, withForger(nil, sha384(func(a *attestation) { a.signer[5] ^= 1 }))},
		{"signature of another quote", "TPM-Q2", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) {
			e.VTPM.Quotes[0].Signature = e.VTPM.Quotes[1].Signature
		})},
		{"signature is no signature", "TPM-Q2", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Quotes[1].Signature = []byte{0, 0x10} })},
		{"quote changed after it was signed", "TPM-Q2", true, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Quotes[1].Attest[4+2+2+34+2+32] ^= 1 })},
		{"fewer registers than the policy's", "TPM-Q3", false, withForger(func(_ testing.TB, e *evidence.Evidence) {
			e.VTPM.Quotes[1].PCRs = e.VTPM.Quotes[1].PCRs[:15]
		}, nil)},
		{"more registers than the policy's", "TPM-Q3", true, withForger(func(_ testing.TB, e *evidence.Evidence) {
			q := &e.VTPM.Quotes[1]
			q.PCRs = append(q.PCRs, evidence.PCR{Index: 16, Value: golden.SHA384.Zero().String()})
		}, nil)},
		{"a value that no quote is about", "TPM-Q3", true, together(withForger(nil, nil), withEvidence(func(_ testing.TB, e *evidence.Evidence) {
			q := &e.VTPM.Quotes[1]
			q.PCRs = append(q.PCRs, evidence.PCR{Index: 16, Value: golden.SHA384.Zero().String()})
		}))},
		{"no registers", "TPM-Q3", false, withForger(nil, sha384(func(a *attestation) { a.bitmap = make([]byte, 3) }))},
		{"values of other registers", "TPM-Q3", false, withForger(func(_ testing.TB, e *evidence.Evidence) {
			e.VTPM.Quotes[1].PCRs[15].Index = 16
		}, sha384(func(a *attestation) { a.bitmap = []byte{0xff, 0xff, 0} }))},
		{"fewer values than registers", "TPM-Q3", false, withForger(func(_ testing.TB, e *evidence.Evidence) {
			e.VTPM.Quotes[1].PCRs = e.VTPM.Quotes[1].PCRs[:15]
		}, sha384(func(a *attestation) { a.bitmap = []byte{0xff, 0xff, 0} }))},
		{"quote of another bank than it says", "TPM-Q3", true, withForger(nil, sha384(func(a *attestation) { a.bank = 0x000b }))},
		{"register sent along is not the quoted one", "TPM-Q3", true, withEvidence(func(t testing.TB, e *evidence.Evidence) {
			setRegister(t, e, golden.SHA256, 1, golden.SHA256.Zero())
			setRegister(t, e, golden.SHA256, 10, golden.SHA256.Sum())
		})},
		{"registers other than the policy's", "TPM-Q3", true, withPolicy("[0, 1, 2", "[0, 2")},
		{"resumed", "TPM-Q4", true, withForger(nil, func(_ golden.Bank, a *attestation) { a.restart = 1 })},
		{"resumed between two quotes", "TPM-Q4", true, withForger(nil, sha384(func(a *attestation) { a.restart = 1 }))},
		{"clock set back between two quotes", "TPM-Q4", true, together(withPolicy(`clock = "any"`, `clock = "safe"`), withForger(nil, sha384(func(a *attestation) { a.safe = 0 })))},
		{"reset count before the pin's", "TPM-Q4", true, withForger(nil, func(_ golden.Bank, a *attestation) { a.reset = 4 })},
		{"quotes of two boots", "TPM-Q4", true, withForger(nil, sha384(func(a *attestation) { a.reset = 6 }))},
		{"quotes of two TPMs", "TPM-Q4", true, withForger(nil, sha384(func(a *attestation) { a.firmware++ }))},
		{"clock set back", "TPM-Q4", true, together(withPolicy(`clock = "any"`, `clock = "safe"`), withForger(nil, func(_ golden.Bank, a *attestation) { a.safe = 0 }))},
	}
	// "register sent along" touches registers that other checks explain too.
	for i := range list {
		if strings.HasPrefix(list[i].name, "register sent along") {
			list[i].alone = false
		}
	}
	return list
}

func eventRefusals() []refusal {
	list := []refusal{
		{"an event dropped", "TPM-E1", false, withLog(hostile.DropEvent(26))},
		{"an event added", "TPM-E1", false, withLog(hostile.AddEvent(26))},
		{"an event moved", "TPM-E1", false, withLog(hostile.MoveEvent(27))},
		{"the last event dropped", "TPM-E1", true, withLog(func(all []eventlog.Event) []eventlog.Event { return all[:len(all)-1] })},
		{"no log", "TPM-E1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.EventLog = nil })},
		{"log cut short", "TPM-E1", false, withEvidence(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.EventLog = e.VTPM.EventLog[:999] })},
		{"event of another type", "TPM-E2", true, withLog(func(all []eventlog.Event) []eventlog.Event {
			all[1].Type = eventlog.EFIPlatformFirmwareBlob2
			return all
		})},
		{"a note that extends nothing", "TPM-E2", true, withLog(func(all []eventlog.Event) []eventlog.Event {
			all[0].Data = bytes.Clone(all[0].Data)
			note := all[0]
			note.Type = eventlog.NoAction
			return append(all, note)
		})},
		{"host's command line in register 12", "TPM-E2", false, withLog(func(all []eventlog.Event) []eventlog.Event {
			extra := all[27]
			extra.PCR = 12
			return append(all, extra)
		})},
		{"data other than the digest's", "TPM-E3", true, withLog(func(all []eventlog.Event) []eventlog.Event {
			all[0].Data[0] ^= 1
			return all
		})},
		{"value of a boot option other than the digest's", "TPM-E3", true, withLog(func(all []eventlog.Event) []eventlog.Event {
			for i := range all {
				if all[i].Type == eventlog.EFIVariableBoot {
					all[i].Data[len(all[i].Data)-1] ^= 1
					break
				}
			}
			return all
		})},
		{"one bank of two", "TPM-E4", true, withForger(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Quotes = e.VTPM.Quotes[:1] }, nil)},
		{"the other bank of two", "TPM-E4", true, withForger(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Quotes = e.VTPM.Quotes[1:] }, nil)},
		{"the wrong bank", "TPM-E4", true, together(withPolicy(`banks = ["sha256", "sha384"]`, `banks = ["sha256"]`),
			withForger(func(_ testing.TB, e *evidence.Evidence) { e.VTPM.Quotes = e.VTPM.Quotes[1:] }, nil))},
		{"log without a quoted bank", "TPM-E4", false, withEvidence(func(t testing.TB, e *evidence.Evidence) {
			log, err := eventlog.Decode(e.VTPM.EventLog)
			if err != nil {
				t.Fatal(err)
			}
			log.Header.Algorithms = log.Header.Algorithms[:1]
			for i := range log.Events {
				log.Events[i].Digests = log.Events[i].Digests[:1]
			}
			e.VTPM.EventLog = log.Encode()
		})},
		{"Secure Boot with a key", "TPM-E5", false, withLog(func(all []eventlog.Event) []eventlog.Event {
			e := &all[4] // PK, whose length of the value is at 24
			e.Data = append(bytes.Clone(e.Data), 1)
			e.Data[24]++
			for i, bank := range golden.Banks() {
				e.Digests[i].Value = bank.Sum(e.Data)
			}
			return all
		})},
		{"a Secure Boot variable left out", "TPM-E5", false, withLog(hostile.DropEvent(5))},
	}
	for _, bank := range golden.Banks() {
		for _, index := range []int{0, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14} {
			list = append(list, refusal{"machine with another register", registerID(index, bank), false, withForger(func(t testing.TB, e *evidence.Evidence) {
				setRegister(t, e, bank, index, bank.Sum([]byte("another program")))
			}, nil)})
		}
		list = append(list, refusal{"machine with another partition table", registerID(5, bank), false, together(withPolicy(`disk = "any"`, `disk = "fixed"`),
			withForger(func(t testing.TB, e *evidence.Evidence) {
				setRegister(t, e, bank, 5, bank.Sum([]byte("another disk")))
			}, nil))})
	}
	for _, index := range []int{0, 2, 3, 4, 6, 7, 9, 11} {
		list = append(list, refusal{"release with another register", registerID(index, golden.SHA384), false, withRelease(func(r *release.Release) {
			for i := range r.Measurements {
				if m := &r.Measurements[i]; m.Bank == "sha384" {
					m.Registers[index].Value = strings.Repeat("0c", 48)
				}
			}
		})})
	}
	return append(list, refusal{"another way of booting", "TPM-R4-sha256", false, withPolicy(`boots = ["esp", "kernel"]`, `boots = ["kernel"]`)})
}
