package ovmf

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/vectortest"
)

// Files of other people, below measure/testdata.
const (
	fileUnified = "debian-ovmf/OVMF.fd"
	fileCode    = "debian-ovmf/OVMF_CODE_4M.fd"
	fileVars    = "debian-ovmf/OVMF_VARS_4M.fd"
	fileAmdSev  = "sev-snp-measure/ovmf_AmdSev_suffix.bin"
	fileX64     = "sev-snp-measure/ovmf_OvmfX64_suffix.bin"
	fileSVSM    = "sev-snp-measure/svsm.bin"
	fileVMPL1   = "sev-snp-measure/svsm_ovmf.fd"
)

// Files of testdata, see README.md there.
const (
	fileAmdSev2026   = "OVMF.amdsev.suffix.bin"
	fileIntelTdx2026 = "OVMF.inteltdx.ms.suffix.bin"
)

func readShared(t testing.TB, name string) []byte {
	t.Helper()
	if !strings.Contains(name, "/") {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return vectortest.File(t, os.DirFS("../testdata"), name)
}

// outline is what a table says, in text.
type outline struct {
	Entries []string
	SEV     []SEVSection
	TDX     []TDXSection
	Layout  string
}

func outlineOf(im *Image) outline {
	o := outline{SEV: im.SEV, TDX: im.TDX, Layout: im.Layout()}
	for _, e := range im.Entries {
		o.Entries = append(o.Entries, e.GUID.String()+" "+hex.EncodeToString(e.Data))
	}
	return o
}

// tdxOf is the TDX metadata that all these files have but for where the
// firmware's own page starts.
func tdxOf(gpa uint64) []TDXSection {
	return []TDXSection{
		{0x84000, 0x37c000, 0xffc84000, 0x37c000, BFV, MRExtend},
		{0, 0x84000, 0xffc00000, 0x84000, CFV, 0},
		{0, 0, gpa, 0x820000 - gpa, TempMem, 0},
		{0, 0, 0x80b000, 0x2000, TempMem, 0},
		{0, 0, 0x809000, 0x2000, TDHOB, 0},
		{0, 0, 0x800000, 0x6000, TempMem, 0},
	}
}

func sevOf(rest ...SEVSection) []SEVSection {
	return append([]SEVSection{
		{0x800000, 0x9000, SecMem},
		{0x80a000, 0x3000, SecMem},
		{0x80d000, 0x1000, Secrets},
		{0x80e000, 0x1000, CPUID},
		{0x80f000, 0x1000, SVSMCAA},
	}, rest...)
}

func entriesOf(secret, hash, sev, tdx string) []string {
	return []string{
		"00f771de-1a7e-4fcb-890e-68c77e2fb44e 04b08000",
		"4c2eb361-7d9b-4cc3-8081-127c90d3d294 " + secret,
		"7255371f-3a3b-4b04-927b-1da6efa8d454 " + hash,
		"dc886566-984a-4798-a75e-5585a7bf67cc " + sev,
		"e47a6535-984a-4798-865e-4685a7bf8ec2 " + tdx,
	}
}

// TestDecodeReal compares with what a separate reader of these files, written
// in Python with its struct and uuid modules, printed.
func TestDecodeReal(t *testing.T) {
	const none = "0000000000000000"
	x64 := sevOf(SEVSection{0x810000, 0x10000, SecMem})
	tests := []struct {
		file string
		want outline
	}{
		{fileUnified, outline{entriesOf(none, none, "48050000", "c0090000"), x64, tdxOf(0x811000), "OvmfPkgX64"}},
		{fileCode, outline{entriesOf(none, none, "48050000", "c0090000"), x64, tdxOf(0x811000), "OvmfPkgX64"}},
		{fileX64, outline{entriesOf(none, none, "48050000", "c0090000"), x64, tdxOf(0x811000), "OvmfPkgX64"}},
		{fileVMPL1, outline{entriesOf(none, none, "58050000", "70080000"), x64, tdxOf(0x810000), "OvmfPkgX64"}},
		{fileAmdSev, outline{
			entriesOf("00008100000c0000", "000c810000040000", "54050000", "d0090000"),
			sevOf(SEVSection{0x810000, 0x1000, KernelHashes}, SEVSection{0x811000, 0xf000, SecMem}),
			tdxOf(0x812000), "AmdSev",
		}},
		{fileAmdSev2026, outline{
			append(entriesOf("00008100000c0000", "000c810000040000", "c4050000", "600a0000"), "784fa70e-3176-4677-8a20-04b68699e374 60050000"),
			sevOf(SEVSection{0x811000, 0x1f000, SecMem}, SEVSection{0x810000, 0x1000, KernelHashes}),
			append(tdxOf(0x814000), TDXSection{0, 0, 0x820000, 0x10000, TempMem, 0}), "AmdSev",
		}},
		{fileIntelTdx2026, outline{
			append(entriesOf(none, none, "88050000", "000a0000"), "784fa70e-3176-4677-8a20-04b68699e374 30050000"),
			zeroLength(), tdxOf(0x810000), "IntelTdx",
		}},
		{fileSVSM, outline{
			[]string{
				"00f771de-1a7e-4fcb-890e-68c77e2fb44e f0ffffff",
				"4c2eb361-7d9b-4cc3-8081-127c90d3d294 efbeadde00000000",
				"a789a612-0597-4c4b-a49f-cbb1fe9d1ddd 00000000",
				"dc886566-984a-4798-a75e-5585a7bf67cc c2000000",
			},
			[]SEVSection{{0, 0x9e000, SecMem}, {0x9e000, 0x1000, Secrets}, {0x9f000, 0x1000, CPUID}},
			nil, "SVSM",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			im, err := Decode(readShared(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outlineOf(im)); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFields looks at what the entries mean: edk2 ResetVectorVtf0.asm, and
// sev-snp-measure's tests for the hash table of AmdSev (0x810c00).
func TestFields(t *testing.T) {
	im, err := Decode(readShared(t, fileAmdSev))
	if err != nil {
		t.Fatal(err)
	}
	if im.ResetEIP == nil || *im.ResetEIP != 0x80b004 {
		t.Errorf("reset EIP: got %v, want 0x80b004", im.ResetEIP)
	}
	if diff := cmp.Diff(&Area{0x810c00, 0x400}, im.HashTable); diff != "" {
		t.Errorf("hash table (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&Area{0x810000, 0xc00}, im.Secret); diff != "" {
		t.Errorf("secret (-want +got):\n%s", diff)
	}
	if im.SVSMEntry != nil {
		t.Errorf("SVSM entry: got %d, want none", *im.SVSMEntry)
	}
	if im, err = Decode(readShared(t, fileX64)); err != nil {
		t.Fatal(err)
	}
	if im.HashTable != nil || im.Secret != nil {
		t.Errorf("OvmfPkgX64: got hash table %v, secret %v, want none: their address is 0", im.HashTable, im.Secret)
	}
	if im, err = Decode(readShared(t, fileSVSM)); err != nil {
		t.Fatal(err)
	}
	if im.SVSMEntry == nil || *im.SVSMEntry != 0 {
		t.Errorf("SVSM entry: got %v, want 0", im.SVSMEntry)
	}
}

// TestOpen takes images that are whole and refuses halves.
func TestOpen(t *testing.T) {
	const hint = "want the unified image (VARS and CODE in one file, OVMF.fd)"
	tests := []struct {
		file string
		want string // of the error
	}{
		{fileUnified, ""},
		{fileSVSM, ""},
		{fileCode, "checking firmware: TDX section 0: BFV: raw data: got 0x84000 to 0x400000, want its end at most 0x37c000, the size of the file: a part of the image, such as OVMF_CODE.fd? " + hint},
		{fileVMPL1, hint},
		{fileX64, hint},
		{fileAmdSev, hint},
		{fileVars, "parsing firmware table at 0x83fd0: footer: got ffffffff-ffff-ffff-ffff-ffffffffffff, want 96b582de-1fb2-45f7-baea-a366c55a082d: no OVMF image with a table"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			b := readShared(t, tt.file)
			im, err := Open(b)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got error %v, want one with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := im.GPA()+uint64(len(b)), uint64(1<<32); got != want {
				t.Errorf("end of the image in memory: got %#x, want %#x", got, want)
			}
		})
	}
	// sha256sum of /usr/share/ovmf/OVMF.fd in the package.
	const want = "14954040cc754ade0c625ac3470ea46d4c14318b5b1396de4ef77090203d76db"
	if got := sha256.Sum256(readShared(t, fileUnified)); hex.EncodeToString(got[:]) != want {
		t.Errorf("OVMF.fd: got SHA-256 %x, want %s", got, want)
	}
}

// TestOpenMisplaced refuses a CODE with something else before it than its
// VARS, whose size alone would pass.
func TestOpenMisplaced(t *testing.T) {
	code, vars := readShared(t, fileCode), readShared(t, fileVars)
	image := append(append(append([]byte{}, vars...), vars...), code...)
	_, err := Open(image)
	const want = "TDX section 0: BFV: address: got 0xffc84000, want 0xffc00000, where offset 0x84000 of the file is mapped"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

// TestNames pins the names to those of edk2 and td-shim.
func TestNames(t *testing.T) {
	sev := map[SEVType]string{
		1: "SNP_SEC_MEM", 2: "SNP_SECRETS", 3: "CPUID", 4: "SVSM_CAA", 0x10: "SNP_KERNEL_HASHES",
		5: "SEV section type 0x5",
	}
	for typ, want := range sev {
		if got := typ.String(); got != want {
			t.Errorf("SEV type %d: got %q, want %q", uint32(typ), got, want)
		}
	}
	tdx := []string{"BFV", "CFV", "TD_HOB", "TEMP_MEM", "PERM_MEM", "PAYLOAD", "PAYLOAD_PARAM", "TD_INFO", "TDX section type 8"}
	for i, want := range tdx {
		if got := TDXType(i).String(); got != want {
			t.Errorf("TDX type %d: got %q, want %q", i, got, want)
		}
	}
}
