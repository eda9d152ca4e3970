package kernel

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func setup(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/setup.bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRelease(t *testing.T) {
	// What file(1) prints, see testdata/README.md.
	const want = "6.12.107+deb13-cloud-amd64"
	got, err := Release(setup(t))
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestReleaseErrors(t *testing.T) {
	// file(1) finds the string at 0x200 + 0x4300 (xxd -s 0x20e -l 2: 00 43).
	const text = 0x4500
	set := func(pos int, s string) []byte {
		b := setup(t)
		copy(b[pos:], s)
		return b
	}
	tests := map[string]struct {
		b    []byte
		want string
	}{
		"empty":          {nil, "setup header: got 0 bytes"},
		"short":          {setup(t)[:headerEnd-1], "setup header: got 527 bytes, want 0x210"},
		"boot flag":      {set(0x1fe, "\x00"), "at 0x1fe: boot_flag: got 0xaa00, want 0xaa55"},
		"magic":          {set(0x202, "hdrS"), `at 0x202: header: got "hdrS", want "HdrS"`},
		"old":            {set(0x206, "\xff\x01"), "at 0x206: version: got 0x01ff"},
		"pointer low":    {set(0x20e, "\x0f\x00"), "at 0x20e: kernel_version: got 0x20f"},
		"pointer high":   {set(0x20e, "\xff\xff"), "at 0x20e: kernel_version: got 0x101ff"},
		"past setup":     {set(0x1f1, "\x21"), "at 0x20e: kernel_version: got 0x4500, want 0x210 to 0x4400"},
		"default setup":  {set(0x1f1, "\x00"), "want 0x210 to 0xa00"},
		"cut before":     {setup(t)[:text], "at 0x20e: kernel_version: got 0x4500"},
		"cut in":         {setup(t)[:text+8], "version string at 0x4500: got no NUL within 8 bytes"},
		"no NUL":         {set(text, strings.Repeat("x", 600)), "got no NUL within 512 bytes"},
		"no word":        {set(text, " "), "release: got 0 bytes, want 1 to 64"},
		"long word":      {set(text, strings.Repeat("x", 65)), "release: got "},
		"slash":          {set(text, "../x "), `release: got "../x", want visible ASCII without a slash`},
		"control":        {set(text, "6\n2 "), `release: got "6\n2"`},
		"not ASCII":      {set(text, "6\xc32 "), "want visible ASCII"},
		"PE, not kernel": {append([]byte("MZ"), make([]byte, 1024)...), "boot_flag: got 0x0000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Release(tt.b)
			if err == nil || !strings.HasPrefix(err.Error(), "parsing bzImage: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want parsing bzImage: .. %s", err, tt.want)
			}
		})
	}
}

func FuzzRelease(f *testing.F) {
	f.Add(setup(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Release(b)
		if err == nil && (got == "" || strings.ContainsAny(got, "/ \x00\n") || !bytes.Contains(b, []byte(got))) {
			t.Errorf("accepted %q", got)
		}
	})
}
