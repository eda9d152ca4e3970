package explain_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/explain/explainsev"
	"safebox/measure/explain/internal/explaintest"
)

// data is measure/testdata.
var data = explaintest.New(os.DirFS("../testdata"))

// TestOutput: what is printed never says that anything matches.
func TestOutput(t *testing.T) {
	t.Parallel()
	in := data.Guest(t, explaintest.DebianVectors, "deb/qemu-1")
	const reported = "676826e902524799a067f7c43b3ab0101dce73a2506d41436dd2f8472fa208081f11f9e65ca5d2439785732a0bfd8339" // deb/qemu-4
	r, err := in.Explain(explaintest.Unhex(t, reported))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := `launch_digest differs
expected 6eef547a9fcf5720c5c04883fe85788d29de46b55a51e554467029b554a3352e66d2f3c71b84cea937d19a1a6c41596f
reported ` + reported + `
- the reported launch digest is what this launch gives with 4 vCPUs instead of 1
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("text: -want +got:\n%s", diff)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	head := `{"value":"launch_digest","verdict":"differs","expected":"6eef547a9fcf5720c5c04883fe85788d29de46b55a51e554467029b554a3352e66d2f3c71b84cea937d19a1a6c41596f","reported":"` +
		reported + `","findings":[{"changes":[{"axis":"vCPUs","expected":"1","explains":"4"}],` +
		`"sentence":"the reported launch digest is what this launch gives with 4 vCPUs instead of 1"}],"tried":`
	if !strings.HasPrefix(string(b), head) {
		t.Errorf("JSON: got %s, want it to begin with %s", b, head)
	}
	if !strings.HasSuffix(string(b), `],"notes":[]}`) {
		t.Errorf("JSON: got %s, want empty notes at its end", b)
	}
	if strings.Contains(text.String()+string(b), "match") {
		t.Error("an explanation says that something matches")
	}
}

// TestOutputOfNothing: lists are empty, not null.
func TestOutputOfNothing(t *testing.T) {
	t.Parallel()
	r := explainSNP(t, data.Guest(t, explaintest.DebianVectors, "deb/sev"), make([]byte, 32))
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"findings":[]`) {
		t.Errorf("got %s, want empty findings", b)
	}
	for _, want := range []string{"all zeros", "LAUNCH_MEASURE", "a hash does not tell"} {
		if !strings.Contains(strings.Join(r.Summary(), "\n"), want) {
			t.Errorf("got %q, want a sentence with %q", r.Summary(), want)
		}
	}
}

// BenchmarkMiss searches in vain: the longest that a search takes.
func BenchmarkMiss(b *testing.B) {
	svsm := data.Guest(b, explaintest.SSMVectors, "ssm/test_snp_svsm_2_vcpus")
	withKernel := data.Guest(b, explaintest.DstackVectors, "dstack/real-milan-2vcpu")
	debian := data.Guest(b, explaintest.DebianVectors, "deb/qemu-4")
	for name, c := range map[string]struct {
		in explainsev.Guest
		n  int
	}{"SNP": {debian, 48}, "SNP-kernel": {withKernel, 48}, "SVSM": {svsm, 48}, "SEV": {debian, 32}} {
		b.Run(name, func(b *testing.B) {
			unrelated := make([]byte, c.n)
			unrelated[0] = 1
			for b.Loop() {
				if r, err := c.in.Explain(unrelated); err != nil || len(r.Findings) != 0 {
					b.Fatal(r, err)
				}
			}
		})
	}
	td := acpiTD(b)
	for i, name := range []string{"MRTD", "RTMR0", "RTMR1", "RTMR2"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := td.Explain(at(i, bytes.Repeat([]byte{1}, 48))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
