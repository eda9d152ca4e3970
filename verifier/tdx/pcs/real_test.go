package pcs_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/endorse"
	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tdx/pcs/pcstest"
)

const evidence = "../../testdata/evidence/tdx"

// collateral is what the JSON files of dcap-qvl hold.
type collateral struct {
	TCBInfo           string `json:"tcb_info"`
	TCBInfoSignature  string `json:"tcb_info_signature"`
	TCBInfoChain      string `json:"tcb_info_issuer_chain"`
	Identity          string `json:"qe_identity"`
	IdentitySignature string `json:"qe_identity_signature"`
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(evidence, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readCollateral(t testing.TB, name string) (c collateral) {
	t.Helper()
	if err := json.Unmarshal(read(t, name), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// intelSigner is Intel's TCB signing certificate of 2025. Its key is the one of
// 2023 (OpenSSL verifies the signatures of 2023 with it).
func intelSigner(t testing.TB) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(readCollateral(t, "dcap-qvl/tdx_quote_collateral.json").TCBInfoChain))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func signed(t testing.TB, body, signature string) endorse.Signed {
	t.Helper()
	s, err := hex.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	return endorse.Signed{Body: []byte(body), Signature: s}
}

// response takes a response of Intel's service apart by its bytes.
func response(t testing.TB, name string) endorse.Signed {
	t.Helper()
	m := regexp.MustCompile(`(?s)^\{"\w+":(\{.*\}),"signature":"([0-9a-f]{128})"\}\s*$`).FindSubmatch(read(t, name))
	if m == nil {
		t.Fatalf("%s: no response", name)
	}
	return signed(t, string(m[1]), string(m[2]))
}

func tcbInfoOf(t testing.TB, name string) endorse.Signed {
	t.Helper()
	if !strings.HasPrefix(name, "dcap-qvl/") {
		return response(t, name)
	}
	c := readCollateral(t, name)
	return signed(t, c.TCBInfo, c.TCBInfoSignature)
}

func identityOf(t testing.TB, name string) endorse.Signed {
	t.Helper()
	if !strings.HasPrefix(name, "dcap-qvl/") {
		return response(t, name)
	}
	c := readCollateral(t, name)
	return signed(t, c.Identity, c.IdentitySignature)
}

// leaf finds the PCK certificate in a quote, which may be in JSON as hexadecimal
// digits.
func leaf(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	b := read(t, name)
	if strings.HasSuffix(name, ".json") {
		raw, err := hex.DecodeString(string(regexp.MustCompile(`0[45]00020081000000[0-9a-f]+`).Find(b)))
		if err != nil {
			t.Fatal(err)
		}
		b = raw
	}
	block, _ := pem.Decode(b[bytes.Index(b, []byte("-----BEGIN CERT")):])
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func date(t testing.TB, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestRealTCBInfos opens every TCB info of the vectors. What they say was read
// with Python's json; OpenSSL verifies each of their signatures.
func TestRealTCBInfos(t *testing.T) {
	type facts struct {
		issued, next, fmspc string
		evaluation          uint32
		modules, levels     int
		best                string // of the best level: SVNs of both kinds and PCESVN
	}
	for name, want := range map[string]facts{
		"dcap-qvl/tdx_quote_collateral.json":          {"2025-06-19T10:16:03Z", "2025-07-19T10:16:03Z", "b0c06f000000", 17, 2, 2, "02020202030100050000000000000000 050002 11"},
		"dcap-qvl/tdx_quote_outdated_collateral.json": {"2026-02-18T10:58:51Z", "2026-03-20T10:58:51Z", "90c06f000000", 18, 2, 3, "03030202040100050000000000000000 050003 13"},
		"go-tdx-guest/sample_tcbInfo_response":        {"2023-06-18T08:42:58Z", "2023-07-18T08:42:58Z", "50806f000000", 15, 0, 2, "05050202030100030000000000000000 030005 11"},
		"trustee/tcbInfo.json":                        {"2025-10-27T13:07:17Z", "2025-11-26T13:07:17Z", "00a06d080000", 17, 2, 2, "02020202040100020000000000000000 050002 13"},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := pcs.OpenTCBInfo(tcbInfoOf(t, name), intelSigner(t))
			if err != nil {
				t.Fatal(err)
			}
			var sgx, tdx [16]byte
			for i := range sgx {
				sgx[i], tdx[i] = info.Levels[0].SGX[i].SVN, info.Levels[0].TDX[i].SVN
			}
			got := facts{
				info.IssueDate.Format(time.RFC3339), info.NextUpdate.Format(time.RFC3339), hex.EncodeToString(info.FMSPC[:]),
				info.EvaluationNumber, len(info.Modules), len(info.Levels),
				hex.EncodeToString(sgx[:]) + " " + hex.EncodeToString(tdx[:3]) + " " + json.Number(itoa(info.Levels[0].PCESVN)).String(),
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if c := info.Levels[0].TDX[2]; c.Category != "OS/VMM" || c.Type != "TDX Late Microcode Update" {
				t.Errorf("TDX component 3 is %q %q", c.Category, c.Type)
			}
		})
	}
}

func itoa(n uint16) string { b, _ := json.Marshal(n); return string(b) }

// TestRealIdentities opens every identity of TDX quoting enclaves.
func TestRealIdentities(t *testing.T) {
	for name, want := range map[string]struct {
		issued     string
		evaluation uint32
		date       string // of the only level, with ISVSVN 4
	}{
		"dcap-qvl/tdx_quote_collateral.json":          {"2025-06-19T10:32:27Z", 17, "2024-03-13T00:00:00Z"},
		"dcap-qvl/tdx_quote_outdated_collateral.json": {"2026-02-18T10:42:15Z", 18, "2024-11-13T00:00:00Z"},
		"go-tdx-guest/sample_qeIdentity_response":     {"2023-06-08T07:24:59Z", 15, "2023-02-15T00:00:00Z"},
		"trustee/enclaveIdentity.json":                {"2025-10-28T06:45:09Z", 17, "2024-03-13T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := pcs.OpenIdentity(identityOf(t, name), intelSigner(t))
			if err != nil {
				t.Fatal(err)
			}
			if !q.IssueDate.Equal(date(t, want.issued)) || q.EvaluationNumber != want.evaluation || q.ISVProdID != 2 {
				t.Errorf("%+v, want %+v", q, want)
			}
			if len(q.Levels) != 1 || q.Levels[0].ISVSVN != 4 || !q.Levels[0].Date.Equal(date(t, want.date)) || q.Levels[0].Status != pcs.UpToDate {
				t.Errorf("levels %+v, want %+v", q.Levels, want)
			}
			if got := hex.EncodeToString(q.MRSigner[:]); got != "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5" {
				t.Errorf("MRSIGNER %s", got)
			}
		})
	}
}

// TestRealQuotingEnclaves compares the quoting enclave of each quote, whose
// report lies after the body and the quote's signature and key, with Intel's
// identity. The ISVSVNs were read with Python's struct; all are at least 4, the
// only level.
func TestRealQuotingEnclaves(t *testing.T) {
	q, err := pcs.OpenIdentity(identityOf(t, "dcap-qvl/tdx_quote_outdated_collateral.json"), intelSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	const v3, v4, v5 = 48 + 384 + 4 + 128, 48 + 584 + 4 + 128 + 6, 48 + 6 + 648 + 4 + 128 + 6
	for name, want := range map[string]struct {
		at  int
		svn byte
		err string
	}{
		"dcap-qvl/tdx_quote":                      {v4, 6, ""},
		"dcap-qvl/tdx_quote_outdated":             {v5, 7, ""},
		"go-tdx-guest/ccel/cos-113-tdx-quote.dat": {v4, 6, ""},
		"go-tdx-guest/tdx_prod_quote_SPR_E4.dat":  {v4, 4, ""},
		"trustee/tdx_quote_4.dat":                 {v4, 4, ""},
		"trustee/tdx_quote_5.dat":                 {v5, 6, ""},
		"dcap-qvl/sgx_quote":                      {v3, 10, "MRSIGNER 8c4f5775d796503e"}, // the enclave for SGX
	} {
		r := (*[pcs.ReportSize]byte)(read(t, name)[want.at:])
		checkError(t, name, q.Check(r), want.err)
		if m, err := q.Match(r); err != nil || m.Status != pcs.UpToDate || m.Rank != 1 || r[258] != want.svn {
			t.Errorf("%s: ISVSVN %d, %v, %v", name, r[258], m, err)
		}
	}
}

// TestSGXCollateral: what Intel signed for SGX is not taken for TDX, and one kind
// of document not for the other.
func TestSGXCollateral(t *testing.T) {
	const sgx, tdx = "dcap-qvl/sgx_quote_collateral.json", "dcap-qvl/tdx_quote_collateral.json"
	if _, err := pcs.OpenTCBInfo(tcbInfoOf(t, sgx), intelSigner(t)); err == nil || !strings.Contains(err.Error(), `"SGX", want "TDX"`) {
		t.Errorf("TCB info of SGX: %v", err)
	}
	if _, err := pcs.OpenIdentity(identityOf(t, sgx), intelSigner(t)); err == nil || !strings.Contains(err.Error(), `"QE", want "TD_QE"`) {
		t.Errorf("identity of the SGX quoting enclave: %v", err)
	}
	if _, err := pcs.OpenTCBInfo(identityOf(t, tdx), intelSigner(t)); err == nil || !strings.Contains(err.Error(), `"TD_QE", want "TDX"`) {
		t.Errorf("identity as TCB info: %v", err)
	}
	if _, err := pcs.OpenIdentity(tcbInfoOf(t, tdx), intelSigner(t)); err == nil || !strings.Contains(err.Error(), `"TDX", want "TD_QE"`) {
		t.Errorf("TCB info as identity: %v", err)
	}
}

// TestSignatureOverReceivedBytes flips a bit in every byte of a signed document
// and in every byte of its signature.
func TestSignatureOverReceivedBytes(t *testing.T) {
	good, signer := identityOf(t, "trustee/enclaveIdentity.json"), intelSigner(t)
	refused := func(what string, s endorse.Signed) {
		t.Helper()
		if _, err := pcs.OpenIdentity(s, signer); err == nil || !strings.Contains(err.Error(), "signature") {
			t.Errorf("%s: %v, want the signature refused", what, err)
		}
	}
	for i := range good.Body {
		b := bytes.Clone(good.Body)
		b[i] ^= 1
		refused("body", endorse.Signed{Body: b, Signature: good.Signature})
	}
	for i := range good.Signature {
		s := bytes.Clone(good.Signature)
		s[i] ^= 0x80
		refused("signature", endorse.Signed{Body: good.Body, Signature: s})
	}
	refused("white space after", endorse.Signed{Body: append(bytes.Clone(good.Body), '\n'), Signature: good.Signature})
	refused("no signature", endorse.Signed{Body: good.Body})
	refused("short signature", endorse.Signed{Body: good.Body, Signature: good.Signature[:63]})
	refused("long signature", endorse.Signed{Body: good.Body, Signature: append(bytes.Clone(good.Signature), 0)})
	refused("signature with a zero before s", endorse.Signed{Body: good.Body, Signature: slices.Concat(good.Signature[:32], []byte{0}, good.Signature[32:])})
	refused("zero signature", endorse.Signed{Body: good.Body, Signature: make([]byte, 64)})
	refused("other document's signature", endorse.Signed{Body: good.Body, Signature: tcbInfoOf(t, "trustee/tcbInfo.json").Signature})
	refused("nothing", endorse.Signed{})
}

// TestSGXLevels makes a TDX TCB info of Intel's for SGX (its platform has no TDX,
// so the TDX components are 0) and an identity of the one of the SGX quoting
// enclave, to have real levels of more statuses. At the SVNs of each level a
// machine is at that level, and with any component lower it is not. The statuses
// are those that Python's json reads.
func TestSGXLevels(t *testing.T) {
	const sgx = "dcap-qvl/sgx_quote_collateral.json"
	c, signer := readCollateral(t, sgx), pcstest.NewSigner(t)
	zeros := `"tdxtcbcomponents":[` + strings.TrimSuffix(strings.Repeat(`{"svn":0},`, 16), ",") + `]`
	body := pcstest.Edit(t, c.TCBInfo, `"id":"SGX"`, `"id":"TDX","tdxModule":{"mrsigner":"`+strings.Repeat("00", 48)+`","attributes":"0000000000000000","attributesMask":"FFFFFFFFFFFFFFFF"}`)
	body = regexp.MustCompile(`("pcesvn":\d+)`).ReplaceAllString(body, "$1,"+zeros)
	info, err := pcs.OpenTCBInfo(pcstest.Sign(t, signer.Key, body), signer.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	statuses := strings.Fields(`SWHardeningNeeded ConfigurationAndSWHardeningNeeded OutOfDate OutOfDateConfigurationNeeded OutOfDate
		OutOfDateConfigurationNeeded OutOfDate OutOfDate OutOfDateConfigurationNeeded OutOfDateConfigurationNeeded OutOfDate`)
	if len(info.Levels) != len(statuses) {
		t.Fatalf("%d levels, want %d", len(info.Levels), len(statuses))
	}
	for i, want := range statuses {
		pck := &pcs.PCK{PCESVN: info.Levels[i].PCESVN}
		for k, component := range info.Levels[i].SGX {
			pck.Components[k] = component.SVN
		}
		m, err := info.MatchPlatform(pck, [16]byte{})
		if err != nil || m.Rank != i+1 || m.Status.String() != want || (m.Behind == "") != (i == 0) {
			t.Errorf("level %d: %v, %v, want %s", i+1, m, err, want)
		}
		pck.Components[0]--
		if m, err := info.MatchPlatform(pck, [16]byte{}); err == nil && m.Rank <= i+1 {
			t.Errorf("below level %d: %v", i+1, m)
		}
	}
	pck, err := pcs.ParseSGXExtension(leaf(t, "dcap-qvl/sgx_quote"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "ConfigurationAndSWHardeningNeeded: TCB level 2 of 11, of 2024-03-13; open: INTEL-SA-00289, INTEL-SA-00615; " +
		"SGX TCB component 7 is 0, want 12 (Intel does not say what it is)"
	if m, err := info.MatchPlatform(pck, [16]byte{}); said(m, err) != want || info.CheckPlatform(pck) != nil {
		t.Errorf("machine of sgx_quote: %s\nwant %s", said(m, err), want)
	}
	body = pcstest.Edit(t, c.Identity, `"id":"QE"`, `"id":"TD_QE"`)
	q, err := pcs.OpenIdentity(pcstest.Sign(t, signer.Key, body), signer.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for n, rank := range []int{0, 6, 5, 5, 4, 3, 2, 2, 1, 1} { // levels 8, 6, 5, 4, 2, 1
		if m, _ := q.Match(report(uint16(n))); m.Rank != rank || rank > 0 && (m.Status == pcs.UpToDate) != (rank == 1) {
			t.Errorf("quoting enclave with ISVSVN %d: %v, want level %d", n, m, rank)
		}
	}
}
