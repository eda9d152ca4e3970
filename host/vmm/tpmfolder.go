package vmm

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"safebox/host/hint"
	"safebox/host/lockfile"
)

// Names below the folder of a TPM that outlives its machines.
const (
	folderLock   = "lock"             // held by the one agent that uses the TPM
	folderMarker = "safebox-tpm.json" // says that the folder is ours
	folderTPM    = "tpm"              // the TPM of MakeTPM; appears when it is complete
	folderNew    = "tpm.new"          // one that is being made
)

// folderMark is what the marker holds.
const folderMark = `{"type":"safebox/tpm-folder/v1"}` + "\n"

// TPMFolder is a software TPM that is kept: the machine has the same TPM at
// its next boot, as a machine with a chip has.
type TPMFolder struct {
	dir  string
	lock *os.File
	made bool
}

// FolderTPM is where the TPM of the folder dir lies, or will lie.
func FolderTPM(dir string) string { return filepath.Join(dir, folderTPM) }

// OpenTPMFolder takes the TPM in dir for the caller alone, until Close. A
// folder that is missing or empty becomes one; any other that is not ours is
// left as it is.
func OpenTPMFolder(ctx context.Context, p *Parent, t Tools, dir string) (*TPMFolder, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("opening TPM folder %s: %w", dir, err)
	}
	if err := f.fill(ctx, p, t); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openFolder locks the folder and makes it ours.
func openFolder(dir string) (*TPMFolder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ours, err := checkFolder(dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockfile.Try(filepath.Join(dir, folderLock))
	if errors.Is(err, lockfile.ErrHeld) {
		return nil, hint.New(errors.New("another launch uses it"), "one TPM serves one machine at a time: stop the other, or name another folder")
	}
	if err != nil {
		return nil, err
	}
	f := &TPMFolder{dir: dir, lock: lock}
	if ours {
		return f, nil
	}
	if err := os.WriteFile(filepath.Join(dir, folderMarker), []byte(folderMark), 0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkFolder tells whether the folder has our marker. It accepts one without
// only if there is nothing in it but, at most, what a launch makes first.
func checkFolder(dir string) (ours bool, err error) {
	mark, err := os.ReadFile(filepath.Join(dir, folderMarker))
	if err == nil && bytes.Equal(mark, []byte(folderMark)) {
		return true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Name() == folderLock && e.Type().IsRegular() || e.Name() == folderMarker && len(mark) == 0 {
			continue
		}
		return false, hint.New(fmt.Errorf("it holds %q, and no %s that says it is the folder of a TPM", e.Name(), folderMarker),
			"--tpm names an empty folder, one that does not exist yet, or one that an earlier launch made")
	}
	return false, nil
}

// fill makes the TPM unless there is one. It takes its name when it is
// complete: what a killed agent leaves is made anew.
func (f *TPMFolder) fill(ctx context.Context, p *Parent, t Tools) error {
	fi, err := os.Stat(f.TPM())
	switch {
	case err == nil && fi.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("opening TPM: %s is not a folder", f.TPM())
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("opening TPM: %w", err)
	}
	temp := filepath.Join(f.dir, folderNew)
	if err := os.RemoveAll(temp); err != nil {
		return fmt.Errorf("making TPM: %w", err)
	}
	if err := os.Mkdir(temp, 0o700); err != nil {
		return fmt.Errorf("making TPM: %w", err)
	}
	if err := MakeTPM(ctx, p, t, temp); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, f.TPM()); err != nil {
		return fmt.Errorf("making TPM: %w", err)
	}
	f.made = true
	return nil
}

// TPM is where the TPM lies: a folder for StartTPM.
func (f *TPMFolder) TPM() string { return FolderTPM(f.dir) }

// Made tells whether the TPM is new.
func (f *TPMFolder) Made() bool { return f.made }

// Close lets go of the TPM, which stays.
func (f *TPMFolder) Close() error { return f.lock.Close() }

// maxCertificate bounds a file with one certificate; swtpm's have 2 KiB.
const maxCertificate = 64 << 10

// Issuers gives the authorities between the certificate of an endorsement key
// and the root, whose path (RootCertificate) tells the TPM: DER, the leaf's
// issuer first.
func Issuers(root string) ([][]byte, error) {
	path := filepath.Join(filepath.Dir(root), filepath.Base(issuerCertificate))
	der, err := readCertificate(path)
	if err != nil {
		return nil, fmt.Errorf("reading the TPM's issuer: %w", err)
	}
	return [][]byte{der}, nil
}

// readCertificate reads a file that holds one certificate in PEM (RFC 7468,
// section 5). swtpm_localca writes text for people before it.
func readCertificate(path string) (der []byte, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxCertificate {
		return nil, fmt.Errorf("%s: %v of %d bytes, want a file of at most %d", path, fi.Mode().Type(), fi.Size(), maxCertificate)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: want a certificate in PEM", path)
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, fmt.Errorf("%s: want one certificate, got more", path)
	}
	return block.Bytes, nil
}
