package grant

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"safebox/verifier/dsse"
	"safebox/verifier/keyfile"
	"safebox/verifier/object"
	"safebox/verifier/transcript"
)

// The first part of each HPKE info string (specs/protocol.md, section 5).
const (
	grantInfo  = "safebox/grant/v1\x00"
	outputInfo = "safebox/output/v1\x00"
)

// Seal signs the document and seals the nodes to the guest's key. kem is as
// in the transcript: u16be KEM identifier, then the public key. t is the
// transcript's T, whose digest the document must already name. The nodes must
// cover the document's ranges and nothing else.
func Seal(doc *Document, owner ed25519.PrivateKey, kem []byte, t [64]byte, nodes []object.Node) ([]byte, error) {
	if len(owner) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("sealing grant: audience key: got %d bytes, want %d", len(owner), ed25519.PrivateKeySize)
	}
	b, err := doc.encode()
	if err != nil {
		return nil, fmt.Errorf("sealing grant: %w", err)
	}
	if want := sha256.Sum256(t[:]); doc.Transcript != want {
		return nil, fmt.Errorf("sealing grant: transcript: got %s, want %x", doc.Transcript, want)
	}
	plain := object.EncodeNodes(nodes)
	defer clear(plain)
	if _, err := object.DecodeNodes(plain, doc.Ranges); err != nil {
		return nil, fmt.Errorf("sealing grant: nodes: %w", err)
	}
	sealed, err := sealNodes(kem, t, sha256.Sum256(b), plain)
	if err != nil {
		return nil, fmt.Errorf("sealing grant: %w", err)
	}
	f := &file{Type: FileType, Envelope: dsse.Sign(dsse.TypeGrant, b, owner), Sealed: sealed}
	out, err := f.encode()
	if err != nil {
		return nil, fmt.Errorf("sealing grant: %w", err)
	}
	return out, nil
}

// sealNodes encrypts the encoded nodes to the guest for one document.
func sealNodes(kem []byte, t [64]byte, document [32]byte, plain []byte) ([]byte, error) {
	key, err := guestKey(kem)
	if err != nil {
		return nil, err
	}
	return hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), nodesInfo(t, document), plain)
}

// guestKey reads the KEM key of a transcript.
func guestKey(kem []byte) (hpke.PublicKey, error) {
	if want := 2 + transcript.KEMPublicSize; len(kem) != want {
		return nil, fmt.Errorf("KEM key: got %d bytes, want %d", len(kem), want)
	}
	if id := binary.BigEndian.Uint16(kem); id != transcript.KEMID {
		return nil, fmt.Errorf("KEM key: identifier: got %#04x, want %#04x", id, transcript.KEMID)
	}
	key, err := hpke.MLKEM768X25519().NewPublicKey(kem[2:])
	if err != nil {
		return nil, fmt.Errorf("KEM key: %w", err)
	}
	return key, nil
}

// nodesInfo is "safebox/grant/v1\0" || SHA-256(T) || SHA-256(grant document).
func nodesInfo(t [64]byte, document [32]byte) []byte {
	binding := sha256.Sum256(t[:])
	info := append([]byte(grantInfo), binding[:]...)
	return append(info, document[:]...)
}

// SealOutput encrypts the plaintext of one output slot to one recipient, for
// the grant whose document has that SHA-256.
func SealOutput(recipient []byte, grant [32]byte, slot uint32, plain []byte) ([]byte, error) {
	if err := keyfile.CheckRecipient(recipient); err != nil {
		return nil, fmt.Errorf("sealing output %d: %w", slot, err)
	}
	key, err := hpke.MLKEM768X25519().NewPublicKey(recipient)
	if err != nil {
		return nil, fmt.Errorf("sealing output %d: recipient key: %w", slot, err)
	}
	sealed, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), slotInfo(grant, slot), plain)
	if err != nil {
		return nil, fmt.Errorf("sealing output %d: %w", slot, err)
	}
	return sealed, nil
}

// OpenOutput is the inverse of SealOutput, for the recipient.
func OpenOutput(key hpke.PrivateKey, grant [32]byte, slot uint32, sealed []byte) ([]byte, error) {
	if err := checkPrivate(key); err != nil {
		return nil, fmt.Errorf("opening output %d: %w", slot, err)
	}
	plain, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), slotInfo(grant, slot), sealed)
	if err != nil {
		return nil, fmt.Errorf("opening output %d: sealed to another key, or for another grant or slot, or changed: %w", slot, err)
	}
	return plain, nil
}

// slotInfo is "safebox/output/v1\0" || SHA-256(grant document) || u32be slot.
func slotInfo(grant [32]byte, slot uint32) []byte {
	info := append([]byte(outputInfo), grant[:]...)
	return binary.BigEndian.AppendUint32(info, slot)
}

// checkPrivate wants a key of the one KEM in use.
func checkPrivate(key hpke.PrivateKey) error {
	if key == nil {
		return errors.New("private key: got none")
	}
	if id := key.KEM().ID(); id != transcript.KEMID {
		return fmt.Errorf("private key: KEM: got %#04x, want %#04x", id, transcript.KEMID)
	}
	return nil
}
