package tdvf

import (
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"safebox/measure/ovmf"
)

// Fields of the extension buffer that TDH.MEM.PAGE.ADD and the first of those
// that TDH.MR.EXTEND hashes (TDX Module ABI 348551, the leaf functions'
// descriptions): the leaf's name in ASCII at 0, the address at 16, else zero.
// TDH.MR.EXTEND hashes a chunk of 256 bytes after it.
const (
	recordSize = 128
	recordGPA  = 16
	chunkSize  = 256
	chunks     = pageSize / chunkSize
	recordAdd  = "MEM.PAGE.ADD"
	recordExt  = "MR.EXTEND"

	extendsSize = chunks * (recordSize + chunkSize) // of one page
)

// Options says how a monitor loads a firmware.
type Options struct {
	Order Order
	// HOB is the list that the monitor puts into the TD_HOB section, without
	// its end, as TDHOB and GCEHOB give it. It is needed where that section is
	// measured, in the order TDHOBBug, and must be absent elsewhere.
	HOB []byte
	// Trace is called for every page that is added or measured, in order.
	Trace func(Page)
}

// Page is a step of the launch.
type Page struct {
	Section  int // in the metadata
	Type     ovmf.TDXType
	GPA      uint64
	Added    bool // a record MEM.PAGE.ADD
	Extended bool // 16 records MR.EXTEND
	// Running is what MRTD would be if the launch ended here: the register
	// itself has no value before TDH.MR.FINALIZE.
	Running Digest
}

// MRTD computes the register for a firmware.
func MRTD(im *ovmf.Image, o Options) (Digest, error) {
	if o.Order > TDHOBBug {
		return Digest{}, fmt.Errorf("MRTD: %v: want one of %v", o.Order, Orders())
	}
	list, err := readSections(im)
	if err != nil {
		return Digest{}, err
	}
	if err := fillHOB(list, o); err != nil {
		return Digest{}, err
	}
	m := newMeasurement(o)
	for _, s := range list {
		if !s.added() {
			continue
		}
		if o.Order == TwoPass {
			m.section(s, true, false)
			m.section(s, false, true)
		} else {
			m.section(s, true, true)
		}
	}
	return m.sum(), nil
}

func (o Options) extends(s section) bool {
	return o.Order == TDHOBBug || s.Attributes&ovmf.MRExtend != 0
}

// fillHOB puts the HOB into its section if it is measured there.
func fillHOB(list []section, o Options) error {
	measured := false
	for i, s := range list {
		if s.Type != ovmf.TDHOB || !s.added() || !o.extends(s) {
			continue
		}
		measured = true
		if len(o.HOB) == 0 {
			return fmt.Errorf("MRTD: %v is measured: want the HOB that the monitor puts there", s)
		}
		if n := len(o.HOB) + hobEndSize; uint64(n) > s.MemSize {
			return fmt.Errorf("MRTD: HOB: got %d bytes with its end, want at most %d: %v", n, s.MemSize, s)
		}
		list[i].data = appendEnd(append([]byte(nil), o.HOB...))
	}
	if !measured && len(o.HOB) != 0 {
		return errors.New("MRTD: HOB: got one, want none: it is not measured in this order")
	}
	return nil
}

// measurement is the hash behind MRTD. Its buffer holds the records of a page:
// MEM.PAGE.ADD, then 16 times MR.EXTEND with its chunk. All but addresses and
// data is written once, and hashing needs one call a page.
type measurement struct {
	o    Options
	hash hash.Hash
	buf  [recordSize + extendsSize]byte
}

func newMeasurement(o Options) *measurement {
	m := &measurement{o: o, hash: sha512.New384()}
	copy(m.buf[:], recordAdd)
	for i := range chunks {
		copy(m.record(i), recordExt)
	}
	return m
}

// record gives the bytes of the page's i-th MR.EXTEND and its chunk.
func (m *measurement) record(i int) []byte {
	at := recordSize + i*(recordSize+chunkSize)
	return m.buf[at : at+recordSize+chunkSize]
}

// section adds the pages of a section, extends with them, or both.
func (m *measurement) section(s section, add, extend bool) {
	extend = extend && m.o.extends(s)
	if !add && !extend {
		return
	}
	for offset := uint64(0); offset < s.MemSize; offset += pageSize {
		gpa := s.GPA + offset
		m.page(gpa, s.data[min(offset, uint64(len(s.data))):], add, extend)
		if m.o.Trace != nil {
			m.o.Trace(Page{s.index, s.Type, gpa, add, extend, m.sum()})
		}
	}
}

// page hashes the records of one page, which starts with data and goes on with
// zeros.
func (m *measurement) page(gpa uint64, data []byte, add, extend bool) {
	from, to := recordSize, recordSize
	if add {
		from = 0
		binary.LittleEndian.PutUint64(m.buf[recordGPA:], gpa)
	}
	if extend {
		to = len(m.buf)
		m.fill(gpa, data)
	}
	m.hash.Write(m.buf[from:to])
}

// fill writes addresses and chunks of a page that starts with data and goes on
// with zeros.
func (m *measurement) fill(gpa uint64, data []byte) {
	for i := range chunks {
		r := m.record(i)
		binary.LittleEndian.PutUint64(r[recordGPA:], gpa+uint64(i*chunkSize))
		n := copy(r[recordSize:], data)
		clear(r[recordSize+n:])
		data = data[n:]
	}
}

func (m *measurement) sum() (d Digest) {
	m.hash.Sum(d[:0])
	return d
}
