package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/verifier"
	"safebox/verifier/challenge"
	"safebox/verifier/keyfile"
	"safebox/verifier/release"
)

// maxCertificate bounds a PEM file with a root certificate, in bytes.
const maxCertificate = 64 << 10

// challengeFlags are the flags of `challenge`.
type challengeFlags struct {
	audience, release, enroll, root, out string
	life                                 time.Duration
	json                                 bool
}

func challengeCommand() *cobra.Command {
	var f challengeFlags
	c := &cobra.Command{
		Use:   "challenge --audience KEY.pub --release release.json --out FILE",
		Short: "Ask a machine what it is",
		Long: `Makes a challenge: a fresh nonce, for whom the answer is (the public half of
the audience key), which release should run, and until when an answer counts.

With --enroll the machine's TPM must also prove that the attestation key lives
in it: the certificate of its endorsement key is checked up to the certificate
in --tpm-root, and a secret is encrypted that only this TPM can read, and only
while it holds that key.

FILE goes to the machine. FILE.secret (mode 0600) never leaves you: safebox
verify reads it beside FILE.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	c.Flags().StringVar(&f.audience, "audience", "", "public key of the owner, KEY.pub of safebox key audience")
	c.Flags().StringVar(&f.release, "release", "", "release.json of the release that should run")
	c.Flags().StringVar(&f.enroll, "enroll", "", "enrolment file of the machine's TPM, by safebox-host enroll")
	c.Flags().StringVar(&f.root, "tpm-root", "", "root certificate that the TPM's must lead to, PEM")
	c.Flags().DurationVar(&f.life, "expires", time.Minute, "how long an answer counts, whole seconds")
	c.Flags().StringVar(&f.out, "out", "", "challenge file; FILE.secret gets what you keep")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// jsonChallenge is the result of `challenge --json`.
type jsonChallenge struct {
	Challenge string `json:"challenge"` // SHA-256 of the file
	Nonce     string `json:"nonce"`
	Release   string `json:"release"`
	Expires   string `json:"expires"` // RFC 3339
	Enroll    bool   `json:"enroll"`
	Secret    string `json:"secret"` // path
}

func (f *challengeFlags) run(stdout io.Writer) error {
	if f.out == "" {
		return cli.Usage(errors.New("no --out"), "name the file for the challenge")
	}
	for _, path := range []string{f.out, f.out + secretSuffix} {
		if err := cli.CheckNotInput(path, f.audience, f.release, f.enroll, f.root); err != nil {
			return err
		}
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	file, secret, err := verifier.NewChallenge(rand.Reader, o)
	if err != nil {
		return cli.Failed(err, "was the enrolment file made by this machine, and is --tpm-root the root of its TPM?")
	}
	if err := output.SecretFile(f.out+secretSuffix, writeBytes(secret)); err != nil {
		return err
	}
	if err := output.File(f.out, writeBytes(file)); err != nil {
		return err
	}
	return f.print(stdout, file)
}

// options reads what the challenge is made from.
func (f *challengeFlags) options() (verifier.ChallengeOptions, error) {
	var o verifier.ChallengeOptions
	if f.life < time.Second || f.life%time.Second != 0 {
		return o, cli.Usage(fmt.Errorf("--expires: got %v, want whole seconds, at least one", f.life), "for example --expires 10m")
	}
	if (f.enroll == "") != (f.root == "") {
		return o, cli.Usage(errors.New("--enroll and --tpm-root: want both or neither"), "")
	}
	key, err := readDecoded("--audience", f.audience, keyfile.MaxSize, keyfile.DecodeAudiencePublic)
	if err != nil {
		return o, err
	}
	file, err := readRelease(f.release)
	if err != nil {
		return o, err
	}
	o = verifier.ChallengeOptions{Audience: audienceOctets(key), Release: release.Digest(file), Issued: time.Now().UTC(), Life: f.life}
	if f.enroll == "" {
		return o, nil
	}
	if o.Enrollment, err = cli.ReadInput(f.enroll, challenge.MaxEnrollment); err != nil {
		return o, err
	}
	o.Root, err = readCertificate(f.root)
	return o, err
}

func audienceOctets(key ed25519.PublicKey) [32]byte {
	var out [32]byte
	copy(out[:], key)
	return out
}

func (f *challengeFlags) print(stdout io.Writer, file []byte) error {
	c, err := challenge.Decode(file)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(file)
	r := jsonChallenge{
		Challenge: hex.EncodeToString(sum[:]), Nonce: c.Nonce.String(), Release: c.Release.String(),
		Expires: time.Unix(c.Expires, 0).UTC().Format(time.RFC3339), Enroll: c.Enroll != nil, Secret: f.out + secretSuffix,
	}
	if f.json {
		return cli.WriteJSON(stdout, r)
	}
	_, err = fmt.Fprintf(stdout, "challenge %s\nnonce %s\nrelease %s\nexpires %s\nsecret %s\n", r.Challenge, r.Nonce, r.Release, r.Expires, r.Secret)
	return err
}

// readRelease reads a release.json and checks that it is one.
func readRelease(path string) ([]byte, error) {
	b, err := readNamed("--release", path, release.MaxSize)
	if err != nil {
		return nil, err
	}
	if _, err := release.Decode(b); err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", path, err), "safebox build writes release.json")
	}
	return b, nil
}

// readCertificate reads a PEM file with one certificate and nothing else.
func readCertificate(path string) (*x509.Certificate, error) {
	b, err := cli.ReadInput(path, maxCertificate)
	if err != nil {
		return nil, err
	}
	const hint = "give one certificate in PEM form; safebox-host launch says where the one of a software TPM is"
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, cli.Usage(fmt.Errorf("%s: want one PEM block CERTIFICATE", path), hint)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", path, err), hint)
	}
	return c, nil
}
