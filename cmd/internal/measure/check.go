package measure

import (
	"fmt"
	"io"
	"path/filepath"

	"safebox/cmd/internal/cli"
	"safebox/image"
	"safebox/image/compare"
	"safebox/verifier/canon"
	"safebox/verifier/release"
)

// checkLaunches computes the launches of a release again, from the artifacts in
// dir, each checked against its digests first.
func checkLaunches(r *release.Release, dir string, stderr io.Writer) error {
	for _, want := range r.Launches {
		files, err := readArtifacts(r, dir, want.Firmware, want.Kernel, want.Initrd)
		if err != nil {
			return err
		}
		got, err := image.Launch(release.Launch{
			Platform: want.Platform, Firmware: want.Firmware, Kernel: want.Kernel, Initrd: want.Initrd, CommandLine: want.CommandLine,
		}, func(name string) []byte { return files[name] })
		if err != nil {
			return err
		}
		if err := sameLaunch(got, want); err != nil {
			return err
		}
		cli.Say(stderr, "launch %s is what the artifacts give", want.Platform)
	}
	return nil
}

// readArtifacts reads files of the release, by their names.
func readArtifacts(r *release.Release, dir string, names ...string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range names {
		a, ok := r.Artifact(name)
		if !ok {
			return nil, cli.Usage(fmt.Errorf("%s is no artifact of the release", name), "")
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		b, err := cli.ReadInput(path, a.Size)
		if err != nil {
			return nil, err
		}
		if err := a.Check(b); err != nil {
			return nil, cli.Failed(fmt.Errorf("%s: %w", path, err), "the file is not the one that the release describes")
		}
		files[name] = b
	}
	return files, nil
}

// sameLaunch names the first member that differs.
func sameLaunch(got, want release.Launch) error {
	a, err := canon.Marshal(got)
	if err != nil {
		return err
	}
	b, err := canon.Marshal(want)
	if err != nil {
		return err
	}
	difference, err := compare.Files("launch "+want.Platform, a, b)
	if err != nil {
		return err
	}
	if difference != nil {
		return cli.Failed(fmt.Errorf("the artifacts give another launch than release.json has: %v", difference),
			"the release was not measured from these artifacts, or by another version of this tool")
	}
	return nil
}
