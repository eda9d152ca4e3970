package idblock

import (
	"crypto/ecdsa"
	"encoding/base64"

	"safebox/measure/snp"
)

// Keys sign a launch. All signatures are deterministic (RFC 6979): the same
// launch and keys give the same bytes.
type Keys struct {
	ID     *ecdsa.PrivateKey // curve P-384
	Author *ecdsa.PrivateKey // nil: none
}

// Owner is what a guest's owner says of it besides its launch digest and
// policy: names and a security version of the owner's own choice.
type Owner struct {
	FamilyID, ImageID [16]byte
	GuestSVN          uint32
}

// Block is the ID block of a launch.
func (o Owner) Block(digest snp.Digest, policy Policy) Block {
	return Block{LaunchDigest: digest, FamilyID: o.FamilyID, ImageID: o.ImageID, GuestSVN: o.GuestSVN, Policy: policy}
}

// Set is a signed ID block in all forms that a launch takes.
type Set struct {
	Block Block
	Auth  *Auth

	BlockBytes []byte // 96 bytes
	AuthBytes  []byte // 4096 bytes
}

// Make signs a block and checks what it made as a reader would.
func Make(b Block, k Keys) (*Set, error) {
	auth, err := Sign(b, k.ID, k.Author)
	if err != nil {
		return nil, err
	}
	encoded, err := b.Encode()
	if err != nil {
		return nil, err
	}
	s := &Set{BlockBytes: encoded, AuthBytes: auth.Encode()}
	if s.Block, s.Auth, err = Open(s.BlockBytes, s.AuthBytes); err != nil {
		return nil, err
	}
	return s, nil
}

// AuthorKeyEnabled is AUTHOR_KEY_EN of SNP_LAUNCH_FINISH, and
// author-key-enabled of QEMU.
func (s *Set) AuthorKeyEnabled() bool { return s.Auth.Author != nil }

// BlockBase64 is the form of QEMU's id-block.
func (s *Set) BlockBase64() string { return base64.StdEncoding.EncodeToString(s.BlockBytes) }

// AuthBase64 is the form of QEMU's id-auth.
func (s *Set) AuthBase64() string { return base64.StdEncoding.EncodeToString(s.AuthBytes) }
