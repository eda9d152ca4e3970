package boot

import (
	"fmt"

	"safebox/measure/tpm/golden"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// perRead is how many registers one TPM2_PCR_Read returns at most: TPML_DIGEST
// holds 8 (TPM 2.0 Library, Part 2, 10.9.6).
const perRead = 8

// readRegisters reads PCR 0 to 23 of every bank that a verdict may rest on.
func readRegisters(tpm transport.TPM) (registers, error) {
	all := registers{}
	for _, bank := range golden.Banks() {
		var values [24]golden.Digest
		for first := 0; first < len(values); first += perRead {
			part, err := readSome(tpm, bank, first)
			if err != nil {
				return nil, fmt.Errorf("reading %v pcr%d to pcr%d: %w", bank, first, first+perRead-1, err)
			}
			copy(values[first:], part)
		}
		all[bank] = values
	}
	return all, nil
}

// readSome reads eight registers, the first of which is a multiple of eight:
// one whole byte of the selection's bit map.
func readSome(tpm transport.TPM, bank golden.Bank, first int) ([]golden.Digest, error) {
	algorithm, err := algorithmOf(bank)
	if err != nil {
		return nil, err
	}
	selection := make([]byte, 3) // PCR 0 to 23
	selection[first/8] = 0xff
	answer, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{{Hash: algorithm, PCRSelect: selection}},
	}}.Execute(tpm)
	if err != nil {
		return nil, err
	}
	// A TPM without the bank answers with fewer digests and no error.
	if n := len(answer.PCRValues.Digests); n != perRead {
		return nil, fmt.Errorf("TPM returned %d digests, want %d: is the bank allocated?", n, perRead)
	}
	size := len(bank.Zero())
	values := make([]golden.Digest, perRead)
	for i, d := range answer.PCRValues.Digests {
		if len(d.Buffer) != size {
			return nil, fmt.Errorf("pcr%d: %d bytes, want %d", first+i, len(d.Buffer), size)
		}
		values[i] = d.Buffer
	}
	return values, nil
}

// algorithmOf gives the TPM_ALG_ID of a bank (TCG Algorithm Registry, table 3).
func algorithmOf(bank golden.Bank) (tpm2.TPMAlgID, error) {
	switch bank {
	case golden.SHA256:
		return tpm2.TPMAlgSHA256, nil
	case golden.SHA384:
		return tpm2.TPMAlgSHA384, nil
	}
	return 0, fmt.Errorf("no TPM algorithm for %v", bank)
}
