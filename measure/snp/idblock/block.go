// Package idblock makes, reads and verifies the ID block of an SEV-SNP guest
// and its authentication: the guest owner's signature under a launch digest
// and a policy. The secure processor refuses a launch whose digest, policy or
// signatures differ, and puts the digests of the keys into the report.
//
// It implements AMD 56860 (SEV Secure Nested Paging Firmware ABI), section
// 4.3 (guest policy), section 8.18 (SNP_LAUNCH_FINISH: ID block and ID
// authentication information) and chapter 10 (signatures and public keys in
// the format of ECDSA P-384 with SHA-384). All numbers are little endian.
//
// HOST_DATA is in neither of the two: it is the host's, not the owner's.
package idblock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"safebox/measure/snp"
)

// BlockSize is the length of an ID block.
const BlockSize = 96

// blockVersion is the only version of the ID block.
const blockVersion = 1

// Block is the ID block (AMD 56860, 8.18, table "Structure of the ID Block"):
//
//	0x00  LD         48 bytes  the launch digest
//	0x30  FAMILY_ID  16 bytes  the owner's own
//	0x40  IMAGE_ID   16 bytes  the owner's own
//	0x50  VERSION    u32       1
//	0x54  GUEST_SVN  u32       the owner's own security version
//	0x58  POLICY     u64
type Block struct {
	LaunchDigest snp.Digest
	FamilyID     [16]byte
	ImageID      [16]byte
	GuestSVN     uint32
	Policy       Policy
}

// check refuses what no guest can be launched with.
func (b Block) check() error {
	if b.LaunchDigest == (snp.Digest{}) {
		return errors.New("launch digest at 0x0: got zeros, want the digest of a launch")
	}
	if err := b.Policy.Check(); err != nil {
		return fmt.Errorf("policy at 0x58: %w", err)
	}
	return nil
}

// Encode gives the bytes that the ID key signs.
func (b Block) Encode() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("writing ID block: %w", err)
	}
	le := binary.LittleEndian
	out := make([]byte, 0, BlockSize)
	out = append(out, b.LaunchDigest[:]...)
	out = append(out, b.FamilyID[:]...)
	out = append(out, b.ImageID[:]...)
	out = le.AppendUint32(out, blockVersion)
	out = le.AppendUint32(out, b.GuestSVN)
	return le.AppendUint64(out, uint64(b.Policy)), nil
}

// DecodeBlock parses an ID block, of whom nothing is known yet: Open verifies
// it too.
func DecodeBlock(b []byte) (Block, error) {
	if len(b) != BlockSize {
		return Block{}, fmt.Errorf("parsing ID block: length: got %d, want %d", len(b), BlockSize)
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[0x50:]); v != blockVersion {
		return Block{}, fmt.Errorf("parsing ID block: version at 0x50: got %d, want %d", v, blockVersion)
	}
	block := Block{
		LaunchDigest: snp.Digest(b[:0x30]),
		FamilyID:     [16]byte(b[0x30:]),
		ImageID:      [16]byte(b[0x40:]),
		GuestSVN:     le.Uint32(b[0x54:]),
		Policy:       Policy(le.Uint64(b[0x58:])),
	}
	if err := block.check(); err != nil {
		return Block{}, fmt.Errorf("parsing ID block: %w", err)
	}
	return block, nil
}

// checkZero wants the reserved bytes from start to end to be zero.
func checkZero(b []byte, start, end int) error {
	reserved := b[start:end]
	if i := len(reserved) - len(bytes.TrimLeft(reserved, "\x00")); i < len(reserved) {
		return fmt.Errorf("reserved bytes: got %#02x at %#x, want zeros from %#x to %#x", reserved[i], start+i, start, end)
	}
	return nil
}
