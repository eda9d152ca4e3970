package cloud_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/check"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm/cloud"
	"safebox/verifier/tpm/tpmtest"
	"safebox/verifier/verdict"
)

// namesakes are authorities of one name, by one key: each could have issued any
// other.
func namesakes(t testing.TB, name []byte, n int) []*x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var out []*x509.Certificate
	for i := range n {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(1000 + i)), RawSubject: name, IsCA: true, BasicConstraintsValid: true,
			NotBefore: tpmtest.Now().Add(-time.Hour), NotAfter: tpmtest.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// TestNamesakes: certificates of one name make chains without number (64 of
// them 16 million of five), and come from whoever gives collateral. Looking for
// a chain must end soon, and find the right one that comes along.
func TestNamesakes(t *testing.T) {
	m := tpmtest.Google(t)
	in := m.Inputs()
	e, err := cloud.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(e.Google.AKCertificate)
	if err != nil {
		t.Fatal(err)
	}
	judge := func() *verdict.Verdict {
		log := check.New()
		start := time.Now()
		cloud.Verify(in, log)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("got a verdict after %v", took)
		}
		return log.Verdict(cloud.Definitions())
	}
	root := in.Endorsements.Certificates
	fakes := namesakes(t, leaf.RawIssuer, 64)
	in.Endorsements.Certificates = append(root, fakes...)
	if v := judge(); !v.OK {
		t.Error("the right chain among namesakes: refused")
	}
	in.Endorsements.Certificates = fakes
	v := judge()
	for _, c := range v.Checks {
		if c.ID == "TPM-K1" && (c.OK || !strings.Contains(c.Got, "256 issuers by name")) {
			t.Errorf("namesakes alone: got %t, %s", c.OK, c.Got)
		}
	}
	if v.OK {
		t.Error("namesakes alone: accepted")
	}
}

// TestWhoVouchesForAttributes: a certificate is of a key alone. That nobody but
// its issuer vouches for the key's attributes is told, and is not said of a pin,
// which is of the whole public area.
func TestWhoVouchesForAttributes(t *testing.T) {
	told := func(in cloud.Input) bool {
		t.Helper()
		log := check.New()
		e := cloud.Verify(in, log)
		v := log.Verdict(cloud.Definitions())
		if e == nil || !v.OK {
			t.Fatal("refused")
		}
		return slices.ContainsFunc(v.Waived, func(w verdict.Waiver) bool { return w.What == "attributes of the attestation key" })
	}
	in := tpmtest.Google(t).Inputs()
	if !told(in) {
		t.Error("known by a certificate: not told")
	}
	e, err := cloud.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	in.Policy.AttestationKeys = append(in.Policy.AttestationKeys, tpmpolicy.Pinned)
	in.Policy.Pins = [][32]byte{sha256.Sum256(e.KeyBytes)}
	if told(in) {
		t.Error("pinned besides: told")
	}
}

// TestUnlistedVariables: a policy that lists the values of one of the variables
// says nothing of the others, and that is told. Of a list of SHA-256 none is
// that of the machine's db, which is refused and does not matter here.
func TestUnlistedVariables(t *testing.T) {
	in := tpmtest.Google(t).Inputs()
	in.Policy.SecureBoot, in.Policy.AnyVariables = tpmpolicy.On, false
	in.Policy.Variables = []tpmpolicy.Variable{{Name: "db", Values: [][32]byte{{1}}}}
	log := check.New()
	cloud.Verify(in, log)
	want := "values of PK, KEK, dbx of Secure Boot"
	waived := log.Verdict(cloud.Definitions()).Waived
	if !slices.ContainsFunc(waived, func(w verdict.Waiver) bool { return w.What == want }) {
		t.Errorf("got %v, want %q among them", waived, want)
	}
}
