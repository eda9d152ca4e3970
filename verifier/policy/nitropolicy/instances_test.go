package nitropolicy

import "testing"

// TestAnyInstance: a policy for one's own machines must list them (specs/verify.md,
// section 7.2); one for a provider's need not.
func TestAnyInstance(t *testing.T) {
	for _, kind := range []Kind{Enclave, NitroTPM} {
		for profile, ok := range map[string]bool{strict: false, cloud: true, test: true} {
			if _, err := parse(set(t, Section(kind, profile), "instances", `"any"`), kind, profile); (err == nil) != ok {
				t.Errorf("%v %s: got %v", kind, profile, err)
			}
		}
	}
}
