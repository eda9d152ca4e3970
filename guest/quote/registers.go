package quote

import (
	"fmt"

	"safebox/measure/tpm/golden"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// perRead is how many registers one TPM2_PCR_Read returns at most: TPML_DIGEST
// holds 8 (TPM 2.0 Library, Part 2, 10.9.6).
const perRead = 8

// ReadRegisters fills values with PCR 0 and following of a bank: a multiple of
// 8 of them, 24 at most.
func ReadRegisters(tpm transport.TPM, bank golden.Bank, values []golden.Digest) error {
	for first := 0; first < len(values); first += perRead {
		if err := readSome(tpm, bank, first, values[first:first+perRead]); err != nil {
			return fmt.Errorf("reading %v pcr%d to pcr%d: %w", bank, first, first+perRead-1, err)
		}
	}
	return nil
}

// readSome reads eight registers, the first of which is a multiple of eight:
// one whole byte of the selection's bit map.
func readSome(tpm transport.TPM, bank golden.Bank, first int, values []golden.Digest) error {
	algorithm, err := algorithmOf(bank)
	if err != nil {
		return err
	}
	selection := make([]byte, 3) // PCR 0 to 23
	selection[first/8] = 0xff
	answer, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{{Hash: algorithm, PCRSelect: selection}},
	}}.Execute(tpm)
	if err != nil {
		return err
	}
	// A TPM without the bank answers with fewer digests and no error.
	if n := len(answer.PCRValues.Digests); n != perRead {
		return fmt.Errorf("TPM returned %d digests, want %d: is the bank allocated?", n, perRead)
	}
	for i, d := range answer.PCRValues.Digests {
		if len(d.Buffer) != len(bank.Zero()) {
			return fmt.Errorf("pcr%d: %d bytes, want %d", first+i, len(d.Buffer), len(bank.Zero()))
		}
		values[i] = d.Buffer
	}
	return nil
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
