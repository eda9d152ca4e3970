package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/tiles"
	"safebox/image/output"
	"safebox/verifier/bundle"
	"safebox/verifier/release"
	"safebox/verifier/tlog"
)

// jsonBundle is the result of `release bundle --json`.
type jsonBundle struct {
	Release    string      `json:"release"` // SHA-256 of release.json
	Bundle     string      `json:"bundle"`  // SHA-256 of the bundle
	Size       int         `json:"size"`    // bytes of the bundle
	Log        *jsonLog    `json:"log"`     // null without --log
	Record     *jsonEntry  `json:"record"`
	Rebuilds   []jsonEntry `json:"rebuilds"`
	Against    []jsonEntry `json:"against"` // revocations and mismatches: no policy accepts the bundle
	Collateral []string    `json:"collateral"`
}

// jsonLog is the checkpoint that a bundle is made at.
type jsonLog struct {
	Origin  string `json:"origin"`
	Size    int64  `json:"size"`
	Root    string `json:"root"`
	Checked bool   `json:"checked"` // signatures and quorum, by --log-policy
}

// jsonEntry is an entry of the log.
type jsonEntry struct {
	Index  int    `json:"index"`
	SHA256 string `json:"sha256"`
	What   string `json:"what"`
}

// bundleFlags are the flags of `release bundle`.
type bundleFlags struct {
	release, out, log, policy, record string
	rebuilds, collateral              []string
	json                              bool
}

func releaseBundleCommand() *cobra.Command {
	var f bundleFlags
	c := &cobra.Command{
		Use:   "bundle --release DIR|release.json --out FILE [--log URL|DIR]",
		Short: "Write the bundle that safebox verify reads",
		Long: `Packs what a verifier needs to know of a release into one file of exactly one
form. With --log it reads the whole release log (C2SP tlog-tiles, from a server or
a folder), computes its tree again, takes the release record and all rebuild
records of this release out of it, and proves that each is in the log. A log whose
entries do not give the root of its checkpoint makes no bundle.

Without --log the bundle is release.json alone: only a policy with release =
"unsigned" accepts it.

--log-policy checks now what a verifier would refuse later: who signed the
checkpoint, and whether enough witnesses did. Whether a signer of a record is one
to trust is for the verifier's policy alone: safebox release show.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.release, "release", "", "release folder, or its release.json")
	c.Flags().StringVar(&f.out, "out", "", "bundle file")
	c.Flags().StringVar(&f.log, "log", "", "release log: URL, or folder with its files")
	c.Flags().StringVar(&f.policy, "log-policy", "", "log policy (C2SP tlog-policy) that the checkpoint must satisfy")
	c.Flags().StringVar(&f.record, "record", "", "the release record, where the log has several of this release")
	c.Flags().StringArrayVar(&f.rebuilds, "rebuild", nil, "a rebuild record to take, where the log has more than 16; may be given several times")
	c.Flags().StringArrayVar(&f.collateral, "collateral", nil, "document of a vendor that rides along, file or folder; may be given several times")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *bundleFlags) run(c *cobra.Command) error {
	if f.out == "" {
		return cli.Usage(errors.New("no --out"), "name the file for the bundle")
	}
	if f.log == "" && (f.policy != "" || f.record != "" || len(f.rebuilds) > 0 || len(f.collateral) > 0) {
		return cli.Usage(errors.New("no --log: release.json is bundled alone"), "--record, --rebuild, --log-policy and --collateral go with --log")
	}
	file, err := readRelease(releasePath(f.release))
	if err != nil {
		return err
	}
	if err := f.checkOut(); err != nil {
		return err
	}
	content := &bundle.Bundle{Release: file}
	answer := &jsonBundle{Release: fmt.Sprintf("%x", release.Digest(file)), Rebuilds: []jsonEntry{}, Against: []jsonEntry{}, Collateral: []string{}}
	if f.log != "" {
		if err := f.fill(c, content, answer); err != nil {
			return err
		}
	}
	b, err := bundle.Encode(content)
	if err != nil {
		return cli.Failed(err, "docs/format-bundle.md has the limits")
	}
	if err := output.File(f.out, writeBytes(b)); err != nil {
		return err
	}
	answer.Bundle, answer.Size = fmt.Sprintf("%x", sha256.Sum256(b)), len(b)
	for _, e := range answer.Against {
		cli.Say(c.ErrOrStderr(), "entry %d: %s: no policy that lists its signer accepts the bundle", e.Index, e.What)
	}
	return answer.print(c.OutOrStdout(), f.json)
}

// checkOut refuses to write over what is read. In the folder of a log nothing
// is written at all: its server reads there, too.
func (f *bundleFlags) checkOut() error {
	inputs := slices.Concat([]string{releasePath(f.release), f.policy, f.record}, f.rebuilds)
	for _, path := range f.collateral {
		inputs = append(inputs, path, filepath.Join(path, filepath.Base(f.out)))
	}
	if err := cli.CheckNotInput(f.out, inputs...); err != nil {
		return err
	}
	if within(f.out, f.log) {
		return cli.Usage(fmt.Errorf("%s would be written into the log's folder %s", f.out, f.log), "choose another place")
	}
	return nil
}

// within reports whether a file, there or not, is somewhere in a folder; never
// if there is no such folder.
func within(file, folder string) bool {
	want, err := os.Stat(folder)
	if err != nil {
		return false
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return false
	}
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target
	}
	for {
		if got, err := os.Stat(dir); err == nil && os.SameFile(got, want) {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
		dir = filepath.Dir(dir)
	}
}

// fill takes what the log says about the release.
func (f *bundleFlags) fill(c *cobra.Command, content *bundle.Bundle, answer *jsonBundle) error {
	policy, err := f.readPolicy()
	if err != nil {
		return err
	}
	if content.Collateral, err = ridingFiles(f.collateral); err != nil {
		return err
	}
	for _, file := range content.Collateral {
		answer.Collateral = append(answer.Collateral, file.Name)
	}
	// The bundle has all entries, and room for what goes with them.
	log, err := tiles.Read(c.Context(), f.log, tiles.Limits{Entries: bundle.MaxEntries, Bytes: bundle.MaxSize})
	if err != nil {
		return cli.Failed(err, "nothing was written: start it again when the log can be read whole")
	}
	answer.Log = &jsonLog{Origin: log.Tree.Origin, Size: log.Tree.Size, Root: fmt.Sprintf("%x", log.Tree.Root), Checked: policy != nil}
	if err := checkCheckpoint(log, policy); err != nil {
		return err
	}
	found, err := findRecords(log, release.Digest(content.Release))
	if err != nil {
		return err
	}
	if err := f.choose(found); err != nil {
		return err
	}
	found.put(log, content, answer)
	return nil
}

// readPolicy is that of --log-policy; nil if there is none.
func (f *bundleFlags) readPolicy() (*tlog.Policy, error) {
	if f.policy == "" {
		return nil, nil
	}
	return readDecoded("--log-policy", f.policy, tlog.MaxPolicy, tlog.ParsePolicy)
}

// checkCheckpoint wants signatures and quorum of a policy, if there is one.
func checkCheckpoint(log *tiles.Log, policy *tlog.Policy) error {
	if policy == nil {
		return nil
	}
	opened, err := policy.Open(log.Checkpoint)
	if err != nil {
		return cli.Failed(fmt.Errorf("--log-policy: %w", err), "ask the log for its key, and by another way than the log itself")
	}
	if _, ok := policy.Quorum(opened.Cosignatures); !ok {
		return cli.Failed(fmt.Errorf("--log-policy: checkpoint of %d entries: got cosignatures of %d listed witnesses, want a quorum", log.Tree.Size, len(opened.Cosignatures)),
			"the log publishes a checkpoint when enough witnesses have cosigned it: try again later")
	}
	return nil
}

func (b *jsonBundle) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return cli.WriteJSON(w, b)
	}
	if _, err := fmt.Fprintf(w, "release %s\nbundle %s\n", b.Release, b.Bundle); err != nil || b.Log == nil {
		return err
	}
	checked := "signatures not checked: no --log-policy"
	if b.Log.Checked {
		checked = "signed and witnessed as --log-policy wants"
	}
	if _, err := fmt.Fprintf(w, "log %q, %d entries, root %s, %s\n", b.Log.Origin, b.Log.Size, b.Log.Root, checked); err != nil {
		return err
	}
	for _, e := range append([]jsonEntry{*b.Record}, b.Rebuilds...) {
		if _, err := fmt.Fprintf(w, "entry %d %s %s\n", e.Index, e.SHA256, e.What); err != nil {
			return err
		}
	}
	for _, name := range b.Collateral {
		if _, err := fmt.Fprintf(w, "collateral %s\n", name); err != nil {
			return err
		}
	}
	return nil
}
