package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/image/output"
	"safebox/verifier"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	"safebox/verifier/keyfile"
	"safebox/verifier/object"
	"safebox/verifier/policy"
)

// evidenceSuffix is added to the name of a grant file for the evidence that it
// was made upon: `safebox run` needs to know who will sign the receipt.
const evidenceSuffix = ".evidence"

// clockSkew is how far the guest's clock may lag behind the owner's: a grant
// holds from that much before now.
const clockSkew = time.Minute

// grantFlags are the flags of `grant`.
type grantFlags struct {
	evidence    evidenceFlags
	keys, owner string
	secret      keystore.Options // how owner is read
	chunks      string
	module      string
	params      string
	recipients  []string
	life        time.Duration
	out         string
	json        bool
}

func grantCommand() *cobra.Command {
	var f grantFlags
	c := &cobra.Command{
		Use: `grant --evidence FILE --bundle FILE --policy FILE --challenge FILE --keys FILE --audience-key FILE
              --chunks 0-9,20-29 --module FILE --params FILE --recipient FILE.pub --out FILE`,
		Short: "Verify a machine, and only then release the keys of some chunks to it",
		Long: `Verifies the evidence as safebox verify does. If a check fails nothing is
written, and the checks that failed are printed. Otherwise signs a grant for
one module, its parameters, the chunks and the recipients, and seals the
chunks' keys to the key that the machine made for the challenge. The grant
names the log's checkpoint that showed the release published; a policy with
release = "unsigned" gets none: no release proof, no key.

FILE.secret beside the challenge is read if it is there. FILE.evidence beside
the grant gets a copy of the evidence, for safebox run. A grant is used once.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.OutOrStdout(), c.ErrOrStderr()) },
	}
	f.evidence.add(c)
	c.Flags().StringVar(&f.keys, "keys", "", "the object's key file, keys.json of safebox seal")
	c.Flags().StringVar(&f.owner, "audience-key", "", "secret key that signs: the one whose public half the challenge names")
	f.secret.AddFlags(c)
	c.Flags().StringVar(&f.chunks, "chunks", "", "chunks to release, ends included: 0-9,20-29")
	c.Flags().StringVar(&f.module, "module", "", "WebAssembly module that may run")
	c.Flags().StringVar(&f.params, "params", "", "file with its parameters")
	c.Flags().StringArrayVar(&f.recipients, "recipient", nil, "public key that outputs are sealed to; up to 16 times")
	c.Flags().DurationVar(&f.life, "life", 15*time.Minute, "how long the grant may be used, at most 59m")
	c.Flags().StringVar(&f.out, "out", "", "grant file")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// jsonGrant is the result of `grant --json`.
type jsonGrant struct {
	Grant      string   `json:"grant"` // SHA-256 of the document
	Serial     string   `json:"serial"`
	Object     string   `json:"object"`
	Chunks     string   `json:"chunks"`
	Module     string   `json:"module"`
	Params     string   `json:"params"`
	Checkpoint string   `json:"checkpoint"` // SHA-256 of the text of the log's checkpoint
	Recipient  []string `json:"recipients"` // SHA-256 of each raw key
	NotBefore  string   `json:"not_before"` // RFC 3339
	NotAfter   string   `json:"not_after"`
}

func (f *grantFlags) run(stdout, stderr io.Writer) error {
	if err := f.checkOut(); err != nil {
		return err
	}
	doc, owner, keys, err := f.document()
	if err != nil {
		return err
	}
	in, err := f.evidence.read(true)
	if err != nil {
		return err
	}
	if err := needProof(in.Policy); err != nil {
		return err
	}
	result := verifier.Verify(in)
	if !result.Verdict.OK || result.Claims == nil {
		return notGranted(stderr, result)
	}
	if err := f.evidence.vendor.remember(result); err != nil {
		return err
	}
	if err := f.bind(doc, owner, result.Claims, in.At); err != nil {
		return err
	}
	nodes, err := keys.Root().Cover(doc.Ranges)
	if err != nil {
		return cli.Usage(err, "")
	}
	file, err := grant.Seal(doc, owner, result.Claims.Transcript.KEM, result.Claims.T, nodes)
	if err != nil {
		return err
	}
	if err := output.File(f.out+evidenceSuffix, writeBytes(in.Evidence)); err != nil {
		return err
	}
	if err := output.File(f.out, writeBytes(file)); err != nil {
		return err
	}
	return f.print(stdout, file)
}

// needProof refuses a policy that would do without the release's proof. A
// policy that is none is for the verdict to name.
func needProof(file []byte) error {
	if unsigned(file) {
		return cli.Failed(fmt.Errorf("no grant: the policy says release = %q: no release proof, no key", policy.Unsigned),
			"publish the release, and name its signers, rebuilders and log: safebox policy init --signer ... --rebuilder ... --log-policy FILE")
	}
	return nil
}

func unsigned(file []byte) bool {
	p, err := policy.Parse(file)
	return err == nil && p.Release == policy.Unsigned
}

// notGranted names what failed; the whole verdict is what safebox verify
// prints.
func notGranted(stderr io.Writer, result *verifier.Result) error {
	var ids []string
	for _, c := range result.Verdict.Failed() {
		cli.Say(stderr, "failed: %s %s: got %q, want %q", c.ID, c.Name, shortText(c.Got), shortText(c.Want))
		ids = append(ids, c.ID)
	}
	return cli.Failed(fmt.Errorf("no grant: %d checks of the evidence failed: %s", len(ids), strings.Join(ids, " ")),
		"safebox verify with the same files prints the whole verdict")
}

// shortText is at most 120 bytes of a value, for a line on a terminal.
func shortText(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// checkOut refuses names under which an input would be lost.
func (f *grantFlags) checkOut() error {
	if f.out == "" {
		return cli.Usage(errors.New("no --out"), "name the file for the grant")
	}
	e := &f.evidence
	own := append([]string{f.keys, f.owner, f.secret.PassphraseFile, f.module, f.params}, f.recipients...)
	inputs, err := e.inputs()
	if err != nil {
		return err
	}
	if err := checkOutputs([]string{f.out, e.vendor.memory}, append(inputs, own...)...); err != nil {
		return err
	}
	// The copy of the evidence may replace itself.
	inputs = slices.DeleteFunc(inputs, func(path string) bool { return path == e.evidence })
	return checkOutputs([]string{e.vendor.memory, f.out + evidenceSuffix}, append(inputs, own...)...)
}

// document reads what the grant is about; bind adds for whom it is.
func (f *grantFlags) document() (*grant.Document, ed25519.PrivateKey, *object.Keys, error) {
	if most := grant.MaxLife*time.Second - clockSkew; f.life < time.Second || f.life > most {
		return nil, nil, nil, cli.Usage(fmt.Errorf("--life: got %v, want 1s to %v", f.life, most), "")
	}
	ranges, err := object.ParseRanges(f.chunks)
	if err != nil {
		return nil, nil, nil, cli.Usage(fmt.Errorf("--chunks: %w", err), "first and last chunk of each range, ascending: 0-9,20-29")
	}
	keys, err := readDecoded("--keys", f.keys, object.MaxKeys, object.DecodeKeys)
	if err != nil {
		return nil, nil, nil, err
	}
	owner, err := openKey("--audience-key", f.owner, f.secret, keystore.Audience)
	if err != nil {
		return nil, nil, nil, err
	}
	module, err := readNamed("--module", f.module, guestapi.MaxModule)
	if err != nil {
		return nil, nil, nil, err
	}
	params, err := readNamed("--params", f.params, guestapi.MaxParams)
	if err != nil {
		return nil, nil, nil, err
	}
	doc := &grant.Document{
		Type: grant.Type, Object: keys.RootCID, Ranges: ranges,
		Module: sha256.Sum256(module), Params: sha256.Sum256(params),
	}
	if len(f.recipients) == 0 {
		return nil, nil, nil, cli.Usage(errors.New("no --recipient"), "safebox key recipient makes a key; give its .pub file")
	}
	for _, path := range f.recipients {
		key, err := readDecoded("--recipient", path, keyfile.MaxSize, keyfile.DecodeRecipientPublic)
		if err != nil {
			return nil, nil, nil, err
		}
		doc.Recipients = append(doc.Recipients, key)
	}
	return doc, owner, keys, nil
}

// bind makes the document one for the verified machine, from now on.
func (f *grantFlags) bind(doc *grant.Document, owner ed25519.PrivateKey, claims *verifier.Claims, now time.Time) error {
	if got := owner.Public().(ed25519.PublicKey); claims.Challenge == nil || !got.Equal(ed25519.PublicKey(claims.Challenge.Audience[:])) {
		return cli.Failed(errors.New("--audience-key is not the key that the challenge names"), "give the secret file of the key that the challenge was made with")
	}
	if claims.Published == nil {
		return cli.Failed(errors.New("no grant: nothing shows that the release was published: no release proof, no key"), "")
	}
	doc.Checkpoint = &claims.Published.Checkpoint
	doc.Transcript = sha256.Sum256(claims.T[:])
	doc.Evidence, doc.Release = claims.Evidence, claims.Release
	doc.NotBefore = now.Add(-clockSkew).Unix()
	doc.NotAfter = now.Add(f.life).Unix()
	if _, err := io.ReadFull(rand.Reader, doc.Serial[:]); err != nil {
		return fmt.Errorf("making a serial number: %w", err)
	}
	return nil
}

// print shows what was granted, read back from the file.
func (f *grantFlags) print(stdout io.Writer, file []byte) error {
	doc, digest, err := grant.Inspect(file)
	if err != nil {
		return err
	}
	r := jsonGrant{
		Grant: hex.EncodeToString(digest[:]), Serial: doc.Serial.String(), Object: doc.Object, Chunks: doc.Ranges.String(),
		Module: doc.Module.String(), Params: doc.Params.String(), Checkpoint: doc.Checkpoint.String(),
		NotBefore: time.Unix(doc.NotBefore, 0).UTC().Format(time.RFC3339),
		NotAfter:  time.Unix(doc.NotAfter, 0).UTC().Format(time.RFC3339),
	}
	for _, key := range doc.Recipients {
		r.Recipient = append(r.Recipient, keyID(key))
	}
	if f.json {
		return cli.WriteJSON(stdout, r)
	}
	_, err = fmt.Fprintf(stdout, "grant %s\nserial %s\nobject %s\nchunks %s\nmodule %s\nparams %s\ncheckpoint %s\nrecipient %s\nnot_after %s\n",
		r.Grant, r.Serial, r.Object, r.Chunks, r.Module, r.Params, r.Checkpoint, strings.Join(r.Recipient, "\nrecipient "), r.NotAfter)
	return err
}
