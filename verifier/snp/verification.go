package snp

import (
	"errors"
	"fmt"
	"slices"

	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/snppolicy"
)

// verification is one run: its input, and what the steps found so far.
type verification struct {
	in      Input
	log     *check.Recorder
	policy  *snppolicy.Policy
	report  *Report
	product Product // of the report, or of the leaf where the report says none
	found   Chain   // as far as the steps have come
	leaf    *Leaf
}

// format: SNP-F1, SNP-F2. Without a report there is nothing else to check.
func (v *verification) format() bool {
	v.policy = v.in.Policy
	if v.policy == nil {
		v.policy = &snppolicy.Policy{}
	}
	if v.in.Endorsements == nil {
		v.in.Endorsements = &endorse.Set{}
	}
	want := fmt.Sprintf("%d bytes, version %s", Size, numbers(v.policy.Versions))
	const reserved = "everything reserved is zero, and bit 17 of the guest policy one"
	report, err := Decode(v.in.Report)
	var format *FormatError
	switch {
	case errors.As(err, &format) && format.Check == "SNP-F2":
		v.log.Fail("SNP-F2", reserved, err.Error())
		return false
	case err != nil:
		v.log.Fail("SNP-F1", want, err.Error())
		return false
	}
	v.report, v.product = report, report.CPUID.Product()
	accepted := slices.Contains(v.policy.Versions, int(report.Version))
	v.log.Record("SNP-F1", accepted, want, fmt.Sprintf("%d bytes, version %d", len(v.in.Report), report.Version))
	v.log.Pass("SNP-F2", reserved, "they are")
	return true
}

// signer: SNP-F3, SNP-F4. Only the first decides whether there is a signature to
// verify.
func (v *verification) signer() bool {
	r, key := v.report, v.report.Signer.SigningKey()
	verifiable := r.SignatureAlgorithm == ecdsaP384SHA384 && (key == VCEK || key == VLEK)
	got := fmt.Sprintf("algorithm %d, key %v", r.SignatureAlgorithm, key)
	if r.Signer.MaskChipKey() && key == VCEK {
		// The firmware signs nothing by a key that the host has forbidden.
		verifiable, got = false, got+", which MASK_CHIP_KEY forbids"
	}
	v.log.Record("SNP-F3", verifiable && slices.Contains(v.policy.SigningKeys, key.String()),
		fmt.Sprintf("algorithm %d (ECDSA P-384 with SHA-384), key %s", ecdsaP384SHA384, words(v.policy.SigningKeys)), got)

	const hostRequested = 1<<32 - 1
	got = fmt.Sprint(r.VMPL)
	if r.VMPL == hostRequested {
		got = "0xffffffff: the host asked for this report, no guest did"
	}
	v.log.Record("SNP-F4", r.VMPL != hostRequested && slices.Contains(v.policy.VMPLs, int(r.VMPL)),
		"VMPL "+numbers(v.policy.VMPLs), got)
	return verifiable
}

// authenticate makes the cryptographic checks in their order, and ends at the
// first that fails.
func (v *verification) authenticate() {
	for _, step := range []func() bool{
		v.root, v.validity, v.extensions, v.revocation,
		v.reportedTCB, v.chip, v.provider, v.productLine, v.signature,
	} {
		if !step() {
			return
		}
	}
}

func numbers(list []int) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = fmt.Sprint(n)
	}
	return words(texts)
}

// words joins what a policy accepts.
func words(list []string) string {
	if len(list) == 0 {
		return "none: the policy names none"
	}
	s := list[0]
	for _, w := range list[1:] {
		s += " or " + w
	}
	return s
}
