package main

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/keystore"
	"safebox/image/output"
	"safebox/verifier/canon"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	"safebox/verifier/keyfile"
	"safebox/verifier/receipt"
	"safebox/verifier/transcript"
)

// Names in the folder of a result.
const (
	receiptName  = "receipt.json"
	outputPrefix = "output-"
	leavesName   = "leaves" // beside the manifest
)

// runFlags are the flags of `run`.
type runFlags struct {
	host, manifest, module, params, grant, evidence, audience, key, out string
	secret                                                              keystore.Options // how key is read
	timeout                                                             time.Duration
	json                                                                bool
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run --host URL --manifest FILE --module FILE --params FILE --grant FILE --recipient-key KEY --out DIR",
		Short: "Have a machine run a module under a grant, and decrypt what comes out",
		Long: `Sends a job through the relay at URL, waits for its end, and gets the result.
The receipt must be signed by the machine that the grant's evidence is of, must
name this grant, module, parameters, object and chunks, and the digest of each
encrypted output. Only then the outputs are decrypted: DIR/output-SLOT, and the
receipt beside them.

All that is worth what the grant is worth. With --audience it must be signed by
that owner, for the machine of the evidence. Without, you trust the way by which
the two files came to you: who can change both can make up a result.

The object's leaf table is the file "leaves" beside the manifest. What the
machine refuses is the error. A module that is stopped or returns something
else than 0 is exit code 1, with its outputs and receipt in DIR.`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.host, "host", "", "URL of the relay, as safebox-host launch prints it")
	c.Flags().StringVar(&f.manifest, "manifest", "", "manifest of the object")
	c.Flags().StringVar(&f.module, "module", "", "WebAssembly module")
	c.Flags().StringVar(&f.params, "params", "", "file with its parameters")
	c.Flags().StringVar(&f.grant, "grant", "", "grant file")
	c.Flags().StringVar(&f.evidence, "evidence", "", "evidence that the grant was made upon (default: GRANT.evidence)")
	c.Flags().StringVar(&f.audience, "audience", "", "public key of the owner who must have signed the grant (default: not verified here)")
	c.Flags().StringVar(&f.key, "recipient-key", "", "secret key of a recipient that the grant names")
	f.secret.AddFlags(c)
	c.Flags().StringVar(&f.out, "out", "", "folder for the outputs and the receipt")
	c.Flags().DurationVar(&f.timeout, "timeout", 30*time.Minute, "how long to wait for the result")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// order is a job and what its result is held against.
type order struct {
	job       guestapi.Job
	doc       *grant.Document
	digest    [32]byte // of the grant document
	signer    [32]byte // who signs the receipt
	key       hpke.PrivateKey
	recipient int // which of the grant's
}

func (f *runFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	if f.out == "" {
		return cli.Usage(errors.New("no --out"), "name a folder for the outputs")
	}
	client, err := newGuestClient(f.host, stderr)
	if err != nil {
		return err
	}
	o, err := f.order()
	if err != nil {
		return err
	}
	job, err := o.job.Encode()
	if err != nil {
		return cli.Usage(err, "")
	}
	// Before anything is used up: the folder can be made, and nothing in it will
	// stand in the way of what comes.
	if err := wantEmpty(f.out); err != nil {
		return cli.Failed(err, "choose another folder with --out: a grant is used once, and a receipt is worth keeping")
	}
	folder, err := output.NewFolder(f.out, receiptName)
	if err != nil {
		return err
	}
	r, err := o.fill(ctx, folder, client, job, f.timeout)
	if err != nil {
		return errors.Join(err, folder.Discard())
	}
	if err := folder.Commit(); err != nil {
		return err
	}
	if err := f.print(stdout, r); err != nil {
		return err
	}
	switch {
	case r.receipt.Trap != "":
		return cli.Failed(fmt.Errorf("the module was stopped: %s", r.receipt.Trap), "its receipt is in "+f.out)
	case r.receipt.Exit != 0:
		return cli.Failed(fmt.Errorf("the module returned %d", r.receipt.Exit), "its outputs and receipt are in "+f.out)
	}
	return nil
}

// order reads everything. The machine is the one to refuse a job; here is
// checked only what the result will be held against.
func (f *runFlags) order() (*order, error) {
	o := &order{}
	for _, file := range []struct {
		flag, path string
		limit      int64
		to         *[]byte
	}{
		{"--grant", f.grant, guestapi.MaxGrant, &o.job.Grant},
		{"--manifest", f.manifest, guestapi.MaxManifest, &o.job.Manifest},
		{"--manifest", filepath.Join(filepath.Dir(f.manifest), leavesName), guestapi.MaxLeaves, &o.job.Leaves},
		{"--params", f.params, guestapi.MaxParams, &o.job.Params},
		{"--module", f.module, guestapi.MaxModule, &o.job.Module},
	} {
		b, err := readNamed(file.flag, file.path, file.limit)
		if err != nil {
			return nil, err
		}
		*file.to = b
	}
	doc, digest, err := grant.Inspect(o.job.Grant)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--grant: %s: %w", f.grant, err), "")
	}
	o.doc, o.digest = doc, digest
	if o.key, err = openKey("--recipient-key", f.key, f.secret, keystore.Recipient); err != nil {
		return nil, err
	}
	public := o.key.PublicKey().Bytes()
	o.recipient = -1
	for i, r := range doc.Recipients {
		if bytes.Equal(r, public) {
			o.recipient = i
		}
	}
	if o.recipient < 0 {
		return nil, cli.Failed(fmt.Errorf("the grant is for other recipients than --recipient-key %s", f.key), "give the secret key of one whose .pub file the grant was made with")
	}
	e, err := f.readEvidence(doc)
	if err != nil {
		return nil, err
	}
	o.signer = e.ReceiptKey
	return o, f.checkOwner(o, e)
}

// readEvidence reads the evidence that the owner verified before signing the
// grant, which names its digest: who will sign the receipt stands there.
func (f *runFlags) readEvidence(doc *grant.Document) (*evidence.Evidence, error) {
	path := f.evidence
	if path == "" {
		path = f.grant + evidenceSuffix
	}
	b, err := cli.ReadInput(path, evidence.MaxSize)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--evidence: %w", err), "give the evidence that the grant was made upon: safebox grant puts it beside the grant")
	}
	if got := canon.Octets32(sha256.Sum256(b)); got != doc.Evidence {
		return nil, cli.Failed(fmt.Errorf("--evidence: %s: got SHA-256 %s, want %s as in the grant", path, got, doc.Evidence), "give the evidence that the grant was made upon")
	}
	e, err := evidence.Decode(b)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--evidence: %s: %w", path, err), "")
	}
	t, err := e.Transcript().Sum()
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--evidence: %s: %w", path, err), "")
	}
	if got := canon.Octets32(sha256.Sum256(t[:])); got != doc.Transcript {
		return nil, cli.Failed(fmt.Errorf("--evidence: %s: got transcript %s, want %s as in the grant", path, got, doc.Transcript), "")
	}
	return e, nil
}

// checkOwner verifies the grant as a guest would, if the owner's key is given.
// What the grant must be for comes from the evidence, not from the grant.
func (f *runFlags) checkOwner(o *order, e *evidence.Evidence) error {
	if f.audience == "" {
		return nil
	}
	owner, err := readDecoded("--audience", f.audience, keyfile.MaxSize, keyfile.DecodeAudiencePublic)
	if err != nil {
		return err
	}
	if want := transcript.Audience(audienceOctets(owner)); e.Audience != want {
		return cli.Failed(fmt.Errorf("--evidence: made for audience %s, want %x, that of %s", e.Audience, want, f.audience), "this machine answered somebody else")
	}
	t, err := e.Transcript().Sum()
	if err != nil {
		return err
	}
	// The digest of the evidence is the file's: readEvidence compared it.
	_, err = grant.Open(o.job.Grant, grant.Expectation{
		Owner: audienceOctets(owner), T: t, Evidence: o.doc.Evidence, Release: e.Release, Now: time.Now(),
	})
	if err != nil {
		return cli.Failed(fmt.Errorf("--grant: %s: %w", f.grant, err), "ask the owner for the grant again")
	}
	return nil
}

// fill has the job run and writes what came out.
func (o *order) fill(ctx context.Context, folder *output.Folder, client *guestClient, job []byte, most time.Duration) (*runResult, error) {
	result, id, err := client.run(ctx, job, most)
	if err != nil {
		return nil, err
	}
	d, err := receipt.Open(result.Receipt, o.signer)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	if err := o.compare(d, result); err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	for i, out := range result.Outputs {
		plain, err := grant.OpenOutput(o.key, o.digest, out.Slot, out.Sealed[o.recipient])
		if err != nil {
			return nil, fmt.Errorf("job %s: %w", id, err)
		}
		if want := d.Outputs[i].Size; int64(len(plain)) != want {
			return nil, fmt.Errorf("job %s: output %d: got %d bytes, want %d as in the receipt", id, out.Slot, len(plain), want)
		}
		if err := folder.WriteSecret(outputPrefix+fmt.Sprint(out.Slot), writeBytes(plain)); err != nil {
			return nil, err
		}
	}
	if err := folder.Write(receiptName, writeBytes(result.Receipt)); err != nil {
		return nil, err
	}
	return &runResult{job: id, receipt: d, digest: sha256.Sum256(result.Receipt)}, nil
}

// runResult is what `run` prints.
type runResult struct {
	job     canon.Octets16
	receipt *receipt.Document
	digest  [32]byte // SHA-256 of the receipt file
}

// jsonRun is the result of `run --json`.
type jsonRun struct {
	Job     string       `json:"job"`
	Exit    int64        `json:"exit"`
	Trap    string       `json:"trap"`
	Wall    int64        `json:"wall_us"`
	Memory  int64        `json:"memory_peak"`
	Outputs []jsonOutput `json:"outputs"`
	Receipt string       `json:"receipt"` // SHA-256 of the file
}

type jsonOutput struct {
	File string `json:"file"`
	Kind string `json:"kind"`
	Size int64  `json:"size"`
}

func (f *runFlags) print(stdout io.Writer, r *runResult) error {
	j := jsonRun{
		Job: r.job.String(), Exit: r.receipt.Exit, Trap: r.receipt.Trap, Wall: r.receipt.WallMicros,
		Memory: r.receipt.MemoryPeak, Outputs: []jsonOutput{}, Receipt: hex.EncodeToString(r.digest[:]),
	}
	for _, o := range r.receipt.Outputs {
		j.Outputs = append(j.Outputs, jsonOutput{outputPrefix + fmt.Sprint(o.Slot), o.Kind, o.Size})
	}
	if f.json {
		return cli.WriteJSON(stdout, j)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "job %s\nexit %d\n", j.Job, j.Exit)
	if j.Trap != "" {
		fmt.Fprintf(&b, "trap %s\n", j.Trap)
	}
	fmt.Fprintf(&b, "wall_us %d\nmemory_peak %d\n", j.Wall, j.Memory)
	for _, o := range j.Outputs {
		fmt.Fprintf(&b, "%s %s %d bytes\n", o.File, o.Kind, o.Size)
	}
	fmt.Fprintf(&b, "receipt %s\n", j.Receipt)
	_, err := io.WriteString(stdout, b.String())
	return err
}
