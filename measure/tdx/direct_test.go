package tdx

import (
	"bytes"
	"crypto/sha512"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
	"safebox/measure/eventlog"
	"safebox/measure/pe"
	"safebox/measure/vectortest"
)

// pinnedKernel takes Debian's kernel, the one of the boots in
// ../eventlog/testdata, out of the pinned package.
func pinnedKernel(t *testing.T) []byte {
	t.Helper()
	root := filepath.Join("..", "..")
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.ReadFile(filepath.Join(root, "image", "safebox.lock"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.File(lock.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.File(t.Context(), in.Package, in.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vtpmLog is the log of a boot of a machine with a software TPM.
func vtpmLog(t *testing.T, boot string) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Decode(vectortest.File(t, os.DirFS(".."), "eventlog/testdata/uefi/"+boot+"/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// pcrDigests lists the SHA-384 digests of some registers in the log's order.
func pcrDigests(l *eventlog.Log, pcrs ...uint32) (list []Digest) {
	for i := range l.Events {
		e := &l.Events[i]
		if e.Type != eventlog.NoAction && slices.Contains(pcrs, e.PCR) {
			list = append(list, Digest(e.Digest(eventlog.SHA384)))
		}
	}
	return list
}

func digests(r Register) (list []Digest) {
	for _, e := range r.Events {
		list = append(list, e.Digest)
	}
	return list
}

// oneSeparator leaves the first separator of a list: a machine with a TPM has
// one for each PCR, a TD one for all of RTMR1.
func oneSeparator(list []Digest) (out []Digest) {
	separator := Digest(sha512.Sum384(make([]byte, 4)))
	seen := false
	for _, d := range list {
		if d == separator && seen {
			continue
		}
		seen = seen || d == separator
		out = append(out, d)
	}
	return out
}

// TestDirectBootAsOVMF compares a boot by -kernel with -initrd with the log of
// Debian's OVMF 2025.02 for the same kernel and command line.
func TestDirectBootAsOVMF(t *testing.T) {
	log := vtpmLog(t, "kraw")
	initrd := pcrDigests(log, 9)[1] // the file is not at hand
	p := mustPredict(t, Input{Layout: L1, Direct: &Direct{
		Kernel: pinnedKernel(t), CommandLine: "console=ttyS0 panic=1", InitrdSHA384: (*[48]byte)(&initrd),
	}})
	if got, want := digests(p.Registers[RTMR1]), oneSeparator(pcrDigests(log, 2, 3, 4, 5, 6)); !slices.Equal(got, want) {
		t.Errorf("rtmr1: got %v, want %v", got, want)
	}
	if got, want := digests(p.Registers[RTMR2]), pcrDigests(log, 8, 9, 10, 11, 12, 13, 14, 15); !slices.Equal(got, want) {
		t.Errorf("rtmr2: got %v, want %v", got, want)
	}
	// RTMR0 from the Secure Boot variables on: the log has a fourth ACPI event,
	// the one of the TPM's own table, and PCR 1 ends with a separator.
	logged := pcrDigests(log, 1, 7)
	got := digests(p.Registers[RTMR0])
	if want := logged[:6]; !slices.Equal(got[2:8], want) {
		t.Errorf("rtmr0: variables: got %v, want %v", got[2:8], want)
	}
	if want := logged[10:12]; !slices.Equal(got[11:13], want) || len(logged) != 13 || len(got) != 13 {
		t.Errorf("rtmr0: boot entries: got %v, want %v", got[11:], want)
	}
}

// TestLoadOptions has digests of another program: Python's hashlib.sha384 of
// (text + "\0").encode("utf-16le"). The log of boot kraw has the first.
func TestLoadOptions(t *testing.T) {
	const (
		last  = "c488b802e3c8"
		first = "50388b090389"
		bare  = "e84cada78611"
	)
	initrd := [48]byte{1}
	for _, tt := range []struct {
		layout Layout
		form   OptionsForm
		initrd *[48]byte
		want   string
	}{
		{L0, OptionsOfLayout, &initrd, last},
		{L1, OptionsOfLayout, &initrd, last},
		{L2, OptionsOfLayout, &initrd, first},
		{L1, InitrdFirst, &initrd, first},
		{L2, InitrdLast, &initrd, last},
		{L1, NoInitrdName, &initrd, bare},
		{L1, OptionsOfLayout, nil, bare},
		{L2, InitrdFirst, nil, bare},
		{Intel, InitrdLast, &initrd, last},
	} {
		r := mustPredict(t, Input{Layout: tt.layout, Direct: &Direct{
			CommandLine: "console=ttyS0 panic=1", InitrdSHA384: tt.initrd, OptionsForm: tt.form,
		}}).Registers[RTMR2]
		if got := r.Events[0].Digest.String(); r.Value == nil || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%v, %v: got %s, missing %q, want %s", tt.layout, tt.form, got, r.Missing, tt.want)
		}
		if got, want := len(r.Events), 1; tt.initrd == nil && got != want {
			t.Errorf("%v: without initrd: got %d events, want %d", tt.layout, got, want)
		}
	}
	// the first and the last printable characters
	r := mustPredict(t, Input{Layout: L1, Direct: &Direct{CommandLine: "~ !"}}).Registers[RTMR2]
	if got := r.Events[0].Digest.String(); !strings.HasPrefix(got, "8db20b4c96a1") {
		t.Errorf("~ and space: got %s", got)
	}
}

// TestPatchedKernel compares with the header that a real QEMU hands out, put
// into the kernel by hand (../bzimage/testdata/qemu-header.json, second case).
func TestPatchedKernel(t *testing.T) {
	kernel := pinnedKernel(t)
	want := bytes.Clone(kernel)
	copy(want[0x210:], []byte{0xb0, 0x81})
	binary.LittleEndian.PutUint32(want[0x218:], 0x7ffd6000)
	binary.LittleEndian.PutUint32(want[0x21c:], 4096)
	binary.LittleEndian.PutUint16(want[0x224:], 0xfe00)
	binary.LittleEndian.PutUint32(want[0x228:], 0x20000)
	direct := Direct{Kernel: kernel, Patched: true, InitrdSHA384: &[48]byte{}, InitrdSize: 4096, CommandLine: "quiet"}
	got := mustPredict(t, Input{Layout: L1, Memory: 2 << 30, Direct: &direct}).Registers[RTMR1]
	plain := mustPredict(t, Input{Layout: L1, Direct: &Direct{Kernel: want, CommandLine: "quiet"}}).Registers[RTMR1]
	if *got.Value != *plain.Value {
		t.Errorf("got %v, want %v", got.Value, plain.Value)
	}
	unpatched := mustPredict(t, Input{Layout: L1, Direct: &Direct{Kernel: kernel, CommandLine: "quiet"}}).Registers[RTMR1]
	if *got.Value == *unpatched.Value {
		t.Error("a patched kernel has the digest of the file")
	}
}

// TestPatchAxes changes by hand what the header of the same kernel has with
// other options (specs/measure.md 5.5).
func TestPatchAxes(t *testing.T) {
	kernel := pinnedKernel(t)
	kernel[0x226], kernel[0x227] = 1, 2 // behind heap_end_ptr
	for _, tt := range []struct {
		name   string
		direct Direct
		change map[int]byte
	}{
		{"vga=", Direct{CommandLine: "quiet vga=0x317"}, map[int]byte{0x1fa: 0x17, 0x1fb: 3}},
		{"vga= passed over", Direct{CommandLine: "vga=0x317", KeepVideoMode: true}, nil},
		{"heap end of 32 bits", Direct{WideHeapEnd: true}, map[int]byte{0x226: 0, 0x227: 0}},
		{"peers' padding", Direct{PeerPadding: true}, nil}, // the file ends at a multiple of 8
	} {
		want := bytes.Clone(kernel)
		copy(want[0x210:], []byte{0xb0, 0x81})
		binary.LittleEndian.PutUint16(want[0x224:], 0xfe00)
		binary.LittleEndian.PutUint32(want[0x228:], 0x20000)
		for off, v := range tt.change {
			want[off] = v
		}
		digest, err := authenticode(want, false)
		if err != nil {
			t.Fatal(err)
		}
		tt.direct.Kernel, tt.direct.Patched, tt.direct.Silent = kernel, true, true
		if got := mustPredict(t, Input{Layout: L1, Direct: &tt.direct}).Registers[RTMR1].Events[0].Digest; got != digest {
			t.Errorf("%s: got %v, want %v", tt.name, got, digest)
		}
	}
}

// TestPeersAndSignedKernel: at a signed file whose size is a multiple of 8 peers
// and firmware agree, which leave the signature out. Without the signature and
// with three bytes more, peers hash five zeros in place of the three bytes.
func TestPeersAndSignedKernel(t *testing.T) {
	want := pcrDigests(vtpmLog(t, "kraw"), 4)[0]
	direct := Direct{Kernel: pinnedKernel(t), PeerPadding: true, Silent: true}
	r := mustPredict(t, Input{Layout: L1, Direct: &direct}).Registers[RTMR1]
	if r.Events[0].Digest != want {
		t.Errorf("got %v, want %v", r.Events[0].Digest, want)
	}
	f, err := pe.Decode(direct.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Clone(direct.Kernel[:f.Certificates.Offset])
	clear(plain[f.Header.OptionalOffset+144:][:8]) // data directory 4 of PE32+ (specs/measure.md 5.5)
	direct.Kernel = append(bytes.Clone(plain), "abc"...)
	r = mustPredict(t, Input{Layout: L1, Direct: &direct}).Registers[RTMR1]
	if want, err = authenticode(append(plain, 0, 0, 0, 0, 0), false); err != nil {
		t.Fatal(err)
	}
	if len(direct.Kernel)%8 != 3 || r.Events[0].Digest != want {
		t.Errorf("three bytes more: got %v, want %v", r.Events[0].Digest, want)
	}
}

// TestPeerAuthenticode hashes the pieces of an image by hand, as the code of
// dstack-mr does.
func TestPeerAuthenticode(t *testing.T) {
	stub := vectortest.File(t, os.DirFS(".."), "pe/testdata/addonx64.efi.stub")
	plain, err := authenticode(stub, false)
	if err != nil {
		t.Fatal(err)
	}
	trailer := append(bytes.Clone(stub), "12345"...)
	for _, tt := range []struct {
		name string
		file []byte
		pad  int
	}{
		{"as it is", stub, 0},
		{"5 bytes behind the sections", trailer, 3},
		{"8 bytes behind the sections", append(bytes.Clone(trailer), "678"...), 0},
	} {
		got, err := peerAuthenticode(tt.file)
		if err != nil {
			t.Fatal(err)
		}
		if tt.pad == 0 {
			if got != plain {
				t.Errorf("%s: got %v, want %v", tt.name, got, plain)
			}
			continue
		}
		want, err := authenticode(append(bytes.Clone(stub), make([]byte, tt.pad)...), false)
		if err != nil {
			t.Fatal(err)
		}
		if got != want { // zeros behind the sections, in place of what is there
			t.Errorf("%s: got %v, want %v", tt.name, got, want)
		}
	}
	if _, err := peerAuthenticode([]byte("x")); err == nil {
		t.Error("not an image: no error")
	}
}
