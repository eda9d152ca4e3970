package boot

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safebox/measure/tpm/golden"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// softwareTPM starts swtpm with the banks and gives its Unix socket.
func softwareTPM(t *testing.T, banks string) transport.TPM {
	t.Helper()
	dir, err := os.MkdirTemp("", "swtpm") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	run := func(name string, args ...string) *exec.Cmd {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%v: run ci/setup", err)
		}
		return exec.CommandContext(t.Context(), name, args...)
	}
	if out, err := run("swtpm_setup", "--tpm2", "--tpmstate", dir, "--pcr-banks", banks).CombinedOutput(); err != nil {
		t.Fatalf("swtpm_setup: %v\n%s", err, out)
	}
	socket := filepath.Join(dir, "s")
	swtpm := run("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	if err := swtpm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := swtpm.Process.Kill(); err != nil {
			t.Error(err)
		}
		t.Logf("swtpm: %v", swtpm.Wait())
	})
	return dial(t, socket)
}

// dial waits for the socket: swtpm makes it when it is ready.
func dial(t *testing.T, socket string) transport.TPM {
	t.Helper()
	var err error
	for range 200 {
		var tpm transport.TPMCloser
		if tpm, err = linuxudstpm.Open(socket); err == nil {
			t.Cleanup(func() {
				if err := tpm.Close(); err != nil {
					t.Error(err)
				}
			})
			return tpm
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

// TestReadRegisters reads a real TPM: after start-up PCR 17 to 22 are all
// ones, the others zero (TCG PC Client Platform TPM Profile 1.05, table 5:
// PCR initial and reset values); then one is extended.
func TestReadRegisters(t *testing.T) {
	tpm := softwareTPM(t, "sha256,sha384")
	got, err := readRegisters(tpm)
	if err != nil {
		t.Fatal(err)
	}
	for _, bank := range golden.Banks() {
		for i, v := range got[bank] {
			want := bank.Zero()
			if i >= 17 && i <= 22 {
				want = bytes.Repeat([]byte{0xff}, len(want))
			}
			if !want.Equal(v) {
				t.Errorf("%v pcr%d: got %v, want %v", bank, i, v, want)
			}
		}
	}
	one := bytes.Repeat([]byte{1}, 48)
	_, err = tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(12), Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{
			{HashAlg: tpm2.TPMAlgSHA256, Digest: one[:32]}, {HashAlg: tpm2.TPMAlgSHA384, Digest: one},
		}},
	}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = readRegisters(tpm); err != nil {
		t.Fatal(err)
	}
	for _, bank := range golden.Banks() {
		want := bank.Extend(bank.Zero(), one[:len(bank.Zero())])
		if v := got[bank][12]; !want.Equal(v) {
			t.Errorf("%v pcr12: got %v, want %v", bank, v, want)
		}
	}
	if banks := got.banks(); len(banks) != 2 || banks[1].Algorithm != "sha384" || len(banks[1].PCRs[23]) != 96 {
		t.Errorf("report has %v", banks)
	}
}

// TestMissingBank: a TPM that keeps no SHA-384 bank is an error, not a bank
// of empty values.
func TestMissingBank(t *testing.T) {
	_, err := readRegisters(softwareTPM(t, "sha256"))
	want := "reading sha384 pcr0 to pcr7: TPM returned 0 digests, want 8"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestOpenTPMWaitsAndGivesUp(t *testing.T) {
	if _, err := openTPM(filepath.Join(t.TempDir(), "none"), 20*time.Millisecond); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that there is no such file", err)
	}
}
