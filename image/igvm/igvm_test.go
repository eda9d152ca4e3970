package igvm

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
	"safebox/measure/igvm"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
	"safebox/verifier/release"
)

// launch is that of the pinned firmware, with hashes of nothing in particular.
func launch(t testing.TB, vcpus int) snp.Launch {
	t.Helper()
	text, err := os.ReadFile("../safebox.lock")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver("../..")
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File(lock.FirmwareSNP)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.File(t.Context(), file.Package, file.File)
	if err != nil {
		t.Fatal(err)
	}
	im, err := ovmf.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := snp.ParseCPU("EPYC-Milan")
	if err != nil {
		t.Fatal(err)
	}
	return snp.Launch{
		Firmware: snp.NewFirmware(im), VCPUs: vcpus, CPU: cpu, VMM: snp.QEMU, Features: snp.SNPActive,
		Kernel: &snp.KernelHashes{Kernel: [32]byte{1}, Initrd: [32]byte{2}, CommandLine: snp.HashCommandLine("quiet")},
	}
}

func private(t testing.TB, name string) *ecdsa.PrivateKey {
	t.Helper()
	text, err := os.ReadFile("../../measure/testdata/sev-rust/" + name)
	if err != nil {
		t.Fatal(err)
	}
	k, err := idblock.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSNP: what is measured of the file is the launch digest of package snp,
// which vectors of other programs and of hardware confirm, wherever the loader
// makes zero pages of pages without data. Elsewhere it is the same launch with
// its zero pages measured as normal ones: checked page by page.
func TestSNP(t *testing.T) {
	for _, vcpus := range []int{1, 2, 4} {
		l := launch(t, vcpus)
		want, err := snp.Measure(l)
		if err != nil {
			t.Fatal(err)
		}
		b, got, err := SNP(Guest{Launch: l, Policy: idblock.DefaultPolicy, Zero: igvm.ZeroNative})
		if err != nil || got != want {
			t.Fatalf("%d processors: got %v, %v, want %v", vcpus, got, err, want)
		}
		same, other, err := SNP(Guest{Launch: l, Policy: idblock.DefaultPolicy})
		if err != nil || !bytes.Equal(b, same) {
			t.Fatalf("%d processors: without native zero pages: %v, other file", vcpus, err)
		}
		if want := normalZeros(t, l); other != want || other == got {
			t.Errorf("%d processors, zero pages as normal ones: got %v, want %v", vcpus, other, want)
		}
		f, err := igvm.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		checkStructures(t, f, l, vcpus)
	}
}

// TestOracle: the files of the machines for which image/testdata/launch.py, no
// Go program, computed launch digests measure to these.
func TestOracle(t *testing.T) {
	text, err := os.ReadFile("../testdata/launch.json")
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		CommandLine string `json:"command_line"`
		SNP         *release.SNP
	}
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	if len(o.SNP.Shapes) == 0 {
		t.Fatal("no shapes")
	}
	kernel := snp.KernelHashes{CommandLine: snp.HashCommandLine(o.CommandLine)}
	for to, from := range map[*[32]byte]string{&kernel.Kernel: o.SNP.KernelSHA256, &kernel.Initrd: o.SNP.InitrdSHA256} {
		if n, err := hex.Decode(to[:], []byte(from)); err != nil || n != 32 {
			t.Fatal(n, err)
		}
	}
	for _, shape := range o.SNP.Shapes {
		l := launch(t, shape.VCPUs)
		l.CPU, l.Kernel = shape.CPUSignature, &kernel
		_, got, err := SNP(Guest{Launch: l, Policy: idblock.DefaultPolicy, Zero: igvm.ZeroNative})
		if err != nil || got.String() != shape.LaunchDigest {
			t.Errorf("%s: got %v, %v, want %s", shape.Name, got, err, shape.LaunchDigest)
		}
	}
}

// normalZeros measures a launch with every zero page as a normal one.
func normalZeros(t *testing.T, l snp.Launch) snp.Digest {
	t.Helper()
	var c snp.Chain
	l.Trace = func(p snp.Page) {
		switch p.Type {
		case snp.PageNormal:
			c.Normal(p.GPA, p.Data, "")
		case snp.PageZero:
			c.Normal(p.GPA, make([]byte, 4096), "")
		case snp.PageVMSA:
			c.VMSA(p.GPA, (*[4096]byte)(p.Data), "")
		default:
			c.Fill(p.Type, p.GPA, 4096, "")
		}
	}
	if _, err := snp.Measure(l); err != nil {
		t.Fatal(err)
	}
	return c.LD()
}

// checkStructures counts what the pinned firmware's SEV metadata lists: 9, 3,
// 1 and 31 pages of SNP_SEC_MEM and SVSM_CAA, a page each of secrets, CPUID and
// kernel hashes (safebox inspect OVMF.amdsev.fd).
func checkStructures(t *testing.T, f *igvm.File, l snp.Launch, vcpus int) {
	t.Helper()
	count := map[string]int{}
	var hashes []byte
	for _, s := range f.Structures {
		name := s.Type.String()
		if p, ok := s.Body.(igvm.PageData); ok {
			name = p.Type.String()
			if p.Data == nil {
				name += " without data"
			}
			if p.GPA == 0x810000 {
				hashes = p.Data
			}
		}
		count[name]++
	}
	want := map[string]int{
		"SUPPORTED_PLATFORM": 1, "GUEST_POLICY": 1, "VP_CONTEXT": vcpus,
		"normal": 1024 + 1, "normal without data": 9 + 3 + 1 + 31, "secrets without data": 1, "cpuid without data": 1,
	}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	at := l.Firmware.HashTable.GPA % 4096
	if hashes == nil || !bytes.Contains(hashes[at:at+176], l.Kernel.Kernel[:]) {
		t.Error("the kernel's hash is not where the firmware looks for it")
	}
}

// TestIDBlock: the signed file has the digest of the one without a signature,
// and the block in it is the page that SNP_LAUNCH_FINISH takes.
func TestIDBlock(t *testing.T) {
	for name, keys := range map[string]idblock.Keys{
		"ID key":     {ID: private(t, "test_id_key.pem")},
		"author key": {ID: private(t, "test_id_key.pem"), Author: private(t, "test_auth_key.pem")},
	} {
		g := Guest{
			Launch: launch(t, 1), Policy: 0xb0000, Zero: igvm.ZeroNative, Sign: &keys,
			Owner: idblock.Owner{FamilyID: [16]byte{1}, ImageID: [16]byte{15: 2}, GuestSVN: 3},
		}
		b, digest, err := SNP(g)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := SNP(g)
		if err != nil || !bytes.Equal(b, again) {
			t.Errorf("%s: a second time: %v, other bytes", name, err)
		}
		f, err := igvm.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := igvm.MeasureSNP(f, igvm.Options{Zero: igvm.ZeroNative, KVM: true}); err != nil || got != digest {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, digest)
		}
		signed, policy, err := f.OpenIDBlock()
		if err != nil {
			t.Fatal(err)
		}
		want, err := idblock.Make(g.Owner.Block(digest, g.Policy), keys)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(signed.Auth.Encode(), want.AuthBytes) || policy != uint64(g.Policy) || signed.Block(policy) != want.Block {
			t.Errorf("%s: not the block that idblock makes", name)
		}
		if want.AuthorKeyEnabled() != (keys.Author != nil) {
			t.Errorf("%s: author key enabled: %t", name, want.AuthorKeyEnabled())
		}
	}
}

// TestLayout compares with what microsoft/igvm-tooling, another writer, prints
// of a file of its own: src/test/tests/test_elf.dump, commit 366cf59. That file
// isn't public, but for the places of its structures.
func TestLayout(t *testing.T) {
	var list []igvm.Structure
	add := func(typ igvm.Type, b igvm.Body) { list = append(list, igvm.Structure{Type: typ, Body: b}) }
	add(igvm.SupportedPlatformType, igvm.Platform{Mask: 1, HighestVTL: 2, Type: igvm.SNP, Version: 1})
	add(igvm.GuestPolicyType, igvm.GuestPolicy{Policy: 0x3001f, Mask: 1})
	for gpa := uint64(0xa0000); gpa < 0x200000; gpa += 0x1000 {
		add(igvm.PageDataType, igvm.PageData{GPA: gpa, Mask: 1})
	}
	add(igvm.PageDataType, igvm.PageData{GPA: 0x800000, Mask: 1, Type: igvm.CPUID, Data: make([]byte, 4096)})
	add(igvm.PageDataType, igvm.PageData{GPA: 0x801000, Mask: 1, Type: igvm.Secrets})
	add(igvm.ParameterAreaType, igvm.ParameterArea{Size: 0x1000})
	add(igvm.VPCountType, igvm.Parameter{})
	add(igvm.MemoryMapType, igvm.Parameter{ByteOffset: 0x18})
	add(igvm.ParameterInsertType, igvm.ParameterInsert{GPA: 0x802000, Mask: 1})
	add(igvm.VPContextType, igvm.VPContext{GPA: 0x803000, Mask: 1, VMSA: bytes.Repeat([]byte{1}, 0x670)})
	for gpa := uint64(0x804000); gpa < 0x80c000; gpa += 0x1000 {
		add(igvm.PageDataType, igvm.PageData{GPA: gpa, Mask: 1})
	}
	set, err := idblock.Make(idblock.Block{LaunchDigest: snp.Digest{1}, Policy: 0x3001f}, idblock.Keys{ID: private(t, "test_id_key.pem")})
	if err != nil {
		t.Fatal(err)
	}
	add(igvm.SNPIDBlockType, igvm.SNPIDBlock{Mask: 1, LaunchDigest: snp.Digest{1}, Auth: *set.Auth})
	b, err := Encode(list)
	if err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint32(b[0x0c:]); got != 0x30a0 {
		t.Errorf("size of the variable headers: got %#x, want 0x30a0", got)
	}
	f, err := igvm.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[igvm.Type][]int{
		igvm.SupportedPlatformType: {0x18},
		igvm.GuestPolicyType:       {0x30},
		igvm.ParameterAreaType:     {0x2c88},
		igvm.VPCountType:           {0x2ca0},
		igvm.MemoryMapType:         {0x2cb0},
		igvm.ParameterInsertType:   {0x2cc0},
		igvm.VPContextType:         {0x2cd8},
		igvm.SNPIDBlockType:        {0x2df8},
	} {
		var got []int
		for _, s := range f.Structures {
			if s.Type == typ {
				got = append(got, s.Offset)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: got %#x, want %#x", typ, got, want)
		}
	}
	for gpa, want := range map[uint64]int{0xa0000: 0x48, 0xff000: 0xc28, 0x1ff000: 0x2c28, 0x800000: 0x2c48, 0x801000: 0x2c68, 0x804000: 0x2cf8, 0x80b000: 0x2dd8} {
		for _, s := range f.Structures {
			if p, ok := s.Body.(igvm.PageData); ok && p.GPA == gpa && s.Offset != want {
				t.Errorf("page %#x: got %#x, want %#x", gpa, s.Offset, want)
			}
		}
	}
}

// TestRoundTrip writes what was read from oracle.py's files.
func TestRoundTrip(t *testing.T) {
	b, _, err := SNP(Guest{Launch: launch(t, 2), Policy: idblock.DefaultPolicy})
	if err != nil {
		t.Fatal(err)
	}
	f, err := igvm.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Encode(f.Structures)
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("%v, other bytes", err)
	}
	if limit := len(launch(t, 1).Firmware.Pages); len(b) > limit {
		t.Errorf("got %d bytes, want at most %d: equal pages of firmware are there once", len(b), limit)
	}
}

func TestRefuses(t *testing.T) {
	good := launch(t, 1)
	seeded := good
	seeded.Firmware.Pages, seeded.Firmware.Seed = nil, &snp.Digest{1}
	none := good
	none.VCPUs = 0
	for name, c := range map[string]struct {
		g    Guest
		want string
	}{
		"policy":    {Guest{Launch: good}, "policy: got 0x0, want bit 17 set"},
		"hash":      {Guest{Launch: seeded, Policy: idblock.DefaultPolicy}, "got a hash that stands for it"},
		"launch":    {Guest{Launch: none, Policy: idblock.DefaultPolicy}, "virtual processors: got 0"},
		"no ID key": {Guest{Launch: good, Policy: idblock.DefaultPolicy, Sign: &idblock.Keys{}}, "ID key: got none"},
	} {
		if b, _, err := SNP(c.g); err == nil || b != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %d bytes, %v, want an error with %q", name, len(b), err, c.want)
		}
	}
	if _, err := Encode(nil); err == nil || !strings.Contains(err.Error(), "no SUPPORTED_PLATFORM") {
		t.Errorf("no structures: got %v", err)
	}
}

func BenchmarkSNP(b *testing.B) {
	g := Guest{Launch: launch(b, 2), Policy: idblock.DefaultPolicy}
	for b.Loop() {
		if _, _, err := SNP(g); err != nil {
			b.Fatal(err)
		}
	}
}
