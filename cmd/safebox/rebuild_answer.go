package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/compare"
	"safebox/image/rebuild"
	"safebox/verifier/release"
	"safebox/verifier/release/record"
)

// rebuildAnswer is what a rebuild gave, and what of it can be signed.
type rebuildAnswer struct {
	name      string // of the published release, as it was given
	source    string
	archive   [sha256.Size]byte // digest; zero for a folder
	sum       string            // of the source; empty without a release record
	published *rebuild.Published
	result    *rebuild.Result
	testimony *testimony
	elsewhere bool               // another program built it
	made      record.Environment // where, as far as it was not this machine
}

// jsonRebuild is the output of `rebuild --json` and `release rebuild-record
// --json`.
type jsonRebuild struct {
	Match       bool               `json:"match"`
	Release     string             `json:"release"`        // SHA-256 of the published release.json
	Rebuilt     string             `json:"rebuilt"`        // of the rebuilt one; empty if nothing was built
	LockSHA256  string             `json:"lock_sha256"`    // of the published release
	Source      string             `json:"source_archive"` // SHA-256; empty for a folder
	Kernel      string             `json:"kernel"`
	Platforms   []string           `json:"platforms"`
	Disks       []string           `json:"disks"`
	IGVM        bool               `json:"igvm"`
	Artifacts   []release.Artifact `json:"artifacts"` // of the published release
	Differences []jsonDifference   `json:"differences"`
	SourceSum   string             `json:"source_sum"`   // empty without a release record
	SourceNamed string             `json:"source_named"` // by the release record; empty without one
	Record      string             `json:"record"`       // SHA-256 of the signed rebuild record; empty for none
}

// give signs what can be signed, prints the answer, and is nil for a match from
// the source that the release record, if there is one, names.
func (a *rebuildAnswer) give(c *cobra.Command, asJSON bool) error {
	entry, refusal := a.sign()
	if err := a.print(c.OutOrStdout(), entry, asJSON); err != nil {
		return err
	}
	var other *rebuild.SourceError
	switch {
	case refusal != nil && !errors.As(refusal, &other):
		return errors.Join(a.verdict(), refusal)
	case a.otherSource() != nil:
		text := fmt.Errorf("%s and what %s gives: %w", a.name, a.source, a.otherSource())
		hint := "nothing is signed: a record from another source would hold the release for a fault of this copy"
		if a.onlyDigests() {
			hint += "; " + hintRelease
		}
		return cli.Failed(text, hint)
	}
	return a.verdict()
}

// otherSource is an error if the source is not the one of the release record.
func (a *rebuildAnswer) otherSource() error {
	if a.testimony.of == nil || a.testimony.of.Source.Sum == a.sum {
		return nil
	}
	return &rebuild.SourceError{Got: a.sum, Want: a.testimony.of.Source.Sum}
}

// sign writes the rebuild record, if one was asked for.
func (a *rebuildAnswer) sign() ([]byte, error) {
	if a.testimony.signer == nil {
		return nil, nil
	}
	if !a.result.Match() && a.otherSource() == nil && len(a.testimony.publishers) == 0 {
		return nil, cli.Failed(errors.New("nothing is signed: a mismatch holds the release, and nobody looked whether its publisher named this source"),
			"--publisher KEY: whoever else signed the release record could have named any")
	}
	if info, ok := debug.ReadBuildInfo(); ok && !a.elsewhere && a.otherSource() == nil {
		if err := checkProgram(a.testimony.of, a.result.Match(), info); err != nil {
			return nil, err
		}
	}
	e := environment(a.published.Release.Toolchain.Go)
	if a.made.OS != "" {
		e.OS = a.made.OS
	}
	if a.made.Arch != "" {
		e.Arch = a.made.Arch
	}
	return a.testimony.write(a.result, a.sum, e)
}

// verdict says that the release is different, with advice where that helps.
func (a *rebuildAnswer) verdict() error {
	if a.result.Match() {
		return nil
	}
	err := fmt.Errorf("%s and what %s gives: %w", a.name, a.source, errDifferent)
	if a.onlyDigests() {
		return cli.Failed(err, hintRelease)
	}
	return err
}

const hintRelease = "--release DIR, the folder with the published files, shows where inside them"

// onlyDigests reports whether files differ that are not here.
func (a *rebuildAnswer) onlyDigests() bool {
	return slices.ContainsFunc(a.result.Differences, func(d compare.Difference) bool { return d.Note == rebuild.NoteDigests })
}

func (a *rebuildAnswer) print(w io.Writer, entry []byte, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(w, a.json(entry))
	}
	for _, d := range a.result.Differences {
		if _, err := fmt.Fprintln(w, d); err != nil {
			return err
		}
	}
	if a.result.Match() {
		if err := printRelease(w, a.published.Release, false); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, record.Match); err != nil {
			return err
		}
	}
	if entry == nil {
		return nil
	}
	result := record.Mismatch
	if a.result.Match() {
		result = record.Match
	}
	_, err := fmt.Fprintf(w, "signed %s %x %s\n", result, sha256.Sum256(entry), a.testimony.out)
	return err
}

func (a *rebuildAnswer) json(entry []byte) jsonRebuild {
	request := a.published.Request()
	out := jsonRebuild{
		Match: a.result.Match(), Release: fmt.Sprintf("%x", a.result.Release), Rebuilt: digestOrNone(a.result.Rebuilt),
		LockSHA256: a.published.Release.LockSHA256, Source: digestOrNone(a.archive),
		Kernel: request.Kernel, Platforms: request.Platforms, Disks: append([]string{}, request.Disks...), IGVM: request.IGVM,
		Artifacts: a.published.Release.Artifacts, Differences: differencesJSON(a.result.Differences), SourceSum: a.sum,
	}
	if a.testimony.of != nil {
		out.SourceNamed = a.testimony.of.Source.Sum
	}
	if entry != nil {
		out.Record = fmt.Sprintf("%x", sha256.Sum256(entry))
	}
	return out
}

func digestOrNone(d [32]byte) string {
	if d == [32]byte{} {
		return ""
	}
	return fmt.Sprintf("%x", d)
}
