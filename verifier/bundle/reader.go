package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"safebox/verifier/tlog"
)

// reader goes over the entries of a tar. Names are in one order, so the next
// entry is asked for by its name.
type reader struct {
	b  []byte // from the next header on
	at int    // offset of b in the file
	n  int    // entries so far
}

func newReader(b []byte) (*reader, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("size: got more than %d bytes, want at most that", MaxSize)
	}
	if len(b) < entrySize(0)+endSize || len(b)%blockSize != 0 {
		return nil, fmt.Errorf("size: got %d bytes, want a multiple of %d, at least %d", len(b), blockSize, entrySize(0)+endSize)
	}
	return &reader{b: b}, nil
}

// end reports whether no entry follows: a header never begins with a zero.
func (r *reader) end() bool { return len(r.b) == 0 || r.b[0] == 0 }

// name is the name of the next entry, as far as it has one.
func (r *reader) name() string {
	if len(r.b) < blockSize {
		return ""
	}
	name, _, _ := bytes.Cut(r.b[:nameSize], []byte{0})
	return string(name)
}

// is reports whether the next entry has this name.
func (r *reader) is(name string) bool { return r.name() == name }

// take reads the next entry, which must have this name and 1 to most bytes.
func (r *reader) take(name string, most int) ([]byte, error) {
	fail := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("entry %d at byte %d: %w", r.n+1, r.at, err)
	}
	if len(r.b) < blockSize {
		return fail(fmt.Errorf("got the end of the file, want %s", name))
	}
	if r.end() {
		return fail(fmt.Errorf("got no entry, want %s", name))
	}
	h := header(r.b[:blockSize])
	size, err := h.size()
	if err != nil {
		return fail(err)
	}
	// Name and size decide all other fields.
	want := newHeader(name, size)
	if err := h.compare(&want); err != nil {
		return fail(err)
	}
	if size < 1 || size > int64(most) {
		return fail(fmt.Errorf("%s: got %d bytes, want 1 to %d", name, size, most))
	}
	n := int(size)
	if len(r.b) < entrySize(n) {
		return fail(fmt.Errorf("%s: got %d bytes up to the end of the file, want %d", name, len(r.b), entrySize(n)))
	}
	content, rest := r.b[blockSize:blockSize+n:blockSize+n], r.b[blockSize+n:entrySize(n)]
	if !zeros(rest) {
		return fail(fmt.Errorf("after %s: got other bytes, want zeros only", name))
	}
	r.b, r.at, r.n = r.b[entrySize(n):], r.at+entrySize(n), r.n+1
	return content, nil
}

// close checks the end: two blocks of zeros and nothing more.
func (r *reader) close() error {
	if !r.end() {
		return fmt.Errorf("entry %d at byte %d: got %q, want the end", r.n+1, r.at, r.name())
	}
	if len(r.b) != endSize {
		return fmt.Errorf("end at byte %d: got %d bytes, want %d", r.at, len(r.b), endSize)
	}
	if !zeros(r.b) {
		return errors.New("after the last entry: got other bytes, want zeros only")
	}
	return nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// entries reads the entry bundles, at least one; only the last may be partial.
func (r *reader) entries(out *Bundle) error {
	for n, last := 0, false; !last; n++ {
		full, err := tileName(n, tileWidth)
		if err != nil {
			return err
		}
		name := full
		if next := r.name(); strings.HasPrefix(next, full+".p/") {
			name, last = next, true // the number of entries, below, is the number in the name
		} else if n > 0 && next != full {
			return nil
		}
		content, err := r.take(name, maxTile)
		if err != nil {
			return err
		}
		entries, err := tlog.DecodeEntries(content)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if want, err := tileName(n, len(entries)); err != nil || name != want {
			return fmt.Errorf("%s: got %d entries, whose name is another", name, len(entries))
		}
		out.Entries = append(out.Entries, entries...)
		if len(out.Entries) > MaxEntries {
			return fmt.Errorf("%s: got more than %d entries of the log", name, MaxEntries)
		}
	}
	return nil
}

// collateral reads the documents of vendors.
func (r *reader) collateral(out *Bundle) error {
	for !r.end() {
		path := r.name()
		name, ok := strings.CutPrefix(path, collateralFolder)
		if !ok {
			return fmt.Errorf("entry %d at byte %d: unexpected name %q", r.n+1, r.at, path)
		}
		if err := checkName(name); err != nil {
			return fmt.Errorf("entry %d at byte %d: %s%w", r.n+1, r.at, collateralFolder, err)
		}
		if n := len(out.Collateral); n > 0 && out.Collateral[n-1].Name >= name {
			return fmt.Errorf("entry %d at byte %d: %q after %q: want names ascending, each once", r.n+1, r.at, name, out.Collateral[n-1].Name)
		}
		if len(out.Collateral) == MaxCollateral {
			return fmt.Errorf("entry %d at byte %d: got more than %d files of collateral", r.n+1, r.at, MaxCollateral)
		}
		content, err := r.take(path, MaxFile)
		if err != nil {
			return err
		}
		out.Collateral = append(out.Collateral, File{Name: name, Bytes: content})
	}
	return nil
}
