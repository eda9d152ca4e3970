package verifier

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/snp"
	"safebox/verifier/tdx"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/cloud"
	"safebox/verifier/transcript"
)

// RawInput is what a verdict about raw vendor evidence rests on: a report, a
// quote or a document alone, without a challenge and without a release.
type RawInput struct {
	Platform string // of transcript.Platforms
	Evidence []byte
	Policy   []byte
	Data     []byte // what the evidence must carry, where the policy wants the transcript's hash; nil: nobody says
	Vendor
	At time.Time
}

// VerifyRaw checks raw vendor evidence. What the policy expects of a challenge
// or a release nobody gave, so it is not met: such a policy must list values
// itself, or say any.
func VerifyRaw(in RawInput) *Result { return verifyRaw(in, pinnedRoots()) }

func verifyRaw(in RawInput, r roots) *Result {
	at := in.At.UTC().Truncate(time.Second)
	common := Input{Evidence: in.Evidence, Policy: in.Policy, Vendor: in.Vendor, At: at}
	v := &verification{in: common, roots: r, log: check.New(), sums: sumsOf(common), raw: &in}
	v.readPolicy()
	if v.policy != nil {
		v.log.Record("PLAT-1", v.policy.Accepts(in.Platform), fmt.Sprintf("one of %q", v.policy.Platforms), in.Platform)
	}
	v.openMemory()
	v.readCollateral()
	v.checkTime()
	if v.policy != nil && v.policy.Accepts(in.Platform) {
		v.checkRaw()
	}
	v.checkMemory()
	return v.rawResult()
}

// checkRaw runs the platform's checks.
func (v *verification) checkRaw() {
	switch v.raw.Platform {
	case transcript.SNP:
		v.rawSNP(v.in.Evidence, v.rawData())
	case transcript.TDX:
		v.rawTDX(v.in.Evidence, v.rawData())
	case transcript.Nitro:
		v.rawNitro(nitro.Enclave)
	case transcript.NitroTPM:
		v.rawNitro(nitro.NitroTPM)
	case transcript.VTPM:
		v.rawTPM()
	}
}

// rawData is the report data that the caller expects, if it has the length of
// one.
func (v *verification) rawData() *[64]byte {
	if len(v.raw.Data) != 64 {
		return nil
	}
	data := [64]byte(v.raw.Data)
	return &data
}

func (v *verification) rawSNP(report []byte, data *[64]byte) *snp.Report {
	return snp.Verify(snp.Input{
		Report: report, Endorsements: v.endorsements, Expected: snp.Expected{ReportData: data},
		Rules: v.rules(), Policy: &v.policy.SNP, Roots: v.roots.snp(),
	}, v.log)
}

func (v *verification) rawTDX(quote []byte, data *[64]byte) {
	tdx.Verify(tdx.Input{
		Quote: quote, Endorsements: v.endorsements, Expected: tdx.Expected{ReportData: data},
		Rules: v.rules(), Policy: &v.policy.TDX, Roots: v.roots.tdx(),
	}, v.log)
}

func (v *verification) rawNitro(kind nitro.Kind) {
	in := nitro.Input{
		Document: v.in.Evidence, Expected: nitro.Expected{UserData: v.raw.Data},
		Rules: v.rules(), Policy: &v.policy.Nitro, Roots: v.roots.nitro(),
	}
	if kind == nitro.NitroTPM {
		in.Policy = &v.policy.NitroTPM
	}
	nitro.Verify(in, v.log)
}

func (v *verification) rawTPM() {
	e := cloud.Verify(cloud.Input{
		Evidence: v.in.Evidence, Endorsements: v.endorsements, Expected: cloud.Expected{ExtraData: v.raw.Data},
		Rules: v.rules(), Policy: &v.policy.Quote, Hardware: v.hardware,
	}, v.log)
	if e != nil && e.Azure != nil {
		v.behind = behind(e.Azure.Hardware.Kind)
	}
}

// hardware checks the report under a TPM as if it had come alone, but for its
// data, which is what binds the TPM's key.
func (v *verification) hardware(h azure.Hardware, want [64]byte, _ *check.Recorder) error {
	platform := behind(h.Kind)
	if !v.policy.Accepts(platform) {
		return fmt.Errorf("hardware of platform %s: want one of %q", platform, v.policy.Platforms)
	}
	var ids []check.Definition
	var report *snp.Report
	switch platform {
	case transcript.SNP:
		ids = snp.Definitions()
		v.endorsements.Add("VCEK of the evidence", h.VCEK)
		report = v.rawSNP(h.Report, &want)
	case transcript.TDX:
		ids = tdx.Definitions()
		v.rawTDX(h.Report, &want)
	default:
		return errors.New("hardware report of an unknown platform")
	}
	for _, d := range ids {
		if !v.log.Passed(d.ID) {
			return fmt.Errorf("the report of platform %s is refused: %s", platform, d.ID)
		}
	}
	// The paravisor is at VMPL 0. What it runs is at another one, and could ask
	// for a report that binds a key of its own.
	if report != nil && report.VMPL != 0 {
		return fmt.Errorf("the report is of VMPL %d: want 0, which is the paravisor's, whose TPM has the key", report.VMPL)
	}
	return nil
}

// behind is the platform of a hardware report, empty if there is none.
func behind(kind azure.Kind) string {
	switch kind {
	case azure.SNP:
		return transcript.SNP
	case azure.TDX:
		return transcript.TDX
	}
	return ""
}

func (v *verification) rawDefinitions() []check.Definition {
	list := policyDefinitions()
	list = append(list, vendorDefinitions()...)
	list = append(list, v.rawPlatformDefinitions(v.raw.Platform)...)
	return append(list, memoryDefinitions()...)
}

func (v *verification) rawPlatformDefinitions(platform string) []check.Definition {
	switch platform {
	case transcript.SNP:
		return snp.Definitions()
	case transcript.TDX:
		return tdx.Definitions()
	case transcript.Nitro:
		return nitro.Definitions(nitro.Enclave)
	case transcript.NitroTPM:
		return nitro.Definitions(nitro.NitroTPM)
	case transcript.VTPM:
		if v.behind == transcript.VTPM {
			return cloud.Definitions()
		}
		return slices.Concat(v.rawPlatformDefinitions(v.behind), cloud.Definitions())
	}
	return nil
}
