package image

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"safebox/image/output"
	"safebox/verifier/release"
)

// Names of artifacts that other packages ask for.
const (
	UKI          = "safebox.efi"
	RawDisk      = "safebox.raw"
	Enclave      = "safebox.eif"
	KernelConfig = "kernel.config" // as the kernel from source was built
	FirmwareCode = "firmware/OVMF_CODE_4M.fd"
	SBOM         = "sbom.cdx.json"
)

// Names of artifacts that only this package asks for.
const (
	vmlinuz     = "vmlinuz"
	initProgram = "safebox-init"
	ramdiskName = "initrd.cpio.zst"
	commandLine = "cmdline"
)

// Artifact is a file of a release in memory.
type Artifact struct {
	Name string
	Data []byte
	From []string // artifacts, packages and files of the source that it is made of, for the bill of materials
}

// Artifacts is a release in memory. Release describes all but itself.
type Artifacts struct {
	Release *release.Release

	files []Artifact
}

func newArtifacts() *Artifacts { return &Artifacts{} }

func (a *Artifacts) add(name string, data []byte, from ...string) {
	a.files = append(a.files, Artifact{Name: name, Data: data, From: from})
	slices.SortFunc(a.files, func(x, y Artifact) int { return strings.Compare(x.Name, y.Name) })
}

// File gives the content of an artifact; nil when there is none of that name.
func (a *Artifacts) File(name string) []byte {
	for _, f := range a.files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// list describes the files as release.json does.
func (a *Artifacts) list() []release.Artifact {
	out := make([]release.Artifact, 0, len(a.files))
	for _, f := range a.files {
		out = append(out, Describe(f.Name, f.Data))
	}
	return out
}

// Describe is a file as release.json has it.
func Describe(name string, data []byte) release.Artifact {
	sum := sha512.Sum384(data)
	return release.Artifact{Name: name, Size: int64(len(data)), SHA256: hexSHA256(data), SHA384: hex.EncodeToString(sum[:])}
}

// Write puts the release into the folder at path, whole or not at all.
func (a *Artifacts) Write(path string) error {
	encoded, err := a.Release.Encode()
	if err != nil {
		return err
	}
	folder, err := output.NewFolder(path, release.FileName)
	if err != nil {
		return err
	}
	for _, f := range append(slices.Clone(a.files), Artifact{Name: release.FileName, Data: encoded}) {
		err := folder.Write(f.Name, func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(f.Data))
			return err
		})
		if err != nil {
			if cleanup := folder.Discard(); cleanup != nil {
				return fmt.Errorf("%w; %w", err, cleanup)
			}
			return err
		}
	}
	return folder.Commit()
}
