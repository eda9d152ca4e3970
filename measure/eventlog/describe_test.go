package eventlog

import "testing"

// TestDescribe compares with what a separate Python dump of the log shows.
func TestDescribe(t *testing.T) {
	want := map[int]string{
		0:  `EV_S_CRTM_VERSION "2025.02-8+deb13u1"`,
		2:  `EV_EFI_PLATFORM_FIRMWARE_BLOB base 0x900000 size 0xe80000`,
		3:  `EV_EFI_VARIABLE_DRIVER_CONFIG "SecureBoot"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 0 bytes`,
		6:  `EV_EFI_VARIABLE_DRIVER_CONFIG "db"-d719b2cb-3d3a-4596-a3bc-dad00e67656f: 0 bytes`,
		8:  `EV_SEPARATOR 00000000`,
		9:  `EV_PLATFORM_CONFIG_FLAGS "ACPI DATA"`,
		13: `EV_EFI_VARIABLE_BOOT "BootOrder"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 6 bytes`,
		17: `EV_EFI_ACTION "Calling EFI Application from Boot Option"`,
		25: `EV_EFI_GPT_EVENT disk 5afeb0c5-0000-4000-8000-000000000001, 1 partitions`,
		27: `EV_IPL ".linux"`,
		37: `EV_EFI_BOOT_SERVICES_APPLICATION image of 11708352 bytes, device path 04031400f8d1c555cd04b5468a20e56cbb3052d07fff0400`,
		38: `EV_EVENT_TAG tag 0x8f3b22ed "LOADED_IMAGE::LoadOptions"`,
		39: `EV_EVENT_TAG tag 0x8f3b22ec "Linux initrd"`,
	}
	l := readLog(t, "uefi/esp/evlog.bin")
	for i, w := range want {
		e := &l.Events[i]
		got := e.Type.String() + " " + e.Describe()
		if got != w {
			t.Errorf("event %d:\n got %s\nwant %s", i, got, w)
		}
	}
}

func TestTypeNames(t *testing.T) {
	want := map[Type]string{ // PFP 10.4.1
		0x02:       "event type 0x00000002",
		0x13:       "EV_POST_CODE2",
		0x14:       "event type 0x00000014",
		0x80000000: "event type 0x80000000",
		0x8000000d: "EV_EFI_GPT_EVENT2",
		0x8000000f: "event type 0x8000000f",
		0x80000010: "EV_EFI_HCRTM_EVENT",
		0x800000e0: "EV_EFI_VARIABLE_AUTHORITY",
		0x800000e4: "EV_EFI_SPDM_DEVICE_AUTHORITY",
		0x800000e5: "event type 0x800000e5",
		0xffffffff: "event type 0xffffffff",
	}
	for typ, w := range want {
		if got := typ.String(); got != w {
			t.Errorf("%#x: got %q, want %q", uint32(typ), got, w)
		}
	}
}
