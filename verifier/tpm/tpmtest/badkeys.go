package tpmtest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/cloud"
)

func forms() []wrong {
	file := func(change func([]byte) []byte) func(*Machine) {
		return func(m *Machine) { m.File = change }
	}
	text := func(from, to string) func(*Machine) {
		return file(func(b []byte) []byte { return []byte(strings.Replace(string(b), from, to, 1)) })
	}
	tdx := onAzure(azure.TDX)
	return []wrong{
		{"TPM-F1", "file is cut off", Google, file(func(b []byte) []byte { return b[:len(b)-1] })},
		{"TPM-F1", "field 10 follows", Google, file(func(b []byte) []byte { return appendField(b, 10, []byte("new")) })},
		{"TPM-F1", "attestation key comes twice", Google, file(func(b []byte) []byte { return append(b, b[:3+280]...) })},
		{"TPM-F1", "empty file", Google, file(func([]byte) []byte { return nil })},
		{"TPM-F1", "unknown name", tdx, text(`{"version":1`, `{"extra":1,"version":1`)},
		{"TPM-F1", "name twice", tdx, text(`{"version":1`, `{"version":1,"version":1`)},
		{"TPM-F1", "unknown version", tdx, text(`"version":1`, `"version":3`)},
		{"TPM-F1", "text follows", tdx, file(func(b []byte) []byte { return append(b, "{}"...) })},
		{"TPM-F1", "report of the other processor", tdx, text(`"td_quote"`, `"vcek"`)},
	}
}

func hardwares() []wrong {
	return []wrong{
		{"TPM-H1", "SEV-SNP report binds other claims", onAzure(azure.SNP), func(m *Machine) { m.OtherClaims = true }},
		{"TPM-H1", "TD quote binds other claims", onAzure(azure.TDX), func(m *Machine) { m.OtherClaims = true }},
		{"TPM-H1", "SEV-SNP report binds other claims, and any report data is accepted", onAzure(azure.SNP), func(m *Machine) {
			m.OtherClaims = true
			m.Input = func(in *cloud.Input) { in.Hardware = accept }
		}},
		{"TPM-H1", "TD quote binds other claims, and any report data is accepted", onAzure(azure.TDX), func(m *Machine) {
			m.OtherClaims = true
			m.Input = func(in *cloud.Input) { in.Hardware = accept }
		}},
		{"TPM-H1", "hardware report does not verify", onAzure(azure.SNP), func(m *Machine) {
			m.Input = func(in *cloud.Input) {
				in.Hardware = func(azure.Hardware, [64]byte, *check.Recorder) error { return errors.New("signature") }
			}
		}},
		{"TPM-H1", "nobody verifies the hardware report", onAzure(azure.TDX), func(m *Machine) {
			m.Input = func(in *cloud.Input) { in.Hardware = nil }
		}},
		{"TPM-H1", "key is pinned, its hardware report does not verify", onAzure(azure.SNP), func(m *Machine) {
			m.OtherClaims = true
			m.Change = func(p *tpmpolicy.Policy) {
				der, err := x509.MarshalPKIXPublicKey(m.ak.Public())
				if err != nil {
					m.t.Fatal(err)
				}
				p.AttestationKeys, p.Pins = []string{tpmpolicy.Pinned}, [][32]byte{sha256.Sum256(der)}
			}
		}},
	}
}

// accept is a processor's package under a policy that accepts any report data.
func accept(azure.Hardware, [64]byte, *check.Recorder) error { return nil }

func keys() []wrong {
	policy := func(change func(*tpmpolicy.Policy)) func(*Machine) {
		return func(m *Machine) { m.Change = change }
	}
	p256 := pinned(pemP256)
	return []wrong{
		{"TPM-K1", "other key is pinned", p256, policy(func(p *tpmpolicy.Policy) { p.Pins = [][32]byte{{1}} })},
		{"TPM-K1", "policy accepts no ground", Google, policy(func(p *tpmpolicy.Policy) { p.AttestationKeys = nil })},
		{"TPM-K1", "bound by hardware, the policy wants a pin", onAzure(azure.SNP), policy(func(p *tpmpolicy.Policy) { p.AttestationKeys = []string{tpmpolicy.Pinned} })},
		{"TPM-K1", "certified, the policy wants hardware", Google, policy(func(p *tpmpolicy.Policy) { p.AttestationKeys = []string{tpmpolicy.Hardware} })},
		{"TPM-K1", "no certificate", Google, func(m *Machine) { m.Certificate = nil }},
		{"TPM-K1", "certificate of another key", Google, func(m *Machine) { m.Certificate.Key = key(m.t, pemOther).Public() }},
		{"TPM-K1", "root is not the policy's", Google, policy(func(p *tpmpolicy.Policy) { p.Roots[0].SHA256[0] ^= 1 })},
		{"TPM-K1", "root of the policy's name by another key", Google, func(m *Machine) {
			other := newAuthority(m.t, key(m.t, pemOther), Now().Add(time.Hour))
			m.authority.Intermediate, m.authority.Root = other.Intermediate, other.Root
		}},
		{"TPM-K1", "root came along and is nobody's choice", Google, policy(func(p *tpmpolicy.Policy) { p.Roots = nil })},
		{"TPM-K1", "no root came along", Google, func(m *Machine) { m.Input = func(in *cloud.Input) { in.Endorsements = nil } }},
		{"TPM-K1", "certificate was changed after signing", Google, func(m *Machine) {
			m.File = func(b []byte) []byte {
				return []byte(strings.Replace(string(b), "TEST ONLY machine", "TEST ONLY Machine", 1))
			}
		}},
		{"TPM-K1", "authority below an authority that allows none", Google, func(m *Machine) { deeper(m) }},
	}
}

// deeper puts one more authority below the intermediate, which allows none.
func deeper(m *Machine) {
	a := m.authority
	signer := key(m.t, pemOther)
	template := *a.Intermediate
	template.SerialNumber, template.Subject.CommonName, template.RawSubject = big.NewInt(3), "TEST ONLY deeper", nil
	lower := issue(m.t, &template, a.Intermediate, signer.Public(), a.intermediate)
	middle := a.Intermediate
	a.Intermediate, a.intermediate = lower, signer
	m.Input = func(in *cloud.Input) {
		in.Endorsements = &endorse.Set{Certificates: []*x509.Certificate{a.Root, middle}, CRLs: m.Lists()}
	}
}

func attributes() []wrong {
	var list []wrong
	for _, a := range []struct {
		bit  tpm.Attributes
		name string
	}{
		{tpm.FixedTPM, "fixedTPM"},
		{tpm.FixedParent, "fixedParent"},
		{tpm.SensitiveDataOrigin, "sensitiveDataOrigin"},
		{tpm.Restricted, "restricted"},
		{tpm.Sign, "sign"},
		{tpm.Decrypt, "decrypt"},
	} {
		list = append(list, wrong{"TPM-K2", fmt.Sprintf("other attribute %s", a.name), Google, func(m *Machine) { m.Attributes ^= a.bit }})
	}
	return append(list,
		wrong{"TPM-K2", "key without a scheme", Google, func(m *Machine) { m.NoScheme = true }},
		wrong{"TPM-K2", "claims: key also encrypts", onAzure(azure.SNP), func(m *Machine) { m.KeyUses = []string{"sign", "encrypt"} }},
		wrong{"TPM-K2", "claims: key is for encryption", onAzure(azure.TDX), func(m *Machine) { m.KeyUses = []string{"encrypt"} }},
	)
}

func certificates() []wrong {
	usage := func(usage x509.KeyUsage, extended ...asn1.ObjectIdentifier) func(*Machine) {
		return func(m *Machine) { m.Certificate.Usage, m.Certificate.Extended = usage, extended }
	}
	signs, encrypts := x509.KeyUsageDigitalSignature, x509.KeyUsageKeyEncipherment
	likeGoogle := googleUsage()
	return []wrong{
		{"TPM-K3", "endorsement key's extended key usage", Google, usage(signs, ek())},
		{"TPM-K3", "no extended key usage", Google, usage(signs)},
		{"TPM-K3", "endorsement key's certificate", Google, usage(encrypts, ek())},
		{"TPM-K3", "attestation key's extended key usage, for encryption", Google, usage(encrypts, aik())},
		{"TPM-K3", "Google's endorsement key certificate of 2021", likeGoogle, usage(encrypts, ek())},
		{"TPM-K3", "Google's endorsement key certificate of 2024", likeGoogle, usage(encrypts)},
		{"TPM-K3", "key that signs and encrypts", likeGoogle, usage(signs | encrypts)},
		{"TPM-K3", "key for something else", likeGoogle, usage(signs, asn1.ObjectIdentifier{1, 2, 3})},
		{"TPM-K3", "policy names no usage", Google, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.CertificateUsage = "" }
		}},
		{"TPM-K3", "authority's own certificate", Google, func(m *Machine) {
			// pathLenConstraint would refuse it first: TPM-K1.
			m.authority = looseAuthority(m)
			m.Certificate.Authority = true
		}},
		{"TPM-K3", "ended a second ago", Google, func(m *Machine) { m.Certificate.Until = Now().Add(-time.Second) }},
		{"TPM-K3", "begins in a second", Google, func(m *Machine) { m.Certificate.From = Now().Add(time.Second) }},
		{"TPM-K3", "issuer ended a second ago", Google, func(m *Machine) {
			m.authority.Intermediate = newAuthority(m.t, m.authority.root, Now().Add(-time.Second)).Intermediate
		}},
		{"TPM-K3", "root ended", Google, func(m *Machine) { m.at(Now().Add(6 * 365 * 24 * time.Hour)) }},
	}
}

// at moves the verdict and everything but the root to another time.
func (m *Machine) at(when time.Time) {
	m.Certificate.From, m.Certificate.Until = when.Add(-time.Hour), when.Add(time.Hour)
	m.authority.Intermediate = newAuthority(m.t, m.authority.root, when.Add(time.Hour)).Intermediate
	lists := m.authority.lists(m.t, when.Add(-time.Hour), when.Add(time.Hour), nil, nil)
	m.Lists = func() []*x509.RevocationList { return lists }
	m.Input = func(in *cloud.Input) {
		in.Rules.At = when
		in.Endorsements.Certificates = []*x509.Certificate{m.authority.Root}
	}
	m.authority.rootOf(m)
}

// rootOf makes the policy name the authority's own root, of which every
// authority that is made has another signature.
func (a *Authority) rootOf(m *Machine) {
	m.Change = func(p *tpmpolicy.Policy) { p.Roots = []tpmpolicy.Root{{SHA256: sha256.Sum256(a.Root.Raw)}} }
}

// looseAuthority is one whose intermediate may have authorities below it.
func looseAuthority(m *Machine) *Authority {
	a := *m.authority
	template := *a.Intermediate
	template.MaxPathLen, template.MaxPathLenZero = -1, false
	a.Intermediate = issue(m.t, &template, a.Root, a.intermediate.Public(), a.root)
	return &a
}

func revocations() []wrong {
	lists := func(from, until time.Duration, root, below []*big.Int) func(*Machine) {
		return func(m *Machine) {
			m.Lists = func() []*x509.RevocationList {
				return m.authority.lists(m.t, Now().Add(from), Now().Add(until), root, below)
			}
		}
	}
	only := func(n int) func(*Machine) {
		return func(m *Machine) {
			all := m.Lists
			m.Lists = func() []*x509.RevocationList { return all()[n : n+1] }
		}
	}
	h := time.Hour
	besides := func(from, until time.Duration) func(*Machine) {
		return func(m *Machine) {
			good := m.Lists
			m.Lists = func() []*x509.RevocationList {
				return append(m.authority.lists(m.t, Now().Add(from), Now().Add(until), nil, []*big.Int{leafSerial()}), good()...)
			}
		}
	}
	return []wrong{
		{"TPM-K3", "certificate is revoked by an older list besides", Google, besides(-2*h, h)},
		{"TPM-K3", "certificate is revoked by a list that has ended", Google, besides(-9*h, -8*h)},
		{"TPM-K3", "certificate is revoked", Google, lists(-h, h, nil, []*big.Int{leafSerial()})},
		{"TPM-K3", "issuer is revoked", Google, lists(-h, h, []*big.Int{big.NewInt(2)}, nil)},
		{"TPM-K3", "no list of the root", Google, only(1)},
		{"TPM-K3", "no list of the issuer", Google, only(0)},
		{"TPM-K3", "lists ended a second ago", Google, lists(-h, -time.Second, nil, nil)},
		{"TPM-K3", "lists begin in a second", Google, lists(time.Second, h, nil, nil)},
		{"TPM-K3", "lists are older than the rules allow", Google, lists(-25*h, h, nil, nil)},
	}
}

func instances() []wrong {
	named := func(zone string, number int64, project string, id int64, name string, production bool) func(*Machine) {
		return func(m *Machine) {
			m.Certificate.Instance, m.Said = instance(m.t, zone, number, project, id, name, production), nil
		}
	}
	return []wrong{
		{"TPM-K4", "other zone", Google, named("zone-b", 42, "project", 4711, "machine", true)},
		{"TPM-K4", "other project number", Google, named("zone-a", 43, "project", 4711, "machine", true)},
		{"TPM-K4", "other project", Google, named("zone-a", 42, "other", 4711, "machine", true)},
		{"TPM-K4", "other instance id", Google, named("zone-a", 42, "project", 4712, "machine", true)},
		{"TPM-K4", "other name", Google, named("zone-a", 42, "project", 4711, "other", true)},
		{"TPM-K4", "not in production", Google, named("zone-a", 42, "project", 4711, "machine", false)},
		{"TPM-K4", "certificate names no instance", Google, func(m *Machine) { m.Certificate.Instance = nil }},
		{"TPM-K4", "certificate's instance is malformed", Google, func(m *Machine) { m.Certificate.Instance = append(m.Certificate.Instance, 0) }},
		{"TPM-K4", "file names another instance than the certificate", Google, func(m *Machine) { m.Said = appendField(nil, 1, []byte("zone-b")) }},
		{"TPM-K4", "policy lists no instances", Google, func(m *Machine) { m.Change = func(p *tpmpolicy.Policy) { p.Instances = nil } }},
	}
}
