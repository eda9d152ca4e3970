package tdvf

// Build is MRTD in the making, page by page in the order SinglePass, for TDs
// that something else than a TDX virtual firmware describes, such as an IGVM
// file.
type Build struct{ m *measurement }

// NewBuild starts a TD without pages.
func NewBuild() *Build { return &Build{newMeasurement(Options{})} }

// Page adds the page at an address, and measures its contents if asked to:
// data, which may have fewer than 4096 bytes, and zeros behind.
func (b *Build) Page(gpa uint64, data []byte, measured bool) { b.m.page(gpa, data, true, measured) }

// MRTD is the register if the TD is finalized now.
func (b *Build) MRTD() Digest { return b.m.sum() }
