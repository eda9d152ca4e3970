package eif

import (
	"errors"
	"fmt"

	reader "safebox/measure/eif"
	"safebox/measure/nitro"
)

// Attach puts a signature that was made elsewhere, over the bytes of ToBeSigned,
// into the image. The signature is DER, as OpenSSL, key management services and
// Go's crypto.Signer give it; the certificate is PEM text of one certificate, and
// the file holds it as it is. Both are verified before anything is returned.
func Attach(image, signature, certificate []byte) ([]byte, error) {
	b, err := attachSignature(image, signature, certificate)
	if err != nil {
		return nil, fmt.Errorf("attaching signature to EIF: %w", err)
	}
	return b, nil
}

func attachSignature(image, signature, certificate []byte) ([]byte, error) {
	pcr0, err := unsignedPCR0(image)
	if err != nil {
		return nil, err
	}
	a, _, err := checkCertificate(certificate)
	if err != nil {
		return nil, err
	}
	section, err := encodeSection(a, pcr0, signature, certificate)
	if err != nil {
		return nil, err
	}
	return attach(image, pcr0, section)
}

// AttachSection puts back what Detach took away, or what was published beside
// the image: the content of the signature section. It is verified before
// anything is returned.
func AttachSection(image, section []byte) ([]byte, error) {
	pcr0, err := unsignedPCR0(image)
	if err == nil {
		image, err = attach(image, pcr0, section)
	}
	if err != nil {
		return nil, fmt.Errorf("attaching signature section to EIF: %w", err)
	}
	return image, nil
}

// attach adds the section and verifies the signature as a reader of the file
// would.
func attach(image []byte, pcr0 nitro.Digest, content []byte) ([]byte, error) {
	b, err := appendSignature(image, content)
	if err != nil {
		return nil, err
	}
	f, err := open(b)
	if err != nil {
		return nil, fmt.Errorf("reading it back: %w", err)
	}
	if err := f.Signature.Verify(pcr0); err != nil {
		return nil, err
	}
	return b, nil
}

// appendSignature writes the image anew with one section more.
func appendSignature(image, content []byte) ([]byte, error) {
	h, err := decodeHeader(image)
	if err != nil {
		return nil, err
	}
	b := make([]byte, len(image), len(image)+sectionHeaderSize+len(content))
	copy(b, image)
	if b, err = h.append(b, section{reader.SignatureSection, content}); err != nil {
		return nil, err
	}
	return b, h.seal(b)
}

// Detach takes the signature away. It returns the image as it was before it was
// signed, and the content of the signature section, which is not verified.
func Detach(image []byte) (unsigned, section []byte, err error) {
	unsigned, section, err = detach(image)
	if err != nil {
		return nil, nil, fmt.Errorf("detaching signature from EIF: %w", err)
	}
	return unsigned, section, nil
}

func detach(image []byte) (unsigned, content []byte, err error) {
	f, err := open(image)
	if err != nil {
		return nil, nil, err
	}
	if f.Signature == nil {
		return nil, nil, errors.New("got an image that is not signed")
	}
	last := len(f.Sections) - 1
	if got := f.Sections[last].Type; got != reader.SignatureSection {
		return nil, nil, fmt.Errorf("section %d: got %v, want the signature last", last, got)
	}
	h, err := decodeHeader(image)
	if err != nil {
		return nil, nil, err
	}
	content = append(content, image[f.Sections[last].Offset+sectionHeaderSize:]...)
	unsigned = append(unsigned, h.dropLast(image)...)
	if err := h.seal(unsigned); err != nil {
		return nil, nil, err
	}
	if _, err := open(unsigned); err != nil {
		return nil, nil, fmt.Errorf("reading it back: %w", err)
	}
	return unsigned, content, nil
}
