package tlog_test

import (
	"bytes"
	"strings"
	"testing"

	"safebox/verifier/tlog"
)

// exampleRequest is the example of tlog-witness, "add-checkpoint".
const exampleRequest = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`

// exampleAnswer is the example of its answer.
const exampleAnswer = `— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
`

func TestDecodeAddCheckpoint(t *testing.T) {
	r, err := tlog.DecodeAddCheckpoint([]byte(exampleRequest))
	if err != nil {
		t.Fatal(err)
	}
	if r.Old != 20852014 || len(r.Proof) != 4 || r.Proof[0][0] != 0x3e || r.Proof[3][31] != 0xfd ||
		mustDecode(t, r.Checkpoint).Size != 20852163 {
		t.Errorf("got %+v", r)
	}
	if got := string(r.Encode()); got != exampleRequest {
		t.Errorf("encoded: got %q, want %q", got, exampleRequest)
	}
	signatures, err := tlog.DecodeSignatures([]byte(exampleAnswer))
	if err != nil || len(signatures) != 3 || signatures[2].Name != "witness.example/w2" || len(signatures[2].Sig) != 72 {
		t.Errorf("answer: got %+v, %v", signatures, err)
	}
}

func TestDecodeAddCheckpointRefuses(t *testing.T) {
	const hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="
	for _, tt := range []struct{ name, body, want string }{
		{"nothing", "", "no empty line"},
		{"no old size", hash + "\n\n" + sofa, "line 1"},
		{"checkpoint alone", sofa, "line 1"},
		{"old without a number", "old \n\n" + sofa, "decimal"},
		{"old 01", "old 01\n\n" + sofa, "decimal"},
		{"old -1", "old -1\n\n" + sofa, "decimal"},
		{"old +1", "old +1\n\n" + sofa, "decimal"},
		{"old 2^63", "old 9223372036854775808\n\n" + sofa, "decimal"},
		{"two spaces", "old  1\n\n" + sofa, "decimal"},
		{"CR", "old 1\r\n\n" + sofa, "decimal"},
		{"CR LF", strings.ReplaceAll("old 1\n\n"+sofa, "\n", "\r\n"), "no empty line"},
		{"tab", "old\t1\n\n" + sofa, "line 1"},
		{"hash with CR", "old 1\n" + hash + "\r\n\n" + sofa, "45 characters"},
		{"hash with unused bits", "old 1\n" + loose(t, hash) + "\n\n" + sofa, "one form"},
		{"64 hashes", "old 1\n" + strings.Repeat(hash+"\n", 64) + "\n" + sofa, "at most 63"},
		{"unsigned checkpoint", "old 1\n\n" + sofa[:strings.Index(sofa, "\n\n")+1], "checkpoint"},
		{"no checkpoint", "old 1\n\n", "checkpoint"},
		{"two empty lines", "old 1\n\n\n" + sofa, "checkpoint"},
		{"too long", "old 1\n\n" + strings.Repeat("a", tlog.MaxAddCheckpoint), "decoding request: got"},
	} {
		_, err := tlog.DecodeAddCheckpoint([]byte(tt.body))
		wantError(t, tt.name, err, tt.want)
	}
	if r, err := tlog.DecodeAddCheckpoint([]byte("old 0\n\n" + sofa)); err != nil || r.Old != 0 || r.Proof != nil {
		t.Errorf("from nothing: got %+v, %v", r, err)
	}
	if r, err := tlog.DecodeAddCheckpoint([]byte("old 1\n" + strings.Repeat(hash+"\n", 63) + "\n" + sofa)); err != nil || len(r.Proof) != 63 {
		t.Errorf("63 hashes: %v", err)
	}
}

func FuzzDecodeAddCheckpoint(f *testing.F) {
	f.Add([]byte(exampleRequest))
	f.Add([]byte("old 0\n\n" + sofa))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := tlog.DecodeAddCheckpoint(b)
		if err != nil {
			return
		}
		if got := r.Encode(); !bytes.Equal(got, b) {
			t.Errorf("got %q, want %q", got, b)
		}
	})
}

func FuzzDecodeSignatures(f *testing.F) {
	f.Add([]byte(exampleAnswer))
	f.Fuzz(func(t *testing.T, b []byte) {
		signatures, err := tlog.DecodeSignatures(b)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, s := range signatures {
			again.WriteString(s.String())
		}
		if again.String() != string(b) {
			t.Errorf("got %q, want %q", again.String(), b)
		}
	})
}
