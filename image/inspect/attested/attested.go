// Package attested describes what machines say about themselves: reports,
// quotes and documents of hardware, evidence of TPMs, and our own evidence file
// around them. The verifier's decoders read them; nothing is verified.
package attested

import (
	"safebox/image/inspect/tree"
	"safebox/verifier/evidence"
)

// Formats lists what is recognised.
func Formats() []tree.Format {
	return []tree.Format{
		{Kind: "SNP report", Match: isSNP, Items: snpReport},
		{Kind: "TDX quote", Match: isTDX, Items: tdxQuote},
		{Kind: "SGX quote", Match: isSGX, Items: sgxQuote},
		{Kind: "NitroTPM document", Match: isNitroTPM, Items: nitroDocument},
		{Kind: "Nitro document", Match: isNitro, Items: nitroDocument},
		{Kind: "HCL report", Match: isHCL, Items: hclReport},
		{Kind: "TPM quote", Match: isAttest, Items: attest},
		{Kind: "evidence", Match: isEvidence, Items: ownEvidence},
		{Kind: "TPM evidence", Match: isTPM, Items: tpmEvidence},
	}
}

// unverified is the first fact of every kind but our own evidence.
func unverified() tree.Item { return tree.Unverified("safebox verify quote") }

// notJudged is what a decoded value is worth inside another file: the notice of
// the outer one is enough.
func notJudged(items []tree.Item, err error) ([]tree.Item, error) {
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return items[1:], nil
}

// inner describes bytes inside evidence by the reader of their own kind.
func inner(name string, b []byte, read func([]byte) ([]tree.Item, error)) tree.Item {
	return tree.Inner(name, b, func(b []byte) ([]tree.Item, error) { return notJudged(read(b)) })
}

func isEvidence(b []byte) bool {
	return len(b) <= evidence.MaxSize && tree.Declares(b, evidence.Type)
}
