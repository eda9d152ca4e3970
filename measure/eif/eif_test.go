package eif

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/vectortest"
)

// vector is one element of ../testdata/nitro/eif/vectors.json, which another
// program wrote.
type vector struct {
	File, CRC32, SHA256 string
	Size                int64
	PCR                 map[string]string
}

// refused are the images of the vectors that a strict reader refuses, with the
// sentence for each.
func refused() map[string]string {
	return map[string]string{
		"gap_between_sections.eif": "parsing EIF: section 1 at 0x680: offset: got 0x680, want 0x640: a gap of 64 bytes before it",
		"bad_crc.eif":              "parsing EIF: header: CRC32 at 0x220: got 0x4fa496c6, want 0x4fa496c7, that of the file's bytes",
		"size_mismatch.eif":        "parsing EIF: section 0 at 0x224: kernel: size: got 1040 in the section's header, want 1041 as in the file's",
	}
}

// order is how the notes of the vectors describe the files.
func order() map[string][]string {
	aws := []string{"kernel", "cmdline", "metadata", "ramdisk", "ramdisk"}
	return map[string][]string{
		"one_ramdisk.eif":          aws[:4],
		"two_ramdisks.eif":         aws,
		"two_ramdisks_aarch64.eif": aws,
		"three_ramdisks.eif":       append(aws[:5:5], "ramdisk"),
		"metadata_last.eif":        {"kernel", "cmdline", "ramdisk", "ramdisk", "metadata"},
		"cmdline_last.eif":         {"kernel", "ramdisk", "ramdisk", "cmdline", "metadata"},
		"signed_p384.eif":          append(aws[:5:5], "signature"),
	}
}

func TestVectors(t *testing.T) {
	vectortest.Each(t, testdata(), "eif", func(t *testing.T, v vectortest.Vector) {
		var want vector
		v.Decode(t, &want)
		b := v.File(t, want.File)
		if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != want.SHA256 || int64(len(b)) != want.Size {
			t.Fatalf("file: got SHA-256 %x and %d bytes, want %s and %d", got, len(b), want.SHA256, want.Size)
		}
		f, err := openBytes(b)
		if sentence, ok := refused()[want.File]; ok {
			if err == nil || err.Error() != sentence {
				t.Errorf("got %v, want %s", err, sentence)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%08x", f.Header.CRC32); got != want.CRC32 {
			t.Errorf("CRC32: got %s, want %s", got, want.CRC32)
		}
		arch := "x86_64"
		if strings.Contains(want.File, "aarch64") {
			arch = "aarch64"
		}
		if f.Header.Version != 4 || f.Header.Arch.String() != arch {
			t.Errorf("got version %d for %v, want 4 for %s", f.Header.Version, f.Header.Arch, arch)
		}
		checkContent(t, f, want.File)
		if signed := want.PCR["PCR8"] != ""; (f.Signature != nil) != signed {
			t.Errorf("signature: got %v, want one: %t", f.Signature, signed)
		}
	})
}

// checkContent compares with the files that the images were made of.
func checkContent(t *testing.T, f *File, name string) {
	t.Helper()
	var types []string
	ramdisks := 0
	for i, s := range f.Sections {
		types = append(types, s.Type.String())
		inputs := map[Type]string{
			KernelSection: "in_kernel.bin", CommandLineSection: "in_cmdline.txt", MetadataSection: "in_metadata.json",
			SignatureSection: "signed_p384_signature_section.cbor", RamdiskSection: fmt.Sprintf("in_ramdisk%d.bin", ramdisks),
		}
		if s.Type == RamdiskSection {
			ramdisks++
		}
		got, err := io.ReadAll(s.Data())
		if err != nil {
			t.Fatal(err)
		}
		if want := readFile(t, inputs[s.Type]); !bytes.Equal(got, want) {
			t.Errorf("section %d: content is not that of %s", i, inputs[s.Type])
		}
	}
	if diff := cmp.Diff(order()[name], types); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	if want := readFile(t, "in_cmdline.txt"); !bytes.Equal(f.CommandLine, want) {
		t.Errorf("command line: got %q, want %q", f.CommandLine, want)
	}
	want := &Metadata{
		ImageName: "vector", ImageVersion: "1.0", Docker: []byte("null"), Custom: []byte("null"), Others: []string{},
		Build: BuildMetadata{
			Time: "1970-01-01T00:00:00+00:00", Tool: "eifgen", ToolVersion: "0.0.0", OperatingSystem: "Linux", KernelVersion: "0.0.0",
		},
	}
	if diff := cmp.Diff(want, f.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

// TestHeader: the two fields that AWS's tools write and nobody reads.
func TestHeader(t *testing.T) {
	f, err := openBytes(good().encode())
	if err != nil {
		t.Fatal(err)
	}
	if f.Header.Memory != 1<<30 || f.Header.CPUs != 2 {
		t.Errorf("got %d bytes and %d CPUs, want 1 GiB and 2", f.Header.Memory, f.Header.CPUs)
	}
}

// TestOlder: versions 2 and 3 have no metadata and are read on request only.
func TestOlder(t *testing.T) {
	old := good().only(0, 1, 3)
	for _, version := range []uint16{2, 3} {
		old.version = version
		b := old.encode()
		_, err := openBytes(b)
		want := fmt.Sprintf("parsing EIF: header: version at 0x4: got %d, want 4: an older format, which is read only on request", version)
		if err == nil || err.Error() != want {
			t.Errorf("Open: got %v, want %s", err, want)
		}
		f, err := OpenOlder(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.Version != version || f.Metadata != nil || len(f.Sections) != 3 {
			t.Errorf("got version %d, metadata %v, %d sections, want %d, none, 3", f.Header.Version, f.Metadata, len(f.Sections), version)
		}
	}
	b := good().encode()
	if _, err := OpenOlder(bytes.NewReader(b), int64(len(b))); err != nil {
		t.Errorf("OpenOlder of version 4: %v", err)
	}
}

// TestShrinking: a file that becomes shorter while it is read.
func TestShrinking(t *testing.T) {
	b := good().encode()
	for _, n := range []int{0, 0x223, 0x224, 0x22f, 0x240, len(b) - 1} {
		_, err := Open(bytes.NewReader(b[:n]), int64(len(b)))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: got %v, want %v", n, len(b), err, io.ErrUnexpectedEOF)
		}
	}
}

// TestReadError: what the medium reports comes through.
func TestReadError(t *testing.T) {
	broken := errors.New("bad sector")
	b := good().encode()
	for _, at := range []int64{0, 0x224, 0x240, int64(len(b)) - 1} {
		_, err := Open(failing{bytes.NewReader(b), at, broken}, int64(len(b)))
		if !errors.Is(err, broken) {
			t.Errorf("bad byte %#x: got %v, want %v", at, err, broken)
		}
	}
}

type failing struct {
	r   io.ReaderAt
	at  int64
	err error
}

func (f failing) ReadAt(b []byte, offset int64) (int, error) {
	if offset <= f.at && f.at < offset+int64(len(b)) {
		return 0, f.err
	}
	return f.r.ReadAt(b, offset)
}
