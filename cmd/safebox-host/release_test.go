package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/release"
)

// TestCheckReleaseWantsAll leaves one of the files that a launch uses out of
// release.json, and then puts something else in its place.
func TestCheckReleaseWantsAll(t *testing.T) {
	for _, name := range []string{releaseCode, releaseVars, releaseUKI, releaseDisk} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "firmware"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{releaseCode, releaseVars, releaseUKI, releaseDisk} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeDescription(dir); err != nil {
			t.Fatal(err)
		}
		if err := checkRelease(dir); err != nil {
			t.Fatal(err)
		}
		unlisted(t, dir, name)
		if err := checkRelease(dir); err == nil || !strings.Contains(err.Error(), "does not list "+name) {
			t.Errorf("%s not listed: got %v", name, err)
		}
		if err := writeDescription(dir); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := checkRelease(dir); err == nil || !strings.HasSuffix(err.Error(), name+" is not a file") {
			t.Errorf("folder in place of %s: got %v", name, err)
		}
	}
}

// unlisted takes a file out of release.json.
func unlisted(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, release.FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	r.Artifacts = slices.DeleteFunc(r.Artifacts, func(a release.Artifact) bool { return a.Name == name })
	if b, err = r.Encode(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
