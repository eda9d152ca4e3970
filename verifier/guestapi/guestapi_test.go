package guestapi

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/challenge"
)

func TestPaths(t *testing.T) {
	const id = "000102030405060708090a0b0c0d0e0f"
	if got := JobPath(id); got != "/v1/jobs/"+id {
		t.Errorf("got %s", got)
	}
	if got := ResultPath(id); got != "/v1/jobs/"+id+"/result" {
		t.Errorf("got %s", got)
	}
}

func TestParseJobID(t *testing.T) {
	id, err := ParseJobID("000102030405060708090a0b0c0d0e0f")
	if want := (canon.Octets16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}); err != nil || id != want {
		t.Errorf("got %v, %v", id, err)
	}
	for _, bad := range []string{
		"", "00", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("0", 34),
		strings.Repeat("A", 32), strings.Repeat("g", 32), strings.Repeat("0", 31) + "/", " " + strings.Repeat("0", 31),
	} {
		if id, err := ParseJobID(bad); err == nil {
			t.Errorf("%q: parsed as %v", bad, id)
		}
	}
}

// TestProblem: the body is what docs/format-job.md prints.
func TestProblem(t *testing.T) {
	p := &Problem{ID: "grant-time", Detail: `expired at "noon"`}
	b, err := EncodeProblem(p)
	if want := `{"error":{"detail":"expired at \"noon\"","id":"grant-time"}}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	got, err := DecodeProblem(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, got); d != "" {
		t.Error(d)
	}
	var as *Problem
	if err := fmt.Errorf("asking: %w", got); !errors.As(err, &as) || err.Error() != `asking: grant-time: expired at "noon"` {
		t.Errorf("got %v", err)
	}
}

// TestProblemDetail: whatever an error text holds, a problem can be sent, and
// one line of text arrives.
func TestProblemDetail(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"lines", "a\nb\r\n\tc", "a b   c"},
		{"terminal", "\x1b[2Jx\u009b\x7f", " [2Jx  "},
		{"direction of writing", "a\u202eb", "a b"},
		{"broken UTF-8", "a\xff\xfeb", "a b"},
		{"letters", "größer als 1 €", "größer als 1 €"},
		{"at the limit", strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		{"beyond", strings.Repeat("x", 1025), strings.Repeat("x", 1024)},
		{"cut inside a letter", strings.Repeat("x", 1023) + "€", strings.Repeat("x", 1023)},
		{"all quotation marks", strings.Repeat(`"`, 5000), strings.Repeat(`"`, 1024)},
	} {
		b, err := EncodeProblem(&Problem{ID: "x", Detail: tt.in})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		p, err := DecodeProblem(b)
		if err != nil || p.Detail != tt.want {
			t.Errorf("%s: got %+v, %v, want %q", tt.name, p, err, tt.want)
		}
	}
}

func TestProblemRefuses(t *testing.T) {
	for _, id := range []string{"", "Grant", "grant time", "grant_time", "grant:time", "größe", strings.Repeat("x", 65)} {
		if b, err := EncodeProblem(&Problem{ID: id}); err == nil {
			t.Errorf("%q: encoded as %s", id, b)
		}
		if _, err := DecodeProblem([]byte(`{"error":{"detail":"","id":"` + id + `"}}`)); err == nil {
			t.Errorf("%q: decoded", id)
		}
	}
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "EOF"},
		{"null", `{"error":null}`, "not in canonical form"},
		{"text", `{"error":"only GET is allowed"}`, "cannot unmarshal"},
		{"newline at end", `{"error":{"detail":"","id":"x"}}` + "\n", "not in canonical form"},
		{"unknown member", `{"error":{"code":1,"detail":"","id":"x"}}`, `unknown field "code"`},
		{"missing member", `{"error":{"id":"x"}}`, "not in canonical form"},
		{"control characters", `{"error":{"detail":"\u001b","id":"x"}}`, "characters that do not print"},
		{"two lines", `{"error":{"detail":"a\nb","id":"x"}}`, "characters that do not print"},
		{"long detail", `{"error":{"detail":"` + strings.Repeat("x", 1025) + `","id":"x"}}`, "detail: got 1025 bytes, want at most 1024"},
		{"too large", strings.Repeat(" ", 8193), "8193 bytes, want at most 8192"},
	} {
		if _, err := DecodeProblem([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestStatus(t *testing.T) {
	id := canon.Octets16{15: 1}
	for _, tt := range []struct {
		status Status
		want   string
	}{
		{Status{StatusType, id, Running, nil}, `{"job":"00000000000000000000000000000001","problem":null,"state":"running","type":"safebox/job-status/v1"}`},
		{Status{StatusType, id, Done, nil}, `{"job":"00000000000000000000000000000001","problem":null,"state":"done","type":"safebox/job-status/v1"}`},
		{
			Status{StatusType, id, Failed, &Problem{"job-busy", "no"}},
			`{"job":"00000000000000000000000000000001","problem":{"detail":"no","id":"job-busy"},"state":"failed","type":"safebox/job-status/v1"}`,
		},
	} {
		b, err := tt.status.Encode()
		if err != nil || string(b) != tt.want {
			t.Errorf("got %s, %v, want %s", b, err, tt.want)
		}
		got, err := DecodeStatus([]byte(tt.want))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&tt.status, got); d != "" {
			t.Error(d)
		}
	}
}

func TestStatusRefuses(t *testing.T) {
	p := &Problem{"job-busy", "no"}
	for _, tt := range []struct {
		name   string
		status Status
		want   string
	}{
		{"other type", Status{"safebox/job-status/v2", canon.Octets16{}, Running, nil}, `type: got "safebox/job-status/v2", want "safebox/job-status/v1"`},
		{"no state", Status{StatusType, canon.Octets16{}, "", nil}, `state: got "", want "running", "done" or "failed"`},
		{"other state", Status{StatusType, canon.Octets16{}, "Done", nil}, `state: got "Done"`},
		{"running with a problem", Status{StatusType, canon.Octets16{}, Running, p}, `problem: got job-busy, want null in state "running"`},
		{"done with a problem", Status{StatusType, canon.Octets16{}, Done, p}, `problem: got job-busy, want null in state "done"`},
		{"failed without", Status{StatusType, canon.Octets16{}, Failed, nil}, `problem: got null, want a problem in state "failed"`},
		{"no ID", Status{StatusType, canon.Octets16{}, Failed, &Problem{"", "no"}}, "problem: id: got 0 bytes"},
	} {
		if _, err := tt.status.Encode(); err == nil || !strings.HasPrefix(err.Error(), "encoding job status: "+tt.want) {
			t.Errorf("%s: encoding: got %v, want %s", tt.name, err, tt.want)
		}
		b, err := canon.Marshal(tt.status)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeStatus(b); err == nil || !strings.HasPrefix(err.Error(), "decoding job status: "+tt.want) {
			t.Errorf("%s: decoding: got %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := DecodeStatus(make([]byte, MaxStatus+1)); err == nil || !strings.Contains(err.Error(), "9217 bytes, want at most 9216") {
		t.Errorf("too large: got %v", err)
	}
}

// TestStatusDetail: a problem of any text can be told.
func TestStatusDetail(t *testing.T) {
	p := &Problem{"worker-start", strings.Repeat("\"\n", 5000)}
	b, err := (&Status{StatusType, canon.Octets16{}, Failed, p}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeStatus(b); err != nil {
		t.Error(err)
	}
	if len(p.Detail) != 10000 {
		t.Error("the caller's problem was changed")
	}
}

// identity is that of the software TPM whose enrollment file lies in
// verifier/testdata/vtpm, as a guest would tell it.
func identity(t testing.TB) *Identity {
	t.Helper()
	b, err := os.ReadFile("../testdata/vtpm/enrollment.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := challenge.DecodeEnrollment(b)
	if err != nil {
		t.Fatal(err)
	}
	return &Identity{Type: IdentityType, AK: e.AK, EKs: []EK{
		{challenge.ECC384, e.EKPublic, e.EKCertificate},
		{challenge.RSA2048, e.EKPublic, e.EKCertificate},
	}}
}

func TestIdentity(t *testing.T) {
	id := identity(t)
	b, err := id.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeIdentity(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(id, got); d != "" {
		t.Error(d)
	}
	id.EKs = nil
	b, err = id.Encode()
	if err != nil || !bytes.Contains(b, []byte(`"eks":[]`)) {
		t.Fatalf("without keys: got %s, %v", b, err)
	}
	if _, err := DecodeIdentity(b); err != nil {
		t.Errorf("without keys: %v", err)
	}
}

func TestIdentityRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Identity)
		want   string
	}{
		{"other type", func(id *Identity) { id.Type = "x" }, `type: got "x", want "safebox/identity/v1"`},
		{"no AK", func(id *Identity) { id.AK = nil }, "ak: got 0 bytes, want 1 to 1024"},
		{"long AK", func(id *Identity) { id.AK = make([]byte, 1025) }, "ak: got 1025 bytes"},
		{"other kind", func(id *Identity) { id.EKs[0].Kind = "ecc256" }, `ek 0: kind: got "ecc256", want "rsa2048" or "ecc384"`},
		{"kind twice", func(id *Identity) { id.EKs[1] = id.EKs[0] }, "ek 1: kind: got ecc384 after ecc384"},
		{"other order", func(id *Identity) { id.EKs[0], id.EKs[1] = id.EKs[1], id.EKs[0] }, "ek 1: kind: got ecc384 after rsa2048"},
		{"no public key", func(id *Identity) { id.EKs[1].Public = nil }, "ek 1: public: got 0 bytes"},
		{"long public key", func(id *Identity) { id.EKs[1].Public = make([]byte, 1025) }, "ek 1: public: got 1025 bytes"},
		{"no certificate", func(id *Identity) { id.EKs[0].Certificate = nil }, "ek 0: certificate: got 0 bytes"},
		{"long certificate", func(id *Identity) { id.EKs[0].Certificate = make([]byte, 8193) }, "ek 0: certificate: got 8193 bytes"},
	} {
		id := identity(t)
		tt.change(id)
		if _, err := id.Encode(); err == nil || !strings.HasPrefix(err.Error(), "encoding identity: "+tt.want) {
			t.Errorf("%s: encoding: got %v, want %s", tt.name, err, tt.want)
		}
		b, err := canon.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeIdentity(b); err == nil || !strings.HasPrefix(err.Error(), "decoding identity: "+tt.want) {
			t.Errorf("%s: decoding: got %v, want %s", tt.name, err, tt.want)
		}
	}
	for _, bad := range []string{"", "null", `{"ak":"AA==","eks":null,"type":"safebox/identity/v1"}`, strings.Repeat(" ", MaxIdentity+1)} {
		if _, err := DecodeIdentity([]byte(bad)); err == nil {
			t.Errorf("%.80q: accepted", bad)
		}
	}
}

func FuzzDecodeProblem(f *testing.F) {
	f.Add([]byte(`{"error":{"detail":"expired at \"noon\"","id":"grant-time"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeProblem(b)
		if err != nil {
			return
		}
		again, err := EncodeProblem(p)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %s, encodes as %s, %v", b, again, err)
		}
	})
}

// FuzzEncodeProblem: with a good ID, every detail can be sent and read.
func FuzzEncodeProblem(f *testing.F) {
	f.Add("expired\n\x1b[2J€\xff")
	f.Fuzz(func(t *testing.T, detail string) {
		b, err := EncodeProblem(&Problem{"x", detail})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeProblem(b); err != nil {
			t.Errorf("%q became %s: %v", detail, b, err)
		}
	})
}

func FuzzDecodeStatus(f *testing.F) {
	f.Add([]byte(`{"job":"00000000000000000000000000000001","problem":null,"state":"done","type":"safebox/job-status/v1"}`))
	f.Add([]byte(`{"job":"00000000000000000000000000000001","problem":{"detail":"no","id":"job-busy"},"state":"failed","type":"safebox/job-status/v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeStatus(b)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %s, encodes as %s, %v", b, again, err)
		}
	})
}

func FuzzDecodeIdentity(f *testing.F) {
	id := identity(f)
	for i := range id.EKs { // real, but short
		id.EKs[i].Public, id.EKs[i].Certificate = id.EKs[i].Public[:16], id.EKs[i].Certificate[:16]
	}
	b, err := id.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := DecodeIdentity(b)
		if err != nil {
			return
		}
		again, err := id.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %s, encodes as %s, %v", b, again, err)
		}
	})
}
