package tpm

import "fmt"

// Constants of an attestation (Part 2, TPM_GENERATED and TPM_ST).
const (
	generatedValue = 0xff544347 // TPM_GENERATED_VALUE: made by a TPM, not signed for somebody
	attestQuote    = 0x8018     // TPM_ST_ATTEST_QUOTE
)

// Limits of an attestation.
const (
	maxAttest = 512
	maxName   = 2 + maxDigest
	maxData   = 2 + maxDigest // TPM2B_DATA (Part 2, 10.4.3): the size of a TPMT_HA
)

// selectBytes is the size of a PCR bitmap: 24 registers (PC Client Platform
// TPM Profile 1.05, section 4.6.2).
const selectBytes = 3

// Attest is a TPMS_ATTEST with a quote (Part 2, 10.12.12, with
// TPMS_CLOCK_INFO of 10.11.1 and TPMS_QUOTE_INFO of 10.12.4):
//
//	magic            u32    TPM_GENERATED_VALUE
//	type             u16    TPM_ST_ATTEST_QUOTE
//	qualifiedSigner  TPM2B_NAME
//	extraData        TPM2B_DATA
//	clock            u64    milliseconds
//	resetCount       u32
//	restartCount     u32
//	safe             u8     0 or 1
//	firmwareVersion  u64
//	pcrSelect        TPML_PCR_SELECTION: here exactly one bank
//	pcrDigest        TPM2B_DIGEST
type Attest struct {
	QualifiedSigner []byte
	ExtraData       []byte
	Clock           uint64
	ResetCount      uint32 // TPM resets: boots of the machine
	RestartCount    uint32 // resumes since the last reset
	Safe            bool   // the clock was never set back
	Firmware        uint64
	Bank            Algorithm // the hash of the one bank that was quoted
	PCRs            []int     // ascending
	PCRDigest       []byte
}

// DecodeAttest parses a TPMS_ATTEST. Every byte must belong to it.
func DecodeAttest(b []byte) (*Attest, error) {
	a, err := decodeAttest(b)
	if err != nil {
		return nil, fmt.Errorf("parsing TPMS_ATTEST: %w", err)
	}
	return a, nil
}

func decodeAttest(b []byte) (*Attest, error) {
	if len(b) > maxAttest {
		return nil, fmt.Errorf("length: got %d, want at most %d", len(b), maxAttest)
	}
	r := &reader{b: b}
	if magic := r.u32("magic"); magic != generatedValue {
		r.refuse("magic: got %#08x, want %#08x", magic, uint32(generatedValue))
	}
	r.want(attestQuote, "type")
	a := &Attest{
		QualifiedSigner: r.sized(maxName, "qualified signer"),
		ExtraData:       r.sized(maxData, "extra data"),
		Clock:           r.u64("clock"),
		ResetCount:      r.u32("reset count"),
		RestartCount:    r.u32("restart count"),
	}
	safe := r.u8("safe")
	if safe > 1 {
		r.refuse("safe: got %d, want 0 or 1", safe)
	}
	a.Safe = safe == 1
	a.Firmware = r.u64("firmware version")
	a.selection(r)
	a.PCRDigest = r.sized(maxDigest, "PCR digest")
	return a, r.done()
}

// selection reads a TPML_PCR_SELECTION (Part 2, 10.9.7) with one
// TPMS_PCR_SELECTION (10.6.2): u16 hash, u8 size of the bitmap, bitmap.
func (a *Attest) selection(r *reader) {
	if n := r.u32("bank count"); n != 1 {
		r.refuse("bank count: got %d, want 1", n)
	}
	a.Bank = Algorithm(r.u16("bank"))
	if a.Bank.size() == 0 {
		r.refuse("bank: got %#04x, want SHA-256 or SHA-384", uint16(a.Bank))
	}
	if n := r.u8("bitmap size"); n != selectBytes {
		r.refuse("bitmap size: got %d, want %d", n, selectBytes)
	}
	for i, octet := range r.take(selectBytes, "bitmap") {
		for bit := range 8 {
			if octet&(1<<bit) != 0 {
				a.PCRs = append(a.PCRs, 8*i+bit)
			}
		}
	}
}
