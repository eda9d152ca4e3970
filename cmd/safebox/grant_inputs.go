package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/verifier"
	"safebox/verifier/bundle"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
)

// secretSuffix is added to the name of a challenge file for what the owner
// keeps of it.
const secretSuffix = ".secret"

// evidenceFlags name what a verdict rests on, for the commands that rely on
// one.
type evidenceFlags struct {
	evidence, bundle, policy, challenge, pin string
	vendor                                   vendorFlags
}

func (f *evidenceFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.evidence, "evidence", "", "the machine's answer to the challenge")
	c.Flags().StringVar(&f.bundle, "bundle", "", "bundle of the release that should run")
	c.Flags().StringVar(&f.policy, "policy", "", "policy, TOML")
	c.Flags().StringVar(&f.challenge, "challenge", "", "the challenge; FILE.secret beside it is read too")
	c.Flags().StringVar(&f.pin, "ak", "", "pin of the machine's attestation key")
	f.vendor.add(c)
}

// inputs are the files that are read, but for the rollback memory.
func (f *evidenceFlags) inputs() ([]string, error) {
	files, err := f.vendor.files()
	if err != nil {
		return nil, err
	}
	return append(files, f.evidence, f.bundle, f.policy, f.pin, f.challenge, f.challenge+secretSuffix), nil
}

// read reads the files. What is too large is passed on in part: the verifier
// refuses it by name.
func (f *evidenceFlags) read(needChallenge bool) (verifier.Input, error) {
	var in verifier.Input
	var err error
	if in.At, err = f.vendor.time(); err != nil {
		return in, err
	}
	if in.Vendor, err = f.vendor.read(); err != nil {
		return in, err
	}
	for _, file := range []struct {
		flag, path string
		limit      int64
		to         *[]byte
		needed     bool
	}{
		{"--evidence", f.evidence, evidence.MaxSize, &in.Evidence, true},
		{"--bundle", f.bundle, bundle.MaxSize, &in.Bundle, true},
		{"--policy", f.policy, policy.MaxSize, &in.Policy, true},
		{"--challenge", f.challenge, challenge.MaxSize, &in.Challenge, needChallenge},
		{"--ak", f.pin, verifier.MaxPin, &in.Pin, false},
	} {
		if file.path == "" && !file.needed {
			continue
		}
		if file.path == "" {
			return in, cli.Usage(fmt.Errorf("no %s", file.flag), "")
		}
		b, err := readStart(file.path, file.limit+1)
		if err != nil {
			return in, err
		}
		*file.to = b
	}
	if f.challenge == "" {
		return in, nil
	}
	secret, err := readStart(f.challenge+secretSuffix, challenge.MaxSecret+1)
	if err == nil {
		in.Secret = secret
	} else if !errors.Is(err, fs.ErrNotExist) {
		return in, err
	}
	return in, nil
}

// readNamed reads the file that a flag names, which must be given.
func readNamed(flag, path string, limit int64) ([]byte, error) {
	if path == "" {
		return nil, cli.Usage(fmt.Errorf("no %s", flag), "")
	}
	return cli.ReadInput(path, limit)
}

// readDecoded reads and decodes the file that a flag names.
func readDecoded[T any](flag, path string, limit int64, decode func([]byte) (T, error)) (T, error) {
	var zero T
	b, err := readNamed(flag, path, limit)
	if err != nil {
		return zero, err
	}
	v, err := decode(b)
	if err != nil {
		return zero, cli.Usage(fmt.Errorf("%s: %s: %w", flag, path, err), "")
	}
	return v, nil
}

// readStart reads a file up to so many bytes, and no error says that there
// were more: for what is judged afterwards by who knows the limit.
func readStart(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", path, err), "")
	}
	return b, nil
}
