package compare

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"safebox/measure/eif"
)

// enclaves compares two enclave images: what is measured, in the order of the
// second one, then the rest, then the header, which nothing measures.
func enclaves(a, b []byte) *Difference {
	fileA, errA := eif.OpenOlder(bytes.NewReader(a), int64(len(a)))
	fileB, errB := eif.OpenOlder(bytes.NewReader(b), int64(len(b)))
	if errA != nil || errB != nil {
		return firstByte(a, b).refused(errA, errB)
	}
	partsA, errA := eifParts(fileA)
	partsB, errB := eifParts(fileB)
	if errA != nil || errB != nil {
		return firstByte(a, b).refused(errA, errB)
	}
	for _, step := range []func() *Difference{
		func() *Difference { return measuredParts(partsA, partsB) },
		func() *Difference { return partOrder(partsA, partsB) },
		func() *Difference { return signatures(fileA, fileB) },
		func() *Difference { return otherParts(partsA, partsB) },
		func() *Difference { return eifHeaders(&fileA.Header, &fileB.Header) },
	} {
		if d := step(); d != nil {
			return d
		}
	}
	return firstByte(a, b)
}

// eifPart is a section with its content.
type eifPart struct {
	name string // "kernel", "ramdisk 0", ..
	kind eif.Type
	data []byte
}

// measured reports whether PCR0 covers the section's content.
func (p *eifPart) measured() bool {
	return p.kind == eif.KernelSection || p.kind == eif.CommandLineSection || p.kind == eif.RamdiskSection
}

func eifParts(f *eif.File) ([]eifPart, error) {
	var parts []eifPart
	ramdisks := 0
	for i, s := range f.Sections {
		p := eifPart{name: s.Type.String(), kind: s.Type}
		if s.Type == eif.RamdiskSection {
			p.name = fmt.Sprintf("%s %d", p.name, ramdisks)
			ramdisks++
		}
		var err error
		if p.data, err = io.ReadAll(s.Data()); err != nil {
			return nil, fmt.Errorf("section %d: %w", i, err)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func part(parts []eifPart, name string) *eifPart {
	for i := range parts {
		if parts[i].name == name {
			return &parts[i]
		}
	}
	return nil
}

// measuredParts compares kernel, command line and ramdisks.
func measuredParts(a, b []eifPart) *Difference {
	for i := range b {
		if !b[i].measured() {
			continue
		}
		other := part(a, b[i].name)
		if other == nil {
			return onOneSide(count(int64(len(b[i].data))), false).in(b[i].name)
		}
		if d := contents(other.data, b[i].data, kindEIF); d != nil {
			return d.in(b[i].name)
		}
	}
	return surplusPart(a, b, true)
}

// surplusPart finds a section that only a has.
func surplusPart(a, b []eifPart, measured bool) *Difference {
	for i := range a {
		if a[i].measured() == measured && part(b, a[i].name) == nil {
			return onOneSide(count(int64(len(a[i].data))), true).in(a[i].name)
		}
	}
	return nil
}

// partOrder compares the order of what is measured: PCR0 follows it.
func partOrder(a, b []eifPart) *Difference {
	names := func(parts []eifPart) (list []string) {
		for i := range parts {
			if parts[i].measured() {
				list = append(list, parts[i].name)
			}
		}
		return list
	}
	namesA, namesB := names(a), names(b)
	for i := range min(len(namesA), len(namesB)) {
		if namesA[i] != namesB[i] {
			return &Difference{What: fmt.Sprintf("order: measured section %d", i), A: namesA[i], B: namesB[i]}
		}
	}
	return nil
}

// signatures compares who signed what; the bytes of ECDSA signatures differ
// every time.
func signatures(a, b *eif.File) *Difference {
	switch {
	case a.Signature == nil && b.Signature == nil:
		return nil
	case a.Signature == nil:
		return onOneSide(fmt.Sprintf("%q", b.Signature.Certificate.Subject), false).in("signature")
	case b.Signature == nil:
		return onOneSide(fmt.Sprintf("%q", a.Signature.Certificate.Subject), true).in("signature")
	}
	certA, certB := a.Signature.Certificate, b.Signature.Certificate
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	fields := []struct{ name, a, b string }{
		{"signed PCR0", fmt.Sprintf("%x", a.Signature.PCR0), fmt.Sprintf("%x", b.Signature.PCR0)},
		{"algorithm", a.Signature.Algorithm.String(), b.Signature.Algorithm.String()},
		{"subject", fmt.Sprintf("%q", certA.Subject), fmt.Sprintf("%q", certB.Subject)},
		{"issuer", fmt.Sprintf("%q", certA.Issuer), fmt.Sprintf("%q", certB.Issuer)},
		{"serial number", certA.SerialNumber.Text(16), certB.SerialNumber.Text(16)},
		{"not before", day(certA.NotBefore), day(certB.NotBefore)},
		{"not after", day(certA.NotAfter), day(certB.NotAfter)},
	}
	for _, f := range fields {
		if f.a != f.b {
			return fact(f.name, f.a, f.b).in("signature")
		}
	}
	if !bytes.Equal(certA.Raw, certB.Raw) {
		return firstByte(certA.Raw, certB.Raw).in("signature", "certificate")
	}
	return nil
}

// otherParts compares metadata and signature, which only one side may have.
func otherParts(a, b []eifPart) *Difference {
	for i := range b {
		other := part(a, b[i].name)
		if other == nil {
			return onOneSide(count(int64(len(b[i].data))), false).in(b[i].name)
		}
		if d := contents(other.data, b[i].data, kindEIF); d != nil {
			return d.in(b[i].name)
		}
	}
	if d := surplusPart(a, b, false); d != nil {
		return d
	}
	for i := range b { // the same sections on both sides
		if a[i].name != b[i].name {
			return &Difference{What: fmt.Sprintf("order: section %d", i), A: a[i].name, B: b[i].name}
		}
	}
	return nil
}

func eifHeaders(a, b *eif.Header) *Difference {
	fields := []struct{ name, a, b string }{
		{"version", fmt.Sprint(a.Version), fmt.Sprint(b.Version)},
		{"arch", a.Arch.String(), b.Arch.String()},
		{"default memory", fmt.Sprint(a.Memory), fmt.Sprint(b.Memory)},
		{"default CPUs", fmt.Sprint(a.CPUs), fmt.Sprint(b.CPUs)},
		{"CRC32", fmt.Sprintf("%08x", a.CRC32), fmt.Sprintf("%08x", b.CRC32)},
	}
	for _, f := range fields {
		if f.a != f.b {
			return fact(f.name, f.a, f.b).in("header")
		}
	}
	return nil
}
