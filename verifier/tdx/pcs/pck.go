package pcs

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// PCK is the SGX extension of a PCK certificate: which platform it is, and which
// TCB Intel has seen on it.
type PCK struct {
	PPID          [16]byte  // platform provisioning ID: one processor package
	Components    [16]uint8 // SVNs of the SGX TCB components
	PCESVN        uint16
	CPUSVN        [16]byte
	PCEID         [2]byte
	FMSPC         [6]byte // family, model, stepping, platform type, custom SKU
	Type          SGXType
	PIID          *[16]byte      // platform instance ID; nil in certificates of the Processor CA
	Configuration *Configuration // nil in certificates of the Processor CA
}

// SGXType is how the platform protects its memory.
type SGXType uint8

// The types of the profile's table of SGX extensions.
const (
	Standard              SGXType = iota // with integrity and freshness
	Scalable                             // encryption only
	ScalableWithIntegrity                // with integrity
)

// String names the type.
func (t SGXType) String() string {
	switch t {
	case Standard:
		return "standard"
	case Scalable:
		return "scalable"
	case ScalableWithIntegrity:
		return "scalable with integrity"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Configuration is how the owner set up a platform of several packages.
type Configuration struct {
	DynamicPlatform bool // packages may be added
	CachedKeys      bool // Intel keeps the platform's root keys
	SMTEnabled      bool // simultaneous multithreading is on
}

// The tags of DER (ITU-T X.690) that the extension has.
const (
	tagBoolean    = 0x01
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagOID        = 0x06
	tagEnumerated = 0x0a
	tagSequence   = 0x30
)

// The members of the extension 1.2.840.113741.1.13.1, by the last arc of their
// OIDs (PCK certificate profile, SGX extensions).
const (
	ppidMember          = 1
	tcbMember           = 2
	pceIDMember         = 3
	fmspcMember         = 4
	typeMember          = 5
	piidMember          = 6
	configurationMember = 7
	pceSVNMember        = 17 // within tcbMember, after 16 components
	cpuSVNMember        = 18
)

// ExtensionOID is the object identifier of the SGX extension.
func ExtensionOID() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}
}

// ParseSGXExtension reads the SGX extension of a PCK certificate. Every member
// must be there once, in the profile's order, and nothing else. The caller has
// verified the certificate.
func ParseSGXExtension(cert *x509.Certificate) (*PCK, error) {
	var found []byte
	n := 0
	for _, e := range cert.Extensions {
		if e.Id.Equal(ExtensionOID()) {
			found = e.Value
			n++
		}
	}
	if n != 1 {
		return nil, fmt.Errorf("parsing PCK certificate: %d SGX extensions, want 1", n)
	}
	p, err := decodeExtension(found)
	if err != nil {
		return nil, fmt.Errorf("parsing SGX extension: %w", err)
	}
	return p, nil
}

func decodeExtension(der []byte) (*PCK, error) {
	outer := newDERReader(der)
	d := outer.value(tagSequence)
	outer.end("SGX extension")
	p := new(PCK)
	copy(p.PPID[:], d.member(ppidMember).octets(16))
	d.tcb(p)
	copy(p.PCEID[:], d.member(pceIDMember).octets(2))
	copy(p.FMSPC[:], d.member(fmspcMember).octets(6))
	p.Type = SGXType(d.member(typeMember).number(tagEnumerated, uint64(ScalableWithIntegrity)))
	if d.more() {
		p.PIID = new([16]byte)
		copy(p.PIID[:], d.member(piidMember).octets(16))
		p.Configuration = d.configuration()
	}
	d.end("SGX extension")
	if *d.err != nil {
		return nil, *d.err
	}
	if p.Components != p.CPUSVN {
		return nil, errors.New("CPUSVN is not made of the 16 component SVNs")
	}
	return p, nil
}

func (d *derReader) tcb(p *PCK) {
	m := d.member(tcbMember).value(tagSequence)
	for i := range p.Components {
		p.Components[i] = uint8(m.member(tcbMember, byte(i+1)).number(tagInteger, 255))
	}
	p.PCESVN = uint16(m.member(tcbMember, pceSVNMember).number(tagInteger, 1<<16-1))
	copy(p.CPUSVN[:], m.member(tcbMember, cpuSVNMember).octets(16))
	m.end("TCB")
}

func (d *derReader) configuration() *Configuration {
	m := d.member(configurationMember).value(tagSequence)
	c := &Configuration{
		DynamicPlatform: m.member(configurationMember, 1).boolean(),
		CachedKeys:      m.member(configurationMember, 2).boolean(),
		SMTEnabled:      m.member(configurationMember, 3).boolean(),
	}
	m.end("configuration")
	return c
}
