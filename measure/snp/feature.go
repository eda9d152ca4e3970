package snp

// Bits of SEV_FEATURES (AMD 24593, table B-4 and section 15.36) with a part in
// checks and searches.
const (
	SNPActive uint64 = 1 << 0 // the guest is SEV-SNP
	DebugSwap uint64 = 1 << 5 // some Linux 6.x hosts set it unasked
)

// DefaultFeatures is what a monitor asks for unless told otherwise.
const DefaultFeatures = SNPActive

// Feature names a bit of SEV_FEATURES.
type Feature struct {
	Bit  uint8
	Name string
}

// Features lists the bits with a name. Others are measured as they are given.
func Features() []Feature {
	return []Feature{
		{0, "SNPActive"},
		{1, "vTOM"},
		{2, "ReflectVC"},
		{3, "RestrictedInjection"},
		{4, "AlternateInjection"},
		{5, "DebugSwap"},
		{6, "PreventHostIBS"},
		{7, "BTBIsolation"},
		{8, "VmplSSS"},
		{9, "SecureTSC"},
		{10, "VmgexitParameter"},
		{12, "IbsVirt"},
		{14, "VmsaRegProt"},
		{15, "SmtProt"},
	}
}
