package verdict

import (
	"strings"
	"testing"
)

func example() *Verdict {
	return &Verdict{
		Platform: "vtpm", Type: Type, At: "2026-01-31T12:00:00Z", Boot: "esp", Profile: "test",
		Checks: []Check{
			{ID: "EV-1", OK: true, Want: "w", Got: strings.Repeat("g", 100), Name: "evidence", Source: "s", Reached: true},
			{ID: "FR-1", Want: "<a>", Got: "b\x1b[31m\n\xff", Hint: "do", Name: "nonce", Source: "s", Reached: true},
			{ID: "TPM-R4-sha256", OK: true, Want: "x", Got: "x", Name: "register 4", Source: "s", Reached: true},
			{ID: "TPM-R9-sha256", OK: true, Want: "x", Got: "x", Name: "register 9", Source: "s", Reached: true},
			{ID: "TPM-R9-sha384", Want: "x", Got: "y", Hint: "do", Name: "register 9 of sha384", Source: "s", Reached: true},
			{ID: "CFG-2", Got: "not reached", Hint: "do", Name: "runtime", Source: "s"},
		},
		Waived: []Waiver{{What: "age", Reason: "because"}},
	}
}

// TestText compares with a table written by hand.
func TestText(t *testing.T) {
	want := `ok      EV-1           evidence: ` + strings.Repeat("g", 72) + `...
FAILED  FR-1           nonce
                       want <a>
                       got  bU+001B[31mU+000A�
                       hint do
FAILED  TPM-R9-sha384  register 9 of sha384
                       want x
                       got  y
                       hint do
-       CFG-2          runtime: not reached
ok      TPM-R*-sha256  sha256 registers are the release's: 4 9
waived  age: because
refused: 2 of 6 checks failed: FR-1 TPM-R9-sha384; 1 not reached
`
	v := example()
	if got := v.Text(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	v.OK = true
	v.Checks = v.Checks[:1]
	if got := v.Text(); !strings.HasSuffix(got, "\naccepted: vtpm, 1 checks at 2026-01-31T12:00:00Z under policy test\n") {
		t.Errorf("got %s", got)
	}
}

// TestEncode compares with JSON written by hand: the order of docs/cli.md.
func TestEncode(t *testing.T) {
	v := example()
	v.Checks = v.Checks[1:2]
	want := `{
  "ok": false,
  "platform": "vtpm",
  "checks": [
    {
      "id": "FR-1",
      "ok": false,
      "want": "<a>",
      "got": "b\u001b[31m\n\ufffd",
      "hint": "do",
      "name": "nonce",
      "source": "s",
      "reached": true
    }
  ],
  "type": "safebox/verdict/v1",
  "at": "2026-01-31T12:00:00Z",
  "boot": "esp",
  "profile": "test",
  "evidence": "",
  "bundle": "",
  "policy": "",
  "challenge": "",
  "release": "",
  "collateral": "",
  "waived": [
    {
      "what": "age",
      "reason": "because"
    }
  ]
}
`
	got, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPublished: how a release was published, in the table and as JSON: written
// by hand.
func TestPublished(t *testing.T) {
	v := &Verdict{OK: true, Platform: "snp", At: "2026-01-31T12:00:00Z", Profile: "strict", Checks: []Check{}, Waived: []Waiver{}, Published: &Published{
		Version: "1.2.3", SVN: 7, Origin: "log.example\x1b[31m", Size: 5, Root: "ab", Time: "2026-01-31T11:00:00Z", Rebuilt: []string{"A", "B & C"},
	}}
	want := `release 1.2.3, svn 7, of log log.exampleU+001B[31m with 5 entries at 2026-01-31T11:00:00Z; rebuilt by ["A" "B & C"]` +
		"\naccepted: snp, 0 checks at 2026-01-31T12:00:00Z under policy strict\n"
	if got := v.Text(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	b, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const member = `  "waived": [],
  "published": {
    "version": "1.2.3",
    "svn": 7,
    "origin": "log.example\u001b[31m",
    "size": 5,
    "root": "ab",
    "time": "2026-01-31T11:00:00Z",
    "rebuilt": [
      "A",
      "B & C"
    ]
  }
}
`
	if !strings.HasSuffix(string(b), member) {
		t.Errorf("got\n%s\nwant at its end\n%s", b, member)
	}
	v.Published.Time = ""
	if got := v.Text(); !strings.Contains(got, "with 5 entries at no time; rebuilt") {
		t.Errorf("got %s", got)
	}
}

func TestFind(t *testing.T) {
	v := example()
	if c, ok := v.Check("FR-1"); !ok || c.Name != "nonce" {
		t.Errorf("got %+v, %t", c, ok)
	}
	if _, ok := v.Check("FR-2"); ok {
		t.Error("found a check that is not there")
	}
	if n := len(v.Failed()); n != 3 {
		t.Errorf("got %d failed checks, want 3", n)
	}
}
