package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"safebox/image/output"
	"safebox/image/rebuild"
)

// operators are those who rebuild the release, and rebuilds how many of them
// the owner wants.
const (
	operators = 3
	rebuilds  = 2
)

// origin names the demo's log.
const origin = "demo.safebox.example/releases"

// publish signs a record of the release and has it logged, under the eyes of
// two witnesses.
func (d *demo) publish() error {
	for _, args := range [][]string{
		{"key", "signer", "--out", file("publisher.key"), "--no-passphrase"},
		{"key", "log", "--origin", origin, "--out", file("log.key"), "--no-passphrase"},
		{"key", "witness", "--name", "witness-1.example", "--out", file("witness-1.key"), "--no-passphrase"},
		{"key", "witness", "--name", "witness-2.example", "--algorithm", "ml-dsa-44", "--out", file("witness-2.key"), "--no-passphrase"},
	} {
		if _, err := d.yes(args...); err != nil {
			return err
		}
	}
	for i := range operators {
		if _, err := d.yes("key", "signer", "--out", file(operatorKey(i)), "--no-passphrase"); err != nil {
			return err
		}
	}
	if err := d.startLog(); err != nil {
		return err
	}
	args := []string{
		"release", "create", "--release", file("release"), "--version", "0.1.0-demo", "--svn", "1",
		"--sign", file("publisher.key"), "--out", file("release.dsse"),
	}
	named, err := d.nameSource()
	if err != nil {
		return err
	}
	if _, err := d.yes(append(args, named...)...); err != nil {
		return err
	}
	if err := d.logged("release.dsse"); err != nil {
		return err
	}
	d.found("published  signed by the publisher; logged, and cosigned by two witnesses, one of them with ML-DSA-44")
	return nil
}

func operatorKey(i int) string { return fmt.Sprintf("operator-%d.key", i+1) }

// nameSource gives the flags that say which source the release is of. A clone
// that somebody works on is taken as it is: the demo's release is for nobody.
func (d *demo) nameSource() ([]string, error) {
	source, err := findSource("")
	if err != nil {
		return nil, err
	}
	if isClone(source) {
		return []string{"--source", source, "--dirty"}, nil
	}
	nowhere := strings.Repeat("1", 40) // what was unpacked from an archive knows no commit
	return []string{"--source", source, "--commit", nowhere, "--tree", nowhere}, nil
}

// logged appends a record to the log and checks the log's proof.
func (d *demo) logged(name string) error {
	return d.agent("log", "append", "--url", d.log.url, "--policy", file("log.policy"), file(name))
}

// startLog starts two witnesses, and a log that publishes nothing which both
// have not seen.
func (d *demo) startLog() error {
	vkey, err := os.ReadFile(d.path("log.key.pub"))
	if err != nil {
		return err
	}
	log := strings.TrimSpace(string(vkey))
	var policy strings.Builder
	fmt.Fprintf(&policy, "log %s\n", log)
	for i := range 2 {
		name := fmt.Sprintf("witness-%d", i+1)
		if err := d.agent("witness", "add", "--dir", file(name), log); err != nil {
			return err
		}
		s, err := d.serve("witness", "serve", "--key", file(name+".key"), "--dir", file(name), "--log", log, "--listen", "127.0.0.1:0")
		if err != nil {
			return err
		}
		key, err := os.ReadFile(d.path(name + ".key.pub"))
		if err != nil {
			return err
		}
		fmt.Fprintf(&policy, "witness %s %s %s\n", name, strings.TrimSpace(string(key)), s.url)
	}
	policy.WriteString("group both all witness-1 witness-2\nquorum both\n")
	if err := output.File(d.path("log.policy"), whole([]byte(policy.String()))); err != nil {
		return err
	}
	if err := d.writeSubmitters(); err != nil {
		return err
	}
	if err := d.agent("log", "create", "--dir", file("log"), "--key", file("log.key")); err != nil {
		return err
	}
	d.log, err = d.serve("log", "serve", "--dir", file("log"), "--key", file("log.key"), "--witnesses", file("log.policy"),
		"--submitters", file("submitters"), "--listen", "127.0.0.1:0")
	return err
}

// writeSubmitters lists whose records the log takes.
func (d *demo) writeSubmitters() error {
	names := []string{"publisher.key"}
	for i := range operators {
		names = append(names, operatorKey(i))
	}
	var all []byte
	for _, name := range names {
		key, err := os.ReadFile(d.path(name + ".pub"))
		if err != nil {
			return err
		}
		all = append(all, key...)
	}
	return output.File(d.path("submitters"), whole(all))
}

// rebuildIt has each operator build the release again from a copy of the
// source, compare, and sign what came out. The bundle after the first record
// is kept: an owner who wants two must refuse it.
func (d *demo) rebuildIt() error {
	if err := d.pack("rebuilt-0.bundle"); err != nil {
		return err
	}
	for i := range operators {
		if err := d.operate(i); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		if err := d.pack("rebuilt-1.bundle"); err != nil {
			return err
		}
	}
	if err := d.pack("release.bundle"); err != nil {
		return err
	}
	d.found("rebuilt    by %d operators from copies of the source: every byte the same, each signed (make reproduce varies more)", operators)
	return nil
}

// operate is what one operator does.
func (d *demo) operate(i int) (err error) {
	source, err := findSource("")
	if err != nil {
		return err
	}
	copied, err := (&rebuild.Source{Dir: source}).Copy(d.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	record := fmt.Sprintf("rebuild-%d.dsse", i+1)
	args := []string{
		"rebuild", file("rebuilt-0.bundle"), "--release", file("release"), "--source", copied.Dir,
		"--sign", file(operatorKey(i)), "--rebuilder", fmt.Sprintf("Operator %d", i+1), "--out", file(record),
	}
	answer, err := d.yes(append(args, d.inputFlags.arguments()...)...)
	if err != nil {
		return err
	}
	d.w.indented(lastLine(answer))
	return d.logged(record)
}

// pack makes a bundle of the release and the log as it is now.
func (d *demo) pack(name string) error {
	_, err := d.yes("release", "bundle", "--release", file("release"), "--log", d.log.url, "--out", file(name))
	return err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1] + "\n"
}

// publicationFlags are the owner's wishes.
func (d *demo) publicationFlags() []string {
	flags := []string{
		"--signer", file("publisher.key.pub"), "--log-policy", file("log.policy"), "--rebuilds", fmt.Sprint(rebuilds),
	}
	for i := range operators {
		flags = append(flags, "--rebuilder", fmt.Sprintf("Operator %d=%s", i+1, d.path(operatorKey(i)+".pub")))
	}
	return flags
}

// revoked has the publisher revoke the release, and makes the bundle of that.
func (d *demo) revoked() error {
	if _, err := d.yes("release", "revoke", "--release", file("release"), "--reason", "the demo is over",
		"--sign", file("publisher.key"), "--out", file("revoke.dsse")); err != nil {
		return err
	}
	if err := d.logged("revoke.dsse"); err != nil {
		return err
	}
	return d.pack("revoked.bundle")
}

// serve starts a server of the host agent and waits until it listens.
func (d *demo) serve(args ...string) (*server, error) {
	d.w.printf("   $ safebox-host %s &\n", strings.Join(shortened(args), " "))
	s, err := startServer(d.ctx, d.host, d.inFolder(args)...)
	if err != nil {
		return nil, fmt.Errorf("safebox-host %s %s: %w", args[0], args[1], err)
	}
	d.servers = append(d.servers, s)
	return s, nil
}
