package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"safebox/image/deb"
)

// Defaults of UpdateOptions.
const (
	DefaultSuite   = "trixie"
	DefaultKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// UpdateOptions says where Update looks. Empty fields take the defaults.
type UpdateOptions struct {
	Suites  []string  // suites or codenames, the newest package of all wins: DefaultSuite alone
	Keep    []string  // packages and tools that stay as they are pinned
	Keyring string    // OpenPGP keys that may sign the suite: DefaultKeyring
	Go      string    // version of the toolchain to pin: the old lock's
	Epoch   int64     // the old lock's
	Now     time.Time // to tell an expired index: the machine's clock

	toolchain func(context.Context, string) (Toolchain, error) // for tests
}

func (o UpdateOptions) withDefaults(old *Lock) (UpdateOptions, error) {
	if len(o.Suites) == 0 {
		o.Suites = []string{DefaultSuite}
	}
	for _, suite := range o.Suites {
		if !deb.ValidName(suite) { // it becomes part of a URL
			return o, fmt.Errorf("updating lock: suite: got %q, want a name such as %s", suite, DefaultSuite)
		}
	}
	for _, name := range o.Keep {
		if !slices.ContainsFunc(slices.Concat(old.Packages, old.Tools), func(p Package) bool { return p.Name == name }) {
			return o, fmt.Errorf("updating lock: package to keep: %q is not in the lock", name)
		}
	}
	if o.Keyring == "" {
		o.Keyring = DefaultKeyring
	}
	if o.Go == "" {
		o.Go = old.Go
	}
	if o.Epoch == 0 {
		o.Epoch = old.Epoch
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.toolchain == nil {
		o.toolchain = ResolveToolchain
	}
	return o, nil
}

// Update returns a lock with the newest version of every package and tool in the
// old one that the suites have, and the same roles. The list of tools stays; if
// it lacks what they now depend on, that is a [*DependencyError].
//
// This is the one step that believes something not pinned: that the holders of
// the archive's signing keys publish good packages. The mirror is not believed:
// gpgv verifies the signature on the suite's InRelease with the installed
// archive keyring, InRelease holds the hash of the index, and the index holds
// the hash of every package. A mirror can still withhold an update; it can't
// lead back, because a version older than the locked one is an error. The new
// lock is worth what its reviewer finds in the difference.
func Update(ctx context.Context, old *Lock, r *Resolver, opt UpdateOptions) (*Lock, error) {
	opt, err := opt.withDefaults(old)
	if err != nil {
		return nil, err
	}
	if r.Offline {
		return nil, errors.New("updating lock: offline, and the newest versions are known only to the mirrors")
	}
	stanzas, err := r.candidates(ctx, opt, wantedBy(old))
	if err != nil {
		return nil, fmt.Errorf("updating lock: %w", err)
	}
	next := &Lock{Epoch: opt.Epoch, Go: opt.Go}
	if next.Packages, err = r.successors(ctx, stanzas, opt, old.Packages); err != nil {
		return nil, fmt.Errorf("updating lock: %w", err)
	}
	if next.Tools, err = r.successors(ctx, stanzas, opt, old.Tools); err != nil {
		return nil, fmt.Errorf("updating lock: %w", err)
	}
	tools, err := r.controls(ctx, stanzas, next.Tools)
	if err == nil {
		err = checkTools(tools)
	}
	if err != nil {
		return nil, fmt.Errorf("updating lock: %w", err)
	}
	if next.Toolchain, err = opt.toolchain(ctx, opt.Go); err != nil {
		return nil, fmt.Errorf("updating lock: %w", err)
	}
	if _, err := Parse(next.Encode()); err != nil {
		return nil, fmt.Errorf("updating lock: the result is no lock: %w", err)
	}
	return next, nil
}

// successors finds the successor of each package but those to be kept.
func (r *Resolver) successors(ctx context.Context, stanzas []deb.Control, opt UpdateOptions, old []Package) ([]Package, error) {
	var list []Package
	for _, p := range old {
		if slices.Contains(opt.Keep, p.Name) {
			list = append(list, p)
			continue
		}
		newer, err := newest(stanzas, p)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", p, err)
		}
		if newer, err = r.relock(ctx, p, newer); err != nil {
			return nil, err
		}
		list = append(list, newer)
	}
	return list, nil
}

// kernelRelease takes apart the name of a kernel's package: Debian Linux
// Kernel Handbook, section 4.1, linux-image-RELEASE-FLAVOUR. The package
// linux-image-FLAVOUR depends on the newest of them.
func kernelRelease(name string) (release, flavour string, ok bool) {
	m := regexp.MustCompile(`^linux-image-([0-9].*?)-([a-z][a-z0-9-]*)$`).FindStringSubmatch(name)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

const imagePrefix = "linux-image-"

// wantedBy tells which packages of an index matter to a lock.
func wantedBy(l *Lock) func(string) bool {
	names, flavours := make(map[string]bool), make(map[string]bool)
	for _, p := range slices.Concat(l.Packages, l.Tools) {
		names[p.Name] = true
		if _, flavour, ok := kernelRelease(p.Name); ok {
			flavours[flavour] = true
			names[imagePrefix+flavour] = true
		}
	}
	return func(name string) bool {
		_, flavour, _ := kernelRelease(name)
		return names[name] || flavours[flavour]
	}
}

// newest finds the successor of a package.
func newest(stanzas []deb.Control, p Package) (Package, error) {
	name, version := p.Name, ""
	if _, flavour, ok := kernelRelease(p.Name); ok {
		meta, err := highest(stanzas, imagePrefix+flavour, "")
		if err != nil {
			return Package{}, err
		}
		if name, version, err = dependency(meta["Depends"], flavour); err != nil {
			return Package{}, fmt.Errorf("package %s: %w", imagePrefix+flavour, err)
		}
	}
	c, err := highest(stanzas, name, version)
	if err != nil {
		return Package{}, err
	}
	found, err := packageFrom(c)
	if err != nil {
		return Package{}, err
	}
	if deb.CompareVersions(found.Version, p.Version) < 0 {
		return Package{}, fmt.Errorf("the newest on offer is %s, which is older: a stale mirror, or other suites", found.Version)
	}
	return found, nil
}

// highest returns the stanza with the highest version of a package, or with
// exactly the version given.
func highest(stanzas []deb.Control, name, version string) (deb.Control, error) {
	var best deb.Control
	for _, c := range stanzas {
		v := c["Version"]
		if c["Package"] != name || !deb.ValidVersion(v) || (version != "" && v != version) {
			continue
		}
		if best == nil || deb.CompareVersions(v, best["Version"]) > 0 {
			best = c
		}
	}
	if best == nil {
		return nil, fmt.Errorf("no suite has %s", strings.TrimSpace(name+" "+version))
	}
	return best, nil
}

// dependency reads "linux-image-RELEASE-FLAVOUR (= VERSION)" out of the field
// Depends: Policy 7.1.
func dependency(field, flavour string) (name, version string, err error) {
	for item := range strings.SplitSeq(field, ",") {
		m := regexp.MustCompile(`^([^ ]+) \(= ([^ ]+)\)$`).FindStringSubmatch(strings.TrimSpace(item))
		if m == nil {
			continue
		}
		if _, f, ok := kernelRelease(m[1]); ok && f == flavour {
			return m[1], m[2], nil
		}
	}
	return "", "", fmt.Errorf("field Depends: got %q, want linux-image-RELEASE-%s (= VERSION)", field, flavour)
}

// relock fills in the file lines of a newer package by looking into it. A tool
// has none, but is looked at just the same: it must be there, and be what the
// index calls it.
func (r *Resolver) relock(ctx context.Context, old, newer Package) (Package, error) {
	if newer.SHA256 == old.SHA256 {
		// The same bytes need no new look; the mirror's layout may have changed.
		newer.Files = old.Files
		return newer, nil
	}
	name, err := r.Package(ctx, newer)
	if err != nil {
		return Package{}, err
	}
	for _, f := range old.Files {
		newer.Files = append(newer.Files, File{Role: f.Role, Path: successorPath(f.Path, old.Name, newer.Name)})
	}
	return newer, extract(name, newer, func(path string, content io.Reader) error {
		i := slices.IndexFunc(newer.Files, func(f File) bool { return f.Path == path })
		size, sum, err := digest(ctx, io.Discard, content, maxBytes)
		newer.Files[i].Size, newer.Files[i].SHA256 = size, sum
		return err
	})
}

// successorPath renames a file as its package was renamed: a kernel's files
// carry the release that is also in the package's name.
func successorPath(path, oldName, newName string) string {
	_, _, oldKernel := kernelRelease(oldName)
	_, _, newKernel := kernelRelease(newName)
	if !oldKernel || !newKernel {
		return path
	}
	return strings.ReplaceAll(path, strings.TrimPrefix(oldName, imagePrefix), strings.TrimPrefix(newName, imagePrefix))
}
