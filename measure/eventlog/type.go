package eventlog

import "fmt"

// Type is the type of an event (PFP 10.4.1, table of event types).
type Type uint32

// The event types of PFP 10.4.1.
const (
	PrebootCert         Type = 0x00000000
	PostCode            Type = 0x00000001
	NoAction            Type = 0x00000003
	Separator           Type = 0x00000004
	Action              Type = 0x00000005
	EventTag            Type = 0x00000006
	SCRTMContents       Type = 0x00000007
	SCRTMVersion        Type = 0x00000008
	CPUMicrocode        Type = 0x00000009
	PlatformConfigFlags Type = 0x0000000a
	TableOfDevices      Type = 0x0000000b
	CompactHash         Type = 0x0000000c
	IPL                 Type = 0x0000000d
	IPLPartitionData    Type = 0x0000000e
	NonhostCode         Type = 0x0000000f
	NonhostConfig       Type = 0x00000010
	NonhostInfo         Type = 0x00000011
	OmitBootDeviceEvent Type = 0x00000012
	PostCode2           Type = 0x00000013

	EFIVariableDriverConfig    Type = 0x80000001
	EFIVariableBoot            Type = 0x80000002
	EFIBootServicesApplication Type = 0x80000003
	EFIBootServicesDriver      Type = 0x80000004
	EFIRuntimeServicesDriver   Type = 0x80000005
	EFIGPTEvent                Type = 0x80000006
	EFIAction                  Type = 0x80000007
	EFIPlatformFirmwareBlob    Type = 0x80000008
	EFIHandoffTables           Type = 0x80000009
	EFIPlatformFirmwareBlob2   Type = 0x8000000a
	EFIHandoffTables2          Type = 0x8000000b
	EFIVariableBoot2           Type = 0x8000000c
	EFIGPTEvent2               Type = 0x8000000d
	EFIHCRTMEvent              Type = 0x80000010
	EFIVariableAuthority       Type = 0x800000e0
	EFISPDMFirmwareBlob        Type = 0x800000e1
	EFISPDMFirmwareConfig      Type = 0x800000e2
	EFISPDMDevicePolicy        Type = 0x800000e3
	EFISPDMDeviceAuthority     Type = 0x800000e4
)

// String returns the name of PFP 10.4.1.
func (t Type) String() string {
	if t&0x80000000 != 0 {
		return efiName(t)
	}
	names := [...]string{
		"EV_PREBOOT_CERT", "EV_POST_CODE", "", "EV_NO_ACTION",
		"EV_SEPARATOR", "EV_ACTION", "EV_EVENT_TAG", "EV_S_CRTM_CONTENTS",
		"EV_S_CRTM_VERSION", "EV_CPU_MICROCODE", "EV_PLATFORM_CONFIG_FLAGS", "EV_TABLE_OF_DEVICES",
		"EV_COMPACT_HASH", "EV_IPL", "EV_IPL_PARTITION_DATA", "EV_NONHOST_CODE",
		"EV_NONHOST_CONFIG", "EV_NONHOST_INFO", "EV_OMIT_BOOT_DEVICE_EVENTS", "EV_POST_CODE2",
	}
	if int64(t) < int64(len(names)) && names[t] != "" {
		return names[t]
	}
	return unknownName(t)
}

func efiName(t Type) string {
	low := [...]string{
		1: "VARIABLE_DRIVER_CONFIG", "VARIABLE_BOOT", "BOOT_SERVICES_APPLICATION", "BOOT_SERVICES_DRIVER",
		"RUNTIME_SERVICES_DRIVER", "GPT_EVENT", "ACTION", "PLATFORM_FIRMWARE_BLOB", "HANDOFF_TABLES",
		"PLATFORM_FIRMWARE_BLOB2", "HANDOFF_TABLES2", "VARIABLE_BOOT2", "GPT_EVENT2", 16: "HCRTM_EVENT",
	}
	high := [...]string{
		"VARIABLE_AUTHORITY", "SPDM_FIRMWARE_BLOB", "SPDM_FIRMWARE_CONFIG", "SPDM_DEVICE_POLICY",
		"SPDM_DEVICE_AUTHORITY",
	}
	name := ""
	if n := t &^ 0x80000000; int64(n) < int64(len(low)) {
		name = low[n]
	} else if n := int64(n) - 0xe0; n >= 0 && n < int64(len(high)) {
		name = high[n]
	}
	if name == "" {
		return unknownName(t)
	}
	return "EV_EFI_" + name
}

func unknownName(t Type) string { return fmt.Sprintf("event type %#08x", uint32(t)) }
