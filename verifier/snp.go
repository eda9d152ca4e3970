package verifier

import (
	"encoding/hex"
	"errors"
	"fmt"

	"safebox/measure/snp"
	"safebox/verifier/accept"
	"safebox/verifier/policy"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/release"
	snpreport "safebox/verifier/snp"
)

// snpFeatures is SEV_FEATURES of a guest without extras: SNPActive (AMD 24593,
// section 15.36.10 and appendix B, SEV_FEATURES).
const snpFeatures = 1

// checkSNP: SNP-*, CFG-2. What the protocol puts into REPORT_DATA and HOST_DATA
// of our own evidence no policy can loosen: without it the claims would be
// anybody's. A policy's own values are for evidence of others (VerifyRaw).
func (v *verification) checkSNP() {
	p := v.policy.SNP
	p.ReportData = snppolicy.Values{Word: snppolicy.Transcript}
	p.HostData = snppolicy.Values{Word: snppolicy.Configuration}
	in := snpreport.Input{
		Report: v.evidence.SNP.Report, Endorsements: v.endorsements,
		Rules: v.rules(), Policy: &p, Roots: v.roots.snp(),
	}
	if v.transcript != nil {
		in.Expected.ReportData = &v.transcript.sum
		in.Expected.HostData = &v.config
	}
	v.expect(release.PlatformSNP, func(l release.Launch) (err error) {
		in.Expected.Measurements, err = acceptedSNP(l, v.policy.Shapes)
		return err
	})
	if p.Measurements.Word == "" {
		v.waiveRelease("launch measurement", "snp.measurements")
	}
	snpreport.Verify(in, v.log)
	v.checkRuntimeSNP()
}

// checkRuntimeSNP: CFG-2. HOST_DATA holds the configuration (SNP-M2); there is
// no register that a guest could extend when keys arrive (specs/protocol.md,
// section 3).
func (v *verification) checkRuntimeSNP() {
	if v.log.Passed("SNP-M2") { // else it has failed there
		v.log.Pass("CFG-2", "the configuration in HOST_DATA", "HOST_DATA, compared by SNP-M2")
	}
	v.log.Waive("keys that arrived since the boot", "SEV-SNP has no register for them")
}

// acceptedSNP computes the launch digests of the release on the machines that
// the policy accepts.
func acceptedSNP(l release.Launch, shapes policy.Shapes) ([][48]byte, error) {
	var list [][48]byte
	if shapes.SNPRelease {
		if err := accept.Check(l); err != nil {
			return nil, err
		}
		for _, s := range l.SNP.Shapes {
			b, err := hex.DecodeString(s.LaunchDigest)
			if err != nil || len(b) != len(snp.Digest{}) {
				return nil, fmt.Errorf("shape %s: launch digest %q", s.Name, s.LaunchDigest)
			}
			list = append(list, [48]byte(b))
		}
		if len(list) == 0 {
			return nil, errors.New("the release lists no shape: name some in the policy (shapes.snp)")
		}
		return list, nil
	}
	for _, s := range shapes.SNP {
		digests, err := accept.SNP(l, accept.SNPMachine{VMM: s.VMM, CPU: s.CPU, Features: snpFeatures}, s.Max)
		if err != nil {
			return nil, fmt.Errorf("shape %s: %w", s.Text, err)
		}
		for _, d := range digests[s.Low-1:] {
			list = append(list, d)
		}
	}
	return list, nil
}
