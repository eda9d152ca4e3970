package boot

import (
	"safebox/guest/quote"
	"safebox/measure/tpm/golden"

	"github.com/google/go-tpm/tpm2/transport"
)

// readRegisters reads PCR 0 to 23 of every bank that a verdict may rest on.
func readRegisters(tpm transport.TPM) (registers, error) {
	all := registers{}
	for _, bank := range golden.Banks() {
		var values [24]golden.Digest
		if err := quote.ReadRegisters(tpm, bank, values[:]); err != nil {
			return nil, err
		}
		all[bank] = values
	}
	return all, nil
}
