package uki

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"safebox/measure/pe"
)

// editSbat gives a copy of file with another text in its .sbat.
func editSbat(t testing.TB, file []byte, edit func(string) string) []byte {
	t.Helper()
	f, err := pe.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range f.Sections {
		if s.Name != Sbat {
			continue
		}
		text := edit(string(f.Content(s)))
		b := bytes.Clone(file)
		raw := b[s.RawOffset : s.RawOffset+s.RawSize]
		if len(text) > len(raw) {
			t.Fatalf(".sbat: %d bytes do not fit", len(text))
		}
		clear(raw[copy(raw, text):])
		header := b[int(f.Header.SectionTableOffset)+i*pe.SectionHeaderSize:]
		binary.LittleEndian.PutUint32(header[8:], uint32(len(text)))
		return b
	}
	t.Fatal("no .sbat")
	return nil
}

// longSbat makes the last line of .sbat longer by n letters x.
func longSbat(t testing.TB, file []byte, n int) []byte {
	t.Helper()
	return editSbat(t, file, func(text string) string {
		return strings.TrimSuffix(text, "\n") + strings.Repeat("x", n) + "\n"
	})
}

// TestSbatText is the list of ukify 257 for this stub: `objdump -s -j .sbat` of
// its file. It is what shim reads, so somebody has to have looked at it.
func TestSbatText(t *testing.T) {
	f, err := pe.Decode(assembled(t))
	if err != nil {
		t.Fatal(err)
	}
	const want = `sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md
systemd-stub,1,The systemd Developers,systemd,257,https://systemd.io/
systemd-stub.debian,1,Debian GNU/Linux,systemd,257.13-1~deb13u1,https://tracker.debian.org/pkg/systemd
uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/
` + "\x00"
	if got, ok := f.Section(Sbat); !ok || string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSbatLines: a list without a last newline, or with zeros behind it, means
// the same; what two readers may take for different lists is refused.
func TestSbatLines(t *testing.T) {
	stub := read(t, "linuxx64.efi.stub")
	with := func(text string) []byte {
		return editSbat(t, stub, func(string) string { return text })
	}
	twice := bytes.Clone(stub)
	copy(twice[bytes.Index(twice, []byte(".sdmagic")):], Sbat+"\x00\x00\x00")
	hidden := with("sbat,1,a\nb,1,c\n")
	binary.LittleEndian.PutUint32(hidden[bytes.Index(hidden, []byte(Sbat+"\x00\x00\x00"))+8:], 9)
	tests := []struct {
		name string
		file []byte
		want string // lines, joined by a space
		fail string
	}{
		{"header only", with("sbat,1,a\n"), "", ""},
		{"newline at the end", with("sbat,1,a\nb,1,c\n"), "b,1,c", ""},
		{"none at the end", with("sbat,1,a\nb,1,c\nd,2,e"), "b,1,c d,2,e", ""},
		{"zeros at the end", with("sbat,1,a\nb,1,c\n\x00\x00"), "b,1,c", ""},
		{"no .sbat", read(t, "addonx64.efi.stub"), "", ""},
		{"no text", with("\n"), "", "line 1: got an empty one"},
		{"empty line", with("sbat,1,a\n\nb,1,c\n"), "", "line 2: got an empty one"},
		{"no header", with("b,1,c\n"), "", `line 1: got "b,1,c", want it to start with "sbat,"`},
		{"carriage return", with("sbat,1,a\r\nb,1,c\r\n"), "", "line 1: got byte 0x0d at 8"},
		{"form feed", with("sbat,1,a\nb,1\f,c\n"), "", "line 2: got byte 0x0c at 3"},
		{"not ASCII", with("sbat,1,a\nb,1,\u2028\n"), "", "line 2: got byte 0xe2 at 4"},
		{"zero inside", with("sbat,1,a\nb\x00,1,c\n"), "", "line 2: got byte 0x00 at 1"},
		{"two sections", twice, "", "is there twice"},
		{"text behind the section", hidden, "", "within its 0x9 bytes in memory"},
		{"not PE", []byte("x"), "", "parsing PE"},
	}
	for _, tt := range tests {
		got, err := sbatLines(tt.file)
		if tt.fail != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.fail)
			}
			continue
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}
