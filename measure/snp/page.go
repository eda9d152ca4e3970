package snp

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
)

const pageSize = 4096

// PageType says how a page enters the launch digest.
type PageType uint8

// AMD 56860, section 8.17, table "Encodings for the PAGE_TYPE Field".
const (
	PageNormal     PageType = 1 // contents are measured
	PageVMSA       PageType = 2 // contents are measured
	PageZero       PageType = 3 // the firmware clears it
	PageUnmeasured PageType = 4 // address and type are measured, contents aren't
	PageSecrets    PageType = 5 // the firmware fills it
	PageCPUID      PageType = 6 // the firmware checks it
)

// String is the name of the type in a trace.
func (t PageType) String() string {
	switch t {
	case PageNormal:
		return "normal"
	case PageVMSA:
		return "vmsa"
	case PageZero:
		return "zero"
	case PageUnmeasured:
		return "unmeasured"
	case PageSecrets:
		return "secrets"
	case PageCPUID:
		return "cpuid"
	}
	return fmt.Sprintf("%d", uint8(t))
}

// Page is a measured page and the launch digest after it.
type Page struct {
	Type     PageType
	GPA      uint64 // guest physical address
	Contents Digest // zero for types whose contents aren't measured
	Origin   string // "firmware", "SVSM", a section's type, "vcpu 0"
	LD       Digest

	// Data are the contents where they are measured: 4096 bytes that the
	// receiver must not change. Nil for other types.
	Data []byte
}

// pageInfo is the input of one link of the chain.
//
// AMD 56860, section 8.17.2, table "Layout of the PAGE_INFO Structure":
//
//	0x00  48  DIGEST_CUR, launch digest before the page
//	0x30  48  CONTENTS
//	0x60  u16 LENGTH, 0x70
//	0x62  u8  PAGE_TYPE
//	0x63  u8  IMI_PAGE: 0, no guest here migrates
//	0x64  u8  VMPL3_PERMS, then VMPL2_PERMS and VMPL1_PERMS: 0 from all monitors
//	0x67  u8  reserved
//	0x68  u64 GPA
type pageInfo [0x70]byte

// Chain is a launch digest in the making, page by page. Launch describes what
// monitors do of themselves; a Chain is for launches that something else
// describes, such as an IGVM file. Its zero value is the initial one.
type Chain struct {
	// Trace gets every page in order, if not nil.
	Trace func(Page)

	info pageInfo // its first field is the launch digest
}

// LD is the launch digest after the pages so far.
func (c *Chain) LD() Digest { return Digest(c.info[:48]) }

func (c *Chain) seed(d Digest) { copy(c.info[:48], d[:]) }

// extend adds one page.
func (c *Chain) extend(t PageType, gpa uint64, contents *Digest, data []byte, origin string) {
	copy(c.info[0x30:], contents[:])
	binary.LittleEndian.PutUint16(c.info[0x60:], uint16(len(c.info)))
	c.info[0x62] = byte(t)
	binary.LittleEndian.PutUint64(c.info[0x68:], gpa)
	ld := sha512.Sum384(c.info[:])
	copy(c.info[:48], ld[:])
	if c.Trace != nil {
		c.Trace(Page{Type: t, GPA: gpa, Contents: *contents, Origin: origin, LD: ld, Data: data})
	}
}

// Normal adds pages whose contents are measured. Their length must be a
// multiple of 4096. Firmware has runs of equal pages (its empty variable store,
// filling): those are hashed once.
func (c *Chain) Normal(gpa uint64, pages []byte, origin string) {
	var last []byte
	var contents Digest
	for ; len(pages) > 0; pages = pages[pageSize:] {
		page := pages[:pageSize]
		if !bytes.Equal(page, last) {
			contents = sha512.Sum384(page)
			last = page
		}
		c.extend(PageNormal, gpa, &contents, page, origin)
		gpa += pageSize
	}
}

// VMSA adds the save area of a virtual processor.
func (c *Chain) VMSA(gpa uint64, area *[pageSize]byte, origin string) {
	contents := Digest(sha512.Sum384(area[:]))
	c.extend(PageVMSA, gpa, &contents, area[:], origin)
}

// Fill adds size bytes of pages whose contents aren't measured.
func (c *Chain) Fill(t PageType, gpa, size uint64, origin string) {
	var none Digest
	for end := gpa + size; gpa < end; gpa += pageSize {
		c.extend(t, gpa, &none, nil, origin)
	}
}
