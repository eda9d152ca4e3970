package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/image"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/hostile"
	"safebox/verifier/publishtest"
)

// attest makes the owner's keys and files, and asks the guest once.
func (p *party) attest(a *appliance) {
	p.t.Helper()
	root, err := os.ReadFile(a.tpmRoot)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("tpm-root.pem", root)
	p.yes("safebox", "key", "audience", "--out", "owner.key", "--no-passphrase")
	p.yes("safebox", "key", "recipient", "--out", "analyst.key", "--no-passphrase")
	p.yes("safebox", "policy", "init", "--profile", "test", "--tpm-root", "tpm-root.pem", "--out", "unsigned.toml")
	p.publish()
	p.yes("safebox-host", "--state", a.state, "enroll", a.id, "--out", "id.json")
	p.challenge("challenge.json", "owner.key.pub")
	p.evidence(a, "challenge.json", "evidence.json")
}

// publish has the release signed, rebuilt and logged, by nobody in earnest, and
// the policy demand that.
func (p *party) publish() {
	p.t.Helper()
	file, err := os.ReadFile(filepath.Join(release(p.t, p.init).folder, "release.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	published := publishtest.New(p.t, file, time.Now()).Publish(p.t)
	p.write("release.bundle", published.Encode(p.t))
	p.write("policy.toml", published.Policy.Apply(p.t, p.read("unsigned.toml")))
	p.yes("safebox", "release", "bundle", "--release", release(p.t, p.init).folder, "--out", "unsigned.bundle")
}

func (p *party) challenge(out, audience string) {
	p.t.Helper()
	p.yes("safebox", "challenge", "--audience", audience, "--release", filepath.Join(release(p.t, p.init).folder, "release.json"),
		"--enroll", "id.json", "--tpm-root", "tpm-root.pem", "--expires", "10m", "--out", out)
}

func (p *party) evidence(a *appliance, challenge, out string) {
	p.t.Helper()
	p.yes("safebox-host", "--state", a.state, "evidence", a.id, "--challenge", challenge, "--out", out)
}

// TestEvidence: a booted guest's evidence passes, and every way of cheating
// with it is refused by the check that is there for it.
func TestEvidence(t *testing.T) {
	t.Parallel()
	a := launch(t, launchOptions{init: image.InitPackage})
	p := newParty(t, image.InitPackage)
	p.attest(a)
	v, code := p.verify(nil)
	if !v.OK || code != 0 || len(v.failed()) != 0 {
		t.Fatalf("honest evidence: exit code %d, failed %v: %+v", code, v.failed(), v.Checks)
	}
	t.Logf("verdict: %d checks passed", len(v.Checks))
	p.makeCheats(a)
	for _, tt := range []struct {
		name  string
		id    string
		flags map[string]string
	}{
		{"replayed evidence", "FR-1", map[string]string{"--challenge": "second.json"}},
		{"foreign nonce written into it", "TPM-Q1", map[string]string{"--challenge": "second.json", "--evidence": "nonce.json"}},
		{"evidence for another owner", "FR-2", map[string]string{"--evidence": "foreign-evidence.json"}},
		{"foreign audience written into it", "TPM-Q1", map[string]string{"--evidence": "audience.json"}},
		{"challenge has run out", "FR-3", map[string]string{"--at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}},
		{"quote from another key", "TPM-K1", map[string]string{"--evidence": "other-tpm.json"}},
		{"key without activation", "TPM-K1", map[string]string{"--challenge": "plain.json", "--evidence": "plain-evidence.json"}},
		{"fewer registers than the policy's", "TPM-Q3", map[string]string{"--evidence": "fewer.json"}},
		{"a bank is missing", "TPM-E4", map[string]string{"--evidence": "one-bank.json"}},
		{"wrong bank under the right name", "TPM-Q3", map[string]string{"--evidence": "wrong-bank.json"}},
		{"event moved", "TPM-E1", map[string]string{"--evidence": "moved.json"}},
		{"event dropped", "TPM-E1", map[string]string{"--evidence": "dropped.json"}},
		{"event added", "TPM-E1", map[string]string{"--evidence": "added.json"}},
		{"configuration changed", "CFG-2", map[string]string{"--evidence": "configured.json"}},
		{"release with one digest changed", "REL-2", map[string]string{"--bundle": "changed.bundle"}},
		{"record of another release", "REL-5", map[string]string{"--bundle": "changed.bundle"}},
		{"unsigned release", "REL-3", map[string]string{"--bundle": "unsigned.bundle"}},
		{"nobody's release under strict", "REL-3", map[string]string{"--policy": "strict.toml"}},
		{"software root under strict", "TPM-K5", map[string]string{"--policy": "strict.toml"}},
		{"evidence of 100 MB", "EV-1", map[string]string{"--evidence": "huge.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, code := p.verify(tt.flags)
			if v.OK || code != 1 || !slices.Contains(v.failed(), tt.id) {
				t.Errorf("exit code %d, ok %v, failed %v, want %s", code, v.OK, v.failed(), tt.id)
			}
			for _, c := range v.Checks {
				if c.ID == tt.id && (c.Hint == "" || c.Want == c.Got) {
					t.Errorf("the check does not explain itself: %+v", c)
				}
			}
			t.Logf("refused: %v", v.failed())
		})
	}
	p.sameVerdictAnywhere()
}

// makeCheats writes the files that the refusals look at. All are made from
// what the real guest said.
func (p *party) makeCheats(a *appliance) {
	p.t.Helper()
	p.challenge("second.json", "owner.key.pub")
	p.yes("safebox", "key", "audience", "--out", "stranger.key", "--no-passphrase")
	p.challenge("foreign.json", "stranger.key.pub")
	p.evidence(a, "foreign.json", "foreign-evidence.json")
	p.yes("safebox", "challenge", "--audience", "owner.key.pub", "--release",
		filepath.Join(release(p.t, p.init).folder, "release.json"), "--out", "plain.json")
	p.evidence(a, "plain.json", "plain-evidence.json")

	second, err := challenge.Decode(p.read("second.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.cheat("nonce.json", func(e *evidence.Evidence) error { e.Nonce = second.Nonce; return nil })
	// The audience of the owner, in evidence that was made for the stranger.
	e, err := evidence.Decode(p.read("evidence.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	forged, err := hostile.Evidence(p.read("foreign-evidence.json"), func(f *evidence.Evidence) error {
		f.Audience, f.Nonce = e.Audience, e.Nonce
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("audience.json", forged)
	p.cheat("other-tpm.json", func(e *evidence.Evidence) error { return quoteElsewhere(p.t, e) })
	p.cheat("one-bank.json", func(e *evidence.Evidence) error { e.VTPM.Quotes = e.VTPM.Quotes[1:]; return nil })
	p.cheat("wrong-bank.json", func(e *evidence.Evidence) error {
		e.VTPM.Quotes[0].Attest, e.VTPM.Quotes[0].Signature = e.VTPM.Quotes[1].Attest, e.VTPM.Quotes[1].Signature
		return nil
	})
	p.cheat("fewer.json", func(e *evidence.Evidence) error { return quoteFewer(p.t, e) })
	p.cheat("moved.json", hostile.EventLog(hostile.MoveEvent(5)))
	p.cheat("dropped.json", hostile.EventLog(hostile.DropEvent(5)))
	p.cheat("added.json", hostile.EventLog(hostile.AddEvent(5)))
	document, err := configuration.Default().Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cheat("configured.json", func(e *evidence.Evidence) error { e.Configuration = document; return nil })
	changed, err := hostile.Release(p.read("release.bundle"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("changed.bundle", changed)
	p.yes("safebox", "policy", "init", "--profile", "strict", "--out", "strict.toml")
	p.write("huge.json", nil)
	if err := os.Truncate(p.path("huge.json"), 100<<20); err != nil {
		p.t.Fatal(err)
	}
}

func (p *party) cheat(name string, change func(*evidence.Evidence) error) {
	p.t.Helper()
	b, err := hostile.Evidence(p.read("evidence.json"), change)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name, b)
}

// sameVerdictAnywhere: without a network, in another time zone and language,
// the verdict has the same bytes.
func (p *party) sameVerdictAnywhere() {
	p.t.Helper()
	args := verifyArgs(map[string]string{"--at": time.Now().UTC().Format(time.RFC3339)})
	args[0] = filepath.Join(p.bin, "safebox")
	var first []byte
	for _, env := range [][]string{
		{},
		{"env", "TZ=Asia/Kathmandu", "LC_ALL=de_DE.UTF-8", "LANG=de_DE.UTF-8"},
		{"unshare", "-n"},
		{"env", "-i", "unshare", "-n"},
	} {
		all := append(slices.Clone(env), args...)
		cmd := exec.CommandContext(p.t.Context(), all[0], all[1:]...)
		cmd.Dir = p.dir
		out, err := cmd.Output()
		if err != nil {
			p.t.Fatalf("%s: %v", strings.Join(all, " "), err)
		}
		if first == nil {
			first = out
		}
		if !bytes.Equal(out, first) {
			p.t.Errorf("%v: another verdict:\n%s\n%s", env, out, first)
		}
	}
}
