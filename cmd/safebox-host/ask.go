package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/host/instance"
	"safebox/host/relay"
	"safebox/host/vmm"
	"safebox/image/output"
	"safebox/verifier/challenge"
	"safebox/verifier/guestapi"
)

func enrollCommand() *cobra.Command {
	var out, kind string
	c := &cobra.Command{
		Use:   "enroll ID --out FILE",
		Short: "Write what an owner needs to enroll an instance's TPM",
		Long: `Write an enrollment file: the attestation key of the instance's TPM, one of its
endorsement keys, and the certificates that lead to the TPM's root. It goes to
the owner, who checks it: safebox challenge --enroll FILE --tpm-root PEM. The
file proves nothing by itself and holds no secret.`,
		Args: cli.ExactArgs(1),
	}
	c.Flags().StringVar(&out, "out", "", "file to write (required)")
	c.Flags().StringVar(&kind, "ek", challenge.RSA2048, "endorsement key: rsa2048 or ecc384")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case out == "":
			return cli.Usage(errors.New("--out is missing"), "")
		case kind != challenge.RSA2048 && kind != challenge.ECC384:
			return cli.Usage(fmt.Errorf("--ek %q, want %s or %s", kind, challenge.RSA2048, challenge.ECC384), "")
		}
		i, err := findReady(c, args[0])
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(c.Context())
		defer stop()
		return enroll(ctx, i, kind, out)
	}
	return c
}

// enroll asks the guest for its keys and adds what the host keeps: the
// certificates between the endorsement key's and the root's.
func enroll(ctx context.Context, i *instance.Info, kind, out string) error {
	id, err := relay.NewClient(i.URL).Identity(ctx)
	if err != nil {
		return advise(i, err)
	}
	e := challenge.Enrollment{Type: challenge.EnrollmentType, AK: id.AK, EK: kind}
	for _, k := range id.EKs {
		if k.Kind == kind {
			e.EKPublic, e.EKCertificate = k.Public, k.Certificate
		}
	}
	if e.EKCertificate == nil {
		return cli.Failed(fmt.Errorf("enrolling %s: the TPM has no endorsement key %s with a certificate", i.ID, kind), "--ek names another kind")
	}
	if e.Issuers, err = vmm.Issuers(i.TPMRoot); err != nil {
		return fmt.Errorf("enrolling %s: %w", i.ID, err)
	}
	b, err := e.Encode()
	if err != nil {
		return fmt.Errorf("enrolling %s: %w", i.ID, err)
	}
	return writeWhole(out, b)
}

func evidenceCommand() *cobra.Command {
	var out, in string
	c := &cobra.Command{
		Use:   "evidence ID --challenge FILE --out FILE",
		Short: "Answer an owner's challenge with an instance's evidence",
		Long: `Hand an owner's challenge to an instance and write its evidence, which goes back
to the owner: safebox verify decides about it. Evidence is made for one
challenge; an instance keeps at most 16 of them open, each for 10 minutes.`,
		Args: cli.ExactArgs(1),
	}
	c.Flags().StringVar(&in, "challenge", "", "challenge file of safebox challenge (required)")
	c.Flags().StringVar(&out, "out", "", "file to write (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case in == "":
			return cli.Usage(errors.New("--challenge is missing"), "an owner makes one: safebox challenge")
		case out == "":
			return cli.Usage(errors.New("--out is missing"), "")
		}
		question, err := readChallenge(in, out)
		if err != nil {
			return err
		}
		i, err := findReady(c, args[0])
		if err != nil {
			return err
		}
		ctx, stop := untilSignal(c.Context())
		defer stop()
		b, err := relay.NewClient(i.URL).Evidence(ctx, question)
		if err != nil {
			return advise(i, err)
		}
		return writeWhole(out, b)
	}
	return c
}

// readChallenge reads a challenge, which must not be where the answer goes.
// It is checked here for the operator's sake: the guest checks it again.
func readChallenge(path, out string) ([]byte, error) {
	b, err := readInput(path, challenge.MaxSize)
	if err != nil {
		return nil, err
	}
	if _, err := challenge.Decode(b); err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", path, err), "an owner makes one: safebox challenge")
	}
	same, err := sameFile(path, out)
	switch {
	case err != nil:
		return nil, cli.Usage(fmt.Errorf("looking at --out: %w", err), "")
	case same:
		return nil, cli.Usage(fmt.Errorf("--out names the challenge itself, %s", path), "inputs are never overwritten: name another file")
	}
	return b, nil
}

// sameFile tells whether both paths lead to one file; one that does not exist
// is no other.
func sameFile(a, b string) (bool, error) {
	ai, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	bi, err := os.Stat(b)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ai, bi), err
}

// findReady gives an instance that answers.
func findReady(c *cobra.Command, id string) (*instance.Info, error) {
	store, err := openStore(c)
	if err != nil {
		return nil, err
	}
	i, err := store.Find(id)
	if err != nil {
		return nil, err
	}
	if i.State != instance.Ready {
		return nil, cli.Failed(fmt.Errorf("instance %q does not answer: %s", id, i.State), "safebox-host ls shows which instances are ready")
	}
	return &i, nil
}

// advise adds what people can do about a guest's refusal.
func advise(i *instance.Info, err error) error {
	err = fmt.Errorf("instance %q: %w", i.ID, err)
	advice := fmt.Sprintf("safebox-host console %s shows what the guest said last", i.ID)
	var p *guestapi.Problem
	if errors.As(err, &p) {
		switch p.ID {
		case "challenge-full":
			advice = "an open challenge ends with its grant or after 10 minutes: try again then"
		case "challenge-enroll":
			advice = "the challenge was made for another TPM, or for an older one of this instance: enroll again"
		case "http-busy", "relay-busy":
			advice = "it is busy: try again in a moment"
		}
	}
	return cli.Failed(err, advice)
}

// readInput reads a file of at most limit bytes.
func readInput(path string, limit int64) ([]byte, error) {
	b, err := readFile(path, limit)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	if int64(len(b)) > limit {
		return nil, cli.Usage(fmt.Errorf("reading %s: more than %d bytes", path, limit), "")
	}
	return b, nil
}

// writeWhole writes a result, whole or not at all.
func writeWhole(path string, b []byte) error {
	return output.File(filepath.Clean(path), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
