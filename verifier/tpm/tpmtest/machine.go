package tpmtest

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/table"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/cloud"
	"safebox/verifier/verdict"
)

// Machine is a machine with a TPM and everything that its evidence says. New
// machines pass; tests change one field.
type Machine struct {
	Attributes tpm.Attributes // of the attestation key
	NoScheme   bool           // the key has no scheme of its own
	Hash       tpm.Algorithm  // of the signing scheme
	Signer     crypto.Signer  // signs in place of the key

	AttestType       uint16
	Extra            []byte
	Banks            []tpm.Algorithm
	SaidBank         tpm.Algorithm // the bank that the quote names; 0: its own
	PCRs             []int
	Resets, Restarts uint32
	LaterResets      uint32 // by which the later quotes' reset counts differ
	LaterRestarts    uint32
	Safe             bool

	FlipAttest, FlipSignature  byte // XORed to the last byte, after signing
	FlipRegister, OmitRegister int  // in the values sent along; -1: none

	Events   []Event // what happened
	Unlogged []Event // what happened later and is in no log
	Logged   []Event // what the log says; nil: no log
	LogBanks []tpm.Algorithm

	Certificate *Certificate // nil: none
	Said        []byte       // GCEInstanceInfo in the file

	Azure            azure.Kind // 0: the file is go-tpm-tools'
	KeyUses          []string
	ClaimsSecureBoot bool
	OtherClaims      bool // the hardware report binds others

	Lists     func() []*x509.RevocationList
	Policy    []string                // changes of the profile's text: from, to, from, to
	Profile   string                  // whose text it is
	Change    func(*tpmpolicy.Policy) // of what was read
	File      func([]byte) []byte     // change of the file
	Input     func(*cloud.Input)      // change of the input
	authority *Authority
	ak        crypto.Signer
	t         testing.TB
}

// base is what all machines have: an appliance with Secure Boot off, all 24
// registers quoted.
func base(t testing.TB, pem string) *Machine {
	t.Helper()
	m := &Machine{
		Attributes: tpm.FixedTPM | tpm.FixedParent | tpm.SensitiveDataOrigin | tpm.UserWithAuth | tpm.Restricted | tpm.Sign,
		Hash:       tpm.AlgSHA256, AttestType: 0x8018, Extra: []byte("session"), Banks: []tpm.Algorithm{tpm.AlgSHA256},
		Resets: 7, Safe: true, FlipRegister: -1, OmitRegister: -1,
		Events: appliance(), LogBanks: []tpm.Algorithm{tpm.AlgSHA1, tpm.AlgSHA256, tpm.AlgSHA384},
		KeyUses: []string{"sign"}, Profile: "strict", ak: key(t, pem), t: t,
	}
	// The kernel's IMA extends 10 after the firmware's log.
	m.Unlogged = []Event{{PCR: 10, Data: []byte("boot aggregate")}}
	m.Logged = slices.Clone(m.Events)
	for i := range 24 {
		m.PCRs = append(m.PCRs, i)
	}
	return m
}

// Google makes a machine whose key has a certificate of an authority.
func Google(t testing.TB) *Machine {
	m := base(t, pemRSA)
	m.authority = newAuthority(t, key(t, pemRoot), Now().Add(4*365*24*time.Hour))
	m.Certificate = &Certificate{
		Usage: x509.KeyUsageDigitalSignature, Extended: []asn1.ObjectIdentifier{aik()},
		From: Now().Add(-24 * time.Hour), Until: Now().Add(24 * time.Hour),
		Instance: instance(t, "zone-a", 42, "project", 4711, "machine", true), CriticalName: true,
	}
	m.Said = appendField(appendField(nil, 1, []byte("zone-a")), 2, []byte("project"))
	m.Said = append(m.Said, 3<<3, 42)
	m.Said = appendField(m.Said, 4, []byte("machine"))
	m.Said = append(m.Said, 5<<3, 0xe7, 0x24) // 4711
	m.Lists = func() []*x509.RevocationList {
		return m.authority.lists(t, Now().Add(-time.Hour), Now().Add(time.Hour), []*big.Int{big.NewInt(99)}, []*big.Int{big.NewInt(98)})
	}
	m.Policy = []string{
		`attestation_keys = ["hardware"]`, `attestation_keys = ["certificate"]`,
		`roots = "none"`, fmt.Sprintf(`roots = [{subject = "CN=TEST ONLY TPM root", sha256 = "%x"}]`, sha256.Sum256(m.authority.Root.Raw)),
		`instances = "any"`, `instances = [{project = "project", project_number = 42, zone = "zone-a", name = "machine", id = 4711}]`,
	}
	return m
}

// Pinned makes a machine whose key the policy names.
func Pinned(t testing.TB, pem string) *Machine {
	m := base(t, pem)
	m.Policy = []string{`attestation_keys = ["hardware"]`, `attestation_keys = ["pinned"]`}
	m.Change = func(p *tpmpolicy.Policy) { p.Pins = [][32]byte{sha256.Sum256(m.public())} }
	return m
}

// OnAzure makes a machine whose key a processor's report binds. Azure gives no
// log.
func OnAzure(t testing.TB, kind azure.Kind) *Machine {
	m := base(t, pemRSA)
	m.Azure, m.Logged, m.Profile = kind, nil, "cloud"
	return m
}

// policy reads the machine's policy.
func (m *Machine) policy() *tpmpolicy.Policy {
	m.t.Helper()
	text := tpmpolicy.Section(m.Profile)
	for i := 0; i < len(m.Policy); i += 2 {
		if !strings.Contains(text, m.Policy[i]) {
			m.t.Fatalf("tpmtest: the policy has no %q", m.Policy[i])
		}
		text = strings.Replace(text, m.Policy[i], m.Policy[i+1], 1)
	}
	pins := `pins = "none"`
	if strings.Contains(text, `attestation_keys = ["pinned"]`) {
		text = strings.Replace(text, pins, fmt.Sprintf(`pins = ["%064d"]`, 0), 1)
	}
	file, err := table.Parse([]byte(text))
	if err != nil {
		m.t.Fatal(err)
	}
	p := tpmpolicy.Read(file.Table("vtpm").Table("quote"), m.Profile)
	if err := file.Close(); err != nil {
		m.t.Fatal(err)
	}
	if m.Change != nil {
		m.Change(&p)
	}
	return &p
}

// Inputs makes everything that the verdict depends on.
func (m *Machine) Inputs() cloud.Input {
	set := &endorse.Set{}
	if m.authority != nil {
		set.Certificates, set.CRLs = []*x509.Certificate{m.authority.Root}, m.Lists()
	}
	release := map[int][]byte{}
	for _, index := range []int{0, 2, 4, 7, 11} {
		release[index] = m.registers(m.Banks[0])[index]
	}
	other := map[int][]byte{4: make([]byte, 32)} // another way of booting
	in := cloud.Input{
		Endorsements: set, Rules: chain.Rules{At: Now(), MaxAgeCRL: 24 * time.Hour}, Policy: m.policy(), Hardware: Processor,
		Expected: cloud.Expected{ExtraData: []byte("session"), Registers: []map[int][]byte{other, release}},
	}
	if m.Azure != 0 {
		in.Evidence = m.azure()
	} else {
		in.Evidence = m.google()
	}
	if m.File != nil {
		in.Evidence = m.File(in.Evidence)
	}
	if m.Input != nil {
		m.Input(&in)
	}
	return in
}

// Verdict verifies the machine's evidence.
func (m *Machine) Verdict() *verdict.Verdict {
	log := check.New()
	cloud.Verify(m.Inputs(), log)
	return log.Verdict(cloud.Definitions())
}
