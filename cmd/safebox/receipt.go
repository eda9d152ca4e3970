package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"safebox/cmd/internal/cli"
	"safebox/verifier"
	"safebox/verifier/canon"
	"safebox/verifier/receipt"
	"safebox/verifier/verdict"
)

func receiptCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "receipt",
		Short: "Check what a machine says about a run",
		RunE:  cli.Group,
	}
	c.AddCommand(receiptVerifyCommand())
	return c
}

func receiptVerifyCommand() *cobra.Command {
	var f evidenceFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify FILE --evidence FILE --bundle FILE --policy FILE (--ak PIN | --challenge FILE)",
		Short: "Verify a receipt and the evidence of the machine that signed it",
		Long: `Verifies the evidence as safebox verify does, but for what only holds for a
while: it may be old. The machine's attestation key must be known by a pin, or
by the challenge with FILE.secret beside it. Then the receipt must be signed by
the key in the evidence and name that evidence, its transcript and its release.

Prints one line for each check, what was left unchecked and why, and what the
receipt says. --json: {"verdict":..,"receipt":..}; receipt is null unless every
check passed.`,
		Args: cli.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return verifyReceipt(c.OutOrStdout(), &f, args[0], asJSON)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// jsonReceipt is the result of `receipt verify --json`.
type jsonReceipt struct {
	Verdict *verdict.Verdict  `json:"verdict"`
	Receipt *receipt.Document `json:"receipt"` // nil unless the verdict is yes
}

func verifyReceipt(stdout io.Writer, f *evidenceFlags, path string, asJSON bool) error {
	inputs, err := f.inputs()
	if err != nil {
		return err
	}
	if err := checkOutputs([]string{f.vendor.memory}, append(inputs, path)...); err != nil {
		return err
	}
	in, err := f.read(false)
	if err != nil {
		return err
	}
	envelope, err := readStart(path, receipt.MaxFile+1)
	if err != nil {
		return err
	}
	result := verifier.VerifyReceiptEvidence(in)
	doc := checkReceipt(result, envelope)
	if doc != nil {
		if err := f.vendor.remember(result); err != nil {
			return err
		}
	}
	if asJSON {
		err = cli.WriteJSON(stdout, jsonReceipt{result.Verdict, doc})
	} else {
		text := result.Verdict.Text()
		if doc != nil {
			text += receiptText(doc)
		}
		_, err = io.WriteString(stdout, text)
	}
	if err != nil {
		return err
	}
	if doc == nil {
		return errors.New("receipt refused")
	}
	return nil
}

// checkReceipt adds the checks RCP-1 to RCP-4 of docs/format-receipt.md to
// the verdict on the evidence, and gives the receipt if all passed.
func checkReceipt(result *verifier.Result, envelope []byte) *receipt.Document {
	v := result.Verdict
	checks := []verdict.Check{
		{ID: "RCP-1", Name: "receipt is signed by the machine of the evidence", Source: "format-receipt.md: steps 1 to 3", Hint: "give the evidence that the grant was made upon"},
		{ID: "RCP-2", Name: "receipt names this evidence", Source: "format-receipt.md: evidence", Hint: "give the evidence that the grant was made upon"},
		{ID: "RCP-3", Name: "receipt names its transcript", Source: "format-receipt.md: transcript", Hint: "give the evidence that the grant was made upon"},
		{ID: "RCP-4", Name: "receipt names its release", Source: "format-receipt.md: release", Hint: "give the evidence that the grant was made upon"},
	}
	for i := range checks {
		checks[i].Want, checks[i].Got = "evidence that every check accepts", "evidence refused"
	}
	var doc *receipt.Document
	if claims := result.Claims; v.OK && claims != nil {
		doc = compareReceipt(checks, claims, envelope)
	}
	for i := range checks {
		if checks[i].OK {
			checks[i].Hint = ""
		} else {
			doc, v.OK = nil, false
		}
	}
	v.Checks = append(v.Checks, checks...)
	return doc
}

// compareReceipt fills in the four checks.
func compareReceipt(checks []verdict.Check, claims *verifier.Claims, envelope []byte) *receipt.Document {
	key := canon.Octets32(claims.ReceiptKey)
	checks[0].Reached, checks[0].Want = true, "signed by "+key.String()
	doc, err := receipt.Open(envelope, claims.ReceiptKey)
	if err != nil {
		checks[0].Got = err.Error()
		for i := range checks[1:] {
			checks[i+1].Want, checks[i+1].Got = "a receipt", "none that can be relied on"
		}
		return nil
	}
	checks[0].OK, checks[0].Got = true, "signed by "+key.String()
	for i, c := range []struct{ want, got canon.Octets32 }{
		{claims.Evidence, doc.Evidence},
		{sha256.Sum256(claims.T[:]), doc.Transcript},
		{claims.Release, doc.Release},
	} {
		check := &checks[i+1]
		check.Reached = true
		check.OK, check.Want, check.Got = c.want == c.got, c.want.String(), c.got.String()
	}
	return doc
}

// receiptText is what a verified receipt says.
func receiptText(d *receipt.Document) string {
	var b strings.Builder
	fmt.Fprintf(&b, "grant %s\nmodule %s\nparams %s\n", d.Grant, d.Module, d.Params)
	for _, in := range d.Inputs {
		fmt.Fprintf(&b, "input %s chunks %s\n", in.Root, in.Ranges)
	}
	for _, o := range d.Outputs {
		fmt.Fprintf(&b, "output %d %s %d bytes\n", o.Slot, o.Kind, o.Size)
	}
	if d.Trap != "" {
		fmt.Fprintf(&b, "trap %s\n", d.Trap)
	}
	fmt.Fprintf(&b, "exit %d\n", d.Exit)
	return b.String()
}
