package snp

import (
	"encoding/binary"
	"os"
	"testing"

	"safebox/measure/vectortest"
)

// TestHardware rebuilds the MEASUREMENT of a report that an EPYC Milan signed
// (Dstack-TEE, captured 2026-06-17) from the metadata of its launch.
func TestHardware(t *testing.T) {
	ran := false
	vectortest.Each(t, os.DirFS("../testdata"), "snp", func(t *testing.T, v vectortest.Vector) {
		if v.ID != "dstack/real-milan-2vcpu" {
			return
		}
		ran = true
		// 00 03, then the report with its length before it as a SCALE compact
		// integer of two bytes: low bits 01, the rest is the length.
		const reportSize, measurement = 0x4a0, 0x90 // AMD 56860, ATTESTATION_REPORT
		b := v.File(t, "sev_snp_attestation.bin")
		if n := binary.LittleEndian.Uint16(b[2:]); n != reportSize<<2|1 {
			t.Fatalf("length of the report: got %#x, want %#x", n, reportSize<<2|1)
		}
		report := b[4 : 4+reportSize]
		want := Digest(report[measurement : measurement+len(Digest{})])
		got, err := Measure(decode(t, v).launch(t, v))
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("got %v, want %v as in the report", got, want)
		}
	})
	if !ran {
		t.Error("no vector of real hardware")
	}
}
