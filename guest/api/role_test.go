package api

import (
	"os"
	"strings"
	"testing"
)

// TestInheritedRefusesPrivilege: a process that PID 1 did not strip serves
// nothing. A test has either root's rights or, at least, no no_new_privs.
func TestInheritedRefusesPrivilege(t *testing.T) {
	want := "no_new_privs is 0, want 1"
	if os.Getuid() == 0 || os.Getgid() == 0 {
		want = "want neither to be 0"
	}
	if _, _, err := inherited(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
