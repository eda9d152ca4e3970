package rebuild

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"safebox/image"
	"safebox/image/compare"
	"safebox/image/igvm"
	"safebox/verifier/bundle"
	"safebox/verifier/release"
)

// Published is a release to repeat: release.json, and the files that it
// describes as far as they are here.
type Published struct {
	Release *release.Release
	Encoded []byte // release.json
	Record  []byte // the release record in a bundle, whose signatures nobody has verified; nil for none

	dir string // folder with the files; empty if only release.json was given
}

// errNoFile says that an artifact is described but not here.
var errNoFile = errors.New("no such file in the release folder")

// Open reads a release folder, release.json alone, or a bundle, strictly: each
// artifact that is in the folder must be the one that release.json describes.
// Files that are not listed are not used.
func Open(path string) (*Published, error) {
	p, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("opening release: %w", err)
	}
	return p, nil
}

func open(path string) (*Published, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	p, dir, file, limit := &Published{}, "", path, int64(bundle.MaxSize)
	if info.IsDir() {
		dir, file, limit = path, filepath.Join(path, release.FileName), release.MaxSize
	}
	b, err := readRegular(file, limit)
	if err != nil {
		return nil, err
	}
	p.Encoded = b
	if bytes.HasPrefix(b, []byte(release.FileName+"\x00")) { // a tar's first name; JSON begins with a brace
		if err := p.unpack(b); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if p.Release, err = release.Decode(p.Encoded); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if dir != "" {
		err = p.look(dir)
	}
	return p, err
}

func (p *Published) unpack(b []byte) error {
	content, err := bundle.Decode(b)
	if err != nil {
		return err
	}
	p.Encoded, p.Record = content.Release, content.Record
	return nil
}

// Look takes the published files from a folder, too, whose release.json must be
// the same: differences then lead into them.
func (p *Published) Look(dir string) error {
	b, err := readRegular(filepath.Join(dir, release.FileName), release.MaxSize)
	if err == nil && !bytes.Equal(b, p.Encoded) {
		err = fmt.Errorf("%s is of another release: got SHA-256 %x, want %x", dir, release.Digest(b), release.Digest(p.Encoded))
	}
	if err == nil {
		err = p.look(dir)
	}
	if err != nil {
		return fmt.Errorf("opening release: %w", err)
	}
	return nil
}

func (p *Published) look(dir string) error {
	p.dir = dir
	for _, a := range p.Release.Artifacts {
		if _, err := p.read(a); err != nil && !errors.Is(err, errNoFile) {
			return err
		}
	}
	return nil
}

// Built gives a folder as what a builder made, every file of it as release.json
// describes it.
func (p *Published) Built() (*Built, error) {
	files := map[string][]byte{}
	for _, a := range p.Release.Artifacts {
		b, err := p.read(a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		files[a.Name] = b
	}
	return &Built{Release: p.Release, File: func(name string) []byte { return files[name] }}, nil
}

// read gives an artifact's content, which is the one described, or errNoFile.
func (p *Published) read(a release.Artifact) ([]byte, error) {
	if p.dir == "" {
		return nil, errNoFile
	}
	name := filepath.Join(p.dir, filepath.FromSlash(a.Name))
	if err := noLinks(p.dir, a.Name); err != nil {
		return nil, err
	}
	b, err := readRegular(name, compare.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoFile
	}
	if err != nil {
		return nil, err
	}
	if err := a.Check(b); err != nil {
		return nil, fmt.Errorf("%s is not the file that %s describes: %w", name, release.FileName, err)
	}
	return b, nil
}

// noLinks refuses a symbolic link among the folders that lead to a file.
func noLinks(dir, name string) error {
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(parent)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("%s: got %v, want a folder", filepath.Join(dir, parent), info.Mode().Type())
		}
	}
	return nil
}

// readRegular reads a file that is no link and no device.
func readRegular(name string, limit int64) ([]byte, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("%s: got %v of %d bytes, want a file of at most %d", name, info.Mode().Type(), info.Size(), limit)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b, nil
}

// Request tells what the release was built with. What this version cannot
// build shows as a difference: the rebuilt release lacks it.
func (p *Published) Request() Request {
	r := Request{Kernel: p.Release.Kernel, Platforms: []string{release.PlatformVTPM}}
	add := func(platform string) {
		if !slices.Contains(r.Platforms, platform) {
			r.Platforms = append(r.Platforms, platform)
		}
	}
	for _, l := range p.Release.Launches {
		add(l.Platform)
	}
	for _, m := range p.Release.Measurements {
		add(m.Platform)
	}
	for _, container := range image.Disks() {
		if _, ok := p.Release.Artifact(image.DiskName(container)); ok {
			r.Disks = append(r.Disks, container)
		}
	}
	_, r.IGVM = p.Release.Artifact(igvm.FileName)
	return r
}
