package keystore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"safebox/cmd/internal/cli"
	"safebox/image/output"
)

// PublicSuffix is added to the name of a secret file for its public file.
const PublicSuffix = ".pub"

// Bits of a file's mode.
const (
	modeOthers  = 0o007 // neither owner nor group
	modeNotMine = 0o077 // all but the owner
)

// readSecret reads a whole file of at most limit bytes that only its owner may
// read. A file of somebody else's, say of root, may be open to a group: it was
// given to us in that way.
func readSecret(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Usage(err, "")
	}
	b, err := readOwned(f, limit)
	if err2 := f.Close(); err == nil && err2 != nil {
		err = fmt.Errorf("reading %s: %w", path, err2)
	}
	return b, err
}

func readOwned(f *os.File, limit int64) ([]byte, error) {
	// The mode is that of the file that is open, not of one that took its name.
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", f.Name(), err), "")
	}
	if tooOpen(st.Mode, st.Uid == uint32(os.Geteuid())) {
		hint := "chmod 600 " + f.Name() + "; whoever could have read it has the secret"
		if strings.HasSuffix(f.Name(), PublicSuffix) {
			hint = "give the secret file, not the .pub file beside it"
		}
		return nil, cli.Usage(fmt.Errorf("reading %s: others than its owner may read or write it (mode %04o)", f.Name(), st.Mode&0o7777), hint)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("reading %s: %w", f.Name(), err), "")
	}
	if int64(len(b)) > limit {
		return nil, cli.Usage(fmt.Errorf("reading %s: more than %d bytes", f.Name(), limit), "")
	}
	return b, nil
}

// tooOpen says whether a mode lets others in than it should.
func tooOpen(mode uint32, mine bool) bool {
	if mine {
		return mode&modeNotMine != 0
	}
	return mode&modeOthers != 0
}

// WritePair puts both files of a new key in place, neither over another file:
// path gets the secret one, encrypted as the options say, path.pub the public
// one.
func WritePair(path string, secret, public []byte, o Options) error {
	for _, name := range []string{path, path + PublicSuffix} {
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			if err == nil {
				err = fmt.Errorf("%s is there already", name)
			}
			return cli.Failed(err, "a key that is lost can't be made again: move the file away, or choose another name")
		}
	}
	protected, err := o.protect(path, secret)
	if err != nil {
		return err
	}
	if err := output.SecretFile(path, content(protected)); err != nil {
		return err
	}
	if err := output.File(path+PublicSuffix, content(public)); err != nil {
		return errors.Join(err, os.Remove(path)) // nobody knows its public half
	}
	if o.NoPassphrase && o.command != nil {
		cli.Say(o.command.ErrOrStderr(), "hint: %s is not encrypted: keep it on an encrypted disk, or on one that you lock away", path)
	}
	return nil
}

// protect encrypts a new secret file as the options say.
func (o Options) protect(path string, secret []byte) ([]byte, error) {
	if o.NoPassphrase && o.PassphraseFile != "" {
		return nil, cli.Usage(errors.New("--passphrase-file and --no-passphrase: want one of them"), "")
	}
	if o.NoPassphrase {
		return secret, nil
	}
	passphrase, err := o.newPassphrase(path)
	if err != nil {
		return nil, err
	}
	return wrap(secret, passphrase, o.factor)
}

// content is what output's functions want for a file that is in memory.
func content(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}
