package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"safebox/measure/vectortest"
)

// cliVector is a launch as the files of measure/testdata describe it.
type cliVector struct {
	Mode         string
	Firmware     string
	SVSM         string
	VarsSize     uint64 `json:"vars_size"`
	VMM          string
	VCPUs        int     `json:"vcpus"`
	CPU          uint32  `json:"vcpu_sig"`
	Features     *uint64 `json:"guest_features"`
	VMSAGPA      string  `json:"vmsa_gpa"`
	MXCSR        *uint32
	FCW          *uint16 `json:"x87_fcw"`
	KernelHashes bool    `json:"kernel_hashes"`
	KernelFile   string  `json:"kernel_file"`
	InitrdFile   string  `json:"initrd_file"`
	CommandLine  string  `json:"cmdline"`
	Seed         string
	Expected     string
	Error        string
}

// TestMeasureVectors gives the command what the vectors of SEV, SEV-ES and
// SEV-SNP describe, as far as it has flags for it, and counts the others.
func TestMeasureVectors(t *testing.T) {
	got := map[string]int{}
	vectortest.Each(t, vectors(), "snp", func(t *testing.T, v vectortest.Vector) {
		var in cliVector
		if v.Common != nil {
			vectortest.Vector{ID: v.ID, Raw: v.Common}.Decode(t, &in)
		}
		v.Decode(t, &in)
		if why := in.noFlags(); why != "" {
			got[why]++
			return
		}
		got["run"]++
		if in.Seed == "" && strings.HasPrefix(filepath.Base(in.Firmware), "ovmf_") && in.mode() == "snp" {
			in.Seed = seedOf(v.File(t, in.Firmware)) // the command takes no part of an image for a whole one
		}
		in.run(t, v)
	})
	want := map[string]int{
		"run": 41, "a value on the way": 3, "no image, but its sections": 4, "FPU state of a tool": 4, "a kernel under GCE": 2, "rows of pages": 2,
	}
	for why, n := range want {
		if got[why] != n {
			t.Errorf("%s: got %d vectors, want %d", why, got[why], n)
		}
		delete(got, why)
	}
	if len(got) > 0 {
		t.Errorf("got also %v", got)
	}
}

// seedOf is the launch digest after the pages of an image that ends at 4 GiB.
func seedOf(image []byte) string {
	digest, gpa := make([]byte, 48), uint64(1)<<32-uint64(len(image))
	for page := range slices.Chunk(image, 4096) {
		digest = extendLaunch(digest, sum384(page), pageNormal, gpa)
		gpa += 4096
	}
	return hex.EncodeToString(digest)
}

// TestSeedOf compares with sev-snp-measure's value.
func TestSeedOf(t *testing.T) {
	var file struct {
		Vectors []struct{ ID, Expected string }
	}
	if err := json.Unmarshal(vectortest.File(t, vectors(), "sev-snp-measure/vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	got := seedOf(vectortest.File(t, vectors(), "sev-snp-measure/ovmf_AmdSev_suffix.bin"))
	for _, v := range file.Vectors {
		if v.ID == "ssm/test_snp_ovmf_hash_full_default#ovmf_hash" {
			if got != v.Expected {
				t.Errorf("got %s, want %s", got, v.Expected)
			}
			return
		}
	}
	t.Fatal("no vector with the seed")
}

func (in cliVector) mode() string {
	if in.Mode == "" || in.SVSM != "" {
		return "snp"
	}
	return in.Mode
}

// noFlags says why the command can't be asked for a vector.
func (in cliVector) noFlags() string {
	switch {
	case in.Mode == "snp:ovmf-hash":
		return "a value on the way" // measure/snp.txt sees one in the trace
	case in.Firmware == "" && in.Expected != "" && in.VCPUs > 0:
		return "no image, but its sections"
	case in.Firmware == "":
		return "rows of pages"
	case in.SVSM != "" && (in.FCW == nil || *in.FCW == 0 && *in.MXCSR != 0):
		return "FPU state of a tool"
	case in.VMM == "gce" && in.KernelHashes:
		return "a kernel under GCE" // which has no place for its hashes: refused, tested below
	}
	return ""
}

func (in cliVector) run(t *testing.T, v vectortest.Vector) {
	t.Helper()
	args := append([]string{"measure", in.mode()}, in.args(t, v)...)
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	if in.Error != "" {
		// the tool's sentence, and the words of ours that say the same
		want := map[string]string{
			"Kernel specified but OVMF metadata doesn't include SNP_KERNEL_HASHES section": "no SNP_KERNEL_HASHES section",
			"Kernel specified but OVMF doesn't support kernel/initrd/cmdline measurement":  "no SEV hash table",
		}[in.Error]
		if code != 2 || stdout.Len() > 0 || want == "" || !strings.Contains(stderr.String(), want) {
			t.Errorf("%q: got code %d, %q and %q, want code 2 and %q", args, code, stdout.String(), stderr.String(), want)
		}
		return
	}
	if want := "launch_digest " + in.Expected + "\n"; code != 0 || stdout.String() != want {
		t.Errorf("%q: got code %d, %q and %q, want %q", args, code, stdout.String(), stderr.String(), want)
	}
}

// args are the flags for a vector. Its files, which may be packed, are written
// for the command to read.
func (in cliVector) args(t *testing.T, v vectortest.Vector) []string {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, v.File(t, name), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{"--firmware", file(in.Firmware)}
	add := func(given bool, flag, value string) {
		if given {
			args = append(args, flag, value)
		}
	}
	vmm := in.VMM
	if in.SVSM != "" {
		vmm = map[uint32]string{0: "qemu-legacy", 0x1f80: "qemu"}[*in.MXCSR]
		add(true, "--svsm", file(in.SVSM))
		add(true, "--vars-size", fmt.Sprint(in.VarsSize))
	}
	add(vmm != "", "--vmm", vmm)
	if in.mode() != "sev" {
		add(true, "--vcpus", fmt.Sprint(in.VCPUs))
		add(in.CPU != 0 || in.Error != "", "--vcpu-sig", fmt.Sprintf("%#x", max(in.CPU, 1)))
		if in.Features != nil {
			add(true, "--guest-features", fmt.Sprintf("%#x", *in.Features))
		}
	}
	add(in.VMSAGPA != "", "--vmsa-gpa", in.VMSAGPA)
	add(in.Seed != "", "--ovmf-hash", in.Seed)
	if in.KernelHashes {
		for flag, name := range map[string]string{"--kernel": in.KernelFile, "--initrd": in.InitrdFile} {
			if name == "" {
				name = os.DevNull
			}
			if name != os.DevNull {
				name = file(name)
			}
			add(true, flag, name)
		}
		add(true, "--cmdline", in.CommandLine)
	}
	return args
}

// TestMeasureGCEKernel: the firmware that GCE is asked to start with a kernel
// would not check it.
func TestMeasureGCEKernel(t *testing.T) {
	part := vectortest.File(t, vectors(), "sev-snp-measure/ovmf_AmdSev_suffix.bin")
	path := filepath.Join(t.TempDir(), "part.fd")
	if err := os.WriteFile(path, part, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"measure", "snp", "--firmware", path, "--ovmf-hash", seedOf(part), "--vcpus", "1", "--vmm", "gce", "--kernel", os.DevNull}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	if code != 2 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "gce boots from disk and measures no kernel hashes") {
		t.Errorf("got code %d, %q and %q, want code 2 and the reason", code, stdout.String(), stderr.String())
	}
}

// TestMeasureEIF gives the command every image of the vectors.
func TestMeasureEIF(t *testing.T) {
	count := map[bool]int{}
	vectortest.Each(t, vectors(), "eif", func(t *testing.T, v vectortest.Vector) {
		var in struct {
			File string
			PCR  map[string]string
		}
		v.Decode(t, &in)
		path := filepath.Join(root, "measure", "testdata", "nitro", "eif", in.File)
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"measure", "nitro", "--eif", path}, strings.NewReader(""), &stdout, &stderr)
		// A gap has registers, but a strict reader refuses it.
		refused := in.PCR == nil || strings.HasPrefix(in.File, "gap")
		count[refused]++
		if refused {
			if code != 2 || stdout.Len() > 0 || !strings.Contains(stderr.String(), in.File+": parsing EIF: ") {
				t.Errorf("got code %d, %q and %q, want code 2 and the file's name", code, stdout.String(), stderr.String())
			}
			return
		}
		if code != 0 {
			t.Fatalf("got code %d and %q", code, stderr.String())
		}
		for name, value := range in.PCR {
			if want := strings.ToLower(name) + " " + value + "\n"; !strings.Contains(stdout.String(), want) {
				t.Errorf("got %q, want %q", stdout.String(), want)
			}
		}
	})
	if count[true] != 3 || count[false] != 7 {
		t.Errorf("got %d images refused and %d measured, want 3 and 7", count[true], count[false])
	}
}
