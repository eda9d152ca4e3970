package record_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// zeros is a digest of zeros in hex.
var zeros = strings.Repeat("0", 64)

// replaced changes one place of a statement and wants it refused for a field.
type replaced struct{ name, old, now, want string }

func refuseFields(t *testing.T, statement string, list []replaced) {
	t.Helper()
	for _, tt := range list {
		text := strings.Replace(statement, tt.old, tt.now, 1)
		if text == statement {
			t.Fatalf("%s: the test changes nothing", tt.name)
		}
		refused(t, tt.name, text, record.Fields, tt.want)
	}
}

// acceptFields wants both ends of every range.
func acceptFields(t *testing.T, statement string, list []replaced) {
	t.Helper()
	for _, tt := range list {
		text := strings.Replace(statement, tt.old, tt.now, 1)
		if text == statement {
			t.Fatalf("%s: the test changes nothing", tt.name)
		}
		if _, err := record.DecodeStatement([]byte(text)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// textRules are those of a text of at most most bytes that is now old.
func textRules(name, old string, most int) (bad, good []replaced) {
	quoted := func(s string) string {
		b, _ := json.Marshal(s) // of ASCII and one letter: can't fail
		return string(b)
	}
	old = quoted(old)
	for _, tt := range []struct{ what, now, want string }{
		{"empty", "", fmt.Sprintf("got 0 bytes, want 1 to %d", most)},
		{"too long", strings.Repeat("x", most+1), fmt.Sprintf("got %d bytes, want 1 to %d", most+1, most)},
		{"newline", "a\nb", "byte 1: got 0x0a, want printable ASCII"},
		{"delete", "ab\u007f", "byte 2: got 0x7f, want printable ASCII"},
		{"not ASCII", "é", "byte 0: got 0xc3, want printable ASCII"},
		{"right-to-left", "a\u202eb", "byte 1: got 0xe2, want printable ASCII"},
		{"space before", " a", `got " a", want no space at either end`},
		{"space behind", "a ", `got "a ", want no space at either end`},
	} {
		bad = append(bad, replaced{name + ": " + tt.what, old, quoted(tt.now), name + ": " + tt.want})
	}
	bad = append(
		bad,
		replaced{name + ": null", old, "null", "want a string"},
		replaced{name + ": number", old, "1", "want a string"},
	)
	return bad, []replaced{
		{name + ": one byte", old, `"x"`, ""},
		{name + ": longest", old, quoted(strings.Repeat("~", most)), ""},
		{name + ": inner space", old, `"! ~"`, ""},
	}
}

// numberRules are those of an integer that is now old.
func numberRules(name string, old, least, most int64) (bad, good []replaced) {
	member := name[strings.LastIndex(name, ".")+1:]
	at := func(v any) string { return fmt.Sprintf(`"%s":%v`, member, v) }
	want := fmt.Sprintf("want %d to %d", least, most)
	refused := []replaced{
		{name + ": too small", at(old), at(least - 1), fmt.Sprintf("%s: got %d, %s", name, least-1, want)},
		{name + ": too large", at(old), at(most + 1), fmt.Sprintf("%s: got %d, %s", name, most+1, want)},
		{name + ": text", at(old), at(fmt.Sprintf("%q", fmt.Sprint(old))), "want an integer"},
		{name + ": null", at(old), at("null"), "want an integer"},
	}
	accepted := []replaced{
		{name + ": smallest", at(old), at(least), ""},
		{name + ": largest", at(old), at(most), ""},
	}
	return refused, accepted
}

// hashRules are those of a directory hash under a member's name.
func hashRules(name string) []replaced {
	return []replaced{
		{name + ": other version", sum, "h2" + sum[2:], name + ": got"},
		{name + ": no version", sum, sum[3:], name + ": got"},
		{name + ": empty", sum, "", name + ": got"},
		{name + ": short", sum, "h1:" + sum[7:], name + ": got"},
		{name + ": long", sum, sum + "AAAA", name + ": got"},
		{name + ": bits behind", sum, strings.Replace(sum, "g=", "h=", 1), name + ": got"},
		{name + ": without padding", sum, strings.Replace(sum, "=", "A", 1), name + ": got"},
		{name + ": no base64", sum, strings.Replace(sum, "I", "!", 1), name + ": illegal base64"},
		{name + ": line break", sum, strings.Replace(sum, "ICeL3", `\nCeL\n`, 1), name + ": "},
	}
}

// statementRules are those of every statement.
func statementRules(t *testing.T, statement string) {
	t.Helper()
	one := digest("one").String()
	subject := func(d string) string { return `{"digest":{"sha256":"` + d + `"},"name":"release.json"}` }
	refuseFields(t, statement, []replaced{
		{"older type", "Statement/v1", "Statement/v0.1", "byte 0: want"},
		{"no type", `"_type":"https://in-toto.io/Statement/v1",`, "", "byte 0: want"},
		{"unknown member", `,"predicateType"`, `,"predicateHint":"","predicateType"`, "want"},
		{"unknown in the predicate", `"predicate":{`, `"predicate":{"a":1,`, "want"},
		{"other case", `"subject":`, `"subjecT":`, "want"},
		{"predicate null", `"predicate":{`, `"predicate":null,"predicateHint":{`, "want"},
		{"subject null", statement[strings.Index(statement, `"subject":`):], `"subject":null}`, "want"},
		{"no subject", statement[strings.Index(statement, `"subject":`):], `"subject":[]}`, "want"},
		{"subject all zero", statement[strings.Index(statement, `"subject":`):], `"subject":[` + subject(zeros) + `]}`, "subject 0: sha256: all zero"},
		{"subject twice", subject(one), subject(one) + "," + subject(one), "subject"},
		{"subject's other name", `"name":"release.json"`, `"name":"release.json2"`, "want"},
		{"subject without name", `,"name":"release.json"`, "", "want"},
		{"subject with URI", `"name":"release.json"`, `"name":"release.json","uri":""`, "want"},
		{"subject with more digests", `"digest":{"sha256"`, `"digest":{"sha1":"","sha256"`, "want"},
		{"subject with another digest", `"digest":{"sha256"`, `"digest":{"sha512"`, "want"},
		{"digest in capitals", subject(one), subject(strings.ToUpper(one)), "want 32 bytes of lower-case hex"},
		{"digest short", subject(one), subject(one[2:]), "want 32 bytes of lower-case hex"},
		{"digest long", subject(one), subject(one + "00"), "want 32 bytes of lower-case hex"},
	})
}

func TestReleaseFields(t *testing.T) {
	good := string(statements(t)["release"])
	statementRules(t, good)
	r := goodRelease()
	name := strings.Repeat("ab", 32)
	for _, f := range []struct{ name, value string }{{"source.commit", r.Source.Commit}, {"source.tree", r.Source.Tree}} {
		refuseFields(t, good, []replaced{
			{f.name + ": short", f.value, f.value[1:], f.name + ": got"},
			{f.name + ": long", f.value, f.value + "0", f.name + ": got"},
			{f.name + ": 63 digits", f.value, name[1:], f.name + ": got"},
			{f.name + ": 65 digits", f.value, name + "0", f.name + ": got"},
			{f.name + ": capitals", f.value, strings.ToUpper(f.value), f.name + ": got"},
			{f.name + ": empty", f.value, "", f.name + ": got"},
			{f.name + ": zero", f.value, zeros[:40], f.name + ": all zero"},
			{f.name + ": zero", f.value, zeros, f.name + ": all zero"},
		})
		acceptFields(t, good, []replaced{{f.name + ": SHA-256", f.value, name, ""}})
	}
	refuseFields(t, good, hashRules("source.sum"))
	refuseFields(t, good, []replaced{
		{"supersedes: short", r.Supersedes, r.Supersedes[1:], "supersedes: got 63 characters"},
		{"supersedes: capitals", r.Supersedes, strings.ToUpper(r.Supersedes), "supersedes: got 64 characters"},
		{"supersedes: zero", r.Supersedes, zeros, "supersedes: got"},
		{"supersedes itself", r.Supersedes, digest("one").String(), "supersedes: got"},
		{"supersedes: null", `"` + r.Supersedes + `"`, "null", "want a string"},
		{"version: empty", `"1.2.0"`, `""`, "version: got 0 bytes, want 1 to 64"},
		{"version: too long", `"1.2.0"`, `"` + strings.Repeat("1", 65) + `"`, "version: got 65 bytes"},
		{"version: slash", `"1.2.0"`, `"1/2"`, "version: got"},
		{"version: space", `"1.2.0"`, `"1 2"`, "version: got"},
		{"version: not ASCII", `"1.2.0"`, `"1é"`, "version: got"},
		{"version: dot first", `"1.2.0"`, `"..1"`, "version: got"},
		{"version: hyphen first", `"1.2.0"`, `"-1"`, "version: got"},
		{"version left out", `,"version":"1.2.0"`, "", "want"},
		{"no source", `"source":{`, `"source":null,"sourceHint":{`, "want"},
	})
	acceptFields(t, good, []replaced{
		{"supersedes nothing", r.Supersedes, "", ""},
		{"version: one letter", `"1.2.0"`, `"v"`, ""},
		{"version: all signs", `"1.2.0"`, `"1.2-rc_1+b~3"`, ""},
		{"version: longest", `"1.2.0"`, `"` + strings.Repeat("1", 64) + `"`, ""},
	})
	for _, f := range []struct {
		name             string
		old, least, most int64
	}{
		{"svn", 3, 1, 4294967295},             // AMD 56860: GUEST_SVN has 32 bits
		{"notBefore", epoch, 0, 253402300799}, // `date -ud '9999-12-31 23:59:59' +%s`
	} {
		bad, accepted := numberRules(f.name, f.old, f.least, f.most)
		refuseFields(t, good, bad)
		acceptFields(t, good, accepted)
	}
	refuseFields(t, good, []replaced{{"two subjects", `"subject":[`, `"subject":[{"digest":{"sha256":"` + digest("two").String() + `"},"name":"release.json"},`, "subject: got 2, want 1 to 1"}})
}

func TestRebuildFields(t *testing.T) {
	match, mismatch := string(statements(t)["match"]), string(statements(t)["mismatch"])
	one, other := digest("one").String(), digest("other").String()
	for _, good := range []string{match, mismatch} {
		statementRules(t, good)
		refuseFields(t, good, hashRules("source"))
		for _, f := range []struct {
			name, old string
			most      int
		}{
			{"environment.arch", "amd64", 64},
			{"environment.go", "1.26.8", 64},
			{"environment.os", "linux", 64},
			{"rebuilder", "Example Auditors", 128},
		} {
			bad, accepted := textRules(f.name, f.old, f.most)
			refuseFields(t, good, bad)
			acceptFields(t, good, accepted)
		}
		bad, accepted := numberRules("time", epoch+86400, 1, 253402300799)
		refuseFields(t, good, bad)
		acceptFields(t, good, accepted)
	}
	one2 := `"rebuilt":"` + one + `"`
	refuseFields(t, match, []replaced{
		{"match of another", one2, `"rebuilt":"` + other + `"`, `result: got "match" with rebuilt ` + other},
		{"match of nothing", one2, `"rebuilt":"` + zeros + `"`, `result: got "match"`},
		{"match with a difference", `"environment"`, `"differences":[{"got":"a","path":"b","want":"c"}],"environment"`, `result: got "match" with rebuilt ` + one + ` and 1 differences`},
		{"match with no list", `"environment"`, `"differences":[],"environment"`, "want"},
		{"match with null", `"environment"`, `"differences":null,"environment"`, "want"},
		{"mismatch of the same", `"result":"match"`, `"result":"mismatch"`, `result: got "mismatch"`},
		{"other result", `"result":"match"`, `"result":"Match"`, `result: got "Match", want`},
		{"no result", `"result":"match"`, `"result":""`, `result: got ""`},
		{"two subjects", `"subject":[`, `"subject":[{"digest":{"sha256":"` + digest("two").String() + `"},"name":"release.json"},`, "subject: got 2, want 1 to 1"},
	})
	list := mismatch[strings.Index(mismatch, `"differences"`):strings.Index(mismatch, `"environment"`)]
	refuseFields(t, mismatch, []replaced{
		{"mismatch that matches", `"rebuilt":"` + other + `"`, one2, `result: got "mismatch" with rebuilt ` + one},
		{"mismatch without a difference", list, "", `result: got "mismatch" with rebuilt ` + other + " and 0 differences"},
		{"match that differs", `"result":"mismatch"`, `"result":"match"`, `result: got "match"`},
		{"65 differences", list, `"differences":[` + differences(65) + `],`, "differences: got 65, want at most 64"},
		{"difference twice", list, `"differences":[` + differences(2) + "," + differences(1) + `],`, "differences: entry 2: there before"},
		{"difference, member left out", `"got":"0x90",`, "", "want"},
		{"difference, member more", `"got":"0x90",`, `"got":"0x90","note":"",`, "want"},
	})
	acceptFields(t, mismatch, []replaced{
		{"mismatch, nothing built", `"rebuilt":"` + other + `"`, `"rebuilt":"` + zeros + `"`, ""},
		{"64 differences", list, `"differences":[` + differences(64) + `],`, ""},
		{"one difference", list, `"differences":[` + differences(1) + `],`, ""},
	})
	for _, f := range []struct {
		name, old string
		most      int
	}{
		{"got", "0x90", 256},
		{"want", "0xcc", 256},
		{"path", `safebox.efi, section .initrd, "/init", byte 4096`, 512},
	} {
		bad, accepted := textRules("differences: entry 0: "+f.name, f.old, f.most)
		refuseFields(t, mismatch, bad)
		acceptFields(t, mismatch, accepted)
	}
}

// differences are n, all different.
func differences(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"got":"%d","path":"b","want":"c"}`, i)
	}
	return strings.Join(list, ",")
}

func TestRevokeFields(t *testing.T) {
	good := string(statements(t)["revoke"])
	statementRules(t, good)
	subjects := func(from, to int) string {
		var list []string
		for i := from; i < to; i++ {
			list = append(list, fmt.Sprintf(`{"digest":{"sha256":"%064x"},"name":"release.json"}`, i))
		}
		return `"subject":[` + strings.Join(list, ",") + `]}`
	}
	own := good[strings.Index(good, `"subject":`):]
	refuseFields(t, good, []replaced{
		{"65 subjects", own, subjects(1, 66), "subject: got 65, want 1 to 64"},
		{"not sorted", own, strings.Replace(subjects(1, 4), "02", "04", 1), "subject 2: sha256 " + zeros[:62] + "03: not sorted"},
		{"one of them zero", own, subjects(0, 4), "subject 0: sha256: all zero"},
	})
	acceptFields(t, good, []replaced{{"64 subjects", own, subjects(1, 65), ""}, {"one subject", own, subjects(1, 2), ""}})
	bad, accepted := textRules("reason", "init follows links out of its folder", 512)
	refuseFields(t, good, bad)
	acceptFields(t, good, accepted)
	for _, f := range []struct {
		name             string
		old, least, most int64
	}{{"svnFloor", 4, 0, 4294967295}, {"effective", epoch + 2*86400, 0, 253402300799}} {
		bad, accepted := numberRules(f.name, f.old, f.least, f.most)
		refuseFields(t, good, bad)
		acceptFields(t, good, accepted)
	}
}

// TestShape: canonical JSON of another shape is no record, in an envelope or as
// one.
func TestShape(t *testing.T) {
	for name, text := range map[string]string{
		"object": "{}", "list": "[]", "null": "null", "number": "1", "text": `"x"`, "true": "true",
		"list of it":       "[" + string(statements(t)["release"]) + "]",
		"no type":          `{"a":1}`,
		"type is a number": `{"predicateType":1}`,
		"type is a list":   `{"predicateType":["safebox:release/v1"]}`,
		"type alone":       `{"predicateType":"safebox:release/v1"}`,
	} {
		refused(t, name, text, record.Fields, "statement: ")
		_, err := record.Decode([]byte(text))
		wantForm(t, "entry: "+name, err, record.Fields, "envelope: ")
	}
	entry := string(readEntry(t, "release.dsse"))
	for name, tt := range map[string]struct{ old, now, want string }{
		"payload type":       {record.PayloadType, "application/vnd.in-toto+jsom", "payload type: got"},
		"payload is null":    {entry[len(`{"payload":`):strings.Index(entry, ",")], "null", "want standard base64"},
		"signatures is text": {entry[strings.Index(entry, "["):], `"x"}`, "want"},
		"no signatures":      {entry[strings.Index(entry, "["):], `[]}`, "want"},
		"signature is text":  {entry[strings.Index(entry, "["):], `["x"]}`, "want"},
		"signature is short": {entry[strings.Index(entry, `"sig":`):], `"sig":"AAAA"}]}`, "got 3 bytes"},
		"keyid":              {`"keyid":"21`, `"keyid":"2G`, "keyid: got"},
		"unknown member":     {`"payloadType"`, `"payloadHint":0,"payloadType"`, "want"},
		"order of keys":      {`"keyid":"21`, `"keyid":"f1`, "not sorted"},
	} {
		text := strings.Replace(entry, tt.old, tt.now, 1)
		if text == entry {
			t.Fatalf("%s: the test changes nothing", name)
		}
		_, err := record.Decode([]byte(text))
		wantForm(t, name, err, record.Fields, tt.want)
	}
}

// TestEncodeRefuses: what cannot be read is not written.
func TestEncodeRefuses(t *testing.T) {
	release, match, revoke := goodRelease(), goodMatch(), goodRevoke()
	release.SVN = 0
	match.Rebuilder = "\xff" // encoding/json writes another character
	revoke.Digests = nil
	huge := goodMismatch()
	huge.Differences = nil
	for i := range 64 { // 64 of 1 KiB
		huge.Differences = append(huge.Differences, record.Difference{
			Path: strings.Repeat("p", 512), Got: strings.Repeat("g", 253) + fmt.Sprintf("%03d", i), Want: strings.Repeat("w", 256),
		})
	}
	for name, tt := range map[string]struct {
		encode func() ([]byte, error)
		kind   record.Kind
		want   string
	}{
		"release": {release.Encode, record.Fields, "encoding record: record: fields: statement: svn: got 0, want 1 to 4294967295"},
		"rebuild": {match.Encode, record.Fields, "rebuilder: byte 0"},
		"revoke":  {revoke.Encode, record.Fields, ""},
		"huge":    {huge.Encode, record.Syntax, "want at most 43008"},
	} {
		b, err := tt.encode()
		wantForm(t, name, err, tt.kind, tt.want)
		if b != nil {
			t.Errorf("%s: got bytes beside the error", name)
		}
	}
}

// TestLargest: sixteen signatures of P-256 fit on the largest statement.
func TestLargest(t *testing.T) {
	r := goodMismatch()
	r.Differences = nil
	var statement []byte
	for i := 0; ; i++ { // until one more is too much
		r.Differences = append(r.Differences, record.Difference{
			Path: strings.Repeat("p", 512), Got: fmt.Sprintf("%0256d", i), Want: "w",
		})
		b, err := r.Encode()
		if err != nil {
			break
		}
		statement = b
	}
	r.Differences = r.Differences[:len(r.Differences)-1]
	for i := range 2 { // the rest, to the byte
		room := record.MaxStatement - len(statement)
		d := &r.Differences[i]
		d.Want += strings.Repeat("w", min(room, 255))
		r.Differences[i+2].Want += strings.Repeat("w", min(max(room-255, 0), 255))
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		statement = b
	}
	if len(statement) != record.MaxStatement {
		t.Fatalf("the test's statement has %d bytes, want %d", len(statement), record.MaxStatement)
	}
	var by []dsse.Signer
	for range 16 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := dsse.NewSigner(key)
		if err != nil {
			t.Fatal(err)
		}
		by = append(by, s)
	}
	entry, err := record.Sign(statement, by...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.Decode(entry)
	if err != nil || len(entry) > record.MaxEntry || len(got.Envelope.Signatures) != 16 {
		t.Errorf("got %d bytes, %v", len(entry), err)
	}
	if worst := len(entry) + 16*4; worst > record.MaxEntry { // signatures of 72 bytes have 96 in base64, those of 70 the same
		t.Errorf("%d bytes at worst, want at most %d", worst, record.MaxEntry)
	}
}

func TestKind(t *testing.T) {
	names := map[string]bool{}
	for _, k := range []record.Kind{record.Syntax, record.Canonical, record.Predicate, record.Fields, 0} {
		names[k.String()] = true
	}
	if len(names) != 5 {
		t.Errorf("got %v, want five names", names)
	}
	var none canon.Octets32
	if _, err := (&record.Release{Digest: none}).Encode(); err == nil {
		t.Error("the zero record: encoded")
	}
}
