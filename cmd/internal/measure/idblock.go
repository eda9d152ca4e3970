package measure

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
)

// idFlags are the flags of `measure snp` about the ID block.
type idFlags struct {
	idKey, authorKey  string
	block, auth       string
	familyID, imageID string
	guestSVN          uint32
	policy            string
}

func (f *idFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.idKey, "id-key", "", "private key (PEM, P-384): sign an ID block for the digest")
	c.Flags().StringVar(&f.authorKey, "author-key", "", "private key (PEM, P-384) that vouches for the ID key")
	c.Flags().StringVar(&f.block, "id-block", "", "ID block (96 bytes): written with --id-key, else read and verified")
	c.Flags().StringVar(&f.auth, "id-auth", "", "ID authentication (4096 bytes): written with --id-key, else read and verified")
	c.Flags().StringVar(&f.familyID, "family-id", "", "with --id-key: 16 bytes in hex (default zero)")
	c.Flags().StringVar(&f.imageID, "image-id", "", "with --id-key: 16 bytes in hex (default zero)")
	c.Flags().Uint32Var(&f.guestSVN, "guest-svn", 0, "with --id-key: security version of the guest")
	c.Flags().StringVar(&f.policy, "policy", "0x30000", "with --id-key: guest policy")
}

// idResult is what is printed about an ID block.
type idResult struct {
	KeyDigest       string   `json:"id_key_digest"`
	AuthorKeyDigest string   `json:"author_key_digest,omitempty"`
	Policy          string   `json:"policy"`
	PolicyMeans     []string `json:"policy_means"`
	GuestSVN        uint32   `json:"guest_svn"`
	FamilyID        string   `json:"family_id"`
	ImageID         string   `json:"image_id"`
}

// run makes or verifies an ID block for a digest. The result is nil if none
// was asked for. No file of inputs is written over.
func (f *idFlags) run(digest snp.Digest, inputs ...string) (*idResult, error) {
	const hint = "--id-block FILE and --id-auth FILE go together; with --id-key they are written, else verified"
	if (f.block == "") != (f.auth == "") || f.idKey != "" && f.block == "" {
		return nil, cli.Usage(errors.New("want both --id-block and --id-auth"), hint)
	}
	if f.idKey == "" {
		if f.authorKey != "" || f.familyID != "" || f.imageID != "" || f.guestSVN != 0 {
			return nil, cli.Usage(errors.New("--author-key, --family-id, --image-id and --guest-svn want --id-key"), hint)
		}
		if f.block == "" {
			return nil, nil
		}
		return f.verify(digest)
	}
	if err := checkOutputs([]string{f.block, f.auth}, append(inputs, f.idKey, f.authorKey)...); err != nil {
		return nil, err
	}
	b, err := f.newBlock(digest)
	if err != nil {
		return nil, err
	}
	a, err := f.sign(b)
	if err != nil {
		return nil, err
	}
	encoded, err := b.Encode()
	if err != nil {
		return nil, err
	}
	for path, content := range map[string][]byte{f.block: encoded, f.auth: a.Encode()} {
		err := output.File(path, func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return newIDResult(b, a), nil
}

func (f *idFlags) newBlock(digest snp.Digest) (b idblock.Block, err error) {
	b = idblock.Block{LaunchDigest: digest, GuestSVN: f.guestSVN}
	policy, err := parseNumber("--policy", f.policy, 64)
	if err != nil {
		return b, err
	}
	b.Policy = idblock.Policy(policy)
	if err := b.Policy.Check(); err != nil {
		return b, cli.Usage(fmt.Errorf("--policy: %w", err), "")
	}
	for _, id := range []struct {
		flag, text string
		to         *[16]byte
	}{{"--family-id", f.familyID, &b.FamilyID}, {"--image-id", f.imageID, &b.ImageID}} {
		if id.text == "" {
			continue
		}
		raw, err := parseHex(id.flag, id.text, 16)
		if err != nil {
			return b, err
		}
		copy(id.to[:], raw)
	}
	return b, nil
}

func (f *idFlags) sign(b idblock.Block) (*idblock.Auth, error) {
	id, err := readKey(f.idKey)
	if err != nil {
		return nil, err
	}
	var author *ecdsa.PrivateKey
	if f.authorKey != "" {
		if author, err = readKey(f.authorKey); err != nil {
			return nil, err
		}
	}
	return idblock.Sign(b, id, author)
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := cli.ReadInput(path, idblock.MaxPEMSize)
	if err != nil {
		return nil, err
	}
	key, err := idblock.ParsePrivateKey(text)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", path, err), "openssl ecparam -name secp384r1 -genkey -noout makes one")
	}
	return key, nil
}

// verify checks that the files are a signed ID block for this very digest.
func (f *idFlags) verify(digest snp.Digest) (*idResult, error) {
	block, err := cli.ReadInput(f.block, idblock.BlockSize)
	if err != nil {
		return nil, err
	}
	auth, err := cli.ReadInput(f.auth, idblock.AuthSize)
	if err != nil {
		return nil, err
	}
	b, a, err := idblock.Open(block, auth)
	if err != nil {
		return nil, cli.Failed(fmt.Errorf("%s and %s: %w", f.block, f.auth, err), "one of the files was changed, or they are not of one launch")
	}
	if b.LaunchDigest != digest {
		return nil, cli.Failed(fmt.Errorf("%s: launch digest: got %v, want %v", f.block, b.LaunchDigest, digest),
			"the secure processor refuses to launch this guest with that ID block; --explain searches for the launch that it was made for")
	}
	return newIDResult(b, a), nil
}

func newIDResult(b idblock.Block, a *idblock.Auth) *idResult {
	r := &idResult{
		KeyDigest: a.Key.Digest().String(), Policy: fmt.Sprintf("%#x", uint64(b.Policy)), PolicyMeans: strings.Split(strings.TrimSpace(b.Policy.Describe()), "\n"),
		GuestSVN: b.GuestSVN, FamilyID: fmt.Sprintf("%x", b.FamilyID), ImageID: fmt.Sprintf("%x", b.ImageID),
	}
	if a.Author != nil {
		r.AuthorKeyDigest = a.Author.Key.Digest().String()
	}
	return r
}

// text is a line a value; what the policy means stands below it.
func (r *idResult) text() string {
	s := fmt.Sprintf("id_key_digest %s\n", r.KeyDigest)
	if r.AuthorKeyDigest != "" {
		s += fmt.Sprintf("author_key_digest %s\n", r.AuthorKeyDigest)
	}
	return s + fmt.Sprintf("policy %s\n  %s\n", r.Policy, strings.Join(r.PolicyMeans, "\n  "))
}
