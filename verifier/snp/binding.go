package snp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	"safebox/verifier/policy/snppolicy"
)

// reportedTCB: SNP-B1. The signing key was derived from these versions.
func (v *verification) reportedTCB() bool {
	ok := v.report.Reported.Raw == v.leaf.TCB.Raw
	v.log.Record("SNP-B1", ok, "reported TCB is that of the key: "+v.leaf.TCB.String(), v.report.Reported.String())
	return ok
}

// chip: SNP-B2.
func (v *verification) chip() bool {
	const id, want = "SNP-B2", "chip ID is the HWID of the VCEK"
	if v.report.Signer.SigningKey() == VLEK {
		v.log.Pass(id, want, "not applicable: a VLEK is no chip's")
		return true
	}
	chip := v.report.ChipID
	if chip == ([64]byte{}) {
		v.log.Record(id, v.policy.MaskedChip, want, "chip ID is zero: the host has masked it")
		if v.policy.MaskedChip {
			v.log.Waive("machine that made the report", "snp.masked_chip = \"accept\" in the policy, and the host has masked its ID")
		}
		return v.policy.MaskedChip
	}
	ok := bytes.HasPrefix(chip[:], v.leaf.HWID) && nonZero(chip[len(v.leaf.HWID):]) < 0
	v.log.Record(id, ok, want+": "+hex.EncodeToString(v.leaf.HWID), hex.EncodeToString(chip[:]))
	return ok
}

// provider: SNP-B3.
func (v *verification) provider() bool {
	const id = "SNP-B3"
	names := make([]string, len(v.policy.CSPs.List))
	for i, b := range v.policy.CSPs.List {
		names[i] = string(b)
	}
	want := "provider " + words(names)
	if v.report.Signer.SigningKey() == VCEK {
		v.log.Pass(id, want, "not applicable: a VCEK is no provider's")
		return true
	}
	ok := slices.Contains(names, v.leaf.CSPID)
	v.log.Record(id, ok, want, fmt.Sprintf("%q", v.leaf.CSPID))
	if ok {
		v.log.Waive("machine that made the report", "a VLEK says only that it is one of "+v.leaf.CSPID)
	}
	return ok
}

// productLine: SNP-B4. Only the line is compared: the certificate's stepping may
// be another than the machine's.
func (v *verification) productLine() bool {
	const id = "SNP-B4"
	want := "product " + words(v.policy.Products) + ", in report and certificate"
	if !v.acceptedProduct() {
		return false
	}
	if v.report.Version < versionCPUID && v.leaf.Product == Turin {
		v.log.Fail(id, want, "version 2 with a key of Turin, whose firmware never made that version")
		return false
	}
	ok := v.leaf.Product == v.product
	v.log.Record(id, ok, want, fmt.Sprintf("report: CPUID %v, %v; certificate: %s", v.report.CPUID, v.product, v.leaf.ProductName))
	return ok
}

// acceptedProduct: the part of SNP-B4 that needs no certificate. It notes
// failures only.
func (v *verification) acceptedProduct() bool {
	const id = "SNP-B4"
	want := "product " + words(v.policy.Products) + ", in report and certificate"
	switch name := v.product.String(); {
	case v.product == 0 && v.report.Version >= versionCPUID:
		v.log.Fail(id, want, fmt.Sprintf("CPUID %v is of no known product", v.report.CPUID))
	case v.product == 0:
		return false // version 2 without a certificate: not reached
	case !slices.Contains(v.policy.Products, name):
		v.log.Fail(id, want, name)
	case v.product == Milan && v.policy.Milan != snppolicy.Listed && v.policy.Milan != snppolicy.Any:
		v.log.Fail(id, want, "Milan, whose keys software can extract; the policy does not accept it (snp.milan)")
	default:
		return true
	}
	return false
}

// signature: SNP-S1, over the bytes as they were received.
func (v *verification) signature() bool {
	sum := sha512.Sum384(v.in.Report[:signedSize])
	key, _ := v.found.leaf.PublicKey.(*ecdsa.PublicKey) // SNP-C2 has seen to it
	r, s := new(big.Int).SetBytes(v.report.SignatureR[:]), new(big.Int).SetBytes(v.report.SignatureS[:])
	ok := key != nil && ecdsa.Verify(key, sum[:], r, s)
	got := "signed by it"
	if !ok {
		got = "the signature is not of these bytes and this key"
	}
	v.log.Record("SNP-S1", ok, "first 672 bytes signed by the key of "+v.leafName(), got)
	return ok
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "no time"
	}
	return t.UTC().Format(time.RFC3339)
}
