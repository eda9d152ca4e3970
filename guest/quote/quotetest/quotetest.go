// Package quotetest gives tests a real TPM 2.0 in software: swtpm with
// endorsement keys, and certificates by an authority made for that one TPM.
package quotetest

import (
	"bytes"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"safebox/measure/eventlog"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// startTime bounds the start of the emulator; it takes some 10 ms.
const startTime = 20 * time.Second

// TPM is a running TPM.
type TPM struct {
	Dir    string // everything it keeps
	Root   string // path of the root certificate, PEM
	Issuer string // path of the certificate below it that issued those of the EKs, PEM

	swtpm *exec.Cmd
}

// configuration of the tools, relative to the folder they run in:
// swtpm_setup.conf(5), swtpm-localca.conf(5), swtpm-localca.options(5).
func configuration() map[string]string {
	return map[string]string{
		"setup.conf": "create_certs_tool = swtpm_localca\n" +
			"create_certs_tool_config = ca.conf\n" +
			"create_certs_tool_options = ca.options\n",
		"ca.conf": "statedir = ca\nsigningkey = ca/signkey.pem\n" +
			"issuercert = ca/issuercert.pem\ncertserial = ca/certserial\n",
		"ca.options": "--platform-manufacturer Safebox\n--platform-version 1\n--platform-model vtpm\n",
	}
}

// Start makes a TPM with the banks that are measured and powers it on; it ends
// with the test. Its registers are those of a machine whose firmware measured
// nothing yet.
func Start(t testing.TB) *TPM {
	t.Helper()
	return StartBanks(t, "sha256", "sha384")
}

// StartBanks is Start for a TPM that keeps these PCR banks only.
func StartBanks(t testing.TB, banks ...string) *TPM {
	t.Helper()
	// Not t.TempDir: the path of a socket has at most 107 bytes (unix(7)), and
	// names of tests are long.
	dir, err := os.MkdirTemp("", "tpm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	d := &TPM{Dir: dir}
	d.Root = filepath.Join(d.Dir, "ca", "swtpm-localca-rootca-cert.pem")
	d.Issuer = filepath.Join(d.Dir, "ca", "issuercert.pem")
	for _, name := range []string{"state", "ca", "tmp"} {
		if err := os.Mkdir(filepath.Join(d.Dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range configuration() {
		if err := os.WriteFile(filepath.Join(d.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setup := exec.Command(tool(t, "swtpm_setup"), "--tpm2", "--tpmstate", "state", "--config", "setup.conf",
		"--pcr-banks", strings.Join(banks, ","), "--create-ek-cert", "--create-platform-cert", "--lock-nvram")
	setup.Dir = d.Dir
	setup.Env = append(os.Environ(), "TMPDIR=tmp")
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("swtpm_setup: %v\n%s", err, out)
	}
	d.powerOn(t)
	t.Cleanup(func() { d.powerOff(t) })
	return d
}

// Restart turns the TPM off and on again: the next boot of the same machine.
// Connections made before are of no use any more.
func (d *TPM) Restart(t testing.TB) {
	t.Helper()
	d.powerOff(t)
	d.powerOn(t)
}

// Open gives a connection, closed at the end of the test.
func (d *TPM) Open(t testing.TB) transport.TPM {
	t.Helper()
	tpm, err := linuxudstpm.Open(d.socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tpm.Close(); err != nil {
			t.Error(err)
		}
	})
	return tpm
}

// Replay extends what a firmware's log says into the registers, as that
// firmware did: afterwards the log explains the registers.
func (d *TPM) Replay(t testing.TB, log []byte) {
	t.Helper()
	l, err := eventlog.Decode(log)
	if err != nil {
		t.Fatal(err)
	}
	tpm := d.Open(t)
	for i, e := range l.Events {
		if e.Type == eventlog.NoAction {
			continue
		}
		var values tpm2.TPMLDigestValues
		for _, digest := range e.Digests {
			values.Digests = append(values.Digests, tpm2.TPMTHA{HashAlg: tpm2.TPMAlgID(digest.Algorithm), Digest: digest.Value})
		}
		_, err := tpm2.PCRExtend{
			PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(e.PCR), Auth: tpm2.PasswordAuth(nil)},
			Digests:   values,
		}.Execute(tpm)
		if err != nil {
			t.Fatalf("extending pcr%d by event %d: %v", e.PCR, i, err)
		}
	}
}

// Certificate reads a PEM file with one certificate and gives its DER.
func Certificate(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		t.Fatalf("%s is not one certificate", path)
	}
	return block.Bytes
}

// socket is the path of the emulator's socket.
func (d *TPM) socket() string { return filepath.Join(d.Dir, "socket") }

func (d *TPM) powerOn(t testing.TB) {
	t.Helper()
	var said bytes.Buffer
	d.swtpm = exec.Command(tool(t, "swtpm"), "socket", "--tpm2", "--tpmstate", "dir=state",
		"--server", "type=unixio,path=socket", "--flags", "not-need-init,startup-clear")
	d.swtpm.Dir = d.Dir
	d.swtpm.Stdout, d.swtpm.Stderr = &said, &said
	d.swtpm.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.swtpm.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(startTime); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("unix", d.socket())
		if err == nil {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("swtpm did not start within %v: %v: %s", startTime, err, said.String())
		}
	}
}

func (d *TPM) powerOff(t testing.TB) {
	t.Helper()
	if err := d.swtpm.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.swtpm.Wait(); err == nil {
		t.Fatal("swtpm ended by itself")
	}
	if err := os.RemoveAll(d.socket()); err != nil {
		t.Fatal(err)
	}
}

// tool finds a program. A missing one is a failure: a test that did not run
// would look like one that passed.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s not found: run ci/setup", name)
	}
	return path
}
