package attested

import (
	"bytes"

	"safebox/image/inspect/endorsed"
	"safebox/image/inspect/tree"
	"safebox/verifier/chain"
)

// maxPCKChain bounds the certificates in a quote: leaf, intermediate and root.
const maxPCKChain = 3

// pckChain describes the certificates that a quote brings along, the leaf's
// extension included.
func pckChain(text []byte) tree.Item {
	certificates, err := chain.ParsePEM(bytes.TrimSuffix(text, []byte{0}), maxPCKChain)
	if err != nil {
		return tree.New("pck_chain", "%d bytes: %v", len(text), err)
	}
	return endorsed.Chain("pck_chain", certificates)
}
