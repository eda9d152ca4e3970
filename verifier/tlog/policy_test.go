package tlog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/transparency-dev/formats/witness"

	"safebox/verifier/tlog"
)

// witnesses makes n witnesses' keys, named witness.example/1 and so on.
func witnesses(t testing.TB, n int) []*tlog.Cosigner {
	t.Helper()
	var out []*tlog.Cosigner
	for i := range n {
		out = append(out, cosigner(t, fmt.Sprintf("witness.example/%d", i+1), tlog.CosignatureEd25519, byte(100+i)))
	}
	return out
}

// example is the policy of tlog-policy, "Example policy", with keys.
func example(t testing.TB) (text string, keys []*tlog.Cosigner) {
	t.Helper()
	w := witnesses(t, 6)
	v := func(i int) string { return w[i].Key().String() }
	return `log ` + logSigner(t, origin, 1).Key().String() + `

witness X1 ` + v(0) + `
witness X2 ` + v(1) + `
witness X3 ` + v(2) + `
group X-witnesses 2 X1 X2 X3

witness Y1 ` + v(3) + `
witness Y2 ` + v(4) + `
witness Y3 ` + v(5) + `
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`, w
}

// The document's example: two of X and one of Y, in all 64 cases, and the same
// answers as the library's.
func TestExamplePolicy(t *testing.T) {
	text, keys := example(t)
	p, err := tlog.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := witness.ParsePolicy([]byte(withURLs(text)))
	if err != nil {
		t.Fatal(err)
	}
	base := signed(t, logSigner(t, origin, 1), &tlog.Checkpoint{Origin: origin, Size: 3, Root: [32]byte{1}})
	names := []string{"X1", "X2", "X3", "Y1", "Y2", "Y3"}
	for mask := range 64 {
		note, x, y := base, 0, 0
		var want []tlog.Cosignature
		for i, k := range keys {
			if mask>>i&1 == 1 {
				note = cosigned(t, note, k, now+int64(i))
				want = append(want, tlog.Cosignature{Witness: names[i], Time: now + int64(i)})
				if i < 3 {
					x++
				} else {
					y++
				}
			}
		}
		o, err := p.Open(note)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, o.Cosignatures); diff != "" {
			t.Errorf("%06b: (-want +got):\n%s", mask, diff)
		}
		_, ok := p.Quorum(o.Cosignatures)
		if ok != (x >= 2 && y >= 1) {
			t.Errorf("%06b: got quorum %v", mask, ok)
		}
		if mask != 0 && theirs.Satisfied(note) != ok {
			t.Errorf("%06b: got quorum %v, library %v", mask, ok, !ok)
		}
	}
}

// withURLs adds URLs to witnesses: the library wants them.
func withURLs(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "witness ") {
			line = strings.TrimSuffix(line, "\n") + " https://witness.example/\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestPolicyLists(t *testing.T) {
	w := witnesses(t, 2)
	log, other := logSigner(t, origin, 1).Key(), logSigner(t, "other.example", 2).Key()
	p := policy(t,
		"\t # a comment\t", "", " \t ",
		"log\t"+log.String()+"  https://log.example/releases/ ",
		"  log "+other.String(),
		"witness caf\xe9 "+w[0].Key().String(),
		"witness any "+w[1].Key().String()+" http://127.0.0.1:8080/",
		"quorum caf\xe9",
		"group after all any")
	var logs []string
	for _, k := range p.Logs() {
		logs = append(logs, k.String())
	}
	if diff := cmp.Diff([]string{log.String(), other.String()}, logs); diff != "" {
		t.Errorf("logs (-want +got):\n%s", diff)
	}
	want := []tlog.Witness{
		{Name: "caf\xe9", VKey: w[0].Key().String()},
		{Name: "any", VKey: w[1].Key().String(), URL: "http://127.0.0.1:8080/"},
	}
	if diff := cmp.Diff(want, p.Witnesses(), cmpopts.IgnoreUnexported(tlog.Witness{})); diff != "" {
		t.Errorf("witnesses (-want +got):\n%s", diff)
	}
	if p.QuorumNone() || !policy(t, "quorum none").QuorumNone() {
		t.Error("quorum none: got the contrary")
	}
	p.Logs()[0].Name, p.Witnesses()[0].Name = "changed", "changed"
	if p.Logs()[0].Name != origin || p.Witnesses()[0].Name != "caf\xe9" {
		t.Error("a list that was given away changes the policy")
	}
}

// The texts that the library reads all the same are marked.
func TestParsePolicyRefuses(t *testing.T) {
	w := witnesses(t, 3)
	log := "log " + logSigner(t, origin, 1).Key().String()
	v := func(i int) string { return w[i].Key().String() }
	w1, w2 := "witness w1 "+v(0)+" https://w/", "witness w2 "+v(1)+" https://w/"
	// The same public key as the first witness's: under another name, as ML-DSA cannot, and as a log's.
	again := cosigner(t, "another.example", tlog.CosignatureEd25519, 100).Key().String()
	asLog := logSigner(t, origin, 100).Key().String()
	plain := logSigner(t, "w9", 9).Key().String()
	for _, tt := range []struct {
		name, want string
		lenient    bool // transparency-dev/formats/witness takes it
		lines      []string
	}{
		{"nothing", "newline", false, nil},
		{"no quorum", "no quorum", false, []string{log, w1}},
		{"two quorums", "a second", true, []string{w1, "quorum none", "quorum w1"}},
		{"quorum none twice", "a second", true, []string{"quorum none", "quorum none"}},
		{"quorum of nobody", "above this line", false, []string{w1, "quorum w2"}},
		{"quorum before the witness", "above this line", true, []string{"quorum w1", w1}},
		{"quorum without a name", "got 0 items", false, []string{"quorum"}},
		{"quorum of two", "got 2 items", false, []string{w1, w2, "quorum w1 w2"}},
		{"unknown word", "got \"wit\"", false, []string{"wit " + v(0), "quorum none"}},
		{"upper case", "got \"Quorum\"", false, []string{"Quorum none"}},
		{"comment after a line", "quorum: got", true, []string{w1, "quorum w1 # yes"}},
		{"comment as the URL", "URL", false, []string{"witness w1 " + v(0) + " #comment", "quorum none"}},
		{"URL of another scheme", "URL", true, []string{"witness w1 " + v(0) + " ftp://w/", "quorum none"}},
		{"URL without a host", "URL", true, []string{"witness w1 " + v(0) + " https://", "quorum none"}},
		{"URL of a log", "URL", true, []string{log + " file:///x", "quorum none"}},
		{"log without a key", "got 0 items", true, []string{"log", "quorum none"}},
		{"log with two URLs", "got 3 items", true, []string{log + " https://a/ https://b/", "quorum none"}},
		{"log with a witness's key", "Ed25519 cosignature", true, []string{"log " + v(0), "quorum none"}},
		{"log with a broken key", "key ID", true, []string{log[:len(log)-10] + "AAAAAAAAAA", "quorum none"}},
		{"witness without a key", "got 1 items", false, []string{"witness w1", "quorum none"}},
		{"witness with two URLs", "got 4 items", false, []string{w1 + " https://b/", "quorum none"}},
		{"witness with a log's key", "key: got Ed25519", true, []string{"witness w1 " + plain + " https://w/", "quorum none"}},
		{"witness named none", "none", false, []string{"witness none " + v(0) + " https://w/", "quorum none"}},
		{"witness with a long name", "255", true, []string{"witness " + strings.Repeat("n", 256) + " " + v(0) + " https://w/", "quorum none"}},
		{"group named none", "none", false, []string{w1, "group none all w1", "quorum none"}},
		{"a name twice", "taken", false, []string{w1, "witness w1 " + v(1) + " https://w/", "quorum none"}},
		{"a witness's name for a group", "taken", false, []string{w1, "group w1 all w1", "quorum none"}},
		{"a group's name twice", "taken", false, []string{w1, w2, "group g all w1", "group g all w2", "quorum none"}},
		{"a key twice", "the public key of", true, []string{w1, "witness w2 " + v(0) + " https://w/", "quorum none"}},
		{"a key under another name", "the public key of", true, []string{w1, "witness w2 " + again + " https://w/", "quorum none"}},
		{"a witness's key for a log", "the public key of", true, []string{w1, "log " + asLog, "quorum none"}},
		{"a log twice", "the public key of", true, []string{log, log, "quorum none"}},
		{"group without members", "got 2 items", true, []string{w1, "group g all", "quorum none"}},
		{"threshold 0", "threshold", true, []string{w1, "group g 0 w1", "quorum g"}},
		{"threshold above the members", "threshold", false, []string{w1, w2, "group g 3 w1 w2", "quorum g"}},
		{"threshold 01", "threshold", true, []string{w1, "group g 01 w1", "quorum g"}},
		{"threshold -1", "threshold", false, []string{w1, "group g -1 w1", "quorum g"}},
		{"threshold All", "threshold", false, []string{w1, "group g All w1", "quorum g"}},
		{"threshold 2^64+1", "threshold", false, []string{w1, "group g 18446744073709551617 w1", "quorum g"}},
		{"member twice", "member already", true, []string{w1, w2, "group g 2 w1 w1", "quorum g"}},
		{"member of two groups", "member already", true, []string{w1, w2, "group a any w1 w2", "group b any w1", "quorum a"}},
		{"unknown member", "above this line", false, []string{w1, "group g any w1 w2", "quorum g"}},
		{"member none", "above this line", false, []string{w1, "group g any w1 none", "quorum g"}},
		{"member of itself", "above this line", false, []string{w1, "group g any w1 g", "quorum g"}},
		{"member below", "above this line", false, []string{w1, "group g any w2", w2, "quorum g"}},
		{"CR LF", "control character", true, []string{w1 + "\r", "quorum w1\r"}},
		{"form feed", "control character", true, []string{w1 + "\f", "quorum w1"}},
		{"DEL", "0x7f", true, []string{"# \x7f", "quorum none"}},
		{"Unicode space between items", "got", true, []string{"quorum\u2003none"}},
	} {
		text := strings.Join(tt.lines, "\n") + "\n"
		if tt.lines == nil {
			text = ""
		}
		_, err := tlog.ParsePolicy([]byte(text))
		wantError(t, tt.name, err, tt.want)
		if _, err := witness.ParsePolicy([]byte(text)); (err == nil) != tt.lenient {
			t.Errorf("%s: library: got error %v, want lenient %v", tt.name, err, tt.lenient)
		}
	}
	_, err := tlog.ParsePolicy([]byte("quorum none"))
	wantError(t, "no newline at the end", err, "newline")
	_, err = tlog.ParsePolicy([]byte("#" + strings.Repeat("x", tlog.MaxPolicy) + "\nquorum none\n"))
	wantError(t, "too long", err, "at most")
	_, err = tlog.ParsePolicy([]byte(w1 + "\nquorum w1\n\nnonsense\n"))
	wantError(t, "line number", err, "line 4")
}

// tlog-policy, "Implementation limits", wants 32 of each; 64 are supported.
func TestPolicyLimits(t *testing.T) {
	build := func(logs, groups, most int) string {
		var b strings.Builder
		for i := range logs {
			fmt.Fprintf(&b, "log %s\n", logSigner(t, fmt.Sprintf("log.example/%d", i), byte(i)).Key())
		}
		for i := range most {
			fmt.Fprintf(&b, "witness w%d %s\n", i, cosigner(t, fmt.Sprintf("w.example/%d", i), tlog.CosignatureEd25519, byte(100+i)).Key())
		}
		for i := range groups {
			fmt.Fprintf(&b, "group g%d any %s\n", i, map[bool]string{true: "w0", false: fmt.Sprintf("g%d", i-1)}[i == 0])
		}
		return b.String() + "quorum " + map[bool]string{true: "none", false: fmt.Sprintf("g%d", groups-1)}[groups == 0] + "\n"
	}
	p, err := tlog.ParsePolicy([]byte(build(64, 64, 64)))
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := p.Quorum([]tlog.Cosignature{{Witness: "w0", Time: now}}); !ok || at != now {
		t.Errorf("64 groups in one another: got %d, %v", at, ok)
	}
	for name, text := range map[string]string{
		"logs": build(65, 0, 0), "witnesses": build(0, 0, 65), "groups": build(0, 65, 1),
	} {
		_, err := tlog.ParsePolicy([]byte(text))
		wantError(t, name, err, "more than 64")
	}
	// 32 post-quantum witnesses are 57 KB.
	var b strings.Builder
	for i := range 32 {
		fmt.Fprintf(&b, "witness w%d %s\n", i, cosigner(t, fmt.Sprintf("w.example/%d", i), tlog.CosignatureMLDSA44, byte(i)).Key())
	}
	if _, err := tlog.ParsePolicy([]byte(b.String() + "quorum none\n")); err != nil {
		t.Error(err)
	}
}

// FuzzParsePolicy: in what is read, no key is there twice, all witnesses together
// are a quorum, and none is only where none is asked for.
func FuzzParsePolicy(f *testing.F) {
	text, _ := example(f)
	for _, s := range []string{text, withURLs(text), "quorum none\n", "# c\n\tquorum  none \n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := tlog.ParsePolicy(text)
		if err != nil {
			return
		}
		var all []tlog.Cosignature
		keys := map[string]bool{}
		for _, w := range p.Witnesses() {
			all = append(all, tlog.Cosignature{Witness: w.Name, Time: now})
			if keys[w.VKey] {
				t.Errorf("key twice: %s", w.VKey)
			}
			keys[w.VKey] = true
		}
		// All together are always enough, none never but where none is asked.
		if _, ok := p.Quorum(all); !ok {
			t.Errorf("all witnesses of %q are not enough", text)
		}
		if _, ok := p.Quorum(nil); ok != p.QuorumNone() {
			t.Errorf("no witness: got %v", ok)
		}
	})
}
