package explain_test

import (
	"crypto/sha512"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/explain"
	"safebox/measure/explain/explaintdx"
	"safebox/measure/explain/internal/explaintest"
	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/vectortest"
)

// at puts a value at its index.
func at(index int, value []byte) (list [eventlog.MRs][]byte) {
	list[index] = value
	return list
}

// one explains one register.
func one(t *testing.T, in explaintdx.TD, index int, value []byte) *explain.Result {
	t.Helper()
	list, err := in.Explain(at(index, value))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Fatalf("got %d results, want 1", len(list))
	}
	return list[0]
}

// tdxCase explains one register.
func tdxCase(index int, in func(testing.TB) explaintdx.TD, reported func(testing.TB) []byte, want ...string) divergent {
	return divergent{want: want, explain: func(t *testing.T) *explain.Result {
		t.Helper()
		return one(t, in(t), index, reported(t))
	}}
}

func ofHex(s string) func(testing.TB) []byte {
	return func(t testing.TB) []byte { t.Helper(); return explaintest.Unhex(t, s) }
}

// Row 8.
func orderCases() []divergent {
	in := func(order tdvf.Order) func(testing.TB) explaintdx.TD {
		return func(t testing.TB) explaintdx.TD {
			t.Helper()
			return explaintdx.TD{Input: tdx.Input{Firmware: data.Image(t, explaintest.DebianImage), Order: order}}
		}
	}
	const (
		single = "bdc6fb145880f06f30c8b346b8dce2a99d9351b56892df22f80fcf6574caa9f9c31df8e8576d53b4d0cd1c3f28910e11" // gce-tcb-verifier 74582c0
		two    = "456f07902150d008bb913c3e1e84e9297f735a6c83cd2a957a1f0a8bbedb06df188e3837ae48d32c73d473d097dc0db2" // the vectors' author
		bug    = "1feaf85b76949ccd43678bd4cb6356813334387b2820600ff164a3920c9c9f126c164ee08b7ccbe05216536c7a0b4262" // gce-tcb-verifier
	)
	return []divergent{
		tdxCase(tdx.MRTD, in(tdvf.SinglePass), ofHex(two),
			"the reported MRTD is what this TD gives with MRTD order two-pass instead of single-pass (QEMU 8 with the TDX patches of Intel and Canonical)"),
		tdxCase(tdx.MRTD, in(tdvf.TwoPass), ofHex(single),
			"the reported MRTD is what this TD gives with MRTD order single-pass instead of two-pass (QEMU and KVM as upstream, Google Compute Engine)"),
		tdxCase(tdx.MRTD, in(tdvf.SinglePass), ofHex(bug),
			"the reported MRTD is what this TD gives with MRTD order tdhob-bug of c3-standard-4 instead of single-pass "+
				"(earlier hypervisors of Google Compute Engine measure every section)"),
	}
}

const (
	kernelSections = 0x5000 // end of the sections of smallKernel
	kernelTrailer  = 3
	bootLine       = "console=ttyS0"
)

// smallKernel is the head of Debian's kernel as an unsigned image of two sections
// and three bytes behind them.
func smallKernel(t testing.TB) []byte {
	t.Helper()
	b := slices.Clone(vectortest.File(t, os.DirFS("../bzimage/testdata"), "vmlinuz-setup.bin")[:kernelSections])
	binary.LittleEndian.PutUint16(b[0x46:], 2) // sections
	clear(b[0xe8:0xf0])                        // certificate table
	b[0x226] = 7                               // ext_loader_ver, which a wide heap_end overwrites
	return append(b, 1, 2, 3)
}

const initrdSize = 12345

func smallInitrd() [48]byte { return sha512.Sum384(make([]byte, initrdSize)) }

// directTD boots smallKernel.
func directTD(line string, change func(*tdx.Direct)) func(testing.TB) explaintdx.TD {
	return func(t testing.TB) explaintdx.TD {
		t.Helper()
		initrd := smallInitrd()
		d := &tdx.Direct{Kernel: smallKernel(t), InitrdSHA384: &initrd, InitrdSize: initrdSize, CommandLine: line}
		if change != nil {
			change(d)
		}
		return explaintdx.TD{Input: tdx.Input{Layout: tdx.L1, Memory: 2 << 30, Direct: d}}
	}
}

// authenticodeByHand hashes an image with the checksum at 0x98 and the directory
// entry at 0xe8 left out.
func authenticodeByHand(b []byte, padding int) [48]byte {
	parts := slices.Concat(b[:0x98], b[0x9c:0xe8], b[0xf0:], make([]byte, padding))
	return sha512.Sum384(parts)
}

// rtmr1ByHand is the register with this digest of a kernel.
func rtmr1ByHand(kernel [48]byte) []byte {
	digests := [][48]byte{kernel}
	for _, data := range []string{
		"Calling EFI Application from Boot Option", "\x00\x00\x00\x00",
		"Exit Boot Services Invocation", "Exit Boot Services Returned with Success",
	} {
		digests = append(digests, sha512.Sum384([]byte(data)))
	}
	return explaintest.Fold(digests...)
}

// patchByHand writes what QEMU writes for 2 GiB of memory.
func patchByHand(b []byte, wide bool, video uint16) []byte {
	le := binary.LittleEndian
	b = slices.Clone(b)
	b[0x210] = 0xb0
	b[0x211] |= 0x80
	le.PutUint16(b[0x224:], 0xfe00)
	if wide {
		le.PutUint32(b[0x224:], 0xfe00)
	}
	le.PutUint32(b[0x228:], 0x20000)
	if video != 0 {
		le.PutUint16(b[0x1fa:], video)
	}
	le.PutUint32(b[0x218:], (0x80000000-0x28000-1-initrdSize)&^0xfff)
	le.PutUint32(b[0x21c:], initrdSize)
	return b
}

// Row 9. Peers leave the trailer of an unsigned image out, and add zeros by the
// size of the whole file (tdx-measure, src/util.rs, authenticode_sha384_hash).
func paddingCases() []divergent {
	return []divergent{tdxCase(tdx.RTMR1, directTD(bootLine, nil), func(t testing.TB) []byte {
		const fileSize = kernelSections + kernelTrailer
		return rtmr1ByHand(authenticodeByHand(smallKernel(t)[:kernelSections], 8-fileSize%8))
	}, "the reported RTMR 1 is what this TD gives with the kernel's Authenticode digest padded to 8 bytes instead of without padding (dstack-mr, virtee/tdx-measure and Tinfoil's tool)")}
}

// Row 10.
func headerCases() []divergent {
	patched := func(d *tdx.Direct) { d.Patched = true }
	return []divergent{
		tdxCase(tdx.RTMR1, directTD(bootLine, patched), func(t testing.TB) []byte {
			return rtmr1ByHand(authenticodeByHand(patchByHand(smallKernel(t), true, 0), 0))
		}, "the reported RTMR 1 is what this TD gives with heap_end of 32 bits instead of 16 in the patched setup header (dstack-mr and virtee/tdx-measure)"),
		tdxCase(tdx.RTMR1, directTD(bootLine+" vga=0x317", patched), func(t testing.TB) []byte {
			return rtmr1ByHand(authenticodeByHand(patchByHand(smallKernel(t), false, 0), 0))
		}, "the reported RTMR 1 is what this TD gives with vid_mode in the patched setup header left alone instead of as vga= says (dstack-mr and virtee/tdx-measure)"),
		tdxCase(tdx.RTMR1, directTD(bootLine+" vga=0x317", patched), func(t testing.TB) []byte {
			return rtmr1ByHand(authenticodeByHand(patchByHand(smallKernel(t), true, 0), 0))
		}, "the reported RTMR 1 is what this TD gives with heap_end of 32 bits instead of 16 in the patched setup header (dstack-mr and virtee/tdx-measure) "+
			"and vid_mode in the patched setup header left alone instead of as vga= says (dstack-mr and virtee/tdx-measure)"),
	}
}

// Row 11.
func patchedCases() []divergent {
	return []divergent{
		tdxCase(tdx.RTMR1, directTD(bootLine+" vga=0x317", nil), func(t testing.TB) []byte {
			return rtmr1ByHand(authenticodeByHand(patchByHand(smallKernel(t), false, 0x317), 0))
		}, "the reported RTMR 1 is what this TD gives with the kernel's setup header patched by QEMU instead of as in the file (QEMU before 10.1 without etc/boot/kernel)"),
		tdxCase(tdx.RTMR1, directTD(bootLine, func(d *tdx.Direct) { d.Patched = true }), func(t testing.TB) []byte {
			return rtmr1ByHand(authenticodeByHand(smallKernel(t), 0))
		}, "the reported RTMR 1 is what this TD gives with the kernel as in its file instead of patched by QEMU (QEMU 10.1 or later, or 10.0 with edk2 2025.02 or later)"),
	}
}

// rtmr2ByHand is the register of a kernel with these load options.
func rtmr2ByHand(options string) []byte {
	var b []byte
	for _, c := range options + "\x00" { // ASCII
		b = append(b, byte(c), 0)
	}
	return explaintest.Fold(sha512.Sum384(b), smallInitrd())
}

// Row 12.
func formCases() []divergent {
	reported := func(text string) func(testing.TB) []byte { return func(testing.TB) []byte { return rtmr2ByHand(text) } }
	return []divergent{
		tdxCase(tdx.RTMR2, directTD(bootLine, nil), reported("initrd=initrd "+bootLine),
			"the reported RTMR 2 is what this TD gives with initrd=initrd in front of the command line instead of behind the command line (later edk2)"),
		tdxCase(tdx.RTMR2, directTD(bootLine, nil), reported(bootLine),
			"the reported RTMR 2 is what this TD gives with initrd=initrd absent instead of behind the command line (another loader)"),
		tdxCase(tdx.RTMR2, directTD(bootLine+" ", nil), reported("initrd=initrd "+bootLine),
			"the reported RTMR 2 is what this TD gives with initrd=initrd in front of the command line instead of behind the command line (later edk2) "+
				"and the command line trimmed of white space instead of as given (as virtee/sev and dstack do)"),
	}
}

// acpiFiles are the tables of one of QEMU's machines.
func acpiFiles(t testing.TB, tables string) *tdx.ACPI {
	t.Helper()
	const folder = "qemu-acpi/q35-4g-8cpu-hpet-3pci/"
	return &tdx.ACPI{
		Loader: data.File(t, folder+"etc_table-loader.bin"),
		RSDP:   data.File(t, folder+"etc_acpi_rsdp.bin"),
		Tables: data.File(t, folder+tables),
	}
}

func acpiTD(t testing.TB) explaintdx.TD {
	t.Helper()
	in := directTD(bootLine, nil)(t)
	in.Input.Firmware, in.Input.Memory = data.Image(t, explaintest.DebianImage), 4<<30
	in.Input.ACPI = acpiFiles(t, "etc_acpi_tables.bin")
	return in
}

// predicted is a register that another input has.
func predicted(index int, change func(testing.TB, *tdx.Input)) func(testing.TB) []byte {
	return func(t testing.TB) []byte {
		t.Helper()
		in := acpiTD(t).Input
		change(t, &in)
		p, err := tdx.Predict(in)
		if err != nil {
			t.Fatal(err)
		}
		r := p.Registers[index]
		if r.Value == nil {
			t.Fatal(r.Missing)
		}
		return r.Value[:]
	}
}

// Row 13. L1 is the layout of a hardware quote too, see TestHardwareTD.
func layoutCases() []divergent {
	layout := func(l tdx.Layout) func(testing.TB, *tdx.Input) {
		return func(_ testing.TB, in *tdx.Input) { in.Layout = l }
	}
	return []divergent{
		tdxCase(tdx.RTMR0, acpiTD, predicted(tdx.RTMR0, layout(tdx.L0)),
			"the reported RTMR 0 is what this TD gives with RTMR layout l0 instead of l1 (OVMF 2024.02 with TDX patches)"),
		tdxCase(tdx.RTMR0, acpiTD, predicted(tdx.RTMR0, layout(tdx.L2)),
			"the reported RTMR 0 is what this TD gives with RTMR layout l2 instead of l1 (edk2 since 2025.05)"),
		tdxCase(tdx.RTMR0, acpiTD, predicted(tdx.RTMR0, func(_ testing.TB, in *tdx.Input) {
			in.Variables = &tdx.Variables{SecureBoot: []byte{0}}
		}), "the reported RTMR 0 is what this TD gives with SecureBoot variable with data 00 instead of the layout's"),
	}
}

// Row 14. The tables of a dump in which nobody had programmed the BARs.
func acpiCases() []divergent {
	in := func(t testing.TB) explaintdx.TD {
		t.Helper()
		in := acpiTD(t)
		in.ACPI = []explain.Named[*tdx.ACPI]{{Name: "a dump without programmed 64-bit BARs", Value: acpiFiles(t, "etc_acpi_tables.nobar.bin")}}
		return in
	}
	return []divergent{tdxCase(tdx.RTMR0, in, predicted(tdx.RTMR0, func(t testing.TB, in *tdx.Input) {
		in.ACPI = acpiFiles(t, "etc_acpi_tables.nobar.bin")
	}), "the reported RTMR 0 is what this TD gives with ACPI tables a dump without programmed 64-bit BARs instead of those expected")}
}

// Row 16. The firmware is CODE alone; the register is of the whole image.
func codeCases() []divergent {
	in := func(t testing.TB) explaintdx.TD {
		t.Helper()
		return explaintdx.TD{
			Input: tdx.Input{Firmware: data.Image(t, "debian-ovmf/OVMF_CODE_4M.fd")},
			Vars:  []explain.Named[[]byte]{{Name: "OVMF_VARS_4M.fd", Value: data.File(t, "debian-ovmf/OVMF_VARS_4M.fd")}},
		}
	}
	return []divergent{tdxCase(tdx.MRTD, in, ofHex("bdc6fb145880f06f30c8b346b8dce2a99d9351b56892df22f80fcf6574caa9f9c31df8e8576d53b4d0cd1c3f28910e11"),
		"the reported MRTD is what this TD gives with OVMF_VARS_4M.fd in front of the firmware instead of the CODE image alone",
		"the expected firmware can't be launched as it is: checking firmware: TDX section 0: BFV: raw data: got 0x84000 to 0x400000, "+
			"want its end at most 0x37c000, the size of the file: a part of the image, such as OVMF_CODE.fd? want the unified image (VARS and CODE in one file, OVMF.fd)")}
}
