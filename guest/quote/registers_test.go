package quote

import (
	"encoding/binary"
	"strings"
	"testing"

	"safebox/measure/tpm/golden"
)

// canned is a TPM with one answer.
type canned []byte

// Send implements transport.TPM.
func (c canned) Send([]byte) ([]byte, error) { return c, nil }

// pcrRead is a response of TPM2_PCR_Read (TPM 2.0 Library, Part 3, section
// 22.4): tag TPM_ST_NO_SESSIONS, size, TPM_RC_SUCCESS, pcrUpdateCounter, an
// empty TPML_PCR_SELECTION, TPML_DIGEST.
func pcrRead(sizes ...int) canned {
	body := binary.BigEndian.AppendUint32(make([]byte, 8), uint32(len(sizes)))
	for _, n := range sizes {
		body = append(binary.BigEndian.AppendUint16(body, uint16(n)), make([]byte, n)...)
	}
	head := binary.BigEndian.AppendUint32([]byte{0x80, 0x01}, uint32(10+len(body)))
	return append(append(head, 0, 0, 0, 0), body...)
}

// TestRegistersRefuse: a TPM that lacks the bank answers with less, and with no
// error of its own.
func TestRegistersRefuse(t *testing.T) {
	for name, tt := range map[string]struct {
		tpm  canned
		want string
	}{
		"eight":         {pcrRead(32, 32, 32, 32, 32, 32, 32, 32), ""},
		"no bank":       {pcrRead(), "TPM returned 0 digests, want 8"},
		"one less":      {pcrRead(32, 32, 32, 32, 32, 32, 32), "TPM returned 7 digests, want 8"},
		"other bank":    {pcrRead(48, 48, 48, 48, 48, 48, 48, 48), "pcr0: 48 bytes, want 32"},
		"one empty":     {pcrRead(32, 32, 32, 32, 32, 32, 32, 0), "pcr7: 0 bytes, want 32"},
		"not an answer": {canned{0x80, 0x01}, "reading sha256 pcr0 to pcr7"},
	} {
		err := ReadRegisters(tt.tpm, golden.SHA256, make([]golden.Digest, 8))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// TestTrim: an NV area may be larger than the certificate in it. 30 03 02 01 05
// is SEQUENCE { INTEGER 5 } in DER (X.690).
func TestTrim(t *testing.T) {
	der := []byte{0x30, 0x03, 0x02, 0x01, 0x05}
	got, err := trim(1, append(der[:5:5], 0xff, 0xff, 0))
	if err != nil || string(got) != string(der) {
		t.Errorf("got %x, %v, want %x", got, err, der)
	}
	if got, err := trim(1, der[:4]); err == nil {
		t.Errorf("cut: got %x", got)
	}
}
