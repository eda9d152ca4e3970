package nitropolicy

import (
	"testing"

	"safebox/verifier/policy/table"
)

// TestSection: what Section writes is read without an error, in every profile.
func TestSection(t *testing.T) {
	for _, kind := range []Kind{Enclave, NitroTPM} {
		for _, profile := range []string{strict, cloud, test} {
			root, err := table.Parse([]byte(Section(kind, profile)))
			if err != nil {
				t.Fatal(err)
			}
			p := Read(root.Table(kind.table()), kind, profile)
			root.End()
			if err := root.Close(); err != nil {
				t.Errorf("%v %s: %v\n%s", kind, profile, err, Section(kind, profile))
			}
			if len(p.Explain()) < 8 {
				t.Errorf("%v %s: %q", kind, profile, p.Explain())
			}
		}
	}
	if Section(Enclave, "other") != "" || Section(0, strict) != "" {
		t.Error("a section of no kind or profile")
	}
}
