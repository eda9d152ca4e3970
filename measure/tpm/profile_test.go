package tpm

import (
	"strings"
	"testing"
)

// profiles is a UKI with two profiles, of two real images.
func profiles(t testing.TB, more ...part) []byte {
	t.Helper()
	return assemble(stub(t), append([]part{
		{".linux", linux(t)},
		{".cmdline", []byte("base")},
		{".initrd", []byte("cpio")},
		{".profile", []byte("ID=a\n")},
		{".cmdline", []byte("first")},
		{".profile", []byte("ID=b\n")},
		{".initrd", []byte("other")},
	}, more...))
}

// TestProfileOverrides checks which sections count in each profile. What they
// are measured as, TestRealBoots compares with real boots.
func TestProfileOverrides(t *testing.T) {
	for profile, want := range []map[string]string{
		{".cmdline": "first", ".initrd": "cpio", ".profile": "ID=a\n"},
		{".cmdline": "base", ".initrd": "other", ".profile": "ID=b\n"},
	} {
		k, err := decodeUKI(profiles(t), profile)
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range want {
			if got := string(k.sections[name]); got != content {
				t.Errorf("profile %d: %s: got %q, want %q", profile, name, got, content)
			}
		}
	}
}

func TestProfileRefuses(t *testing.T) {
	plain := assemble(stub(t), parts(t, "plain"))
	for _, tt := range []struct {
		name string
		in   Input
		want string
	}{
		{"there is none", Input{Boot: Kernel, UKI: plain, Profile: 1}, "profile: got 1, want 0 to 0"},
		{"too high", Input{Boot: Kernel, UKI: profiles(t), Profile: 2}, "profile: got 2, want 0 to 1"},
		{"negative", Input{Boot: Kernel, UKI: profiles(t), Profile: -1}, "profile: got -1, want 0 to 1"},
		{"no load options", Input{Boot: ESP, UKI: profiles(t), Profile: 1}, "profile: got 1, want 0: a boot from an ESP"},
		{"kernel in a profile", Input{Boot: Kernel, UKI: profiles(t, part{".linux", linux(t)})}, "section .linux: in a profile it was not seen"},
		{"hwids in a profile", Input{Boot: Kernel, UKI: profiles(t, part{".hwids", []byte("x")})}, "section .hwids: in a profile it was not seen"},
		{"twice in another profile", Input{Boot: Kernel, UKI: profiles(t, part{".initrd", []byte("x")})}, "section .initrd: listed twice"},
	} {
		_, err := Predict(tt.in, SHA256)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}
