package container

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"safebox/image/disk"
	"safebox/image/disk/disktest"
	"safebox/image/disk/gcp"
	"safebox/image/disk/sparse"
	"safebox/measure/gpt"
)

// encode makes the file of a format, and what it should hold.
func encode(t testing.TB, f Format) (file []byte, content *disk.Image) {
	t.Helper()
	content, err := f.Content(disktest.Files(300_001), disktest.Seed)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Encode(&b, content, disktest.Seed); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), content
}

// unpack lets an outside program make a raw disk of the file.
func unpack(t testing.TB, f Format, file string) string {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "disk.raw")
	switch f {
	case Raw:
		return file
	case QCOW2:
		disktest.Run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", file, out)
	case VHD:
		disktest.Run(t, "qemu-img", "convert", "-f", "vpc", "-O", "raw", file, out)
	case GCP:
		disktest.Run(t, "tar", "-xzf", file, "-C", dir)
	}
	return out
}

// TestOutside: sfdisk and fsck.vfat have nothing to say about the disk that
// qemu-img or GNU tar takes out of each file, its size is what the cloud asks
// for, and its system partition is the same bytes in all.
func TestOutside(t *testing.T) {
	var first []byte
	for _, f := range Formats() {
		b, content := encode(t, f)
		raw := unpack(t, f, disktest.Save(t, "safebox"+f.Extension(), b))
		if out := string(disktest.Run(t, "sfdisk", "--verify", raw)); !strings.Contains(out, "No errors detected") {
			t.Errorf("%v: sfdisk --verify: got\n%s", f, out)
		}
		var table struct {
			Table struct {
				LastLBA    int64
				Partitions []struct{ Start, Size int64 }
			} `json:"partitiontable"`
		}
		if err := json.Unmarshal(disktest.Run(t, "sfdisk", "--json", raw), &table); err != nil {
			t.Fatal(err)
		}
		file := disktest.Open(t, raw)
		// GPT's 33 sectors at the end are those of this disk, not of a smaller.
		if got, want := table.Table.LastLBA, file.Size()/512-34; got != want || file.Size() != content.Size() {
			t.Errorf("%v: disk of %d: last usable sector: got %d, want %d", f, file.Size(), got, want)
		}
		unit := map[Format]int64{Raw: 1 << 20, QCOW2: 1 << 20, VHD: 1 << 20, GCP: 1 << 30}[f]
		if file.Size()%unit != 0 {
			t.Errorf("%v: disk size: got %d, want a multiple of %d", f, file.Size(), unit)
		}
		disktest.Same(t, f.String(), file, content)

		p := table.Table.Partitions
		if len(p) != 1 {
			t.Fatalf("%v: got %d partitions, want 1", f, len(p))
		}
		esp := make([]byte, p[0].Size*512)
		if _, err := file.ReadAt(esp, p[0].Start*512); err != nil {
			t.Fatal(err)
		}
		out := string(disktest.Run(t, "fsck.vfat", "-n", disktest.Save(t, "esp", esp)))
		if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !strings.Contains(lines[1], " files, ") {
			t.Errorf("%v: fsck.vfat: got\n%s\nwant its version and its summary only", f, out)
		}
		if first == nil {
			first = esp
		}
		disktest.Equal(t, f.String()+": system partition", esp, first)
	}
}

// TestConverted: the content is the same as that of the files which qemu-img
// makes of our raw disk.
func TestConverted(t *testing.T) {
	raw, _ := encode(t, Raw)
	in := disktest.Save(t, "raw", raw)
	for f, options := range map[Format][]string{
		QCOW2: {"-O", "qcow2"},
		VHD:   {"-O", "vpc", "-o", "subformat=fixed,force_size=on"},
	} {
		kind := options[1]
		out := filepath.Join(t.TempDir(), "converted")
		disktest.Run(t, "qemu-img", append(append([]string{"convert", "-f", "raw"}, options...), in, out)...)
		b, _ := encode(t, f)
		disktest.Run(t, "qemu-img", "compare", "-f", kind, "-F", kind, disktest.Save(t, "ours", b), out)
		theirs := disktest.Read(t, out)
		d, err := Open(bytes.NewReader(theirs), int64(len(theirs)))
		if err != nil {
			t.Fatalf("%v by qemu-img: %v", f, err)
		}
		disktest.Same(t, f.String(), d, bytes.NewReader(raw))
	}
}

// TestOpen recognises each format, reads what was written, and finds what
// firmware measures into PCR 5: of Google's disk another value, as it is
// larger, of all others the same.
func TestOpen(t *testing.T) {
	events := map[Format][]byte{}
	for _, f := range Formats() {
		b, content := encode(t, f)
		d, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if d.Format != f {
			t.Errorf("%v: got format %v", f, d.Format)
		}
		disktest.Same(t, f.String(), d, content)
		for _, disk := range []sparse.Disk{d, content} {
			table, err := gpt.Decode(disk, disk.Size())
			if err != nil {
				t.Fatalf("%v: %v", f, err)
			}
			if event, ok := events[f]; ok && !bytes.Equal(event, table.EventData()) {
				t.Errorf("%v: event data of the content and of the file differ", f)
			}
			events[f] = table.EventData()
		}
	}
	for _, f := range Formats() {
		if same := bytes.Equal(events[f], events[Raw]); same != (f != GCP) {
			t.Errorf("%v: event data as of the raw disk: got %v", f, same)
		}
	}
	// UEFI 2.10, table 5-5: AlternateLBA is the last sector of the disk, and
	// 1 GiB has 2097152 of them.
	if got := events[GCP][32:40]; !bytes.Equal(got, []byte{0xff, 0xff, 0x1f, 0, 0, 0, 0, 0}) {
		t.Errorf("GCP: AlternateLBA: got %x, want 0x1fffff", got)
	}
}

// TestPCR5: values of PCR 5 that a TPM reported. OVMF 2025.02 (Debian) under
// QEMU 10.0.2 with swtpm was started from a release's safebox.qcow2, its
// safebox.vhd (QEMU's vpc) and the disk.raw of its safebox.gcp.tar.gz. The
// register does not depend on what lies in the system partition, of which
// nothing but the size shows.
func TestPCR5(t *testing.T) {
	const small = "ddfe9614e66dd293864dc3648536a1995f77530aab0c01a7f3bbe25cb4a58be4"
	reported := map[Format]string{
		Raw: small, QCOW2: small, VHD: small,
		GCP: "e2ff7482fa4401b03621a4ec940e753475b79c23dc19edb8a54719ae36ed5d17",
	}
	for f, want := range reported {
		content, err := f.Content(disktest.Files(1000), "safebox/disk/v1") // the seed of releases
		if err != nil {
			t.Fatal(err)
		}
		table, err := gpt.Decode(content, content.Size())
		if err != nil {
			t.Fatal(err)
		}
		var pcr [32]byte
		// specs/image.md, section 2.4: separator, table, what the end of the
		// boot services leaves.
		for _, event := range [][]byte{
			{0, 0, 0, 0},
			table.EventData(),
			[]byte("Exit Boot Services Invocation"),
			[]byte("Exit Boot Services Returned with Success"),
		} {
			digest := sha256.Sum256(event)
			pcr = sha256.Sum256(append(pcr[:], digest[:]...))
		}
		if got := hex.EncodeToString(pcr[:]); got != want {
			t.Errorf("%v: PCR 5: got %s, want %s", f, got, want)
		}
	}
}

func TestRecognise(t *testing.T) {
	files := map[Format][]byte{}
	for _, f := range Formats() {
		files[f], _ = encode(t, f)
	}
	splice := func(b []byte, off int, with string) []byte {
		b = slices.Clone(b)
		copy(b[(off+len(b))%len(b):], with)
		return b
	}
	tests := map[string]struct {
		b    []byte
		want string
	}{
		"empty":                    {nil, "not recognised as a disk"},
		"text":                     {[]byte("text"), "not recognised as a disk"},
		"zeros":                    {make([]byte, 4096), "not recognised as a disk"},
		"raw that begins as qcow2": {splice(files[Raw], 0, "QFI\xfb"), "ambiguous: could be raw or qcow2"},
		"raw that begins as gzip":  {splice(files[Raw], 0, "\x1f\x8b\x08"), "ambiguous: could be raw or gcp"},
		"VHD that begins as qcow2": {splice(files[VHD], 0, "QFI\xfb"), "ambiguous: could be qcow2 or vhd"},
		"qcow2 that ends as VHD":   {splice(files[QCOW2], -512, "conectix"), "ambiguous: could be qcow2 or vhd"},
		"gzip that ends as VHD":    {splice(files[GCP], -512, "conectix"), "ambiguous: could be vhd or gcp"},
		"damaged qcow2":            {splice(files[QCOW2], 4, "\x00\x00\x00\x09"), "parsing qcow2: header: version: got 9"},
		"damaged VHD":              {splice(files[VHD], -1, "x"), "parsing VHD footer: checksum"},
		"damaged gzip":             {splice(files[GCP], -1, "x"), "parsing GCP disk: end of the tar: gzip: invalid checksum"},
		"gzip of a text":           {[]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x01\x00\xfe\xffx"), "parsing GCP disk: tar header: unexpected EOF"},
	}
	for name, tt := range tests {
		_, err := Open(bytes.NewReader(tt.b), int64(len(tt.b)))
		if err == nil || !strings.Contains(err.Error(), "opening disk: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, tt.want)
		}
		if got := errors.Is(err, ErrUnknown); got != strings.HasPrefix(tt.want, "not recognised") {
			t.Errorf("%s: errors.Is ErrUnknown: got %v", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	want := map[string]string{"raw": ".raw", "qcow2": ".qcow2", "vhd": ".vhd", "gcp": ".gcp.tar.gz"}
	for name, extension := range want {
		f, err := Parse(name)
		if err != nil || f.String() != name || f.Extension() != extension {
			t.Errorf("%s: got %v, %q, %v", name, f, f.Extension(), err)
		}
	}
	if len(Formats()) != len(want) {
		t.Errorf("formats: got %v", Formats())
	}
	if _, err := Parse("vmdk"); err == nil || err.Error() != `disk format: got "vmdk", want one of: raw, qcow2, vhd, gcp` {
		t.Errorf("unknown format: got %v", err)
	}
	if err := Format(9).Encode(io.Discard, nil, ""); err == nil {
		t.Error("writing an unknown format: got no error")
	}
}

// TestSizes: the smallest and the largest partition fit Google's size.
func TestSizes(t *testing.T) {
	for _, n := range []int{1, 260_000_000} {
		im, err := GCP.Content([]disk.File{{Path: disk.Boot, Data: make([]byte, n)}}, disktest.Seed)
		if err != nil || im.Size() != gcp.GiB {
			t.Errorf("%d bytes: got %v, want 1 GiB", n, err)
		}
	}
	if _, err := GCP.Content(nil, disktest.Seed); err == nil {
		t.Error("no files: got no error")
	}
}

// TestDeterministic: built twice, the files are the same bytes, and another
// seed makes others.
func TestDeterministic(t *testing.T) {
	for _, f := range Formats() {
		a, _ := encode(t, f)
		b, _ := encode(t, f)
		disktest.Equal(t, f.String(), a, b)
		content, err := f.Content(disktest.Files(300_001), "another")
		if err != nil {
			t.Fatal(err)
		}
		var other bytes.Buffer
		if err := f.Encode(&other, content, "another"); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(a, other.Bytes()) {
			t.Errorf("%v: another seed made the same file", f)
		}
	}
}
