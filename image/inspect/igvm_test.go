package inspect

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"testing"
)

// igvmOracle is a file that measure/igvm/testdata/oracle.py wrote, with what it
// computed.
func igvmOracle(t *testing.T, name string) (b []byte, snp map[string]string, mrtd string) {
	t.Helper()
	packed, err := os.ReadFile("../../measure/igvm/testdata/" + name + ".igvm.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../measure/igvm/testdata/oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]struct {
		SNP  map[string]string
		MRTD string
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return b, list[name].SNP, list[name].MRTD
}

func TestIGVM(t *testing.T) {
	b, snp, mrtd := igvmOracle(t, "small")
	r := describe(t, b, "IGVM")
	wants(t, r, map[string]string{
		"version":                      "1",
		"platform":                     "snp, mask 0x1, highest VTL 2",
		"platform/shared_gpa_boundary": "0x400000000000",
		"platform/launch_digest":       snp["ms"],
		"platform/launch_digest_qemu":  snp["qemu"],
		"structures":                   "25",
		"structures/2":                 "GUEST_POLICY at 0x48: 0x30000, mask 0x1",
		"structures/3":                 "type 0x80000150 at 0x60: 8 bytes",
		"structures/4":                 "PARAMETER_AREA at 0x70: index 0, 0x3000 bytes",
		"structures/7":                 "MEMORY_MAP at 0xb0: index 0, offset 0x18",
		"structures/9":                 "PARAMETER_INSERT at 0xd0: index 0 at 0x900000, mask 0x3",
		"structures/11-12":             "PAGE_DATA at 0x100: normal at 0xffc00000, flags 0x0, mask 0x3, 2 pages",
		"structures/13":                "PAGE_DATA at 0x140: normal at 0x800000, flags 0x0, mask 0x3, zeros",
		"structures/14":                "PAGE_DATA at 0x160: secrets at 0x801000, flags 0x0, mask 0x1, zeros",
		"structures/21":                "REQUIRED_MEMORY at 0x240: 0x40000 bytes at 0x100000, mask 0x3",
		"structures/22":                "ERROR_RANGE at 0x260: 16 bytes",
		"structures/24":                "VP_CONTEXT at 0x298: processor 1 at 0xfffffffff000, mask 0x1",
	})
	tdx := Report{Items: r.Items[4:]} // behind sha384, version, crc32 and SNP
	wants(t, &tdx, map[string]string{"platform": "tdx, mask 0x2, highest VTL 0", "platform/mrtd": mrtd})
	large, snp, _ := igvmOracle(t, "large")
	wants(t, describe(t, large, "IGVM"), map[string]string{
		"platform/launch_digest":             "none: measuring IGVM file for SEV-SNP: structure 4 at 0x70: PAGE_DATA: got a page of 2 MiB..",
		"platform/launch_digest_qemu":        snp["qemu"],
		"platform/launch_digest_native_zero": snp["igvmmeasure-native-zero"],
	})
}
