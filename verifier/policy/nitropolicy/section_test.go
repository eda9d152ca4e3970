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

// TestInstances: strict accepts no instance until some are listed, cloud any;
// and profile test alone leaves nonce, transcript and image open.
func TestInstances(t *testing.T) {
	for _, kind := range []Kind{Enclave, NitroTPM} {
		for profile, unlimited := range map[string]bool{strict: false, cloud: true, test: true} {
			p, err := parse(Section(kind, profile), kind, profile)
			if err != nil {
				t.Fatal(err)
			}
			if p.AnyInstance != unlimited || len(p.Instances) != 0 {
				t.Errorf("%v %s: any instance %t, %q listed; want any: %t", kind, profile, p.AnyInstance, p.Instances, unlimited)
			}
			open := profile == test
			image := map[Kind]int{Enclave: 0, NitroTPM: 4}[kind]
			if (p.Nonce.Rule == Any) != open || (p.UserData.Rule == Any) != open || p.AnyAge != open || (p.PCRs[image].Rule == Any) != open || p.AcceptDebug {
				t.Errorf("%v %s: %+v", kind, profile, p)
			}
		}
	}
}
