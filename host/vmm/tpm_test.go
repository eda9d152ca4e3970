package vmm_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"safebox/host/vmm"
)

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
