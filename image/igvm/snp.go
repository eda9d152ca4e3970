package igvm

import (
	"errors"
	"fmt"

	"safebox/measure/igvm"
	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
)

// FileName is the artifact's name in a release.
const FileName = "safebox.igvm"

// snpMask is the bit of the file's one platform.
const snpMask = 1

// Guest is what QEMU starts from an IGVM file with SEV-SNP.
type Guest struct {
	Launch snp.Launch // as QEMU would start it without the file; Trace is not called
	Policy idblock.Policy
	Zero   igvm.ZeroPages // what the loader makes of pages without data
	Sign   *idblock.Keys  // nil: no ID block
	Owner  idblock.Owner  // what the ID block says besides, with Sign
}

// SNP makes the file: the firmware's pages, those of its SEV metadata with the
// kernel hashes filled in, and the save area of every virtual processor, in the
// order in which QEMU measures them. It also returns the launch digest of the
// guest, which the ID block signs.
//
// With igvm.ZeroNative the digest is that of Launch. With igvm.ZeroAsNormal,
// which is what QEMU 10.1 does, it is another: that of the zero pages of the
// SEV metadata measured as normal ones.
func SNP(g Guest) ([]byte, snp.Digest, error) {
	b, digest, err := g.encode()
	if err != nil {
		return nil, snp.Digest{}, fmt.Errorf("making IGVM file for SEV-SNP: %w", err)
	}
	return b, digest, nil
}

func (g *Guest) encode() ([]byte, snp.Digest, error) {
	if err := g.Policy.Check(); err != nil {
		return nil, snp.Digest{}, fmt.Errorf("policy: %w", err)
	}
	list, err := g.structures()
	if err != nil {
		return nil, snp.Digest{}, err
	}
	b, err := Encode(list)
	if err != nil {
		return nil, snp.Digest{}, err
	}
	digest, err := g.measure(b)
	if err != nil || g.Sign == nil {
		return b, digest, err
	}
	block, err := g.idBlock(digest)
	if err != nil {
		return nil, snp.Digest{}, err
	}
	b, err = Encode(append(list, block))
	return b, digest, err
}

// measure reads back what was written: the digest is that of the file.
func (g *Guest) measure(b []byte) (snp.Digest, error) {
	f, err := igvm.Decode(b)
	if err != nil {
		return snp.Digest{}, err
	}
	return igvm.MeasureSNP(f, igvm.Options{Zero: g.Zero, KVM: true})
}

// structures are those of the file but for the ID block.
func (g *Guest) structures() ([]igvm.Structure, error) {
	if g.Launch.Firmware.Seed != nil {
		return nil, errors.New("firmware: got a hash that stands for it, want the image")
	}
	list := []igvm.Structure{
		{Type: igvm.SupportedPlatformType, Body: igvm.Platform{Mask: snpMask, Type: igvm.SNP, Version: 1}},
		{Type: igvm.GuestPolicyType, Body: igvm.GuestPolicy{Policy: uint64(g.Policy), Mask: snpMask}},
	}
	var vps uint16
	var failed error
	l := g.Launch
	l.Trace = func(p snp.Page) {
		if p.Type == snp.PageVMSA {
			list = append(list, igvm.Structure{
				Type: igvm.VPContextType,
				Body: igvm.VPContext{GPA: p.GPA, Mask: snpMask, Index: vps, VMSA: p.Data},
			})
			vps++
			return
		}
		page, err := pageData(p)
		if failed == nil {
			failed = err
		}
		list = append(list, igvm.Structure{Type: igvm.PageDataType, Body: page})
	}
	if _, err := snp.Measure(l); err != nil {
		return nil, err
	}
	return list, failed
}

// pageData is the structure that loads a page as it is measured. A page of
// firmware that holds zeros has data all the same: without, it would be another
// page to loaders of igvm.ZeroNative.
func pageData(p snp.Page) (igvm.PageData, error) {
	d := igvm.PageData{GPA: p.GPA, Mask: snpMask}
	switch p.Type {
	case snp.PageNormal:
		d.Data = p.Data
	case snp.PageZero:
	case snp.PageUnmeasured:
		d.Flags = igvm.Unmeasured
	case snp.PageSecrets:
		d.Type = igvm.Secrets
	case snp.PageCPUID:
		d.Type = igvm.CPUID
	default:
		return d, fmt.Errorf("page at %#x: type %v has no place in an IGVM file", p.GPA, p.Type)
	}
	return d, nil
}

// idBlock signs the digest.
func (g *Guest) idBlock(digest snp.Digest) (igvm.Structure, error) {
	set, err := idblock.Make(g.Owner.Block(digest, g.Policy), *g.Sign)
	if err != nil {
		return igvm.Structure{}, err
	}
	return igvm.Structure{Type: igvm.SNPIDBlockType, Body: igvm.SNPIDBlock{
		Mask: snpMask, LaunchDigest: digest, FamilyID: g.Owner.FamilyID, ImageID: g.Owner.ImageID,
		GuestSVN: g.Owner.GuestSVN, Auth: *set.Auth,
	}}, nil
}
