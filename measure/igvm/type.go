package igvm

import "fmt"

// Type is the type of a structure in the variable headers.
type Type uint32

// Optional marks the types that a loader may pass over when it doesn't know
// them.
const Optional Type = 1 << 31

// The types that this package knows (igvm_defs, IgvmVariableHeaderType).
const (
	SupportedPlatformType   Type = 0x001
	GuestPolicyType         Type = 0x101
	RelocatableRegionType   Type = 0x102
	PageTableRelocationType Type = 0x103
	ParameterAreaType       Type = 0x301
	PageDataType            Type = 0x302
	ParameterInsertType     Type = 0x303
	VPContextType           Type = 0x304
	RequiredMemoryType      Type = 0x305
	VPCountType             Type = 0x307
	SRATType                Type = 0x308
	MADTType                Type = 0x309
	MMIORangesType          Type = 0x30a
	SNPIDBlockType          Type = 0x30b
	MemoryMapType           Type = 0x30c
	ErrorRangeType          Type = 0x30d
	CommandLineType         Type = 0x30e
	SLITType                Type = 0x30f
	PPTTType                Type = 0x310
	VBSMeasurementType      Type = 0x311
	DeviceTreeType          Type = 0x312
	EnvironmentInfoType     Type = 0x313
)

// describe gives a type's name and the length of its body; false for types that
// are not known, among them those of CoRIM documents (0x104, 0x105, 0x314),
// whose layout was not to be had.
func (t Type) describe() (name string, length int, ok bool) {
	switch t {
	case SupportedPlatformType:
		return "SUPPORTED_PLATFORM", platformSize, true
	case GuestPolicyType:
		return "GUEST_POLICY", policySize, true
	case RelocatableRegionType:
		return "RELOCATABLE_REGION", relocatableSize, true
	case PageTableRelocationType:
		return "PAGE_TABLE_RELOCATION", pageTableSize, true
	case ParameterAreaType:
		return "PARAMETER_AREA", areaSize, true
	case PageDataType:
		return "PAGE_DATA", pageDataSize, true
	case ParameterInsertType:
		return "PARAMETER_INSERT", insertSize, true
	case VPContextType:
		return "VP_CONTEXT", contextSize, true
	case RequiredMemoryType:
		return "REQUIRED_MEMORY", requiredSize, true
	case SNPIDBlockType:
		return "SNP_ID_BLOCK", idBlockSize, true
	case ErrorRangeType:
		return "ERROR_RANGE", errorRangeSize, true
	case VBSMeasurementType:
		return "VBS_MEASUREMENT", vbsSize, true
	}
	if name, ok := t.parameter(); ok {
		return name, parameterSize, true
	}
	return "", 0, false
}

// parameter names the types that fill a part of a parameter area
// (IGVM_VHS_PARAMETER).
func (t Type) parameter() (name string, ok bool) {
	switch t {
	case VPCountType:
		return "VP_COUNT_PARAMETER", true
	case SRATType:
		return "SRAT", true
	case MADTType:
		return "MADT", true
	case MMIORangesType:
		return "MMIO_RANGES", true
	case MemoryMapType:
		return "MEMORY_MAP", true
	case CommandLineType:
		return "COMMAND_LINE", true
	case SLITType:
		return "SLIT", true
	case PPTTType:
		return "PPTT", true
	case DeviceTreeType:
		return "DEVICE_TREE", true
	case EnvironmentInfoType:
		return "ENVIRONMENT_INFO_PARAMETER", true
	}
	return "", false
}

// String is the name of igvm_defs without its prefix, or the number.
func (t Type) String() string {
	if name, _, ok := t.describe(); ok {
		return name
	}
	return fmt.Sprintf("type %#x", uint32(t))
}

// section is where in the variable headers a type may stand.
type section int

// The sections, in the order of a file (igvm_defs, IGVM_VHT_RANGE_PLATFORM and
// the two after it).
const (
	platformSection section = iota
	initializationSection
	directiveSection
)

func (t Type) section() (section, error) {
	switch n := t &^ Optional; {
	case n >= 0x001 && n <= 0x100:
		return platformSection, nil
	case n >= 0x101 && n <= 0x200:
		return initializationSection, nil
	case n >= 0x301 && n <= 0x400:
		return directiveSection, nil
	}
	return 0, fmt.Errorf("type: got %#x, want one of 0x1 to 0x100 (platform), 0x101 to 0x200 (initialization) or 0x301 to 0x400 (directive)", uint32(t))
}
