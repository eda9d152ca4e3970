package vmm_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"safebox/host/vmm"
	"safebox/host/vmm/vmmtest"
)

// grandparent makes the test binary start a child and wait to be killed.
const grandparent = "SAFEBOX_TEST_GRANDPARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(grandparent); dir != "" {
		if err := beGrandparent(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func findTools(t *testing.T) vmm.Tools {
	t.Helper()
	tools, err := vmm.FindTools()
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	return tools
}

func newParent(t *testing.T) *vmm.Parent {
	t.Helper()
	p := vmm.NewParent()
	t.Cleanup(p.Close)
	return p
}

func TestProbe(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	start := time.Now()
	if err := vmm.Probe(t.Context(), p, tools, vmm.TCG); err != nil {
		t.Errorf("emulation works everywhere: %v", err)
	}
	t.Logf("probe of tcg: %v", time.Since(start))
	start = time.Now()
	t.Logf("probe of kvm: %v, %v", vmm.Probe(t.Context(), p, tools, vmm.KVM), time.Since(start))
}

// A QEMU that ends well but never ran the guest, one that fails and one that
// hangs: only the guest's own exit status counts.
func TestProbeIsNoConstant(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	for _, tc := range []struct{ name, script, want string }{
		{"ends at once", "exit 0", "exit status 0"},
		{"fails", "echo 'qemu-system-x86_64: error: no such accelerator' >&2; exit 1", "no such accelerator"},
		{"hangs", "exec sleep 60", "within 5s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := tools
			fake.QEMU = script(t, tc.script)
			if err := vmm.Probe(t.Context(), p, fake, vmm.KVM); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	broken, working := tools, tools
	broken.QEMU = script(t, "echo 'qemu-system-x86_64: KVM internal error' >&2; exit 1")
	working.QEMU = script(t, "exit 85")
	for _, tc := range []struct {
		name  string
		tools vmm.Tools
		want  vmm.Accel
		got   vmm.Accel
		why   string
		err   string
	}{
		{"auto, works", working, vmm.Auto, vmm.KVM, "", ""},
		{"auto, broken", broken, vmm.Auto, vmm.TCG, "KVM internal error", ""},
		{"kvm, works", working, vmm.KVM, vmm.KVM, "", ""},
		{"kvm, broken", broken, vmm.KVM, "", "", "KVM is not usable"},
		{"tcg needs no probe", broken, vmm.TCG, vmm.TCG, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, why, err := vmm.Choose(t.Context(), p, tc.tools, tc.want)
			if got != tc.got || !strings.Contains(why, tc.why) || (err == nil) != (tc.err == "") {
				t.Errorf("got %q, %q, %v, want %q, %q, %q", got, why, err, tc.got, tc.why, tc.err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got error %v, want one with %q", err, tc.err)
			}
		})
	}
}

func TestCheckQEMU(t *testing.T) {
	tools := findTools(t)
	if err := tools.CheckQEMU(t.Context()); err != nil {
		t.Errorf("%v: run ci/setup", err)
	}
	tools.QEMU = script(t, "echo 'QEMU emulator version 7.2.17 (Debian 1:7.2+dfsg-7)'")
	if err := tools.CheckQEMU(t.Context()); err == nil || !strings.Contains(err.Error(), "QEMU 7 is too old, want 10") {
		t.Errorf("got %v, want QEMU 7 refused", err)
	}
}

func TestFindToolsNamesTheMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, name := range []string{"qemu-system-x86_64", "swtpm", "swtpm_setup", "swtpm_localca"} {
		_, err := vmm.FindTools()
		if want := name + " not found"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/true\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// The TPM is asked through the very channel that the VMM would use.
func TestTPM(t *testing.T) {
	tools, p, dir := findTools(t), newParent(t), filepath.Join(t.TempDir(), "a folder, with a comma")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	before := listDir(t, os.TempDir())
	start := time.Now()
	if err := vmm.MakeTPM(t.Context(), p, tools, dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("swtpm_setup: %v", time.Since(start))
	for name := range listDir(t, os.TempDir()) {
		if !before[name] && strings.Contains(name, "swtpm") {
			t.Errorf("left behind in the temporary folder: %s", name)
		}
	}
	checkRoot(t, filepath.Join(dir, vmm.RootCertificate))

	start = time.Now()
	tpm, control, err := vmm.StartTPM(p, tools, dir)
	if err != nil {
		t.Fatal(err)
	}
	data := startChannel(t, control)
	t.Logf("swtpm answers: %v", time.Since(start))
	dev := transport.FromReadWriter(data)
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(dev); err != nil {
		t.Fatal(err)
	}
	caps, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute(dev)
	if err != nil {
		t.Fatal(err)
	}
	pcrs, err := caps.CapabilityData.Data.AssignedPCR()
	if err != nil {
		t.Fatal(err)
	}
	var banks []tpm2.TPMAlgID
	for _, s := range pcrs.PCRSelections {
		if !bytes.Equal(s.PCRSelect, []byte{0, 0, 0}) {
			banks = append(banks, s.Hash)
		}
	}
	if len(banks) != 2 || banks[0] != tpm2.TPMAlgSHA256 || banks[1] != tpm2.TPMAlgSHA384 {
		t.Errorf("active banks %x, want SHA-256 and SHA-384", banks)
	}
	// TCG EK Credential Profile 2.5, section 2.2.1.4: NV index of the RSA 2048 certificate.
	if _, err := (tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(0x01c00002)}).Execute(dev); err != nil {
		t.Errorf("no endorsement certificate: %v", err)
	}

	// The VMM goes: so does the emulator.
	for _, c := range []io.Closer{data, control} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-tpm.Done():
	case <-time.After(10 * time.Second):
		t.Error("the emulator outlived its VMM")
	}
}

// startChannel does what QEMU does: it hands the emulator a data channel and
// initialises it. swtpm_ioctl(8) and its tpm_ioctl.h: commands and results are
// big-endian u32; CMD_SET_DATAFD = 16 with the descriptor, CMD_INIT = 2 with
// flags.
func startChannel(t *testing.T, control *os.File) io.ReadWriteCloser {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Sendmsg(int(control.Fd()), []byte{0, 0, 0, 16}, syscall.UnixRights(fds[1]), nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Close(fds[1]); err != nil {
		t.Fatal(err)
	}
	readZero(t, control)
	if _, err := control.Write([]byte{0, 0, 0, 2, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	readZero(t, control)
	return os.NewFile(uintptr(fds[0]), "tpm-data")
}

func readZero(t *testing.T, r io.Reader) {
	t.Helper()
	b := make([]byte, 4)
	if _, err := io.ReadFull(r, b); err != nil || !bytes.Equal(b, make([]byte, 4)) {
		t.Fatalf("TPM emulator answered %x, %v, want 00000000", b, err)
	}
}

func checkRoot(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("%s: no PEM", path)
	}
	if c, err := x509.ParseCertificate(block.Bytes); err != nil || !c.IsCA {
		t.Errorf("root certificate: %v, want an authority", err)
	}
}

// Two authorities are two: nothing is shared between machines.
func TestTPMsShareNothing(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	var roots [2][]byte
	for i := range roots {
		dir := t.TempDir()
		if err := vmm.MakeTPM(t.Context(), p, tools, dir); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, vmm.RootCertificate))
		if err != nil {
			t.Fatal(err)
		}
		roots[i] = b
	}
	if bytes.Equal(roots[0], roots[1]) {
		t.Error("two TPMs have one root")
	}
}

func TestMakeTPMFails(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	tools.LocalCA = script(t, "echo no authority today >&2; exit 1")
	if err := vmm.MakeTPM(t.Context(), p, tools, t.TempDir()); err == nil || !strings.Contains(err.Error(), "making TPM: swtpm_setup: ") {
		t.Errorf("got %v, want swtpm_setup's failure", err)
	}
}

// machine is a real QEMU with a real TPM emulator and a firmware that only
// talks; its files lie below a path with a comma.
func machine(t *testing.T, text string, end vmmtest.End, boot vmm.Boot) vmm.Machine {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a,b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	m := vmm.Machine{
		Name: "test", Boot: boot, VCPUs: 2, Memory: vmm.MinMemory, Accel: vmm.TCG, Port: freePort(t),
		Code: file("code.fd", vmmtest.Firmware(text, end)), Vars: file("vars.fd", vmmtest.Vars()),
	}
	if boot == vmm.ESP {
		m.Disk = file("disk.raw", make([]byte, 1<<20))
	} else {
		m.UKI = file("uki.efi", make([]byte, 1<<20))
	}
	return m
}

func boot(t *testing.T, m vmm.Machine, console io.Writer) (*vmm.VM, *vmm.TPM) {
	t.Helper()
	tools, p, dir := findTools(t), newParent(t), t.TempDir()
	if err := vmm.MakeTPM(t.Context(), p, tools, dir); err != nil {
		t.Fatal(err)
	}
	tpm, control, err := vmm.StartTPM(p, tools, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, control)
	vm, err := vmm.Start(p, tools, m, control, console)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range []*vmm.Child{vm.Child, tpm.Child} {
			if err := c.Stop(time.Second); err != nil {
				t.Error(err)
			}
		}
	})
	return vm, tpm
}

// TestArgsAccepted is the proof that QEMU takes our arguments: the guest runs,
// its console arrives whole, and everybody ends.
func TestArgsAccepted(t *testing.T) {
	text := strings.Repeat("safebox: a line of the console, long enough to fill pipes and buffers\r\n", 200)
	for _, b := range []vmm.Boot{vmm.ESP, vmm.Kernel} {
		t.Run(string(b), func(t *testing.T) {
			var console bytes.Buffer
			vm, tpm := boot(t, machine(t, text, vmmtest.Reset, b), &console)
			if err := vm.End(); err != nil {
				t.Fatal(err)
			}
			if console.String() != text {
				t.Errorf("console: got %d bytes, want %d", console.Len(), len(text))
			}
			select {
			case <-tpm.Done():
			case <-time.After(10 * time.Second):
				t.Error("the TPM emulator outlived QEMU")
			}
		})
	}
}

func TestStopHangingGuest(t *testing.T) {
	r, w := io.Pipe()
	vm, _ := boot(t, machine(t, "here\r\n", vmmtest.Hang, vmm.ESP), w)
	if line, err := bufio.NewReader(r).ReadString('\n'); err != nil || line != "here\r\n" {
		t.Fatalf("console: got %q, %v", line, err)
	}
	start := time.Now()
	if err := vm.Stop(vmm.StopGrace); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d >= vmm.StopGrace {
		t.Errorf("took %v, want SIGTERM to be enough", d)
	}
	if err := vm.End(); err == nil || !strings.Contains(err.Error(), "terminating on signal 15") {
		t.Errorf("got %v, want a machine that did not end by itself", err)
	}
}

func TestForwardedPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, l)
	m := machine(t, "", vmmtest.Hang, vmm.ESP)
	m.Port = l.Addr().(*net.TCPAddr).Port
	vm, _ := boot(t, m, io.Discard)
	if !vm.PortTaken() {
		t.Errorf("got %v, want the port reported", vm.End())
	}
}

// When the agent is killed, QEMU, the emulator and swtpm_setup with the
// emulator of its own go with it.
func TestChildrenDieWithTheAgent(t *testing.T) {
	for _, stage := range []string{"setup", "running"} {
		t.Run(stage, func(t *testing.T) {
			dir := t.TempDir()
			agent := exec.Command(os.Args[0], stage)
			agent.Env = append(os.Environ(), grandparent+"="+dir)
			out, err := agent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := agent.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "ready") {
				t.Fatalf("agent said %q, %v", line, err)
			}
			children := within(t, dir)
			if len(children) < 2 {
				t.Errorf("found processes %v, want at least two", children)
			}
			if err := agent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := agent.Wait(); err == nil {
				t.Error("agent ended by itself")
			}
			deadline := time.Now().Add(10 * time.Second)
			for len(within(t, dir)) > 0 {
				if time.Now().After(deadline) {
					t.Fatalf("still there: %v", within(t, dir))
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
}

// beGrandparent is an agent that starts its children in dir and then waits to
// be killed.
func beGrandparent(dir string) error {
	tools, err := vmm.FindTools()
	if err != nil {
		return err
	}
	p := vmm.NewParent()
	if os.Args[1] == "setup" {
		// The authority's tool marks the moment and stays.
		ca := filepath.Join(filepath.Dir(dir), "localca")
		if err := os.WriteFile(ca, []byte("#!/bin/sh\necho ready > \""+dir+"/mark\"\nsleep 2\n"), 0o755); err != nil {
			return err
		}
		tools.LocalCA = ca
		go func() {
			for {
				if _, err := os.Stat(filepath.Join(dir, "mark")); err == nil {
					fmt.Println("ready")
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		return vmm.MakeTPM(context.Background(), p, tools, dir)
	}
	if err := vmm.MakeTPM(context.Background(), p, tools, dir); err != nil {
		return err
	}
	_, control, err := vmm.StartTPM(p, tools, dir)
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"code": vmmtest.Firmware("ready\n", vmmtest.Hang), "vars": vmmtest.Vars(), "uki": make([]byte, 1<<20)} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return err
	}
	vm, err := vmm.Start(p, tools, vmm.Machine{
		Name: "orphan", Boot: vmm.Kernel, UKI: filepath.Join(dir, "uki"), Code: filepath.Join(dir, "code"), Vars: filepath.Join(dir, "vars"),
		VCPUs: 1, Memory: vmm.MinMemory, Accel: vmm.TCG, Port: port,
	}, control, os.Stdout)
	if err != nil {
		return err
	}
	return vm.End()
}

// within lists the processes that work in dir or name it among their
// arguments, this test's agent and short-lived helpers left out.
func within(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || !(bytes.HasPrefix(cmdline, []byte("/usr")) || bytes.Contains(cmdline, []byte("qemu"))) {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err == nil && (cwd == dir || bytes.Contains(cmdline, []byte(dir))) {
			found = append(found, e.Name()+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

// script is an executable shell script with the given body.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func listDir(t *testing.T, dir string) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	return names
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, l)
	return l.Addr().(*net.TCPAddr).Port
}

func closeIt(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
