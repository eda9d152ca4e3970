package igvm

import (
	"errors"
	"fmt"

	"safebox/measure/snp"
	"safebox/measure/tdx/tdvf"
)

// MeasureSNP computes the launch digest of SEV-SNP.
func MeasureSNP(f *File, o Options) (snp.Digest, error) {
	c := snp.Chain{Trace: o.Trace}
	l := &launch{Options: o, chain: &c}
	if err := l.run(f, SNP); err != nil {
		return snp.Digest{}, fmt.Errorf("measuring IGVM file for SEV-SNP: %w", err)
	}
	if l.vps == 0 {
		return snp.Digest{}, errors.New("measuring IGVM file for SEV-SNP: got no VP_CONTEXT, want at least one")
	}
	return c.LD(), nil
}

// MeasureTDX computes MRTD. A TD's processors start in a fixed state, so a file
// for TDX has no VP_CONTEXT.
func MeasureTDX(f *File, o Options) (tdvf.Digest, error) {
	l := &launch{Options: o, build: tdvf.NewBuild()}
	if err := l.run(f, TDX); err != nil {
		return tdvf.Digest{}, fmt.Errorf("measuring IGVM file for TDX: %w", err)
	}
	return l.build.MRTD(), nil
}

// launch goes through the directives of one platform.
type launch struct {
	Options
	chain *snp.Chain  // of SEV-SNP
	build *tdvf.Build // of TDX
	mask  uint32
	sizes map[uint32]uint64 // of parameter areas
	areas areas
	pages uint64
	vps   int
	data  bool // a PAGE_DATA was seen
}

func (l *launch) run(f *File, t PlatformType) error {
	for _, p := range f.Platforms() {
		if p.Type == t {
			l.mask = p.Mask
		}
	}
	if l.mask == 0 {
		return fmt.Errorf("got no SUPPORTED_PLATFORM %v", t)
	}
	l.sizes = make(map[uint32]uint64)
	for i, s := range f.Structures {
		if err := l.step(s, fmt.Sprintf("%v %d", s.Type, i)); err != nil {
			return fmt.Errorf("structure %d at %#x: %v: %w", i, s.Offset, s.Type, err)
		}
	}
	return l.areas.check()
}

// step carries out one structure.
func (l *launch) step(s Structure, name string) error {
	switch b := s.Body.(type) {
	case ParameterArea:
		l.sizes[b.Index] = b.Size
	case PageData:
		if b.Mask&l.mask != 0 {
			return l.pageData(b, name)
		}
	case ParameterInsert:
		if b.Mask&l.mask != 0 {
			return l.insert(b, name)
		}
	case VPContext:
		if b.Mask&l.mask != 0 {
			return l.context(b, name)
		}
	case Opaque:
		if b.Mask&l.mask != 0 && (s.Type == RelocatableRegionType || s.Type == PageTableRelocationType) {
			return errors.New("got a region that the loader may move, want fixed addresses: they are measured")
		}
	}
	return nil
}

// reserve notes that pages are taken.
func (l *launch) reserve(gpa, size uint64, name string) error {
	if l.KVM && l.vps > 0 {
		return errors.New("got it behind a VP_CONTEXT, want all pages before: KVM measures save areas last")
	}
	if l.pages += size / pageSize; l.pages > MaxPages {
		return fmt.Errorf("pages: got more than %d, want at most those", MaxPages)
	}
	l.areas = append(l.areas, filled{gpa, gpa + size, name})
	return nil
}

func (l *launch) pageData(p PageData, name string) error {
	l.data = true
	if err := l.reserve(p.GPA, p.Size(), name); err != nil {
		return err
	}
	if p.Flags&Shared != 0 && l.Shared == SharedSkipped {
		return nil
	}
	if p.Flags&Large != 0 && l.Large == LargeRefused {
		return errors.New("got a page of 2 MiB, want pages of 4 KiB")
	}
	if l.build != nil {
		return l.pageTDX(p)
	}
	l.pageSNP(p, name)
	return nil
}

// pageTDX adds the page, and measures it unless it says otherwise.
func (l *launch) pageTDX(p PageData) error {
	if p.Type != Normal {
		return fmt.Errorf("data type: got %v, want %v: TDX has no other", p.Type, Normal)
	}
	for at := uint64(0); at < p.Size(); at += pageSize {
		var data []byte
		if p.Data != nil {
			data = p.Data[at : at+pageSize]
		}
		l.build.Page(p.GPA+at, data, p.Flags&Unmeasured == 0)
	}
	return nil
}

func (l *launch) pageSNP(p PageData, name string) {
	switch {
	case p.Type == Secrets:
		l.chain.Fill(snp.PageSecrets, p.GPA, p.Size(), name)
	case p.Type == CPUID, p.Type == CPUIDXF:
		l.chain.Fill(snp.PageCPUID, p.GPA, p.Size(), name)
	case p.Flags&Unmeasured != 0:
		l.chain.Fill(snp.PageUnmeasured, p.GPA, p.Size(), name)
	case p.Data != nil:
		l.chain.Normal(p.GPA, p.Data, name)
	case l.Zero == ZeroNative:
		l.chain.Fill(snp.PageZero, p.GPA, p.Size(), name)
	default:
		l.chain.Normal(p.GPA, make([]byte, p.Size()), name)
	}
}

func (l *launch) insert(p ParameterInsert, name string) error {
	if l.KVM && l.data {
		return errors.New("got it behind PAGE_DATA, want all of it before: QEMU loads a run of pages only when the next one begins")
	}
	size := l.sizes[p.Index]
	if err := l.reserve(p.GPA, size, name); err != nil {
		return err
	}
	if l.Insert == InsertFirst {
		size = pageSize
	}
	if l.chain != nil {
		l.chain.Fill(snp.PageUnmeasured, p.GPA, size, name)
		return nil
	}
	for at := uint64(0); at < size; at += pageSize {
		l.build.Page(p.GPA+at, nil, false)
	}
	return nil
}

func (l *launch) context(v VPContext, name string) error {
	if l.build != nil {
		return errors.New("got a processor's state, want none: TDX starts them all alike")
	}
	if l.KVM {
		if err := l.checkKVM(v); err != nil {
			return err
		}
	}
	if l.vps++; l.vps > snp.MaxVCPUs {
		return fmt.Errorf("virtual processors: got more than %d, want at most those", snp.MaxVCPUs)
	}
	l.chain.VMSA(v.GPA, v.Page(), name)
	return nil
}
