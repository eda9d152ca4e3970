package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
	"safebox/verifier/accept"
	"safebox/verifier/release"
)

// The files of one machine in the folder that `sign id-blocks` writes.
const (
	blockSuffix = ".id-block" // 96 bytes
	authSuffix  = ".id-auth"  // 4096 bytes
)

// idBlockFlags are the flags of `sign id-blocks`.
type idBlockFlags struct {
	release, idKey, authorKey string
	familyID, imageID, policy string
	guestSVN                  uint32
	out                       string
	json                      bool
}

func signIDBlocksCommand() *cobra.Command {
	var f idBlockFlags
	c := &cobra.Command{
		Use:   "id-blocks --release release.json --id-key KEY --out DIR",
		Short: "Sign an ID block for every SEV-SNP machine of a release",
		Long: `Writes for each machine that release.json lists under its launch of platform snp
an ID block and an ID authentication page, such as EPYC-Milan-4.id-block (96
bytes) and EPYC-Milan-4.id-auth (4096 bytes): safebox-host launch takes them with
--id-block and --id-auth. The secure processor starts no other guest with them.
For another machine see safebox measure snp --id-key.

The signatures are deterministic (RFC 6979) and stay outside the release, so that
an auditor without the key rebuilds it byte for byte.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	c.Flags().StringVar(&f.release, "release", "", "release.json of a release with platform snp")
	c.Flags().StringVar(&f.idKey, "id-key", "", "private key (PEM, P-384) that signs the ID blocks")
	c.Flags().StringVar(&f.authorKey, "author-key", "", "private key (PEM, P-384) that vouches for the ID key")
	c.Flags().StringVar(&f.familyID, "family-id", "", "16 bytes in hex (default zero)")
	c.Flags().StringVar(&f.imageID, "image-id", "", "16 bytes in hex (default zero)")
	c.Flags().Uint32Var(&f.guestSVN, "guest-svn", 0, "security version of the guest")
	c.Flags().StringVar(&f.policy, "policy", "0x30000", "guest policy")
	c.Flags().StringVar(&f.out, "out", "", "folder to write")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func (f *idBlockFlags) run(stdout io.Writer) error {
	if err := missing([2]string{"release", f.release}, [2]string{"id-key", f.idKey}, [2]string{"out", f.out}); err != nil {
		return err
	}
	launch, err := f.launch()
	if err != nil {
		return err
	}
	owner, policy, err := f.owner()
	if err != nil {
		return err
	}
	keys, err := f.keys()
	if err != nil {
		return err
	}
	files, err := idBlockFiles(launch, owner, policy, keys)
	if err != nil {
		return err
	}
	folder, err := output.NewFolder(f.out, files[0].Name)
	if err != nil {
		return cli.Failed(err, "choose another folder")
	}
	for _, file := range files {
		if err := folder.Write(file.Name, writeBytes(file.content)); err != nil {
			return errors.Join(err, folder.Discard())
		}
	}
	if err := folder.Commit(); err != nil {
		return err
	}
	return printFiles(stdout, f.json, f.out, files)
}

// launch gives the release's launch of platform snp, whose digests follow from
// the rest of it.
func (f *idBlockFlags) launch() (release.Launch, error) {
	b, err := readRelease(f.release)
	if err != nil {
		return release.Launch{}, err
	}
	r, err := release.Decode(b)
	if err != nil {
		return release.Launch{}, err
	}
	for _, l := range r.Launches {
		if l.Platform != release.PlatformSNP {
			continue
		}
		if err := accept.Check(l); err != nil {
			return l, fmt.Errorf("%s: %w", f.release, err)
		}
		return l, nil
	}
	return release.Launch{}, cli.Usage(fmt.Errorf("%s: no launch of platform snp", f.release), "safebox build --platform vtpm,snp makes one")
}

// owner is what the ID blocks say besides digest and policy.
func (f *idBlockFlags) owner() (o idblock.Owner, p idblock.Policy, err error) {
	o.GuestSVN = f.guestSVN
	for _, id := range []struct {
		flag, text string
		to         *[16]byte
	}{{"--family-id", f.familyID, &o.FamilyID}, {"--image-id", f.imageID, &o.ImageID}} {
		if id.text == "" {
			continue
		}
		raw, err := hex.DecodeString(id.text)
		if err != nil || len(raw) != len(id.to) {
			return o, p, cli.Usage(fmt.Errorf("%s: got %q, want %d bytes in hex", id.flag, id.text, len(id.to)), "")
		}
		copy(id.to[:], raw)
	}
	n, err := strconv.ParseUint(f.policy, 0, 64)
	if err != nil {
		return o, p, cli.Usage(fmt.Errorf("--policy: got %q, want a number such as 0x30000", f.policy), "")
	}
	p = idblock.Policy(n)
	if err := p.Check(); err != nil {
		return o, p, cli.Usage(fmt.Errorf("--policy: %w", err), "")
	}
	return o, p, nil
}

func (f *idBlockFlags) keys() (k idblock.Keys, err error) {
	for _, key := range []struct {
		path string
		read func([]byte) error
	}{
		{f.idKey, func(text []byte) (err error) { k.ID, err = idblock.ParsePrivateKey(text); return err }},
		{f.authorKey, func(text []byte) (err error) { k.Author, err = idblock.ParsePrivateKey(text); return err }},
	} {
		if key.path == "" {
			continue
		}
		text, err := cli.ReadInput(key.path, idblock.MaxPEMSize)
		if err != nil {
			return k, err
		}
		if err := key.read(text); err != nil {
			return k, cli.Usage(fmt.Errorf("%s: %w", key.path, err), "openssl ecparam -name secp384r1 -genkey -noout makes one")
		}
	}
	return k, nil
}

// idBlockFiles signs for every machine that the launch lists.
func idBlockFiles(l release.Launch, o idblock.Owner, p idblock.Policy, k idblock.Keys) ([]signedFile, error) {
	var files []signedFile
	for _, m := range l.SNP.Shapes {
		raw, err := hex.DecodeString(m.LaunchDigest)
		if err != nil || len(raw) != len(snp.Digest{}) {
			return nil, fmt.Errorf("launch digest of %s: got %q", m.Name, m.LaunchDigest)
		}
		set, err := idblock.Make(o.Block(snp.Digest(raw), p), k)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		name := strings.ReplaceAll(strings.TrimPrefix(m.Name, m.VMM+"/"), "/", "-")
		files = append(files, newSignedFile(name+blockSuffix, set.BlockBytes), newSignedFile(name+authSuffix, set.AuthBytes))
	}
	if len(files) == 0 {
		return nil, cli.Usage(errors.New("the launch of platform snp lists no machine"), "safebox measure snp --id-key signs for one")
	}
	slices.SortFunc(files, func(a, b signedFile) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}
