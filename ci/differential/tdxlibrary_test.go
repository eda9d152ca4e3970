package differential

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	tdxabi "github.com/google/go-tdx-guest/abi"
	pb "github.com/google/go-tdx-guest/proto/tdx"
	tdxvalidate "github.com/google/go-tdx-guest/validate"
	tdxverify "github.com/google/go-tdx-guest/verify"

	"safebox/verifier/check"
	"safebox/verifier/endorse"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx"
)

// ourTDX verifies by our verifier.
func ourTDX(in tdx.Input) outcome {
	log := check.New()
	tdx.Verify(in, log)
	return ofVerdict(log.Verdict(tdx.Definitions()))
}

// theirTDX verifies by go-tdx-guest: collateral and revocation lists asked for,
// from the endorsements, then every option that says what the policy says.
func theirTDX(in tdx.Input, service intel) outcome {
	return run(func() error {
		quote, err := tdxabi.QuoteToProto(in.Quote)
		if err != nil {
			return err
		}
		if err := tdxverify.TdxQuote(quote, tdxOptions(in, service)); err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		err = errors.New("no option says what the policy says")
		for _, o := range tdxValidations(in) {
			if err = tdxvalidate.TdxQuote(quote, &o); err == nil {
				return nil
			}
		}
		return fmt.Errorf("validate: %w", err)
	})
}

// theirTDXDefault verifies by go-tdx-guest with what it checks unless told
// otherwise: no collateral, no revocation lists, no expectation.
func theirTDXDefault(in tdx.Input) outcome {
	return run(func() error {
		quote, err := tdxabi.QuoteToProto(in.Quote)
		if err != nil {
			return err
		}
		if err := tdxverify.TdxQuote(quote, &tdxverify.Options{Getter: intel{}, Now: tdxNow(in), TrustedRoots: tdxRoots(in)}); err != nil {
			return err
		}
		return tdxvalidate.TdxQuote(quote, &tdxvalidate.Options{})
	})
}

func tdxNow(in tdx.Input) *tdxverify.TimeSet {
	at := in.Rules.At
	return &tdxverify.TimeSet{PckCertChain: at, TcbInfo: at, QeIdentity: at, PckCrl: at, RootCaCrl: at}
}

func tdxRoots(in tdx.Input) *x509.CertPool {
	pool := x509.NewCertPool()
	if in.Roots.SGX != nil {
		pool.AddCert(in.Roots.SGX)
	}
	return pool
}

func tdxOptions(in tdx.Input, service intel) *tdxverify.Options {
	service.Set = in.Endorsements
	return &tdxverify.Options{CheckRevocations: true, GetCollateral: true, Getter: service, Now: tdxNow(in), TrustedRoots: tdxRoots(in)}
}

// intel is Intel's service, which answers with endorsements. It knows the
// certificates of the unchanged quote and the root, which its answers carry.
type intel struct {
	*endorse.Set
	chain []*x509.Certificate
	root  *x509.Certificate
}

// serviceOf is the service for a quote.
func serviceOf(in tdx.Input) intel {
	return intel{Set: in.Endorsements, chain: quoteChain(in.Quote), root: in.Roots.SGX}
}

// Get answers as the service does: a body, and the chain of its signer in a
// header.
func (i intel) Get(address string) (map[string][]string, []byte, error) {
	if i.Set == nil {
		return nil, nil, errors.New("no network: " + address)
	}
	switch {
	case strings.Contains(address, "/tcb?"):
		return i.signed("Tcb-Info-Issuer-Chain", "tcbInfo", i.TCBInfos, `"id":"TDX"`)
	case strings.Contains(address, "/qe/identity"):
		return i.signed("Sgx-Enclave-Identity-Issuer-Chain", "enclaveIdentity", i.Identities, `"id":"TD_QE"`)
	case strings.Contains(address, "/pckcrl"):
		return i.list("Sgx-Pck-Crl-Issuer-Chain", func(name string) bool { return strings.HasPrefix(name, "Intel SGX PCK ") })
	}
	return i.list("", func(name string) bool { return name == "Intel SGX Root CA" })
}

// signed answers with the document of an ID; if there is none, with the first.
func (i intel) signed(header, member string, list []endorse.Signed, id string) (map[string][]string, []byte, error) {
	if len(list) == 0 {
		return nil, nil, errors.New("no network")
	}
	s := list[max(0, slices.IndexFunc(list, func(s endorse.Signed) bool { return bytes.Contains(s.Body, []byte(id)) }))]
	var signer *x509.Certificate
	for _, c := range i.Certificates {
		if strings.HasSuffix(c.Subject.CommonName, " Signing") {
			signer = c
		}
	}
	if signer == nil {
		return nil, nil, errors.New("no network: no certificate of the signer")
	}
	body := fmt.Appendf(nil, `{%q:%s,"signature":%q}`, member, s.Body, hex.EncodeToString(s.Signature))
	return i.header(header, signer), body, nil
}

func (i intel) list(header string, of func(issuer string) bool) (map[string][]string, []byte, error) {
	for _, l := range i.CRLs {
		if !of(l.Issuer.CommonName) {
			continue
		}
		if header == "" {
			return nil, l.Raw, nil
		}
		for _, c := range i.chain {
			if c.Subject.CommonName == l.Issuer.CommonName {
				return i.header(header, c), l.Raw, nil
			}
		}
	}
	return nil, nil, errors.New("no network: no such list")
}

// header writes a certificate and the root.
func (i intel) header(name string, c *x509.Certificate) map[string][]string {
	return map[string][]string{name: {url.QueryEscape(string(pemOf(c, i.root)))}}
}

// quoteChain is the chain in a quote.
func quoteChain(quote []byte) []*x509.Certificate {
	q, err := tdx.Decode(quote)
	if err != nil {
		return nil
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(q.Data.Chain); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, c)
		}
	}
	return all
}

// tdxValidations makes the library's options, one set for each combination of
// accepted values. What the library has no option for is not here.
func tdxValidations(in tdx.Input) []tdxvalidate.Options {
	p := in.Policy
	vendor, err := hex.DecodeString(tdx.QEVendorIntel)
	if err != nil {
		panic(err)
	}
	base := tdxvalidate.Options{HeaderOptions: tdxvalidate.HeaderOptions{QeVendorID: vendor}}
	base.TdQuoteBodyOptions.AnyMrTd = tdxValues(&p.MRTD, in.Expected.MRTD)
	if len(base.TdQuoteBodyOptions.AnyMrTd) == 1 && base.TdQuoteBodyOptions.AnyMrTd[0] == nil {
		base.TdQuoteBodyOptions.AnyMrTd = nil
	}
	all := []tdxvalidate.Options{base}
	var attributes [][]byte
	for _, a := range p.TDAttributes {
		b := tdx.Attributes(a).Bytes()
		attributes = append(attributes, b[:])
	}
	set := func(values [][]byte, set func(o *tdxvalidate.TdQuoteBodyOptions, v []byte)) {
		var next []tdxvalidate.Options
		for _, o := range all {
			for _, v := range values {
				with := o
				set(&with.TdQuoteBodyOptions, v)
				next = append(next, with)
			}
		}
		all = next
	}
	set(attributes, func(o *tdxvalidate.TdQuoteBodyOptions, v []byte) { o.TdAttributes = v })
	set(tdxValues(&p.MRSEAM, nil), func(o *tdxvalidate.TdQuoteBodyOptions, v []byte) { o.MrSeam = v })
	set(tdxValues(&p.MRConfigID, configID(in)), func(o *tdxvalidate.TdQuoteBodyOptions, v []byte) { o.MrConfigID = v })
	set(tdxValues(&p.MROwner, nil), func(o *tdxvalidate.TdQuoteBodyOptions, v []byte) { o.MrOwner = v })
	set(tdxValues(&p.MROwnerConfig, nil), func(o *tdxvalidate.TdQuoteBodyOptions, v []byte) { o.MrOwnerConfig = v })
	set(reportData(in), func(o *tdxvalidate.TdQuoteBodyOptions, v []byte) { o.ReportData = v })
	for i := range p.RTMR {
		set(tdxValues(&p.RTMR[i], in.Expected.RTMR[min(i, 3)]), func(o *tdxvalidate.TdQuoteBodyOptions, v []byte) {
			o.Rtmrs = append(slices.Clone(o.Rtmrs), v)
		})
	}
	return all
}

func configID(in tdx.Input) [][48]byte {
	if in.Expected.ConfigID == nil {
		return nil
	}
	return [][48]byte{*in.Expected.ConfigID}
}

func reportData(in tdx.Input) [][]byte {
	switch v := in.Policy.ReportData; {
	case v.Word == tdxpolicy.Transcript && in.Expected.ReportData != nil:
		return [][]byte{in.Expected.ReportData[:]}
	case v.Word == "":
		return v.List
	}
	return [][]byte{nil}
}

// tdxValues gives the values of an option; one that is nil is not checked.
func tdxValues(v *tdxpolicy.Value, given [][48]byte) [][]byte {
	var list [][]byte
	switch v.Word {
	case tdxpolicy.Zero:
		return [][]byte{make([]byte, 48)}
	case "":
		return v.List
	}
	for i := range given {
		list = append(list, given[i][:])
	}
	if len(list) == 0 {
		return [][]byte{nil}
	}
	return list
}

// protoV4 is the library's decoder; version 5 it has none for.
func protoV4(quote []byte) (*pb.QuoteV4, error) {
	q, err := tdxabi.QuoteToProto(quote)
	if err != nil {
		return nil, err
	}
	v4, ok := q.(*pb.QuoteV4)
	if !ok {
		return nil, fmt.Errorf("got %T", q)
	}
	return v4, nil
}
