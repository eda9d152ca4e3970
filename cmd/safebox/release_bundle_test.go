package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safebox/verifier/bundle"
	"safebox/verifier/check"
	"safebox/verifier/checktest"
	"safebox/verifier/dsse"
	"safebox/verifier/policy"
	"safebox/verifier/published"
	"safebox/verifier/publishtest"
	"safebox/verifier/release/record"
	"safebox/verifier/transcript"
)

// publishedAt is the time of the publications in these tests.
func publishedAt() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }

// releaseJSON is that of a captured session.
func releaseJSON(t testing.TB) []byte {
	t.Helper()
	return readFile(t, filepath.Join(root, "verifier/testdata/boot/release.json"))
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeLog writes the files of a log as C2SP tlog-tiles has them, fewer than
// 256,000 entries.
func writeLog(t testing.TB, checkpoint []byte, entries [][]byte) string {
	t.Helper()
	const width = 256
	dir := t.TempDir()
	place(t, filepath.Join(dir, "checkpoint"), checkpoint)
	for first := 0; first < len(entries); first += width {
		list := entries[first:min(first+width, len(entries))]
		var b []byte
		for _, e := range list {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
		}
		name := fmt.Sprintf("tile/entries/%03d", first/width)
		if len(list) < width {
			name += fmt.Sprintf(".p/%d", len(list))
		}
		place(t, filepath.Join(dir, name), b)
	}
	return dir
}

func place(t testing.TB, name string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// safebox runs a command in this process.
func safebox(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// pack bundles the release of a publication out of its log.
func pack(t testing.TB, log string, args ...string) (b []byte, code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.bundle")
	args = append([]string{"release", "bundle", "--release", place(t, filepath.Join(dir, "release.json"), releaseJSON(t)), "--log", log, "--out", out}, args...)
	code, stdout, stderr = safebox(t, args...)
	b, err := os.ReadFile(out)
	if code == 0 && err != nil || code != 0 && err == nil {
		t.Errorf("code %d, and the file: %v: want one exactly of a success", code, err)
	}
	return b, code, stdout, stderr
}

// TestReleaseBundle: the bundle is, byte for byte, the one that publishtest
// makes, whose proofs and trees are code of its own.
func TestReleaseBundle(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3} {
		plan := publishtest.New(t, releaseJSON(t), publishedAt())
		plan.Rebuilds = plan.Rebuilds[:n]
		p := plan.Publish(t)
		dir := writeLog(t, p.Checkpoint, p.Log.Entries)
		server := httptest.NewServer(http.FileServer(http.Dir(dir)))
		defer server.Close()
		policy := place(t, filepath.Join(t.TempDir(), "log.policy"), []byte(p.Policy.Log))
		for _, where := range []string{dir, server.URL} {
			got, code, stdout, stderr := pack(t, where, "--log-policy", policy)
			if code != 0 || !bytes.Equal(got, p.Encode(t)) || stderr != "" {
				t.Errorf("%d rebuilds: code %d, %q: not the bundle of publishtest", n, code, stderr)
			}
			if want := fmt.Sprintf("log %q, %d entries, root ", publishtest.Origin, n+1); !strings.Contains(stdout, want) || !strings.Contains(stdout, "signed and witnessed as --log-policy wants") {
				t.Errorf("%d rebuilds: got %q, want %q in it", n, stdout, want)
			}
		}
	}
}

// TestReleaseBundleInputs: nothing is written over what is read, and nothing into
// the log's folder, whatever it is called.
func TestReleaseBundleInputs(t *testing.T) {
	p := publishtest.New(t, releaseJSON(t), publishedAt()).Publish(t)
	log, dir := writeLog(t, p.Checkpoint, p.Log.Entries), t.TempDir()
	file := place(t, filepath.Join(dir, "release.json"), releaseJSON(t))
	rides := place(t, filepath.Join(dir, "in/a.der"), []byte("a"))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(log, link); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{
		file, rides, filepath.Join(log, "checkpoint"), filepath.Join(link, "checkpoint"), filepath.Join(log, "new"), filepath.Join(link, "tile/entries/001"),
	} {
		code, stdout, stderr := safebox(t, "release", "bundle", "--release", file, "--log", log, "--collateral", filepath.Dir(rides), "--out", out)
		if code != 2 || stdout != "" || !strings.Contains(stderr, out+" would be written ") {
			t.Errorf("%s: got code %d, %q and %q", out, code, stdout, stderr)
		}
	}
	if got := readFile(t, filepath.Join(log, "checkpoint")); !bytes.Equal(got, p.Checkpoint) {
		t.Errorf("the checkpoint is now %.40q", got)
	}
	if code, _, stderr := safebox(t, "release", "bundle", "--release", file, "--log", log, "--out", filepath.Join(filepath.Dir(log), "out")); code != 0 {
		t.Errorf("beside the log: got code %d and %q", code, stderr)
	}
}

// TestReleaseBundleRides: documents of vendors ride along, whatever the order
// in which they were given, and two of one name don't.
func TestReleaseBundleRides(t *testing.T) {
	p := publishtest.New(t, releaseJSON(t), publishedAt()).Publish(t)
	log, dir := writeLog(t, p.Checkpoint, p.Log.Entries), t.TempDir()
	b, a := place(t, filepath.Join(dir, "b.crl"), []byte("b")), place(t, filepath.Join(dir, "in/a.der"), []byte("a"))
	p.Bundle.Collateral = []bundle.File{{Name: "a.der", Bytes: []byte("a")}, {Name: "b.crl", Bytes: []byte("b")}}
	for _, args := range [][]string{
		{"--collateral", b, "--collateral", a}, {"--collateral", a, "--collateral", b}, {"--collateral", filepath.Dir(a), "--collateral", b},
	} {
		if got, code, _, stderr := pack(t, log, args...); code != 0 || !bytes.Equal(got, p.Encode(t)) {
			t.Errorf("%q: code %d, %q: not the bundle of publishtest", args, code, stderr)
		}
	}
	again := place(t, filepath.Join(dir, "more/a.der"), []byte("other"))
	if _, code, _, stderr := pack(t, log, "--collateral", a, "--collateral", again); code != 2 || !strings.Contains(stderr, "two files called a.der") {
		t.Errorf("two of a name: code %d, %q", code, stderr)
	}
	bad := place(t, filepath.Join(dir, "a b"), []byte("x"))
	if _, code, _, stderr := pack(t, log, "--collateral", bad); code != 1 || !strings.Contains(stderr, `"a b"`) {
		t.Errorf("a name with a space: code %d, %q", code, stderr)
	}
}

// TestReleaseBundleRefuses: a log that is not the one of its checkpoint, or
// not one of this release, makes no bundle.
func TestReleaseBundleRefuses(t *testing.T) {
	plan := publishtest.New(t, releaseJSON(t), publishedAt())
	good := plan.Publish(t)
	second := *plan
	second.Signers = append(second.Signers, publishtest.Signer(t, "second publisher"))
	twice := good.Log.Entries
	twice = append(twice[:len(twice):len(twice)], second.Records(t).Release)
	other := publishtest.New(t, bytes.Replace(releaseJSON(t), []byte("{"), []byte("{ "), 1), publishedAt()).Publish(t)
	notCanonical := append(bytes.Clone(good.Log.Entries[1]), '\n')
	logOf := func(entries ...[]byte) string {
		l := &publishtest.Log{Name: publishtest.Origin, Entries: entries}
		return writeLog(t, l.Checkpoint(t), entries)
	}
	policy := place(t, filepath.Join(t.TempDir(), "log.policy"), []byte(good.Policy.Log))
	otherLog := &publishtest.Log{Name: "TEST-ONLY.other.example", Entries: good.Log.Entries}
	for name, tt := range map[string]struct {
		log  string
		args []string
		code int
		want string
	}{
		"an entry less":      {writeLog(t, good.Checkpoint, good.Log.Entries[:3]), nil, 1, "000.p/4"},
		"an entry changed":   {writeLog(t, good.Checkpoint, append([][]byte{other.Log.Entries[0]}, good.Log.Entries[1:]...)), nil, 1, "the entries are not those of the checkpoint: root of 4 entries"},
		"two of them moved":  {writeLog(t, good.Checkpoint, [][]byte{good.Log.Entries[0], good.Log.Entries[2], good.Log.Entries[1], good.Log.Entries[3]}), nil, 1, "the entries are not those of the checkpoint"},
		"another release":    {writeLog(t, other.Checkpoint, other.Log.Entries), nil, 1, "the log has no release record of this release"},
		"empty":              {writeLog(t, (&publishtest.Log{Name: publishtest.Origin}).Checkpoint(t), nil), nil, 1, "the log has no release record of this release"},
		"two of the release": {logOf(twice...), nil, 1, "the log has 2 release records of this release: entries 0, 4"},
		"no record":          {logOf(good.Log.Entries[0], []byte("{}")), nil, 1, "log entry 1: "},
		"not canonical":      {logOf(good.Log.Entries[0], notCanonical), nil, 1, "log entry 1: "},
		"unwitnessed":        {logOf(good.Log.Entries...), []string{"--log-policy", policy}, 1, "got cosignatures of 0 listed witnesses, want a quorum"},
		"another log":        {writeLog(t, otherLog.Checkpoint(t), otherLog.Entries), []string{"--log-policy", policy}, 1, "--log-policy: "},
		"no such log":        {filepath.Join(t.TempDir(), "none"), nil, 1, "no such file"},
		"policy":             {logOf(good.Log.Entries...), []string{"--log-policy", place(t, filepath.Join(t.TempDir(), "p"), []byte("quorum x\n"))}, 2, "--log-policy"},
		"not its record":     {logOf(good.Log.Entries...), []string{"--record", place(t, filepath.Join(t.TempDir(), "r"), second.Records(t).Release)}, 1, "is not in the log as a record of this release"},
		"not a release's":    {logOf(good.Log.Entries...), []string{"--record", place(t, filepath.Join(t.TempDir(), "r"), good.Log.Entries[1])}, 1, "is not in the log as a record of this release"},
	} {
		_, code, stdout, stderr := pack(t, tt.log, tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.want) || stdout != "" {
			t.Errorf("%s: got code %d, %q and %q, want %d and %q", name, code, stdout, stderr, tt.code, tt.want)
		}
	}
	// The same log, with the choice made.
	chosen := place(t, filepath.Join(t.TempDir(), "release.dsse"), good.Log.Entries[0])
	if b, code, _, stderr := pack(t, logOf(twice...), "--record", chosen); code != 0 {
		t.Errorf("--record: got code %d and %q", code, stderr)
	} else if content, err := bundle.Decode(b); err != nil || !bytes.Equal(content.Record, good.Log.Entries[0]) || len(content.Entries) != 5 {
		t.Errorf("--record: got %v, want the chosen record and all entries", err)
	}
}

// TestReleaseBundleMany: more rebuild records than a bundle has room for, which
// anybody may append; and one that was appended twice.
func TestReleaseBundleMany(t *testing.T) {
	plan := publishtest.New(t, releaseJSON(t), publishedAt())
	plan.Rebuilds = nil
	for i := range 17 {
		plan.Rebuilds = append(plan.Rebuilds, publishtest.Rebuild{Record: plan.Match(i), Signer: publishtest.Rebuilder(t, i)})
	}
	p := plan.Publish(t)
	log := writeLog(t, p.Checkpoint, p.Log.Entries)
	if _, code, _, stderr := pack(t, log); code != 1 || !strings.Contains(stderr, "the log has 17 rebuild records of this release, and a bundle room for 16: entries 1, 2, ") {
		t.Errorf("got code %d and %q", code, stderr)
	}
	one, two := place(t, filepath.Join(t.TempDir(), "1"), p.Log.Entries[1]), place(t, filepath.Join(t.TempDir(), "2"), p.Log.Entries[17])
	b, code, _, stderr := pack(t, log, "--rebuild", two, "--rebuild", one, "--rebuild", two)
	content, err := bundle.Decode(b)
	if code != 0 || err != nil || len(content.Rebuilds) != 2 || !bytes.Equal(content.Rebuilds[0].Record, p.Log.Entries[1]) {
		t.Fatalf("--rebuild: got code %d, %q and %v", code, stderr, err)
	}
	again := &publishtest.Log{Name: publishtest.Origin, Entries: [][]byte{p.Log.Entries[0], p.Log.Entries[1], p.Log.Entries[1], p.Log.Entries[0]}}
	b, code, _, stderr = pack(t, writeLog(t, again.Checkpoint(t), again.Entries))
	if content, err = bundle.Decode(b); code != 0 || err != nil || len(content.Rebuilds) != 1 || len(content.Entries) != 4 {
		t.Errorf("appended twice: got code %d, %q and %v", code, stderr, err)
	}
}

// TestReleaseBundleAgainst: what the log holds against the release is said, and
// the bundle is written: it is the verifier's to refuse.
func TestReleaseBundleAgainst(t *testing.T) {
	plan := publishtest.New(t, releaseJSON(t), publishedAt())
	mismatch, revoke, floor := plan.Mismatch(0), plan.Revoke(0, plan.Release.Digest), plan.Revoke(2, [32]byte{9})
	harmless := plan.Revoke(1, [32]byte{9})
	publisher := publishtest.Publisher(t)
	plan.After = [][]byte{
		publishtest.Entry(t, &mismatch, publishtest.Rebuilder(t, 2)), publishtest.Entry(t, &revoke, publisher),
		publishtest.Entry(t, &harmless, publisher), publishtest.Entry(t, &floor, publisher),
	}
	p := plan.Publish(t)
	log := writeLog(t, p.Checkpoint, p.Log.Entries)
	want := []string{
		"entry 4: mismatch by TEST-ONLY.rebuilder 0", "entry 5: revoked: a test", "entry 7: svn 1 below the floor 2: a test",
	}
	check := func(stderr string, args ...string) {
		t.Helper()
		if lines := strings.Split(strings.TrimSpace(stderr), "\n"); len(lines) != len(want) {
			t.Errorf("%q: got %q, want %q", args, lines, want)
			return
		}
		for _, w := range want {
			if !strings.Contains(stderr, "safebox: "+w+": no policy that lists its signer accepts the bundle\n") {
				t.Errorf("%q: got %q, want %q", args, stderr, w)
			}
		}
	}
	_, code, _, stderr := pack(t, log)
	check(stderr)
	if code != 0 {
		t.Errorf("got code %d", code)
	}
	// A mismatch that is not taken along speaks against the release all the same.
	only := place(t, filepath.Join(t.TempDir(), "1"), p.Log.Entries[1])
	_, _, stdout, stderr := pack(t, log, "--rebuild", only, "--json")
	check(stderr, "--rebuild")
	var answer jsonBundle
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || len(answer.Against) != 3 || len(answer.Rebuilds) != 1 || answer.Log.Checked {
		t.Errorf("got %s and %v", stdout, err)
	}
}

// TestReleaseShow: keys that are given, given and not in it, and a signature
// that does not hold.
func TestReleaseShow(t *testing.T) {
	plan := publishtest.New(t, releaseJSON(t), publishedAt())
	mismatch, revoke := plan.Mismatch(2), plan.Revoke(7, plan.Release.Digest)
	plan.After = [][]byte{publishtest.Entry(t, &mismatch, publishtest.Rebuilder(t, 2)), publishtest.Entry(t, &revoke, publishtest.Publisher(t))}
	p := plan.Publish(t)
	dir := t.TempDir()
	file := place(t, filepath.Join(dir, "b"), p.Encode(t))
	entry := place(t, filepath.Join(dir, "r"), p.Log.Entries[0])
	flipped := place(t, filepath.Join(dir, "f"), publishtest.FlipSignature(t, p.Log.Entries[0]))
	publisher, rebuilder, stranger := publishtest.Publisher(t).Public(), publishtest.Rebuilder(t, 0).Public(), publishtest.Signer(t, "stranger").Public()
	moved := *p.Bundle
	moved.Proof = moved.Rebuilds[0].Proof
	short := *p.Bundle
	short.Entries = short.Entries[:4]
	put := func(name string, b *bundle.Bundle) string {
		encoded, err := bundle.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		return place(t, filepath.Join(dir, name), encoded)
	}
	for name, tt := range map[string]struct {
		file string
		keys []dsse.PublicKey
		code int
		want []string
	}{
		"bundle":              {file, nil, 0, []string{"not verified: no key of this ID was given", "is that of the entries", "mismatch", "entry 5, REVOKES this release", "svn_floor 7", "size 6\n"}},
		"bundle, both keys":   {file, []dsse.PublicKey{publisher, rebuilder}, 0, []string{", verified: " + publisher.String(), ", verified: " + rebuilder.String()}},
		"bundle, stranger":    {file, []dsse.PublicKey{publisher, stranger}, 1, []string{"key " + stranger.ID() + " has signed nothing in it"}},
		"record":              {entry, []dsse.PublicKey{publisher}, 0, []string{"version TEST-ONLY.1.0.0\n", ", verified: " + publisher.String(), "svn 1\n", "source " + publishtest.Sum + "\n"}},
		"record, not the key": {entry, []dsse.PublicKey{rebuilder}, 1, []string{"key " + rebuilder.ID() + " has signed nothing in it"}},
		"flipped":             {flipped, []dsse.PublicKey{publisher}, 1, []string{"BROKEN: does not verify under " + publisher.String(), "the signature of key " + publisher.ID() + " does not verify"}},
		"another proof":       {put("moved", &moved), nil, 1, []string{"NOT proved to be in the log", "release record: the proof for entry 1 is not one"}},
		"entries missing":     {put("short", &short), nil, 1, []string{"is NOT that of the 4 entries", "the entries are not those of the checkpoint"}},
		"no bundle":           {filepath.Join(root, "go.mod"), nil, 2, []string{"decoding bundle"}},
		"no record":           {filepath.Join(root, "verifier/testdata/boot/release.json"), nil, 2, []string{"release.json: "}},
	} {
		args := []string{"release", "show", tt.file}
		for _, k := range tt.keys {
			args = append(args, "--key", k.String())
		}
		code, stdout, stderr := safebox(t, args...)
		for _, w := range tt.want {
			if !strings.Contains(stdout+stderr, w) {
				t.Errorf("%s: got %q and %q, want %q", name, stdout, stderr, w)
			}
		}
		codeJSON, stdoutJSON, _ := safebox(t, append(args, "--json")...)
		if code != tt.code || codeJSON != code || code < 2 && !json.Valid([]byte(stdoutJSON)) {
			t.Errorf("%s: got code %d and %d with --json, want %d: %q", name, code, codeJSON, tt.code, stderr)
		}
	}
}

// TestRecordTexts is about what Encode refuses and the command must say.
func TestRecordTexts(t *testing.T) {
	dir := t.TempDir()
	key, out := filepath.Join(dir, "key"), filepath.Join(dir, "out")
	if code, _, stderr := safebox(t, "key", "signer", "--out", key, "--no-passphrase"); code != 0 {
		t.Fatal(stderr)
	}
	digest := strings.Repeat("ab", 32)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--release", digest, "--reason", "schlüssel"}, "reason: byte"},
		{[]string{"--release", digest, "--reason", "x", "--svn-floor", "-1"}, "svnFloor: got -1"},
		{[]string{"--release", digest, "--reason", "x", "--effective", "tomorrow"}, "--effective: "},
		{[]string{"--release", digest + "ab", "--reason", "x"}, "--release: "},
		{[]string{"--reason", "x"}, "--release and --reason must be given"},
		{[]string{"--release", digest, "--reason", "x", "--out", key}, "would be written over the input"},
	} {
		args := append([]string{"release", "revoke", "--sign", key, "--out", out}, tt.args...)
		if code, _, stderr := safebox(t, args...); code != 2 || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: got code %d and %q, want %q", tt.args, code, stderr, tt.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q: something was written", tt.args)
		}
	}
	// Digests are sorted, and each is there once.
	if code, _, stderr := safebox(t, "release", "revoke", "--sign", key, "--out", out, "--reason", "x", "--release", strings.Repeat("cd", 32),
		"--release", digest, "--release", digest, "--effective", "2026-12-01T00:00:00Z"); code != 0 {
		t.Fatal(stderr)
	}
	r, err := record.Decode(readFile(t, out))
	if err != nil || len(r.Revoke.Digests) != 2 || r.Revoke.Effective != 1796083200 { // date -u -d 2026-12-01 +%s
		t.Errorf("got %+v and %v", r.Revoke, err)
	}
}

// TestReleaseBundleJudged: out of every log of a publication that passes, this
// command makes a bundle that passes, whatever strangers logged.
func TestReleaseBundleJudged(t *testing.T) {
	file, err := policy.Profile(policy.Test, []string{transcript.VTPM})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range publishtest.Publications() {
		p := h.Make(t, releaseJSON(t), publishedAt())
		pol, err := policy.Parse(p.Policy.Apply(t, file))
		if err != nil {
			t.Fatal(err)
		}
		got, code, _, stderr := pack(t, writeLog(t, p.Checkpoint, p.Log.Entries))
		b, err := bundle.Decode(got)
		if code != 0 || err != nil {
			t.Errorf("%s: got code %d, %q and %v", h.Name, code, stderr, err)
			continue
		}
		log := check.New()
		published.Check(published.Input{Bundle: b, Policy: &pol.Publication, At: publishedAt()}, log)
		checktest.Passes(t, log.Verdict(published.Definitions()))
	}
}
