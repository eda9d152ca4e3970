package publication

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"safebox/verifier/dsse"
	"safebox/verifier/policy/table"
	"safebox/verifier/tlog"
)

// test is the profile that may waive more than the others.
const test = "test"

// Read reads every key of the table [publication]. In the profiles strict and
// cloud it refuses values that only the profile test may have.
func Read(t *table.Table, profile string) Policy {
	r := reader{Table: t, keys: map[string]string{}}
	var p Policy
	p.Signatures = int(t.Number("signatures", 1, maxParties))
	p.SVNFloor = t.Number("svn_floor", 1, maxSVN)
	p.Rebuilds = int(t.Number("rebuilds", 1, maxRebuild))
	age, unchecked := t.NumberOrAny("max_age", 1, maxAge)
	p.MaxAge, p.AnyAge = time.Duration(age)*time.Second, unchecked
	p.Log = r.log()
	p.Signers = r.signers()
	p.Rebuilders = r.rebuilders()
	t.End()
	r.counts(&p)
	if profile != test {
		r.floors(&p, profile)
	}
	return p
}

// reader reads one table and remembers its keys.
type reader struct {
	*table.Table
	keys map[string]string // algorithm and bytes of a key, and whose it is
}

// log reads the tlog-policy, or None.
func (r reader) log() *tlog.Policy {
	text, word := r.Block("log", maxLog, None)
	if word == None || r.Failed() {
		return nil
	}
	p, err := tlog.ParsePolicy([]byte(text))
	if err != nil {
		r.Fail("log", "%v", err)
		return nil
	}
	// With two, whoever takes the public records of one into the other can leave
	// a revocation out.
	if n := len(p.Logs()); n != 1 {
		r.Fail("log", "names %d logs, want one, or %q", n, None)
	}
	for _, log := range p.Logs() {
		if len(log.Name) > maxOrigin || strings.ContainsFunc(log.Name, func(c rune) bool { return c <= ' ' || c > '~' }) {
			r.Fail("log", "origin %.200q: want 1 to %d bytes of printable ASCII", log.Name, maxOrigin)
		}
		r.once("log", log.String(), "log "+log.Name)
	}
	for _, w := range p.Witnesses() {
		r.once("log", w.VKey, "witness "+w.Name)
	}
	return p
}

// once refuses a key of the log's policy that is listed twice, in whatever
// roles: whoever has two roles vouches for himself. A verifier key is
// NAME+ID+BASE64, the last of which is the algorithm's byte and the key; base64
// can have a plus too (C2SP signed-note, "Verifier keys").
func (r reader) once(at, vkey, whose string) {
	parts := strings.SplitN(vkey, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) < 2 {
		r.Fail(at, "key of %s: got %.100q, want a verifier key", whose, vkey)
		return
	}
	r.note(r.Table, at, raw[1:], whose)
}

// note keeps whose a key is.
func (r reader) note(t *table.Table, at string, raw []byte, whose string) {
	if other, ok := r.keys[string(raw)]; ok {
		t.Fail(at, "one key for %s and for %s, want another for each", other, whose)
	}
	r.keys[string(raw)] = whose
}

func (r reader) signers() []Signer {
	var list []Signer
	tables, _ := r.TablesOr("signers", None)
	for _, t := range tables {
		s := Signer{Name: t.Text("name", maxName), Key: r.key(t)}
		for _, o := range list {
			oneName(t, "name", o.Name, s.Name)
		}
		r.listed(t, s.Key, "signer "+s.Name)
		list = append(list, s)
		t.End()
	}
	return list
}

func (r reader) rebuilders() []Rebuilder {
	var list []Rebuilder
	tables, _ := r.TablesOr("rebuilders", None)
	for _, t := range tables {
		b := Rebuilder{Operator: t.Text("operator", maxName), Key: r.key(t)}
		for _, o := range list {
			oneName(t, "operator", o.Operator, b.Operator)
		}
		r.listed(t, b.Key, "rebuilder "+b.Operator)
		list = append(list, b)
		t.End()
	}
	return list
}

// oneName refuses two names that a person would take for one: they count as
// two operators.
func oneName(t *table.Table, key, a, b string) {
	plain := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
	if a != b && plain(a) == plain(b) {
		t.Fail(key, "got %q beside %q: want one spelling of a name", b, a)
	}
}

func (r reader) key(t *table.Table) dsse.PublicKey {
	text := t.Text("key", maxKey)
	key, err := dsse.ParsePublicKey(text)
	if err != nil {
		t.Fail("key", "%v", err)
	}
	return key
}

// listed is once for a key that signs records.
func (r reader) listed(t *table.Table, key dsse.PublicKey, whose string) {
	_, encoded, _ := strings.Cut(key.String(), ":")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) == 0 {
		return // the key was refused
	}
	r.note(t, "key", raw, whose)
}

// counts refuses a policy that nothing can fulfil by mistake. A list of nobody
// is no mistake: it waits to be filled in.
func (r reader) counts(p *Policy) {
	if n := names(p.Signers, func(s Signer) string { return s.Name }); n > 0 && p.Signatures > n {
		r.Fail("signatures", "got %d of %d signers", p.Signatures, n)
	}
	if n := names(p.Rebuilders, func(b Rebuilder) string { return b.Operator }); n > 0 && p.Rebuilds > n {
		r.Fail("rebuilds", "got %d of %d operators", p.Rebuilds, n)
	}
	if p.Log != nil && p.Log.QuorumNone() && !p.AnyAge {
		r.Fail("max_age", "got %v, want %q: without witnesses nobody states a time", p.MaxAge, Any)
	}
}

// floors refuses what a policy for real data may not say.
func (r reader) floors(p *Policy, profile string) {
	if p.Log != nil && p.Log.QuorumNone() {
		r.Fail("log", "quorum none: want witnesses in profile %s", profile)
	}
	if alone := lone(p.Log); alone != "" {
		r.Fail("log", "witness %.100q alone is a quorum: want two or more in profile %s", alone, profile)
	}
	if p.Rebuilds < leastRebuilds {
		r.Fail("rebuilds", "got %d, want at least %d in profile %s", p.Rebuilds, leastRebuilds, profile)
	}
	if p.AnyAge {
		r.Fail("max_age", "want a number of seconds in profile %s", profile)
	}
	if p.MaxAge > longestAge*time.Second {
		r.Fail("max_age", "got %v, want at most %v in profile %s", p.MaxAge, longestAge*time.Second, profile)
	}
}

// lone names a witness that is a quorum by itself, "" if there is none. A witness is
// known by the name of its keys: one with an Ed25519 and an ML-DSA-44 key is one.
func lone(p *tlog.Policy) string {
	if p == nil || p.QuorumNone() {
		return ""
	}
	words := map[string][]tlog.Cosignature{}
	for _, w := range p.Witnesses() {
		name, _, _ := strings.Cut(w.VKey, "+") // a name has no plus
		words[name] = append(words[name], tlog.Cosignature{Witness: w.Name})
	}
	for _, name := range slices.Sorted(maps.Keys(words)) {
		if _, ok := p.Quorum(words[name]); ok {
			return name
		}
	}
	return ""
}
