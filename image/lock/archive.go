package lock

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"safebox/image/deb"
)

// Bounds and places of an archive's index: Debian Repository Format
// (DebianRepository/Format of the Debian wiki), "Release" and "Packages".
const (
	maxRelease    = 4 << 20
	maxIndex      = 512 << 20 // compressed or not
	maxStanza     = 256 << 10
	maxCandidates = 1000
	indexPath     = "main/binary-amd64/Packages.xz"
	dictionary    = 64 << 20
)

// dateFormat is how Release writes dates: RFC 5322 with the zone UTC.
const dateFormat = "Mon, 02 Jan 2006 15:04:05 MST"

// archive is one suite on one mirror, whose index has been verified.
type archive struct {
	r       *Resolver
	base    string
	suite   string
	keyring string
	now     time.Time
}

// candidates reads the index of every suite and returns the stanzas of the
// packages wanted.
func (r *Resolver) candidates(ctx context.Context, opt UpdateOptions, wanted func(name string) bool) ([]deb.Control, error) {
	var all []deb.Control
	for _, suite := range opt.Suites {
		found, err := r.suiteCandidates(ctx, suite, opt, wanted)
		if err != nil {
			return nil, fmt.Errorf("reading the index of %s: %w", suite, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// suiteCandidates asks the first mirror that has the suite.
func (r *Resolver) suiteCandidates(ctx context.Context, suite string, opt UpdateOptions, wanted func(string) bool) ([]deb.Control, error) {
	servers, err := r.servers(ctx)
	if err != nil {
		return nil, err
	}
	var tried []string
	for _, base := range servers {
		a := archive{r: r, base: base, suite: suite, keyring: opt.Keyring, now: opt.Now}
		stanzas, err := a.stanzas(ctx, wanted)
		var gone *unavailableError
		if !errors.As(err, &gone) || ctx.Err() != nil {
			return stanzas, err
		}
		tried = append(tried, gone.Error())
	}
	if len(tried) == 0 {
		return nil, errors.New("no mirror is configured")
	}
	return nil, fmt.Errorf("no mirror has it: %s", strings.Join(tried, "; "))
}

func (a archive) stanzas(ctx context.Context, wanted func(string) bool) ([]deb.Control, error) {
	signed, err := a.fetch(ctx, "InRelease", 0, maxRelease)
	if err != nil {
		return nil, err
	}
	text, err := verifySignature(ctx, signed, a.keyring)
	if err != nil {
		return nil, fmt.Errorf("%s InRelease: %w", a.base, err)
	}
	size, sum, err := a.readRelease(text)
	if err != nil {
		return nil, fmt.Errorf("%s InRelease: %w", a.base, err)
	}
	index, err := a.fetch(ctx, indexPath, size, size)
	if err != nil {
		return nil, err
	}
	want := pinned{subject: "index " + indexPath, size: size, sum: sum}
	if err := want.check(a.base, hintMirror, int64(len(index)), sha256.Sum256(index)); err != nil {
		return nil, err
	}
	found, err := selectStanzas(deb.NewXZReader(bytes.NewReader(index), dictionary), wanted)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", indexPath, err)
	}
	return found, nil
}

// fetch reads a file of the suite into memory, at most limit bytes and one.
func (a archive) fetch(ctx context.Context, name string, total, limit int64) (b []byte, err error) {
	u, err := join(a.base, "dists/"+a.suite+"/"+name)
	if err != nil {
		return nil, err
	}
	err = a.r.get(ctx, u, func(body io.Reader, _ int64) error {
		src := a.r.observe(body, a.suite+" "+name, total)
		var rerr error
		if b, rerr = io.ReadAll(io.LimitReader(src, limit+1)); rerr != nil {
			return &sourceError{rerr}
		}
		if int64(len(b)) > limit {
			return fmt.Errorf("%s: got more than %d bytes", u.Redacted(), limit)
		}
		return nil
	})
	return b, err
}

// verifySignature returns what a clear-signed text says, after gpgv has found
// every signature on it good with a key of the keyring.
func verifySignature(ctx context.Context, signed []byte, keyring string) (text []byte, err error) {
	if _, err := exec.LookPath("gpgv"); err != nil {
		return nil, fmt.Errorf("verifying the signature: %w: install gpgv", err)
	}
	keyring, err = filepath.Abs(keyring) // gpgv looks for a bare name elsewhere
	if err != nil {
		return nil, fmt.Errorf("verifying the signature: %w", err)
	}
	if _, err := os.Stat(keyring); err != nil {
		return nil, fmt.Errorf("verifying the signature: %w: install debian-archive-keyring", err)
	}
	dir, err := os.MkdirTemp("", "safebox-release-")
	if err != nil {
		return nil, fmt.Errorf("verifying the signature: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	in, out := filepath.Join(dir, "InRelease"), filepath.Join(dir, "Release")
	if err := os.WriteFile(in, signed, 0o600); err != nil {
		return nil, fmt.Errorf("verifying the signature: %w", err)
	}
	cmd := exec.CommandContext(ctx, "gpgv", "--homedir", dir, "--keyring", keyring, "--output", out, in)
	cmd.WaitDelay = 5 * time.Second
	if _, stderr, err := runTool(cmd); err != nil {
		return nil, fmt.Errorf("verifying the signature: gpgv: %w: %s", err, stderr)
	}
	// What gpgv wrote is what was signed; the file may hold more around it.
	if text, err = os.ReadFile(out); err != nil {
		return nil, fmt.Errorf("verifying the signature: %w", err)
	}
	return text, nil
}

// readRelease checks that the text speaks of the suite asked for, and today,
// and returns what it says about the index.
func (a archive) readRelease(text []byte) (size int64, sum Digest, err error) {
	fields, err := deb.ParseControl(text)
	if err != nil {
		return 0, Digest{}, err
	}
	// Else a mirror could answer with an older release, signed as well.
	if fields["Codename"] != a.suite && fields["Suite"] != a.suite {
		return 0, Digest{}, fmt.Errorf("suite: got %q (codename %q), want %q", fields["Suite"], fields["Codename"], a.suite)
	}
	if until, ok := fields["Valid-Until"]; ok {
		end, err := time.Parse(dateFormat, until)
		if err != nil {
			return 0, Digest{}, fmt.Errorf("field Valid-Until: %w", err)
		}
		if a.now.After(end) {
			return 0, Digest{}, fmt.Errorf("field Valid-Until: expired on %s", until)
		}
	}
	for line := range strings.SplitSeq(fields["SHA256"], "\n") {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != indexPath {
			continue
		}
		if size, err = parseInt("size of "+indexPath, f[1], 1, maxIndex); err != nil {
			return 0, Digest{}, err
		}
		sum, err = ParseDigest(f[0])
		return size, sum, err
	}
	return 0, Digest{}, fmt.Errorf("field SHA256: no line for %s", indexPath)
}

// selectStanzas reads a Packages index and keeps the stanzas wanted. A stanza
// begins with its field Package; blank lines lie between stanzas.
func selectStanzas(index io.Reader, wanted func(string) bool) ([]deb.Control, error) {
	lines := bufio.NewReaderSize(io.LimitReader(index, maxIndex), 1<<20)
	var found []deb.Control
	var stanza []byte
	first, keep := true, false
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		blank := len(bytes.TrimSpace(line)) == 0
		if first && !blank {
			name, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("Package: "))
			keep = ok && wanted(string(name))
		}
		first = blank
		if keep && !blank {
			stanza = append(stanza, line...)
		}
		if len(stanza) > maxStanza || len(found) > maxCandidates {
			return nil, fmt.Errorf("line %d: limit of %d bytes of a stanza or %d packages exceeded", number, maxStanza, maxCandidates)
		}
		if keep && (blank || end) {
			c, err := deb.ParseControl(stanza)
			if err != nil {
				return nil, fmt.Errorf("stanza before line %d: %w", number, err)
			}
			found, stanza, keep = append(found, c), stanza[:0], false
		}
		if end {
			return found, nil
		}
	}
}

// packageFrom reads the stanza of a Packages index as a line of a lock.
func packageFrom(c deb.Control) (Package, error) {
	p := Package{Name: c["Package"], Version: c["Version"], Architecture: c["Architecture"], Pool: c["Filename"]}
	if !deb.ValidName(p.Name) || !deb.ValidVersion(p.Version) || !deb.ValidArchitecture(p.Architecture) {
		return Package{}, fmt.Errorf("index: got package %q %q %q", p.Name, p.Version, p.Architecture)
	}
	var err error
	if p.Size, err = parseInt("Size", c["Size"], 1, maxBytes); err != nil {
		return Package{}, fmt.Errorf("index: package %s: %w", p, err)
	}
	if p.SHA256, err = ParseDigest(c["SHA256"]); err != nil {
		return Package{}, fmt.Errorf("index: package %s: %w", p, err)
	}
	if err := p.checkPool(); err != nil {
		return Package{}, fmt.Errorf("index: package %s: %w", p, err)
	}
	return p, nil
}
