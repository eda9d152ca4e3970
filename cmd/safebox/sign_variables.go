package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
	"safebox/image/secureboot/variables"
	"safebox/measure/pkcs7"
	"safebox/measure/tpm/varstore"
)

const (
	maxLists = 1 << 20 // of a file with signature lists

	filledFlash    = "vars.fd" // in the folder that `sign variables` writes
	signedSuffix   = ".auth"
	listSuffix     = ".esl"
	preparedSuffix = ".tbs"
	rawSuffix      = ".sig" // of what is in --signatures
)

// variablesFlags are the flags of `sign variables`.
type variablesFlags struct {
	pk, kek, db, dbx     string // inputs: certificates; dbx is signature lists
	pkKey, kekKey, flash string // inputs
	signatures           string // folder
	time, owner          string
	out                  string // folder
	json                 bool
}

func signVariablesCommand() *cobra.Command {
	var f variablesFlags
	c := &cobra.Command{
		Use:   "variables --pk CERT --kek CERTS --db CERTS --time RFC3339 --out DIR",
		Short: "Make the variables that enrol keys for Secure Boot",
		Long: `Writes for each of PK, KEK, db (and dbx) NAME.esl, the content of the variable,
and NAME.tbs, the bytes over which its update is signed. With --pk-key and
--kek-key, or with --signatures, it also writes NAME.auth, the signed update that
firmware takes in setup mode and later. With --vars it writes vars.fd, a copy of
that OVMF flash with the keys enrolled and Secure Boot on: a machine starts with
it, and safebox measure tpm --vars predicts its PCR 7.

PK.tbs and KEK.tbs are signed by the key of PK, db.tbs and dbx.tbs by one of KEK's
(RSA with SHA-256), as by "openssl dgst -sha256 -sign KEY -out DIR/NAME.sig
NAME.tbs"; --signatures DIR brings PK.sig, KEK.sig, db.sig back.

Firmware takes an update only if its time is later than that of the one before.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout()) },
	}
	c.Flags().StringVar(&f.pk, "pk", "", "certificate of the platform's owner (PEM)")
	c.Flags().StringVar(&f.kek, "kek", "", "certificates of those who may change db and dbx (PEM)")
	c.Flags().StringVar(&f.db, "db", "", "certificates of those who sign images (PEM)")
	c.Flags().StringVar(&f.dbx, "dbx", "", "what is forbidden: EFI signature lists")
	c.Flags().StringVar(&f.pkKey, "pk-key", "", "private key of PK (PEM)")
	c.Flags().StringVar(&f.kekKey, "kek-key", "", "private key of one of KEK (PEM)")
	c.Flags().StringVar(&f.signatures, "signatures", "", "folder with signatures that were made in another place")
	c.Flags().StringVar(&f.flash, "vars", "", "flash of OVMF without keys (OVMF_VARS_4M.fd)")
	c.Flags().StringVar(&f.time, "time", "", "time of the updates, such as 2026-11-21T00:00:00Z")
	c.Flags().StringVar(&f.owner, "owner", defaultOwner().String(), "GUID that the entries name as their owner; PCR 7 depends on it")
	c.Flags().StringVar(&f.out, "out", "", "folder to write")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// defaultOwner is UUIDv5 of "owner" below UUIDv5 of "safebox/secureboot/v1" in the
// name space of our images (image/disk/uuid.go):
// ebea0ec0-c276-5565-b939-840907c6a797.
func defaultOwner() varstore.GUID {
	return varstore.GUID{0xc0, 0x0e, 0xea, 0xeb, 0x76, 0xc2, 0x65, 0x55, 0xb9, 0x39, 0x84, 0x09, 0x07, 0xc6, 0xa7, 0x97}
}

func (f *variablesFlags) run(stdout io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	keys, err := f.read()
	if err != nil {
		return err
	}
	files, err := f.files(keys)
	if err != nil {
		return err
	}
	folder, err := output.NewFolder(f.out, "PK"+listSuffix)
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

// check refuses flags that do not go together.
func (f *variablesFlags) check() error {
	err := missing([2]string{"pk", f.pk}, [2]string{"kek", f.kek}, [2]string{"db", f.db}, [2]string{"time", f.time}, [2]string{"out", f.out})
	if err != nil {
		return err
	}
	if (f.pkKey == "") != (f.kekKey == "") {
		return cli.Usage(errors.New("want both of --pk-key and --kek-key, or neither"), "keys in another place: sign the .tbs files there, and see --signatures")
	}
	if f.pkKey != "" && f.signatures != "" {
		return cli.Usage(errors.New("want keys or --signatures, not both"), "")
	}
	return nil
}

// keyset is what is to be enrolled, and who may sign it.
type keyset struct {
	variables []*variables.Variable
	pk        *x509.Certificate
	kek       []*x509.Certificate
}

// read makes the variables from the inputs.
func (f *variablesFlags) read() (*keyset, error) {
	at, err := f.readTime()
	if err != nil {
		return nil, err
	}
	owner, err := varstore.ParseGUID(f.owner)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--owner: %w", err), "")
	}
	k := &keyset{}
	for _, v := range []struct{ name, path string }{{"PK", f.pk}, {"KEK", f.kek}, {"db", f.db}} {
		list, err := readCertificates(v.path)
		if err != nil {
			return nil, err
		}
		var certs []*x509.Certificate
		for _, c := range list {
			if err := pkcs7.CheckSigner(c.parsed); err != nil {
				return nil, cli.Usage(fmt.Errorf("%s: %w", v.path, err), "")
			}
			if slices.ContainsFunc(certs, c.parsed.Equal) {
				return nil, cli.Usage(fmt.Errorf("%s: certificate %q: there twice", v.path, c.parsed.Subject), "")
			}
			certs = append(certs, c.parsed)
		}
		switch v.name {
		case "PK":
			k.pk = certs[0]
		case "KEK":
			k.kek = certs
		}
		if err := k.add(v.name, at, variables.Certificates(owner, certs...), v.path); err != nil {
			return nil, err
		}
	}
	if f.dbx == "" {
		return k, nil
	}
	lists, err := cli.ReadInput(f.dbx, maxLists)
	if err != nil {
		return nil, err
	}
	return k, k.add("dbx", at, lists, f.dbx)
}

func (k *keyset) add(name string, at variables.Time, data []byte, path string) error {
	v, err := variables.New(name, at, data)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", path, err), "")
	}
	k.variables = append(k.variables, v)
	return nil
}

func (f *variablesFlags) readTime() (variables.Time, error) {
	parsed, err := time.Parse(time.RFC3339, f.time)
	if err != nil {
		return variables.Time{}, cli.Usage(fmt.Errorf("--time: got %q, want RFC 3339", f.time), "for example --time 2026-11-21T00:00:00Z")
	}
	at, err := variables.NewTime(parsed)
	if err != nil {
		return variables.Time{}, cli.Usage(fmt.Errorf("--time: %w", err), "")
	}
	return at, nil
}

// files gives what is written, in order.
func (f *variablesFlags) files(k *keyset) ([]signedFile, error) {
	var files []signedFile
	for _, v := range k.variables {
		files = append(files, newSignedFile(v.Name+listSuffix, v.Data), newSignedFile(v.Name+preparedSuffix, v.ToBeSigned()))
		update, err := f.update(k, v)
		if err != nil {
			return nil, err
		}
		if update != nil {
			files = append(files, newSignedFile(v.Name+signedSuffix, update))
		}
	}
	if f.flash == "" {
		return files, nil
	}
	flash, err := cli.ReadInput(f.flash, varstore.MaxSize)
	if err != nil {
		return nil, err
	}
	filled, err := variables.Fill(flash, k.variables...)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("%s: %w", f.flash, err), "")
	}
	return append(files, newSignedFile(filledFlash, filled)), nil
}

// signers are the certificates whose keys may sign an update (UEFI 2.10, section
// 32.3): PK's for PK and KEK, one of KEK's for db and dbx.
func (k *keyset) signers(name string) []*x509.Certificate {
	switch name {
	case "PK", "KEK":
		return []*x509.Certificate{k.pk}
	}
	return k.kek
}

// update gives the signed update, nil if there is nothing to sign it with.
func (f *variablesFlags) update(k *keyset, v *variables.Variable) ([]byte, error) {
	signers := k.signers(v.Name)
	switch {
	case f.pkKey != "":
		path := f.kekKey
		if v.Name == "PK" || v.Name == "KEK" {
			path = f.pkKey
		}
		key, err := readKey(path)
		if err != nil {
			return nil, err
		}
		b, err := firstSigner(signers, func(c *x509.Certificate) ([]byte, error) { return v.Sign(key, c) })
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("%s: %w", path, err), "")
		}
		return b, nil
	case f.signatures != "":
		path := filepath.Join(f.signatures, v.Name+rawSuffix)
		signature, err := cli.ReadInput(path, maxSignFile)
		if err != nil {
			return nil, err
		}
		b, err := firstSigner(signers, func(c *x509.Certificate) ([]byte, error) { return v.Attach(signature, c) })
		if err != nil {
			return nil, cli.Failed(fmt.Errorf("%s: %w", path, err), "sign the .tbs file of the same certificates, owner and time")
		}
		return b, nil
	}
	return nil, nil
}
