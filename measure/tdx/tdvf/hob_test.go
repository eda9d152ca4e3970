package tdvf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eventlog"
	"safebox/measure/ovmf"
	"safebox/measure/vectortest"
)

// Sections that edk2's OvmfPkgX64 and IntelTdx of 2022 to 2026 have in common
// (OvmfPkg/ResetVector/X64/OvmfMetadata.asm and IntelTdxMetadata.asm). It is
// what a firmware that is known by its log only must have had: another HOB
// would not have the digest that the log holds.
func oldMemory() []ovmf.TDXSection {
	return []ovmf.TDXSection{
		{GPA: 0x810000, MemSize: 0x10000, Type: ovmf.TempMem},
		{GPA: 0x80b000, MemSize: 0x2000, Type: ovmf.TempMem},
		{GPA: 0x809000, MemSize: 0x2000, Type: ovmf.TDHOB},
		{GPA: 0x800000, MemSize: 0x6000, Type: ovmf.TempMem},
	}
}

// TestRealLogs rebuilds HOBs of TDs of which only the log is known. The sizes
// of flash and of its configuration volume are in the log's second event;
// machine and memory size were found by trying all.
func TestRealLogs(t *testing.T) {
	for _, c := range []struct {
		log   string
		build func() ([]byte, error)
	}{
		// A TD of Google Compute Engine with Container-Optimized OS 113, which
		// does not know unaccepted memory.
		{"cos-113-intel-tdx.bin", func() ([]byte, error) {
			return GCEHOB(image(t, 0x200000, 0x20000, oldMemory()), GCEMachines()[0], EarlyAcceptAll)
		}},
		// A TD of QEMU with 8 GiB: RAM below and above 4 GiB.
		{"CCEL_unpadded.data.bin", func() ([]byte, error) {
			return TDHOB(image(t, 0x400000, 0x84000, oldMemory()), 8*gib)
		}},
	} {
		l, err := eventlog.DecodeCCEL(vectortest.File(t, os.DirFS("../../testdata"), "go-eventlog/"+c.log))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.build()
		if err != nil {
			t.Fatal(err)
		}
		if want := Digest(l.Events[0].Digests[0].Value).String(); sha384(got) != want {
			t.Errorf("%s: got %s, want %s", c.log, sha384(got), want)
		}
	}
}

// TestEncodeGCE compares with bytes of gce-tcb-verifier's TestGetTDHOBList
// (ovmf/tdx_data_test.go, commit of 2025).
func TestEncodeGCE(t *testing.T) {
	private := []Range{{0x100, 0x1000}}
	rest := []Range{{0xff000000, 0x1000}, {0x400000000, 0x400000000}}
	const (
		zero8 = "0000000000000000"
		zero  = zero8 + zero8
		head  = "0100380000000000" + "0900000000000000" + zero + zero
		added = "0300300000000000" + zero + "00000000" + "07000000" + "0001000000000000" + "0010000000000000"
		low   = "0300300000000000" + zero + "07000000" + "07000010" + "000000ff00000000" + "0010000000000000"
		end   = "ffff080000000000"
	)
	high := func(attributes string) string {
		return "0300300000000000" + zero + "07000000" + attributes + "0000000004000000" + "0000000004000000"
	}
	// "Ends at or below 4 GiB" (specs/measure.md 4.2).
	const last = "0300300000000000" + zero + "07000000" + "07000010" + "000000ff00000000" + "0000000100000000"
	for _, c := range []struct {
		name          string
		private, rest []Range
		early         EarlyAccept
		want          string
	}{
		{"up to 4 GiB", nil, []Range{{0xff000000, 0x1000000}}, EarlyAcceptLow, head + "7800000000000000" + last + end},
		{"basic", nil, nil, EarlyAcceptLow, head + "4800000000000000" + end},
		{"early accept", private, rest, EarlyAcceptAll, head + "d800000000000000" + added + low + high("07000010") + end},
		{"no early accept", private, rest, EarlyAcceptLow, head + "d800000000000000" + added + low + high("07000000") + end},
	} {
		got := hex.EncodeToString(appendEnd(encodeGCE(0x10, c.private, c.rest, c.early)))
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestBanks has the machines of specs/measure.md 4.2, which are those of
// gce-tcb-verifier: RAM in GiB above 4 GiB, node by node, the 3 GiB below it
// taken off the first.
func TestBanks(t *testing.T) {
	want := map[string][]uint64{
		"c3-standard-4":   {13},
		"c3-standard-8":   {29},
		"c3-standard-22":  {85},
		"c3-standard-44":  {173},
		"c3-standard-88":  {173, 176},
		"c3-standard-176": {173, 176, 176, 176},
	}
	for _, m := range GCEMachines() {
		got, err := m.Banks()
		if err != nil {
			t.Fatal(err)
		}
		banks := []Range{{0, 0xc0000000}, {0xffe00000, 0x200000}}
		start := uint64(0x100000000)
		for _, size := range want[m.Name] {
			banks = append(banks, Range{start, size << 30})
			start += size << 30
		}
		if diff := cmp.Diff(banks, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", m.Name, diff)
		}
		delete(want, m.Name)
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
}

// TestGCERoom fills a TD_HOB section of one page, which has room for
// (4096 - 56 - 8) / 48 = 84 descriptors. On this machine there are 6 without
// temporary memory, 3 of sections and 3 of RAM, and 2 more for each section of
// it: its own and that of the RAM above it.
func TestGCERoom(t *testing.T) {
	for count, fits := range map[int]bool{39: true, 40: false} {
		memory := []ovmf.TDXSection{{MemSize: pageSize, Type: ovmf.TDHOB}}
		for i := range count {
			memory = append(memory, ovmf.TDXSection{GPA: 0x2000 + 0x2000*uint64(i), MemSize: pageSize, Type: ovmf.TempMem})
		}
		b, err := GCEHOB(image(t, 0x2000, 0x1000, memory), GCEMachines()[0], EarlyAcceptLow)
		if size := 56 + 48*(6+2*count); fits && (err != nil || len(b) != size) {
			t.Errorf("%d sections: got %d bytes, %v, want %d", count, len(b), err, size)
		} else if !fits && (err == nil || !strings.Contains(err.Error(), "GCE HOB: got ")) {
			t.Errorf("%d sections: got %d bytes, %v", count, len(b), err)
		}
	}
}

// TestUnaccepted has the cases of gce-tcb-verifier's TestUnacceptedMemRanges
// that have no empty ranges, which readSections refuses.
func TestUnaccepted(t *testing.T) {
	private := []Range{{0x3fffff000, 0x2000}, {0x1800000000, 0x1000}, {0, 700}}
	ram := []Range{{0x800000000, 0x1000000000}, {0x400000000, 0x400000000}}
	want := []Range{{0x400001000, 0x3fffff000}, {0x800000000, 0x1000000000}}
	if diff := cmp.Diff(want, unaccepted(ram, private)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHOBRefuses(t *testing.T) {
	const hob = 0x809000
	accepted := Range{hob, 0x2000}
	ram := []Range{{0, 64 << 20}}
	var many []Range
	for i := range uint64(100) {
		many = append(many, Range{0x900000 + i*2*pageSize, pageSize})
	}
	for _, c := range []struct {
		name          string
		ram, accepted []Range
		want          string
	}{
		{"no RAM", nil, []Range{accepted}, "TD HOB: RAM: got no range, want at least one"},
		{"nothing accepted", ram, nil, "TD HOB: accepted memory: got no range, want at least one"},
		{"overlap", ram, []Range{accepted, {hob + 0x1000, 0x1000}}, "TD HOB: accepted memory: 0x80a000..0x80b000 overlaps 0x809000..0x80b000"},
		{"RAM overlaps", []Range{{0x1000, 64 << 20}, {0, 0x2000}}, []Range{accepted}, "TD HOB: RAM: 0x1000..0x4001000 overlaps 0x0..0x2000"},
		{"outside", ram, []Range{accepted, {64 << 20, 0x1000}}, "TD HOB: accepted memory 0x4000000..0x4001000: want it inside one of the RAM ranges [0x0..0x4000000]"},
		{"across two", []Range{{0, hob + 0x1000}, {hob + 0x1000, 0x10000}}, []Range{accepted}, "want it inside one of the RAM ranges"},
		{"part of a page", ram, []Range{{hob, 0x2001}}, "TD HOB: accepted memory: got 0x2001 bytes at 0x809000, want whole pages of 4096 bytes"},
		{"empty", ram, []Range{{hob, 0}}, "TD HOB: accepted memory: got 0x0 bytes at 0x809000, want whole pages"},
		{"wraps", []Range{{1<<64 - pageSize, 2 * pageSize}}, []Range{accepted}, "want an end at or below 0x10000000000000"},
		{"no HOB", ram, []Range{{0x80b000, 0x2000}}, "TD HOB: no accepted range starts at its address 0x809000"},
		{"too long", ram, append(many, accepted), "TD HOB: 203 ranges: got 9808 bytes, want at most 8192"},
	} {
		_, err := HOB(c.ram, hob, c.accepted)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestTDHOBRefuses(t *testing.T) {
	with := func(s ...ovmf.TDXSection) *ovmf.Image {
		return image(t, 0x2000, 0x1000, append(oldMemory(), s...))
	}
	for _, c := range []struct {
		name   string
		im     *ovmf.Image
		memory uint64
		want   string
	}{
		{"no memory", with(), 0, "memory: got 0 bytes, want a multiple of 8192"},
		{"rounded by QEMU", with(), 1<<30 + 4096, "memory: got 1073745920 bytes, want a multiple of 8192: QEMU rounds other sizes"},
		{"too large", with(), 1 << 52, "memory: got 0x10000000000000 bytes, want at most"},
		{"too small", with(), 8 << 20, "memory below 4 GiB: got 0x800000 bytes, want at least 0x820000: TDX metadata section 2 (TEMP_MEM, 0x10000 bytes at 0x810000) lies there"},
		{"above RAM", with(ovmf.TDXSection{GPA: q35BelowLarge, MemSize: pageSize, Type: ovmf.TempMem}), 8 * gib, "memory below 4 GiB: got 0x80000000 bytes, want at least 0x80001000"},
		{"td-shim", with(ovmf.TDXSection{GPA: 0x900000, MemSize: pageSize, Type: ovmf.PermMem, Attributes: ovmf.PageAug}), gib, "QEMU refuses this type"},
		{"later", with(ovmf.TDXSection{GPA: 0x900000, MemSize: pageSize, Type: ovmf.TempMem, Attributes: ovmf.PageAug}), gib, "attributes: got PAGE_AUG, which QEMU does not know"},
	} {
		_, err := TDHOB(c.im, c.memory)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestGCERefuses(t *testing.T) {
	if _, err := ParseGCEMachine("c3-standard-5"); err == nil || !strings.Contains(err.Error(), `got "c3-standard-5", want one of c3-standard-4,`) {
		t.Errorf("got %v", err)
	}
	for _, m := range []GCEMachine{{"small", 3 * gib, 1}, {"no node", 16 * gib, 0}, {"large", 177 * gib, 1}, {"idle node", 173 * gib, 2}, {"wraps", 1 << 63, 1 << 40}} {
		if banks, err := m.Banks(); err == nil || !strings.Contains(err.Error(), "GCE machine "+m.Name) {
			t.Errorf("%s: got %v, %v", m.Name, banks, err)
		}
	}
	im := image(t, 0x2000, 0x1000, oldMemory())
	if _, err := GCEHOB(im, GCEMachine{"small", gib, 1}, EarlyAcceptLow); err == nil {
		t.Error("small machine: got no error")
	}
	if _, err := GCEHOB(im, GCEMachines()[0], EarlyAcceptAll+1); err == nil || !strings.Contains(err.Error(), "early accept: got 2") {
		t.Errorf("unknown mode: got %v", err)
	}
}

// FuzzHOB reads back what was written: the descriptors must be RAM without a
// gap, and the accepted ones the accepted ranges.
func FuzzHOB(f *testing.F) {
	f.Add(uint64(2*gib), uint64(0x809000), []byte{0x00, 0x08, 6, 0x09, 0x08, 2, 0x0b, 0x08, 2, 0x11, 0x08, 15})
	f.Add(uint64(8*gib), uint64(0x809000), []byte{0x10, 0x08, 16, 0x0b, 0x08, 2, 0x09, 0x08, 2, 0x00, 0x08, 6})
	f.Fuzz(func(t *testing.T, memory, hobGPA uint64, pages []byte) {
		ram, err := Q35RAM(memory)
		if err != nil {
			return
		}
		var accepted []Range
		for p := range slices.Chunk(pages, 3) {
			if len(p) == 3 {
				accepted = append(accepted, Range{uint64(binary.LittleEndian.Uint16(p)) * pageSize, uint64(p[2]) * pageSize})
			}
		}
		b, err := HOB(ram, hobGPA, accepted)
		if err != nil {
			return
		}
		got := readBack(t, b, hobGPA)
		if diff := cmp.Diff(sorted(accepted), got.accepted); diff != "" {
			t.Errorf("accepted -want +got:\n%s", diff)
		}
		if diff := cmp.Diff(ram, got.all); diff != "" {
			t.Errorf("RAM -want +got:\n%s", diff)
		}
	})
}

type backRead struct{ accepted, all []Range }

func readBack(t *testing.T, b []byte, hobGPA uint64) (r backRead) {
	t.Helper()
	le := binary.LittleEndian
	if end := le.Uint64(b[48:]); end != hobGPA+uint64(len(b))+8 {
		t.Errorf("EfiEndOfHobList: got %#x", end)
	}
	for d := range slices.Chunk(b[56:], 48) {
		if !bytes.Equal(d[:24], append([]byte{3, 0, 48}, make([]byte, 21)...)) || le.Uint32(d[28:]) != 7 {
			t.Fatalf("descriptor: got %x", d)
		}
		x := Range{le.Uint64(d[32:]), le.Uint64(d[40:])}
		if le.Uint32(d[24:]) == 0 {
			r.accepted = append(r.accepted, x)
		}
		if n := len(r.all); n > 0 && r.all[n-1].End() == x.Start {
			r.all[n-1].Length += x.Length
		} else {
			r.all = append(r.all, x)
		}
	}
	return r
}
