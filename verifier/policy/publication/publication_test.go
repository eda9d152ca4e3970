package publication_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/dsse"
	"safebox/verifier/policy/publication"
	"safebox/verifier/policy/table"
	"safebox/verifier/publishtest"
)

// read reads a table as a policy of that profile has it.
func read(text, profile string) (*publication.Policy, error) {
	root, err := table.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	p := publication.Read(root.Table("publication"), profile)
	root.End()
	return &p, root.Close()
}

func TestRead(t *testing.T) {
	for _, profile := range []string{"strict", "cloud", "test"} {
		p, err := read(publishtest.NewPolicy(t).Text(), profile)
		if err != nil {
			t.Fatal(err)
		}
		if p.Signatures != 1 || p.SVNFloor != 1 || p.Rebuilds != 2 || p.MaxAge != 168*time.Hour || p.AnyAge || len(p.Signers) != 1 || len(p.Rebuilders) != 3 {
			t.Errorf("got %+v", p)
		}
		if p.Signers[0].Key != publishtest.Publisher(t).Public() || p.Rebuilders[1].Operator != publishtest.OperatorB {
			t.Errorf("got %+v", p)
		}
		if logs := p.Log.Logs(); len(logs) != 1 || logs[0].Name != publishtest.Origin || len(p.Log.Witnesses()) != 3 {
			t.Errorf("got %+v", p.Log)
		}
	}
}

// refusals are tables with one thing wrong.
func refusals(t testing.TB) map[string]struct {
	want   string
	change func(p *publishtest.Policy)
} {
	t.Helper()
	_, log := publishtest.LogKeys()
	_, witness := publishtest.WitnessKeys(t, publishtest.WitnessA)
	same := func(name string) string { return publishtest.Signer(t, name).Public().String() }
	type refusal = struct {
		want   string
		change func(p *publishtest.Policy)
	}
	return map[string]refusal{
		"no signature":         {"publication.signatures: got 0", func(p *publishtest.Policy) { p.Signatures = 0 }},
		"more than signers":    {"publication.signatures: got 2 of 1 signers", func(p *publishtest.Policy) { p.Signatures = 2 }},
		"no floor":             {"publication.svn_floor: got 0", func(p *publishtest.Policy) { p.SVNFloor = 0 }},
		"floor above all":      {"publication.svn_floor: got 4294967296", func(p *publishtest.Policy) { p.SVNFloor = 1 << 32 }},
		"no rebuild":           {"publication.rebuilds: got 0", func(p *publishtest.Policy) { p.Rebuilds = 0 }},
		"more than rebuilders": {"publication.rebuilds: got 4 of 3 operators", func(p *publishtest.Policy) { p.Rebuilds = 4 }},
		"one operator, two keys": {"publication.rebuilds: got 3 of 2 operators", func(p *publishtest.Policy) {
			p.Rebuilds, p.Rebuilders[1].Name = 3, p.Rebuilders[0].Name
		}},
		"no age":   {"publication.max_age: got 0", func(p *publishtest.Policy) { p.MaxAge = "0" }},
		"some age": {"publication.max_age", func(p *publishtest.Policy) { p.MaxAge = `"some"` }},
		"signer twice": {"one key for signer a and for signer b", func(p *publishtest.Policy) {
			p.Signers = []publishtest.Party{{Name: "a", Key: same("x")}, {Name: "b", Key: same("x")}}
		}},
		"signer rebuilds":  {"one key for signer", func(p *publishtest.Policy) { p.Rebuilders[2].Key = p.Signers[0].Key }},
		"rebuilder twice":  {"one key for rebuilder", func(p *publishtest.Policy) { p.Rebuilders[2].Key = p.Rebuilders[0].Key }},
		"log signs":        {"one key for log " + publishtest.Origin + " and for signer", func(p *publishtest.Policy) { p.Signers[0].Key = same(publishtest.Origin) }},
		"witness rebuilds": {"one key for witness " + publishtest.WitnessB + " and for rebuilder", func(p *publishtest.Policy) { p.Rebuilders[0].Key = same(publishtest.WitnessB) }},
		"witness is the log": {"publication.log", func(p *publishtest.Policy) {
			p.Log = strings.Replace(p.Log, witness, strings.Replace(log, publishtest.Origin, "x", 1), 1)
		}},
		"case of a name":   {`got "test-only.operator a" beside "TEST-ONLY.Operator A": want one spelling`, func(p *publishtest.Policy) { p.Rebuilders[1].Name = "test-only.operator a" }},
		"spaces of a name": {"want one spelling", func(p *publishtest.Policy) { p.Rebuilders[1].Name = "TEST-ONLY.Operator  A" }},
		"no name":          {"publication.signers.name: got", func(p *publishtest.Policy) { p.Signers[0].Name = "" }},
		"no key":           {"publication.signers.key: got", func(p *publishtest.Policy) { p.Signers[0].Key = "" }},
		"another key":      {`publication.rebuilders.key: public key: algorithm: got "rsa"`, func(p *publishtest.Policy) { p.Rebuilders[1].Key = "rsa:AAAA" }},
		"no log listed":    {"publication.log: names 0 logs, want one", func(p *publishtest.Policy) { p.Log = strings.Replace(p.Log, "log "+log+"\n", "", 1) }},
		// The key of RFC 8032, 7.1, test 1, as a log's; its ID by Python's hashlib.
		"two logs": {"publication.log: names 2 logs, want one", func(p *publishtest.Policy) {
			p.Log = "log example.com/foo+bf66b263+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea\n" + p.Log
		}},
		"log with a long name":             {"want 1 to 128 bytes of printable ASCII", func(p *publishtest.Policy) { p.Log = strings.Replace(p.Log, log, logKey(strings.Repeat("x", 129)), 1) }},
		"log with a name in other letters": {"want 1 to 128 bytes of printable ASCII", func(p *publishtest.Policy) { p.Log = strings.Replace(p.Log, log, logKey("łódź"), 1) }},
		"log of nothing":                   {"publication.log: got", func(p *publishtest.Policy) { p.Log = "" }},
		"log of words":                     {"publication.log: ", func(p *publishtest.Policy) { p.Log = "words\n" }},
		"no quorum but an age":             {`publication.max_age: got 168h0m0s, want "any"`, func(p *publishtest.Policy) { p.Log = "log " + log + "\nquorum none\n" }},
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range refusals(t) {
		p := publishtest.NewPolicy(t)
		c.change(p)
		if _, err := read(p.Text(), "test"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	text := publishtest.NewPolicy(t).Text()
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":         {"signatures = 1\n", "signatures = 1\nmore = 1\n", "publication.more: unknown"},
		"unknown of a signer": {"[[publication.signers]]\n", "[[publication.signers]]\nsvn = 1\n", "publication.signers.svn: unknown"},
		"missing floor":       {"svn_floor = 1\n", "", "publication.svn_floor: missing"},
		"missing age":         {"max_age = 604800\n", "", "publication.max_age: missing"},
		"text for a number":   {"rebuilds = 2\n", "rebuilds = \"2\"\n", "publication.rebuilds: got"},
		"empty list":          {"[[publication.signers]]\n", "[[publication.others]]\n", "publication.signers: missing"},
	} {
		changed := strings.Replace(text, c.old, c.new, 1)
		if _, err := read(changed, "test"); changed == text || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func witnessKey(t testing.TB, name string) string {
	t.Helper()
	_, vkey := publishtest.WitnessKeys(t, name)
	return vkey
}

// cosigner is an Ed25519 verifier key of a witness (C2SP tlog-cosignature,
// "Format": type 0x04).
func cosigner(name string) string { return vkey(name, 4) }

// logKey is a verifier key of a log (C2SP signed-note, "Signature types": 0x01).
func logKey(name string) string { return vkey(name, 1) }

func vkey(name string, algorithm byte) string {
	typed := append([]byte{algorithm}, publishtest.Key(name).Public().(ed25519.PublicKey)...)
	id := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(typed))
}

// TestFloors: policies for real data may not say what those of tests may.
func TestFloors(t *testing.T) {
	_, log := publishtest.LogKeys()
	for name, c := range map[string]struct {
		want   string
		change func(p *publishtest.Policy)
	}{
		"one rebuild": {"publication.rebuilds: got 1, want at least 2", func(p *publishtest.Policy) { p.Rebuilds = 1 }},
		"any age":     {"publication.max_age: want a number", func(p *publishtest.Policy) { p.MaxAge = `"any"` }},
		"31 days":     {"publication.max_age: got 744h0m0s, want at most 720h0m0s", func(p *publishtest.Policy) { p.MaxAge = "2678400" }},
		"no witness": {"publication.log: quorum none: want witnesses", func(p *publishtest.Policy) {
			p.Log, p.MaxAge = "log "+log+"\nquorum none\n", `"any"`
		}},
		"one witness of two": {"publication.log: witness \"TEST-ONLY.witness-a.example\" alone is a quorum: want two or more", func(p *publishtest.Policy) {
			p.Log = publishtest.LogPolicy(t, "any", publishtest.WitnessA, publishtest.WitnessB)
		}},
		"one witness beside others": {"publication.log: witness \"TEST-ONLY.witness-c.example\" alone is a quorum", func(p *publishtest.Policy) {
			p.Log = "log " + log + "\nwitness a " + witnessKey(t, publishtest.WitnessA) + "\nwitness c " + witnessKey(t, publishtest.WitnessC) + "\nquorum c\n"
		}},
		"one witness with two keys": {"publication.log: witness \"TEST-ONLY.witness-c.example\" alone is a quorum", func(p *publishtest.Policy) {
			p.Log = "log " + log + "\nwitness c " + witnessKey(t, publishtest.WitnessC) + "\nwitness d " + cosigner(publishtest.WitnessC) + "\ngroup g all c d\nquorum g\n"
		}},
	} {
		p := publishtest.NewPolicy(t)
		c.change(p)
		for _, profile := range []string{"strict", "cloud"} {
			if _, err := read(p.Text(), profile); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %s: got %v, want %s", profile, name, err, c.want)
			}
		}
		if _, err := read(p.Text(), "test"); err != nil {
			t.Errorf("test: %s: %v", name, err)
		}
	}
	p := publishtest.NewPolicy(t)
	p.MaxAge = "2592000" // 30 days
	if _, err := read(p.Text(), "strict"); err != nil {
		t.Error(err)
	}
}

// TestSection: what init writes is read as it was meant, whatever it was given.
func TestSection(t *testing.T) {
	key := publishtest.SignerP256(t, "section").Public()
	text, err := publication.Section(publication.Values{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := read(text, "strict")
	if err != nil {
		t.Fatal(err)
	}
	if p.Log != nil || p.Signers != nil || p.Rebuilders != nil || p.Signatures != 1 || p.Rebuilds != 2 || p.SVNFloor != 1 || p.MaxAge != 7*24*time.Hour {
		t.Errorf("got %+v", p)
	}
	name := `Łódź "A" \ B`
	for _, v := range []publication.Values{
		{Log: publishtest.NewPolicy(t).Log},
		{Signers: []publication.Signer{{Name: name, Key: key}}},
		{Rebuilds: 1, Rebuilders: []publication.Rebuilder{{Operator: name, Key: key}}},
		{
			Signatures: 2, SVNFloor: 9, Log: publishtest.NewPolicy(t).Log,
			Signers:    []publication.Signer{{Name: name, Key: key}, {Name: "b", Key: publishtest.Publisher(t).Public()}},
			Rebuilders: []publication.Rebuilder{{Operator: name, Key: publishtest.Rebuilder(t, 0).Public()}, {Operator: "y", Key: publishtest.Rebuilder(t, 1).Public()}},
		},
	} {
		text, err := publication.Section(v)
		if err != nil {
			t.Fatal(err)
		}
		p, err := read(text, "test")
		if err != nil {
			t.Errorf("%v in:\n%s", err, text)
			continue
		}
		if !slices.Equal(p.Signers, v.Signers) || !slices.Equal(p.Rebuilders, v.Rebuilders) || (p.Log == nil) != (v.Log == "") ||
			p.Signatures != max(v.Signatures, 1) || p.SVNFloor != max(v.SVNFloor, 1) || v.Rebuilds != 0 && p.Rebuilds != v.Rebuilds {
			t.Errorf("got %+v, want %+v", p, v)
		}
	}
	if _, err := publication.Section(publication.Values{Log: "# '''\n"}); err == nil {
		t.Error("a log's policy that ends its own text was written")
	}
}

// TestExplain: what is asked for and what is waived is said.
func TestExplain(t *testing.T) {
	_, log := publishtest.LogKeys()
	for want, change := range map[string]func(p *publishtest.Policy){
		`signed by 1 of 1: "TEST-ONLY.publisher"`: nil,
		`2 of 3 operators must have rebuilt it byte for byte, and none may have got anything else: "TEST-ONLY.Operator A", "TEST-ONLY.Operator B", "TEST-ONLY.Operator C"`: nil,
		"in the last 7 days":                       nil,
		"in the log \"" + publishtest.Origin + `"`: nil,
		"Its security version must be 1 or higher": nil,
		"No signer of releases is named":           func(p *publishtest.Policy) { p.Signers = nil },
		"No rebuilder is named":                    func(p *publishtest.Policy) { p.Rebuilders = nil },
		"WAIVED: rebuilds by two operators":        func(p *publishtest.Policy) { p.Rebuilds = 1 },
		"WAIVED: the log's state may have any age": func(p *publishtest.Policy) { p.MaxAge = `"any"` },
		"WAIVED: nobody witnesses the log":         func(p *publishtest.Policy) { p.Log, p.MaxAge = "log "+log+"\nquorum none\n", `"any"` },
		`WAIVED: a second witness: "TEST-ONLY.witness-b.example" alone is a quorum`: func(p *publishtest.Policy) {
			p.Log = publishtest.LogPolicy(t, "any", publishtest.WitnessB)
		},
		"WAIVED: independence of a rebuild":           func(p *publishtest.Policy) { p.Rebuilders[0].Name = p.Signers[0].Name },
		"They must have done so in the last 1h0m0s: ": func(p *publishtest.Policy) { p.MaxAge = "3600" },
	} {
		p := publishtest.NewPolicy(t)
		if change != nil {
			change(p)
		}
		got, err := read(p.Text(), "test")
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(got.Explain(), "\n"); !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	for _, change := range []func(p *publishtest.Policy){func(*publishtest.Policy) {}, func(p *publishtest.Policy) {
		p.Log, p.MaxAge = "log "+log+"\nwitness a "+witnessKey(t, publishtest.WitnessA)+"\nquorum none\n", `"any"`
	}} {
		p := publishtest.NewPolicy(t)
		change(p)
		got, err := read(p.Text(), "test")
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(got.Explain(), "\n"); strings.Contains(text, "second witness") {
			t.Errorf("nobody is a quorum alone:\n%s", text)
		}
	}
	if text := strings.Join((&publication.Policy{}).Explain(), "\n"); !strings.Contains(text, "No log is named") {
		t.Errorf("got %s", text)
	}
}

// TestSignedBy: by names, in the policy's order, and never by the zero key.
func TestSignedBy(t *testing.T) {
	one, two := publishtest.Signer(t, "one"), publishtest.SignerP256(t, "two")
	e := &dsse.Envelope{Payload: []byte("x"), PayloadType: "text/plain"}
	for _, s := range []dsse.Signer{one, two} {
		if err := e.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	p := &publication.Policy{
		Signers: []publication.Signer{
			{Name: "zero"},
			{Name: "b", Key: two.Public()},
			{Name: "a", Key: one.Public()},
			{Name: "b", Key: one.Public()},
			{Name: "c", Key: publishtest.Signer(t, "three").Public()},
		},
		Rebuilders: []publication.Rebuilder{{Operator: "zero"}, {Operator: "y", Key: two.Public()}, {Operator: "x", Key: one.Public()}},
	}
	var names []string
	for _, s := range p.SignedBy(e) {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"b", "a"}) {
		t.Errorf("got %q", names)
	}
	if operator, ok := p.RebuiltBy(e); !ok || operator != "y" {
		t.Errorf("got %q, %t", operator, ok)
	}
	p.Rebuilders = p.Rebuilders[:1]
	if operator, ok := p.RebuiltBy(e); ok {
		t.Errorf("got %q", operator)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(publishtest.NewPolicy(f).Text())
	for _, c := range refusals(f) {
		p := publishtest.NewPolicy(f)
		c.change(p)
		f.Add(p.Text())
	}
	text, err := publication.Section(publication.Values{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := read(text, "strict")
		if err != nil {
			return
		}
		keys := map[string]bool{}
		for _, s := range p.Signers {
			keys[s.Key.String()] = true
		}
		for _, r := range p.Rebuilders {
			keys[r.Key.String()] = true
		}
		if len(keys) != len(p.Signers)+len(p.Rebuilders) || keys[""] || p.Signatures < 1 || p.Rebuilds < 2 || p.AnyAge || p.MaxAge > 30*24*time.Hour ||
			p.SVNFloor < 1 || p.Log != nil && p.Log.QuorumNone() {
			t.Errorf("strict accepts %+v", p)
		}
		if len(p.Explain()) < 4 {
			t.Error(fmt.Sprint(p.Explain()))
		}
	})
}
