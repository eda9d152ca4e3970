package compare

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// TestFirmware changes single bytes of real images at offsets that edk2's
// assembly gives from the end, as specs/measure.md lists them for this image.
func TestFirmware(t *testing.T) {
	good := shared(t, "debian-ovmf/OVMF.fd")
	set := func(b []byte, off int, v uint32) []byte {
		c := bytes.Clone(b)
		binary.LittleEndian.PutUint32(c[off:], v)
		return c
	}
	const sev, tdx = 0x3ffab8, 0x3ff640 // offsets of the metadata: 0x548 and 0x9c0 from the end
	tests := []struct {
		name string
		a    []byte
		want string
	}{
		{"equal", good, ""},
		{"reset block", set(good, 0x3fffb8, 0x80b005), "f: footer entry SEV-ES reset block: data: 05b08000, want 04b08000"},
		{"hash table", set(good, 0x3fff84, 0x810000), "f: footer entry SEV hash table: data: 0000810000000000, want 0000000000000000"},
		{"GUID", flip(good, 0x3fff90), "f: footer entry SEV hash table: none, want 0000000000000000"},
		{"SEV size", set(good, sev+16+12*2+4, 0), "f: SEV section 2: SNP_SECRETS, 0x0 bytes at 0x80d000, want SNP_SECRETS, 0x1000 bytes at 0x80d000"},
		{"SEV type", set(good, sev+16+12*5+8, 9), "f: SEV section 5: SEV section type 0x9, 0x10000 bytes at 0x810000, want SNP_SEC_MEM, 0x10000 bytes at 0x810000"},
		{
			"one SEV section less", set(set(good, sev+12, 5), sev+4, 16+12*5),
			"f: SEV section 5: none, want SNP_SEC_MEM, 0x10000 bytes at 0x810000",
		},
		{
			"not measured", set(good, tdx+16+28, 0),
			"f: TDX section 0: BFV, 0x37c000 bytes at 0xffc84000, attributes 0x0, data 0x37c000 bytes at offset 0x84000, want BFV, 0x37c000 bytes at 0xffc84000, attributes 0x1, data 0x37c000 bytes at offset 0x84000",
		},
		{"table damaged", flip(good, len(good)-49), "f: volume SECFV: file 1ba0062e-c779-4582-8566-336ae8f78f09: byte 2799: 0x01, want 0x00 (the first can't be read: parsing firmware table at ..."},
		{"variables", flip(good, 0x70), "f: volume variables: byte 112: 0xfe, want 0xff"},
		{"between files", flip(good, 0x3cc000-1), "f: volume FVMAIN_COMPACT: byte 3440639: 0xfe, want 0xff (the first can't be read: ..."},
		{"CODE only", good[0x84000:], "f: volume 0: FVMAIN_COMPACT, want variables"},
		{"VARS only", good[:0x84000], "f: volume FVMAIN_COMPACT: none, want 3440640 bytes (the first can't be read: ..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.a, good, tt.want) })
	}
}

// TestFirmwareTables compares ends of images, which hold tables and no volumes.
func TestFirmwareTables(t *testing.T) {
	x64, sev := shared(t, "sev-snp-measure/ovmf_OvmfX64_suffix.bin"), shared(t, "sev-snp-measure/ovmf_AmdSev_suffix.bin")
	check(t, sev, x64, "f: footer entry SEV launch secret: data: 00008100000c0000, want 0000000000000000")
	svsm := shared(t, "sev-snp-measure/svsm.bin")
	check(t, svsm, x64, "f: footer entry SEV-ES reset block: data: f0ffffff, want 04b08000")

	moved := bytes.Clone(x64)
	const at, size = 4096 - 0x548, 88 // SEV metadata, to be moved by 12 bytes
	copy(moved[at-12:], x64[at:at+size])
	binary.LittleEndian.PutUint32(moved[0xf6e:], 0x548+12)
	check(t, moved, x64, "f: footer entry SEV metadata: data: 54050000, want 48050000")

	code := bytes.Clone(x64)
	code[0x100] ^= 1
	check(t, code, x64, "f: byte 256: ...")
	check(t, x64[16:], x64, "f: size: 4080 bytes, want 4096 bytes")
	vector := bytes.Clone(x64)
	vector[len(vector)-1] ^= 1
	check(t, vector, x64, "f: reset vector: byte 31: ...")
}
