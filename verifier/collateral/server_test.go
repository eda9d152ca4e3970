package collateral

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"safebox/verifier/endorse"
)

const vectors = "../testdata/evidence/"

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(vectors + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// now is the time of the tests.
func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// vendor is AMD and Intel, by the vectors.
type vendor struct {
	*httptest.Server
	mu     sync.Mutex
	pages  map[string]http.HandlerFunc // by path and query
	asked  []string
	waited []time.Duration
	said   []string
}

func page(body []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if _, err := w.Write(body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// Addresses by AMD 57230 and Intel's API. The chip IDs and TCBs are those of
// the reports in snp/ms-tav, read with xxd at offsets 0x1a0 and 0x180.
const (
	milanVCEK = "/vcek/v1/Milan/4ffb5cb4fd594f3fee6528fc3fb10370bb38abe89dcd5ba2cf0ab6a11df2ca282add516bef45a890a8c9f9732bdca68f9f3f16c42e846030a800295dbeb19ba5" +
		"?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"
	turinVCEK = "/vcek/v1/Turin/59790fb1c39f35c1?fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81"
	tcbInfo   = "/tdx/certification/v4/tcb?fmspc=B0C06F000000&update=standard"
	identity  = "/tdx/certification/v4/qe/identity?update=standard"
	pckCRL    = "/sgx/certification/v4/pckcrl?ca=platform&encoding=der"
	rootCRL   = "/IntelSGXRootCA.der"
)

func milan(t testing.TB) SNP {
	r := read(t, "snp/ms-tav/milan_attestation_report.bin")
	return SNP{Product: "Milan", ChipID: [64]byte(r[0x1a0:]), Bootloader: 4, SNP: 0x18, Microcode: 0xdb}
}

func turin(t testing.TB) SNP {
	r := read(t, "snp/ms-tav/turin_attestation_report.bin")
	return SNP{Product: "Turin", ChipID: [64]byte(r[0x1a0:]), FMC: 1, Bootloader: 1, TEE: 1, SNP: 4, Microcode: 0x51}
}

// intel is the platform of tdx/dcap-qvl/tdx_quote.
func intel() TDX {
	return TDX{FMSPC: [6]byte{0xb0, 0xc0, 0x6f}, CA: "platform"}
}

func der(t testing.TB, name string) []byte {
	t.Helper()
	var s endorse.Set
	s.Add(name, read(t, name))
	return s.Certificates[0].Raw
}

// arkList is a list with the name of Milan's ARK and nobody's signature: the
// vectors have none of AMD's.
func arkList(t testing.TB) []byte {
	t.Helper()
	var s endorse.Set
	s.Add("ark", read(t, "snp/ms-tav/milan_ark.pem"))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ark := s.Certificates[0]
	issuer := &x509.Certificate{RawSubject: ark.RawSubject, Subject: pkix.Name{CommonName: "ARK-Milan"}, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(4), ThisUpdate: now(), NextUpdate: now().Add(time.Hour)}, issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// start runs the vendor's services.
func start(t testing.TB) *vendor {
	t.Helper()
	var c map[string]string
	if err := json.Unmarshal(read(t, "tdx/dcap-qvl/tdx_quote_collateral.json"), &c); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	signed := func(member, name string) []byte {
		return fmt.Appendf(nil, `{"%s":%s,"signature":"%s"}`, member, c[name], c[name+"_signature"])
	}
	list := arkList(t)
	v := &vendor{pages: map[string]http.HandlerFunc{
		"/vcek/v1/Milan/cert_chain": page(read(t, "snp/roots/ask_ark_milan.pem")),
		"/vlek/v1/Milan/cert_chain": page(read(t, "snp/roots/ask_ark_milan_vlek.pem")),
		"/vcek/v1/Turin/cert_chain": page(read(t, "snp/roots/ask_ark_turin_vcek.pem")),
		"/vcek/v1/Milan/crl":        page(list),
		"/vlek/v1/Milan/crl":        page(list),
		"/vcek/v1/Turin/crl":        page(list),
		milanVCEK:                   page(der(t, "snp/ms-tav/milan_vcek.pem")),
		turinVCEK:                   page(der(t, "snp/ms-tav/turin_vcek.pem")),
		tcbInfo:                     page(signed("tcbInfo", "tcb_info"), "TCB-Info-Issuer-Chain", url.PathEscape(c["tcb_info_issuer_chain"])),
		identity:                    page(signed("enclaveIdentity", "qe_identity"), "SGX-Enclave-Identity-Issuer-Chain", url.PathEscape(c["qe_identity_issuer_chain"])),
		pckCRL:                      page(unhex(c["pck_crl"]), "SGX-PCK-CRL-Issuer-Chain", url.PathEscape(c["pck_crl_issuer_chain"])),
		rootCRL:                     page(unhex(c["root_ca_crl"])),
	}}
	v.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.asked = append(v.asked, r.URL.RequestURI())
		handler := v.pages[r.URL.RequestURI()]
		v.mu.Unlock()
		if handler == nil || r.Method != http.MethodGet {
			handler = status(http.StatusNotFound)
		}
		handler(w, r)
	}))
	v.Client().Transport.(*http.Transport).DisableKeepAlives = true // net/http asks again by itself on a kept connection
	t.Cleanup(v.Close)
	return v
}

// fetcher is one that asks the vendor and waits for nothing.
func (v *vendor) fetcher(cache string) *Fetcher {
	return &Fetcher{
		Client: v.Client(), Cache: cache, Now: now, Fresh: time.Hour,
		Wait: func(ctx context.Context, d time.Duration) error {
			v.waited = append(v.waited, d)
			return ctx.Err()
		},
		Progress: func(s string) { v.said = append(v.said, s) },
		AMD:      v.URL, Intel: v.URL, IntelRoot: v.URL + "/",
	}
}

// reset forgets what was asked.
func (v *vendor) reset() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := v.asked
	v.asked, v.waited, v.said = nil, nil, nil
	return asked
}
