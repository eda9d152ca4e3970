package nitro

import (
	"bytes"
	"crypto/sha512"
	"crypto/x509"
	"errors"

	"safebox/measure/eif"
)

// pcr8 is the certificate that the image is signed with, its DER. It says
// nothing of the image: all that this key ever signed have the same PCR8.
func pcr8(image *eif.File, given *x509.Certificate, pcr0 Digest) (Register, error) {
	certificate, note := given, ""
	switch {
	case image != nil && image.Signature != nil:
		if err := image.Signature.Verify(pcr0); err != nil {
			return Register{}, err
		}
		certificate = image.Signature.Certificate
		if given != nil && !bytes.Equal(given.Raw, certificate.Raw) {
			return Register{}, errors.New("certificate: got another one than the one in the image")
		}
	case given != nil:
		note = "once the image is signed with this certificate's key"
	default:
		return Register{Rule: Zero, Note: "the image is not signed"}, nil
	}
	digest := Digest(sha512.Sum384(certificate.Raw))
	item := Item{Name: "signing certificate", Offset: -1, Size: int64(len(certificate.Raw)), SHA384: &digest}
	return Register{
		Rule:  Exact,
		Value: extend(digest[:]),
		Event: &Event{Content: []Item{item}, Digest: &digest},
		Note:  note,
	}, nil
}
