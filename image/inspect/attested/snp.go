package attested

import (
	"encoding/binary"
	"strconv"

	"safebox/image/inspect/tree"
	"safebox/measure/snp/idblock"
	"safebox/verifier/snp"
)

// maxVersion is the highest version by which 1184 bytes are taken for a report.
// The reader refuses those that it does not know, by their number.
const maxVersion = 15

func isSNP(b []byte) bool {
	if len(b) != snp.Size {
		return false
	}
	version := binary.LittleEndian.Uint32(b)
	return version > 0 && version <= maxVersion
}

func snpReport(b []byte) ([]tree.Item, error) {
	r, err := snp.Decode(b)
	if err != nil {
		return nil, err
	}
	items := []tree.Item{
		unverified(),
		tree.New("version", "%d", r.Version),
		tree.New("product", "%s", snpProduct(r)),
		tree.New("guest_svn", "%d", r.GuestSVN),
		guestPolicy(r.Policy),
		tree.New("family_id", "%x", r.FamilyID),
		tree.New("image_id", "%x", r.ImageID),
		tree.New("vmpl", "%s", vmpl(r.VMPL)),
		platformInfo(r.Platform),
	}
	items = append(items, snpSigner(r)...)
	items = append(items,
		tree.New("report_data", "%x", r.ReportData),
		tree.New("measurement", "%x", r.Measurement),
		tree.New("host_data", "%x", r.HostData),
		tree.New("id_key_digest", "%x", r.IDKeyDigest),
		tree.New("author_key_digest", "%x", r.AuthorKeyDigest),
		tree.New("report_id", "%x", r.ReportID),
		tree.New("report_id_ma", "%x", r.ReportIDMA),
		tree.New("chip_id", "%s", chipID(r.ChipID)),
		tcb("current_tcb", r.Current),
		tcb("committed_tcb", r.Committed),
		tcb("reported_tcb", r.Reported),
		tcb("launch_tcb", r.Launch),
		tree.New("current_firmware", "%v", r.CurrentFirmware),
		tree.New("committed_firmware", "%v", r.CommittedFirmware),
	)
	items = append(items, mitigations("launch_mitigations", r.Version, r.LaunchMitigations),
		mitigations("current_mitigations", r.Version, r.CurrentMitigations))
	return append(items, tree.Group("signature",
		tree.New("r", "%x", r.SignatureR), tree.New("s", "%x", r.SignatureS))), nil
}

// snpProduct names the processor. Version 2 does not know it.
func snpProduct(r *snp.Report) string {
	if r.CPUID == (snp.CPUID{}) {
		return "not said: version 2 does not know the processor, its TCBs are read by the layout of Milan and Genoa"
	}
	return r.CPUID.Product().String() + ", family/model/stepping " + r.CPUID.String()
}

// guestPolicy says for each bit what the guest's owner allows and demands.
func guestPolicy(p idblock.Policy) tree.Item {
	item := tree.New("policy", "%v", p)
	major, minor := p.ABI()
	item.Items = append(item.Items, tree.New("ABI", "%d.%d of the firmware ABI or later", major, minor))
	for _, b := range idblock.PolicyBits() {
		value, text := 0, b.Unset
		if p.Has(b.Mask) {
			value, text = 1, b.Set
		}
		item.Items = append(item.Items, tree.New(b.Name, "%d, %s", value, text))
	}
	return item
}

// platformInfo says for each bit how the machine is set up (AMD 56860, revision
// 1.58, section 7.3, table "PLATFORM_INFO Field"; package snp about bit 6).
func platformInfo(p snp.PlatformInfo) tree.Item {
	item := tree.New("platform_info", "%v", p)
	for _, b := range []struct {
		bit              snp.PlatformInfo
		name, set, unset string
	}{
		{snp.PlatformSMT, "SMT", "simultaneous multithreading is on", "simultaneous multithreading is off"},
		{snp.PlatformTSME, "TSME", "all memory is encrypted by default", "memory is not encrypted by default"},
		{snp.PlatformECC, "ECC", "memory corrects errors", "memory does not correct errors"},
		{snp.PlatformRAPLDisabled, "RAPL_DIS", "the host cannot measure power", "the host can measure power"},
		{snp.PlatformCiphertextHiding, "CIPHERTEXT_HIDING_DRAM", "the host cannot read ciphertext", "the host can read ciphertext"},
		{snp.PlatformAliasCheckComplete, "ALIAS_CHECK_COMPLETE", "no aliased memory was found since the last reset", "memory was not checked for aliases"},
		{snp.PlatformIOMMUSafe, "IOMMU_SAFE", "the IOMMU's writes are flushed", "not said that the IOMMU's writes are flushed"},
		{snp.PlatformTIO, "TIO", "trusted I/O is on", "trusted I/O is off"},
	} {
		value, text := 0, b.unset
		if p.Has(b.bit) {
			value, text = 1, b.set
		}
		item.Items = append(item.Items, tree.New(b.name, "%d, %s", value, text))
	}
	return item
}

// vmpl marks what the firmware writes when the host, not the guest, asked.
func vmpl(n uint32) string {
	if n == 0xffffffff {
		return "0xffffffff: the host asked for this report, not the guest"
	}
	return strconv.FormatUint(uint64(n), 10)
}

func snpSigner(r *snp.Report) []tree.Item {
	algorithm := "ECDSA P-384 with SHA-384"
	if r.SignatureAlgorithm != 1 {
		algorithm = "unknown"
	}
	author, masked := "no", "no"
	if r.Signer.AuthorKey() {
		author = "yes: an author key signed the ID key"
	}
	if r.Signer.MaskChipKey() {
		masked = "yes: the host forbids the use of the VCEK"
	}
	return []tree.Item{
		tree.New("signature_algorithm", "%d, %s", r.SignatureAlgorithm, algorithm),
		tree.New("signing_key", "%v", r.Signer.SigningKey()),
		tree.New("author_key", "%s", author),
		tree.New("mask_chip_key", "%s", masked),
	}
}

func chipID(id [64]byte) string {
	if id == [64]byte{} {
		return "zero: the machine does not say which chip it is"
	}
	return hexOf(id[:])
}

// tcb names the components and shows the eight bytes as they stand in the file.
func tcb(name string, t snp.TCB) tree.Item {
	item := tree.New(name, "%v", t)
	item.Items = []tree.Item{tree.New("raw", "%x", t.Raw)}
	return item
}

// firstWithMitigations is the first version of the report that has them.
const firstWithMitigations = 5

func mitigations(name string, version uint32, bits uint64) tree.Item {
	if version < firstWithMitigations {
		return tree.New(name, "not in version %d", version)
	}
	return tree.New(name, "%#x", bits)
}
