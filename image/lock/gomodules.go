package lock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// GoModule is a Go module as two files of the go command's cache, verified.
type GoModule struct {
	module.Version
	GoMod string // path of its go.mod
	Zip   string // path of its zip
}

// toolchainMod is the go.mod of every toolchain: its hash is in no go.sum, and
// without one the go command would ask the checksum database.
const toolchainMod = "module golang.org/toolchain\n"

// GoModules brings modules and the lock's toolchain into the go command's cache.
// Their hashes must be those of goSum, the text of a go.sum, and of the lock.
// A module that go.sum lacks is an error, so nothing is left for the checksum
// database to decide.
func (r *Resolver) GoModules(ctx context.Context, l *Lock, goSum []byte, list []module.Version) ([]GoModule, error) {
	sums := parseSums(goSum)
	t := module.Version{Path: l.Toolchain.Path, Version: l.Toolchain.Version}
	modSum, err := hashMod(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(toolchainMod)), nil })
	if err != nil {
		return nil, fmt.Errorf("fetching modules: %w", err)
	}
	sums[t], sums[modKey(t)] = l.Toolchain.Sum, modSum
	list = append(slices.Clone(list), t)
	for _, m := range list {
		if sums[m] == "" || sums[modKey(m)] == "" {
			return nil, fmt.Errorf("fetching modules: go.sum has no hash of %s", m)
		}
	}
	modules, err := r.download(ctx, list, sums)
	if err != nil {
		return nil, fmt.Errorf("fetching modules: %w", err)
	}
	for _, m := range modules {
		if err := m.check(sums); err != nil {
			return nil, err
		}
	}
	return modules, nil
}

// GoProxy is the GOPROXY of an offline build: those of Inputs that are unpacked
// archives, and "off" where the network would begin. See Go Modules Reference,
// "Environment variables".
func (r *Resolver) GoProxy() (string, error) {
	var list []string
	for _, dir := range r.Inputs {
		dir, err := filepath.Abs(filepath.Join(dir, PackedProxy))
		if err != nil {
			return "", fmt.Errorf("looking in inputs: %w", err)
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return "", fmt.Errorf("looking in inputs: %w", err)
		}
		u := url.URL{Scheme: "file", Path: dir}
		// A comma in a path would be read as the next entry.
		list = append(list, strings.ReplaceAll(u.String(), ",", "%2C"))
	}
	return strings.Join(append(list, "off"), ","), nil
}

// parseSums reads lines "MODULE VERSION HASH": Go Modules Reference, "go.sum
// files". The go command reads the same text and reports what is wrong in it.
func parseSums(text []byte) map[module.Version]string {
	sums := map[module.Version]string{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 {
			sums[module.Version{Path: f[0], Version: f[1]}] = f[2]
		}
	}
	return sums
}

// modKey is the name under which go.sum has the hash of a module's go.mod.
func modKey(m module.Version) module.Version {
	return module.Version{Path: m.Path, Version: m.Version + "/go.mod"}
}

// download asks the go command for modules, in a folder whose go.sum holds
// their hashes: it writes to the go.sum of the folder that it runs in.
func (r *Resolver) download(ctx context.Context, list []module.Version, sums map[module.Version]string) (_ []GoModule, err error) {
	dir, err := os.MkdirTemp("", "safebox-modules-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var text strings.Builder
	args := []string{"mod", "download", "-json"}
	for _, m := range list {
		fmt.Fprintf(&text, "%s %s %s\n", m.Path, m.Version, sums[m])
		fmt.Fprintf(&text, "%s %s/go.mod %s\n", m.Path, m.Version, sums[modKey(m)])
		args = append(args, m.String())
	}
	for name, content := range map[string]string{"go.mod": "module inputs\n", "go.sum": text.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	var env []string
	if r.Offline {
		proxy, err := r.GoProxy()
		if err != nil {
			return nil, err
		}
		env = []string{"GOPROXY=" + proxy}
	}
	out, err := goCommand(ctx, dir, env, args...)
	if err != nil {
		return nil, err
	}
	return decodeModules(out, list)
}

// decodeModules reads the answers of "go mod download -json" for all of list.
func decodeModules(out []byte, list []module.Version) ([]GoModule, error) {
	found := map[module.Version]GoModule{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var answer struct{ Path, Version, Error, GoMod, Zip string }
		if err := d.Decode(&answer); err != nil {
			return nil, fmt.Errorf("decoding the go command's answer: %w", err)
		}
		if answer.Error != "" {
			return nil, fmt.Errorf("go command: %s", oneLine(answer.Error))
		}
		v := module.Version{Path: answer.Path, Version: answer.Version}
		found[v] = GoModule{Version: v, GoMod: answer.GoMod, Zip: answer.Zip}
	}
	modules := make([]GoModule, 0, len(list))
	for _, v := range list {
		m, ok := found[v]
		if !ok {
			return nil, fmt.Errorf("go command: no answer about %s", v)
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// check hashes both files: the go command believes its cache.
func (m GoModule) check(sums map[module.Version]string) error {
	got, err := dirhash.HashZip(m.Zip, dirhash.Hash1)
	if err != nil {
		return fmt.Errorf("module %s: %w", m, err)
	}
	if want := sums[m.Version]; got != want {
		return m.mismatch(m.Zip, got, want)
	}
	got, err = hashMod(func() (io.ReadCloser, error) { return os.Open(m.GoMod) })
	if err != nil {
		return fmt.Errorf("module %s: %w", m, err)
	}
	if want := sums[modKey(m.Version)]; got != want {
		return m.mismatch(m.GoMod, got, want)
	}
	return nil
}

func (m GoModule) mismatch(place, got, want string) error {
	return &MismatchError{Subject: "module " + m.String(), Place: place, Field: "hash", Got: got, Want: want, hint: hintModule}
}

// hashMod is the hash that go.sum has of a go.mod: a module of this one file.
func hashMod(open func() (io.ReadCloser, error)) (string, error) {
	return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return open() })
}
