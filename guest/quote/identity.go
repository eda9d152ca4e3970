package quote

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"safebox/verifier/guestapi"

	"github.com/google/go-tpm/tpm2"
)

const (
	// maxCertificate bounds what is read from NV, in bytes. Certificates of
	// endorsement keys have 1 to 2 KiB.
	maxCertificate = 8 << 10

	// perNVRead is what every TPM gives in one TPM2_NV_Read (TCG PC Client
	// Platform TPM Profile, TPM_PT_NV_BUFFER_MAX: at least 512).
	perNVRead = 512
)

// Identity gives what an enrolment file is made of: the attestation key, and
// each endorsement key that has a certificate in the TPM.
func (t *TPM) Identity() (*guestapi.Identity, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := &guestapi.Identity{Type: guestapi.IdentityType, AK: t.public}
	for _, e := range endorsements() {
		ek, err := t.endorsementKey(e)
		if err != nil {
			return nil, fmt.Errorf("reading endorsement key %s: %w", e.kind, err)
		}
		if ek != nil {
			id.EKs = append(id.EKs, *ek)
		}
	}
	if len(id.EKs) == 0 {
		return nil, errors.New("reading endorsement keys: the TPM holds no certificate of one")
	}
	return id, nil
}

// endorsementKey gives nil if the TPM has no certificate of that kind.
func (t *TPM) endorsementKey(e endorsement) (ek *guestapi.EK, err error) {
	certificate, err := t.certificate(e.certificate)
	if err != nil || certificate == nil {
		return nil, err
	}
	key, err := t.loadEndorsement(e)
	if err != nil {
		return nil, err
	}
	if key.transient {
		defer t.flushAfter(key.handle, &err)
	}
	if err := sameKey(certificate, key.public); err != nil {
		return nil, err
	}
	return &guestapi.EK{Kind: e.kind, Public: tpm2.Marshal(*key.public), Certificate: certificate}, nil
}

// sameKey notices a TPM whose key and certificate don't belong together: its
// owner would make a challenge that the TPM can't answer.
func sameKey(certificate []byte, public *tpm2.TPMTPublic) error {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return err
	}
	key, err := tpm2.Pub(*public)
	if err != nil {
		return err
	}
	k, ok := key.(interface{ Equal(x crypto.PublicKey) bool })
	if !ok || !k.Equal(c.PublicKey) {
		return errors.New("the certificate is of another key")
	}
	return nil
}

// loaded is an endorsement key in the TPM.
type loaded struct {
	handle    tpm2.TPMHandle
	name      tpm2.TPM2BName
	public    *tpm2.TPMTPublic
	transient bool // made from the template just now: to be flushed
}

// loadEndorsement takes the persistent key, or makes it from the template: the
// same key, if the TPM's maker used the template for the certificate.
func (t *TPM) loadEndorsement(e endorsement) (*loaded, error) {
	read, err := tpm2.ReadPublic{ObjectHandle: e.handle}.Execute(t.tpm)
	if err == nil {
		public, err := read.OutPublic.Contents()
		return &loaded{handle: e.handle, name: read.Name, public: public}, err
	}
	if !errors.Is(err, tpm2.TPMRCHandle) {
		return nil, err
	}
	created, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(e.template),
	}.Execute(t.tpm)
	if err != nil {
		return nil, err
	}
	public, err := created.OutPublic.Contents()
	if err != nil {
		return nil, errors.Join(err, t.flush(created.ObjectHandle))
	}
	return &loaded{handle: created.ObjectHandle, name: created.Name, public: public, transient: true}, nil
}

// certificate reads a DER certificate from NV; nil if there is none.
func (t *TPM) certificate(index tpm2.TPMHandle) ([]byte, error) {
	area, err := tpm2.NVReadPublic{NVIndex: index}.Execute(t.tpm)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	public, err := area.NVPublic.Contents()
	if err != nil {
		return nil, err
	}
	if public.DataSize > maxCertificate {
		return nil, fmt.Errorf("NV %#x: %d bytes, want at most %d", uint32(index), public.DataSize, maxCertificate)
	}
	var all bytes.Buffer
	for all.Len() < int(public.DataSize) {
		size := min(perNVRead, int(public.DataSize)-all.Len())
		part, err := tpm2.NVRead{
			AuthHandle: tpm2.AuthHandle{Handle: index, Name: area.NVName, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: index, Name: area.NVName},
			Size:       uint16(size),
			Offset:     uint16(all.Len()),
		}.Execute(t.tpm)
		if err != nil {
			return nil, err
		}
		if len(part.Data.Buffer) != size {
			return nil, fmt.Errorf("NV %#x: read %d bytes, want %d", uint32(index), len(part.Data.Buffer), size)
		}
		all.Write(part.Data.Buffer)
	}
	return trim(index, all.Bytes())
}

// trim cuts what lies behind the certificate: an NV area may be larger.
func trim(index tpm2.TPMHandle, b []byte) ([]byte, error) {
	var raw asn1.RawValue
	if _, err := asn1.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("NV %#x: %w", uint32(index), err)
	}
	return raw.FullBytes, nil
}
