package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
)

func signPrepareCommand() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:   "prepare FILE --out TBS",
		Short: "Write the bytes that are to be signed in another place",
		Long: `Writes the bytes over which the signature of a PE image or EIF is made, and says
with which hash. Sign them where the key is: a PE image by RSA (PKCS #1 v1.5)
with SHA-256; an EIF by ECDSA, DER as OpenSSL gives it. The curve of an EIF's key
is signed too: it is P-384 unless --cert says otherwise.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.prepare(c.OutOrStdout(), args[0]) },
	}
	c.Flags().StringVar(&f.cert, "cert", "", "certificate of the key (PEM), if there is one already")
	f.addOut(c, "the bytes to be signed")
	return c
}

func (f *signFlags) prepare(stdout io.Writer, file string) error {
	if err := missing([2]string{"out", f.out}); err != nil {
		return err
	}
	if err := f.checkOutputs(file); err != nil {
		return err
	}
	s, b, err := readSignable(file)
	if err != nil {
		return err
	}
	var cert *certificate
	if f.cert != "" {
		if cert, err = readSignerCertificate(f.cert); err != nil {
			return err
		}
	}
	tbs, hash, err := s.prepare(b, cert)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", file, err), "")
	}
	if err := output.File(f.out, writeBytes(tbs)); err != nil {
		return err
	}
	name := strings.ToLower(strings.ReplaceAll(hash.String(), "-", ""))
	return printSigned(stdout, f.json, jsonSigned{Kind: s.kind(), Out: f.out, SHA256: sha256Hex(tbs), Hash: name})
}

func signAttachCommand() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:   "attach FILE --signature SIG --cert CERT --out FILE",
		Short: "Put a signature from another place into a file",
		Long: `Puts a signature over what safebox sign prepare wrote into the PE image or EIF,
as safebox sign would have with the key. A signature that is not the
certificate's over this very file is refused.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.attach(c.OutOrStdout(), c.ErrOrStderr(), args[0])
		},
	}
	c.Flags().StringVar(&f.signature, "signature", "", "signature: of a PE image the bytes that RSA gives, of an EIF in DER")
	c.Flags().StringVar(&f.cert, "cert", "", "certificate of the key (PEM)")
	f.addOut(c, "the signed file")
	f.addDisk(c)
	return c
}

func (f *signFlags) attach(stdout, stderr io.Writer, file string) error {
	err := missing([2]string{"signature", f.signature}, [2]string{"cert", f.cert}, [2]string{"out", f.out})
	if err != nil {
		return err
	}
	if err := f.checkOutputs(file); err != nil {
		return err
	}
	s, b, err := readSignable(file)
	if err != nil {
		return err
	}
	signature, err := cli.ReadInput(f.signature, maxSignFile)
	if err != nil {
		return err
	}
	cert, err := readSignerCertificate(f.cert)
	if err != nil {
		return err
	}
	// A file or a certificate that no signature fits is wrong usage.
	if _, _, err := s.prepare(b, cert); err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", file, err), "")
	}
	signed, err := s.attach(b, signature, cert)
	if err != nil {
		return cli.Failed(fmt.Errorf("%s: %w", file, err), "the signature must be over what safebox sign prepare writes for this file")
	}
	return f.write(stdout, stderr, s, signed, cert)
}

func signDetachCommand() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:   "detach FILE --out FILE",
		Short: "Take the signature off a PE image or EIF",
		Long: `Writes the file as it was before safebox sign signed it, byte for byte, so that
it compares with an unsigned build. --signature keeps what is taken away: of a
PE image the attribute certificate table, of an EIF the content of the signature
section. The signature is not checked.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return f.detach(c.OutOrStdout(), args[0]) },
	}
	c.Flags().StringVar(&f.signature, "signature", "", "file for what is taken away")
	f.addOut(c, "the unsigned file")
	return c
}

func (f *signFlags) detach(stdout io.Writer, file string) error {
	if err := missing([2]string{"out", f.out}); err != nil {
		return err
	}
	if err := checkOutputs([]string{f.out, f.signature}, file); err != nil {
		return err
	}
	s, b, err := readSignable(file)
	if err != nil {
		return err
	}
	unsigned, signature, err := s.detach(b)
	if err != nil {
		return cli.Failed(fmt.Errorf("%s: %w", file, err), "")
	}
	if f.signature != "" {
		if err := output.File(f.signature, writeBytes(signature)); err != nil {
			return err
		}
	}
	if err := output.File(f.out, writeBytes(unsigned)); err != nil {
		return err
	}
	return printSigned(stdout, f.json, jsonSigned{Kind: s.kind(), Out: f.out, SHA256: sha256Hex(unsigned), Signature: f.signature})
}
