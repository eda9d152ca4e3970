package tpmtest

import (
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"safebox/verifier/checktest"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/verdict"
)

// maker makes a passing machine.
type maker func(t testing.TB) *Machine

// Positives is evidence that passes every check, of every kind of machine.
func Positives() []checktest.Positive {
	var out []checktest.Positive
	for _, p := range []struct {
		name string
		make maker
	}{
		{"Google, RSA-2048, certificate, strict", Google},
		{"Google, certificate as Google issues them, cloud", googleUsage(ek())},
		{"Google, certificate without extended key usage, cloud", googleUsage()},
		{"Google, two banks", twoBanks},
		{"RSA-2048 pinned, strict", pinned(pemRSA)},
		{"P-256 pinned, strict", pinned(pemP256)},
		{"P-384 with SHA-384 pinned, strict", p384},
		{"RSA-2048 with SHA-512 pinned, strict", sha512},
		{"Azure SEV-SNP, cloud", onAzure(azure.SNP)},
		{"Azure TDX, cloud", onAzure(azure.TDX)},
		{"Secure Boot on with the policy's db", secureBootOn},
		{"registers of the policy", listedRegisters},
		{"revoked from tomorrow on", func(t testing.TB) *Machine {
			m := Google(t)
			good, day := m.Lists, 24*time.Hour
			m.Lists = func() []*x509.RevocationList {
				return append(good(), m.authority.lists(t, Now().Add(day), Now().Add(2*day), nil, []*big.Int{leafSerial()})...)
			}
			return m
		}},
		{"SHA-1 quote besides, which is not counted", func(t testing.TB) *Machine {
			m := Google(t)
			m.Banks = append(m.Banks, tpm.AlgSHA1)
			return m
		}},
	} {
		out = append(out, checktest.Positive{Name: p.name, Run: func(t testing.TB) *verdict.Verdict { return p.make(t).Verdict() }})
	}
	return out
}

func pinned(pem string) maker { return func(t testing.TB) *Machine { return Pinned(t, pem) } }

func onAzure(kind azure.Kind) maker {
	return func(t testing.TB) *Machine { return OnAzure(t, kind) }
}

func googleUsage(extended ...asn1.ObjectIdentifier) maker {
	return func(t testing.TB) *Machine {
		m := Google(t)
		m.Profile, m.Certificate.Extended = "cloud", extended
		return m
	}
}

func twoBanks(t testing.TB) *Machine {
	m := Google(t)
	m.Banks = []tpm.Algorithm{tpm.AlgSHA256, tpm.AlgSHA384}
	m.Policy = append(m.Policy, `banks = ["sha256"]`, `banks = ["sha256", "sha384"]`)
	return m
}

func p384(t testing.TB) *Machine {
	m := Pinned(t, pemP384)
	m.Hash = tpm.AlgSHA384
	return m
}

func sha512(t testing.TB) *Machine {
	m := Pinned(t, pemRSA)
	m.Hash = tpm.AlgSHA512
	return m
}

// secureBootOn trusts the authority "TEST db".
func secureBootOn(t testing.TB) *Machine {
	m := Google(t)
	m.withSecureBoot(secureBoot([]byte{1}, []byte("PK"), []byte("KEK"), []byte("TEST db")))
	// SHA-256 of "TEST db", by sha256sum.
	m.Policy = append(m.Policy, `secure_boot = "off"`, `secure_boot = "on"`, `variables = "any"`,
		`variables = [{name = "db", sha256 = ["b7f853b08d6cbf680006be327cc3390413e99be14a998ad7ba6dec24b15fbca3"]}]`)
	return m
}

// withSecureBoot puts other variables in place of the five.
func (m *Machine) withSecureBoot(events []Event) {
	copy(m.Events[2:], events)
	m.Logged = append([]Event{}, m.Events...)
}

func listedRegisters(t testing.TB) *Machine {
	m := Google(t)
	m.Change = func(p *tpmpolicy.Policy) {
		p.ReleaseRegisters = false
		for _, index := range []int{4, 11} {
			p.Registers = append(p.Registers, tpmpolicy.Register{Index: index, Values: [][]byte{make([]byte, 32), m.registers(tpm.AlgSHA256)[index]}})
		}
	}
	return m
}
