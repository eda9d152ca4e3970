package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"safebox/cmd/internal/cli"
	"safebox/image/lock"
	"safebox/image/output"
	"safebox/initrd/gobuild"
)

// secretMarker stands in the sealed file and must be nowhere else afterwards.
const secretMarker = "demo-marker-5e0d3c71-nobody-but-the-recipient-reads-this"

// textSize is the size of the file that the demo seals: four chunks and a bit.
const textSize = 4*1048560 + 4096

// own runs one of our own commands in this process, in the demo's folder, and
// shows it as a person would type it. It gives the exit code and what the
// command wrote.
func (d *demo) own(args ...string) (code int, stdout, stderr string) {
	d.w.printf("   $ safebox %s\n", strings.Join(shortened(args), " "))
	var out, errs bytes.Buffer
	code = run(d.ctx, d.inFolder(args), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// yes runs a command that must say yes.
func (d *demo) yes(args ...string) (string, error) {
	code, out, errs := d.own(args...)
	if code != cli.ExitYes {
		return "", fmt.Errorf("safebox %s: exit code %d: %s", args[0], code, strings.TrimSpace(out+errs))
	}
	return out, nil
}

// agent runs a command of the host agent that must say yes.
func (d *demo) agent(args ...string) error {
	d.w.printf("   $ safebox-host %s\n", strings.Join(shortened(args), " "))
	out, err := exec.CommandContext(d.ctx, d.host, d.inFolder(args)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("safebox-host %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// file marks an argument as the name of a file in the demo's folder.
func file(name string) string { return "@" + name }

func (d *demo) inFolder(args []string) []string {
	all := slices.Clone(args)
	for i, a := range all {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			all[i] = d.path(name)
		}
	}
	return all
}

func shortened(args []string) []string {
	all := slices.Clone(args)
	for i, a := range all {
		all[i] = strings.TrimPrefix(a, "@")
		if strings.Contains(a, " ") {
			all[i] = "'" + a + "'"
		}
	}
	return all
}

// seal is the owner's work before any machine is involved.
func (d *demo) seal() error {
	text, err := d.text()
	if err != nil {
		return err
	}
	if err := output.File(d.path("letters.txt"), whole(text)); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"key", "audience", "--out", file("owner.key"), "--no-passphrase"},
		{"key", "recipient", "--out", file("analyst.key"), "--no-passphrase"},
		{"seal", file("letters.txt"), "--out", file("object"), "--profile", "small"},
	} {
		if _, err := d.yes(args...); err != nil {
			return err
		}
	}
	// What the provider gets: shards, and nothing else.
	if err := os.CopyFS(d.path("shards"), os.DirFS(d.path(filepath.Join("object", "shards")))); err != nil {
		return err
	}
	d.found("sealed     %d bytes into encrypted, erasure-coded shards (4+2); the provider gets the shards", len(text))
	return nil
}

// clearStory removes what an earlier demo left, since no command overwrites.
func (d *demo) clearStory() error {
	for _, pattern := range []string{
		"letters.txt", "object", "shards", "result", "cheat", "*.key", "*.key.pub", "id.json", "policy.toml", "strict.toml",
		"log", "log.policy", "submitters", "witness-?", "*.dsse", "*.bundle",
		"challenge.json", "challenge.json.secret", "evidence.json", "grant.json", "textstat.wasm", "params.json", "tpm-root.pem",
	} {
		names, err := filepath.Glob(d.path(pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// text is what the owner wants counted: the documentation of this repository,
// over and over, with the marker in it.
func (d *demo) text() ([]byte, error) {
	source, err := findSource("")
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(source, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no documentation to seal: %w", source, fs.ErrNotExist)
	}
	var all bytes.Buffer
	for all.Len() < textSize {
		fmt.Fprintf(&all, "%s\n", secretMarker)
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			all.Write(b)
		}
	}
	return all.Bytes()[:textSize], nil
}

// attest asks the machine for proof and decides.
func (d *demo) attest() error {
	root, err := os.ReadFile(d.kept.event.TPMRoot)
	if err != nil {
		return err
	}
	if err := output.File(d.path("tpm-root.pem"), whole(root)); err != nil {
		return err
	}
	args := []string{"policy", "init", "--profile", "test", "--tpm-root", file("tpm-root.pem"), "--out", file("policy.toml")}
	if _, err := d.yes(append(args, d.publicationFlags()...)...); err != nil {
		return err
	}
	id := d.kept.event.ID
	if err := d.agent("enroll", id, "--out", file("id.json")); err != nil {
		return err
	}
	if err := d.challenge("challenge.json"); err != nil {
		return err
	}
	if err := d.agent("evidence", id, "--challenge", file("challenge.json"), "--out", file("evidence.json")); err != nil {
		return err
	}
	table, err := d.yes(d.verifyArgs()...)
	if err != nil {
		return err
	}
	d.w.indented(table)
	lines := strings.Split(strings.TrimSpace(table), "\n")
	d.found("verified   offline: %s", lines[len(lines)-1])
	return nil
}

func (d *demo) challenge(name string) error {
	_, err := d.yes("challenge", "--audience", file("owner.key.pub"), "--release", file("release/release.json"),
		"--enroll", file("id.json"), "--tpm-root", file("tpm-root.pem"), "--expires", "10m", "--out", file(name))
	return err
}

// verifyArgs is the command that decides, with some flags replaced.
func (d *demo) verifyArgs(replaced ...string) []string {
	return withFlags([]string{
		"verify", "--evidence", file("evidence.json"), "--bundle", file("release.bundle"),
		"--policy", file("policy.toml"), "--challenge", file("challenge.json"),
	}, replaced)
}

func withFlags(args, replaced []string) []string {
	all := slices.Clone(args)
	for i := 0; i+1 < len(replaced); i += 2 {
		if n := slices.Index(all, replaced[i]); n >= 0 {
			all[n+1] = replaced[i+1]
		} else {
			all = append(all, replaced[i], replaced[i+1])
		}
	}
	return all
}

// compute releases the keys of two chunks to the machine, for one module and
// one recipient, and has it work.
func (d *demo) compute() error {
	if err := d.module(d.ctx); err != nil {
		return err
	}
	if err := output.File(d.path("params.json"), whole([]byte(`{"top":5}`))); err != nil {
		return err
	}
	if _, err := d.yes(d.grantArgs()...); err != nil {
		return err
	}
	if _, err := d.yes(d.runArgs()...); err != nil {
		return err
	}
	result, err := os.ReadFile(d.path("result/output-0"))
	if err != nil {
		return err
	}
	d.w.indented(string(result))
	table, err := d.yes("receipt", "verify", file("result/receipt.json"), "--evidence", file("evidence.json"),
		"--bundle", file("release.bundle"), "--policy", file("policy.toml"), "--challenge", file("challenge.json"))
	if err != nil {
		return err
	}
	d.w.indented(table)
	d.found("computed   statistics of chunks %s, decrypted by the recipient alone; receipt verified", grantedChunks)
	return d.searchMarker()
}

// grantedChunks are those of the five that the owner releases.
const grantedChunks = "0-1"

func (d *demo) grantArgs(replaced ...string) []string {
	return withFlags([]string{
		"grant", "--evidence", file("evidence.json"), "--bundle", file("release.bundle"), "--policy", file("policy.toml"),
		"--challenge", file("challenge.json"), "--keys", file("object/keys.json"), "--audience-key", file("owner.key"),
		"--chunks", grantedChunks, "--module", file("textstat.wasm"), "--params", file("params.json"),
		"--recipient", file("analyst.key.pub"), "--out", file("grant.json"),
	}, replaced)
}

func (d *demo) runArgs(replaced ...string) []string {
	return withFlags([]string{
		"run", "--host", d.kept.event.URL, "--manifest", file("object/manifest.json"), "--module", file("textstat.wasm"),
		"--params", file("params.json"), "--grant", file("grant.json"), "--recipient-key", file("analyst.key"), "--out", file("result"),
	}, replaced)
}

// module builds the example from its source.
func (d *demo) module(ctx context.Context) error {
	source, err := findSource("")
	if err != nil {
		return err
	}
	l, err := lock.ReadFile(d.lockPath(source))
	if err != nil {
		return err
	}
	const example = "./guest/sandbox/example/textstat"
	d.w.printf("   $ GOOS=wasip1 GOARCH=wasm go build %s\n", example)
	b, err := gobuild.Module(ctx, gobuild.Options{SourceDir: source, Package: example, GoVersion: l.Go})
	if err != nil {
		return err
	}
	return output.File(d.path("textstat.wasm"), whole(b))
}

// searchMarker looks for the sealed text where the host could: among the
// shards and on the console.
func (d *demo) searchMarker() error {
	places := []string{d.kept.event.Console}
	err := filepath.WalkDir(d.path("shards"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			places = append(places, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range places {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(secretMarker)) {
			return errors.New(path + " holds the sealed text")
		}
	}
	d.w.printf("   a marker in the sealed text: in none of the %d files that the host has\n", len(places))
	return nil
}

// indented prints lines as part of a chapter.
func (l *lines) indented(text string) {
	for line := range strings.Lines(text) {
		l.printf("   | %s\n", strings.TrimSuffix(line, "\n"))
	}
}
