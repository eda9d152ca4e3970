package snp

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"safebox/measure/ovmf"
	"safebox/measure/vectortest"
)

// vector is a launch as the files of ../testdata describe it.
type vector struct {
	Mode         string
	Firmware     string
	SVSM         string
	VarsSize     uint64 `json:"vars_size"`
	VMM          string
	VCPUs        int     `json:"vcpus"`
	CPU          uint32  `json:"vcpu_sig"`
	Features     *uint64 `json:"guest_features"` // nil: 1
	VMSAGPA      string  `json:"vmsa_gpa"`
	MXCSR        *uint32
	FCW          *uint16 `json:"x87_fcw"`
	KernelHashes bool    `json:"kernel_hashes"`
	KernelFile   string  `json:"kernel_file"`
	InitrdFile   string  `json:"initrd_file"`
	KernelSHA256 string  `json:"kernel_sha256"`
	InitrdSHA256 string  `json:"initrd_sha256"`
	CommandLine  string  `json:"cmdline"`
	Seed         string
	Sections     []ovmf.SEVSection
	HashTable    uint32  `json:"hashes_table_gpa"`
	ResetEIP     *uint32 `json:"ap_reset_eip"`
	Expected     string
	Error        string
	Kind         string // of gce/vectors.json: a row of pages
}

// decode reads a vector after what is common to those of its file.
func decode(t testing.TB, v vectortest.Vector) vector {
	t.Helper()
	var into vector
	if v.Common != nil {
		vectortest.Vector{ID: v.ID, Raw: v.Common}.Decode(t, &into)
	}
	v.Decode(t, &into)
	if into.Mode == "" {
		into.Mode = "snp"
		if into.SVSM != "" {
			into.Mode = "snp:svsm"
		}
	}
	if into.VMM == "" {
		into.VMM = "qemu"
	}
	return into
}

// launch builds what a vector describes.
func (in vector) launch(t testing.TB, v vectortest.Vector) Launch {
	t.Helper()
	l := Launch{VCPUs: in.VCPUs, CPU: in.CPU, Features: SNPActive, Firmware: in.firmware(t, v)}
	vmm, err := ParseVMM(in.VMM)
	if err != nil {
		t.Fatal(err)
	}
	l.VMM = vmm
	if in.Features != nil {
		l.Features = *in.Features
	}
	if in.VMSAGPA != "" {
		if l.VMSAGPA, err = strconv.ParseUint(in.VMSAGPA, 0, 64); err != nil {
			t.Fatal(err)
		}
	}
	if in.SVSM != "" {
		if l.SVSM, err = NewSVSM(image(t, v.File(t, in.SVSM)), in.VarsSize); err != nil {
			t.Fatal(err)
		}
	}
	if in.KernelHashes {
		l.Kernel = in.kernel(t, v)
	}
	in.axes(v, &l)
	return l
}

// axes are where a vector's tool is not what the profile of its monitor says.
func (in vector) axes(v vectortest.Vector, l *Launch) {
	p, _ := l.VMM.Profile()
	switch {
	case in.MXCSR != nil:
		p.MXCSR, p.FCW = *in.MXCSR, *in.FCW
	case in.SVSM != "":
		p.FCW = 0 // sev-snp-measure: a misspelt field name drops it
	case l.VMM == GCE:
		p.NoKernel = false // sev-snp-measure measures a kernel that GCE has no place for
	case strings.HasPrefix(v.ID, "gce/"):
		return
	}
	l.Profile = &p
}

func (in vector) firmware(t testing.TB, v vectortest.Vector) Firmware {
	t.Helper()
	f := Firmware{Sections: in.Sections, ResetEIP: in.ResetEIP}
	if in.HashTable != 0 {
		f.HashTable = &ovmf.Area{GPA: in.HashTable, Size: 0x400} // the size that edk2 gives it
	}
	if in.Firmware != "" {
		f = NewFirmware(image(t, v.File(t, in.Firmware)))
	}
	if in.Seed != "" {
		f.Pages, f.Seed = nil, new(Digest)
		*f.Seed = Digest(unhex(t, in.Seed, len(f.Seed)))
	}
	return f
}

func (in vector) kernel(t testing.TB, v vectortest.Vector) *KernelHashes {
	t.Helper()
	sum := func(file, hash string) [32]byte {
		if hash != "" {
			return [32]byte(unhex(t, hash, 32))
		}
		if file == "" {
			file = "/dev/null"
		}
		return sha256.Sum256(v.File(t, file))
	}
	return &KernelHashes{
		Kernel:      sum(in.KernelFile, in.KernelSHA256),
		Initrd:      sum(in.InitrdFile, in.InitrdSHA256),
		CommandLine: HashCommandLine(in.CommandLine),
	}
}

func image(t testing.TB, b []byte) *ovmf.Image {
	t.Helper()
	im, err := ovmf.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func unhex(t testing.TB, s string, size int) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != size {
		t.Fatalf("hex: got %q, want %d bytes", s, size)
	}
	return b
}

// measureMode computes what a vector's mode asks for, as hex.
func measureMode(mode string, l Launch) (string, error) {
	switch mode {
	case "snp", "snp:svsm":
		d, err := Measure(l)
		return d.String(), err
	case "snp:ovmf-hash":
		d, err := OVMFHash(l.Firmware.Pages)
		return d.String(), err
	case "sev":
		d, err := MeasureSEV(l)
		return hex.EncodeToString(d[:]), err
	case "seves":
		d, err := MeasureSEVES(l)
		return hex.EncodeToString(d[:]), err
	}
	return "", strconv.ErrSyntax
}

// TestVectors: digests of other tools and of real hardware, see
// ../testdata/README.md for their origins.
func TestVectors(t *testing.T) {
	modes := map[string]int{}
	vectortest.Each(t, os.DirFS("../testdata"), "snp", func(t *testing.T, v vectortest.Vector) {
		in := decode(t, v)
		if in.Kind != "" {
			modes[in.Kind]++
			testPages(t, in, v)
			return
		}
		modes[in.Mode]++
		got, err := measureMode(in.Mode, in.launch(t, v))
		if in.Error != "" {
			// the tool's sentence, and the words of ours that say the same
			want, ok := map[string]string{
				"Kernel specified but OVMF metadata doesn't include SNP_KERNEL_HASHES section": "no SNP_KERNEL_HASHES section",
				"Kernel specified but OVMF doesn't support kernel/initrd/cmdline measurement":  "no SEV hash table",
			}[in.Error]
			if !ok || err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %s, error %v, want one with %q", got, err, want)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got != in.Expected {
			t.Errorf("got %s, want %s", got, in.Expected)
		}
	})
	// 47 of the modes of sev-snp-measure, 6 of the history of its SVSM mode,
	// 52 bits of Genoa, 2 rows of pages.
	for mode, want := range map[string]int{
		"snp": 33 + 1, "snp:ovmf-hash": 3, "snp:svsm": 2 + 6, "sev": 5, "seves": 4,
		"snp-normal-pages": 1, "snp-zero-pages": 1,
	} {
		if modes[mode] != want {
			t.Errorf("mode %s: ran %d vectors, want %d", mode, modes[mode], want)
		}
	}
}
