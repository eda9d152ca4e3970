package collateral

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/endorse"
)

func encode(t testing.TB, s *endorse.Set) []byte {
	t.Helper()
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func all(names ...string) *endorse.Set {
	var s endorse.Set
	for _, n := range names {
		b, err := os.ReadFile(vectors + n)
		if err != nil {
			panic(err)
		}
		s.Add(n, b)
	}
	return &s
}

// TestSNP asks for what the reports of the vectors need, at the addresses of
// AMD's specification, and gets their certificates.
func TestSNP(t *testing.T) {
	v := start(t)
	for _, c := range []struct {
		name  string
		of    SNP
		asked []string
		want  *endorse.Set
	}{
		{
			"Milan", milan(t),
			[]string{"/vcek/v1/Milan/cert_chain", "/vcek/v1/Milan/crl", milanVCEK},
			all("snp/roots/ask_ark_milan.pem", "snp/ms-tav/milan_vcek.pem"),
		},
		{
			"Turin", turin(t),
			[]string{"/vcek/v1/Turin/cert_chain", "/vcek/v1/Turin/crl", turinVCEK},
			all("snp/roots/ask_ark_turin_vcek.pem", "snp/ms-tav/turin_vcek.pem"),
		},
		{
			"Milan VLEK",
			SNP{Product: "Milan", VLEK: true},
			[]string{"/vlek/v1/Milan/cert_chain", "/vlek/v1/Milan/crl"},
			all("snp/roots/ask_ark_milan_vlek.pem"),
		},
	} {
		got, err := v.fetcher("").SNP(t.Context(), c.of)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.asked, v.reset()); diff != "" {
			t.Errorf("%s: asked for: %s", c.name, diff)
		}
		if len(got.CRLs) != 1 {
			t.Errorf("%s: got %d revocation lists, want 1", c.name, len(got.CRLs))
		}
		got.CRLs = nil
		if !bytes.Equal(encode(t, got), encode(t, c.want)) {
			t.Errorf("%s: got %+v", c.name, got.Files)
		}
	}
}

// TestTDX asks for what the quote of the vectors needs, and gets what the
// combined file beside it holds.
func TestTDX(t *testing.T) {
	v := start(t)
	got, err := v.fetcher("").TDX(t.Context(), intel())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{tcbInfo, identity, pckCRL, rootCRL}, v.reset()); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(encode(t, got), encode(t, all("tdx/dcap-qvl/tdx_quote_collateral.json"))) {
		t.Errorf("got %+v", got.Files)
	}
	of := intel()
	of.CA, of.Early = "processor", true
	if _, err := v.fetcher("").TDX(t.Context(), of); err == nil {
		t.Error("no error for addresses that are not there")
	}
	want := []string{
		"/tdx/certification/v4/tcb?fmspc=B0C06F000000&update=early", "/tdx/certification/v4/qe/identity?update=early",
		"/sgx/certification/v4/pckcrl?ca=processor&encoding=der", "/IntelSGXRootCA.der",
	}
	if diff := cmp.Diff(want, v.reset()); diff != "" {
		t.Error(diff)
	}
}

// TestVendorAddresses: without mirrors the vendors themselves are asked. They
// are not reached: the transport notes and refuses.
func TestVendorAddresses(t *testing.T) {
	var asked []string
	f := &Fetcher{Now: now, Wait: func(context.Context, time.Duration) error { return errors.New("no time") }, Client: &http.Client{
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Scheme+"://"+r.URL.Host)
			return nil, errors.New("not dialled")
		}),
	}}
	if _, err := f.SNP(t.Context(), SNP{Product: "Genoa", VLEK: true}); err == nil {
		t.Error("SNP: no error")
	}
	if _, err := f.TDX(t.Context(), intel()); err == nil {
		t.Error("TDX: no error")
	}
	const amd, pcs, root = "https://kdsintf.amd.com", "https://api.trustedservices.intel.com", "https://certificates.trustedservices.intel.com"
	if diff := cmp.Diff([]string{amd, amd, pcs, pcs, pcs, root}, asked); diff != "" {
		t.Error(diff)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRefusesRequests(t *testing.T) {
	v := start(t)
	masked := milan(t)
	masked.ChipID = [64]byte{}
	f := v.fetcher("")
	for name, err := range map[string]error{
		"unknown product": second(f.SNP(t.Context(), SNP{Product: "milan", ChipID: [64]byte{1}})),
		"no product":      second(f.SNP(t.Context(), SNP{})),
		"masked chip":     second(f.SNP(t.Context(), masked)),
		"unknown issuer":  second(f.TDX(t.Context(), TDX{CA: "Platform"})),
		"no time":         second((&Fetcher{Client: v.Client(), AMD: v.URL}).SNP(t.Context(), milan(t))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	plain := &Fetcher{Client: v.Client(), Now: now, AMD: strings.Replace(v.URL, "https", "http", 1)}
	if _, err := plain.SNP(t.Context(), milan(t)); err == nil || !strings.Contains(err.Error(), "want https") {
		t.Errorf("plain HTTP: got %v", err)
	}
	if asked := v.reset(); len(asked) != 0 {
		t.Errorf("asked for %q", asked)
	}
}

func second(_ *endorse.Set, err error) error { return err }

// TestChipCertificate: a certificate is taken for this chip and TCB alone; a kept
// one is never asked for again.
func TestChipCertificate(t *testing.T) {
	set := &endorse.Set{}
	set.Add("VCEK", der(t, "snp/ms-tav/turin_vcek.pem"))
	if m := turin(t); !m.certified(set) {
		t.Error("its own: refused")
	}
	for name, change := range map[string]func(m *SNP){
		"chip":       func(m *SNP) { m.ChipID[7] ^= 1 },
		"product":    func(m *SNP) { m.Product = "Genoa" },
		"FMC":        func(m *SNP) { m.FMC++ },
		"bootloader": func(m *SNP) { m.Bootloader++ },
		"TEE":        func(m *SNP) { m.TEE++ },
		"SNP":        func(m *SNP) { m.SNP++ },
		"microcode":  func(m *SNP) { m.Microcode++ },
	} {
		m := turin(t)
		if change(&m); m.certified(set) {
			t.Errorf("another %s: accepted", name)
		}
	}
	if set.Add("another", der(t, "snp/ms-tav/milan_vcek.pem")); len(set.Certificates) != 2 || turin(t).certified(set) {
		t.Error("two certificates: accepted")
	}
}

// TestRefusesResponses: what is not what was asked for is an error, is not
// kept, and leaves the rest of the collateral.
func TestRefusesResponses(t *testing.T) {
	v := start(t)
	good := v.pages[milanVCEK]
	for name, c := range map[string]struct {
		page  http.HandlerFunc
		want  string
		asked int // times
	}{
		"not found":             {status(404), "got HTTP status 404, want 200: the vendor knows no such chip", 1},
		"forbidden":             {status(403), "got HTTP status 403", 1},
		"no content":            {status(204), "got HTTP status 204", 1},
		"redirect":              {status(302, "Location", v.URL+"/vcek/v1/Turin/cert_chain"), "redirects are not followed", 1},
		"permanent redirect":    {status(308, "Location", "https://example.com/"), "redirects are not followed", 1},
		"page of a proxy":       {page([]byte("<html>Welcome</html>")), "response is no chip certificate: not recognised", 1},
		"empty":                 {page(nil), "response is no chip certificate: empty", 1},
		"a list":                {page(read(t, "tdx/go-tdx-guest/rootcrl.der")), "response is no chip certificate", 1},
		"certificate and more":  {page(append(der(t, "snp/ms-tav/milan_vcek.pem"), 'x')), "trailing data", 1},
		"too long":              {page(bytes.Repeat([]byte("x"), 1<<20)), "response: got more than 16384 bytes", 1},
		"always busy":           {status(429), "gave up after 5 attempts: got HTTP status 429", 5},
		"always broken":         {status(503), "gave up after 5 attempts: got HTTP status 503", 5},
		"of its issuers":        {page(read(t, "snp/roots/ask_ark_milan.pem")), "response is no chip certificate", 1},
		"an issuer alone":       {page(der(t, "snp/roots/ask_ark_milan.pem")), "response is no chip certificate", 1},
		"of another chip":       {page(der(t, "snp/ms-tav/genoa_vcek.pem")), "response is no chip certificate", 1},
		"busy for ages":         {status(429, "Retry-After", "99999999999999999999"), "server asks to wait 596523h14m7s, longer than 2m0s", 1},
		"busy for an hour":      {status(429, "Retry-After", "3600"), "server asks to wait 1h0m0s, longer than 2m0s", 1},
		"connection cut":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "gave up after 5 attempts", 5},
		"body cut":              {cut, "gave up after 5 attempts: reading response", 5},
		"gzip of a long answer": {page(bytes.Repeat([]byte{0x1f, 0x8b}, 10), "Content-Encoding", "gzip"), "gave up after 5 attempts: reading response", 5},
	} {
		v.mu.Lock()
		v.pages[milanVCEK] = c.page
		v.mu.Unlock()
		cache := t.TempDir()
		got, err := v.fetcher(cache).SNP(t.Context(), milan(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "fetching chip certificate: ") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if got == nil || len(got.Certificates) != 2 || len(got.CRLs) != 1 {
			t.Errorf("%s: the issuers and the list are lost", name)
		}
		if asked := v.reset(); len(asked) != 2+c.asked {
			t.Errorf("%s: asked for %q, want it %d times", name, asked, c.asked)
		}
		if files := names(t, cache); len(files) != 2 {
			t.Errorf("%s: kept %q, want two files", name, files)
		}
	}
	v.pages[milanVCEK] = good
	for name, header := range map[string]string{"no issuers": "", "no PEM": "x", "bad escape": "%zz", "too long": strings.Repeat("%0A", maxChainHeader/3+1)} {
		v.pages[rootCRL] = page(read(t, "tdx/go-tdx-guest/rootcrl.der"))
		v.pages[pckCRL] = page(read(t, "tdx/go-tdx-guest/pckcrl"), pckCRLChain, header)
		if _, err := v.fetcher("").TDX(t.Context(), intel()); err == nil || !strings.HasPrefix(err.Error(), "fetching PCK revocation list: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// cut announces more than it sends.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	if _, err := w.Write([]byte("x")); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func names(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := filepath.Glob(filepath.Join(folder, ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return append(files, hidden...)
}

// TestWaits: the server's wish is followed, and the pauses grow.
func TestWaits(t *testing.T) {
	for name, c := range map[string]struct {
		pages []http.HandlerFunc
		want  []time.Duration
	}{
		"grow":             {[]http.HandlerFunc{status(503), status(500), status(502), status(429)}, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}},
		"seconds":          {[]http.HandlerFunc{status(429, "Retry-After", "10"), status(429, "Retry-After", "0")}, []time.Duration{10 * time.Second, 2 * time.Second}},
		"date":             {[]http.HandlerFunc{status(429, "Retry-After", "Sat, 21 Nov 2026 12:00:30 GMT")}, []time.Duration{30 * time.Second}},
		"date of the past": {[]http.HandlerFunc{status(429, "Retry-After", "Sat, 21 Nov 2026 11:00:30 GMT")}, []time.Duration{time.Second}},
		"neither":          {[]http.HandlerFunc{status(429, "Retry-After", "soon"), status(429, "Retry-After", "-5")}, []time.Duration{time.Second, 2 * time.Second}},
		"exactly as long":  {[]http.HandlerFunc{status(503, "Retry-After", "120")}, []time.Duration{2 * time.Minute}},
	} {
		v := start(t)
		good := v.pages[milanVCEK]
		v.pages[milanVCEK] = func(w http.ResponseWriter, r *http.Request) {
			if len(c.pages) == 0 {
				good(w, r)
				return
			}
			c.pages[0](w, r)
			c.pages = c.pages[1:]
		}
		if _, err := v.fetcher("").SNP(t.Context(), milan(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, v.waited); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestContext: a caller that has enough is not kept waiting, by the clock
// neither.
func TestContext(t *testing.T) {
	v := start(t)
	v.pages[milanVCEK] = status(429, "Retry-After", "100")
	f := v.fetcher("")
	f.Wait = nil
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := f.SNP(ctx, milan(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	// A kept copy does not stand in for an answer that nobody waits for.
	cache := t.TempDir()
	v = start(t)
	if _, err := v.fetcher(cache).SNP(t.Context(), milan(t)); err != nil {
		t.Fatal(err)
	}
	f = v.fetcher(cache)
	f.Fresh = 0
	if _, err := f.SNP(ctx, milan(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestWaitByClock waits a moment.
func TestWaitByClock(t *testing.T) {
	if err := (&Fetcher{}).wait(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
}

// TestNoCookies: the client's jar is not used, nor are its redirects.
func TestNoCookies(t *testing.T) {
	c := (&Fetcher{Client: &http.Client{Jar: jar{}, CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}}).client()
	if c.Jar != nil || !errors.Is(c.CheckRedirect(nil, nil), http.ErrUseLastResponse) {
		t.Error("the jar or the redirects are kept")
	}
	if c := (&Fetcher{}).client(); c.Timeout != time.Minute {
		t.Errorf("got a time limit of %v", c.Timeout)
	}
}

type jar struct{ http.CookieJar }
