package igvm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
)

// Sizes of SNP_ID_BLOCK (igvm_defs, IGVM_VHS_SNP_ID_BLOCK and the two
// structures inside).
const (
	idNumber        = 72
	idSignatureSize = 2 * idNumber
	idKeySize       = 8 + 2*idNumber
	idBlockSize     = 0x68 + 2*idSignatureSize + 2*idKeySize
)

// Fields of SNP_ID_BLOCK:
//
//	0x000  u32       compatibility_mask
//	0x004  u8        author_key_enabled, 0 or 1
//	0x005  3 bytes   reserved
//	0x008  48 bytes  ld
//	0x038  16 bytes  family_id
//	0x048  16 bytes  image_id
//	0x058  u32       version, 1
//	0x05c  u32       guest_svn
//	0x060  u32       id_key_algorithm, 1 = ECDSA P-384 with SHA-384
//	0x064  u32       author_key_algorithm
//	0x068  144       id_key_signature: r, s, little endian
//	0x0f8  152       id_public_key: u32 curve, u32 reserved, qx, qy
//	0x190  144       author_key_signature
//	0x220  152       author_public_key
const (
	idAuthorEnabled = 0x004
	idReserved      = 0x005
	idLD            = 0x008
	idFamily        = 0x038
	idImage         = 0x048
	idVersion       = 0x058
	idSVN           = 0x05c
	idAlgorithm     = 0x060
	idAuthorAlgo    = 0x064
	idSignature     = 0x068
	idKey           = idSignature + idSignatureSize
	idAuthorSig     = idKey + idKeySize
	idAuthorKey     = idAuthorSig + idSignatureSize
)

// SNPIDBlock is the ID block of an SEV-SNP guest with its authentication. The
// policy that it signs is that of GuestPolicy.
type SNPIDBlock struct {
	Mask         uint32
	LaunchDigest snp.Digest
	FamilyID     [16]byte
	ImageID      [16]byte
	GuestSVN     uint32
	Auth         idblock.Auth // its signatures are not verified by Decode
}

// Block is the block that the ID key signs, with a policy.
func (i SNPIDBlock) Block(policy uint64) idblock.Block {
	return idblock.Block{
		LaunchDigest: i.LaunchDigest, FamilyID: i.FamilyID, ImageID: i.ImageID,
		GuestSVN: i.GuestSVN, Policy: idblock.Policy(policy),
	}
}

// The page that SNP_LAUNCH_FINISH takes (AMD 56860, 8.18) has the same numbers
// at other places, with more zeros behind: it is the form in which package
// idblock reads and writes.
const (
	pageAuthorAlgo = 0x004
	pageSignature  = 0x040
	pageKey        = 0x240
	pageAuthorSig  = 0x680
	pageAuthorKey  = 0x880
)

// idPlaces pairs places of numbers in the page with those in SNP_ID_BLOCK.
func idPlaces() [][3]int {
	return [][3]int{
		{0, idAlgorithm, 4},
		{pageAuthorAlgo, idAuthorAlgo, 4},
		{pageSignature, idSignature, idSignatureSize},
		{pageKey, idKey, 4},
		{pageKey + 4, idKey + 8, 2 * idNumber},
		{pageAuthorSig, idAuthorSig, idSignatureSize},
		{pageAuthorKey, idAuthorKey, 4},
		{pageAuthorKey + 4, idAuthorKey + 8, 2 * idNumber},
	}
}

func (r *reader) idBlock(b []byte) (Body, error) {
	mask, err := r.mask(b)
	if err != nil {
		return nil, err
	}
	for _, at := range [][2]int{{idReserved, idLD}, {idKey + 4, idKey + 8}, {idAuthorKey + 4, idAuthorKey + 8}} {
		if err := zero(b[at[0]:at[1]]); err != nil {
			return nil, fmt.Errorf("at %#x: %w", at[0], err)
		}
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[idVersion:]); v != 1 {
		return nil, fmt.Errorf("version: got %d, want 1", v)
	}
	page := make([]byte, idblock.AuthSize)
	for _, p := range idPlaces() {
		copy(page[p[0]:p[0]+p[2]], b[p[1]:])
	}
	auth, err := idblock.DecodeAuth(page)
	if err != nil {
		return nil, err
	}
	if enabled := b[idAuthorEnabled]; enabled > 1 || (enabled == 1) != (auth.Author != nil) {
		return nil, fmt.Errorf("author key enabled: got %d, want 1 with an author key and 0 without", enabled)
	}
	return SNPIDBlock{
		Mask: mask, LaunchDigest: snp.Digest(b[idLD:]), FamilyID: [16]byte(b[idFamily:]),
		ImageID: [16]byte(b[idImage:]), GuestSVN: le.Uint32(b[idSVN:]), Auth: *auth,
	}, nil
}

// Append adds the body's bytes.
func (i SNPIDBlock) Append(b []byte) []byte {
	le := binary.LittleEndian
	body := make([]byte, idBlockSize)
	le.PutUint32(body, i.Mask)
	if i.Auth.Author != nil {
		body[idAuthorEnabled] = 1
	}
	copy(body[idLD:], i.LaunchDigest[:])
	copy(body[idFamily:], i.FamilyID[:])
	copy(body[idImage:], i.ImageID[:])
	le.PutUint32(body[idVersion:], 1)
	le.PutUint32(body[idSVN:], i.GuestSVN)
	page := i.Auth.Encode()
	for _, p := range idPlaces() {
		copy(body[p[1]:p[1]+p[2]], page[p[0]:])
	}
	return append(b, body...)
}

// OpenIDBlock gives the file's ID block once its signatures have been verified,
// with the policy of the same platform. That its digest is the file's own is
// for the caller to check.
func (f *File) OpenIDBlock() (block SNPIDBlock, policy uint64, err error) {
	var found *SNPIDBlock
	for _, s := range f.Structures {
		if b, ok := s.Body.(SNPIDBlock); ok {
			if found != nil {
				return block, 0, fmt.Errorf("ID block: got a second one at %#x", s.Offset)
			}
			found = &b
		}
	}
	if found == nil {
		return block, 0, errors.New("ID block: got none")
	}
	if policy, err = f.policy(found.Mask); err != nil {
		return block, 0, err
	}
	if err := found.Auth.Verify(found.Block(policy)); err != nil {
		return block, 0, err
	}
	return *found, policy, nil
}

// policy is the guest policy of a platform.
func (f *File) policy(mask uint32) (uint64, error) {
	for _, s := range f.Structures {
		if p, ok := s.Body.(GuestPolicy); ok && p.Mask&mask != 0 {
			return p.Policy, nil
		}
	}
	return 0, errors.New("guest policy: got none, want that which the ID block signs")
}
