package differential

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	sevabi "github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	sevvalidate "github.com/google/go-sev-guest/validate"
	sevverify "github.com/google/go-sev-guest/verify"
	sevtrust "github.com/google/go-sev-guest/verify/trust"

	"safebox/measure/snp/idblock"
	"safebox/verifier/check"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
)

// denied is a network that is not there.
type denied struct{}

func (denied) Get(url string) ([]byte, error) { return nil, errors.New("no network: " + url) }

// ourSNP verifies by our verifier.
func ourSNP(in snp.Input) outcome {
	log := check.New()
	snp.Verify(in, log)
	return ofVerdict(log.Verdict(snp.Definitions()))
}

// theirSNP verifies by go-sev-guest: the recipe of verify.md 1.2, "verify", then
// "validate", each with every option that says what the policy says.
func theirSNP(in snp.Input) outcome {
	return run(func() error {
		if err := sevVerify(in); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		attestation, err := sevAttestation(in)
		if err != nil {
			return err
		}
		err = errors.New("no option says what the policy says")
		for _, o := range sevOptions(in, attestation.Report) {
			if err = sevvalidate.SnpAttestation(attestation, &o); err == nil {
				return nil
			}
		}
		return fmt.Errorf("validate: %w", err)
	})
}

func sevAttestation(in snp.Input) (*spb.Attestation, error) {
	report, err := sevabi.ReportToProto(in.Report)
	if err != nil {
		return nil, err
	}
	return &spb.Attestation{Report: report, CertificateChain: sevChain(in)}, nil
}

// sevVerify is the library's verification of chain and signature.
func sevVerify(in snp.Input) error {
	attestation, err := sevAttestation(in)
	if err != nil {
		return err
	}
	return sevverify.SnpAttestation(attestation, &sevverify.Options{
		DisableCertFetching: true, Getter: denied{}, Now: in.Rules.At, TrustedRoots: sevRoots(in), CheckRevocations: !in.Policy.AnyCRL,
	})
}

// sevValidateDefault is the library's comparison with a policy in which
// everything but what must be said is left out.
func sevValidateDefault(in snp.Input) error {
	attestation, err := sevAttestation(in)
	if err != nil {
		return err
	}
	return sevvalidate.SnpAttestation(attestation, &sevvalidate.Options{GuestPolicy: sevabi.SnpPolicy{SMT: true}})
}

// named finds the first certificate of a name among the endorsements.
func named(in snp.Input, name string) *x509.Certificate {
	if in.Endorsements != nil {
		for _, c := range in.Endorsements.Certificates {
			if c.Subject.CommonName == name {
				return c
			}
		}
	}
	return nil
}

func sevChain(in snp.Input) *spb.CertificateChain {
	chain := &spb.CertificateChain{}
	if c := named(in, "SEV-VCEK"); c != nil {
		chain.VcekCert = c.Raw
	}
	if c := named(in, "SEV-VLEK"); c != nil {
		chain.VlekCert = c.Raw
	}
	return chain
}

// sevRoots makes the library's roots: the pinned ARK of every product that the
// policy accepts, with the intermediates of the endorsements for the keys that
// it accepts. A new value for each call: the library changes it.
func sevRoots(in snp.Input) map[string][]*sevtrust.AMDRootCerts {
	roots := map[string][]*sevtrust.AMDRootCerts{}
	for line, ark := range map[string]*x509.Certificate{"Milan": in.Roots.Milan, "Genoa": in.Roots.Genoa, "Turin": in.Roots.Turin} {
		if ark == nil || !slices.Contains(in.Policy.Products, line) {
			continue
		}
		r := sevtrust.AMDRootCertsProduct(line)
		r.ProductCerts = &sevtrust.ProductCerts{Ark: ark}
		if slices.Contains(in.Policy.SigningKeys, snppolicy.VCEK) {
			r.ProductCerts.Ask = named(in, "SEV-"+line)
		}
		if slices.Contains(in.Policy.SigningKeys, snppolicy.VLEK) {
			r.ProductCerts.Asvk = named(in, "SEV-VLEK-"+line)
		}
		if in.Endorsements != nil {
			for _, l := range in.Endorsements.CRLs {
				if l.Issuer.CommonName == ark.Subject.CommonName {
					r.CRL = l
				}
			}
		}
		roots[line] = []*sevtrust.AMDRootCerts{r}
	}
	return roots
}

// sevOptions makes the library's options. An option holds one value at most, so
// there is one set of options for each combination of accepted values. What the
// library has no option for is not here: the list of differences has it.
func sevOptions(in snp.Input, r *spb.Report) []sevvalidate.Options {
	p := in.Policy
	base := sevvalidate.Options{
		GuestPolicy:               sevabi.SnpPolicy{SMT: p.SMT, ABIMajor: p.ABI.Major, ABIMinor: p.ABI.Minor},
		MinimumGuestSvn:           p.GuestSVN,
		PermitProvisionalFirmware: p.Provisional,
		PlatformInfo:              &sevabi.SnpPlatformInfo{SMTEnabled: p.SMT, TSMEEnabled: true, ECCEnabled: !p.AnyECC, AliasCheckComplete: !p.AnyAliasCheck},
		ReportIDMA:                []byte(strings.Repeat("\xff", 32)), // SNP-M4
	}
	sevFloors(&base, p, r)
	if p.IDBlock == snppolicy.Require {
		base.RequireIDBlock, base.TrustedIDKeyHashes = true, p.IDKeys.List
		base.RequireAuthorKey, base.TrustedAuthorKeyHashes = len(p.AuthorKeys.List) > 0, p.AuthorKeys.List
	}
	all := []sevvalidate.Options{base}
	var measurements [][]byte
	for _, m := range in.Expected.Measurements {
		measurements = append(measurements, m[:])
	}
	all = each(all, values(&p.Measurements, measurements, 48), func(o *sevvalidate.Options, v []byte) { o.Measurement = v })
	all = each(all, values(&p.ReportData, sliceOf(in.Expected.ReportData), 64), func(o *sevvalidate.Options, v []byte) { o.ReportData = v })
	all = each(all, values(&p.HostData, slice32(in.Expected.HostData), 32), func(o *sevvalidate.Options, v []byte) { o.HostData = v })
	all = each(all, values(&p.FamilyIDs, nil, 16), func(o *sevvalidate.Options, v []byte) { o.FamilyID = v })
	all = each(all, values(&p.ImageIDs, nil, 16), func(o *sevvalidate.Options, v []byte) { o.ImageID = v })
	all = each(all, values(&p.Chips, nil, 64), func(o *sevvalidate.Options, v []byte) { o.ChipID = v })
	var vmpls [][]byte
	for _, v := range p.VMPLs {
		vmpls = append(vmpls, []byte{byte(v)})
	}
	return each(all, vmpls, func(o *sevvalidate.Options, v []byte) {
		n := int(v[0])
		o.VMPL = &n
	})
}

// sevFloors are the lowest versions that the policy has for the processor.
func sevFloors(o *sevvalidate.Options, p *snppolicy.Policy, r *spb.Report) {
	family, model, stepping := sevabi.FmsFromCpuid1Eax(r.GetCpuid1EaxFms())
	c := p.Find(family, model, stepping)
	if c == nil {
		return
	}
	tcb := kds.TCBParts{BlSpl: c.Bootloader, TeeSpl: c.TEE, SnpSpl: c.SNP, UcodeSpl: c.Microcode}
	o.MinimumTCB, o.MinimumLaunchTCB = tcb, tcb
	o.MinimumBuild = c.Firmware.Build
	o.MinimumVersion = uint16(c.Firmware.Major)<<8 | uint16(c.Firmware.Minor)
	if !c.AnyMitigations {
		o.MinimumLaunchMitigationVector, o.MinimumCurrentMitigationVector = c.Mitigations, c.Mitigations
	}
	o.GuestPolicy.SingleSocket = c.GuestPolicy.Has(idblock.SingleSocket)
	o.GuestPolicy.MemAES256XTS = c.GuestPolicy.Has(idblock.MemAES256XTS)
	o.GuestPolicy.RAPLDis = c.GuestPolicy.Has(idblock.RAPLDisabled)
	o.GuestPolicy.CipherTextHidingDRAM = c.GuestPolicy.Has(idblock.CiphertextHidingDRAM)
	o.GuestPolicy.PageSwapDisable = c.GuestPolicy.Has(idblock.PageSwapDisabled)
}

// values gives the values of an option; one that is nil is not checked.
func values(v *snppolicy.Values, given [][]byte, size int) [][]byte {
	switch v.Word {
	case snppolicy.Transcript, snppolicy.Release, snppolicy.Configuration:
		if len(given) > 0 {
			return given
		}
	case snppolicy.Zero:
		return [][]byte{make([]byte, size)}
	case "":
		return v.List
	}
	return [][]byte{nil}
}

func sliceOf(b *[64]byte) [][]byte {
	if b == nil {
		return nil
	}
	return [][]byte{b[:]}
}

func slice32(b *[32]byte) [][]byte {
	if b == nil {
		return nil
	}
	return [][]byte{b[:]}
}

// each makes options with every value.
func each(options []sevvalidate.Options, values [][]byte, set func(*sevvalidate.Options, []byte)) []sevvalidate.Options {
	var all []sevvalidate.Options
	for _, o := range options {
		for _, v := range values {
			next := o
			set(&next, v)
			all = append(all, next)
		}
	}
	return all
}
