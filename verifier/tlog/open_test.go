package tlog_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"safebox/verifier/dsse"
	"safebox/verifier/tlog"
)

// opening is a log, two witnesses, their policy and a checkpoint of the log.
type opening struct {
	log    *tlog.LogSigner
	a, b   *tlog.Cosigner
	policy *tlog.Policy
	bare   []byte // signed by the log alone
}

func newOpening(t testing.TB) opening {
	t.Helper()
	o := opening{
		log: logSigner(t, origin, 1),
		a:   cosigner(t, "a.example", tlog.CosignatureEd25519, 2),
		b:   cosigner(t, "b.example", tlog.CosignatureMLDSA44, 3),
	}
	o.policy = policy(t, "log "+o.log.Key().String(), "witness a "+o.a.Key().String(), "witness b "+o.b.Key().String(), "group g all a b", "quorum g")
	o.bare = signed(t, o.log, &tlog.Checkpoint{Origin: origin, Size: 5, Root: [32]byte{7}})
	return o
}

func TestOpen(t *testing.T) {
	o := newOpening(t)
	full := cosigned(t, cosigned(t, o.bare, o.b, now+1), o.a, now)
	got, err := o.policy.Open(full)
	if err != nil {
		t.Fatal(err)
	}
	want := &tlog.Opened{
		Checkpoint:   tlog.Checkpoint{Origin: origin, Size: 5, Root: [32]byte{7}},
		Log:          origin,
		Cosignatures: []tlog.Cosignature{{Witness: "a", Time: now}, {Witness: "b", Time: now + 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at, ok := o.policy.Quorum(got.Cosignatures); !ok || at != now {
		t.Errorf("quorum: got %d, %v, want %d", at, ok, int64(now))
	}
	// Nobody else's signature matters, nor the order.
	stranger := cosigner(t, "a.example", tlog.CosignatureEd25519, 9) // the name, but not the key
	sameKey := cosigner(t, "c.example", tlog.CosignatureEd25519, 2)  // the key, but not the name
	more := cosigned(t, cosigned(t, full, stranger, now), sameKey, now)
	for _, k := range []tlog.Key{o.log.Key(), o.a.Key(), o.b.Key()} { // a listed ID under another name
		more = append(more, tlog.Signature{Name: "d.example", ID: k.ID, Sig: []byte{1}}.String()...)
	}
	if again, err := o.policy.Open(more); err != nil || !cmp.Equal(got, again) {
		t.Errorf("with strangers: got %+v, %v", again, err)
	}
	for name, note := range map[string][]byte{"log alone": o.bare, "strangers": cosigned(t, cosigned(t, o.bare, stranger, now), sameKey, now)} {
		opened, err := o.policy.Open(note)
		if err != nil || len(opened.Cosignatures) != 0 {
			t.Errorf("%s: got %+v, %v", name, opened, err)
			continue
		}
		if _, ok := o.policy.Quorum(opened.Cosignatures); ok {
			t.Errorf("%s: a quorum", name)
		}
	}
}

// Every way in which a signature counts for nothing or spoils the note.
func TestOpenRefuses(t *testing.T) {
	o := newOpening(t)
	full := cosigned(t, cosigned(t, o.bare, o.a, now), o.b, now)
	lines := strings.SplitAfter(string(full), "\n") // 3 of text, empty, log, a, b
	text := strings.Join(lines[:4], "")
	var noLog *tlog.LogError
	var bad *tlog.SignatureError
	var witness *tlog.CosignerError
	for _, tt := range []struct {
		name, note string
		target     any
	}{
		{"no log's signature", text + lines[5] + lines[6], &noLog},
		{"another log's", string(signed(t, logSigner(t, "other.example", 1), &tlog.Checkpoint{Origin: "other.example", Size: 5})), &noLog},
		{"another log's key of this name", string(signed(t, logSigner(t, origin, 9), &tlog.Checkpoint{Origin: origin, Size: 5})), &noLog},
		{"another size", strings.Replace(string(full), "\n5\n", "\n6\n", 1), &bad},
		{"a second, broken signature of the log", string(full) + broken(t, lines[4], 4), &bad},
		{"broken signature of a", text + lines[4] + broken(t, lines[5], 30) + lines[6], &witness},
		{"another time of a", text + lines[4] + broken(t, lines[5], 4+7) + lines[6], &witness},
		{"time of a above 2^63-1", text + lines[4] + broken(t, lines[5], 4), nil},
		{"broken signature of b", text + lines[4] + lines[5] + broken(t, lines[6], 2000), &witness},
		{"good and broken signature of a", string(full) + broken(t, lines[5], 40), &witness},
		{"broken and good signature of a", text + lines[4] + broken(t, lines[5], 40) + lines[5], &witness},
		{"cut signature of a", text + lines[4] + cut(t, lines[5]), nil},
		{"note without a checkpoint", poem, nil},
		{"nothing", "", nil},
	} {
		_, err := o.policy.Open([]byte(tt.note))
		if err == nil {
			t.Errorf("%s: no error", tt.name)
		} else if tt.target != nil && !errors.As(err, tt.target) {
			t.Errorf("%s: got %v, want a %T", tt.name, err, tt.target)
		}
	}
	if _, err := policy(t, "quorum none").Open(full); !errors.As(err, &noLog) {
		t.Errorf("policy without logs: got %v", err)
	}
	if _, err := new(tlog.Policy).Open(full); !errors.As(err, &noLog) {
		t.Errorf("no policy: got %v", err)
	}
	if _, ok := new(tlog.Policy).Quorum([]tlog.Cosignature{{Time: now}}); ok {
		t.Error("no policy: a quorum")
	}
	// A log signs under its own name alone: b's signature on a's tree is none.
	two := policy(t, "log "+o.log.Key().String(), "log "+logSigner(t, "other.example", 2).Key().String(), "quorum none")
	n, err := note.Sign(&note.Note{Text: strings.Join(lines[:3], "")}, logSigner(t, "other.example", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Open(n); !errors.As(err, &noLog) || noLog.Origin != origin {
		t.Errorf("signed by another listed log: got %v", err)
	}
}

// broken flips the highest bit of a byte of a signature, key ID included.
func broken(t testing.TB, line string, at int) string {
	t.Helper()
	signatures, err := tlog.DecodeSignatures([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	s := signatures[0]
	s.Sig = bytes.Clone(s.Sig)
	s.Sig[at-4] ^= 0x80
	return s.String()
}

// cut takes the last byte off a signature.
func cut(t testing.TB, line string) string {
	t.Helper()
	signatures, err := tlog.DecodeSignatures([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	s := signatures[0]
	s.Sig = s.Sig[:len(s.Sig)-1]
	return s.String()
}

// Several cosignatures of one witness are one, with the latest time, in
// whatever order, and never a quorum of two.
func TestOneWitnessCountsOnce(t *testing.T) {
	o := newOpening(t)
	times := []int64{now, now + 9, now + 3}
	for range 3 {
		n := o.bare
		for _, at := range times {
			n = cosigned(t, n, o.a, at)
		}
		opened, err := o.policy.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]tlog.Cosignature{{Witness: "a", Time: now + 9}}, opened.Cosignatures); diff != "" {
			t.Errorf("%v (-want +got):\n%s", times, diff)
		}
		if _, ok := o.policy.Quorum(opened.Cosignatures); ok {
			t.Errorf("%v: one witness is a quorum of two", times)
		}
		times = append(times[1:], times[0])
	}
}

// An ML-DSA-44 cosignature of time 0 is a cosignature (tlog-cosignature,
// "ML-DSA-44 signed message"): the caller sees the time and decides. One of a
// subtree that is not the whole tree is none. The library signs both.
func TestTimeZeroAndFuture(t *testing.T) {
	o := newOpening(t)
	future := cosigned(t, o.bare, o.a, 1<<63-1)
	opened, err := o.policy.Open(future)
	if err != nil || !cmp.Equal(opened.Cosignatures, []tlog.Cosignature{{Witness: "a", Time: 1<<63 - 1}}) {
		t.Errorf("far future: got %+v, %v", opened, err)
	}
	skey, _, err := tlog.GenerateWitnessKey("b.example", tlog.CosignatureMLDSA44, seed(3))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := formats.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	c := mustDecode(t, o.bare)
	subtree := func(start uint64) []byte {
		sig, err := theirs.SignSubtree(0, c.Origin, start, uint64(c.Size), c.Root[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(bytes.Clone(future), tlog.Signature{Name: "b.example", ID: o.b.Key().ID, Sig: sig}.String()...)
	}
	opened, err = o.policy.Open(subtree(0))
	want := []tlog.Cosignature{{Witness: "a", Time: 1<<63 - 1}, {Witness: "b", Time: 0}}
	if err != nil || !cmp.Equal(opened.Cosignatures, want) {
		t.Fatalf("time 0: got %+v, %v, want %+v", opened, err, want)
	}
	if at, ok := o.policy.Quorum(opened.Cosignatures); !ok || at != 0 {
		t.Errorf("quorum with a time of 0: got %d, %v, want 0, true", at, ok)
	}
	var refused *tlog.CosignerError
	if _, err := o.policy.Open(subtree(4)); !errors.As(err, &refused) || refused.Witness != "b" {
		t.Errorf("subtree from 4: got %v, want a *CosignerError", err)
	}
}

// The time of a quorum is that of its oldest needed cosignature.
func TestQuorum(t *testing.T) {
	w := witnesses(t, 4)
	lines := make([]string, 0, 6)
	for i, name := range []string{"a", "b", "c", "d"} {
		lines = append(lines, "witness "+name+" "+w[i].Key().String())
	}
	two := policy(t, append(slices.Clone(lines), "group g 2 a b c", "quorum g")...)
	nested := policy(t, append(slices.Clone(lines), "group ab any a b", "group top all ab c", "quorum top")...)
	one := policy(t, append(slices.Clone(lines), "quorum d")...)
	none := policy(t, append(slices.Clone(lines), "quorum none")...)
	type cs = []tlog.Cosignature
	for _, tt := range []struct {
		name   string
		policy *tlog.Policy
		have   cs
		at     int64
		ok     bool
	}{
		{"nobody", two, nil, 0, false},
		{"one of two", two, cs{{"a", 5}}, 0, false},
		{"one twice", two, cs{{"a", 5}, {"a", 6}}, 0, false},
		{"a stranger", two, cs{{"a", 5}, {"x", 6}}, 0, false},
		{"outside the group", two, cs{{"a", 5}, {"d", 6}}, 0, false},
		{"two", two, cs{{"a", 5}, {"b", 6}}, 5, true},
		{"three, unsorted", two, cs{{"b", 1}, {"c", 9}, {"a", 5}}, 5, true},
		{"the same time", two, cs{{"a", 5}, {"b", 5}, {"c", 5}}, 5, true},
		{"one twice and another", two, cs{{"a", 9}, {"a", 1}, {"b", 4}}, 4, true},
		{"outside ones do not age it", two, cs{{"a", 5}, {"b", 6}, {"d", 1}}, 5, true},
		{"any of a group", nested, cs{{"a", 5}, {"b", 9}, {"c", 7}}, 7, true},
		{"a group short", nested, cs{{"a", 5}, {"b", 9}}, 0, false},
		{"other group short", nested, cs{{"c", 5}}, 0, false},
		{"a witness", one, cs{{"a", 9}, {"d", 3}}, 3, true},
		{"not the witness", one, cs{{"a", 9}, {"b", 3}}, 0, false},
		{"none asked", none, nil, 0, true},
		{"none asked, some there", none, cs{{"a", 9}}, 0, true},
	} {
		given := slices.Clone(tt.have)
		if at, ok := tt.policy.Quorum(given); at != tt.at || ok != tt.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.name, at, ok, tt.at, tt.ok)
		}
		if !slices.Equal(given, tt.have) {
			t.Errorf("%s: the argument was changed", tt.name)
		}
	}
}

// Two keys with one name and one ID would make a signature ambiguous. The ID
// has 32 bits, so such a pair is made by search.
func TestKeyCollision(t *testing.T) {
	a, b := colliding(t)
	if a.Name != b.Name || a.ID != b.ID || a.String() == b.String() {
		t.Fatalf("no collision: %v, %v", a, b)
	}
	_, err := tlog.ParsePolicy([]byte("witness a " + a.String() + "\nwitness b " + b.String() + "\nquorum none\n"))
	wantError(t, "collision", err, "another key has the name")
}

// colliding finds two public keys of one name and one ID, as signed-note
// computes it.
func colliding(t testing.TB) (a, b tlog.Key) {
	t.Helper()
	seen := map[uint32][]byte{}
	for i := range uint32(1 << 20) {
		public := make([]byte, 32)
		binary.BigEndian.PutUint32(public, i)
		sum := sha256.Sum256(append([]byte("name\n\x04"), public...))
		id := binary.BigEndian.Uint32(sum[:])
		if other, ok := seen[id]; ok && isKey(other) && isKey(public) {
			vkey := func(public []byte) string {
				return fmt.Sprintf("name+%08x+%s", id, base64.StdEncoding.EncodeToString(append([]byte{4}, public...)))
			}
			return key(t, vkey(other)), key(t, vkey(public))
		}
		seen[id] = public
	}
	t.Fatal("no collision found")
	return a, b
}

// isKey says whether the bytes are a point that can be an Ed25519 key.
func isKey(public []byte) bool {
	_, err := dsse.NewPublicKey(ed25519.PublicKey(public))
	return err == nil
}

// FuzzOpen: Policy.Open agrees with the library about who signed.
func FuzzOpen(f *testing.F) {
	o := newOpening(f)
	f.Add(o.bare)
	f.Add(cosigned(f, o.bare, o.a, now))
	f.Add(cosigned(f, cosigned(f, o.bare, o.a, now), o.b, now))
	f.Fuzz(func(t *testing.T, b []byte) {
		opened, err := o.policy.Open(b)
		if err != nil {
			return
		}
		theirs, err := note.NewVerifier(o.log.Key().String())
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(b, note.VerifierList(theirs))
		if err != nil || n.Text != string(opened.Checkpoint.Text()) {
			t.Errorf("got %+v, library %+v, %v", opened, n, err)
		}
	})
}
