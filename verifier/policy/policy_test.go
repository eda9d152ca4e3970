package policy

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/policy/publication"
	"safebox/verifier/publishtest"
	"safebox/verifier/transcript"
)

func root(subject string) *x509.Certificate {
	return &x509.Certificate{Raw: []byte(subject), Subject: pkix.Name{CommonName: subject}}
}

func file(t testing.TB, profile string) string {
	t.Helper()
	b, err := Profile(profile, []string{transcript.VTPM}, root("swtpm-localca-rootca"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPublished: who is named stands in the policy, whatever the profile.
func TestPublished(t *testing.T) {
	by := publication.Values{
		Signatures: 2, SVNFloor: 7,
		Signers: []publication.Signer{{Name: "a", Key: publishtest.Signer(t, "a").Public()}, {Name: "b", Key: publishtest.SignerP256(t, "b").Public()}},
	}
	for _, name := range []string{Strict, Cloud, Test} {
		b, err := Published(name, []string{transcript.VTPM}, by, root("hardware"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if p.Release != Signed || p.Publication.Signatures != 2 || p.Publication.SVNFloor != 7 || !slices.Equal(p.Publication.Signers, by.Signers) || len(p.VTPM.Roots) != 1 {
			t.Errorf("%s: got %+v", name, p)
		}
	}
	if _, err := Published(Test, []string{transcript.VTPM}, publication.Values{Log: "words"}); err == nil {
		t.Error("a log of words was written")
	}
}

// TestReleaseAndPublication: the table is there exactly if releases must be
// signed.
func TestReleaseAndPublication(t *testing.T) {
	for name, c := range map[string]struct {
		profile, want string
		changes       []string // old, new, old, new
	}{
		"unsigned with a table":  {Strict, `key publication: release is "unsigned"`, []string{`profile = "strict"`, `profile = "test"`, `release = "signed"`, `release = "unsigned"`}},
		"signed without a table": {Test, "key publication: missing", []string{`release = "unsigned"`, `release = "signed"`}},
		"strict and unsigned":    {Strict, `key release: want "signed" in profile strict`, []string{`release = "signed"`, `release = "unsigned"`}},
		"cloud and unsigned":     {Cloud, `key release: want "signed" in profile cloud`, []string{`release = "signed"`, `release = "unsigned"`}},
	} {
		text := strings.NewReplacer(c.changes...).Replace(file(t, c.profile))
		if p, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v, want %s", name, p, err, c.want)
		}
	}
}

// whole is a policy for all platforms.
func whole(t testing.TB, profile string) string {
	t.Helper()
	b, err := Profile(profile, transcript.Platforms(), root("swtpm-localca-rootca"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestProfiles(t *testing.T) {
	for _, name := range []string{Strict, Cloud, Test} {
		p, err := Parse([]byte(file(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		if p.Profile != name || (p.Release == Unsigned) != (name == Test) || p.VTPM.SoftwareAccept != (name == Test) {
			t.Errorf("%s: got %+v", name, p)
		}
		if want := time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC); !p.Review.Equal(want) {
			t.Errorf("%s: review: got %v, want %v", name, p.Review, want)
		}
		// SHA-256 of the text "swtpm-localca-rootca" by sha256sum.
		const sum = "2116e4c74b3800285f8bae56536d0517248f8f5f30facca5bf15fac23ceae219"
		if len(p.VTPM.Roots) != 1 || p.VTPM.Roots[0].SHA256.String() != sum || p.VTPM.Roots[0].Subject != "CN=swtpm-localca-rootca" || (p.VTPM.Roots[0].Kind == Software) != (name == Test) {
			t.Errorf("%s: roots: got %+v, want one with %s", name, p.VTPM.Roots, sum)
		}
		if none, err := Profile(name, transcript.Platforms()); err != nil {
			t.Error(err)
		} else if p, err := Parse(none); err != nil || len(p.VTPM.Roots) != 0 {
			t.Errorf("%s without roots: got %+v, %v", name, p, err)
		}
	}
	if _, err := Profile("lax", transcript.Platforms()); err == nil {
		t.Error("profile lax: no error")
	}
}

func TestSoftwareRootIsNamedAndExplained(t *testing.T) {
	text := file(t, Test)
	for _, want := range []string{"THIS ROOT IS SOFTWARE", `subject = "CN=swtpm-localca-rootca"`, "FOR TESTS ONLY"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if strings.Contains(file(t, Strict), "SOFTWARE.") {
		t.Error("profile strict: its root is called software")
	}
}

// TestEveryKey takes away, repeats, misspells and retypes every key of every
// platform, in every profile.
func TestEveryKey(t *testing.T) {
	for _, profile := range []string{Strict, Cloud, Test} {
		lines := strings.SplitAfter(whole(t, profile), "\n")
		keys := 0
		for i := range lines {
			if key, _, found := strings.Cut(lines[i], " = "); found && !strings.HasPrefix(key, "#") {
				keys++
				spoil(t, profile, lines, i)
			}
		}
		if keys < 90 {
			t.Errorf("profile %s: %d keys, want more than 90: docs/format-policy.md lists them", profile, keys)
		}
	}
}

// spoil changes the key of one line.
func spoil(t *testing.T, profile string, lines []string, i int) {
	t.Helper()
	line := lines[i]
	key, value, _ := strings.Cut(line, " = ")
	end := i + 1
	for strings.HasPrefix(value, "[") && !strings.Contains(value, "]") { // over several lines
		value += lines[end]
		line += lines[end]
		end++
	}
	at := fmt.Sprintf("line %d: ", i+1)
	cases := map[string][2]string{
		"missing":    {"", key + ": missing"},
		"unknown":    {line + key + "_x = 1\n", key + "_x: unknown"},
		"misspelt":   {"x" + line, key + ": missing"},
		"twice":      {line + line, fmt.Sprintf("line %d: ", end+1)},
		"boolean":    {key + " = true\n", at},
		"number":     {key + " = -1\n", at},
		"float":      {key + " = 1.5\n", at},
		"empty text": {key + " = \"\"\n", at},
		"empty list": {key + " = []\n", at},
		"list of it": {key + " = [[]]\n", at},
		"table":      {key + " = {}\n", at},
	}
	for what, c := range cases {
		changed := strings.Join(lines[:i], "") + c[0] + strings.Join(lines[end:], "")
		if _, err := Parse([]byte(changed)); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("profile %s: %s %s: got %v, want %q", profile, key, what, err, c[1])
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ profile, old, new, want string }{
		"other type":            {Test, "safebox/policy/v1", "safebox/policy/v2", "line 6: key type"},
		"number as a type":      {Test, `"safebox/policy/v1"`, "1", "key type: got 1, want \"safebox/policy/v1\""},
		"other profile":         {Test, `profile = "test"`, `profile = "mine"`, "key profile"},
		"other platform":        {Test, `["vtpm"]`, `["sev"]`, "key platforms"},
		"platform twice":        {Test, `["vtpm"]`, `["vtpm", "vtpm"]`, "key platforms"},
		"date in quotes":        {Test, "2027-05-31", `"2027-05-31"`, "key review"},
		"no such date":          {Test, "2027-05-31", "2027-02-30", "line 10"},
		"long life":             {Test, "3600", "604801", "key challenge.max_life"},
		"short digest":          {Test, `documents = "any"`, `documents = ["abcd"]`, "key configuration.documents"},
		"sha1":                  {Test, `"sha384"]`, `"sha1"]`, "key vtpm.banks"},
		"PCRs not ascending":    {Test, "[0, 1, 2", "[1, 0, 2", "key vtpm.pcrs"},
		"PCR 15 left out":       {Test, ", 15]", "]", "lacks 15"},
		"PCR 7 left out":        {Test, " 7,", "", "lacks 7"},
		"PCR -1":                {Test, "[0, 1, 2", "[-1, 0, 1, 2", "key vtpm.pcrs"},
		"PCR 2 twice":           {Test, "[0, 1, 2", "[0, 1, 2, 2", "key vtpm.pcrs"},
		"document twice":        {Test, `documents = "any"`, `documents = ["none", "none"]`, "key configuration.documents"},
		"document in capitals":  {Test, `documents = "any"`, `documents = ["` + strings.Repeat("0A", 32) + `"]`, "key configuration.documents"},
		"long subject":          {Test, "CN=swtpm", strings.Repeat("s", 256), "key vtpm.roots.subject"},
		"PCR 16":                {Test, ", 15]", ", 15, 16]", "key vtpm.pcrs"},
		"PCR 5 of a fixed disk": {Test, " 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]  # exactly these must be quoted\nboots = [\"esp\", \"kernel\"]  # from the disk's system partition, by QEMU -kernel\n# PCR 5 holds the partition table: \"fixed\" as in the release, or \"any\" for\n# disks that may be resized.\ndisk = \"any\"", " 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]\nboots = [\"esp\"]\ndisk = \"fixed\"", "lacks 5"},
		"other boot":            {Test, `"kernel"]`, `"shim"]`, "key vtpm.boots"},
		"root's kind":           {Test, `kind = "software"`, `kind = "soft"`, "key vtpm.roots.kind"},
		"root twice":            {Test, "\n[[vtpm.roots]]", "ROOT\n[[vtpm.roots]]", "twice"},
		"root as a table":       {Test, "[[vtpm.roots]]", "[vtpm.roots]", "key vtpm.roots"},
		"strict and unsigned":   {Strict, `release = "signed"`, `release = "unsigned"`, "key release"},
		"strict and software":   {Strict, `"refuse"` + "\n\n[[", `"accept"` + "\n\n[[", "key vtpm.software_roots"},
		"strict and stale":      {Strict, `stale = "refuse"`, `stale = "any"`, "key stale"},
		"strict and any life":   {Strict, "max_life = 60", `max_life = "any"`, "key challenge.max_life"},
		"cloud and unsigned":    {Cloud, `release = "signed"`, `release = "unsigned"`, "key release"},
		"cloud and software":    {Cloud, `"refuse"` + "\n\n[[", `"accept"` + "\n\n[[", "key vtpm.software_roots"},
		"a table as a value":    {Test, "[challenge]\n", "challenge = 1\n[other]\n", "key challenge"},
		"subject with a bell":   {Test, "CN=swtpm", `\u0007`, "key vtpm.roots.subject"},
		"not TOML":              {Test, "[vtpm]", "[vtpm", "line "},
		"not UTF-8":             {Test, "CN=swtpm", "\xff\xfe", "line "},
	} {
		text := file(t, c.profile)
		changed := strings.Replace(text, c.old, c.new, 1)
		if name == "root twice" {
			roots := strings.Index(text, "\n[[vtpm.roots]]")
			changed = text + text[roots:strings.Index(text, "\n[vtpm.quote]")]
		}
		if changed == text {
			t.Errorf("%s: %q is not in the file", name, c.old)
		}
		if _, err := Parse([]byte(changed)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	// Comments: it is refused for its size alone.
	padded := []byte(file(t, Test) + strings.Repeat("#\n", MaxSize/2))
	if _, err := Parse(padded[:MaxSize]); err != nil {
		t.Errorf("largest file: %v", err)
	}
	if _, err := Parse(padded[:MaxSize+1]); err == nil || !strings.Contains(err.Error(), "want at most") {
		t.Errorf("oversized file: got %v", err)
	}
	if _, err := Parse(nil); err == nil {
		t.Error("empty file: no error")
	}
}

// TestParseAccepts: what is near a refusal and none.
func TestParseAccepts(t *testing.T) {
	const root = "\n[[vtpm.roots]]\nkind = \"hardware\"\nsubject = \"a vendor\"\nsha256 = \"%064x\"\n"
	roots := func(n int) string {
		text := file(t, Test)
		for i := range n {
			text += fmt.Sprintf(root, i+1)
		}
		return text
	}
	without := func(list string) string {
		return strings.Replace(file(t, Test), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]", list, 1)
	}
	for name, text := range map[string]string{
		"needed registers alone":     without("[0, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 15]"),
		"fixed disk":                 strings.Replace(file(t, Test), `disk = "any"`, `disk = "fixed"`, 1),
		"a document":                 strings.Replace(file(t, Test), `documents = "any"`, `documents = ["none", "`+strings.Repeat("0a", 32)+`"]`, 1),
		"shortest life":              strings.Replace(file(t, Test), "= 3600", "= 1", 1),
		"longest life":               strings.Replace(file(t, Test), "= 3600", "= 604800", 1),
		"root of software and other": roots(1),
		"64 roots":                   roots(63),
	} {
		if _, err := Parse([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse([]byte(roots(64))); err == nil || !strings.Contains(err.Error(), "got 65 entries, want 1 to 64") {
		t.Errorf("65 roots: got %v", err)
	}
	if p, err := Parse([]byte(roots(1))); err != nil || len(p.VTPM.Roots) != 2 {
		t.Errorf("two roots: got %+v, %v", p, err)
	} else if r, ok := p.VTPM.FindRoot([32]byte{31: 1}); !ok || r.Kind != Hardware || r.Subject != "a vendor" {
		t.Errorf("second root: got %+v, %t", r, ok)
	} else if _, ok := p.VTPM.FindRoot([32]byte{}); ok {
		t.Error("found a root of zeros")
	}
}

// TestProfileSubject: what a certificate calls itself stays a text.
func TestProfileSubject(t *testing.T) {
	for _, name := range []string{`say "hi"`, `back\slash`, `"`, `\"`, "\"\nsubject = \"other", "Zürich"} {
		b, err := Profile(Cloud, []string{transcript.VTPM}, root(name))
		if strings.Contains(name, "\n") {
			if err == nil {
				t.Errorf("%q: written: %s", name, b)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		p, err := Parse(b)
		if err != nil || len(p.VTPM.Roots) != 1 || p.VTPM.Roots[0].Subject != root(name).Subject.String() {
			t.Errorf("%q: got %+v, %v", name, p, err)
		}
	}
}

// TestExplain: what a policy waives is said, whatever it is.
func TestExplain(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"", "", "profile test"},
		{"", "", "WAIVED: the release need not be signed"},
		{"", "", "WAIVED: software TPMs certified by \"CN=swtpm-localca-rootca\""},
		{"", "", "WAIVED: register 5"},
		{"", "", "WAIVED: registers 1 and 10"},
		{"", "", "WAIVED: every well-formed configuration document"},
		{"", "", "at most 3600 seconds"},
		{"", "", "reviewed until 2027-05-31"},
		{`stale = "refuse"`, `stale = "any"`, "WAIVED: it is accepted after its review date"},
		{"= 3600", `= "any"`, "WAIVED: a challenge may live for any time"},
		{"", "", "WAIVED: the TPM's clock"},
		{`documents = "any"`, `documents = ["none"]`, "without a configuration document is accepted"},
		{`state = "working"`, `state = "fresh"`, "No keys may have reached"},
		{`"accept"`, `"refuse"`, "are refused"},
	} {
		p, err := Parse([]byte(strings.Replace(file(t, Test), c.old, c.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(p.Explain(), "\n"); !strings.Contains(text, c.want) {
			t.Errorf("%q is not in:\n%s", c.want, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{Strict, Cloud, Test} {
		f.Add([]byte(file(f, name)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			if p != nil || strings.Contains(err.Error(), "%!") {
				t.Errorf("got %v, %v", p, err)
			}
			return
		}
		if len(p.VTPM.Banks) == 0 || len(p.VTPM.PCRs) < len(requiredPCRs()) || len(p.Explain()) == 0 || p.Review.IsZero() {
			t.Errorf("accepted %q as %+v", b, p)
		}
		if p.Profile != Test && (p.Release != Signed || p.VTPM.SoftwareAccept) {
			t.Errorf("profile %s accepts unsigned releases or software roots", p.Profile)
		}
	})
}

// TestPolicyDocument: docs/format-policy.md names every key of every profile.
func TestPolicyDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/format-policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, profile := range []string{Strict, Cloud, Test} {
		for line := range strings.Lines(whole(t, profile)) {
			key, _, found := strings.Cut(line, " = ")
			if !found || strings.HasPrefix(line, "#") || strings.Trim(key, "0123456789") == "" {
				continue
			}
			if !strings.Contains(string(b), key) {
				t.Errorf("profile %s: key %s is not in the document", profile, key)
			}
		}
	}
}
