package authenticode

import (
	"encoding/binary"
	"errors"
	"fmt"

	"safebox/measure/pe"
	"safebox/measure/tpm/authority"
)

const (
	// tableAlign: attribute certificates begin at multiples of it, and fill
	// them (PE Format, "The Attribute Certificate Table").
	tableAlign = 8

	directorySize = 8 // PE Format, "Optional Header Data Directories"
)

// appendTable appends the message as the one attribute certificate (UEFI 2.10,
// section 32.2.4: WIN_CERTIFICATE) and enters it in the data directory:
//
//	dwLength          u32, with this header, without the padding
//	wRevision         u16
//	wCertificateType  u16
//	bCertificate      the PKCS #7 message, then zeros to a multiple of 8
//
// CheckSum stays as it is: firmware does not look at it, the digest leaves it
// out, and without a change there Detach gives back the very image.
func appendTable(f *pe.File, image, message []byte) ([]byte, error) {
	directory, ok := f.SecurityDirectory()
	if !ok {
		return nil, errors.New("the image has no data directory for certificates")
	}
	if len(image)%tableAlign != 0 {
		return nil, fmt.Errorf("size of the image: got %d, want a multiple of %d: padding would change its digest, and PCR 4", len(image), tableAlign)
	}
	le := binary.LittleEndian
	length := authority.CertificateHeaderSize + len(message)
	size := (length + tableAlign - 1) / tableAlign * tableAlign
	signed := make([]byte, 0, len(image)+size)
	signed = append(signed, image...)
	le.PutUint32(signed[directory:], uint32(len(image)))
	le.PutUint32(signed[directory+4:], uint32(size))
	signed = le.AppendUint32(signed, uint32(length))
	signed = le.AppendUint16(signed, authority.CertificateRevision)
	signed = le.AppendUint16(signed, authority.CertificatePKCS)
	signed = append(signed, message...)
	return signed[:cap(signed)], nil // make has zeroed the rest
}
