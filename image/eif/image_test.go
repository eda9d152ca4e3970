package eif

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	reader "safebox/measure/eif"
	"safebox/measure/nitro"
	"safebox/measure/vectortest"
)

func vectors() fs.FS { return os.DirFS("../../measure/testdata") }

// vectorFile reads a file of measure/testdata/nitro/eif.
func vectorFile(t testing.TB, name string) []byte {
	t.Helper()
	return vectortest.File(t, vectors(), "nitro/eif/"+name)
}

func testFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// registers are what vectors.json, which another program wrote, says of a file.
func registers(t testing.TB, name string) map[string]string {
	t.Helper()
	var list []struct {
		File string
		PCR  map[string]string
	}
	if err := json.Unmarshal(vectorFile(t, "vectors.json"), &list); err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		if v.File == name {
			return v.PCR
		}
	}
	t.Fatalf("vectors.json has no %s", name)
	return nil
}

// kernel is a bzImage as far as a loader looks: the setup code of a real one
// (measure/bzimage/testdata/README.md), and 16 bytes of zeros for each of
// paragraphs behind it.
func kernel(t testing.TB, paragraphs int) []byte {
	t.Helper()
	b, err := os.ReadFile("../../measure/bzimage/testdata/vmlinuz-setup.bin")
	if err != nil {
		t.Fatal(err)
	}
	// boot.rst, "The Real-Mode Kernel Header": 0x1f4, syssize.
	b[0x1f4], b[0x1f5], b[0x1f6], b[0x1f7] = byte(paragraphs), byte(paragraphs>>8), byte(paragraphs>>16), 0
	return append(b, make([]byte, 16*paragraphs)...)
}

// good is an image that is right in every respect.
func good(t testing.TB) Image {
	t.Helper()
	return Image{
		Kernel:      kernel(t, 100),
		CommandLine: []byte("panic=1 console=ttyS0"),
		Ramdisks:    [][]byte{[]byte("\x28\xb5\x2f\xfdone"), []byte("\x1f\x8btwo")},
		Metadata:    ReleaseMetadata(1767225600, "6.12.107"),
	}
}

func mustEncode(t testing.TB, im Image) []byte {
	t.Helper()
	b, err := Encode(im)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// apart reads an image that the strict reader takes, and gives what Encode
// would make it of. The vectors' metadata have one form.
func apart(t testing.TB, b []byte) Image {
	t.Helper()
	f, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, f.Metadata.Build.Time)
	if err != nil {
		t.Fatal(err)
	}
	im := Image{CommandLine: f.CommandLine, Metadata: Metadata{
		ImageName: f.Metadata.ImageName, ImageVersion: f.Metadata.ImageVersion, Epoch: at.Unix(),
		BuildTool: f.Metadata.Build.Tool, BuildToolVersion: f.Metadata.Build.ToolVersion,
		OperatingSystem: f.Metadata.Build.OperatingSystem, KernelVersion: f.Metadata.Build.KernelVersion,
	}}
	for _, s := range f.Sections {
		data, err := io.ReadAll(s.Data())
		if err != nil {
			t.Fatal(err)
		}
		switch s.Type {
		case reader.KernelSection:
			im.Kernel = data
		case reader.RamdiskSection:
			im.Ramdisks = append(im.Ramdisks, data)
		case reader.CommandLineSection, reader.MetadataSection, reader.SignatureSection:
		}
	}
	return im
}

// checkRegisters compares with values from outside.
func checkRegisters(t *testing.T, b []byte, want map[string]string) {
	t.Helper()
	f, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := nitro.Predict(nitro.Input{Image: f})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range p.PCRs {
		name := fmt.Sprintf("PCR%d", i)
		if want[name] != "" && r.Value.String() != want[name] {
			t.Errorf("%s: got %v, want %s", name, r.Value, want[name])
		}
	}
	if signed := want["PCR8"] != ""; (f.Signature != nil) != signed {
		t.Errorf("signature: got %v, want one: %t", f.Signature, signed)
	}
}

// TestVectors takes images of another program apart and writes them again. The
// content of their sections is text, so that they pass encode and not Encode.
func TestVectors(t *testing.T) {
	for _, name := range []string{"one_ramdisk.eif", "two_ramdisks.eif", "three_ramdisks.eif"} {
		t.Run(name, func(t *testing.T) {
			want := vectorFile(t, name)
			got, err := encode(apart(t, want))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("written again: got %x, want %x", got, want)
			}
			checkRegisters(t, got, registers(t, name))
		})
	}
}

// TestEncode compares with an image laid out by hand here, from the tables of
// the EIF specification.
func TestEncode(t *testing.T) {
	im := good(t)
	const metadata = `{"ImageName":"safebox","ImageVersion":"1","BuildMetadata":{"BuildTime":"2026-01-01T00:00:00+00:00",` +
		`"BuildTool":"safebox","BuildToolVersion":"1","OperatingSystem":"Linux","KernelVersion":"6.12.107"},` +
		`"DockerInfo":null,"CustomMetadata":null}`
	got := mustEncode(t, im)
	want := []byte(".eif\x00\x04\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x05")
	if !bytes.HasPrefix(got, want) {
		t.Errorf("header: got %x, want %x", got[:len(want)], want)
	}
	var body []byte
	for _, s := range []struct {
		kind byte
		data []byte
	}{{1, im.Kernel}, {2, im.CommandLine}, {5, []byte(metadata)}, {3, im.Ramdisks[0]}, {3, im.Ramdisks[1]}} {
		n := len(s.data)
		body = append(body, 0, s.kind, 0, 0, 0, 0, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n))
		body = append(body, s.data...)
	}
	if !bytes.Equal(got[548:], body) {
		t.Errorf("sections: got %x, want %x", got[548:], body)
	}
	if again := mustEncode(t, good(t)); !bytes.Equal(got, again) {
		t.Error("two images of equal inputs differ")
	}
}

// TestEncodeForms: what is within the bounds is written and read.
func TestEncodeForms(t *testing.T) {
	for name, change := range map[string]func(im *Image){
		"one ramdisk":     func(im *Image) { im.Ramdisks = im.Ramdisks[:1] },
		"28 ramdisks":     func(im *Image) { im.Ramdisks = repeat(im.Ramdisks[0], 28) },
		"no command line": func(im *Image) { im.CommandLine = nil },
		"longest command line": func(im *Image) {
			im.CommandLine = bytes.Repeat([]byte("a"), 0x7ff) // cmdline_size of this kernel
		},
		"plain first":   func(im *Image) { im.Ramdisks = [][]byte{[]byte("0707010"), []byte("\x1f\x8b")} },
		"plain aligned": func(im *Image) { im.Ramdisks = [][]byte{[]byte("\x1f\x8b00"), []byte("070702")} },
		"xz":            func(im *Image) { im.Ramdisks[0] = []byte("\xfd7zXZ\x00") },
		"lz4":           func(im *Image) { im.Ramdisks[0] = []byte("\x02\x21\x4c\x18") },
		"signed kernel": func(im *Image) { im.Kernel = append(im.Kernel, "signature"...) },
		"first second":  func(im *Image) { im.Metadata.Epoch = 0 },
		"last second":   func(im *Image) { im.Metadata.Epoch = 253402300799 }, // date -u -d 9999-12-31T23:59:59 +%s
	} {
		t.Run(name, func(t *testing.T) {
			im := good(t)
			change(&im)
			if diff := cmp.Diff(im, apart(t, mustEncode(t, im)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("read back (-want +got):\n%s", diff)
			}
		})
	}
}

func repeat(r []byte, n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = r
	}
	return list
}

// TestMetadata: what JSON encoders write in more than one way. serde_json
// escapes the quote and the backslash, and nothing else of ASCII's printable
// characters (its src/ser.rs, ESCAPE).
func TestMetadata(t *testing.T) {
	m := ReleaseMetadata(0, `<a & "b" \ 'c'>/~`)
	got, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte(`"KernelVersion":"<a & \"b\" \\ 'c'>/~"}`); !bytes.Contains(got, want) {
		t.Errorf("got %s, want it with %s", got, want)
	}
	vector := Metadata{
		ImageName: "vector", ImageVersion: "1.0", BuildTool: "eifgen",
		BuildToolVersion: "0.0.0", OperatingSystem: "Linux", KernelVersion: "0.0.0",
	}
	got, err = vector.encode()
	if want := vectorFile(t, "in_metadata.json"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// TestTimeZone: the machine's is not in the image.
func TestTimeZone(t *testing.T) {
	want := mustEncode(t, good(t))
	local := time.Local
	t.Cleanup(func() { time.Local = local })
	time.Local = time.FixedZone("east", 3*60*60)
	if got := mustEncode(t, good(t)); !bytes.Equal(got, want) {
		t.Error("an image made in another time zone differs")
	}
}
