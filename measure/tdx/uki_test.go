package tdx

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"safebox/image/disk"
	"safebox/measure/eventlog"
	"safebox/measure/gpt"
	"safebox/measure/tpm"
	"safebox/measure/vectortest"
)

// part is a section of a UKI.
type part struct {
	name string
	data []byte
}

// assemble adds sections to a stub as ukify does (specs/image.md 1.1).
func assemble(stub []byte, list []part) []byte {
	le := binary.LittleEndian
	up := func(n, to int) int { return (n + to - 1) / to * to }
	b := bytes.Clone(stub)
	coff := int(le.Uint32(b[0x3c:])) + 4
	optional, count := coff+20, int(le.Uint16(b[coff+2:]))
	table := optional + int(le.Uint16(b[coff+16:]))
	last := b[table+40*(count-1):]
	address := up(int(le.Uint32(last[12:])+le.Uint32(last[8:])), 0x1000)
	for _, p := range list {
		h := b[table+40*count : table+40*count+40]
		clear(h)
		copy(h, p.name)
		le.PutUint32(h[8:], uint32(len(p.data)))
		le.PutUint32(h[12:], uint32(address))
		le.PutUint32(h[16:], uint32(up(len(p.data), 0x200)))
		le.PutUint32(h[20:], uint32(len(b)))
		le.PutUint32(h[36:], 0x40000040)
		if p.name == ".linux" {
			le.PutUint32(h[36:], 0x40000020)
		}
		b = append(b, p.data...)
		b = append(b, make([]byte, up(len(p.data), 0x200)-len(p.data))...)
		count++
		address = up(address+len(p.data), 0x1000)
	}
	le.PutUint16(b[coff+2:], uint16(count))
	le.PutUint32(b[optional+56:], uint32(address))
	le.PutUint32(b[optional+64:], 0)
	return b
}

// osrelUKI is the UKI of the boot in ../tpm/testdata/osrel (its README.md).
func osrelUKI(t *testing.T) []byte {
	t.Helper()
	file := func(name string) []byte { return vectortest.File(t, os.DirFS(".."), name) }
	return assemble(file("pe/testdata/linuxx64.efi.stub"), []part{
		{".osrel", file("tpm/testdata/osrel/os-release")},
		{".cmdline", []byte("console=ttyS0 panic=1")},
		{".uname", []byte("6.12.107+deb13-cloud-amd64")},
		{".initrd", file("tpm/testdata/osrel/initrd.cpio")},
		{".linux", pinnedKernel(t)},
	})
}

func osrelLog(t *testing.T) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Decode(vectortest.File(t, os.DirFS(".."), "tpm/testdata/osrel/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// TestUKIFromDisk compares with the log of a real boot of the same UKI with a
// software TPM: its events of PCR 2 to 6, with one separator, are those of RTMR1,
// its events of PCR 8 to 15 those of RTMR2. Only the disk is another one.
func TestUKIFromDisk(t *testing.T) {
	image, log := osrelUKI(t), osrelLog(t)
	im, err := disk.Assemble([]disk.File{{Path: disk.Boot, Data: image}}, "tdx")
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if _, err := im.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(raw.Bytes())
	table, err := gpt.Decode(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, Input{Layout: L1, UKI: &UKI{Boot: tpm.ESP, Disk: r, DiskSize: r.Size()}})
	rtmr1 := p.Registers[RTMR1]
	want := oneSeparator(pcrDigests(log, 2, 3, 4, 5, 6))
	if len(want) != 7 || len(rtmr1.Events) != 7 || rtmr1.Events[2].Type != eventlog.EFIGPTEvent {
		t.Fatalf("rtmr1: got %v, want %d events, the third of them the partition table", rtmr1.Events, len(want))
	}
	want[2] = sha512.Sum384(table.EventData())
	if got := digests(rtmr1); !slices.Equal(got, want) {
		t.Errorf("rtmr1: got %v, want %v", got, want)
	}
	if *rtmr1.Value != Extend(Digest{}, want...) || rtmr1.Source() != FromFile {
		t.Errorf("rtmr1: got %v, %v, want %v", rtmr1.Value, rtmr1.Source(), Extend(Digest{}, want...))
	}
	rtmr2, want := p.Registers[RTMR2], pcrDigests(log, 8, 9, 10, 11, 12, 13, 14, 15)
	if got := digests(rtmr2); len(want) != 14 || !slices.Equal(got, want) {
		t.Errorf("rtmr2: got %v, want %v", got, want)
	}
	if rtmr2.Value == nil || *rtmr2.Value != Extend(Digest{}, want...) {
		t.Errorf("rtmr2: got %v, want %v", rtmr2.Value, Extend(Digest{}, want...))
	}
}

// TestUKIAlone has no partition table.
func TestUKIAlone(t *testing.T) {
	in := Input{Layout: L1, UKI: &UKI{Boot: tpm.ESP, Image: osrelUKI(t)}}
	r := mustPredict(t, in).Registers
	if r[RTMR1].Value != nil || !strings.Contains(r[RTMR1].Missing, "partition table: firmware measures it") || len(r[RTMR1].Events) != 7 {
		t.Errorf("rtmr1: got %v, missing %q, %d events", r[RTMR1].Value, r[RTMR1].Missing, len(r[RTMR1].Events))
	}
	if r[RTMR2].Value == nil {
		t.Errorf("rtmr2: missing %q", r[RTMR2].Missing)
	}
	in.Layout = L0
	if r := mustPredict(t, in).Registers[RTMR1]; r.Value != nil || !strings.Contains(r.Missing, "was not seen with layout l0") {
		t.Errorf("layout L0: got %v, missing %q", r.Value, r.Missing)
	}
	in.UKI.Image = in.UKI.Image[:4096]
	if _, err := Predict(in); err == nil || !strings.Contains(err.Error(), "predicting TDX registers: predicting PCRs") {
		t.Errorf("half a UKI: got error %v", err)
	}
}

// TestUKIWithSecureBoot compares with the log of the boot sb-hash257
// (../tpm/testdata/README.md): the unsigned UKI is let through by its digest in db,
// which that entry shows, and its inner kernel is not measured by firmware.
func TestUKIWithSecureBoot(t *testing.T) {
	boots := os.DirFS("../tpm/testdata/boots")
	log, err := eventlog.Decode(vectortest.File(t, boots, "sb-hash257/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	image := assemble(vectortest.File(t, os.DirFS(".."), "pe/testdata/linuxx64.efi.stub"), []part{
		{".cmdline", vectortest.File(t, boots, "inputs/cmdline")},
		{".uname", vectortest.File(t, boots, "inputs/uname")},
		{".initrd", vectortest.File(t, os.DirFS(".."), "tpm/testdata/osrel/initrd.cpio")},
		{".linux", pinnedKernel(t)},
	})
	firmware := debianOVMF(t)
	copy(firmware, vectortest.File(t, boots, "inputs/hash.fd"))
	in := Input{Layout: L1, Memory: 2 << 30, Firmware: open(t, firmware), UKI: &UKI{Boot: tpm.ESP, Image: image}}
	if in.Variables, err = ReadVariables(in.Firmware); err != nil {
		t.Fatal(err)
	}
	p := mustPredict(t, in)
	want := oneSeparator(pcrDigests(log, 2, 3, 4, 5, 6)) // action, separator, partition table, UKI, exits
	want[2] = Digest{}                                   // not given here
	if got := digests(p.Registers[RTMR1]); len(want) != 6 || !slices.Equal(got, want) {
		t.Errorf("rtmr1: got %v, want %v", got, want)
	}
	if got, want := digests(p.Registers[RTMR2]), pcrDigests(log, 8, 9, 10, 11, 12, 13, 14, 15); !slices.Equal(got, want) {
		t.Errorf("rtmr2: got %v, want %v", got, want)
	}
	pcr7, rtmr0 := pcrDigests(log, 7), digests(p.Registers[RTMR0])
	if got := rtmr0[len(rtmr0)-1]; len(pcr7) != 7 || got != pcr7[6] {
		t.Errorf("rtmr0: authority: got %v, want %v", got, pcr7)
	}
	in.Variables.DBX = []byte("x") // no list of signatures
	if _, err := Predict(in); err == nil || !strings.Contains(err.Error(), "predicting PCRs") {
		t.Errorf("damaged dbx: got error %v", err)
	}
}

// TestUKIWithUnknownSecureBoot: whether systemd-stub 257 has firmware measure
// the inner kernel depends on Secure Boot: PCR 4 of the boot sb-kernel257 in
// ../tpm/testdata/boots has no event for it.
func TestUKIWithUnknownSecureBoot(t *testing.T) {
	b := debianOVMF(t)
	in := Input{Layout: L1, Firmware: open(t, b), UKI: &UKI{Boot: tpm.Kernel, Image: osrelUKI(t)}}
	if r := mustPredict(t, in).Registers[RTMR1]; r.Value == nil {
		t.Errorf("firmware without variables: missing %q", r.Missing)
	}
	addVariable(b)
	in.Firmware = open(t, b)
	if r := mustPredict(t, in).Registers[RTMR1]; r.Value != nil || !strings.Contains(r.Missing, "Secure Boot variables: not given") {
		t.Errorf("firmware with variables: got %v, missing %q", r.Value, r.Missing)
	}
	in.Variables = &Variables{SecureBoot: []byte{0}}
	if r := mustPredict(t, in).Registers[RTMR1]; r.Value == nil {
		t.Errorf("variables given: missing %q", r.Missing)
	}
}

// TestUKIByKernelOption has the same events in the order of a -kernel boot (the
// log of boot kuki): the image first, no partition table, and the boot entries
// of a direct boot.
func TestUKIByKernelOption(t *testing.T) {
	p := mustPredict(t, Input{Layout: L1, UKI: &UKI{Boot: tpm.Kernel, Image: osrelUKI(t)}})
	esp := oneSeparator(pcrDigests(osrelLog(t), 2, 3, 4, 5, 6)) // action, separator, GPT, UKI, .linux, exits
	want := []Digest{esp[3], esp[0], esp[1], esp[4], esp[5], esp[6]}
	kuki := oneSeparator(pcrDigests(vtpmLog(t, "kuki"), 2, 3, 4, 5, 6))
	if !slices.Equal(kuki[1:], want[1:]) {
		t.Fatalf("log kuki: got %v", kuki)
	}
	if got := digests(p.Registers[RTMR1]); !slices.Equal(got, want) {
		t.Errorf("rtmr1: got %v, want %v", got, want)
	}
	if got, want := digests(p.Registers[RTMR2]), pcrDigests(osrelLog(t), 8, 9, 10, 11, 12, 13, 14, 15); !slices.Equal(got, want) {
		t.Errorf("rtmr2: got %v, want %v", got, want)
	}
	boot := digests(p.Registers[RTMR0])
	logged := pcrDigests(vtpmLog(t, "kuki"), 1)
	if got, want := boot[len(boot)-2:], logged[4:6]; !slices.Equal(got, want) {
		t.Errorf("rtmr0: boot entries: got %v, want %v", got, want)
	}
}

// TestStubsTaggedEvents: what systemd-stub measures as EV_EVENT_TAG does not
// reach an RTMR; the kernel's events of that type do.
func TestStubsTaggedEvents(t *testing.T) {
	digest := make(tpm.Digest, sha512.Size384)
	event := func(pcr int, typ eventlog.Type, description string) tpm.PCREvent {
		return tpm.PCREvent{PCR: pcr, Event: tpm.Event{Type: typ, Description: description, Digest: digest}}
	}
	e := &ukiEvents{sequence: []tpm.PCREvent{
		event(12, eventlog.EventTag, "profile 1"), event(12, eventlog.IPL, "command line"),
		event(11, eventlog.IPL, "section"), event(9, eventlog.EventTag, "initrd"), event(5, eventlog.Separator, "separator"),
	}}
	var got []string
	for _, e := range e.rtmr2().Events {
		got = append(got, e.Description)
	}
	if want := "command line,section,initrd"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestRegistersOfPCRs has edk2's map of PCRs to registers (SecurityPkg,
// TdxMeasurementCommon.c): 2 to 6 are RTMR1, 8 to 15 RTMR2.
func TestRegistersOfPCRs(t *testing.T) {
	e := &ukiEvents{}
	for pcr := range eventlog.PCRs {
		typ := eventlog.IPL
		if pcr%2 == 1 {
			typ = eventlog.EFIAction
		}
		digest := tpm.Digest(bytes.Repeat([]byte{byte(pcr)}, sha512.Size384))
		e.sequence = append(e.sequence, tpm.PCREvent{PCR: pcr, Event: tpm.Event{Type: typ, Digest: digest}})
	}
	for want, r := range map[string]Register{"2 3 4 5 6": e.rtmr1(&sequence{}), "8 9 10 11 12 13 14 15": e.rtmr2()} {
		var got []string
		for _, e := range r.Events {
			got = append(got, strconv.Itoa(int(e.Digest[0])))
			if want := map[bool]Source{true: Computed, false: FromFile}[e.Type == eventlog.EFIAction]; e.Source != want {
				t.Errorf("PCR %d: %v: source: got %v, want %v", e.Digest[0], e.Type, e.Source, want)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got events of PCRs %v, want %s", got, want)
		}
	}
}
