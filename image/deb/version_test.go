package deb

import "testing"

// The answers of dpkg --compare-versions: testdata/README.md.
func TestCompareVersions(t *testing.T) {
	signs := map[string]int{"lt": -1, "eq": 0, "gt": 1}
	for _, tt := range []struct{ a, b, want string }{
		{"1.0", "1.0", "eq"},
		{"1.0", "1.0-0", "eq"},
		{"1.0", "1.0-1", "lt"},
		{"1.0~rc1", "1.0", "lt"},
		{"1.0~~", "1.0~", "lt"},
		{"1.0~rc1-1", "1.0-0", "lt"},
		{"0:1.0", "1.0", "eq"},
		{"1:0.1", "2.0", "gt"},
		{"6.12.107-1", "6.12.94-1", "gt"},
		{"6.12.107-1", "6.12.117-1", "lt"},
		{"257.13-1~deb13u1", "257.9-1~deb13u1", "gt"},
		{"257.13-1~deb13u1", "257.13-1", "lt"},
		{"2025.02-8+deb13u1", "2025.02-8", "gt"},
		{"2025.02-8+deb13u1", "2025.02-8+deb13u2", "lt"},
		{"2025.02-10", "2025.02-8+deb13u1", "gt"},
		{"1.0a", "1.0+", "lt"},
		{"1.0a", "1.0", "gt"},
		{"1.0.0", "1.0", "gt"},
		{"1.001", "1.1", "eq"},
		{"1.2-3-4", "1.2-3-5", "lt"},
		{"99999999999999999999", "100000000000000000000", "lt"},
	} {
		if got := CompareVersions(tt.a, tt.b); got != signs[tt.want] {
			t.Errorf("%s %s: got %d, want %s", tt.a, tt.b, got, tt.want)
		}
		if got := CompareVersions(tt.b, tt.a); got != -signs[tt.want] {
			t.Errorf("%s %s reversed: got %d, want the opposite of %s", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestValidVersion(t *testing.T) {
	for v, want := range map[string]bool{
		"257.13-1~deb13u1": true, "1:2.0~rc1-3+deb13u1": true, "2026.08+ds-2": true, "0": true,
		// Refused by dpkg too ("has bad syntax").
		"": false, "1.-": false, "a1": false, ":1": false, "1 2": false, "x:1": false, "1/2": false, "-1": false,
	} {
		if got := ValidVersion(v); got != want {
			t.Errorf("%q: got %v, want %v", v, got, want)
		}
	}
}
