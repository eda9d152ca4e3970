// Package lock pins every input of a build: the packages that hold the kernel
// or its source, the boot stub and the firmware, every file taken out of them,
// the packages that compile a kernel from source, and the Go toolchain, each by
// size and hash. It implements section 6 of the image
// specification ("Pinned inputs").
//
// A Lock is text (Parse, Encode). A Resolver turns a line of it into bytes: it
// looks in the cache, in folders given by hand, on the mirrors that the
// machine's own package manager uses and in a snapshot archive, and believes
// none of them: nothing leaves this package that does not have the size and
// the SHA-256 that the lock names. Update writes a new lock; it is the one
// place where something not pinned is believed, see its comment.
//
// The text, format safebox-lock/1, is ASCII, one line a fact, fields separated
// by one space:
//
//	format safebox-lock/1
//	epoch SECONDS
//	go VERSION
//	toolchain MODULE@VERSION h1:HASH
//	package NAME VERSION ARCHITECTURE SIZE SHA256 pool/...deb
//	  file ROLE PATH SIZE SHA256
//	tool NAME VERSION ARCHITECTURE SIZE SHA256 pool/...deb
//
// The first four come once, in this order. File lines are indented by two
// spaces and belong to the package above. Tools come last; they are packages
// that are unpacked whole, so they have no file lines. Blank lines and lines
// that start with "#" are ignored.
package lock

import (
	"encoding/hex"
	"fmt"
	"path"
	"slices"
)

// Format is the value of the first line.
const Format = "safebox-lock/1"

// Digest is a SHA-256 hash.
type Digest [32]byte

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads 64 lower-case hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	// Decode writes past the array for a longer text, and takes upper case.
	if len(s) == 2*len(d) {
		if _, err := hex.Decode(d[:], []byte(s)); err == nil && d.String() == s {
			return d, nil
		}
	}
	return Digest{}, fmt.Errorf("sha256: got %q, want %d lower-case hexadecimal digits", s, 2*len(d))
}

// Role says what a build does with a file.
type Role string

// The roles that a file can have.
const (
	Kernel       Role = "kernel"
	Stub         Role = "stub" // that a UKI is assembled around
	FirmwareCode Role = "firmware-code"
	FirmwareVars Role = "firmware-vars"
	FirmwareSNP  Role = "firmware-snp" // unified image with SEV metadata and a page for kernel hashes
	FirmwareTDX  Role = "firmware-tdx" // unified image with TDX metadata
	Module       Role = "module"       // of the kernel; the only role that many files have

	// KernelSource is the compressed source tree of the kernel.
	KernelSource Role = "kernel-source"
)

func (r Role) valid() bool {
	switch r {
	case Kernel, Stub, FirmwareCode, FirmwareVars, FirmwareSNP, FirmwareTDX, Module, KernelSource:
		return true
	default:
		return false
	}
}

// Lock is the content of a lock file.
type Lock struct {
	Epoch     int64  // SOURCE_DATE_EPOCH in seconds
	Go        string // version of the Go toolchain, such as "1.26.8"
	Toolchain Toolchain
	Packages  []Package

	// Tools are packages of which no single file is an input: a compiler and
	// what it needs, unpacked whole where the kernel is built from source.
	Tools []Package
}

// Toolchain pins the Go toolchain as a module.
type Toolchain struct {
	Path    string // of the module
	Version string
	Sum     string // "h1:" and the module's hash, as the checksum database has it
}

// Package pins one package.
type Package struct {
	Name         string
	Version      string
	Architecture string
	Size         int64
	SHA256       Digest
	Pool         string // path below a mirror's root
	Files        []File // none of a tool
}

// File pins one file of a package.
type File struct {
	Role   Role
	Path   string // inside the package
	Size   int64
	SHA256 Digest
}

// Input is a file together with the package that holds it.
type Input struct {
	Package Package
	File    File
}

// String names the package in messages.
func (p Package) String() string { return p.Name + " " + p.Version }

// base is the package's file name.
func (p Package) base() string { return path.Base(p.Pool) }

// Files returns the files of a role in the lock's order.
func (l *Lock) Files(role Role) []Input {
	var found []Input
	for _, p := range l.Packages {
		for _, f := range p.Files {
			if f.Role == role {
				found = append(found, Input{Package: p, File: f})
			}
		}
	}
	return found
}

// WithoutSource returns the lock without what only a kernel built from source
// needs: the tools, and packages that hold nothing but the source.
func (l *Lock) WithoutSource() *Lock {
	rest := *l
	rest.Tools = nil
	rest.Packages = slices.DeleteFunc(slices.Clone(l.Packages), func(p Package) bool {
		return !slices.ContainsFunc(p.Files, func(f File) bool { return f.Role != KernelSource })
	})
	return &rest
}

// File returns the one file of a role.
func (l *Lock) File(role Role) (Input, error) {
	found := l.Files(role)
	if len(found) != 1 {
		return Input{}, fmt.Errorf("lock: files of role %s: got %d, want 1", role, len(found))
	}
	return found[0], nil
}
