package snp

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/ovmf"
)

// oracle is testdata/oracle.json, the output of testdata/oracle.py.
type oracle struct {
	LaunchMeasure struct {
		TIK, Nonce string
		API        [3]uint8
		Policy     uint32
		Digest     string
		Expected   string
	} `json:"launch_measure"`
	Cases []oracleCase
}

type oracleCase struct {
	Name, Mode, VMM string
	VCPUs           int
	CPU             uint32
	Features        uint64
	FirmwareSize    int    `json:"firmware_size"`
	ResetEIP        uint32 `json:"reset_eip"`
	HashTable       uint32 `json:"hash_table"`
	Sections        [][3]uint32
	Kernel          []string
	Unknown         bool
	VMSAGPA         uint64 `json:"vmsa_gpa"`
	SVSMSize        int    `json:"svsm_size"`
	SVSMEntry       uint32 `json:"svsm_entry"`
	VarsSize        uint64 `json:"vars_size"`
	Pages           [][3]any
	Expected        string
}

func readOracle(t testing.TB) (o oracle) {
	t.Helper()
	b, err := os.ReadFile("testdata/oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// pattern is oracle.py's.
func pattern(size, seed int) []byte {
	var b []byte
	for i := range size / 32 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %d", seed, i))
		b = append(b, sum[:]...)
	}
	return b
}

func (c oracleCase) launch(t testing.TB) Launch {
	t.Helper()
	vmm, err := ParseVMM(c.VMM)
	if err != nil {
		t.Fatal(err)
	}
	var sections []ovmf.SEVSection
	for _, s := range c.Sections {
		sections = append(sections, ovmf.SEVSection{GPA: s[0], Size: s[1], Type: ovmf.SEVType(s[2])})
	}
	l := Launch{
		VMM: vmm, VCPUs: c.VCPUs, CPU: c.CPU, Features: c.Features, VMSAGPA: c.VMSAGPA, UnknownAsZero: c.Unknown,
		Firmware: Firmware{
			Pages: pattern(c.FirmwareSize, 1), GPA: 1<<32 - uint64(c.FirmwareSize), Sections: sections,
			ResetEIP: &c.ResetEIP, HashTable: &ovmf.Area{GPA: c.HashTable, Size: 0x400},
		},
	}
	if c.Kernel != nil {
		l.Kernel = &KernelHashes{
			Kernel: sha256.Sum256([]byte(c.Kernel[0])), Initrd: sha256.Sum256([]byte(c.Kernel[1])),
			CommandLine: HashCommandLine(c.Kernel[2]),
		}
	}
	if c.SVSMSize != 0 {
		l.SVSM = &SVSM{Pages: pattern(c.SVSMSize, 2), Sections: sections, Entry: c.SVSMEntry, VarsSize: c.VarsSize}
	}
	return l
}

// TestOracle: launches that no published vector covers.
func TestOracle(t *testing.T) {
	cases := readOracle(t).Cases
	if len(cases) != 28 {
		t.Errorf("got %d cases, want 28", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			l := c.launch(t)
			var pages [][3]any
			l.Trace = func(p Page) {
				pages = append(pages, [3]any{float64(p.Type), float64(p.GPA), p.LD.String()}) // as JSON has them
			}
			got, err := measureMode(c.Mode, l)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.Expected {
				t.Errorf("got %s, want %s", got, c.Expected)
			}
			if c.Pages != nil {
				if diff := cmp.Diff(c.Pages, pages); diff != "" {
					t.Errorf("trace (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestUpTo: each digest of a row is that of a launch of its own, and the last
// one is the oracle's.
func TestUpTo(t *testing.T) {
	for _, c := range readOracle(t).Cases {
		if c.Mode == "sev" || c.VCPUs < 2 {
			continue
		}
		l := c.launch(t)
		var row []string
		if c.Mode == "seves" {
			list, err := MeasureSEVESUpTo(l, c.VCPUs)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				row = append(row, fmt.Sprintf("%x", d))
			}
		} else {
			list, err := MeasureUpTo(l, c.VCPUs)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				row = append(row, d.String())
			}
		}
		if len(row) != c.VCPUs || row[len(row)-1] != c.Expected {
			t.Errorf("%s: got %d digests, the last %s, want %d, %s", c.Name, len(row), row[len(row)-1], c.VCPUs, c.Expected)
		}
		for i, want := range row {
			l.VCPUs = i + 1
			if got, err := measureMode(c.Mode, l); err != nil || got != want {
				t.Errorf("%s: %d processors: got %s, %v, want %s", c.Name, i+1, got, err, want)
			}
		}
	}
}

// TestTrace: pages of a known image say what they are.
func TestTrace(t *testing.T) {
	var got []string
	for _, c := range readOracle(t).Cases {
		if c.Name != "traced" {
			continue
		}
		l := c.launch(t)
		last := ""
		l.Trace = func(p Page) {
			if line := fmt.Sprintf("%v %s", p.Type, p.Origin); line != last {
				got = append(got, line)
				last = line
			}
			if (p.Contents == Digest{}) == (p.Type == PageNormal || p.Type == PageVMSA) {
				t.Errorf("%v page at %#x: contents: got %v", p.Type, p.GPA, p.Contents)
			}
		}
		if _, err := Measure(l); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{ // EC2: CPUID after the other sections
		"normal firmware", "zero SNP_SEC_MEM", "secrets SNP_SECRETS", "zero SVSM_CAA", "zero SNP_SEC_MEM",
		"normal SNP_KERNEL_HASHES", "cpuid CPUID", "vmsa vcpu 0", "vmsa vcpu 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}
