package vmm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safebox/host/hint"
)

// setupTime bounds the making of a TPM; it takes about one second, most of it
// for the keys of the private certificate authority.
const setupTime = 60 * time.Second

// Names below a TPM's folder. The tools run inside the folder and get relative
// names: swtpm's option parser has no way to escape a comma in a path.
const (
	tpmState  = "state" // the TPM's persistent memory, secrets included
	tpmCA     = "ca"    // certificate authority of this one TPM
	tpmTemp   = "tmp"
	tpmConfig = "swtpm_setup.conf"
	tpmLog    = "swtpm_setup.log"
	caConfig  = "swtpm-localca.conf"
	caOptions = "swtpm-localca.options"

	tpmWrapper = "swtpm.sh"
)

// wrapper starts the emulator that swtpm_setup runs for itself. Left alone,
// that emulator stays for ever when swtpm_setup is killed: it is forked twice,
// so a parent-death signal can't follow, and it inherits both ends of its
// sockets, so it never sees them close. The wrapper leaves it the ends that
// its arguments name; --terminate then ends it with the last connection.
const wrapper = `#!/bin/sh
keep=" "
for arg do
  case $arg in *fd=*) fd=${arg##*fd=} keep="$keep${fd%%%%,*} " ;; esac
done
for fd in 3 4 5 6 7 8 9; do
  case $keep in *" $fd "*) ;; *) eval "exec $fd>&-" ;; esac
done
exec %s socket --terminate "$@"
`

// RootCertificate is the path of the TPM's root certificate below its folder,
// PEM. Nobody but this instance has the key: it roots a software TPM that only
// a policy which names it accepts.
const RootCertificate = tpmCA + "/swtpm-localca-rootca-cert.pem"

// issuerCertificate is signed by the root and signs the TPM's own: what a
// verifier that trusts the root must be given.
const issuerCertificate = tpmCA + "/issuercert.pem"

// MakeTPM makes a TPM 2.0 with the banks SHA-256 and SHA-384, endorsement keys
// and their certificates in dir, an empty folder. Everything that the tools
// write lies in dir; the machine-wide authority of swtpm is not touched.
func MakeTPM(ctx context.Context, p *Parent, t Tools, dir string) error {
	if err := writeTPMConfig(t, dir); err != nil {
		return fmt.Errorf("making TPM: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.SWTPMSetup,
		"--tpm2", "--tpmstate", tpmState, "--config", tpmConfig, "--logfile", tpmLog,
		"--pcr-banks", "sha256,sha384", "--create-ek-cert", "--create-platform-cert", "--lock-nvram",
		"--tpm", "/bin/sh "+tpmWrapper)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+tpmTemp)
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	c, err := p.Start(cmd)
	if err != nil {
		return fmt.Errorf("making TPM: %w", err)
	}
	if err := c.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return hint.New(fmt.Errorf("making TPM: swtpm_setup: %w", explain(err, setupWords(dir, &out))),
			"is there space left on the disk that holds the state folder?")
	}
	return nil
}

// setupWords is the last thing that swtpm_setup said, on the terminal or in
// its log.
func setupWords(dir string, out *tail) string {
	if s := out.lastLine(); s != "" {
		return s
	}
	b, err := os.ReadFile(filepath.Join(dir, tpmLog)) // a few hundred lines of our own tool
	if err != nil {
		return "it left no log"
	}
	return (&tail{b: b}).lastLine()
}

// writeTPMConfig writes the files of swtpm_setup.conf(5), swtpm-localca.conf(5)
// and swtpm-localca.options(5).
func writeTPMConfig(t Tools, dir string) error {
	for _, d := range []string{tpmState, tpmCA, tpmTemp} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		tpmConfig: "create_certs_tool = " + t.LocalCA + "\n" +
			"create_certs_tool_config = " + caConfig + "\n" +
			"create_certs_tool_options = " + caOptions + "\n",
		caConfig: "statedir = " + tpmCA + "\n" +
			"signingkey = " + tpmCA + "/signkey.pem\n" +
			"issuercert = " + issuerCertificate + "\n" +
			"certserial = " + tpmCA + "/certserial\n",
		caOptions:  "--platform-manufacturer Safebox\n--platform-version 1\n--platform-model vtpm\n",
		tpmWrapper: fmt.Sprintf(wrapper, shellQuote(t.SWTPM)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// TPM is a running TPM emulator.
type TPM struct {
	*Child
	stderr *tail
}

// StartTPM starts the emulator of the TPM in dir. The file is the VMM's end of
// the control channel: the VMM inherits it, and the caller closes its own copy
// then. The emulator ends when the VMM does.
func StartTPM(p *Parent, t Tools, dir string) (*TPM, *os.File, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, nil, fmt.Errorf("starting TPM: %w", err)
	}
	cmd := exec.Command(t.SWTPM, "socket", "--tpm2", "--tpmstate", "dir="+tpmState,
		"--ctrl", "type=unixio,clientfd=3", "--terminate")
	cmd.Dir = dir
	cmd.ExtraFiles = []*os.File{theirs}
	stderr := &tail{}
	cmd.Stdout, cmd.Stderr = stderr, stderr
	c, err := p.Start(cmd)
	if err = errors.Join(err, theirs.Close()); err != nil {
		return nil, nil, fmt.Errorf("starting TPM: %w", errors.Join(err, ours.Close()))
	}
	return &TPM{Child: c, stderr: stderr}, ours, nil
}

// Failure waits for the emulator's end and says why it came.
func (t *TPM) Failure() error {
	return fmt.Errorf("TPM emulator ended: %w", explain(t.Wait(), t.stderr.lastLine()))
}

func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("creating socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "tpm-control"), os.NewFile(uintptr(fds[1]), "tpm-control"), nil
}
