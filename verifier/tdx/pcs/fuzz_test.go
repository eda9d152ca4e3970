package pcs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safebox/verifier/tdx/pcs/pcstest"
)

const evidence = "../../testdata/evidence/tdx"

// seeds gives the signed bodies of the vectors, TCB infos and identities.
func seeds(f testing.TB) (infos, identities [][]byte) {
	f.Helper()
	for _, name := range []string{"tdx_quote", "tdx_quote_outdated", "sgx_quote"} {
		var c struct {
			TCBInfo  string `json:"tcb_info"`
			Identity string `json:"qe_identity"`
		}
		if err := json.Unmarshal(readSeed(f, "dcap-qvl/"+name+"_collateral.json"), &c); err != nil {
			f.Fatal(err)
		}
		infos, identities = append(infos, []byte(c.TCBInfo)), append(identities, []byte(c.Identity))
	}
	for _, name := range []string{"go-tdx-guest/sample_tcbInfo_response", "trustee/tcbInfo.json"} {
		infos = append(infos, inner(f, name))
	}
	for _, name := range []string{"go-tdx-guest/sample_qeIdentity_response", "trustee/enclaveIdentity.json"} {
		identities = append(identities, inner(f, name))
	}
	infos = append(infos, []byte(pcstest.NewTCBInfo("2026-11-20T10:00:00Z", "2026-12-20T10:00:00Z").JSON()))
	return infos, append(identities, []byte(pcstest.NewIdentity("2026-11-20T10:00:00Z", "2026-12-20T10:00:00Z").JSON()))
}

func readSeed(f testing.TB, name string) []byte {
	f.Helper()
	b, err := os.ReadFile(filepath.Join(evidence, name))
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func inner(f testing.TB, name string) []byte {
	f.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(readSeed(f, name), &members); err != nil {
		f.Fatal(err)
	}
	for member, body := range members {
		if member != "signature" {
			return body
		}
	}
	return nil
}

// checkJSON wants what was accepted to be JSON in which no object has a name
// twice.
func checkJSON(t *testing.T, body []byte) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := unique(d); err != nil || !json.Valid(body) {
		t.Fatalf("accepted %q: %v", body, err)
	}
}

func unique(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	names := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			if names[name.(string)] {
				return fmt.Errorf("%s twice", name)
			}
			names[name.(string)] = true
		}
		if err := unique(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// FuzzTCBInfo writes what was read again, and reads that.
func FuzzTCBInfo(f *testing.F) {
	infos, _ := seeds(f)
	for _, body := range infos {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := decodeTCBInfo(body)
		if err != nil {
			return
		}
		checkJSON(t, body)
		again, err := decodeTCBInfo([]byte(write(info).JSON()))
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, body, write(info).JSON())
		}
		if one, two := fmt.Sprint(write(info)), fmt.Sprint(write(again)); one != two {
			t.Fatalf("%s\n%s", one, two)
		}
	})
}

func write(t *TCBInfo) *pcstest.TCBInfo {
	w := &pcstest.TCBInfo{
		ID: "TDX", Version: 3, IssueDate: t.IssueDate.Format(time.RFC3339), NextUpdate: t.NextUpdate.Format(time.RFC3339),
		FMSPC: fmt.Sprintf("%x", t.FMSPC), PCEID: fmt.Sprintf("%x", t.PCEID), Evaluation: t.EvaluationNumber, Module: writeModule(t.Base),
	}
	for _, m := range t.Modules {
		w.Modules = append(w.Modules, writeModule(m))
	}
	for _, l := range t.Levels {
		made := pcstest.Level{PCESVN: l.PCESVN, Date: l.Date.Format(time.RFC3339), Status: l.Status.String(), Advisories: escaped(l.Advisories)}
		for i := range l.SGX {
			made.SGX[i], made.TDX[i] = l.SGX[i].SVN, l.TDX[i].SVN
		}
		w.Levels = append(w.Levels, made)
	}
	return w
}

func writeModule(m Module) pcstest.Module {
	return pcstest.Module{
		ID: fmt.Sprintf("TDX_%02x", m.Version), MRSigner: fmt.Sprintf("%x", m.MRSigner),
		Attributes: fmt.Sprintf("%x", m.Attributes), Mask: fmt.Sprintf("%x", m.AttributesMask), Levels: writeSVNLevels(m.Levels),
	}
}

func writeSVNLevels(levels []SVNLevel) (all []pcstest.SVNLevel) {
	for _, l := range levels {
		all = append(all, pcstest.SVNLevel{ISVSVN: l.ISVSVN, Date: l.Date.Format(time.RFC3339), Status: l.Status.String(), Advisories: escaped(l.Advisories)})
	}
	return all
}

func escaped(ids []string) (all []string) {
	if ids == nil {
		return nil
	}
	all = []string{}
	for _, id := range ids {
		all = append(all, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(id))
	}
	return all
}

// FuzzIdentity does so with identities.
func FuzzIdentity(f *testing.F) {
	_, identities := seeds(f)
	for _, body := range identities {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := decodeIdentity(body)
		if err != nil {
			return
		}
		checkJSON(t, body)
		again, err := decodeIdentity([]byte(writeIdentity(q).JSON()))
		if err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if one, two := fmt.Sprint(writeIdentity(q)), fmt.Sprint(writeIdentity(again)); one != two {
			t.Fatalf("%s\n%s", one, two)
		}
	})
}

func writeIdentity(q *Identity) *pcstest.Identity {
	return &pcstest.Identity{
		ID: "TD_QE", Version: 2, IssueDate: q.IssueDate.Format(time.RFC3339), NextUpdate: q.NextUpdate.Format(time.RFC3339), Evaluation: q.EvaluationNumber,
		MiscSelect: fmt.Sprintf("%x", q.MiscSelect), MiscMask: fmt.Sprintf("%x", q.MiscSelectMask),
		Attributes: fmt.Sprintf("%x", q.Attributes), Mask: fmt.Sprintf("%x", q.AttributesMask),
		MRSigner: fmt.Sprintf("%x", q.MRSigner), ISVProdID: q.ISVProdID, Levels: writeSVNLevels(q.Levels),
	}
}

// FuzzSGXExtension: one extension has one encoding, so what was accepted is what
// encoding/asn1 makes of its values.
func FuzzSGXExtension(f *testing.F) {
	for _, name := range []string{"dcap-qvl/sgx_quote", "dcap-qvl/tdx_quote", "dcap-qvl/tdx_quote_outdated", "trustee/tdx_quote_4.dat", "trustee/tdx_quote_5.dat", "go-tdx-guest/tdx_prod_quote_SPR_E4.dat", "go-tdx-guest/ccel/cos-113-tdx-quote.dat"} {
		b := readSeed(f, name)
		block, _ := pem.Decode(b[bytes.Index(b, []byte("-----BEGIN CERT")):])
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range c.Extensions {
			if e.Id.Equal(ExtensionOID()) {
				f.Add(e.Value)
			}
		}
	}
	f.Add(pcstest.NewPCKExtension().DER(f))
	f.Fuzz(func(t *testing.T, der []byte) {
		p, err := decodeExtension(der)
		if err != nil {
			return
		}
		if again := writeExtension(p).DER(t); !bytes.Equal(again, der) {
			t.Fatalf("accepted\n%x\nwhich is written\n%x", der, again)
		}
	})
}

func writeExtension(p *PCK) *pcstest.PCKExtension {
	e := &pcstest.PCKExtension{
		PPID: p.PPID[:], PCESVN: int64(p.PCESVN), CPUSVN: p.CPUSVN[:], PCEID: p.PCEID[:], FMSPC: p.FMSPC[:],
		Type: asn1.Enumerated(p.Type), Processor: p.PIID == nil,
	}
	for _, svn := range p.Components {
		e.Components = append(e.Components, int64(svn))
	}
	if p.PIID != nil {
		e.PIID, e.Dynamic, e.CachedKeys, e.SMT = p.PIID[:], p.Configuration.DynamicPlatform, p.Configuration.CachedKeys, p.Configuration.SMTEnabled
	}
	return e
}

func BenchmarkDecodeTCBInfo(b *testing.B) {
	infos, _ := seeds(b)
	for b.Loop() {
		if _, err := decodeTCBInfo(infos[1]); err != nil { // the largest: 4113 bytes
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(infos[1])))
}

func BenchmarkDecodeIdentity(b *testing.B) {
	_, identities := seeds(b)
	for b.Loop() {
		if _, err := decodeIdentity(identities[0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
}

func BenchmarkDecodeExtension(b *testing.B) {
	der := pcstest.NewPCKExtension().DER(b)
	for b.Loop() {
		if _, err := decodeExtension(der); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
}
