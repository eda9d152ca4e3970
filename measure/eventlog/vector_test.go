package eventlog

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"safebox/measure/vectortest"
)

// vector is an entry of the vectors.json files in ../testdata that is about a
// log. Their field "trust" says who vouches for the values.
type vector struct {
	Log      string `json:"log"`
	Table    string `json:"acpi_table"`
	Kind     string `json:"kind"`
	Expected struct {
		Error     string            `json:"error_contains"`
		RTMR0     string            `json:"rtmr0"`
		RTMR1     string            `json:"rtmr1"`
		RTMR2     string            `json:"rtmr2"`
		Plain0    string            `json:"plain_replay_rtmr0"`
		Plain1    string            `json:"plain_replay_rtmr1"`
		Plain2    string            `json:"plain_replay_rtmr2"`
		Replayed0 string            `json:"replayed_rtmr0"`
		Replayed1 string            `json:"replayed_rtmr1"`
		PCRs      map[string]string `json:"pcr_sha256"`
		TDHOB     string            `json:"td_hob_sha384"`
	} `json:"expected"`
}

// TestVectors replays every log that ../testdata/list.txt gives this package.
func TestVectors(t *testing.T) {
	vectortest.Each(t, vectors(), "eventlog", func(t *testing.T, v vectortest.Vector) {
		if v.Origin == "uefi" {
			testBoot(t, v.ID)
			return
		}
		var want vector
		v.Decode(t, &want)
		if v.ID == "dstack/ccel-1gib-td-hob" {
			want.Log = "ccel.bin" // the file that its field "trust" names
		}
		b := v.File(t, want.Log)
		if strings.Contains(want.Kind, "vTPM") {
			testTPM(t, b, want)
			return
		}
		testGuest(t, b, want)
		if want.Table != "" {
			testTable(t, v.File(t, want.Table), b)
		}
	})
}

// testBoot compares with the registers read from the TPM. PCR 10 is the
// kernel's own (IMA) and not in a firmware log.
func testBoot(t *testing.T, name string) {
	l := readLog(t, "uefi/"+name+"/evlog.bin")
	for _, a := range []Algorithm{SHA256, SHA384} {
		want := readPCRs(t, "uefi/"+name+"/pcrs.txt", a.String())
		if len(want) != PCRs {
			t.Fatalf("%v: %d registers in pcrs.txt, want %d", a, len(want), PCRs)
		}
		got, err := l.Replay(a)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if i != 10 && !bytes.Equal(got[i], want[i]) {
				t.Errorf("%v PCR %d: got %x, want %x", a, i, got[i], want[i])
			}
		}
	}
}

// testTPM compares with what another program replayed.
func testTPM(t *testing.T, b []byte, want vector) {
	l, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Replay(SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Expected.PCRs) < 8 {
		t.Fatalf("only %d registers to compare", len(want.Expected.PCRs))
	}
	for name, w := range want.Expected.PCRs {
		i, err := strconv.Atoi(name)
		if err != nil {
			t.Fatal(err)
		}
		if hex.EncodeToString(got[i]) != w {
			t.Errorf("PCR %d: got %x, want %s", i, got[i], w)
		}
	}
	if err := l.CheckData(); err != nil {
		t.Error(err)
	}
}

// testGuest compares RTMR0 to RTMR2; RTMR3 is not in a firmware's log.
func testGuest(t *testing.T, b []byte, want vector) {
	l, err := DecodeCCEL(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Replay()
	if err != nil {
		t.Fatal(err)
	}
	e := want.Expected
	compared := 0
	for i, values := range [][]string{{e.RTMR0, e.Plain0, e.Replayed0}, {e.RTMR1, e.Plain1, e.Replayed1}, {e.RTMR2, e.Plain2}} {
		for _, w := range values {
			if w == "" {
				continue
			}
			compared++
			if hex.EncodeToString(got[i][:]) != w {
				t.Errorf("RTMR%d: got %x, want %s", i, got[i], w)
			}
		}
	}
	if compared == 0 {
		t.Error("no register to compare")
	}
	if got[3] != [48]byte{} {
		t.Errorf("RTMR3: got %x, want zeros", got[3])
	}
	if e.TDHOB != "" && hex.EncodeToString(l.Events[0].Digest(SHA384)) != e.TDHOB {
		t.Errorf("TD HOB: got %x, want %s", l.Events[0].Digest(SHA384), e.TDHOB)
	}
	if err := l.CheckData(); err != nil {
		t.Error(err)
	}
	if e.Error != "" {
		err := l.DuplicateSeparators(1)
		if err == nil || !strings.Contains(err.Error(), e.Error) {
			t.Errorf("duplicate separators: got error %v, want one with %q", err, e.Error)
		}
	}
}

func testTable(t *testing.T, b, log []byte) {
	table, err := DecodeCCELTable(b)
	if err != nil {
		t.Fatal(err)
	}
	l, err := DecodeCCEL(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.CheckLog(l); err != nil {
		t.Error(err)
	}
}
