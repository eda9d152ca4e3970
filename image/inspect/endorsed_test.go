package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"safebox/verifier/endorse"
)

// TestCertificates: openssl x509 says the same of names, serials, dates and
// digests; the extensions are facts of INDEX.md, and openssl asn1parse shows
// their bytes.
func TestCertificates(t *testing.T) {
	const engineering = `OU=Engineering,O=Advanced Micro Devices,L=Santa Clara,ST=CA,C=US"`
	for name, want := range map[string]map[string]string{
		"snp/ms-tav/turin_vcek.pem": {
			"found": "1 certificate", "certificate 0": `"CN=SEV-VCEK,` + engineering, "certificate 0/issuer": `"CN=SEV-Turin,` + engineering,
			"certificate 0/serial": "0", "certificate 0/not_before": "2026-02-05T01:04:33Z", "certificate 0/not_after": "2033-02-05T01:04:33Z",
			"certificate 0/key": "ECDSA P-384", "certificate 0/authority": "no", "certificate 0/signature_algorithm": "SHA384-RSAPSS",
			"certificate 0/sha256": "49d521f00a62d666713c9f97c7a2937b61728a92e53a06f4304a315a90bdcfc0",
			"certificate 0/amd":    "VCEK of one chip", "certificate 0/amd/product": "Turin", "certificate 0/amd/struct_version": "1",
			"certificate 0/amd/tcb": "FMC 0x1, bootloader 0x1, TEE 0x1, SNP 0x4, microcode 0x51", "certificate 0/amd/tcb/raw": "0101010400000051",
			"certificate 0/amd/hwid": "59790fb1c39f35c1", // CHIP_ID of the report beside it
		},
		"snp/trustee/test-vlek.der": {
			"certificate 0/not_before": "2024-12-10T22:14:21Z", "certificate 0/not_after": "2025-12-10T22:14:21Z",
			"certificate 0/sha256": "296a7c99053efe4b1e480bb76d421fd24633d245f3e34708399a18a7713b7a7c",
			"certificate 0/amd":    "VLEK of a provider", "certificate 0/amd/csp_id": `"CN=cc-us-east-2.amazonaws.com"`, "certificate 0/amd/product": "Milan",
			"certificate 0/amd/tcb/raw": "04000000000018d9",
		},
		"snp/dstack/vcek.pem": {"certificate 0/amd/product_name": `"Milan-B0"`, "certificate 0/amd/tcb/raw": "04000000000017d5"},
		"snp/trustee/test-vcek-invalid-new.der": {
			// openssl x509 -text: an OCTET STRING of the bytes 00 to 3f.
			"certificate 0/amd/hwid": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
		},
		"snp/roots/ask_ark_turin_vlek.pem": { // CRLF and an empty line at the end
			"found": "2 certificates", "certificate 0": `"CN=SEV-VLEK-Turin,` + engineering, "certificate 1": `"CN=ARK-Turin,` + engineering,
			"certificate 0/authority": "yes, path length 0",
			"certificate 1/key":       "RSA 4096 bits", "certificate 1/authority": "yes", "certificate 1/key_usage": "keyCertSign, cRLSign",
		},
		"nitro/root.pem": {
			"certificate 0": `"CN=aws.nitro-enclaves,OU=AWS,O=Amazon,C=US"`, "certificate 0/serial": "f93175681b90afe11d46ccb4e4e7f856",
			"certificate 0/sha256":    "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
			"certificate 0/not_after": "2049-10-28T14:28:05Z",
			// sha256sum of openssl's pkey -outform der
			"certificate 0/key_sha256": "f2caf5ecc6190b4a8399b78bc58a2bbcd0382375db8a1bfd78a82743874fd225",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, describe(t, realFile(t, name), "certificates"), want)
		})
	}
}

// TestRevocationLists: openssl crl says the same of dates, numbers and entries.
// The four encodings are one list.
func TestRevocationLists(t *testing.T) {
	der := realFile(t, "tdx/go-tdx-guest/pckcrl")
	for name, b := range map[string][]byte{
		"DER": der, "hex": []byte(hex.EncodeToString(der) + "\n"), "base64": []byte(base64.StdEncoding.EncodeToString(der)),
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}),
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, describe(t, b, "revocation list"), map[string]string{
				"found": "1 revocation list", "revocation list 0": `"CN=Intel SGX PCK Platform CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"`,
				"revocation list 0/number": "1", "revocation list 0/entries": "44",
				"revocation list 0/this_update": "2023-06-08T07:27:52Z", "revocation list 0/next_update": "2023-07-08T07:27:52Z",
				"revocation list 0/entries/serial":        "6fc34e5023e728923435d61aa4b83c618166ad35, 2023-06-08T07:27:52Z",
				"revocation list 0/entries/serial/reason": "1",
			})
		})
	}
	wants(t, describe(t, realFile(t, "tdx/go-tdx-guest/rootcrl.der"), "revocation list"), map[string]string{
		"revocation list 0/this_update": "2023-04-03T10:22:51Z", "revocation list 0/next_update": "2024-04-02T10:22:51Z", "revocation list 0/entries": "0",
	})
}

// TestIntelDocuments: values as jq shows them in the files.
func TestIntelDocuments(t *testing.T) {
	wants(t, describe(t, realFile(t, "tdx/trustee/tcbInfo.json"), "TCB info"), map[string]string{
		"tcb_info": "TDX", "tcb_info/version": "3", "tcb_info/issue_date": "2025-10-27T13:07:17Z", "tcb_info/next_update": "2025-11-26T13:07:17Z",
		"tcb_info/fmspc": "00A06D080000", "tcb_info/pceid": "0000", "tcb_info/evaluation_number": "17",
		"tcb_info/tdx_module/attributes_mask": "FFFFFFFFFFFFFFFF",
		"tcb_info/tdx_module TDX_01/levels":   "2", "tcb_info/tdx_module TDX_01/levels/1": "OutOfDate, 2023-08-09T00:00:00Z",
		"tcb_info/tdx_module TDX_01/levels/1/isvsvn": "2",
		"tcb_info/levels": "2", "tcb_info/levels/0": "UpToDate, 2024-03-13T00:00:00Z",
		"tcb_info/levels/0/sgx_components": "2 2 2 2 4 1 0 2 0 0 0 0 0 0 0 0", "tcb_info/levels/0/pcesvn": "13",
		"tcb_info/levels/1": "OutOfDate, 2018-01-04T00:00:00Z",
	})
	wants(t, describe(t, realFile(t, "tdx/go-tdx-guest/sample_qeIdentity_response"), "QE identity"), map[string]string{
		"qe_identity": "TD_QE", "qe_identity/version": "2", "qe_identity/issue_date": "2023-06-08T07:24:59Z", "qe_identity/evaluation_number": "15",
		"qe_identity/mrsigner":  "DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5",
		"qe_identity/isvprodid": "2", "qe_identity/levels/0": "UpToDate, 2023-02-15T00:00:00Z", "qe_identity/levels/0/isvsvn": "4",
	})
	wants(t, describe(t, realFile(t, "tdx/dcap-qvl/tdx_quote_outdated_collateral.json"), "collateral"), map[string]string{
		"found":          "3 certificates, 2 revocation lists, 1 TCB info, 1 QE identity",
		"tcb_info/fmspc": "90C06F000000", "tcb_info/evaluation_number": "18", "tcb_info/issue_date": "2026-02-18T10:58:51Z",
		"tcb_info/levels": "3", "tcb_info/levels/0/tdx_components": "5 0 3 0 0 0 0 0 0 0 0 0 0 0 0 0",
		"tcb_info/levels/1/advisories": "INTEL-SA-01036 INTEL-SA-01079 INTEL-SA-01099 INTEL-SA-01103 INTEL-SA-01111",
	})
	wants(t, describe(t, realFile(t, "tdx/dcap-qvl/sgx_quote_collateral.json"), "collateral"), map[string]string{
		"tcb_info": "SGX", "qe_identity": "QE", "certificate 0": `"CN=Intel SGX PCK Processor CA,..`,
	})
}

// collateralBundle is our own bundle of two of the files.
func collateralBundle(t *testing.T) []byte {
	t.Helper()
	var s endorse.Set
	s.Add("vcek", realFile(t, "snp/ms-tav/turin_vcek.pem"))
	s.Add("tcb", realFile(t, "tdx/trustee/tcbInfo.json"))
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCollateralBundle(t *testing.T) {
	wants(t, describe(t, collateralBundle(t), "collateral bundle"), map[string]string{
		"found": "1 certificate, 1 TCB info", "certificate 0/amd/hwid": "59790fb1c39f35c1", "tcb_info/fmspc": "00A06D080000",
	})
}

// TestMemory: the text is an example of docs/format-memory.md's form; dates by
// date -u -d @N.
func TestMemory(t *testing.T) {
	const text = `{"seen":[{"key":"crl-time/ab","value":"1700000000"},{"key":"crl/ab","value":"7"},` +
		`{"key":"tcb-eval/standard","value":"18446744073709551615"},{"key":"time","value":"1767225600"},{"key":"x-time/ab","value":"253402300800"}],"type":"safebox/memory/v1"}`
	r := describe(t, []byte(text), "rollback memory")
	for i, want := range []string{
		"crl-time/ab 1700000000, 2023-11-14T22:13:20Z", "crl/ab 7", "tcb-eval/standard 18446744073709551615", "time 1767225600, 2026-01-01T00:00:00Z",
		"x-time/ab 253402300800", // the first second of the year 10000
	} {
		if got := r.Items[0].Items[i]; got.Name+" "+got.Value != want {
			t.Errorf("seen %d: got %s %s, want %s", i, got.Name, got.Value, want)
		}
	}
}

// TestPassedOver: what the verifier would not take of a file is told.
func TestPassedOver(t *testing.T) {
	b := append(bytes.Clone(realFile(t, "snp/ms-tav/turin_vcek.pem")), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"...)
	r := describe(t, b, "certificates")
	if got := value(t, r, "passed_over"); !strings.Contains(got, `block "PRIVATE KEY"`) {
		t.Errorf("got %q, want that the key was passed over", got)
	}
}

// TestIntelTwice: a name that comes twice could be read either way, so no value
// of the document is shown.
func TestIntelTwice(t *testing.T) {
	b := bytes.Replace(realFile(t, "tdx/trustee/tcbInfo.json"), []byte(`"version":3`), []byte(`"version":3,"version":4`), 1)
	r := describe(t, b, "TCB info")
	wants(t, r, map[string]string{"tcb_info": "does not read: ..", "found": "1 TCB info"})
	if got := value(t, r, "tcb_info"); !strings.Contains(got, `name "version" comes twice`) {
		t.Errorf("got %q, want the name that comes twice", got)
	}
}
