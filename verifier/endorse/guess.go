package endorse

import (
	"bytes"
	"encoding/binary"
)

// Sizes and numbers by which evidence is told from noise.
const (
	snpReportSize = 1184 // AMD 56860, table "ATTESTATION_REPORT Structure"
	quoteSize     = 48   // Intel DCAP quote, header
	teeTypeSGX    = 0    // header, bytes 4..7
	teeTypeTDX    = 0x81
)

// guess says for people what a file seems to be that holds no endorsements. No
// decision rests on it.
func guess(b []byte) string {
	switch {
	case len(b) == snpReportSize && b[0] >= 2 && b[0] <= 5:
		return "seems to be an SNP attestation report, which is evidence and no endorsement"
	case len(b) > quoteSize && isQuote(b):
		return "seems to be an SGX or TDX quote, which is evidence and no endorsement; the certificates in it are read with it"
	case bytes.Contains(b[:min(len(b), 64)], []byte("Spec ID Event03")):
		return "seems to be an event log, which is evidence and no endorsement"
	}
	return "not recognised: no PEM, DER, hex or JSON of an endorsement"
}

// isQuote looks at version, kind of key and kind of TEE (Intel TDX DCAP Quoting
// Library API, annex A.3.1).
func isQuote(b []byte) bool {
	version, key, tee := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])
	return version >= 3 && version <= 5 && key == 2 && (tee == teeTypeSGX || tee == teeTypeTDX)
}
