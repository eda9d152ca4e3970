package snp

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"
)

// bspEIP is where the first virtual processor starts: the reset vector.
const bspEIP = 0xffff_fff0

// vmsa is a save area: a processor's registers at launch. Fields that aren't
// written below are 0.
//
// AMD 24593 revision 3.42, table B-4: VMSA Layout.
type vmsa [pageSize]byte

// Offsets of segment registers; each is u16 selector, u16 attributes, u32
// limit, u64 base.
const (
	es   = 0x000
	cs   = 0x010
	ss   = 0x020
	ds   = 0x030
	fs   = 0x040
	gs   = 0x050
	gdtr = 0x060
	ldtr = 0x070
	idtr = 0x080
	tr   = 0x090
)

// Offsets of the other registers that are not 0.
const (
	efer        = 0x0d0 // u64
	cr4         = 0x148 // u64
	cr0         = 0x158 // u64
	dr7         = 0x160 // u64
	dr6         = 0x168 // u64
	rflags      = 0x170 // u64
	rip         = 0x178 // u64
	gPAT        = 0x268 // u64
	rdx         = 0x310 // u64
	sevFeatures = 0x3b0 // u64
	xcr0        = 0x3e8 // u64
	mxcsr       = 0x408 // u32
	fcw         = 0x410 // u16
)

func (v *vmsa) segment(off int, selector, attributes uint16, limit uint32, base uint64) {
	binary.LittleEndian.PutUint16(v[off:], selector)
	binary.LittleEndian.PutUint16(v[off+2:], attributes)
	binary.LittleEndian.PutUint32(v[off+4:], limit)
	binary.LittleEndian.PutUint64(v[off+8:], base)
}

func (v *vmsa) u64(off int, value uint64) { binary.LittleEndian.PutUint64(v[off:], value) }

// newVMSA is a processor that starts at eip in real mode. AP is 0 for the
// first one and 1 for the others.
func (l *Launch) newVMSA(p Profile, eip uint32, ap int) *vmsa {
	v := new(vmsa)
	l.reset(v, p)
	for _, off := range []int{es, ds, fs, gs} {
		v.segment(off, 0, 0x93, 0xffff, 0)
	}
	v.segment(cs, 0xf000, p.CS[ap], 0xffff, uint64(eip&0xffff_0000))
	v.segment(ss, 0, p.SS, 0xffff, 0)
	v.segment(tr, 0, p.TR, 0xffff, 0)
	v.u64(cr0, 0x10) // ET
	v.u64(rip, uint64(eip&0xffff))
	return v
}

// newSVSMVMSA is a processor that starts an SVSM: in protected mode with flat
// segments (sev-snp-measure, vmsa.py, VMSA_SVSM). All start alike.
func (l *Launch) newSVSMVMSA(p Profile) *vmsa {
	v := new(vmsa)
	l.reset(v, p)
	for _, off := range []int{es, ss, ds, fs} {
		v.segment(off, 16, 0xc93, 0xffff_ffff, 0)
	}
	v.segment(cs, 8, 0xc9b, 0xffff_ffff, 0)
	v.segment(gs, 0, 0x93, 0xffff, 0)
	v.segment(tr, 0, 0x8b, 0xffff, 0)
	v.u64(cr0, 0x11) // ET, PE
	v.u64(rip, l.SVSM.gpa(l.Firmware)+uint64(l.SVSM.Entry))
	return v
}

// reset writes what both kinds of processor have at reset.
func (l *Launch) reset(v *vmsa, p Profile) {
	v.segment(gdtr, 0, 0, 0xffff, 0)
	v.segment(idtr, 0, 0, 0xffff, 0)
	v.segment(ldtr, 0, 0x82, 0xffff, 0)
	v.u64(efer, 0x1000) // SVME
	v.u64(cr4, 0x40)    // MCE
	v.u64(dr7, 0x400)
	v.u64(dr6, 0xffff_0ff0)
	v.u64(rflags, 2)
	v.u64(gPAT, p.GPAT)
	v.u64(rdx, p.RDX)
	if p.RDX == RDXSignature {
		v.u64(rdx, uint64(l.CPU))
	}
	v.u64(sevFeatures, l.Features)
	v.u64(xcr0, 1)
	binary.LittleEndian.PutUint32(v[mxcsr:], p.MXCSR)
	binary.LittleEndian.PutUint16(v[fcw:], p.FCW)
}

// vmsas gives the save area of the first processor, and that of every other
// one: nil if the firmware has no place for them to start.
func (l *Launch) vmsas(p Profile) (bsp, ap *vmsa) {
	if l.SVSM != nil {
		v := l.newSVSMVMSA(p)
		return v, v
	}
	if l.Firmware.ResetEIP != nil {
		ap = l.newVMSA(p, *l.Firmware.ResetEIP, 1)
	}
	return l.newVMSA(p, bspEIP, 0), ap
}

// measureVCPUs measures the save areas and gives the digest after each.
func (l *Launch) measureVCPUs(c *Chain, p Profile, vcpus int, each func(Digest)) {
	gpa := l.VMSAGPA
	if gpa == 0 {
		gpa = VMSAGPA
	}
	page, ap := l.vmsas(p)
	contents := Digest(sha512.Sum384(page[:]))
	for i := range vcpus {
		if i == 1 {
			page, contents = ap, sha512.Sum384(ap[:])
		}
		origin := ""
		if l.Trace != nil {
			origin = fmt.Sprintf("vcpu %d", i)
		}
		c.extend(PageVMSA, gpa, &contents, page[:], origin)
		each(c.LD())
	}
}
