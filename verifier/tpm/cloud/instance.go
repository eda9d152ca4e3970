package cloud

import (
	"errors"
	"fmt"
	"slices"

	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm/gce"
)

// checkInstance: TPM-K4. Only the certificate's word counts; what the machine
// says of itself must not differ from it.
func (v *verification) checkInstance(c *certified) {
	p := v.policy
	want := "an instance of the policy's, " + map[bool]string{true: "production or not", false: "in production"}[p.AnyProduction]
	if c == nil {
		v.notCertified("TPM-K4", want)
		return
	}
	if p.AnyInstance {
		v.log.Waive("project, zone and instance of the machine", "vtpm.quote.instances = \"any\" in the policy")
	}
	if p.AnyProduction {
		v.log.Waive("production mark of the machine", "vtpm.quote.production = \"any\" in the policy")
	}
	i, err := gce.CertificateInstance(c.leaf())
	if err == nil {
		err = v.accepts(i)
	}
	v.log.Check("TPM-K4", err, want, describe(i))
}

func (v *verification) accepts(i *gce.Instance) error {
	p := v.policy
	if i == nil {
		if p.AnyInstance && p.AnyProduction {
			return nil
		}
		return errors.New("the certificate does not say which instance it is for")
	}
	if said := v.evidence.Google.Instance; said != nil {
		copied := *said
		copied.Production = i.Production // only the certificate tells
		if copied != *i {
			return fmt.Errorf("the file says %s, the certificate %s", describe(said), describe(i))
		}
	}
	if !i.Production && !p.AnyProduction {
		return fmt.Errorf("%s is not in production", describe(i))
	}
	if !p.AnyInstance && !slices.ContainsFunc(p.Instances, func(want tpmpolicy.Instance) bool { return matches(want, i) }) {
		return fmt.Errorf("%s is not on the list", describe(i))
	}
	return nil
}

func matches(want tpmpolicy.Instance, got *gce.Instance) bool {
	text := func(want, got string) bool { return want == tpmpolicy.Any || want == got }
	number := func(want, got int64) bool { return want < 0 || want == got }
	return text(want.Project, got.Project) && text(want.Zone, got.Zone) && text(want.Name, got.Name) &&
		number(want.ProjectNumber, got.ProjectNumber) && number(want.ID, got.ID)
}

func describe(i *gce.Instance) string {
	if i == nil {
		return "no instance named"
	}
	return fmt.Sprintf("instance %q (%d) in %q of project %q (%d)", i.Name, i.ID, i.Zone, i.Project, i.ProjectNumber)
}
