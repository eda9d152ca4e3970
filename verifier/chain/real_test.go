package chain

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	vectors     = "../testdata/evidence/"
	platformKey = "5af8709d23989004d46b7c02b1f88d0e65f100ce860eec10e94104a1f4d15594" // openssl, see TestObservations
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(vectors + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// certificates reads a file of the vectors, in PEM or DER.
func certificates(t testing.TB, name string) []*x509.Certificate {
	t.Helper()
	b := read(t, name)
	if c, err := ParseCertificate(b); err == nil {
		return []*x509.Certificate{c}
	}
	found, err := ParsePEM(b, maxPath)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return found
}

// collateral is a JSON file of dcap-qvl.
func collateral(t testing.TB, name string) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := json.Unmarshal(read(t, "tdx/dcap-qvl/"+name+"_collateral.json"), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func path(t testing.TB, files ...string) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for _, f := range files {
		out = append(out, certificates(t, f)...)
	}
	return out
}

// paths are the vendors' chains in the vectors, by the index of the vectors.
func paths(t testing.TB) []struct {
	name      string
	algorithm x509.SignatureAlgorithm
	path      []*x509.Certificate
} {
	intel := func(file, member string) []*x509.Certificate {
		c, err := ParsePEM([]byte(collateral(t, file)[member]), maxPath)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const amd, google, pcs = x509.SHA384WithRSAPSS, x509.SHA256WithRSA, x509.ECDSAWithSHA256
	return []struct {
		name      string
		algorithm x509.SignatureAlgorithm
		path      []*x509.Certificate
	}{
		{"Milan", amd, path(t, "snp/ms-tav/milan_vcek.pem", "snp/ms-tav/milan_ask.pem", "snp/ms-tav/milan_ark.pem")},
		{"Genoa", amd, path(t, "snp/ms-tav/genoa_vcek.pem", "snp/ms-tav/genoa_ask.pem", "snp/ms-tav/genoa_ark.pem")},
		{"Turin", amd, path(t, "snp/ms-tav/turin_vcek.pem", "snp/ms-tav/turin_ask.pem", "snp/ms-tav/turin_ark.pem")},
		{"Milan of 2022", amd, path(t, "snp/go-sev-guest/vcek.der", "snp/go-sev-guest/milan_cert_chain.pem")},
		{"Milan VLEK", amd, path(t, "snp/trustee/test-vlek.der", "snp/roots/ask_ark_milan_vlek.pem")},
		{"Milan at dstack", amd, path(t, "snp/dstack/vcek.pem", "snp/dstack/ask.pem", "snp/ms-tav/milan_ark.pem")},
		{"Turin at virtee", amd, path(t, "snp/virtee/vcek_turin.der", "snp/virtee/cert_chain_turin")},
		{"Genoa at Azure", amd, path(t, "vtpm/trustee/az-snp-vtpm/vcek-genoa.pem", "snp/roots/ask_ark_genoa.pem")},
		{"PCK platform CA", pcs, intel("tdx_quote", "pck_crl_issuer_chain")},
		{"PCK processor CA", pcs, intel("sgx_quote", "pck_crl_issuer_chain")},
		{"TCB signing", pcs, intel("tdx_quote", "tcb_info_issuer_chain")},
		{"QE identity signing", pcs, intel("tdx_quote_outdated", "qe_identity_issuer_chain")},
		{"Google EK 2", google, path(t, "vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_2.crt", "vtpm/go-tpm-tools/ca-certs/tpm_ek_root_1.cer")},
		{"Google EK 3", google, path(t, "vtpm/go-tpm-tools/ca-certs/tpm_ek_intermediate_3.crt", "vtpm/go-tpm-tools/ca-certs/tpm_ek_root_1.cer")},
		{"Google EK/AK", google, path(t, "vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_intermediate_v3.crt", "vtpm/go-tpm-tools/ca-certs/gcp_ek_ak_ca_root.crt")},
	}
}

// TestPathsOfVendors: each chain holds by its vendor's algorithm, by no other,
// in no other order, and with no other vendor's or product's root.
func TestPathsOfVendors(t *testing.T) {
	all := paths(t)
	for _, p := range all {
		if err := CheckPath(p.path); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if err := CheckPathBy(p.path, p.algorithm); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if err := CheckPathBy(p.path, x509.ECDSAWithSHA384); err == nil {
			t.Errorf("%s: accepted with another algorithm allowed", p.name)
		}
		if err := CheckPathBy(p.path); err == nil {
			t.Errorf("%s: accepted with no algorithm allowed", p.name)
		}
		if err := CheckPath(append(p.path[1:len(p.path):len(p.path)], p.path[0])); err == nil {
			t.Errorf("%s: accepted with the leaf last", p.name)
		}
		for _, other := range all {
			root, foreign := p.path[len(p.path)-1], other.path[len(other.path)-1]
			if bytes.Equal(root.Raw, foreign.Raw) {
				continue
			}
			mixed := append(p.path[:len(p.path)-1:len(p.path)-1], foreign)
			if err := CheckPath(mixed); err == nil {
				t.Errorf("%s: accepted under the root of %s", p.name, other.name)
			}
		}
	}
}

// TestBrokenVCEKs: both parse and neither was issued by the ASK that it names.
// openssl verify 3.0.19: "certificate signature failure".
func TestBrokenVCEKs(t *testing.T) {
	ask := certificates(t, "snp/roots/ask_ark_milan.pem")[0]
	for _, name := range []string{"legacy", "new"} {
		c := certificates(t, "snp/trustee/test-vcek-invalid-"+name+".der")[0]
		if err := CheckIssued(c, ask); err == nil || !strings.Contains(err.Error(), "signature: ") {
			t.Errorf("%s: got %v, want a signature error", name, err)
		}
	}
}

// TestBitFlips: no VCEK passes with a bit of any byte flipped.
func TestBitFlips(t *testing.T) {
	for _, p := range paths(t)[:3] {
		raw := p.path[0].Raw
		for i := range raw {
			b := bytes.Clone(raw)
			b[i] ^= 1 << (i % 8)
			c, err := ParseCertificate(b)
			if err != nil {
				continue
			}
			if err := CheckIssued(c, p.path[1]); err == nil {
				t.Fatalf("%s: accepted with bit %d of byte %d flipped", p.name, i%8, i)
			}
		}
	}
}

// TestCertificateWindows: a second decides. Times by openssl x509 -dates.
func TestCertificateWindows(t *testing.T) {
	vcek := certificates(t, "snp/ms-tav/milan_vcek.pem")[0]
	for _, c := range []struct {
		at time.Time
		ok bool
	}{
		{vcek.NotBefore.Add(-time.Second), false},
		{vcek.NotBefore, true},
		{time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), true},
		{vcek.NotAfter, true},
		{vcek.NotAfter.Add(time.Second), false},
		{vcek.NotAfter.Add(time.Nanosecond), false},
		{time.Time{}, false},
	} {
		// Grace is for lists: no certificate lives longer by it.
		if err := (Rules{At: c.at, Grace: time.Hour, AnyAgeTCB: true, AnyAgeCRL: true}).Certificate(vcek); (err == nil) != c.ok {
			t.Errorf("at %v: got %v, want ok %t", c.at, err, c.ok)
		}
	}
	if err := (Rules{At: time.Now()}).Certificate(nil); err == nil {
		t.Error("accepted no certificate")
	}
	if from, until := when(t, "2026-02-05T01:04:33Z"), when(t, "2033-02-05T01:04:33Z"); !vcek.NotBefore.Equal(from) || !vcek.NotAfter.Equal(until) {
		t.Errorf("got %v to %v", vcek.NotBefore, vcek.NotAfter)
	}
}

// TestRealLists opens Intel's lists. Entries, first and last serial numbers,
// times and numbers are those that openssl crl 3.0.19 prints.
func TestRealLists(t *testing.T) {
	chains := collateral(t, "tdx_quote")
	platform, err := ParsePEM([]byte(chains["pck_crl_issuer_chain"]), 2)
	if err != nil {
		t.Fatal(err)
	}
	processor, err := ParsePEM([]byte(collateral(t, "sgx_quote")["pck_crl_issuer_chain"]), 2)
	if err != nil {
		t.Fatal(err)
	}
	root := platform[1]
	for _, c := range []struct {
		name        string
		der         []byte
		issuer      *x509.Certificate
		from, until string
		first, last string
		entries     int
	}{
		{
			"PCK of 2023", read(t, "tdx/go-tdx-guest/pckcrl"), platform[0], "2023-06-08T07:27:52Z", "2023-07-08T07:27:52Z",
			"6fc34e5023e728923435d61aa4b83c618166ad35", "a17c51722ec1e0c3278fe8bdf052059cbec4e648", 44,
		},
		{"root of 2023", read(t, "tdx/go-tdx-guest/rootcrl.der"), root, "2023-04-03T10:22:51Z", "2024-04-02T10:22:51Z", "", "", 0},
		{
			"PCK of 2025", unhex(t, chains["pck_crl"]), platform[0], "2025-06-19T10:00:35Z", "2025-07-19T10:00:35Z",
			"6fc34e5023e728923435d61aa4b83c618166ad35", "a17c51722ec1e0c3278fe8bdf052059cbec4e648", 44,
		},
		{"root of 2025", unhex(t, chains["root_ca_crl"]), root, "2025-03-20T11:21:57Z", "2026-04-03T11:21:57Z", "", "", 0},
		{
			"PCK of 2026", unhex(t, collateral(t, "tdx_quote_outdated")["pck_crl"]), platform[0], "2026-02-18T10:41:15Z", "2026-03-20T10:41:15Z",
			"", "6c2b81d7ea2e436720ce29f1d0b1ccb7a218600f", 57,
		},
		{"processor's", unhex(t, collateral(t, "sgx_quote")["pck_crl"]), processor[0], "2025-06-19T10:23:18Z", "2025-07-19T10:23:18Z", "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, until := when(t, c.from), when(t, c.until)
			crl, err := OpenCRL(c.der, c.issuer, Rules{At: from, MaxAgeTCB: time.Hour}, AgeTCB)
			if err != nil {
				t.Fatal(err)
			}
			if !crl.ThisUpdate.Equal(from) || !crl.NextUpdate.Equal(until) || crl.Number != 1 || len(crl.entries) != c.entries || crl.Grace != 0 {
				t.Errorf("got %v to %v, number %d, %d entries", crl.ThisUpdate, crl.NextUpdate, crl.Number, len(crl.entries))
			}
			for _, serial := range []string{c.first, c.last} {
				if serial == "" {
					continue
				}
				n, _ := new(big.Int).SetString(serial, 16)
				if !crl.Revoked(n) || crl.Revoked(n.Add(n, big.NewInt(1))) {
					t.Errorf("serial %s: not told from the next one", serial)
				}
			}
			for at, ok := range map[time.Time]bool{from.Add(-time.Second): false, until: true, until.Add(time.Second): false} {
				if _, err := OpenCRL(c.der, c.issuer, Rules{At: at}, AgeAny); (err == nil) != ok {
					t.Errorf("at %v: got %v, want ok %t", at, err, ok)
				}
			}
			if _, err := OpenCRL(c.der, otherThan(c.issuer, platform[0], processor[0], root), Rules{At: from}, AgeAny); err == nil {
				t.Error("opened with another issuer")
			}
			for i := range c.der {
				b := bytes.Clone(c.der)
				b[i] ^= 1 << (i % 8)
				if _, err := OpenCRL(b, c.issuer, Rules{At: from}, AgeAny); err == nil {
					t.Fatalf("opened with bit %d of byte %d flipped", i%8, i)
				}
			}
		})
	}
}

func otherThan(c *x509.Certificate, all ...*x509.Certificate) *x509.Certificate {
	for _, x := range all {
		if !bytes.Equal(x.Raw, c.Raw) {
			return x
		}
	}
	return nil
}

func when(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestObservations: the key is the SHA-256 of the issuer's key, by
// openssl x509 -pubkey | openssl pkey -pubin -outform DER | sha256sum.
func TestObservations(t *testing.T) {
	c := collateral(t, "tdx_quote")
	chain, err := ParsePEM([]byte(c["pck_crl_issuer_chain"]), 2)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := OpenCRL(unhex(t, c["pck_crl"]), chain[0], Rules{At: when(t, "2025-06-20T00:00:00Z")}, AgeAny)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range crl.Observations() {
		got = append(got, o.Key+" "+new(big.Int).SetUint64(o.Value).String())
	}
	// 1750327235 is date -u -d 2025-06-19T10:00:35Z +%s.
	want := []string{"crl/" + platformKey + " 1", "crl-time/" + platformKey + " 1750327235", "time 1750327235"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParsePEM(t *testing.T) {
	good := read(t, "snp/roots/ask_ark_milan.pem")
	certs := certificates(t, "snp/roots/ask_ark_milan.pem")
	one := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs[0].Raw})
	// The file of AMD's that has CRLF and a blank line at its end (INDEX.md).
	crlf := read(t, "snp/roots/ask_ark_turin_vlek.pem")
	if !bytes.Contains(crlf, []byte("\r\n")) {
		t.Fatal("the file with CRLF has none")
	}
	for _, ok := range [][]byte{good, crlf, append([]byte("\n\r\n \t"), good...), append(bytes.Clone(one), append([]byte("\r\n\r\n"), one...)...)} {
		if got, err := ParsePEM(ok, 2); err != nil || len(got) != 2 {
			t.Errorf("got %d certificates, %v", len(got), err)
		}
	}
	broken := bytes.Replace(bytes.Clone(one), []byte("MII"), []byte("M!I"), 1)
	for name, c := range map[string]struct {
		b    []byte
		most int
		want string
	}{
		"empty":           {nil, 2, "no certificate"},
		"blank":           {[]byte(" \r\n"), 2, "no certificate"},
		"one too many":    {good, 1, "more than 1 certificates"},
		"none allowed":    {one, 0, "at most 0"},
		"text before":     {append([]byte("subject=x\n"), one...), 2, "at 0: text that is no PEM block"},
		"text between":    {bytes.Join([][]byte{one, []byte("x\n"), one}, nil), 2, "text that is no PEM block"},
		"text after":      {append(bytes.Clone(one), 'x'), 2, "text that is no PEM block"},
		"NUL after":       {append(bytes.Clone(one), 0), 2, "text that is no PEM block"},
		"broken block":    {append(bytes.Clone(broken), one...), 2, "at 0: malformed block"},
		"no end":          {append(bytes.Clone(one[:200]), one...), 2, "at 0: malformed block"},
		"a key":           {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: certs[0].RawSubjectPublicKeyInfo}), 2, `block: got "PUBLIC KEY"`},
		"headers":         {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"A": "b"}, Bytes: certs[0].Raw}), 2, "block with headers"},
		"trailing in DER": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: append(bytes.Clone(certs[0].Raw), 0)}), 2, "trailing data"},
		"too long":        {bytes.Repeat([]byte(" "), 2*2*MaxCertificate+1), 2, "want at most"},
	} {
		if got, err := ParsePEM(c.b, c.most); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %d certificates, %v, want error %q", name, len(got), err, c.want)
		}
	}
}

func TestParseCertificateBounds(t *testing.T) {
	raw := certificates(t, "snp/ms-tav/milan_ark.pem")[0].Raw
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":    {nil, "got 0 bytes"},
		"cut":      {raw[:len(raw)-1], "malformed"},
		"trailing": {append(bytes.Clone(raw), 0), "trailing data"},
		"two":      {append(bytes.Clone(raw), raw...), "trailing data"},
		"too long": {make([]byte, MaxCertificate+1), "got 16385 bytes, want 1 to 16384"},
	} {
		if _, err := ParseCertificate(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "too long": make([]byte, MaxCRL+1)} {
		if _, err := ParseCRL(b); err == nil || !strings.Contains(err.Error(), "bytes, want 1 to") {
			t.Errorf("list %s: got %v", name, err)
		}
	}
	if _, err := ParseCRL(append(read(t, "tdx/go-tdx-guest/rootcrl.der"), 0)); err == nil || !strings.Contains(err.Error(), "nothing after them") {
		t.Errorf("list with a byte after it: %v", err)
	}
}

// FuzzOpenCRL: what opens is what Intel signed.
func FuzzOpenCRL(f *testing.F) {
	c := collateral(f, "tdx_quote")
	chain, err := ParsePEM([]byte(c["pck_crl_issuer_chain"]), 2)
	if err != nil {
		f.Fatal(err)
	}
	signed := [][]byte{unhex(f, c["pck_crl"]), read(f, "tdx/go-tdx-guest/pckcrl")}
	for _, der := range append(signed, unhex(f, c["root_ca_crl"]), read(f, "tdx/go-tdx-guest/rootcrl.der")) {
		f.Add(der)
	}
	r := Rules{At: when(f, "2025-06-20T00:00:00Z"), AnyAgeTCB: true}
	f.Fuzz(func(t *testing.T, der []byte) {
		crl, err := OpenCRL(der, chain[0], r, AgeTCB)
		if (err == nil) != (crl != nil) {
			t.Fatal("both or neither of a list and an error")
		}
		if err == nil && !bytes.Equal(der, signed[0]) {
			t.Fatalf("opened what nobody signed: %x", der)
		}
	})
}

// BenchmarkPathSNP parses and checks a VCEK's chain: two signatures of RSA-4096.
func BenchmarkPathSNP(b *testing.B) {
	p := paths(b)[0].path
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			for _, c := range p {
				if _, err := ParseCertificate(c.Raw); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if err := CheckPathBy(p, x509.SHA384WithRSAPSS); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("two signatures", func(b *testing.B) {
		for b.Loop() {
			for i := range 2 {
				if err := p[i+1].CheckSignature(p[i].SignatureAlgorithm, p[i].RawTBSCertificate, p[i].Signature); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
