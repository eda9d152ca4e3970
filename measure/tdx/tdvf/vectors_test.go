package tdvf

import (
	"crypto/sha512"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eventlog"
	"safebox/measure/ovmf"
	"safebox/measure/vectortest"
)

func TestVectors(t *testing.T) {
	vectortest.Each(t, os.DirFS("../../testdata"), "tdx/tdvf", func(t *testing.T, v vectortest.Vector) {
		switch v.ID {
		case "tdx":
			debian(t, v)
		case "gce/TestNumaBanks":
			numaBanks(t, v)
		case "dstack/tdx-lite-hw", "dstack/ccel-1gib-td-hob":
			realHOB(t, v)
		default:
			t.Fatal("no test for this vector")
		}
	})
}

func open(t testing.TB, b []byte) *ovmf.Image {
	t.Helper()
	im, err := ovmf.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func sha384(b []byte) string { return Digest(sha512.Sum384(b)).String() }

// debian runs a real firmware. Single-pass and tdhob-bug come from
// gce-tcb-verifier, two-pass from the research that wrote the vectors.
func debian(t *testing.T, v vectortest.Vector) {
	var want struct {
		Firmware string `json:"firmware"`
		Single   string `json:"mrtd_single_pass"`
		Two      string `json:"mrtd_two_pass"`
		Bug      string `json:"mrtd_gce_tdhob_bug_c3_standard_4"`
		CFV      string `json:"cfv_sha384"`
	}
	v.Decode(t, &want)
	im := open(t, v.File(t, want.Firmware))
	machine, err := ParseGCEMachine("c3-standard-4")
	if err != nil {
		t.Fatal(err)
	}
	hob, err := GCEHOB(im, machine, EarlyAcceptLow)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Order: SinglePass}, want.Single},
		{Options{Order: TwoPass}, want.Two},
		{Options{Order: TDHOBBug, HOB: hob}, want.Bug},
	} {
		got, err := MRTD(im, c.options)
		if err != nil || got.String() != c.want {
			t.Errorf("%v: got %v, %v, want %s", c.options.Order, got, err, c.want)
		}
	}
	cfv, err := CFV(im)
	if err != nil || sha384(cfv) != want.CFV {
		t.Errorf("CFV: got %s, %v, want %s", sha384(cfv), err, want.CFV)
	}
}

func numaBanks(t *testing.T, v vectortest.Vector) {
	var want struct {
		Machine  string      `json:"machine_type"`
		Expected [][2]uint64 `json:"expected"`
	}
	v.Decode(t, &want)
	m, err := ParseGCEMachine(want.Machine)
	if err != nil {
		t.Fatal(err)
	}
	banks, err := m.Banks()
	if err != nil {
		t.Fatal(err)
	}
	var got [][2]uint64
	for _, r := range banks {
		got = append(got, [2]uint64{r.Start, r.Length})
	}
	if diff := cmp.Diff(want.Expected, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// realHOB rebuilds a HOB that a real TD's firmware measured, from the memory
// size and the ranges of its firmware, and finds its digest in the TD's own
// log.
func realHOB(t *testing.T, v vectortest.Vector) {
	var td struct {
		Inputs struct {
			Memory   uint64      `json:"memory_bytes"`
			HOB      uint64      `json:"td_hob_gpa"`
			Accepted [][2]uint64 `json:"accepted_ranges"`
		} `json:"inputs"`
		Expected struct {
			HOB string `json:"td_hob_sha384"`
		} `json:"expected"`
	}
	v.Decode(t, &td)
	var accepted []Range
	var memory []ovmf.TDXSection
	for _, r := range td.Inputs.Accepted {
		accepted = append(accepted, Range{r[0], r[1] - r[0]})
		typ := ovmf.TempMem
		if r[0] == td.Inputs.HOB {
			typ = ovmf.TDHOB
		}
		memory = append(memory, ovmf.TDXSection{GPA: r[0], MemSize: r[1] - r[0], Type: typ})
	}
	fromRanges, err := HOB([]Range{{0, td.Inputs.Memory}}, td.Inputs.HOB, accepted)
	if err != nil {
		t.Fatal(err)
	}
	fromMetadata, err := TDHOB(image(t, 0x400000, 0x84000, memory), td.Inputs.Memory)
	if err != nil {
		t.Fatal(err)
	}
	logged := firstDigest(t, v)
	for _, got := range []string{sha384(fromRanges), sha384(fromMetadata), logged} {
		if got != td.Expected.HOB {
			t.Errorf("got %s, want %s", got, td.Expected.HOB)
		}
	}
}

// firstDigest gives the digest of the first event of the TD's log.
func firstDigest(t *testing.T, v vectortest.Vector) string {
	t.Helper()
	if v.ID == "dstack/ccel-1gib-td-hob" {
		l, err := eventlog.DecodeCCEL(v.File(t, "ccel.bin"))
		if err != nil {
			t.Fatal(err)
		}
		return Digest(l.Events[0].Digests[0].Value).String()
	}
	var quote struct {
		Log string `json:"event_log"`
	}
	if err := json.Unmarshal(v.File(t, "tdx-lite-getquote.json"), &quote); err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Digest string `json:"digest"`
	}
	if err := json.Unmarshal([]byte(quote.Log), &events); err != nil {
		t.Fatal(err)
	}
	return events[0].Digest
}
