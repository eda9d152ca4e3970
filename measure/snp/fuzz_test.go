package snp

import (
	"encoding/binary"
	"os"
	"testing"

	"safebox/measure/ovmf"
	"safebox/measure/vectortest"
)

// debian is the unified OVMF.fd of Debian.
func debian(t testing.TB) []byte {
	t.Helper()
	return vectortest.File(t, os.DirFS("../testdata"), "debian-ovmf/OVMF.fd")
}

// encode writes sections as they are in SEV metadata.
func encode(sections []ovmf.SEVSection) (b []byte) {
	for _, s := range sections {
		b = binary.LittleEndian.AppendUint32(b, s.GPA)
		b = binary.LittleEndian.AppendUint32(b, s.Size)
		b = binary.LittleEndian.AppendUint32(b, uint32(s.Type))
	}
	return b
}

// FuzzMeasure: any table of sections is refused or measured page by page, each
// page once, in bounded time; digests with and without a trace are the same.
func FuzzMeasure(f *testing.F) {
	for _, name := range []string{"debian-ovmf/OVMF.fd", "sev-snp-measure/ovmf_AmdSev_suffix.bin", "sev-snp-measure/ovmf_OvmfX64_suffix.bin", "sev-snp-measure/svsm.bin"} {
		im := image(f, vectortest.File(f, os.DirFS("../testdata"), name))
		table := uint32(0)
		if im.HashTable != nil {
			table = im.HashTable.GPA
		}
		f.Add(encode(im.SEV), table, uint8(QEMU), uint16(2), true, false)
		f.Add(encode(im.SEV), table, uint8(EC2), uint16(1), false, true)
	}
	f.Add(encode([]ovmf.SEVSection{{GPA: 0x1000, Size: 0x3000, Type: 0x77}, {GPA: 0, Size: 0, Type: 1}}), uint32(0xf51), uint8(GCE), uint16(512), false, true)
	f.Fuzz(func(t *testing.T, sections []byte, table uint32, vmm uint8, vcpus uint16, kernel, unknown bool) {
		l := plain()
		l.Firmware.Sections = nil
		var size uint64
		for ; len(sections) >= 12; sections = sections[12:] {
			s := ovmf.SEVSection{
				GPA: binary.LittleEndian.Uint32(sections), Size: binary.LittleEndian.Uint32(sections[4:]),
				Type: ovmf.SEVType(binary.LittleEndian.Uint32(sections[8:])),
			}
			l.Firmware.Sections = append(l.Firmware.Sections, s)
			size += uint64(s.Size)
		}
		l.Firmware.HashTable.GPA, l.VMM, l.VCPUs, l.UnknownAsZero = table, VMM(vmm), int(vcpus), unknown
		if kernel {
			l.Kernel = &KernelHashes{}
		}
		want, err := Measure(l)
		if err != nil {
			return
		}
		seen := map[uint64]bool{}
		last, pages := Digest{}, uint64(0)
		l.Trace = func(p Page) {
			if last = p.LD; p.Type == PageVMSA {
				return
			}
			if pages++; seen[p.GPA] || p.GPA%pageSize != 0 || p.GPA >= 1<<32 {
				t.Errorf("page at %#x: twice or not a page below 4 GiB", p.GPA)
			}
			seen[p.GPA] = true
		}
		list, err := MeasureUpTo(l, l.VCPUs)
		if err != nil {
			t.Fatal(err)
		}
		if got := list[len(list)-1]; got != want || last != want {
			t.Errorf("got %v, traced %v, want %v", got, last, want)
		}
		if pages*pageSize != size+pageSize || size > MaxMeasured {
			t.Errorf("got %d pages, want %d", pages, size/pageSize+1)
		}
	})
}
