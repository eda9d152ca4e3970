package vmm_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"safebox/host/lockfile"
	"safebox/host/vmm"
)

// TestTPMFolderKeepsItsTPM: the second machine has the keys and certificates
// of the first.
func TestTPMFolderKeepsItsTPM(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	dir := filepath.Join(t.TempDir(), "not", "there, yet")
	var keys [2][]byte
	for i := range keys {
		f, err := vmm.OpenTPMFolder(t.Context(), p, tools, dir)
		if err != nil {
			t.Fatal(err)
		}
		if f.Made() != (i == 0) || f.TPM() != vmm.FolderTPM(dir) {
			t.Errorf("start %d: made %v, TPM at %s", i, f.Made(), f.TPM())
		}
		if _, err := vmm.OpenTPMFolder(t.Context(), p, tools, dir); err == nil || !strings.Contains(err.Error(), "another launch uses it") {
			t.Errorf("a second user: got %v", err)
		}
		checkRoot(t, filepath.Join(f.TPM(), vmm.RootCertificate))
		keys[i] = endorsementKey(t, tools, p, f.TPM())
		closeIt(t, f)
	}
	if !bytes.Equal(keys[0], keys[1]) {
		t.Errorf("endorsement keys differ: %x, %x", keys[0], keys[1])
	}
}

// endorsementKey starts the TPM and reads its RSA key, which swtpm_setup keeps
// at this handle (TCG TPM v2.0 Provisioning Guidance 1.0, section 7.8).
func endorsementKey(t *testing.T, tools vmm.Tools, p *vmm.Parent, dir string) []byte {
	t.Helper()
	tpm, control, err := vmm.StartTPM(p, tools, dir)
	if err != nil {
		t.Fatal(err)
	}
	data := startChannel(t, control)
	dev := transport.FromReadWriter(data)
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(dev); err != nil {
		t.Fatal(err)
	}
	a, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81010001)}.Execute(dev)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{data, control} {
		closeIt(t, c)
	}
	<-tpm.Done()
	return a.OutPublic.Bytes()
}

// What is not ours stays as it is, and no TPM is put into it.
func TestTPMFolderSparesStrangers(t *testing.T) {
	tools, p := findTools(t), newParent(t)
	for name, text := range map[string]string{
		"thesis": "x", "tpm": "", "safebox-tpm.json": `{"type":"something else"}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := vmm.OpenTPMFolder(t.Context(), p, tools, dir)
		if err == nil || !strings.Contains(err.Error(), "it holds") {
			t.Errorf("%s: got %v, want the folder refused", name, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: now in the folder: %v, %v", name, entries, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := vmm.OpenTPMFolder(t.Context(), p, tools, file); err == nil {
		t.Error("a file was accepted as a folder")
	}
}

// What launches leave that were killed while they made a TPM.
func TestTPMFolderUnfinished(t *testing.T) {
	tools, p, dir := findTools(t), newParent(t), t.TempDir()
	for _, name := range []string{"lock", "safebox-tpm.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := vmm.OpenTPMFolder(ctx, p, tools, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it interrupted", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tpm.new")); err == nil {
		t.Error("half a TPM was left")
	}
	if held, err := lockfile.Held(filepath.Join(dir, "lock")); held || err != nil {
		t.Errorf("held %v, %v after the failure", held, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "tpm.new", "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := vmm.OpenTPMFolder(t.Context(), p, tools, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, f)
	if !f.Made() {
		t.Error("no TPM was made")
	}
	checkIssuers(t, filepath.Join(f.TPM(), vmm.RootCertificate))
}

// checkIssuers lets openssl, which knows nothing of ours, judge the chain.
func checkIssuers(t *testing.T, root string) {
	t.Helper()
	issuers, err := vmm.Issuers(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(issuers) != 1 {
		t.Fatalf("%d issuers, want 1", len(issuers))
	}
	if c, err := x509.ParseCertificate(issuers[0]); err != nil || !c.IsCA {
		t.Errorf("issuer: %v, want an authority", err)
	}
	path := filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuers[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("openssl", "verify", "-CAfile", root, path).CombinedOutput(); err != nil {
		t.Errorf("openssl verify: %v: %s", err, out)
	}
}

func TestIssuersRefuse(t *testing.T) {
	one := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}))
	for name, text := range map[string]string{
		"want a certificate in PEM":          "no PEM",
		"want one certificate, got more":     one + one,
		"want a file of at most 65536":       strings.Repeat("x", 64<<10+1),
		"issuercert.pem: want a certificate": "-----BEGIN X-----\n-----END X-----\n",
		"no such file":                       "",
	} {
		dir := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, "issuercert.pem"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := vmm.Issuers(filepath.Join(dir, "root.pem")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
}
