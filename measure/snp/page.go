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

// chain is a launch digest in the making. Its zero value is the initial one.
type chain struct {
	info  pageInfo // its first field is the launch digest
	trace func(Page)
}

func (c *chain) ld() Digest { return Digest(c.info[:48]) }

func (c *chain) seed(d Digest) { copy(c.info[:48], d[:]) }

// extend adds one page.
func (c *chain) extend(t PageType, gpa uint64, contents *Digest, origin string) {
	copy(c.info[0x30:], contents[:])
	binary.LittleEndian.PutUint16(c.info[0x60:], uint16(len(c.info)))
	c.info[0x62] = byte(t)
	binary.LittleEndian.PutUint64(c.info[0x68:], gpa)
	ld := sha512.Sum384(c.info[:])
	copy(c.info[:48], ld[:])
	if c.trace != nil {
		c.trace(Page{Type: t, GPA: gpa, Contents: *contents, Origin: origin, LD: ld})
	}
}

// normal adds pages whose contents are measured. Firmware has runs of equal
// pages (its empty variable store, filling): those are hashed once.
func (c *chain) normal(gpa uint64, pages []byte, origin string) {
	var last []byte
	var contents Digest
	for ; len(pages) > 0; pages = pages[pageSize:] {
		page := pages[:pageSize]
		if !bytes.Equal(page, last) {
			contents = sha512.Sum384(page)
			last = page
		}
		c.extend(PageNormal, gpa, &contents, origin)
		gpa += pageSize
	}
}

// fill adds size bytes of pages whose contents aren't measured.
func (c *chain) fill(t PageType, gpa, size uint64, origin string) {
	var none Digest
	for end := gpa + size; gpa < end; gpa += pageSize {
		c.extend(t, gpa, &none, origin)
	}
}
