package e2e

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

//go:embed testdata/ssdt.asl.tmpl
var ssdtTemplate string

// What the AML writes to its port, one byte each.
const (
	tellPort   = 0xae0 // free in a q35
	tellTried  = 'T'   // before an access
	tellPassed = 'P'   // after it
	tellWrote  = 'W'   // after the kernel's memory was written to
)

// hostText is what the host writes over the kernel's release.
const hostText = "hostile-host"

// ssdt is the content of a hostile table.
type ssdt struct {
	plan       kernelPlan
	variants   []variant
	candidates []uint64
}

// variant is one access besides the search for the kernel.
type variant struct {
	name    string
	outside string  // declarations in the device
	body    string  // statements of its _INI
	wants   [2]bool // passes: the distribution's kernel, ours
	refused string  // what ours says
}

// compile makes the table and gives its file.
func (s ssdt) compile(t *testing.T) string {
	t.Helper()
	type access struct{ Name, Outside, Body string }
	in := struct {
		Port, Tried, Passed, Wrote int
		Text                       string
		TextSize, TextBits         int
		Pattern                    [2]uint32
		Copies, Candidates         []uint64
		Variants                   []access
	}{
		Port: tellPort, Tried: tellTried, Passed: tellPassed, Wrote: tellWrote,
		Text: hostText, TextSize: 16, TextBits: 16 * 8,
		Pattern: s.plan.pattern, Candidates: s.candidates,
	}
	for _, at := range s.plan.release {
		in.Copies = append(in.Copies, at-s.plan.release[0])
	}
	for _, v := range s.variants {
		in.Variants = append(in.Variants, access{v.name, v.outside, v.body})
	}
	var asl strings.Builder
	if err := template.Must(template.New("ssdt").Parse(ssdtTemplate)).Execute(&asl, in); err != nil {
		t.Fatal(err)
	}
	return compileASL(t, asl.String())
}

// compileASL runs Intel's compiler and gives the table's file.
func compileASL(t *testing.T, asl string) string {
	t.Helper()
	iasl, err := exec.LookPath("iasl")
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ssdt.asl"), []byte(asl))
	cmd := exec.CommandContext(t.Context(), iasl, "-p", "ssdt", "ssdt.asl")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("iasl: %v\n%s", err, out)
	}
	return filepath.Join(dir, "ssdt.aml")
}

// qemu gives the arguments of a host with that table, and the file where it
// hears of it.
func (s ssdt) qemu(t *testing.T) (args []string, heard string) {
	t.Helper()
	heard = filepath.Join(t.TempDir(), "heard")
	return append(port(heard), "-acpitable", "file="+s.compile(t)), heard
}

// port is a device that keeps what the guest writes to the port.
func port(file string) []string {
	return []string{
		"-chardev", "file,id=tell,path=" + file,
		"-device", fmt.Sprintf("isa-debugcon,iobase=%#x,chardev=tell", tellPort),
	}
}

// hear reads what the AML told: for each attempt how it ended, 0 for not.
func hear(t *testing.T, file string) []byte {
	t.Helper()
	told, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var ends []byte
	for i, b := range told {
		switch {
		case b == tellTried:
			ends = append(ends, 0)
		case i > 0 && told[i-1] == tellTried:
			ends[len(ends)-1] = b
		default:
			t.Fatalf("the AML told %q", told)
		}
	}
	return ends
}
