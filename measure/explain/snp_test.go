package explain

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"testing"

	"safebox/measure/ovmf"
	"safebox/measure/snp"
	"safebox/measure/vectortest"
)

func testdata() fs.FS { return os.DirFS("../testdata") }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vector is a launch of measure/testdata with the digest that another tool or
// hardware gives it.
type vector struct {
	ID          string            `json:"id"`
	Firmware    string            `json:"firmware"`
	Mode        string            `json:"mode"`
	VMM         string            `json:"vmm"`
	VCPUs       int               `json:"vcpus"`
	Signature   uint32            `json:"vcpu_sig"`
	Features    uint64            `json:"guest_features"`
	Hashes      bool              `json:"kernel_hashes"`
	Kernel      string            `json:"kernel_sha256"`
	Initrd      string            `json:"initrd_sha256"`
	CommandLine string            `json:"cmdline"`
	SVSM        string            `json:"svsm"`
	VarsSize    uint64            `json:"vars_size"`
	MXCSR       uint32            `json:"mxcsr"`
	FCW         uint16            `json:"x87_fcw"`
	Seed        string            `json:"seed"`
	TableGPA    uint32            `json:"hashes_table_gpa"`
	ResetEIP    uint32            `json:"ap_reset_eip"`
	Sections    []ovmf.SEVSection `json:"sections"`
	Expected    string            `json:"expected"`
}

// vectors reads a file of measure/testdata by the names of its vectors.
func vectors(t testing.TB, file string) map[string]vector {
	t.Helper()
	var all struct{ Vectors []vector }
	if err := json.Unmarshal(vectortest.File(t, testdata(), file), &all); err != nil {
		t.Fatal(err)
	}
	list := map[string]vector{}
	for _, v := range all.Vectors {
		list[v.ID] = v
	}
	return list
}

// digest is the value of a vector.
func digest(t testing.TB, file, id string) []byte {
	t.Helper()
	v, ok := vectors(t, file)[id]
	if !ok {
		t.Fatalf("%s: no vector %s", file, id)
	}
	return unhex(t, v.Expected)
}

// images are those of measure/testdata that were read: unpacking one takes longer
// than explaining it.
var images sync.Map

// image reads a firmware of measure/testdata.
func image(t testing.TB, path string) *ovmf.Image {
	t.Helper()
	if im, ok := images.Load(path); ok {
		return im.(*ovmf.Image)
	}
	im, err := ovmf.Decode(vectortest.File(t, testdata(), path))
	if err != nil {
		t.Fatal(err)
	}
	images.Store(path, im)
	return im
}

// launch is the input of a vector.
func launch(t testing.TB, folder string, v vector) SNP {
	t.Helper()
	vmm, err := snp.ParseVMM(cmp.Or(v.VMM, "qemu")) // plain SEV has none
	if err != nil {
		t.Fatal(err)
	}
	in := SNP{
		Mode:   map[string]Mode{"snp": SEVSNP, "snp:svsm": SEVSNP, "seves": SEVES, "sev": SEV}[v.Mode],
		Launch: snp.Launch{VCPUs: v.VCPUs, CPU: v.Signature, VMM: vmm, Features: v.Features},
	}
	if v.Seed != "" && v.Firmware == "" {
		seed := snp.Digest(unhex(t, v.Seed))
		in.Launch.Firmware = snp.Firmware{Seed: &seed, Sections: v.Sections, ResetEIP: &v.ResetEIP}
		if v.TableGPA != 0 {
			in.Launch.Firmware.HashTable = &ovmf.Area{GPA: v.TableGPA, Size: 1024}
		}
	} else {
		in.Launch.Firmware = snp.NewFirmware(image(t, path.Join(folder, v.Firmware)))
	}
	if v.SVSM != "" {
		s, err := snp.NewSVSM(image(t, path.Join(folder, v.SVSM)), v.VarsSize)
		if err != nil {
			t.Fatal(err)
		}
		in.Launch.SVSM = s
	}
	if v.Hashes {
		k := snp.KernelHashes{
			Kernel: sha256.Sum256(nil), Initrd: sha256.Sum256(nil), CommandLine: snp.HashCommandLine(v.CommandLine),
		}
		if v.Kernel != "" {
			k.Kernel, k.Initrd = [32]byte(unhex(t, v.Kernel)), [32]byte(unhex(t, v.Initrd))
		}
		in.Launch.Kernel, in.CommandLine = &k, &v.CommandLine
	}
	return in
}

// TestLaunchesOfOthers explains the value of one vector as another one's: inputs
// and values are of other tools and of hardware, so what differs is known.
func TestLaunchesOfOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range append(debianPairs(), otherPairs(t)...) {
		t.Run(tt.name, tt.run)
	}
}

// pair is a launch that was expected and one that took place.
type pair struct {
	name           string
	file, id       string // expected
	gotFile, gotID string // reported
	want           []string
	adjust         func(*SNP)
}

func (tt pair) run(t *testing.T) {
	t.Parallel()
	v := find(t, tt.file, tt.id)
	in := launch(t, strings.Split(tt.file, "/")[0], v)
	if tt.adjust != nil {
		tt.adjust(&in)
	}
	r, err := in.Explain(unhex(t, find(t, tt.gotFile, tt.gotID).Expected))
	if err != nil {
		t.Fatal(err)
	}
	if r.Expected != v.Expected {
		t.Errorf("expected value: got %s, want %s", r.Expected, v.Expected)
	}
	wantSentences(t, r, tt.want...)
}

func debianPairs() []pair {
	const debian = debianVectors
	return []pair{
		{
			"vCPUs", debian, "deb/qemu-1", debian, "deb/qemu-4",
			[]string{"the reported launch digest is what this launch gives with 4 vCPUs instead of 1"},
			nil,
		},
		{
			"CPU type", debian, "deb/qemu-4", debian, "deb/milan-4",
			[]string{"the reported launch digest is what this launch gives with CPU type EPYC-Milan (0x00a00f11) instead of EPYC (0x00800f12)"},
			nil,
		},
		{
			"vCPUs and CPU type", debian, "deb/qemu-4", debian, "deb/turin-2",
			[]string{"the reported launch digest is what this launch gives with CPU type EPYC-Turin (0x00b00f00) instead of EPYC (0x00800f12) and 2 vCPUs instead of 4"},
			nil,
		},
		{
			"another cloud", debian, "deb/ec2-4", debian, "deb/gce-8",
			[]string{"the reported launch digest is what this launch gives with VMM profile gce instead of ec2 (SNP_SEC_MEM pages unmeasured, g_pat 0x70106) and 8 vCPUs instead of 4"},
			nil,
		},
		{
			"three axes", debian, "deb/gce-1", debian, "deb/turin-2",
			[]string{"the reported launch digest is what this launch gives with VMM profile qemu instead of gce " +
				"(mxcsr 0x1f80 and fcw 0x37f: KVM_SEV_INIT2 on host kernel 6.10 or later), CPU type EPYC-Turin (0x00b00f00) instead of none and 2 vCPUs instead of 1"},
			nil,
		},
		{
			"address width", debian, "deb/gce-1", debian, "snp_genoa_52bit",
			[]string{"the reported launch digest is what this launch gives with VMSA address 0xffffffffff000 instead of 0xfffffffff000 (52 address bits: gce-tcb-verifier on Genoa)"},
			nil,
		},
		{
			"the firmware's hash", debian, "deb/qemu-1", debian, "deb/ovmf-hash",
			[]string{"the reported launch digest is what this launch gives with the pages of the firmware alone instead of SEV-SNP (sev-snp-measure calls it ovmf-hash)"},
			nil,
		},
		{
			"SEV", debian, "deb/qemu-1", debian, "deb/sev",
			[]string{"the reported launch digest is what this launch gives with SEV instead of SEV-SNP (no VMSA is measured)"},
			nil,
		},
		{
			"SEV-ES", debian, "deb/qemu-1", debian, "deb/seves-2",
			[]string{"the reported launch digest is what this launch gives with SEV-ES instead of SEV-SNP and 2 vCPUs instead of 1"},
			nil,
		},
	}
}

func otherPairs(t *testing.T) []pair {
	t.Helper()
	const ssm, rust = ssmVectors, rustVectors
	return []pair{
		{
			"rdx", ssm, "ssm/test_snp_ec2_feature_snp_only", rust, "rust/test_snp_ec2_snp_only",
			[]string{"the reported launch digest is what this launch gives with VMM profile ec2-legacy instead of ec2 (rdx 0: older sev-snp-measure, virtee/sev and sev-snp-measure-go)"},
			nil,
		},
		{
			"rdx, the other way, and features", rust, "rust/test_snp_ec2_snp_only", ssm, "ssm/test_snp_ec2_default",
			[]string{"the reported launch digest is what this launch gives with VMM profile ec2 instead of ec2-legacy (rdx 0x600: sev-snp-measure since 4a02bf0) " +
				"and guest features 0x21 instead of 0x1 (bit 5, DebugSwap: on by default in some 6.x kernels)"},
			nil,
		},
		{
			"features", ssm, "ssm/test_snp_guest_feature_snp_only", ssm, "ssm/test_snp_default",
			[]string{"the reported launch digest is what this launch gives with guest features 0x21 instead of 0x1 (bit 5, DebugSwap: on by default in some 6.x kernels)"},
			nil,
		},
		{
			"no kernel", ssm, "ssm/test_snp_guest_feature_snp_only", ssm, "ssm/test_snp_without_kernel_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with no kernel hashes instead of those given (kernel-hashes=off, or no -kernel)"},
			nil,
		},
		{
			"a kernel", ssm, "ssm/test_snp_without_kernel_feature_snp_only", ssm, "ssm/test_snp_ovmf_hash_gen_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with the hashes of kernel /dev/null instead of none"},
			func(in *SNP) { in.Kernels = []Named[[32]byte]{{"/dev/null", sha256.Sum256(nil)}} },
		},
		{
			"command line and vCPUs", ssm, "ssm/test_snp_guest_feature_snp_only", ssm, "ssm/test_snp_with_multiple_vcpus_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with an empty command line instead of the expected one and 4 vCPUs instead of 1"},
			nil,
		},
		{
			"command line of SEV", ssm, "ssm/test_sev", ssm, "ssm/test_sev_with_kernel_without_initrd_and_append",
			[]string{"the reported launch digest is what this launch gives with an empty command line instead of the expected one"},
			nil,
		},
		{
			"firmware", ssm, "ssm/test_snp_without_kernel_feature_snp_only", ssm, "ssm/test_snp_with_ovmfx64_without_kernel_feature_snp_only",
			[]string{"the reported launch digest is what this launch gives with firmware OvmfX64 instead of the expected one"},
			func(in *SNP) {
				in.Firmware = []Named[snp.Firmware]{{"OvmfX64", snp.NewFirmware(image(t, "sev-snp-measure/ovmf_OvmfX64_suffix.bin"))}}
			},
		},
	}
}

// find reads a vector that may stand outside the list.
func find(t testing.TB, file, id string) vector {
	t.Helper()
	if v, ok := vectors(t, file)[id]; ok {
		return v
	}
	var all map[string]json.RawMessage
	var v vector
	if err := json.Unmarshal(vectortest.File(t, testdata(), file), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(all[id], &v); err != nil {
		t.Fatalf("%s: vector %s: %v", file, id, err)
	}
	return v
}

func sentences(r *Result) []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Sentence)
	}
	return list
}

func TestEqual(t *testing.T) {
	t.Parallel()
	in := launch(t, "debian-ovmf", find(t, "debian-ovmf/vectors.json", "deb/qemu-4"))
	_, err := in.Explain(digest(t, "debian-ovmf/vectors.json", "deb/qemu-4"))
	var equal *EqualError
	if !errors.As(err, &equal) {
		t.Errorf("got error %v, want that the values are equal", err)
	}
}

func TestUnrelated(t *testing.T) {
	t.Parallel()
	for id, n := range map[string]int{"deb/qemu-4": 48, "deb/seves-2": 32, "dstack": 48} {
		in := launch(t, "debian-ovmf", find(t, "debian-ovmf/vectors.json", "deb/qemu-4"))
		if id == "dstack" {
			in = launch(t, "dstack", find(t, "dstack/snp-vectors.json", "dstack/real-milan-2vcpu"))
		}
		unrelated := make([]byte, n)
		unrelated[0] = 1
		r, err := in.Explain(unrelated)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Findings) != 0 {
			t.Errorf("%s: got %v, want no finding", id, r.Findings)
		}
		t.Logf("%s", strings.Join(r.Summary(), "\n"))
	}
}
