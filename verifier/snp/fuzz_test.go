package snp_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"safebox/verifier/check"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
)

// FuzzDecode: what decodes is all that was given, byte for byte.
func FuzzDecode(f *testing.F) {
	for _, r := range reals() {
		f.Add(reportOf(f, r.report))
	}
	for _, r := range []snp.Report{snptest.Genoa(), snptest.Turin(), snptest.Milan(), snptest.Siena()} {
		f.Add(snptest.Encode(&r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := snp.Decode(b)
		if err != nil {
			if r != nil {
				t.Fatal("a report and an error")
			}
			return
		}
		if !bytes.Equal(snptest.Encode(r), b) {
			t.Fatal("decoding lost something")
		}
		for _, text := range []string{r.Policy.String(), r.Platform.String(), r.Current.String(), r.CPUID.String(), r.Signer.SigningKey().String()} {
			if text == "" {
				t.Fatal("a field without words")
			}
		}
	})
}

// FuzzVerify: of all reports under genuine endorsements only the genuine one
// passes; and every verdict has every check.
func FuzzVerify(f *testing.F) {
	good := realInput(f, "ms-tav turin")
	for _, r := range reals() {
		f.Add(reportOf(f, r.report))
	}
	changed := bytes.Clone(good.Report)
	changed[0x90] ^= 1
	f.Add(changed)
	kept, err := snp.OpenChain(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := good
		in.Report, in.Chain = b, kept
		log := check.New()
		r := snp.Verify(in, log)
		v := log.Verdict(snp.Definitions())
		if v.OK != bytes.Equal(b, good.Report) {
			t.Fatalf("ok %t:\n%s", v.OK, v.Text())
		}
		if v.OK && r == nil || len(v.Checks) != 26 {
			t.Fatalf("report %v, %d checks", r, len(v.Checks))
		}
	})
}

// FuzzParseLeaf: what parses has exactly the extensions of its kind. The input
// is a list of extensions: for each the arcs below AMD's, a length, the value.
func FuzzParseLeaf(f *testing.F) {
	for _, r := range []snp.Report{snptest.Genoa(), snptest.Turin()} {
		for _, p := range []snp.Product{snp.Genoa, snp.Turin, snp.Milan} {
			f.Add(flat(snptest.Extensions(&r, p)))
			snptest.VLEK(&r)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &x509.Certificate{Extensions: nested(b)}
		l, err := snp.ParseLeaf(c)
		if err != nil {
			return
		}
		want := 11
		if len(c.Extensions) != want || (l.HWID == nil) == (l.CSPID == "") || l.Product == 0 || l.StructVersion > 1 {
			t.Fatalf("got %+v of %d extensions", l, len(c.Extensions))
		}
		if (l.Product == snp.Turin) != (l.StructVersion == 1) || l.HWID != nil && len(l.HWID) != map[bool]int{true: 8, false: 64}[l.Product == snp.Turin] {
			t.Fatalf("got %+v", l)
		}
	})
}

func flat(list []pkix.Extension) []byte {
	var b []byte
	for _, e := range list {
		arcs := e.Id[8:]
		b = append(b, byte(len(arcs)))
		for _, a := range arcs {
			b = append(b, byte(a))
		}
		b = append(append(b, byte(len(e.Value))), e.Value...)
	}
	return b
}

func nested(b []byte) []pkix.Extension {
	var list []pkix.Extension
	take := func(n int) []byte {
		n = min(n, len(b))
		head := b[:n]
		b = b[n:]
		return head
	}
	for len(b) > 0 {
		id := append(asn1.ObjectIdentifier{}, snptest.OID()...)
		for _, a := range take(int(take(1)[0]) % 4) {
			id = append(id, int(a))
		}
		n := take(1)
		if len(n) == 0 {
			break
		}
		list = append(list, pkix.Extension{Id: id, Value: take(int(n[0]))})
	}
	return list
}
