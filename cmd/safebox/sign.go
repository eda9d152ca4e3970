package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image"
	"safebox/image/inspect"
	"safebox/image/output"
)

// maxSignFile bounds keys, certificates and signatures.
const maxSignFile = 1 << 16

// signFlags are the flags of `sign` and of the commands below it; each has
// those that it needs.
type signFlags struct {
	key, cert, signature string // inputs
	out, disk            string
	json                 bool
}

func signCommand() *cobra.Command {
	var f signFlags
	c := &cobra.Command{
		Use:   "sign FILE --key KEY --cert CERT --out FILE",
		Short: "Sign a PE image for Secure Boot, or an EIF for Nitro",
		Long: `Signs a PE image such as safebox.efi for UEFI Secure Boot (RSA, 2048 to 4096
bits, SHA-256), or an EIF for Nitro (ECDSA; P-384 with SHA-384). What FILE is
follows from its content. Equal inputs give equal bytes: a signature holds no
time.

With the key in another place: safebox sign prepare FILE --out TBS, sign TBS
there, for example by "openssl dgst -sha256 -sign KEY -out SIG TBS", and bring
SIG back with safebox sign attach. Keys and certificates are PEM files.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.ExactArgs(1)(c, args)
			}
			return f.sign(c.OutOrStdout(), c.ErrOrStderr(), args[0])
		},
	}
	f.addKey(c)
	f.addOut(c, "the signed file")
	f.addDisk(c)
	c.AddCommand(signPrepareCommand(), signAttachCommand(), signDetachCommand(), signVariablesCommand(), signIDBlocksCommand())
	return c
}

func (f *signFlags) addKey(c *cobra.Command) {
	c.Flags().StringVar(&f.key, "key", "", "private key (PEM)")
	c.Flags().StringVar(&f.cert, "cert", "", "certificate of the key (PEM)")
}

func (f *signFlags) addOut(c *cobra.Command, what string) {
	c.Flags().StringVar(&f.out, "out", "", "file for "+what)
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
}

func (f *signFlags) addDisk(c *cobra.Command) {
	c.Flags().StringVar(&f.disk, "disk", "", "of a UKI: also write the disk that boots it, as safebox build writes safebox.raw")
}

// missing names the first flag of a command that was not given.
func missing(flags ...[2]string) error {
	for _, f := range flags {
		if f[1] == "" {
			return cli.Usage(fmt.Errorf("--%s is missing", f[0]), "")
		}
	}
	return nil
}

func (f *signFlags) sign(stdout, stderr io.Writer, file string) error {
	if err := missing([2]string{"key", f.key}, [2]string{"cert", f.cert}, [2]string{"out", f.out}); err != nil {
		return err
	}
	if err := f.checkOutputs(file); err != nil {
		return err
	}
	s, b, err := readSignable(file)
	if err != nil {
		return err
	}
	key, err := readKey(f.key)
	if err != nil {
		return err
	}
	cert, err := readSignerCertificate(f.cert)
	if err != nil {
		return err
	}
	signed, err := s.sign(b, key, cert)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", file, err), "")
	}
	return f.write(stdout, stderr, s, signed, cert)
}

// write puts the signed file in place, and the disk if one is wanted.
func (f *signFlags) write(stdout, stderr io.Writer, s signable, signed []byte, cert *certificate) error {
	if f.disk != "" {
		if s.kind() != kindPE {
			return cli.Usage(fmt.Errorf("--disk: got an %s, want a UKI", s.kind()), "")
		}
		raw, err := image.Disk(signed)
		if err != nil {
			return err
		}
		if err := output.File(f.disk, writeBytes(raw)); err != nil {
			return err
		}
	}
	if err := output.File(f.out, writeBytes(signed)); err != nil {
		return err
	}
	if at := s.expired(cert); at != "" {
		cli.Say(stderr, "hint: the certificate is not valid now: %s", at)
	}
	return printSigned(stdout, f.json, jsonSigned{
		Kind: s.kind(), Out: f.out, SHA256: sha256Hex(signed), Certificate: sha256Hex(cert.parsed.Raw), Disk: f.disk,
	})
}

// checkOutputs refuses to write over an input or to write a file twice.
func (f *signFlags) checkOutputs(file string) error {
	return checkOutputs([]string{f.out, f.disk}, file, f.key, f.cert, f.signature)
}

// readSignable reads a file and finds out what it is.
func readSignable(path string) (signable, []byte, error) {
	b, err := cli.ReadInput(path, inspect.MaxSize)
	if err != nil {
		return nil, nil, err
	}
	switch kind := inspect.Kind(b); kind {
	case "UKI", "PE image":
		return peImage{}, b, nil
	case "EIF":
		return enclaveImage{}, b, nil
	default:
		return nil, nil, cli.Usage(fmt.Errorf("%s: kind of file: got %q, want a PE image or an EIF", path, kind), "a disk is signed by signing the UKI: see --disk")
	}
}

// jsonSigned is the result of the commands below `sign` but variables.
type jsonSigned struct {
	Kind        string `json:"kind"` // pe or eif
	Out         string `json:"out"`
	SHA256      string `json:"sha256"`                // of the file out
	Certificate string `json:"certificate,omitempty"` // its SHA-256, of the DER
	Hash        string `json:"hash,omitempty"`        // with which what is prepared is to be signed
	Disk        string `json:"disk,omitempty"`
	Signature   string `json:"signature,omitempty"` // file with what was detached
}

func printSigned(stdout io.Writer, asJSON bool, r jsonSigned) error {
	if asJSON {
		return cli.WriteJSON(stdout, r)
	}
	for _, line := range [][2]string{
		{"kind", r.Kind},
		{"out", r.Out},
		{"sha256", r.SHA256},
		{"certificate", r.Certificate},
		{"hash", r.Hash},
		{"disk", r.Disk},
		{"signature", r.Signature},
	} {
		if line[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(stdout, "%s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}
