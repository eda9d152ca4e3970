package vmm_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

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
