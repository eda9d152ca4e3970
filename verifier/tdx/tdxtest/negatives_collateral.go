package tdxtest

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"safebox/verifier/endorse"
	"safebox/verifier/tdx"
)

func chainNegatives() []negative {
	return []negative{
		{id: "TDX-C1", name: "no root is pinned", after: func(_ testing.TB, in *tdx.Input) { in.Roots = tdx.Roots{} }},
		{id: "TDX-C1", name: "certificate request in the chain", after: edit(func(q *tdx.Quote) {
			q.Data.Chain = bytes.Replace(q.Data.Chain, []byte("N CERTIFICATE-----"), []byte("N CERTIFICATE REQUEST-----"), 1)
			q.Data.Chain = bytes.Replace(q.Data.Chain, []byte("D CERTIFICATE-----"), []byte("D CERTIFICATE REQUEST-----"), 1)
		})},
		{id: "TDX-C1", name: "root of the same name and key with another serial number", change: chainOf(func(t testing.TB, e *Evidence, c []*x509.Certificate) []*x509.Certificate {
			other := *e.Templates.Root
			other.SerialNumber = big.NewInt(99)
			c[2] = issue(t, &other, &other, &e.Keys.Root.PublicKey, e.Keys.Root)
			return c
		})},
		{id: "TDX-C1", name: "chain without its root", change: chainOf(func(_ testing.TB, _ *Evidence, c []*x509.Certificate) []*x509.Certificate { return c[:2] })},
		{id: "TDX-C1", name: "chain with a fourth certificate", change: chainOf(func(_ testing.TB, _ *Evidence, c []*x509.Certificate) []*x509.Certificate { return append(c, c[2]) })},
		{id: "TDX-C1", name: "chain in another order", change: chainOf(func(_ testing.TB, _ *Evidence, c []*x509.Certificate) []*x509.Certificate {
			return []*x509.Certificate{c[1], c[0], c[2]}
		})},
		{id: "TDX-C1", name: "root alone, three times", change: chainOf(func(_ testing.TB, _ *Evidence, c []*x509.Certificate) []*x509.Certificate {
			return []*x509.Certificate{c[2], c[2], c[2]}
		})},
		{id: "TDX-C1", name: "no chain", after: edit(func(q *tdx.Quote) { q.Data.Chain = nil })},
		{id: "TDX-C1", name: "two NUL bytes after the chain", after: edit(func(q *tdx.Quote) { q.Data.Chain = append(q.Data.Chain, 0) })},
		{id: "TDX-C1", name: "text in the chain", after: edit(func(q *tdx.Quote) { q.Data.Chain = append([]byte("comment\n"), q.Data.Chain...) })},
		{id: "TDX-C1", name: "broken block in the chain", after: edit(func(q *tdx.Quote) {
			q.Data.Chain = bytes.Replace(q.Data.Chain, []byte("-----END CERTIFICATE-----"), []byte("-----END CERTIFICAT------"), 1)
		})},
		{id: "TDX-C1", name: "intermediate signed by another key", change: func(t testing.TB, e *Evidence) { e.By.Intermediate = NewKey(t) }},
		{id: "TDX-C1", name: "intermediate of another name", change: func(_ testing.TB, e *Evidence) { e.Templates.Intermediate.Subject = subject("Intel SGX PCK Third CA") }},
		{id: "TDX-C1", name: "intermediate that may not sign certificates", change: func(_ testing.TB, e *Evidence) { e.Templates.Intermediate.KeyUsage = x509.KeyUsageCRLSign }},
		{id: "TDX-C1", name: "intermediate that is no authority", change: func(_ testing.TB, e *Evidence) {
			e.Templates.Intermediate.IsCA, e.Templates.Intermediate.MaxPathLenZero = false, false
		}},
		{id: "TDX-C1", name: "intermediate on P-384", change: func(t testing.TB, e *Evidence) {
			e.Keys.Intermediate = newKey(t, elliptic.P384())
			e.Templates.PCK.SignatureAlgorithm = x509.ECDSAWithSHA256
		}},
		{id: "TDX-C1", name: "intermediate expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Templates.Intermediate.NotAfter = At().Add(-time.Second) }},
		{id: "TDX-C1", name: "intermediate valid in a second", change: func(_ testing.TB, e *Evidence) { e.Templates.Intermediate.NotBefore = At().Add(time.Second) }},
		{id: "TDX-C1", name: "root expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Templates.Root.NotAfter = At().Add(-time.Second) }},
	}
}

func leafNegatives() []negative {
	return []negative{
		{id: "TDX-C1", name: "leaf signed by another key", change: func(t testing.TB, e *Evidence) { e.By.PCK = NewKey(t) }},
		{id: "TDX-C1", name: "leaf of another name", change: func(_ testing.TB, e *Evidence) { e.Templates.PCK.Subject = subject("Intel SGX TCB Signing") }},
		{id: "TDX-C1", name: "leaf that is an authority", change: func(_ testing.TB, e *Evidence) {
			e.Templates.PCK.IsCA = true
			e.Templates.Intermediate.MaxPathLenZero, e.Templates.Intermediate.MaxPathLen = false, -1
		}},
		{id: "TDX-C1", name: "leaf that may not sign", change: func(_ testing.TB, e *Evidence) { e.Templates.PCK.KeyUsage = x509.KeyUsageKeyAgreement }},
		{id: "TDX-C1", name: "leaf on P-384", change: func(t testing.TB, e *Evidence) { e.Keys.PCK, e.By.Report = newKey(t, elliptic.P384()), NewKey(t) }},
		{id: "TDX-C1", name: "leaf signed with SHA-384", change: func(_ testing.TB, e *Evidence) { e.Templates.PCK.SignatureAlgorithm = x509.ECDSAWithSHA384 }},
		{id: "TDX-C1", name: "leaf expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Templates.PCK.NotAfter = At().Add(-time.Second) }},
		{id: "TDX-C1", name: "leaf valid in a second", change: func(_ testing.TB, e *Evidence) { e.Templates.PCK.NotBefore = At().Add(time.Second) }},
		{id: "TDX-C1", name: "leaf with an unknown critical extension", change: func(_ testing.TB, e *Evidence) {
			e.Templates.PCK.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}},
		{id: "TDX-C1", name: "leaf without SGX extension", change: func(_ testing.TB, e *Evidence) { e.Extension = nil }},
		{id: "TDX-C1", name: "SGX extension without FMSPC", change: func(_ testing.TB, e *Evidence) { e.Extension.LeaveOut = 4 }},
		{id: "TDX-C1", name: "SGX extension with a short PPID", change: func(_ testing.TB, e *Evidence) { e.Extension.PPID = e.Extension.PPID[:15] }},
	}
}

func listNegatives() []negative {
	return []negative{
		{id: "TDX-C2", name: "no root CA CRL", after: func(_ testing.TB, in *tdx.Input) { in.Endorsements.CRLs = in.Endorsements.CRLs[1:] }},
		{id: "TDX-C2", name: "no PCK CRL", after: func(_ testing.TB, in *tdx.Input) { in.Endorsements.CRLs = in.Endorsements.CRLs[:1] }},
		{id: "TDX-C2", name: "root CA CRL signed by another key", change: func(t testing.TB, e *Evidence) { e.By.RootCRL = NewKey(t) }},
		{id: "TDX-C2", name: "PCK CRL signed by another key", change: func(t testing.TB, e *Evidence) { e.By.PCKCRL = NewKey(t) }},
		{id: "TDX-C2", name: "PCK CRL signed by the root", change: func(_ testing.TB, e *Evidence) { e.By.PCKCRL = e.Keys.Root }},
		{id: "TDX-C2", name: "PCK CRL of the Processor CA for a leaf of the Platform CA", after: func(t testing.TB, in *tdx.Input) {
			other := New(t, tdx.V4)
			other.UseProcessorCA(t)
			in.Endorsements.CRLs[1] = other.Input(t).Endorsements.CRLs[1]
		}},
		{id: "TDX-C2", name: "root CA CRL expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Templates.RootCRL.NextUpdate = At().Add(-time.Second) }},
		{id: "TDX-C2", name: "root CA CRL of in a second", change: func(_ testing.TB, e *Evidence) { e.Templates.RootCRL.ThisUpdate = At().Add(time.Second) }},
		{id: "TDX-C2", name: "PCK CRL expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Templates.PCKCRL.NextUpdate = At().Add(-time.Second) }},
		{id: "TDX-C2", name: "PCK CRL of in a second", change: func(_ testing.TB, e *Evidence) { e.Templates.PCKCRL.ThisUpdate = At().Add(time.Second) }},
		{id: "TDX-C2", name: "PCK CRL valid and a second too old", change: func(_ testing.TB, e *Evidence) {
			e.Templates.PCKCRL.ThisUpdate = At().AddDate(0, 0, -7).Add(-time.Second)
		}},
		{id: "TDX-C2", name: "leaf revoked", change: func(_ testing.TB, e *Evidence) { revoke(e.Templates.PCKCRL, e.Templates.PCK.SerialNumber) }},
		{id: "TDX-C2", name: "leaf revoked for less than a compromise", change: func(_ testing.TB, e *Evidence) {
			revoke(e.Templates.PCKCRL, big.NewInt(77))
			revoke(e.Templates.PCKCRL, e.Templates.PCK.SerialNumber)
			e.Templates.PCKCRL.RevokedCertificateEntries[1].ReasonCode = 5 // cessationOfOperation
		}},
		{id: "TDX-C2", name: "intermediate revoked", change: func(_ testing.TB, e *Evidence) { revoke(e.Templates.RootCRL, e.Templates.Intermediate.SerialNumber) }},
		{id: "TDX-C2", name: "TCB signing certificate revoked", change: func(_ testing.TB, e *Evidence) { revoke(e.Templates.RootCRL, e.Templates.TCB.SerialNumber) }},
		{id: "TDX-C2", name: "TCB signing certificate of the QE identity alone revoked", change: func(t testing.TB, e *Evidence) {
			e.secondSigner(t, 33)
			revoke(e.Templates.RootCRL, big.NewInt(33))
		}},
		{id: "TDX-C2", name: "root revoked by itself", change: func(_ testing.TB, e *Evidence) { revoke(e.Templates.RootCRL, e.Templates.Root.SerialNumber) }},
		{id: "TDX-C2", name: "leaf on one of two valid lists", change: twoLists(issued().AddDate(0, 0, -1), nextUpdate())},
		{id: "TDX-C2", name: "leaf on a list that has expired", change: twoLists(issued().AddDate(0, 0, -30), issued())},
		{id: "TDX-C2", name: "leaf on a list that is too old", change: twoLists(issued().AddDate(0, 0, -28), nextUpdate())},
		{id: "TDX-C2", name: "part of a list", change: func(_ testing.TB, e *Evidence) {
			e.Templates.PCKCRL.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}
		}},
		{id: "TDX-C2", name: "more lists than anybody has", after: func(_ testing.TB, in *tdx.Input) {
			in.Endorsements.CRLs = append(in.Endorsements.CRLs, many(in.Endorsements.CRLs[1])...)
		}},
	}
}

func documentNegatives() []negative {
	return []negative{
		{id: "TDX-C3", name: "no TCB info", after: func(_ testing.TB, in *tdx.Input) { in.Endorsements.TCBInfos = nil }},
		{id: "TDX-C3", name: "no QE identity", after: func(_ testing.TB, in *tdx.Input) { in.Endorsements.Identities = nil }},
		{id: "TDX-C3", name: "no TCB signing certificate", after: func(_ testing.TB, in *tdx.Input) { in.Endorsements.Certificates = in.Endorsements.Certificates[1:] }},
		{id: "TDX-C3", name: "TCB signing certificate signed by another key", change: func(t testing.TB, e *Evidence) { e.By.TCB = NewKey(t) }},
		{id: "TDX-C3", name: "TCB signing certificate signed by the intermediate", change: func(_ testing.TB, e *Evidence) { e.By.TCB = e.Keys.Intermediate }},
		{id: "TDX-C3", name: "TCB signing certificate of another name", change: func(_ testing.TB, e *Evidence) { e.Templates.TCB.Subject = subject("Intel SGX PCK Certificate") }},
		{id: "TDX-C3", name: "TCB signing certificate that is an authority", change: func(_ testing.TB, e *Evidence) {
			e.Templates.TCB.IsCA, e.Templates.TCB.MaxPathLen = true, -1
		}},
		{id: "TDX-C3", name: "TCB info signed by another key", change: func(t testing.TB, e *Evidence) { e.By.Info = NewKey(t) }},
		{id: "TDX-C3", name: "TCB info signed by the PCK", change: func(_ testing.TB, e *Evidence) { e.By.Info = e.Keys.PCK }},
		{id: "TDX-C3", name: "QE identity signed by another key", change: func(t testing.TB, e *Evidence) { e.By.Identity = NewKey(t) }},
		{id: "TDX-C3", name: "TCB info changed by a blank", after: func(_ testing.TB, in *tdx.Input) { blank(in.Endorsements.TCBInfos) }},
		{id: "TDX-C3", name: "QE identity changed by a blank", after: func(_ testing.TB, in *tdx.Input) { blank(in.Endorsements.Identities) }},
		{id: "TDX-C3", name: "signature of 63 bytes", after: func(_ testing.TB, in *tdx.Input) {
			in.Endorsements.TCBInfos[0].Signature = in.Endorsements.TCBInfos[0].Signature[:63]
		}},
		{id: "TDX-C3", name: "TCB info of SGX", change: func(_ testing.TB, e *Evidence) { e.Info.ID = "SGX" }},
		{id: "TDX-C3", name: "TCB info of version 2", change: func(_ testing.TB, e *Evidence) { e.Info.Version = 2 }},
		{id: "TDX-C3", name: "TCB info of version 4", change: func(_ testing.TB, e *Evidence) { e.Info.Version = 4 }},
		{id: "TDX-C3", name: "TCB info with a key twice", change: func(_ testing.TB, e *Evidence) { e.Info.Extra = `,"fmspc":"90C06F000000"` }},
		{id: "TDX-C3", name: "TCB status that nobody knows", change: func(_ testing.TB, e *Evidence) { e.best().Status = "Fine" }},
		{id: "TDX-C3", name: "QE identity of SGX", change: func(_ testing.TB, e *Evidence) { e.Identity.ID = "QE" }},
		{id: "TDX-C3", name: "QE identity of version 3", change: func(_ testing.TB, e *Evidence) { e.Identity.Version = 3 }},
		{id: "TDX-C3", name: "more TCB infos than anybody has", after: func(_ testing.TB, in *tdx.Input) {
			in.Endorsements.TCBInfos = many(in.Endorsements.TCBInfos[0])
		}},
		{id: "TDX-C3", name: "more TCB signing certificates than anybody has", change: func(t testing.TB, e *Evidence) { e.By.TCB = NewKey(t) }, after: func(_ testing.TB, in *tdx.Input) {
			in.Endorsements.Certificates = many(in.Endorsements.Certificates[0])
		}},
	}
}

func dateNegatives() []negative {
	second := func(at time.Time, by int) string { return at.Add(time.Duration(by) * time.Second).Format(time.RFC3339) }
	week := At().AddDate(0, 0, -7)
	return []negative{
		{id: "TDX-C3", name: "TCB signing certificate expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Templates.TCB.NotAfter = At().Add(-time.Second) }},
		{id: "TDX-C3", name: "TCB signing certificate valid in a second", change: func(_ testing.TB, e *Evidence) { e.Templates.TCB.NotBefore = At().Add(time.Second) }},
		{id: "TDX-C3", name: "TCB info expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Info.NextUpdate = second(At(), -1) }},
		{id: "TDX-C3", name: "TCB info of in a second", change: func(_ testing.TB, e *Evidence) { e.Info.IssueDate = second(At(), 1) }},
		{id: "TDX-C3", name: "TCB info valid and a second too old", change: func(_ testing.TB, e *Evidence) { e.Info.IssueDate = second(week, -1) }},
		{id: "TDX-C3", name: "QE identity expired a second ago", change: func(_ testing.TB, e *Evidence) { e.Identity.NextUpdate = second(At(), -1) }},
		{id: "TDX-C3", name: "QE identity of in a second", change: func(_ testing.TB, e *Evidence) { e.Identity.IssueDate = second(At(), 1) }},
		{id: "TDX-C3", name: "QE identity valid and a second too old", change: func(_ testing.TB, e *Evidence) { e.Identity.IssueDate = second(week, -1) }},
		{id: "TDX-C4", name: "both below the floor", change: func(_ testing.TB, e *Evidence) { e.Info.Evaluation, e.Identity.Evaluation = 19, 19 }},
		{id: "TDX-C4", name: "TCB info below the floor", change: func(_ testing.TB, e *Evidence) { e.Info.Evaluation = 19 }},
		{id: "TDX-C4", name: "QE identity below the floor", change: func(_ testing.TB, e *Evidence) { e.Identity.Evaluation = 19 }},
		{id: "TDX-C4", name: "of two series, above the floor", change: func(_ testing.TB, e *Evidence) { e.Identity.Evaluation = 20 }},
		{id: "TDX-C4", name: "a floor above both", change: func(t testing.TB, e *Evidence) { e.Set(t, "eval_number_min", "22") }},
		{id: "TDX-C4", name: "policy without a floor", after: func(_ testing.TB, in *tdx.Input) { in.Policy.EvalNumberMin = 0 }},
		{id: "TDX-C4", name: "policy without a series", after: func(_ testing.TB, in *tdx.Input) { in.Policy.Series = "" }},
	}
}

// chainOf changes the chain of a quote after it was signed.
func chainOf(change func(t testing.TB, e *Evidence, chain []*x509.Certificate) []*x509.Certificate) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) {
		e.After = func(t testing.TB, in *tdx.Input) {
			t.Helper()
			edit(func(q *tdx.Quote) {
				var certs []*x509.Certificate
				for _, der := range blocks(q.Data.Chain) {
					certs = append(certs, parse(t, der))
				}
				q.Data.Chain = PEM(change(t, e, certs)...)
			})(t, in)
		}
	}
}

// twoLists adds a PCK CRL that names the leaf, of other times than the one that
// does not.
func twoLists(from, until time.Time) func(testing.TB, *Evidence) {
	return func(_ testing.TB, e *Evidence) {
		e.After = func(t testing.TB, in *tdx.Input) {
			t.Helper()
			other := *e.Templates.PCKCRL
			other.ThisUpdate, other.NextUpdate = from, until
			revoke(&other, e.Templates.PCK.SerialNumber)
			intermediate := issue(t, e.Templates.Intermediate, in.Roots.SGX, &e.Keys.Intermediate.PublicKey, e.Keys.Root)
			in.Endorsements.CRLs = append(in.Endorsements.CRLs, list(t, &other, intermediate, e.Keys.Intermediate))
		}
	}
}

// secondSigner signs the QE identity by another TCB signing certificate.
func (e *Evidence) secondSigner(t testing.TB, serial int64) {
	t.Helper()
	key, template := NewKey(t), *e.Templates.TCB
	template.SerialNumber = big.NewInt(serial)
	e.By.Identity = key
	e.After = func(t testing.TB, in *tdx.Input) {
		t.Helper()
		in.Endorsements.Certificates = append(in.Endorsements.Certificates, issue(t, &template, in.Roots.SGX, &key.PublicKey, e.Keys.Root))
	}
}

func blank(signed []endorse.Signed) {
	body := string(signed[0].Body)
	signed[0].Body = []byte(strings.Replace(body, `":`, `": `, 1))
}

func many[T any](one T) []T {
	all := make([]T, 65)
	for i := range all {
		all[i] = one
	}
	return all
}
