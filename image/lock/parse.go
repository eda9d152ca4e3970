package lock

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"safebox/image/deb"
)

// Limits of a lock file.
const (
	maxText     = 1 << 20
	maxLine     = 1024
	maxPackages = 1024         // packages and tools
	maxFiles    = 1024         // of one package
	maxBytes    = 1 << 30      // of a package or file
	maxEpoch    = 253402300799 // the last second of the year 9999
)

// ParseError is what is wrong with a line.
type ParseError struct {
	Line int // from 1
	Err  error
}

// Error is the message, in one line.
func (e *ParseError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the cause.
func (e *ParseError) Unwrap() error { return e.Err }

// ReadFile parses the lock file with the given name. Errors read
// "name:line: what is wrong".
func ReadFile(name string) (*Lock, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("reading lock: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxText {
		return nil, fmt.Errorf("reading lock %s: want a file of at most %d bytes", name, maxText)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading lock: %w", err)
	}
	l, err := Parse(b)
	var at *ParseError
	if errors.As(err, &at) {
		return nil, fmt.Errorf("%s:%d: %w", name, at.Line, at.Err)
	}
	return l, err
}

// Parse reads the text of a lock. Every error is a *ParseError.
func Parse(b []byte) (*Lock, error) {
	if len(b) > maxText {
		return nil, &ParseError{Line: 1, Err: fmt.Errorf("lock has %d bytes, limit is %d", len(b), maxText)}
	}
	p := parser{lock: &Lock{}, seen: make(map[string]int)}
	lines := strings.Split(string(b), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return nil, &ParseError{Line: len(lines), Err: errors.New("line has no end: truncated")}
	}
	for i, line := range lines[:len(lines)-1] {
		p.number = i + 1
		if err := p.line(line); err != nil {
			return nil, &ParseError{Line: p.number, Err: err}
		}
	}
	if err := p.finish(); err != nil {
		return nil, &ParseError{Line: p.number + 1, Err: err}
	}
	return p.lock, nil
}

type parser struct {
	lock   *Lock
	number int            // of the line
	header int            // header lines read
	seen   map[string]int // what may come once, and the line where it did
}

// headers lists the first lines in their order.
func (p *parser) headers() []struct {
	key    string
	values int
	set    func([]string) error
} {
	return []struct {
		key    string
		values int
		set    func([]string) error
	}{
		{"format", 1, p.format},
		{"epoch", 1, p.epoch},
		{"go", 1, p.goVersion},
		{"toolchain", 2, p.toolchain},
	}
}

func (p *parser) line(s string) error {
	if len(s) > maxLine {
		return fmt.Errorf("line has %d bytes, limit is %d", len(s), maxLine)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("column %d: got byte %#02x, want printable ASCII", i+1, s[i])
		}
	}
	if strings.Trim(s, " ") == "" || s[0] == '#' {
		return nil
	}
	body, indented := strings.CutPrefix(s, "  ")
	fields := strings.Split(body, " ")
	for i, f := range fields {
		if f == "" {
			return fmt.Errorf("field %d is empty: want fields separated by one space, file lines indented by two", i+1)
		}
	}
	headers := p.headers()
	if p.header < len(headers) {
		h := headers[p.header]
		p.header++
		if indented || fields[0] != h.key || len(fields) != 1+h.values {
			return fmt.Errorf("got %.60q, want %q and %d value(s)", s, h.key, h.values)
		}
		return h.set(fields[1:])
	}
	switch {
	case !indented && fields[0] == "package" && len(fields) == 7:
		return p.pkg(fields[1:])
	case !indented && fields[0] == "tool" && len(fields) == 7:
		return p.tool(fields[1:])
	case indented && fields[0] == "file" && len(fields) == 5:
		return p.file(fields[1:])
	default:
		return fmt.Errorf("got %.60q, want \"package NAME VERSION ARCHITECTURE SIZE SHA256 POOL-PATH\", the same for \"tool\", or \"  file ROLE PATH SIZE SHA256\"", s)
	}
}

// once refuses what was there before.
func (p *parser) once(what string) error {
	if line, ok := p.seen[what]; ok {
		return fmt.Errorf("%s: given twice, first on line %d", what, line)
	}
	p.seen[what] = p.number
	return nil
}

func (p *parser) format(v []string) error {
	if v[0] != Format {
		return fmt.Errorf("format: got %q, want %q", v[0], Format)
	}
	return nil
}

func (p *parser) epoch(v []string) (err error) {
	p.lock.Epoch, err = parseInt("epoch", v[0], 0, maxEpoch)
	return err
}

func (p *parser) goVersion(v []string) error {
	if !regexp.MustCompile(`^[1-9][0-9]{0,3}\.[0-9]{1,4}\.[0-9]{1,4}$`).MatchString(v[0]) {
		return fmt.Errorf("go: got %q, want a version such as 1.26.8", v[0])
	}
	p.lock.Go = v[0]
	return nil
}

func (p *parser) toolchain(v []string) error {
	want := toolchainFor(p.lock.Go)
	if got := v[0]; got != want.Path+"@"+want.Version {
		return fmt.Errorf("toolchain: got %q, want %q as the line go says", got, want.Path+"@"+want.Version)
	}
	want.Sum = v[1]
	p.lock.Toolchain = want
	return checkModuleSum(v[1])
}

// checkModuleSum checks the form of a module hash: Go Modules Reference,
// "go.sum files": h1 and the base64 of a SHA-256.
func checkModuleSum(s string) error {
	encoded, ok := strings.CutPrefix(s, "h1:")
	sum, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(sum) != len(Digest{}) {
		return fmt.Errorf("toolchain: hash: got %q, want h1: and the base64 of %d bytes", s, len(Digest{}))
	}
	return nil
}

func (p *parser) pkg(v []string) error {
	if len(p.lock.Tools) > 0 {
		return errors.New("package: want it above the first tool")
	}
	n, err := p.pin("package", v)
	if err != nil {
		return err
	}
	p.lock.Packages = append(p.lock.Packages, n)
	return nil
}

func (p *parser) tool(v []string) error {
	n, err := p.pin("tool", v)
	if err != nil {
		return err
	}
	p.lock.Tools = append(p.lock.Tools, n)
	return nil
}

// pin reads what lines of both kinds hold. A name stands in one of them only:
// else a build could use two versions of what is one package.
func (p *parser) pin(kind string, v []string) (Package, error) {
	if err := p.closePackage(); err != nil {
		return Package{}, err
	}
	if len(p.lock.Packages)+len(p.lock.Tools) == maxPackages {
		return Package{}, fmt.Errorf("limit of %d packages and tools exceeded", maxPackages)
	}
	n := Package{Name: v[0], Version: v[1], Architecture: v[2], Pool: v[5]}
	if !deb.ValidName(n.Name) || !deb.ValidVersion(n.Version) || !deb.ValidArchitecture(n.Architecture) {
		return Package{}, fmt.Errorf("%s: got %q %q %q, want a name, a version and an architecture", kind, v[0], v[1], v[2])
	}
	if err := p.once("package " + n.Name); err != nil {
		return Package{}, err
	}
	if err := sizeAndHash(v[3], v[4], &n.Size, &n.SHA256); err != nil {
		return Package{}, err
	}
	return n, n.checkPool()
}

// checkPool refuses a path that could lead out of a mirror's or a cache's
// folder, and one that names another package. Archives leave the epoch out of
// file names.
func (p Package) checkPool() error {
	_, version, ok := strings.Cut(p.Version, ":")
	if !ok {
		version = p.Version
	}
	base := p.Name + "_" + version + "_" + p.Architecture + ".deb"
	if !strings.HasPrefix(p.Pool, "pool/") || !plainPath(p.Pool) || path.Base(p.Pool) != base {
		return fmt.Errorf("pool path: got %q, want pool/.../%s", p.Pool, base)
	}
	return nil
}

// plainPath accepts relative, clean paths of bytes that mean nothing to a URL
// or a shell.
func plainPath(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+~-"
	return fs.ValidPath(s) && s != "." && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune(allowed, r)
	})
}

func (p *parser) file(v []string) error {
	if len(p.lock.Packages) == 0 {
		return errors.New("file: no package above it")
	}
	if len(p.lock.Tools) > 0 {
		return errors.New("file: a tool is unpacked whole and has no file lines")
	}
	owner := &p.lock.Packages[len(p.lock.Packages)-1]
	if len(owner.Files) == maxFiles {
		return fmt.Errorf("limit of %d files of a package exceeded", maxFiles)
	}
	f := File{Role: Role(v[0]), Path: v[1]}
	if !f.Role.valid() {
		return fmt.Errorf("role: got %q, want kernel, stub, firmware-code, firmware-vars, firmware-snp, firmware-tdx, module or kernel-source", v[0])
	}
	if f.Role != Module {
		if err := p.once("role " + v[0]); err != nil {
			return err
		}
	}
	if !plainPath(f.Path) {
		return fmt.Errorf("file: got path %q, want a relative path without \"..\"", f.Path)
	}
	if err := p.once("file " + owner.Name + ":" + f.Path); err != nil {
		return err
	}
	if err := sizeAndHash(v[2], v[3], &f.Size, &f.SHA256); err != nil {
		return err
	}
	owner.Files = append(owner.Files, f)
	return nil
}

// closePackage checks the package that the line before belonged to.
func (p *parser) closePackage() error {
	if n := len(p.lock.Packages); n > 0 && len(p.lock.Packages[n-1].Files) == 0 {
		return fmt.Errorf("package %s: no file line below it", p.lock.Packages[n-1].Name)
	}
	return nil
}

func (p *parser) finish() error {
	if headers := p.headers(); p.header < len(headers) {
		return fmt.Errorf("lock ends, want a line %q", headers[p.header].key)
	}
	if len(p.lock.Packages) == 0 {
		return errors.New("lock ends, want at least one package")
	}
	return p.closePackage()
}

func sizeAndHash(size, hash string, n *int64, d *Digest) (err error) {
	if *n, err = parseInt("size", size, 1, maxBytes); err != nil {
		return err
	}
	*d, err = ParseDigest(hash)
	return err
}

// parseInt takes the one way to write a number: digits, no leading zero.
func parseInt(what, s string, least, most int64) (int64, error) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < least || v > most || strconv.FormatInt(v, 10) != s {
		return 0, fmt.Errorf("%s: got %q, want a number from %d to %d", what, s, least, most)
	}
	return v, nil
}
