package ovmf

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// realFirmware is OVMF_CODE_4M.fd of Debian, see testdata/README.md.
func realFirmware(t testing.TB) []byte {
	t.Helper()
	packed, err := os.ReadFile("testdata/OVMF_CODE_4M.fd.xz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	// sha256sum of the file in the package.
	const want = "624e06de18b4fa535e90db7160d00d3d07d206422b89999bf1e27d920264e4e0"
	if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != want {
		t.Fatalf("OVMF_CODE_4M.fd: got SHA-256 %x, want %s", got, want)
	}
	return b
}

// TestDXEVolumeIsWhatPCR0Gets compares with the digests that this firmware
// logged for the blob at 0x900000, size 0xe80000, in a real boot:
// ../eventlog/testdata/uefi/esp/evlog.bin, event 2.
func TestDXEVolumeIsWhatPCR0Gets(t *testing.T) {
	fv, err := DXEVolume(realFirmware(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(fv) != 0xe80000 {
		t.Errorf("length: got %#x, want 0xe80000", len(fv))
	}
	s256, s384 := sha256.Sum256(fv), sha512.Sum384(fv)
	const want256 = "450136d3f01290a89f67a4ecc0e3f8a9d16f49e9eb4e17c4cacdffdeea32f806"
	if got := hex.EncodeToString(s256[:]); got != want256 {
		t.Errorf("SHA-256: got %s, want %s", got, want256)
	}
	const want384 = "10d7a73a4f51a085ed7f5c753df5138baed369eb4c9ad5353be7150c9ddb59ab7cfc920b45169" +
		"6d06baf09d86dbc35bf"
	if got := hex.EncodeToString(s384[:]); got != want384 {
		t.Errorf("SHA-384: got %s, want %s", got, want384)
	}
}

// TestPEIVolume compares with a separate reader of the volume, written in
// Python over liblzma. It is not what PCR 0 gets.
func TestPEIVolume(t *testing.T) {
	fv, err := PEIVolume(realFirmware(t))
	if err != nil {
		t.Fatal(err)
	}
	const want = "acc7cc32f3e05161d1620022562909c284f700d73082cf7ac159451a3f7c7212"
	if got := sha256.Sum256(fv); len(fv) != 0xe0000 || hex.EncodeToString(got[:]) != want {
		t.Errorf("got %#x bytes, SHA-256 %x, want 0xe0000, %s", len(fv), got, want)
	}
}

// TestWithVariableStore reads a whole OVMF.fd, which is the variable store and
// then the code: a volume that is not a file system goes first.
func TestWithVariableStore(t *testing.T) {
	store := buildVolume(volumeSpec{fileSystem: "fff12b8d-7696-4c8b-a985-2747075b4f50", content: make([]byte, 4096)})
	code := realFirmware(t)
	want, err := DXEVolume(code)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DXEVolume(append(store, code...))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, error %v", len(got), err)
	}
}

func TestSynthetic(t *testing.T) {
	for _, large := range []bool{false, true} {
		pei, dxe, image := synthetic(large)
		got, err := DXEVolume(image)
		if err != nil || !bytes.Equal(got, dxe) {
			t.Errorf("large %v: DXEFV: got %d bytes, error %v", large, len(got), err)
		}
		got, err = PEIVolume(image)
		if err != nil || !bytes.Equal(got, pei) {
			t.Errorf("large %v: PEIFV: got %d bytes, error %v", large, len(got), err)
		}
	}
}

// TestEveryHeaderBitCounts flips each bit of the outer volume's, the file's
// and the sections' headers: none may go unnoticed. What follows the headers
// is compressed data, which has no checksum of its own here.
func TestEveryHeaderBitCounts(t *testing.T) {
	_, dxe, image := synthetic(false)
	headers := 0x48 + 24 + 4 + 20 + 13
	for i := range headers * 8 {
		b := bytes.Clone(image)
		b[i/8] ^= 1 << (i % 8)
		got, err := DXEVolume(b)
		if err == nil && !bytes.Equal(got, dxe) {
			t.Errorf("bit %d of byte %#x: other volume and no error", i%8, i/8)
		}
		if err == nil && !harmless(i/8) {
			t.Errorf("bit %d of byte %#x: no error", i%8, i/8)
		}
	}
}

// harmless are bytes that say nothing about the content and carry no checksum:
// the window size in the LZMA header only bounds memory.
func harmless(i int) bool {
	lzmaHeader := 0x48 + 24 + 4 + 20
	return i >= lzmaHeader+1 && i < lzmaHeader+5
}

func TestRefuses(t *testing.T) {
	tests := []struct {
		name  string
		image func() []byte
		want  string
	}{
		{"empty", func() []byte { return nil }, "image size: got 0"},
		{"not a firmware", func() []byte { return make([]byte, 4096) }, "volume signature"},
		{"trailing bytes", func() []byte { _, _, b := synthetic(false); return append(b, 0) }, "volume header: got 1 bytes"},
		{"truncated", func() []byte { _, _, b := synthetic(false); return b[:len(b)-1] }, "volume length"},
		{"no compressed file", func() []byte { return buildVolume(volumeSpec{}) }, "no DXEFV volume"},
		{"two of them", func() []byte { _, _, b := synthetic(false); return append(b, b...) }, "more than one DXEFV"},
		{"two sections", func() []byte {
			s := buildSection(sectionRaw, make([]byte, 4))
			return outer(append(bytes.Clone(s), s...))
		}, "want one compressed section"},
		{"garbage after the stream", func() []byte { return outer(guided(append(compress([]byte("x")), 0))) }, "decompressing"},
		{"truncated stream", func() []byte { return outer(guided(compress(make([]byte, 999))[:20])) }, "decompressing"},
		{"bomb", func() []byte {
			b := compress([]byte("x"))
			copy(b[5:], []byte{1, 0, 0, 4, 0, 0, 0, 0})
			return outer(guided(b))
		}, "size: got 67108865"},
		{"unknown size", func() []byte {
			b := compress([]byte("x"))
			copy(b[5:], bytes.Repeat([]byte{0xff}, 8))
			return outer(guided(b))
		}, "size: got -1"},
		{"window", func() []byte {
			b := compress([]byte("x"))
			copy(b[1:], []byte{1, 0, 0, 4})
			return outer(guided(b))
		}, "dictionary"},
		{"inner section type", func() []byte { return outer(guided(compress(buildSection(0x10, nil)))) }, "type: got 0x10"},
		{"inner volume with a tail", func() []byte {
			v := append(buildVolume(volumeSpec{name: dxeName}), 0, 0, 0, 0)
			return outer(guided(compress(buildSection(sectionVolume, v))))
		}, "volume length"},
		{"free space is not free", func() []byte {
			b := buildVolume(volumeSpec{content: bytes.Repeat([]byte{0xff}, 64)})
			b[len(b)-1] = 0
			return b
		}, "data after the start of free space"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DXEVolume(tt.image())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}
