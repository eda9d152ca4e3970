package tdxtest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/table"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx"
	"safebox/verifier/tdx/pcs/pcstest"
	"safebox/verifier/verdict"
)

// Evidence is everything that a verdict is made of, before it is signed. New
// makes one that passes; a test changes what it wants and calls Input.
type Evidence struct {
	Keys      Keys
	By        Signers
	Templates Templates
	Extension *pcstest.PCKExtension // of the PCK certificate
	Info      *pcstest.TCBInfo
	Identity  *pcstest.Identity
	Quote     tdx.Quote // but for what is signed and certified

	EventLog []byte
	Runtime  [][48]byte
	Expected tdx.Expected
	Rules    chain.Rules
	Profile  string
	Policy   string // the table [tdx]

	After func(t testing.TB, in *tdx.Input) // changes what was put together; may be nil
}

// Signers are keys that sign in place of the right ones. Nil is the right one.
type Signers struct {
	Intermediate, TCB, PCK, RootCRL, PCKCRL, Info, Identity, Report, Quote *ecdsa.PrivateKey
}

// New makes evidence of a form that passes under the profile strict, in whose
// text the machine is listed and nothing else changed.
func New(t testing.TB, form tdx.Form) *Evidence {
	t.Helper()
	text := func(at time.Time) string { return at.Format(time.RFC3339) }
	e := &Evidence{
		Keys: newKeys(t), Templates: newTemplates(), Extension: newExtension(),
		Info:     pcstest.NewTCBInfo(text(issued()), text(nextUpdate())),
		Identity: pcstest.NewIdentity(text(issued()), text(nextUpdate())),
		Quote:    newQuote(t, form),
		Rules:    chain.Rules{At: At(), MaxAgeTCB: 7 * 24 * time.Hour, MaxAgeCRL: 30 * 24 * time.Hour},
		Profile:  "strict", Policy: tdxpolicy.Section("strict"),
	}
	log := newLog()
	e.EventLog = log.Encode()
	rtmrs, err := log.Replay()
	if err != nil {
		t.Fatal(err)
	}
	b := &e.Quote.Body
	copy(b.RTMR[:3], rtmrs[:3])
	e.Expected = tdx.Expected{
		ReportData: new([64]byte), ConfigID: new([48]byte), MRTD: [][48]byte{filled(0x11), b.MRTD},
		RTMR: [4][][48]byte{{b.RTMR[0]}, {filled(0x12), b.RTMR[1]}, {b.RTMR[2]}},
	}
	*e.Expected.ReportData, *e.Expected.ConfigID = b.ReportData, b.MRConfigID
	e.Set(t, "chips", fmt.Sprintf(`["piid:%x", "piid:%x"]`, make([]byte, 16), e.Extension.PIID))
	return e
}

// UseProcessorCA makes the PCK certificate one of Intel's Processor CA, for
// machines of one package, which name a processor and no platform.
func (e *Evidence) UseProcessorCA(t testing.TB) {
	t.Helper()
	e.Templates.Intermediate.Subject = subject("Intel SGX PCK Processor CA")
	e.Extension.Processor = true
	e.Set(t, "chips", fmt.Sprintf(`["ppid:%x"]`, e.Extension.PPID))
}

// Set changes the value of a key in the policy.
func (e *Evidence) Set(t testing.TB, key, value string) {
	t.Helper()
	lines := strings.Split(e.Policy, "\n")
	found := 0
	for i, line := range lines {
		if strings.HasPrefix(line, key+" = ") {
			lines[i] = key + " = " + value
			found++
		}
	}
	if found != 1 {
		t.Fatalf("key %s is %d times in the policy, want 1", key, found)
	}
	e.Policy = strings.Join(lines, "\n")
}

// ReadPolicy reads the policy.
func (e *Evidence) ReadPolicy(t testing.TB) *tdxpolicy.Policy {
	t.Helper()
	file, err := table.Parse([]byte(e.Policy))
	if err != nil {
		t.Fatal(err)
	}
	p := tdxpolicy.Read(file.Table("tdx"), e.Profile)
	file.End()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return &p
}

// Input signs everything and puts it together.
func (e *Evidence) Input(t testing.TB) tdx.Input {
	t.Helper()
	or := func(by, right *ecdsa.PrivateKey) *ecdsa.PrivateKey {
		if by != nil {
			return by
		}
		return right
	}
	k, m := e.Keys, e.Templates
	root := issue(t, m.Root, m.Root, &k.Root.PublicKey, k.Root)
	intermediate := issue(t, m.Intermediate, root, &k.Intermediate.PublicKey, or(e.By.Intermediate, k.Root))
	signer := issue(t, m.TCB, root, &k.TCB.PublicKey, or(e.By.TCB, k.Root))
	leaf := *m.PCK
	if e.Extension != nil {
		leaf.ExtraExtensions = append([]pkix.Extension{e.Extension.Extension(t)}, leaf.ExtraExtensions...)
	}
	pck := issue(t, &leaf, intermediate, &k.PCK.PublicKey, or(e.By.PCK, k.Intermediate))
	q := e.Quote
	q.Data.Chain = append(PEM(pck, intermediate, root), 0)
	e.sign(t, &q)
	in := tdx.Input{
		Quote: q.Encode(), EventLog: e.EventLog, Runtime: e.Runtime,
		Endorsements: &endorse.Set{
			Certificates: []*x509.Certificate{signer, root},
			CRLs: []*x509.RevocationList{
				list(t, m.RootCRL, root, or(e.By.RootCRL, k.Root)),
				list(t, m.PCKCRL, intermediate, or(e.By.PCKCRL, k.Intermediate)),
			},
			TCBInfos:   []endorse.Signed{pcstest.Sign(t, or(e.By.Info, k.TCB), e.Info.JSON())},
			Identities: []endorse.Signed{pcstest.Sign(t, or(e.By.Identity, k.TCB), e.Identity.JSON())},
		},
		Expected: e.Expected, Rules: e.Rules, Policy: e.ReadPolicy(t), Roots: tdx.Roots{SGX: root},
	}
	if e.After != nil {
		e.After(t, &in)
	}
	return in
}

// sign binds the attestation key in the report and signs report and quote.
func (e *Evidence) sign(t testing.TB, q *tdx.Quote) {
	t.Helper()
	d := &q.Data
	if d.Key == [64]byte{} {
		d.Key = rawKey(t, &e.Keys.Attestation.PublicKey)
	}
	if d.Report.ReportData == [64]byte{} {
		sum := sha256.Sum256(append(d.Key[:], d.AuthData...))
		copy(d.Report.ReportData[:], sum[:])
	}
	by := e.Keys.PCK
	if e.By.Report != nil {
		by = e.By.Report
	}
	d.QESignature = rawSignature(t, by, d.Report.Encode())
	by = e.Keys.Attestation
	if e.By.Quote != nil {
		by = e.By.Quote
	}
	d.Signature = rawSignature(t, by, q.EncodeSigned())
}

// rawKey gives x || y.
func rawKey(t testing.TB, key *ecdsa.PublicKey) [64]byte {
	t.Helper()
	b, err := key.Bytes()
	if err != nil || len(b) != 65 {
		t.Fatalf("encoding key: %d bytes, %v", len(b), err)
	}
	return [64]byte(b[1:])
}

// rawSignature signs SHA-256 of a message by ECDSA: r || s.
func rawSignature(t testing.TB, key *ecdsa.PrivateKey, message []byte) [64]byte {
	t.Helper()
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var b [64]byte
	r.FillBytes(b[:32])
	s.FillBytes(b[32:])
	return b
}

// PEM writes certificates one after another.
func PEM(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// Verdict verifies an input.
func Verdict(in tdx.Input) *verdict.Verdict {
	log := check.New()
	tdx.Verify(in, log)
	return log.Verdict(tdx.Definitions())
}

func newQuote(t testing.TB, form tdx.Form) tdx.Quote {
	t.Helper()
	vendor, err := hex.DecodeString(tdx.QEVendorIntel)
	if err != nil {
		t.Fatal(err)
	}
	q := tdx.Quote{Form: form, Header: tdx.Header{Version: 5, AttestationKeyType: 2, TEEType: 0x81, QEVendor: [16]byte(vendor)}}
	q.Body = tdx.Body{
		TEETCBSVN: [16]byte{7, 1, 2}, MRSEAM: filled(0xa1), TDAttributes: tdx.SEPTVEDisable, XFAM: 0x602e7,
		MRTD: filled(0xa2), MRConfigID: filled(0xa3), ReportData: [64]byte{1, 2, 3, 63: 64},
	}
	switch form {
	case tdx.V4:
		q.Header.Version = 4
	case tdx.V5Body15:
		q.Body.TEETCBSVN2 = q.Body.TEETCBSVN
	}
	signer, err := hex.DecodeString("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")
	if err != nil {
		t.Fatal(err)
	}
	q.Data.AuthData = []byte("authentication data of a test QE")
	q.Data.Report = tdx.EnclaveReport{
		Attributes: [16]byte{0x15, 8: 0xe7}, MREnclave: [32]byte{0xa4}, MRSigner: [32]byte(signer), ISVProdID: 2, ISVSVN: 4,
	}
	q.Padding = 70 // as after most real quotes
	return q
}

func filled(v byte) [48]byte {
	var b [48]byte
	for i := range b {
		b[i] = v
	}
	return b
}

// bind writes the hash of attestation key and authentication data into the QE
// report, where nobody wrote something else before.
func (e *Evidence) bind() {
	d := &e.Quote.Data
	sum := sha256.Sum256(append(d.Key[:], d.AuthData...))
	copy(d.Report.ReportData[:], sum[:])
}

// bindWithTail binds the attestation key, and sets a byte behind the hash.
func (e *Evidence) bindWithTail(t testing.TB) {
	t.Helper()
	e.Quote.Data.Key = rawKey(t, &e.Keys.Attestation.PublicKey)
	e.bind()
	e.Quote.Data.Report.ReportData[63] = 1
}
