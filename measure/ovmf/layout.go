package ovmf

import (
	"fmt"
	"slices"
)

// CheckUnified wants an image from which a guest can be launched: whole pages,
// everything in it that TDX metadata names, at the address that the image is
// mapped to, and no memory set aside within the image. OVMF_CODE.fd alone does
// not pass, because its metadata counts from the start of OVMF_VARS.fd, which
// lies before it in the unified OVMF.fd.
func (im *Image) CheckUnified() error {
	if len(im.Bytes)%pageSize != 0 {
		return fmt.Errorf("checking firmware: size: got %#x, want a multiple of %#x", len(im.Bytes), pageSize)
	}
	for i, s := range im.SEV {
		if r := (memory{uint64(s.GPA), uint64(s.Size)}); r.overlaps(memory{im.GPA(), uint64(len(im.Bytes))}) {
			return fmt.Errorf("checking firmware: SEV section %d: %v: got %#x to %#x, want no overlap with the image at %#x to %#x",
				i, s.Type, r.gpa, r.end(), im.GPA(), uint64(fourGiB))
		}
	}
	if im.TDX == nil {
		return nil
	}
	count := make(map[TDXType]int)
	for i, s := range im.TDX {
		if err := im.checkRaw(s); err != nil {
			return fmt.Errorf("checking firmware: TDX section %d: %v: %w", i, s.Type, err)
		}
		count[s.Type]++
	}
	if count[BFV] == 0 {
		return fmt.Errorf("checking firmware: TDX metadata at %#x: BFV sections: got 0, want 1 or more", im.TDXOffset)
	}
	if count[TDHOB] != 1 {
		return fmt.Errorf("checking firmware: TDX metadata at %#x: TD_HOB sections: got %d, want 1", im.TDXOffset, count[TDHOB])
	}
	return nil
}

// checkRaw wants a section's raw data in the image. The volumes must also lie
// where the image is mapped: another address means that something is missing
// from the image, or that something is before it.
func (im *Image) checkRaw(s TDXSection) error {
	const hint = "a part of the image, such as OVMF_CODE.fd? want the unified image (VARS and CODE in one file, OVMF.fd)"
	if end := uint64(s.Offset) + uint64(s.RawSize); end > uint64(len(im.Bytes)) {
		return fmt.Errorf("raw data: got %#x to %#x, want its end at most %#x, the size of the file: %s", s.Offset, end, len(im.Bytes), hint)
	}
	if s.Type != BFV && s.Type != CFV {
		return nil
	}
	if s.RawSize == 0 {
		return fmt.Errorf("raw data size: got 0, want 1 or more")
	}
	if want := im.GPA() + uint64(s.Offset); s.GPA != want {
		return fmt.Errorf("address: got %#x, want %#x, where offset %#x of the file is mapped: %s", s.GPA, want, s.Offset, hint)
	}
	return nil
}

// Layout names the build that an image has the tables of: "AmdSev",
// "OvmfPkgX64" and "IntelTdx" are the platforms of edk2's OvmfPkg, "SVSM" is
// an SVSM in front of one, "td-shim" has a payload of its own. It is
// "unknown" for all others. It describes and vouches for nothing.
func (im *Image) Layout() string {
	switch {
	case im.SVSMEntry != nil:
		return "SVSM"
	case slices.ContainsFunc(im.TDX, func(s TDXSection) bool { return s.Type == Payload }):
		return "td-shim"
	case im.HashTable != nil && im.hasSEV(KernelHashes):
		return "AmdSev"
	case im.HashTable != nil || im.hasSEV(KernelHashes) || !im.isX64():
		return "unknown"
	case im.hasSEV(SVSMCAA):
		return "OvmfPkgX64"
	}
	return "IntelTdx"
}

// hasSEV reports whether there is a page of a type.
func (im *Image) hasSEV(t SEVType) bool {
	return slices.ContainsFunc(im.SEV, func(s SEVSection) bool { return s.Type == t && s.Size > 0 })
}

// isX64 reports whether the metadata has the sections that OvmfPkgX64 and
// IntelTdxX64 share (edk2 OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm and
// IntelTdxMetadata.asm). IntelTdxX64 leaves the calling area of an SVSM empty.
func (im *Image) isX64() bool {
	var sev []SEVType
	for _, s := range im.SEV {
		sev = append(sev, s.Type)
	}
	var tdx []TDXType
	for _, s := range im.TDX {
		tdx = append(tdx, s.Type)
	}
	return slices.Equal(sev, []SEVType{SecMem, SecMem, Secrets, CPUID, SVSMCAA, SecMem}) &&
		slices.Equal(tdx, []TDXType{BFV, CFV, TempMem, TempMem, TDHOB, TempMem})
}
