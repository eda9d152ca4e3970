package pcstest

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
)

// PCKExtension is what the SGX extension of a PCK certificate says. Start with
// NewPCKExtension.
type PCKExtension struct {
	PPID        []byte
	Components  []int64 // 16 SVNs
	PCESVN      int64
	CPUSVN      []byte
	PCEID       []byte
	FMSPC       []byte
	Type        asn1.Enumerated
	Processor   bool // of the Processor CA: without the two members that follow
	PIID        []byte
	Dynamic     bool
	CachedKeys  bool
	SMT         bool
	TCBMore     []asn1.RawValue // members after those of the TCB
	More        []asn1.RawValue // members after those of the extension
	LeaveOut    int             // this member (its last arc) is left out; 0: none
	LeaveOutTCB int             // so of the TCB

	// Rewrite, if there is one, changes the encoding of each member, which arcs
	// name; what surrounds it gets the lengths that fit.
	Rewrite func(member []byte, arcs ...int) []byte
}

// NewPCKExtension makes the extension of a platform that is at the best level of
// NewTCBInfo.
func NewPCKExtension() *PCKExtension {
	return &PCKExtension{
		PPID:       []byte("test platform ID"),
		Components: []int64{3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0},
		PCESVN:     13,
		CPUSVN:     []byte{3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0},
		PCEID:      []byte{0, 0},
		FMSPC:      []byte{0x90, 0xc0, 0x6f, 0, 0, 0},
		Type:       1,
		PIID:       []byte("test instance ID"),
	}
}

// SetComponent sets a TCB component, from 0, and the byte of CPUSVN that says the same.
func (p *PCKExtension) SetComponent(i int, svn uint8) {
	p.Components[i] = int64(svn)
	p.CPUSVN[i] = svn
}

// OID gives the object identifier of a member, or without arcs the extension's.
func OID(arcs ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}, arcs...)
}

// Member makes a member of the extension: an OID and a value.
func Member(t testing.TB, value any, arcs ...int) asn1.RawValue {
	t.Helper()
	return sequence(t, marshal(t, OID(arcs...)), marshal(t, value))
}

func (p *PCKExtension) member(t testing.TB, value any, arcs ...int) asn1.RawValue {
	t.Helper()
	m := Member(t, value, arcs...)
	if p.Rewrite != nil {
		m.FullBytes = p.Rewrite(m.FullBytes, arcs...)
	}
	return m
}

// DER writes the extension's value.
func (p *PCKExtension) DER(t testing.TB) []byte {
	t.Helper()
	all := []asn1.RawValue{
		p.member(t, p.PPID, 1), p.tcb(t), p.member(t, p.PCEID, 3), p.member(t, p.FMSPC, 4), p.member(t, p.Type, 5),
	}
	if !p.Processor {
		flags := sequence(t, p.member(t, p.Dynamic, 7, 1), p.member(t, p.CachedKeys, 7, 2), p.member(t, p.SMT, 7, 3))
		all = append(all, p.member(t, p.PIID, 6), p.member(t, flags, 7))
	}
	if p.LeaveOut > 0 {
		all = append(all[:p.LeaveOut-1], all[p.LeaveOut:]...)
	}
	return sequence(t, append(all, p.More...)...).FullBytes
}

func (p *PCKExtension) tcb(t testing.TB) asn1.RawValue {
	t.Helper()
	var all []asn1.RawValue
	for i, svn := range p.Components {
		all = append(all, p.member(t, big.NewInt(svn), 2, i+1))
	}
	all = append(all, p.member(t, big.NewInt(p.PCESVN), 2, 17), p.member(t, p.CPUSVN, 2, 18))
	if p.LeaveOutTCB > 0 {
		all = append(all[:p.LeaveOutTCB-1], all[p.LeaveOutTCB:]...)
	}
	return p.member(t, sequence(t, append(all, p.TCBMore...)...), 2)
}

// Extension gives it as an extension for x509.CreateCertificate.
func (p *PCKExtension) Extension(t testing.TB) pkix.Extension {
	t.Helper()
	return pkix.Extension{Id: OID(), Value: p.DER(t)}
}

func marshal(t testing.TB, value any) asn1.RawValue {
	t.Helper()
	b, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: b}
}

func sequence(t testing.TB, members ...asn1.RawValue) asn1.RawValue {
	t.Helper()
	var body []byte
	for _, m := range members {
		body = append(body, m.FullBytes...)
	}
	b, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: body})
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: b}
}
