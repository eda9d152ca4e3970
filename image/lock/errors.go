package lock

import (
	"fmt"
	"strings"
)

// MismatchError is bytes that are not what the lock names. There is no way on
// from it: a wrong file is never skipped or replaced.
type MismatchError struct {
	Subject string // what is pinned: a package, a file of one, or a module
	Place   string // where the bytes came from: a path or URL
	Field   string // "size", "sha256", or a module's "hash"
	Got     string
	Want    string
	hint    string
}

// Error is the message, in one line.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s from %s: %s: got %s, want %s", e.Subject, e.Place, e.Field, e.Got, e.Want)
}

// Hint says what the user can do.
func (e *MismatchError) Hint() string { return e.hint }

// Hints by the kind of place.
const (
	hintCache   = "the cache is damaged or was changed: delete this file, it will be fetched again"
	hintInput   = "this folder holds another file under that name: remove it from --inputs, or correct the lock"
	hintMirror  = "the lock and this server disagree: do not build from either before you know why"
	hintModule  = "the go command's cache is damaged or was changed: run go clean -modcache"
	hintPackage = "the package has its locked hash but the file in it has not: correct the lock"
)

// MissingError is a package that no place has.
type MissingError struct {
	Package Package
	Offline bool
	Looked  []string // places and what was found there, in order
}

// Error is the message, in one line.
func (e *MissingError) Error() string {
	state := "not found"
	if e.Offline {
		state = "not here, and offline"
	}
	return fmt.Sprintf("package %s (%d bytes, sha256 %s): %s; looked in %s",
		e.Package, e.Package.Size, e.Package.SHA256, state, strings.Join(e.Looked, "; "))
}

// Hint says what the user can do.
func (e *MissingError) Hint() string {
	if e.Offline {
		return "run safebox lock fetch while online, or give a folder that holds " + e.Package.base() + " with --inputs"
	}
	return "mirrors drop old versions: give a folder that holds " + e.Package.base() + " with --inputs, or a snapshot archive's URL"
}
