package verifier

import (
	"slices"

	"safebox/verifier/check"
	"safebox/verifier/evidence"
	"safebox/verifier/nitro"
	"safebox/verifier/release"
	"safebox/verifier/snp"
	"safebox/verifier/tdx"
	"safebox/verifier/transcript"
)

// roots are the vendors' keys that everything ends in. Release programs have
// the pinned ones and no way to others.
type roots struct {
	snp   func() snp.Roots
	tdx   func() tdx.Roots
	nitro func() nitro.Roots
}

func pinnedRoots() roots {
	return roots{snp: snp.PinnedRoots, tdx: tdx.PinnedRoots, nitro: nitro.PinnedRoots}
}

// checkPlatform runs the checks of the evidence's platform.
func (v *verification) checkPlatform() {
	if v.evidence == nil || v.policy == nil || !v.policy.Accepts(v.evidence.Platform) {
		return
	}
	switch v.evidence.Platform {
	case transcript.VTPM:
		v.checkKey()
		v.checkQuotes()
		v.checkEvents()
		v.checkRegisters()
		v.checkRuntime()
	case transcript.SNP:
		v.checkSNP()
	case transcript.TDX:
		v.checkTDX()
	case transcript.Nitro:
		v.checkNitro(nitro.Enclave)
	case transcript.NitroTPM:
		v.checkNitro(nitro.NitroTPM)
	}
}

// platformDefinitions lists the checks of a platform. Evidence that nobody can
// read has none: that it can't be read refuses it.
func (v *verification) platformDefinitions() []check.Definition {
	if v.evidence == nil {
		return nil
	}
	switch v.evidence.Platform {
	case transcript.VTPM:
		return slices.Concat(keyDefinitions(), quoteDefinitions(), eventDefinitions(), runtimeDefinitions(), v.registerDefinitions())
	case transcript.SNP:
		return slices.Concat(expectationDefinitions(), snp.Definitions(), runtimeDefinitions())
	case transcript.TDX:
		return slices.Concat(expectationDefinitions(), tdx.Definitions(), runtimeDefinitions())
	case transcript.Nitro:
		return slices.Concat(expectationDefinitions(), nitro.Definitions(nitro.Enclave), runtimeDefinitions())
	case transcript.NitroTPM:
		return slices.Concat(expectationDefinitions(), nitro.Definitions(nitro.NitroTPM), runtimeDefinitions())
	}
	return nil
}

// wantRegisters is what REL-4 wants.
const wantRegisters = "registers of the release for this platform and the machines of the policy"

// expectationDefinitions is about what the release says of a platform on which
// registers follow from the machine's shape.
func expectationDefinitions() []check.Definition {
	return []check.Definition{check.Define(
		"REL-4", "release says what the platform measures", "format-release.md: launches, measurements; format-policy.md: shapes",
		"the release must be built for this platform (safebox build --platform), and the policy must name shapes that it can have",
	)}
}

// expect computes the release's registers: REL-4.
func (v *verification) expect(platform string, compute func(release.Launch) error) {
	if v.release == nil {
		return
	}
	l, ok := v.release.Launch(platform)
	if !ok {
		v.log.Fail("REL-4", wantRegisters, "no launch of platform "+platform+" in the release")
		return
	}
	v.log.Check("REL-4", compute(l), wantRegisters, "computed")
}

// waiveRelease tells that a policy has values of its own where the release's
// would be compared: what runs is then what the policy lists, whatever release
// the challenge names.
func (v *verification) waiveRelease(what, key string) {
	v.log.Waive(what+" of the release", key+" in the policy lists values itself")
}

// endorsementsOf is the collateral bundle that evidence brings along.
func endorsementsOf(e *evidence.Evidence) []byte {
	switch {
	case e == nil:
		return nil
	case e.SNP != nil:
		return e.SNP.Endorsements
	case e.TDX != nil:
		return e.TDX.Endorsements
	}
	return nil
}
