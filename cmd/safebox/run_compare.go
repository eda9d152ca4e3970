package main

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
	"safebox/verifier/receipt"
)

// compare holds a signed receipt against what was sent, and the result against
// the receipt (docs/format-receipt.md, steps 4 and 5; step 6 is in fill).
func (o *order) compare(d *receipt.Document, result *guestapi.Result) error {
	for _, f := range []struct {
		name      string
		got, want canon.Octets32
	}{
		{"grant", d.Grant, o.digest},
		{"module", d.Module, sha256.Sum256(o.job.Module)},
		{"params", d.Params, sha256.Sum256(o.job.Params)},
		{"evidence", d.Evidence, o.doc.Evidence},
		{"transcript", d.Transcript, o.doc.Transcript},
		{"release", d.Release, o.doc.Release},
	} {
		if f.got != f.want {
			return fmt.Errorf("receipt: %s: got %s, want %s", f.name, f.got, f.want)
		}
	}
	if d.Serial != o.doc.Serial {
		return fmt.Errorf("receipt: serial: got %s, want %s", d.Serial, o.doc.Serial)
	}
	if len(d.Inputs) != 1 || d.Inputs[0].Root != o.doc.Object {
		return fmt.Errorf("receipt: inputs: got %v, want the object %s alone", d.Inputs, o.doc.Object)
	}
	if got, want := d.Inputs[0].Ranges, o.doc.Ranges; !slices.Equal(got, want) {
		return fmt.Errorf("receipt: chunks: got %s, want %s", got, want)
	}
	return o.compareOutputs(d, result)
}

// compareOutputs wants exactly the outputs that the receipt names, each with
// its digests, sealed to as many recipients as the grant has.
func (o *order) compareOutputs(d *receipt.Document, result *guestapi.Result) error {
	if len(result.Outputs) != len(d.Outputs) {
		return fmt.Errorf("outputs: got %d, want %d as in the receipt", len(result.Outputs), len(d.Outputs))
	}
	for i, out := range result.Outputs {
		named := d.Outputs[i]
		if out.Slot != named.Slot {
			return fmt.Errorf("output %d: got slot %d, want %d as in the receipt", i, out.Slot, named.Slot)
		}
		if len(out.Sealed) != len(named.Sealed) || len(out.Sealed) != len(o.doc.Recipients) {
			return fmt.Errorf("output %d: got %d ciphertexts, receipt %d, want %d as the grant has recipients",
				out.Slot, len(out.Sealed), len(named.Sealed), len(o.doc.Recipients))
		}
		for r, sealed := range out.Sealed {
			if got := canon.Octets32(sha256.Sum256(sealed)); got != named.Sealed[r] {
				return fmt.Errorf("output %d for recipient %d: got SHA-256 %s, want %s as in the receipt", out.Slot, r, got, named.Sealed[r])
			}
		}
	}
	return nil
}
