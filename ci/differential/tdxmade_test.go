package differential

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"safebox/verifier/tdx"
	"safebox/verifier/tdx/pcs/pcstest"
	"safebox/verifier/tdx/tdxtest"
)

func pemOf(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// tdxMade is one thing that is changed in evidence of a test authority, which
// passes under the profile strict with its machine listed.
type tdxMade struct {
	name   string
	form   tdx.Form
	change func(e *tdxtest.Evidence)
}

// tdxMadePairs compares on evidence of a test authority.
func tdxMadePairs(t *testing.T) []pair {
	t.Helper()
	var pairs []pair
	for _, list := range [][]tdxMade{madeForms(t), madeChains(t), madeDocuments(), madeStatus(t), madeModule(), madeBody(t)} {
		for _, m := range list {
			e := tdxtest.New(t, m.form)
			asIntels(e)
			if m.change != nil {
				m.change(e)
			}
			in := e.Input(t)
			pairs = append(pairs, pair{"made/" + m.name, ourTDX(in), theirTDX(in, serviceOf(in))})
			if m.name == "debug TD, which the policy does not list" {
				pairs = append(pairs, pair{"default/made " + m.name, ourTDX(in), theirTDXDefault(in)})
			}
		}
	}
	return pairs
}

// asIntels gives certificates what the library wants of them and only Intel's
// have.
func asIntels(e *tdxtest.Evidence) {
	// Where it looks for the root's list.
	e.Templates.Root.CRLDistributionPoints = []string{"https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"}
	// It counts the extensions of a PCK certificate: six.
	e.Templates.PCK.SubjectKeyId = []byte("key ID of a test")
	e.Templates.PCK.CRLDistributionPoints = []string{"https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der"}
}

func madeForms(t testing.TB) []tdxMade {
	t.Helper()
	list := []tdxMade{{"processor CA", tdx.V4, func(e *tdxtest.Evidence) { e.UseProcessorCA(t) }}}
	for _, form := range tdxtest.Forms() {
		list = append(list, tdxMade{"unchanged, " + form.String(), form, nil})
	}
	return list
}

// madeChains is about certificates and revocation lists: TDX-C1, TDX-C2, TDX-Q1.
func madeChains(t testing.TB) []tdxMade {
	t.Helper()
	at, second := tdxtest.At(), time.Second
	made := func(name string, change func(e *tdxtest.Evidence)) tdxMade { return tdxMade{name, tdx.V4, change} }
	revoke := func(l *x509.RevocationList, serial *big.Int) {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: l.ThisUpdate})
	}
	return []tdxMade{
		made("intermediate signed by another key", func(e *tdxtest.Evidence) { e.By.Intermediate = tdxtest.NewKey(t) }),
		made("PCK signed by another key", func(e *tdxtest.Evidence) { e.By.PCK = tdxtest.NewKey(t) }),
		made("TCB signer signed by another key", func(e *tdxtest.Evidence) { e.By.TCB = tdxtest.NewKey(t) }),
		made("root CRL signed by another key", func(e *tdxtest.Evidence) { e.By.RootCRL = tdxtest.NewKey(t) }),
		made("PCK CRL signed by another key", func(e *tdxtest.Evidence) { e.By.PCKCRL = tdxtest.NewKey(t) }),
		made("TCB info signed by another key", func(e *tdxtest.Evidence) { e.By.Info = tdxtest.NewKey(t) }),
		made("QE identity signed by another key", func(e *tdxtest.Evidence) { e.By.Identity = tdxtest.NewKey(t) }),
		made("TCB info signed by the PCK", func(e *tdxtest.Evidence) { e.By.Info = e.Keys.PCK }),
		made("QE report signed by another key", func(e *tdxtest.Evidence) { e.By.Report = tdxtest.NewKey(t) }),
		made("quote signed by another key", func(e *tdxtest.Evidence) { e.By.Quote = tdxtest.NewKey(t) }),
		made("QE report of another attestation key", func(e *tdxtest.Evidence) { e.Quote.Data.Report.ReportData = [64]byte{1} }),
		made("QE report with data behind the hash", func(e *tdxtest.Evidence) { e.Quote.Data.AuthData = []byte{1, 2, 3} }),
		made("intermediate that is no authority", func(e *tdxtest.Evidence) {
			e.Templates.Intermediate.IsCA = false
			e.Templates.Intermediate.MaxPathLenZero = false
			e.Templates.Intermediate.MaxPathLen = -1
		}),
		made("intermediate that may sign no certificates", func(e *tdxtest.Evidence) { e.Templates.Intermediate.KeyUsage = x509.KeyUsageCRLSign }),
		made("intermediate of another name", func(e *tdxtest.Evidence) { e.Templates.Intermediate.Subject.CommonName = "Intel SGX PCK Other CA" }),
		made("PCK of another name", func(e *tdxtest.Evidence) { e.Templates.PCK.Subject.CommonName = "Intel SGX Other Certificate" }),
		made("TCB signer of another name", func(e *tdxtest.Evidence) { e.Templates.TCB.Subject.CommonName = "Intel SGX Other Signing" }),
		made("PCK not yet valid", func(e *tdxtest.Evidence) { e.Templates.PCK.NotBefore = at.Add(second) }),
		made("PCK no longer valid", func(e *tdxtest.Evidence) { e.Templates.PCK.NotAfter = at.Add(-second) }),
		made("root not yet valid", func(e *tdxtest.Evidence) { e.Templates.Root.NotBefore = at.Add(second) }),
		made("root no longer valid", func(e *tdxtest.Evidence) { e.Templates.Root.NotAfter = at.Add(-second) }),
		made("TCB signer not yet valid", func(e *tdxtest.Evidence) { e.Templates.TCB.NotBefore = at.Add(second) }),
		made("TCB signer no longer valid", func(e *tdxtest.Evidence) { e.Templates.TCB.NotAfter = at.Add(-second) }),
		made("PCK revoked", func(e *tdxtest.Evidence) { revoke(e.Templates.PCKCRL, e.Templates.PCK.SerialNumber) }),
		made("intermediate revoked", func(e *tdxtest.Evidence) { revoke(e.Templates.RootCRL, e.Templates.Intermediate.SerialNumber) }),
		made("TCB signer revoked", func(e *tdxtest.Evidence) { revoke(e.Templates.RootCRL, e.Templates.TCB.SerialNumber) }),
		made("another PCK revoked", func(e *tdxtest.Evidence) { revoke(e.Templates.PCKCRL, big.NewInt(4711)) }),
		made("PCK CRL of in a second", func(e *tdxtest.Evidence) { e.Templates.PCKCRL.ThisUpdate = at.Add(second) }),
		made("PCK CRL that ended a second ago", func(e *tdxtest.Evidence) { e.Templates.PCKCRL.NextUpdate = at.Add(-second) }),
		made("root CRL of in a second", func(e *tdxtest.Evidence) { e.Templates.RootCRL.ThisUpdate = at.Add(second) }),
		made("root CRL that ended a second ago", func(e *tdxtest.Evidence) { e.Templates.RootCRL.NextUpdate = at.Add(-second) }),
		made("PCK CRL of eight days ago", func(e *tdxtest.Evidence) { e.Templates.PCKCRL.ThisUpdate = at.AddDate(0, 0, -8) }),
	}
}

// madeDocuments is about what TCB info and QE identity say of themselves:
// TDX-C3, TDX-C4.
func madeDocuments() []tdxMade {
	text := func(by time.Duration) string { return tdxtest.At().Add(by).Format(time.RFC3339) }
	made := func(name string, change func(e *tdxtest.Evidence)) tdxMade { return tdxMade{name, tdx.V4, change} }
	return []tdxMade{
		made("TCB info of in a second", func(e *tdxtest.Evidence) { e.Info.IssueDate = text(time.Second) }),
		made("TCB info that ended a second ago", func(e *tdxtest.Evidence) { e.Info.NextUpdate = text(-time.Second) }),
		made("TCB info of eight days ago", func(e *tdxtest.Evidence) { e.Info.IssueDate = text(-8 * 24 * time.Hour) }),
		made("QE identity of in a second", func(e *tdxtest.Evidence) { e.Identity.IssueDate = text(time.Second) }),
		made("QE identity that ended a second ago", func(e *tdxtest.Evidence) { e.Identity.NextUpdate = text(-time.Second) }),
		made("QE identity of eight days ago", func(e *tdxtest.Evidence) { e.Identity.IssueDate = text(-8 * 24 * time.Hour) }),
		made("TCB info of SGX", func(e *tdxtest.Evidence) { e.Info.ID = "SGX" }),
		made("TCB info of version 2", func(e *tdxtest.Evidence) { e.Info.Version = 2 }),
		made("TCB info with a key twice", func(e *tdxtest.Evidence) { e.Info.Extra = `,"fmspc":"` + e.Info.FMSPC + `"` }),
		made("TCB info with a key that nobody knows", func(e *tdxtest.Evidence) { e.Info.Extra = `,"later":1` }),
		made("QE identity of SGX", func(e *tdxtest.Evidence) { e.Identity.ID = "QE" }),
		made("QE identity of version 3", func(e *tdxtest.Evidence) { e.Identity.Version = 3 }),
		made("evaluation number below the floor", func(e *tdxtest.Evidence) { e.Info.Evaluation, e.Identity.Evaluation = 19, 19 }),
		made("evaluation numbers of two series", func(e *tdxtest.Evidence) { e.Identity.Evaluation = 20 }),
		made("TCB info of another FMSPC", func(e *tdxtest.Evidence) { e.Info.FMSPC = "90C06F000001" }),
		made("TCB info with FMSPC in lower case", func(e *tdxtest.Evidence) { e.Info.FMSPC = "90c06f000000" }),
		made("TCB info of another PCEID", func(e *tdxtest.Evidence) { e.Info.PCEID = "0001" }),
	}
}

// madeStatus is about TCB levels: TDX-T2 to TDX-T5, TDX-Q2.
func madeStatus(t testing.TB) []tdxMade {
	t.Helper()
	made := func(name string, change func(e *tdxtest.Evidence)) tdxMade {
		return tdxMade{"status: " + name, tdx.V4, change}
	}
	platform := func(status string) tdxMade {
		return made("platform "+status+" under a TDX module that is UpToDate", func(e *tdxtest.Evidence) { e.Info.Levels[0].Status = status })
	}
	accepted := func(status string) tdxMade {
		return made("platform "+status+", which the policy accepts, under a module of TDX 1.0", func(e *tdxtest.Evidence) {
			oldModule(e)
			e.Info.Levels[0].Status = status
			e.Set(t, "status", `["UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"]`)
			e.Set(t, "configuration_by", `"the operator"`)
			e.Set(t, "advisories", `["INTEL-SA-00615"]`)
		})
	}
	return []tdxMade{
		platform("SWHardeningNeeded"),
		platform("ConfigurationNeeded"),
		platform("ConfigurationAndSWHardeningNeeded"),
		platform("OutOfDate"),
		platform("OutOfDateConfigurationNeeded"),
		platform("Revoked"),
		made("one that nobody knows", func(e *tdxtest.Evidence) { e.Info.Levels[0].Status = "Fine" }),
		accepted("SWHardeningNeeded"),
		accepted("ConfigurationNeeded"),
		made("module of TDX 1.0, UpToDate", oldModule),
		made("module of TDX 1.0, platform OutOfDate", func(e *tdxtest.Evidence) {
			oldModule(e)
			e.Info.Levels[0].Status = "OutOfDate"
		}),
		made("platform at an older level", func(e *tdxtest.Evidence) { e.Extension.PCESVN = 12 }),
		made("platform below every level: SGX component", func(e *tdxtest.Evidence) { e.Extension.SetComponent(7, 0) }),
		made("platform below every level: PCESVN", func(e *tdxtest.Evidence) { e.Extension.PCESVN = 0 }),
		made("platform below every level: TDX component", func(e *tdxtest.Evidence) { e.Quote.Body.TEETCBSVN[2] = 0 }),
		made("advisory of the platform", func(e *tdxtest.Evidence) { e.Info.Levels[0].Advisories = []string{"INTEL-SA-00615"} }),
		made("advisory of the module", func(e *tdxtest.Evidence) { e.Info.Modules[1].Levels[0].Advisories = []string{"INTEL-SA-01397"} }),
		made("module OutOfDate", func(e *tdxtest.Evidence) { e.Quote.Body.TEETCBSVN[0] = 6 }),
		made("module Revoked", func(e *tdxtest.Evidence) { e.Info.Modules[1].Levels[0].Status = "Revoked" }),
		made("module below every level", func(e *tdxtest.Evidence) { e.Quote.Body.TEETCBSVN[0] = 0 }),
		made("module of an unknown version", func(e *tdxtest.Evidence) { e.Quote.Body.TEETCBSVN[1] = 9 }),
		made("quoting enclave OutOfDate", func(e *tdxtest.Evidence) { e.Quote.Data.Report.ISVSVN = 3 }),
		made("quoting enclave Revoked", func(e *tdxtest.Evidence) { e.Identity.Levels[0].Status = "Revoked" }),
		made("quoting enclave below every level", func(e *tdxtest.Evidence) { e.Quote.Data.Report.ISVSVN = 0 }),
		made("advisory of the quoting enclave", func(e *tdxtest.Evidence) { e.Identity.Levels[0].Advisories = []string{"INTEL-SA-00837"} }),
		made("quoting enclave of another signer", func(e *tdxtest.Evidence) { e.Quote.Data.Report.MRSigner[0] ^= 1 }),
		made("quoting enclave of another product", func(e *tdxtest.Evidence) { e.Quote.Data.Report.ISVProdID++ }),
		made("quoting enclave in debug mode", func(e *tdxtest.Evidence) { e.Quote.Data.Report.Attributes[0] |= 2 }),
		made("OutOfDate under a waiver", func(e *tdxtest.Evidence) {
			e.Quote.Body.TEETCBSVN[0] = 5
			e.Info.Modules[1].Levels[1].Date = "2026-05-12T00:00:00Z"
			e.Set(t, "advisories", `["INTEL-SA-01397"]`)
			e.Set(t, "status", `["UpToDate", "OutOfDate"]`)
			e.Set(t, "out_of_date", `[{ by = "operator", recovery = 2026-10-17, until = 2026-11-01, oldest = 2026-05-12 }]`)
		}),
	}
}

// oldModule makes the TDX module one of TDX 1.0, which has no levels of its own.
func oldModule(e *tdxtest.Evidence) { e.Quote.Body.TEETCBSVN = [16]byte{7, 0, 2} }

// madeModule is about the identity of the TDX module: TDX-T1.
func madeModule() []tdxMade {
	made := func(name string, change func(e *tdxtest.Evidence)) tdxMade {
		return tdxMade{"module: " + name, tdx.V4, change}
	}
	return []tdxMade{
		made("another signer", func(e *tdxtest.Evidence) { e.Quote.Body.MRSignerSEAM[47] = 1 }),
		made("debug", func(e *tdxtest.Evidence) { e.Quote.Body.SEAMAttributes[0] = 1 }),
		made("signer of its identity, not of the base", func(e *tdxtest.Evidence) {
			// TDX_01 is by another signer than modules of TDX 1.0, and so is the quote's.
			e.Info.Modules[1].MRSigner = "01" + e.Info.Modules[1].MRSigner[2:]
			e.Quote.Body.MRSignerSEAM[0] = 1
		}),
		made("signer of the base, not of its identity", func(e *tdxtest.Evidence) {
			e.Info.Modules[1].MRSigner = "01" + e.Info.Modules[1].MRSigner[2:]
		}),
		made("no identities", func(e *tdxtest.Evidence) { e.Info.Modules = []pcstest.Module{} }),
	}
}

// madeBody is about the guest and the machine: TDX-A1 to TDX-A6, TDX-M1, M2, D1.
func madeBody(t testing.TB) []tdxMade {
	t.Helper()
	made := func(name string, change func(b *tdx.Body)) tdxMade {
		return tdxMade{name, tdx.V4, func(e *tdxtest.Evidence) { change(&e.Quote.Body) }}
	}
	plain := func(name string, change func(e *tdxtest.Evidence)) tdxMade { return tdxMade{name, tdx.V4, change} }
	list := []tdxMade{
		made("debug TD, which the policy does not list", func(b *tdx.Body) { b.TDAttributes |= tdx.Debug }),
		made("migratable TD", func(b *tdx.Body) { b.TDAttributes |= tdx.Migratable }),
		made("TD without SEPT_VE_DISABLE", func(b *tdx.Body) { b.TDAttributes = 0 }),
		made("TD attribute PKS", func(b *tdx.Body) { b.TDAttributes |= tdx.PKS }),
		made("XFAM without SSE", func(b *tdx.Body) { b.XFAM &^= 2 }),
		made("XFAM with APX", func(b *tdx.Body) { b.XFAM |= 1 << 19 }),
		made("MRTD of another firmware", func(b *tdx.Body) { b.MRTD[47] ^= 1 }),
		made("MROWNER", func(b *tdx.Body) { b.MROwner[0] = 1 }),
		made("MROWNERCONFIG", func(b *tdx.Body) { b.MROwnerConfig[0] = 1 }),
		made("MRCONFIGID of another configuration", func(b *tdx.Body) { b.MRConfigID[0] ^= 1 }),
		made("RTMR3 of a guest that is not fresh", func(b *tdx.Body) { b.RTMR[3][0] = 1 }),
		made("report data of another challenge", func(b *tdx.Body) { b.ReportData[63] ^= 1 }),
		plain("report data that nobody gave", func(e *tdxtest.Evidence) { e.Expected.ReportData = nil }),
		plain("MRTD that nobody gave", func(e *tdxtest.Evidence) { e.Expected.MRTD = nil }),
		plain("MRCONFIGID that nobody gave", func(e *tdxtest.Evidence) { e.Expected.ConfigID = nil }),
		plain("report data of zeros that is expected", func(e *tdxtest.Evidence) {
			e.Quote.Body.ReportData = [64]byte{}
			*e.Expected.ReportData = [64]byte{}
		}),
		plain("machine that is not listed", func(e *tdxtest.Evidence) { e.Extension.PIID = []byte("other instance ID")[:16] }),
		plain("SMT on, which the policy refuses", func(e *tdxtest.Evidence) { e.Set(t, "smt", `"off"`) }),
		plain("QE vendor", func(e *tdxtest.Evidence) { e.Quote.Header.QEVendor[0] ^= 1 }),
		plain("no event log", func(e *tdxtest.Evidence) { e.EventLog = nil }),
	}
	for i, name := range []string{"RTMR0", "RTMR1", "RTMR2"} {
		list = append(list, plain(name+" of another release", func(e *tdxtest.Evidence) { e.Expected.RTMR[i] = [][48]byte{{1}} }))
	}
	return list
}
