package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/hostile"
	"safebox/verifier/keyfile"
)

// cheat is something that the host tries, with the command that refuses it.
type cheat struct {
	does  string
	names string // check or refusal that must be named
	why   string // in plain words
	try   func() ([]string, error)
}

// refuseCheats lets the host try. One that succeeds is a failure of the demo.
func (d *demo) refuseCheats() error {
	if err := os.Mkdir(d.path("cheat"), 0o755); err != nil {
		return err
	}
	if err := d.secondStory(); err != nil {
		return err
	}
	for _, c := range append(d.evidenceCheats(), d.jobCheats()...) {
		d.w.printf("   The host %s:\n", c.does)
		args, err := c.try()
		if err != nil {
			return err
		}
		code, out, errs := d.own(args...)
		if code != cli.ExitNo || !strings.Contains(out+errs, c.names) {
			return fmt.Errorf("the host %s: exit code %d, want 1 with %s: %s", c.does, code, c.names, strings.TrimSpace(out+errs))
		}
		d.w.indented(namedLine(out+errs, c.names))
		d.found("refused    the host %s: %s, %s", c.does, c.names, c.why)
	}
	return d.endMachine()
}

// namedLine is the line that names the reason.
func namedLine(text, name string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, name) {
			return strings.TrimSpace(line) + "\n"
		}
	}
	return ""
}

// secondStory asks the machine once more, and grants once more: what the host
// then plays with.
func (d *demo) secondStory() error {
	if _, err := d.yes("key", "recipient", "--out", file("cheat/host.key"), "--no-passphrase"); err != nil {
		return err
	}
	if err := d.challenge("cheat/challenge.json"); err != nil {
		return err
	}
	if err := d.agent("evidence", d.kept.event.ID, "--challenge", file("cheat/challenge.json"), "--out", file("cheat/evidence.json")); err != nil {
		return err
	}
	_, err := d.yes(d.grantArgs("--evidence", file("cheat/evidence.json"), "--challenge", file("cheat/challenge.json"), "--out", file("cheat/grant.json"))...)
	return err
}

// evidenceCheats are those that the owner's verifier must see.
func (d *demo) evidenceCheats() []cheat {
	return []cheat{
		{"answers a new challenge with old evidence", "FR-1", "evidence is good for one nonce", func() ([]string, error) {
			return d.verifyArgs("--challenge", file("cheat/challenge.json")), nil
		}},
		{"writes the new nonce into the old evidence", "TPM-Q1", "the TPM signed another transcript", func() ([]string, error) {
			return d.verifyArgs("--challenge", file("cheat/challenge.json"), "--evidence", file("cheat/nonce.json")),
				d.change("evidence.json", "cheat/nonce.json", d.otherNonce)
		}},
		{"drops an event from the boot log", "TPM-E1", "the log no longer adds up to the registers that the TPM signed", func() ([]string, error) {
			return d.verifyArgs("--evidence", file("cheat/log.json")), d.change("evidence.json", "cheat/log.json", func(b []byte) ([]byte, error) {
				return hostile.Evidence(b, hostile.EventLog(hostile.DropEvent(5)))
			})
		}},
		{"publishes a release.json of its own", "REL-2", "the owner asked for another release", func() ([]string, error) {
			return d.verifyArgs("--bundle", file("cheat/release.bundle")), d.change("release.bundle", "cheat/release.bundle", hostile.Release)
		}},
		{"shows the release when one of the three operators had rebuilt it", "REL-9", "the owner wants two who got the same bytes", func() ([]string, error) {
			return d.verifyArgs("--bundle", file("rebuilt-1.bundle")), nil
		}},
		{"wants keys for a release that its publisher has revoked", "REL-8", "the revocation lies in the log, and the log travels whole", func() ([]string, error) {
			return d.grantArgs("--bundle", file("revoked.bundle"), "--out", file("cheat/revoked.json")), d.revoked()
		}},
		{"hopes that a strict owner trusts its software TPM", "TPM-K5", "a program of the host signs whatever the host likes", func() ([]string, error) {
			_, err := d.yes("policy", "init", "--profile", "strict", "--out", file("strict.toml"))
			return d.verifyArgs("--policy", file("strict.toml")), err
		}},
	}
}

func (d *demo) otherNonce(b []byte) ([]byte, error) {
	text, err := os.ReadFile(d.path("cheat/challenge.json"))
	if err != nil {
		return nil, err
	}
	c, err := challenge.Decode(text)
	if err != nil {
		return nil, err
	}
	return hostile.Evidence(b, func(e *evidence.Evidence) error {
		e.Nonce = c.Nonce
		return nil
	})
}

// jobCheats are those that the guest must see.
func (d *demo) jobCheats() []cheat {
	second := []string{"--grant", file("cheat/grant.json"), "--evidence", file("cheat/evidence.json"), "--out", file("cheat/result")}
	asHost := append(slices.Clone(second), "--recipient-key", file("cheat/host.key"))
	return []cheat{
		{"runs another module under the grant", "job-module", "the grant names the SHA-256 of one module", func() ([]string, error) {
			return d.runArgs(append(second, "--module", file("cheat/other.wasm"))...), d.change("textstat.wasm", "cheat/other.wasm", func(b []byte) ([]byte, error) {
				return append(b, 0, 1, 0), nil // an empty custom section: it does the same and is not the same
			})
		}},
		{"changes the parameters", "job-params", "the grant names the SHA-256 of the parameters", func() ([]string, error) {
			return d.runArgs(append(second, "--params", file("cheat/params.json"))...), d.change("params.json", "cheat/params.json", func([]byte) ([]byte, error) {
				return []byte(`{"top":5000}`), nil
			})
		}},
		{"makes itself the recipient", "grant-signature", "the owner's signature is over other recipients", func() ([]string, error) {
			return d.runArgs(append(asHost, "--grant", file("cheat/recipient.json"))...), d.change("cheat/grant.json", "cheat/recipient.json", func(b []byte) ([]byte, error) {
				return d.hostsGrant(b, nil)
			})
		}},
		{"signs the grant itself", "grant-audience", "the guest takes grants from the owner who challenged it, and nobody else", func() ([]string, error) {
			key, err := keyfile.NewAudience(rand.Reader)
			if err != nil {
				return nil, err
			}
			return d.runArgs(append(asHost, "--grant", file("cheat/signed.json"))...), d.change("cheat/grant.json", "cheat/signed.json", func(b []byte) ([]byte, error) {
				return d.hostsGrant(b, key)
			})
		}},
		{"uses the first grant a second time", "grant-serial", "a grant works once, and its key is wiped", func() ([]string, error) {
			return d.runArgs("--out", file("cheat/result")), nil
		}},
	}
}

// hostsGrant makes the host the recipient, under the owner's signature or
// under one of its own.
func (d *demo) hostsGrant(b []byte, signer ed25519.PrivateKey) ([]byte, error) {
	text, err := os.ReadFile(d.path("cheat/host.key.pub"))
	if err != nil {
		return nil, err
	}
	key, err := keyfile.DecodeRecipientPublic(text)
	if err != nil {
		return nil, err
	}
	return hostile.Grant(b, func(doc *grant.Document) { doc.Recipients = [][]byte{key} }, signer)
}

// change writes a changed copy of a file.
func (d *demo) change(from, to string, f func([]byte) ([]byte, error)) error {
	b, err := os.ReadFile(d.path(from))
	if err != nil {
		return err
	}
	if b, err = f(b); err != nil {
		return err
	}
	return output.File(d.path(to), whole(b))
}
