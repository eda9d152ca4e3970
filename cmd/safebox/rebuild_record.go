package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/image/output"
	"safebox/image/rebuild"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release"
	"safebox/verifier/release/record"
)

// testimonyFlags are those of the commands that sign what a rebuild gave.
type testimonyFlags struct {
	record     string
	publishers []string
	rebuilder  string
	key, out   string
	keys       keystore.Options
}

func (f *testimonyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.record, "record", "", "release record, where no bundle holds it")
	c.Flags().StringArrayVar(&f.publishers, "publisher", nil, "public key of the publisher, file or text: the release record must be signed by one of these; may be given several times")
	c.Flags().StringVar(&f.key, "sign", "", "key that signs a rebuild record (safebox key signer)")
	c.Flags().StringVar(&f.rebuilder, "rebuilder", "", "who signs, for people (default: the ID of the key)")
	c.Flags().StringVar(&f.out, "out", "rebuild.dsse", "with --sign: file for the rebuild record, an entry of the log")
	f.keys.AddFlags(c)
}

// testimony is what is to be signed, by whom: found out before the work.
type testimony struct {
	*testimonyFlags
	of     *record.Release // nil: no release record, so that nothing can be signed
	signer dsse.Signer     // nil: nothing is to be signed
}

// prepare reads the release record and the key. inputs are what else the command
// reads, which the record is not written over.
func (f *testimonyFlags) prepare(p *rebuild.Published, inputs ...string) (*testimony, error) {
	t := &testimony{testimonyFlags: f}
	var err error
	if t.of, err = f.releaseRecord(p); err != nil {
		return nil, err
	}
	if f.key == "" {
		return t, nil
	}
	if t.of == nil {
		return nil, cli.Usage(errors.New("--sign: no release record says which source is the one of this release"), "give a bundle that holds one, or --record FILE")
	}
	inputs = slices.Concat(inputs, []string{f.key, f.keys.PassphraseFile, f.record}, f.publishers)
	if err := cli.CheckNotInput(f.out, inputs...); err != nil {
		return nil, err
	}
	if t.signer, err = openKey("--sign", f.key, f.keys, keystore.Signer); err != nil {
		return nil, err
	}
	return t, nil
}

// releaseRecord is that of the bundle or of --record; nil if there is none.
func (f *testimonyFlags) releaseRecord(p *rebuild.Published) (*record.Release, error) {
	where, entry := "release.dsse", p.Record
	if f.record != "" {
		b, _, err := readRecord("--record", f.record)
		if err != nil {
			return nil, err
		}
		if entry != nil && !bytes.Equal(entry, b) {
			return nil, cli.Usage(fmt.Errorf("--record %s is not the release record in the bundle", f.record), "leave it out")
		}
		where, entry = f.record, b
	}
	if entry == nil {
		if len(f.publishers) > 0 {
			return nil, cli.Usage(errors.New("--publisher: there is no release record that one could have signed"), "give a bundle that holds one, or --record FILE")
		}
		return nil, nil
	}
	r, err := record.Decode(entry)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", where, err), "")
	}
	if r.Release == nil {
		return nil, cli.Usage(fmt.Errorf("%s: got another record, want a release record", where), "")
	}
	if want := canon.Octets32(release.Digest(p.Encoded)); r.Release.Digest != want {
		return nil, cli.Usage(fmt.Errorf("%s is about another release: got %v, want %v", where, r.Release.Digest, want), "")
	}
	return r.Release, f.checkPublisher(where, r.Envelope)
}

// checkPublisher wants a signature of one of the keys, if any are given.
func (f *testimonyFlags) checkPublisher(where string, e *dsse.Envelope) error {
	keys, err := publicKeys("--publisher", f.publishers)
	if err != nil || len(keys) == 0 || slices.ContainsFunc(keys, e.SignedBy) {
		return err
	}
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	return cli.Failed(fmt.Errorf("%s is not signed by a key of --publisher: got keyid %s, want %s", where, strings.Join(ids, ", "), keys[0].ID()),
		"what it calls the source of this release is not the publisher's word")
}

// write signs the result and gives the record; nil if nothing was to be signed.
// source is the sum of what was built.
func (t *testimony) write(r *rebuild.Result, source string, e record.Environment) ([]byte, error) {
	if t.signer == nil {
		return nil, nil
	}
	name := t.rebuilder
	if name == "" {
		name = "key " + t.signer.Public().ID()
	}
	statement, err := r.Record(t.of, source, rebuild.Witness{Rebuilder: name, Environment: e, Time: time.Now().Unix()})
	if err != nil {
		return nil, err
	}
	b, err := statement.Encode()
	if err != nil {
		return nil, cli.Usage(err, "docs/format-release.md has the form of each field")
	}
	entry, err := record.Sign(b, t.signer)
	if err != nil {
		return nil, err
	}
	return entry, output.File(t.out, writeBytes(entry))
}

// environment says where a build ran: this machine.
func environment(goVersion string) record.Environment {
	return record.Environment{Arch: runtime.GOARCH, Go: rebuild.Text(goVersion, record.MaxEnvironment), OS: operatingSystem("/etc/os-release")}
}

// operatingSystem is PRETTY_NAME of os-release(5), or what the compiler calls
// the system.
func operatingSystem(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return runtime.GOOS
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		value, ok := strings.CutPrefix(lines.Text(), "PRETTY_NAME=")
		if !ok {
			continue
		}
		if text, err := strconv.Unquote(value); err == nil {
			value = text
		}
		return rebuild.Text(value, record.MaxEnvironment)
	}
	return runtime.GOOS
}

// checkProgram refuses to sign for a program that knows that it is of another
// commit than the release: a difference may be its own, and a match says nothing
// of what the release's source assembles. Of a changed source it may still match:
// a file that was not committed is a change, too.
func checkProgram(of *record.Release, match bool, info *debug.BuildInfo) error {
	const hint = "build safebox from the source of the release, and rebuild with that"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && s.Value != of.Source.Commit {
			return cli.Failed(fmt.Errorf("nothing is signed: this program is of commit %s, and the release of %s: what came out may be the program's doing", s.Value, of.Source.Commit), hint)
		}
		if s.Key == "vcs.modified" && s.Value == "true" && !match {
			return cli.Failed(errors.New("nothing is signed: this program is of a changed source: the difference may be the program's"), hint)
		}
	}
	return nil
}
