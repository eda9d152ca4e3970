package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// The results below the source folder, and how much of each is read: in bytes.
const (
	imagePath  = "arch/x86/boot/bzImage"
	configPath = ".config"
	maxImage   = 64 << 20
)

// compileSteps is about how many lines make prints, one for each file that it makes.
const compileSteps = 2050

// compilation is how one build goes, as opposed to what is built.
type compilation struct {
	jobs   int
	log    string // file for what make says
	report func(Step)
}

// compile builds the kernel from the source archive: unpack, patch, configure,
// check, compile, check again.
func (r recipe) compile(ctx context.Context, box *sandbox, archive *os.File, c compilation) (k *Kernel, err error) {
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := r.prepare(ctx, box, archive, log, c); err != nil {
		return nil, err
	}
	if err := r.check(box); err != nil {
		return nil, fmt.Errorf("before the build: %w", err)
	}
	before, err := box.read(configPath, maxConfig)
	if err != nil {
		return nil, err
	}
	jobs := c.jobs
	if jobs == 0 {
		jobs = runtime.NumCPU()
	}
	progress := &counter{report: c.report}
	if err := box.run(ctx, nil, io.MultiWriter(log, progress), "/usr/bin/make", "-j"+strconv.Itoa(jobs), "ARCH=x86_64", "bzImage"); err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	if err := r.check(box); err != nil {
		return nil, fmt.Errorf("after the build: %w", err)
	}
	after, err := box.read(configPath, maxConfig)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(before, after) {
		return nil, errors.New("the build changed its own .config")
	}
	image, err := box.read(imagePath, maxImage)
	if err != nil {
		return nil, err
	}
	release, err := Release(image)
	if err != nil {
		return nil, err
	}
	return &Kernel{Image: image, Config: after, Release: release}, nil
}

// prepare brings the source to where it can be compiled: in the state of the
// archive plus our patches, with the configuration of our fragment.
func (r recipe) prepare(ctx context.Context, box *sandbox, archive io.Reader, log io.Writer, c compilation) error {
	// Neither the owners nor the modes of the archive, which a umask changes
	// only for some callers.
	err := box.run(ctx, archive, log, "/usr/bin/tar", "--extract", "--xz", "--file=-", "--strip-components=1", "--no-same-owner", "--no-same-permissions")
	if err != nil {
		return fmt.Errorf("unpacking source: %w", err)
	}
	c.report(Step{Name: "patching source"})
	for _, p := range r.patches {
		// Fuzz would let a patch apply where its surroundings have changed, and
		// with them what it means.
		err := box.run(ctx, strings.NewReader(p.text), log, "/usr/bin/patch", "--strip=1", "--fuzz=0", "--forward", "--batch", "--reject-file=-")
		if err != nil {
			return fmt.Errorf("applying %s: %w", p.name, err)
		}
	}
	c.report(Step{Name: "configuring"})
	const fragment = ".safebox-fragment"
	if err := box.root.WriteFile(path.Join(buildFolder, fragment), []byte(r.fragment), 0o644); err != nil {
		return err
	}
	if err := box.run(ctx, nil, log, "/usr/bin/make", "ARCH=x86_64", "KCONFIG_ALLCONFIG="+fragment, "allnoconfig"); err != nil {
		return fmt.Errorf("configuring: %w", err)
	}
	return nil
}

// check holds the resolved configuration against the policy and the fragment,
// and both against what the source knows.
func (r recipe) check(box *sandbox) (err error) {
	resolved, err := box.read(configPath, maxConfig)
	if err != nil {
		return err
	}
	p, err := ParsePolicy(r.policy)
	if err != nil {
		return err
	}
	source, err := box.root.OpenRoot(buildFolder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	declared, err := declaredOptions(source)
	if err != nil {
		return err
	}
	if err := p.checkKnown(r.fragment, declared); err != nil {
		return err
	}
	if err := p.Check(resolved); err != nil {
		return err
	}
	return checkFragment(r.fragment, string(resolved))
}

// read returns a file of the build folder.
func (s *sandbox) read(name string, limit int64) (_ []byte, err error) {
	f, err := s.root.Open(path.Join(buildFolder, name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return b, err
}

// counter tells the progress of make from its lines, one for each command.
type counter struct {
	report func(Step)
	lines  int
}

// Write counts lines; every fiftieth is reported.
func (c *counter) Write(p []byte) (int, error) {
	was := c.lines / 50
	c.lines += bytes.Count(p, []byte("\n"))
	if c.lines/50 > was {
		c.report(Step{Name: "compiling", Done: min(c.lines, compileSteps), Total: compileSteps})
	}
	return len(p), nil
}
