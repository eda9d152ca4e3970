package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"safebox/host/vmm/vmmtest"
	"safebox/image"
	"safebox/verifier/release"
)

// realQEMU names the machine's own QEMU, found before testscript puts ours
// first in PATH.
const realQEMU = "REAL_QEMU"

func TestMain(m *testing.M) {
	if os.Getenv(realQEMU) == "" {
		path, err := exec.LookPath("qemu-system-x86_64")
		if err == nil {
			err = os.Setenv(realQEMU, path)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%v: run ci/setup\n", err)
			os.Exit(1)
		}
	}
	testscript.Main(m, map[string]func(){
		"safebox-host":       main,
		"qemu-system-x86_64": func() { os.Exit(fakeQEMU(os.Args[1:])) },
	})
}

// TestScripts runs testdata/*.txt: see testdata/README.md.
func TestScripts(t *testing.T) {
	for _, tool := range []string{"swtpm", "swtpm_setup", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: run ci/setup", err)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":       await,
			"nothingleft": nothingLeft,
			"listen":      listenCommand,
			"json":        jsonLines,
			"describe":    describeCommand,
		},
	})
}

// setUp makes a release folder whose firmware speaks and hangs, and hides this
// machine's own configuration.
func setUp(env *testscript.Env) error {
	env.Setenv(realQEMU, os.Getenv(realQEMU))
	agent, err := exec.LookPath("safebox-host")
	if err != nil {
		return err
	}
	env.Setenv("AGENT", agent)
	env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state")
	refusing := "BdsDxe: starting Boot0001\r\n" +
		"\x1b[2J\x1b[01;01Hsafebox: [   0.100000] ok mounts 0.010000s\r\n" +
		"safebox: [   0.200000] refused command-line: \"evil=1\" is none of ours\r\n" +
		"safebox: [   0.300000] power-off command-line\r\n"
	for name, b := range map[string][]byte{
		"rel/safebox.efi":               make([]byte, 1<<20),
		"rel/safebox.raw":               make([]byte, 1<<20),
		"rel/firmware/OVMF_CODE_4M.fd":  vmmtest.Firmware("nobody at home\r\n", vmmtest.Hang),
		"rel/firmware/OVMF_VARS_4M.fd":  vmmtest.Vars(),
		"refuse/firmware/OVMF_CODE.fd":  vmmtest.Firmware(refusing, vmmtest.Reset),
		"silent/firmware/OVMF_CODE.fd":  vmmtest.Firmware("", vmmtest.Hang),
		"big/firmware/OVMF_VARS_4M.fd":  make([]byte, 540<<10),
		"goodbye/firmware/OVMF_CODE.fd": vmmtest.Firmware("goodbye\r\n", vmmtest.Reset),
	} {
		path := filepath.Join(env.WorkDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
	}
	return writeDescription(filepath.Join(env.WorkDir, "rel"))
}

// describeCommand is `describe DIR`: it writes a release.json that fits the
// files of a folder that a script has changed.
func describeCommand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(writeDescription(ts.MkAbs(args[0])))
}

func writeDescription(dir string) error {
	r := release.Release{
		Type: release.Type, Kernel: "distro", LockSHA256: strings.Repeat("00", 32),
		Inputs:       []release.Input{{Package: "none", SHA256: strings.Repeat("00", 32)}},
		CommandLines: []release.CommandLine{{Platform: "vtpm", Form: "none", Text: "none"}},
	}
	for _, m := range []release.Measurement{
		{Boot: "esp", Bank: "sha256"}, {Boot: "esp", Bank: "sha384"}, {Boot: "kernel", Bank: "sha256"}, {Boot: "kernel", Bank: "sha384"},
	} {
		zero := strings.Repeat("00", map[string]int{"sha256": 32, "sha384": 48}[m.Bank])
		m.Platform = "vtpm"
		for i, rule := range strings.Fields("exact any exact exact exact fixed-disk exact exact zero exact any exact zero zero zero configuration") {
			reg := release.Register{Name: fmt.Sprintf("pcr%d", i), Rule: rule, Value: zero}
			if rule == release.RuleAny {
				reg.Value = ""
			}
			m.Registers = append(m.Registers, reg)
		}
		r.Measurements = append(r.Measurements, m)
	}
	for _, name := range []string{releaseCode, releaseVars, releaseUKI, releaseDisk} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		r.Artifacts = append(r.Artifacts, image.Describe(name, b))
	}
	b, err := r.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, release.FileName), b, 0o644)
}

// fakeQEMU stands in for a VMM with an appliance in it. FAKE_QEMU says how it
// behaves.
func fakeQEMU(args []string) int {
	mode := os.Getenv("FAKE_QEMU")
	switch {
	case mode == "real":
		fmt.Fprintln(os.Stderr, syscall.Exec(os.Getenv(realQEMU), append([]string{"qemu-system-x86_64"}, args...), os.Environ()))
		return 1
	case args[0] == "--version":
		version := "10.0.2"
		if mode == "old" {
			version = "7.2.17"
		}
		fmt.Printf("QEMU emulator version %s (fake)\n", version)
		return 0
	case bytes.Contains([]byte(strings.Join(args, " ")), []byte("isa-debug-exit")):
		if mode == "kvm" {
			return 85
		}
		fmt.Fprintln(os.Stderr, "qemu-system-x86_64: no KVM in a fake")
		return 1
	case mode == "crash":
		fmt.Fprintln(os.Stderr, "qemu-system-x86_64: warning: about to fail\nqemu-system-x86_64: -device what: it is broken")
		return 1
	}
	return fakeGuest(mode, args)
}

// await FILE PATTERN waits until a line of the file matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE PATTERN")
	}
	re := regexp.MustCompile("(?m)" + args[1])
	deadline := time.Now().Add(time.Minute)
	for {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && re.Match(b) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has no %q after a minute: %q, %v", args[0], args[1], b, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// nothingleft [DIR] checks, for some seconds at most, that no process works in
// or names the script's folder, and that no instance in DIR ($XDG_STATE_HOME's
// by default) has temporary state. "! nothingleft" looks once.
func nothingLeft(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs("state/safebox/instances")
	if len(args) > 0 {
		dir = ts.MkAbs(args[0])
	}
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left = append(processes(ts), leftFiles(dir)...); neg || len(left) == 0 {
			break
		}
	}
	if (len(left) > 0) != neg {
		ts.Fatalf("left behind: %q", left)
	}
}

func leftFiles(dir string) []string {
	left, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		return []string{err.Error()}
	}
	var bad []string
	for _, path := range left {
		switch filepath.Base(path) {
		case "lock", "instance.json", "console.log":
		default:
			bad = append(bad, path)
		}
	}
	return bad
}

func processes(ts *testscript.TestScript) []string {
	work := ts.Getenv("WORK")
	dirs, err := filepath.Glob("/proc/[0-9]*")
	ts.Check(err)
	var found []string
	for _, d := range dirs {
		if pid, err := strconv.Atoi(filepath.Base(d)); err != nil || pid == os.Getpid() {
			continue
		}
		cmdline, err := os.ReadFile(d + "/cmdline")
		if err != nil || len(cmdline) == 0 { // gone, or a zombie
			continue
		}
		cwd, err := os.Readlink(d + "/cwd")
		if err == nil && strings.HasPrefix(cwd, work) || bytes.Contains(cmdline, []byte(work)) {
			found = append(found, strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

// listen VAR binds a port for the rest of the script and puts it into VAR.
func listenCommand(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ts.Check(ln.Close()) })
	ts.Setenv(args[0], strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
}

// json FILE PATTERN...: the file holds one line for each pattern, in order.
func jsonLines(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(args[0]), "\n"), "\n")
	if len(lines) != len(args)-1 {
		ts.Fatalf("%d lines, want %d: %q", len(lines), len(args)-1, lines)
	}
	for i, p := range args[1:] {
		if !regexp.MustCompile("^" + p + "$").MatchString(lines[i]) {
			ts.Fatalf("line %d is %s, want %s", i+1, lines[i], p)
		}
	}
}

func TestParseMemory(t *testing.T) {
	for in, want := range map[string]int64{"256M": 256 << 20, "1G": 1 << 30, "1024G": 1 << 40} {
		if got, err := parseMemory(in); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "1", "G", "1g", "1MG", "-1G", "255M", "1025G", "99999999999G", "1 G", "0x1G", "+1G"} {
		if got, err := parseMemory(in); err == nil {
			t.Errorf("%q: got %d, want an error", in, got)
		}
	}
}

func TestShellCommand(t *testing.T) {
	args := []string{"printf", "%s\n", "-a", "", "it's", "a b", "x=1,,2", "$HOME", "ä"}
	out, err := exec.Command("sh", "-c", shellCommand(args)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(args[2:], "\n") + "\n"; string(out) != want {
		t.Errorf("a shell reads %q, want %q", out, want)
	}
}
