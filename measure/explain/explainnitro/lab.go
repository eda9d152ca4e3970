package explainnitro

import (
	"bytes"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"safebox/measure/eif"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/explain/internal/search"
	"safebox/measure/nitro"
)

// state is an enclave that may have been the real one.
type state struct {
	image       int    // of lab
	commandLine string // in place of the image's, if changed
	changed     bool
	last        bool // the command line behind the ramdisks
	ramdisks    [maxRamdisks]int8
	first       int // how many ramdisks are in PCR1: 1

	debug      bool
	unextended bool   // the digest of the content itself
	text       string // of PCR3 and PCR4, empty: unknown
	none       bool   // there is no text
	signed     []byte // what PCR8 hashes
}

// maxRamdisks bounds the permutations that are tried.
const maxRamdisks = 4

const probes = 2000

// lab computes registers of states, each only once.
type lab struct {
	in     *Enclave
	start  state
	images []image
	known  map[string][]byte
	hashed int64
}

// image is the measured content of an image.
type image struct {
	name                string
	kernel, commandLine *io.SectionReader
	ramdisks            []*io.SectionReader
	last                bool   // the command line stands behind the ramdisks
	text                string // of the command line
}

func newLab(in *Enclave) *lab {
	l := &lab{in: in, known: map[string][]byte{}}
	l.images = append(l.images, readImage("the expected image", in.Input.Image))
	for _, im := range in.Images {
		l.images = append(l.images, readImage(im.Name, im.Value))
	}
	l.start = state{last: l.images[0].last, first: 1, debug: in.Input.Debug}
	for i := range l.start.ramdisks {
		l.start.ramdisks[i] = int8(i)
	}
	if c := certificateOf(&in.Input); c != nil {
		l.start.signed = c.Raw
	}
	return l
}

func certificateOf(in *nitro.Input) *x509.Certificate {
	if s := in.Image.Signature; s != nil {
		return s.Certificate
	}
	return in.Certificate
}

func readImage(name string, f *eif.File) image {
	im := image{name: name, text: string(f.CommandLine)}
	for _, s := range f.Sections {
		switch s.Type {
		case eif.KernelSection:
			im.kernel = s.Data()
		case eif.CommandLineSection:
			im.commandLine, im.last = s.Data(), len(im.ramdisks) > 0
		case eif.RamdiskSection:
			im.ramdisks = append(im.ramdisks, s.Data())
		case eif.SignatureSection, eif.MetadataSection:
		}
	}
	return im
}

// probe compares one register of a state.
func (l *lab) probe(index int, s state, reported []byte) (found bool, changes []search.Change, tried int, err error) {
	value, err := l.value(index, s)
	if err != nil {
		return false, nil, 0, err
	}
	return bytes.Equal(value, reported), nil, 1, nil
}

// value computes one register of a state.
func (l *lab) value(index int, s state) ([]byte, error) {
	zero := make([]byte, sha512.Size384)
	if s.debug && index != 3 && index != 4 {
		return zero, nil
	}
	var digest []byte
	switch index {
	case 0, 1, 2:
		var err error
		if digest, err = l.content(index, s); err != nil {
			return nil, err
		}
	case 3, 4:
		switch {
		case s.none:
			return zero, nil
		case s.text == "":
			return nil, errors.New("the text is not known")
		}
		digest = []byte(s.text) // the text itself
		if s.unextended {
			sum := sha512.Sum384(digest)
			digest = sum[:]
		}
		return registers.Extend(sha512.New384(), zero, registers.Event{Digest: digest}), nil
	case 8:
		if s.signed == nil {
			return zero, nil
		}
		sum := sha512.Sum384(s.signed)
		digest = sum[:]
	default:
		return zero, nil
	}
	if s.unextended {
		return digest, nil
	}
	return registers.Extend(sha512.New384(), zero, registers.Event{Digest: digest}), nil
}

// content hashes what PCR0, PCR1 or PCR2 covers.
func (l *lab) content(index int, s state) ([]byte, error) {
	im := l.images[s.image]
	n := len(im.ramdisks)
	order := make([]int, n)
	for i := range order {
		order[i] = i
		if i < maxRamdisks && n <= maxRamdisks {
			order[i] = int(s.ramdisks[i])
		}
	}
	var ramdisks []*io.SectionReader
	for i, r := range order {
		if r >= n {
			return nil, errors.New("no such ramdisk")
		}
		if index == 0 || index == 1 && i < s.first || index == 2 && i >= s.first {
			ramdisks = append(ramdisks, im.ramdisks[r])
		}
	}
	key := fmt.Sprint(index, s.image, s.commandLine, s.changed, s.last, order, s.first)
	if d, ok := l.known[key]; ok {
		return d, nil
	}
	line := io.Reader(io.NewSectionReader(im.commandLine, 0, im.commandLine.Size()))
	if s.changed {
		line = bytes.NewReader([]byte(s.commandLine))
	}
	var parts []io.Reader
	for _, r := range ramdisks {
		parts = append(parts, io.NewSectionReader(r, 0, r.Size()))
	}
	if index != 2 {
		at := 0
		if s.last {
			at = len(parts)
		}
		parts = slices.Insert(parts, at, line)
		parts = slices.Insert(parts, 0, io.Reader(io.NewSectionReader(im.kernel, 0, im.kernel.Size())))
	}
	if l.hashed >= maxHashed {
		return nil, errors.New("too much to hash")
	}
	h := sha512.New384()
	for _, p := range parts {
		size, err := io.Copy(h, p)
		if err != nil {
			return nil, fmt.Errorf("reading image: %w", err)
		}
		l.hashed += size
	}
	l.known[key] = h.Sum(nil)
	return l.known[key], nil
}
