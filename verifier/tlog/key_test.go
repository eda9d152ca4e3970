package tlog_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"safebox/verifier/tlog"
)

// Keys that others published or made.
const (
	// golang.org/x/mod v0.42.0, sumdb/note/note.go.
	neumannKey    = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
	neumannSecret = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
	// transparency-dev/tessera v1.0.4, testdata/build_log.sh.
	tesseraKey    = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
	tesseraSecret = "PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"
	// transparency-dev/formats v0.1.1, note/note_cosigv1_test.go.
	remoraKey = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
	// The public key of RFC 8032, section 7.1, TEST 1, by `sigsum-key from-hex | sigsum-key to-vkey -n ... -t ...`
	// of Debian's sigsum-go 0.11.1-1~bpo12+1.
	rfcLogKey     = "log.example/releases+6e8b7fa3+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
	rfcWitnessKey = "witness.example/w1+eb762cc2+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
)

func TestParseKey(t *testing.T) {
	mldsaSecret, mldsaKey, err := formats.GenerateMLDSAKey("pq.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		vkey, name string
		id         uint32
		algorithm  tlog.Algorithm
	}{
		{neumannKey, "PeterNeumann", 0xc74f20a3, tlog.Ed25519},
		{tesseraKey, "example.com/log/testdata", 0x33d7b496, tlog.Ed25519},
		{rfcLogKey, origin, 0x6e8b7fa3, tlog.Ed25519},
		{remoraKey, "remora.n621.de", 0xda77ade7, tlog.CosignatureEd25519},
		{rfcWitnessKey, "witness.example/w1", 0xeb762cc2, tlog.CosignatureEd25519},
		{mldsaKey, "pq.example", keyIDOf(t, mldsaKey), tlog.CosignatureMLDSA44},
	} {
		k := key(t, tt.vkey)
		if k.Name != tt.name || k.ID != tt.id || k.Algorithm != tt.algorithm {
			t.Errorf("%.40s: got %q %08x %v, want %q %08x %v", tt.vkey, k.Name, k.ID, k.Algorithm, tt.name, tt.id, tt.algorithm)
		}
		if got := k.String(); got != tt.vkey {
			t.Errorf("text: got %.60s, want %.60s", got, tt.vkey)
		}
	}
	s, err := tlog.NewCosigner(mldsaSecret)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Key().String(); got != mldsaKey {
		t.Errorf("public key of the library's secret key: got %.60s, want %.60s", got, mldsaKey)
	}
}

// keyIDOf takes the ID out of a key's text.
func keyIDOf(t *testing.T, vkey string) uint32 {
	var id uint32
	if _, err := fmt.Sscanf(strings.Split(vkey, "+")[1], "%08x", &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// The forms that the library reads all the same are marked.
func TestParseKeyRefuses(t *testing.T) {
	encoded := strings.TrimPrefix(neumannKey, "PeterNeumann+c74f20a3+")
	for _, tt := range []struct {
		name, vkey, want string
		lenient          bool // golang.org/x/mod/sumdb/note takes it
	}{
		{"newline in the key", neumannKey[:40] + "\n" + neumannKey[40:], "one form", true},
		{"carriage return at the end", neumannKey + "\r", "one form", true},
		{"upper-case ID", "PeterNeumann+C74F20A3+" + encoded, "key ID", true},
		{"another ID", "PeterNeumann+c74f20a4+" + encoded, "key ID", false},
		{"short ID", "PeterNeumann+74f20a3+" + encoded, "key ID", false},
		{"long ID", "PeterNeumann+0c74f20a3+" + encoded, "key ID", false},
		{"no ID", "PeterNeumann++" + encoded, "key ID", false},
		{"another name", "PeterNewmann+c74f20a3+" + encoded, "key ID", false},
		{"no name", "+c74f20a3+" + encoded, "name", false},
		{"space in the name", "Peter Neumann+c74f20a3+" + encoded, "name", false},
		{"Unicode space in the name", "Peter\u2003Neumann+c74f20a3+" + encoded, "name", false},
		{"bell in the name", "Peter\aNeumann+c74f20a3+" + encoded, "name", false},
		{"name not UTF-8", "Peter\xff+c74f20a3+" + encoded, "name", false},
		{"long name", strings.Repeat("n", 256) + "+c74f20a3+" + encoded, "name", false},
		{"no key", "PeterNeumann+c74f20a3+", "no key", false},
		{"no fields", "PeterNeumann", "NAME+ID+KEY", false},
		{"two fields", "PeterNeumann+c74f20a3", "NAME+ID+KEY", false},
		{"no base64", "PeterNeumann+c74f20a3+!", "base64", false},
		{"URL base64", "PeterNeumann+c74f20a3+" + strings.ReplaceAll(encoded, "/", "_"), "base64", false},
		{"Ed25519 key of 31 bytes", "a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 31)...)), "31 bytes", false},
		{"cosigner's key of 33 bytes", "a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{4}, make([]byte, 33)...)), "33 bytes", false},
		{"ML-DSA-44 key of 1311 bytes", "a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{6}, make([]byte, 1311)...)), "1311 bytes", false},
		{"ECDSA", "a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{2}, make([]byte, 32)...)), "signature type 0x02", false},
		{"type 5", "a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{5}, make([]byte, 32)...)), "signature type 0x05", false},
	} {
		_, err := tlog.ParseKey(tt.vkey)
		wantError(t, tt.name, err, tt.want)
		if _, err := note.NewVerifier(tt.vkey); (err == nil) != tt.lenient {
			t.Errorf("%s: library: got error %v, want lenient %v", tt.name, err, tt.lenient)
		}
	}
	// Points of order 1 and 4, under which anybody can sign (RFC 8032, section 5.1.3: the y-coordinates 1 and 0).
	for _, a := range []byte{1, 4} {
		for _, y := range []byte{0, 1} {
			_, err := tlog.ParseKey("a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{a, y}, make([]byte, 31)...)))
			wantError(t, "key of small order", err, "order")
		}
	}
	// Nothing checks the ID of a cosigner's key in formats v0.1.1.
	wrong := strings.Replace(remoraKey, "+da77ade7+", "+00000000+", 1)
	if _, err := formats.NewVerifierForCosignatureV1(wrong); err != nil {
		t.Errorf("library: got error %v, want none", err)
	}
	_, err := tlog.ParseKey(wrong)
	wantError(t, "cosigner's key with another ID", err, "key ID")
}

func TestSecretKeysRefused(t *testing.T) {
	_, cosignerKey := secretOf(t, tlog.CosignatureEd25519)
	at := strings.Index(tesseraSecret, "496+") + len("496")
	for _, tt := range []struct{ name, skey, want string }{
		{"public key", tesseraKey, "PRIVATE+KEY"},
		{"cut", tesseraSecret[:at], "PRIVATE+KEY"},
		{"newline inside", tesseraSecret[:at+9] + "\n" + tesseraSecret[at+9:], "base64"},
		{"short", tesseraSecret[:at+1] + "AeymY/SZ", "base64"},
		{"seed of 33 bytes", tesseraSecret[:at+1] + base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 33)...)), "base64"},
		{"loose bits", tesseraSecret[:at+1] + loose(t, base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 31)...))), "base64"},
		{"another ID", strings.Replace(tesseraSecret, "33d7b496", "33d7b497", 1), "key ID"},
		{"upper-case ID", strings.Replace(tesseraSecret, "33d7b496", "33D7B496", 1), "key ID"},
		{"another name", strings.Replace(tesseraSecret, "testdata", "testdatb", 1), "key ID"},
		{"bad name", strings.Replace(tesseraSecret, "testdata", "test data", 1), "name"},
		{"witness's key", cosignerKey, "cosignature"},
	} {
		_, err := tlog.NewLogSigner(tt.skey)
		wantError(t, tt.name, err, tt.want)
		if err != nil && strings.Contains(err.Error(), "AeymY") {
			t.Errorf("%s: the error quotes the secret key: %v", tt.name, err)
		}
	}
	_, err := tlog.NewCosigner(tesseraSecret)
	wantError(t, "a log's key for a witness", err, "0x01")
	_, err = tlog.NewCosigner("PRIVATE+KEY+a+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{2}, make([]byte, 32)...)))
	wantError(t, "type 2", err, "0x02")
	_, err = tlog.NewCosigner(strings.Replace(cosignerKey, "+KEY+w", "+KEY+v", 1))
	wantError(t, "another witness's name", err, "key ID")
	_, _, err = tlog.GenerateWitnessKey("w", tlog.Ed25519, seed(1))
	wantError(t, "witness with a log's algorithm", err, "no cosignatures")
	_, _, err = tlog.GenerateLogKey("a b", seed(1))
	wantError(t, "origin with a space", err, "name")
	_, _, err = tlog.GenerateLogKey("a", strings.NewReader("short"))
	wantError(t, "too little random", err, "making a key")
}

// secretOf makes a witness's keys.
func secretOf(t *testing.T, a tlog.Algorithm) (vkey, skey string) {
	skey, vkey, err := tlog.GenerateWitnessKey("witness.example/w1", a, seed(9))
	if err != nil {
		t.Fatal(err)
	}
	return vkey, skey
}

// The secret key of tessera's test log signs what it signed: Ed25519 leaves
// no choice.
func TestLogSignerAgainstTessera(t *testing.T) {
	s, err := tlog.NewLogSigner(tesseraSecret)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Key().String(); got != tesseraKey {
		t.Errorf("public key: got %s, want %s", got, tesseraKey)
	}
	for _, n := range []string{"0", "1", "2", "7", "8", "15"} {
		want := read(t, "tessera/checkpoint."+n)
		c, err := tlog.OpenSigned(want, []tlog.Key{s.Key()})
		if err != nil {
			t.Fatal(err)
		}
		if got := signed(t, s, c); !bytes.Equal(got, want) {
			t.Errorf("checkpoint.%s: got %q, want %q", n, got, want)
		}
	}
	viaLibrary, err := note.Sign(&note.Note{Text: string(mustDecode(t, read(t, "tessera/checkpoint.8")).Text())}, s)
	if err != nil {
		t.Fatal(err)
	}
	if want := read(t, "tessera/checkpoint.8"); !bytes.Equal(viaLibrary, want) {
		t.Errorf("signed through x/mod: got %q, want %q", viaLibrary, want)
	}
}

// mustDecode reads a checkpoint.
func mustDecode(t testing.TB, b []byte) *tlog.Checkpoint {
	t.Helper()
	c, err := tlog.DecodeCheckpoint(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the library cosigns verifies here, and what is cosigned here verifies
// there, for both algorithms and with the keys that either made.
func TestCosignaturesAgainstLibrary(t *testing.T) {
	base := signed(t, logSigner(t, origin, 1), &tlog.Checkpoint{Origin: origin, Size: 123, Root: [32]byte{1, 2, 3}})
	pqSecret, _, err := formats.GenerateMLDSAKey("pq.example/made-by-the-library")
	if err != nil {
		t.Fatal(err)
	}
	_, edSecret := secretOf(t, tlog.CosignatureEd25519)
	_, ourPQSecret := secretOf(t, tlog.CosignatureMLDSA44)
	for _, skey := range []string{edSecret, pqSecret, ourPQSecret} {
		ours, err := tlog.NewCosigner(skey)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := formats.NewSignerForCosignatureV1(skey)
		if err != nil {
			t.Fatal(err)
		}
		verifier, err := formats.NewVerifierForCosignatureV1(ours.Key().String())
		if err != nil {
			t.Fatal(err)
		}
		opened, err := note.Open(cosigned(t, base, ours, now), note.VerifierList(verifier))
		if err != nil {
			t.Errorf("%v: the library on ours: %v", ours.Key().Algorithm, err)
		} else if at, err := formats.CoSigV1Timestamp(opened.Sigs[0]); err != nil || !at.Equal(time.Unix(now, 0)) {
			t.Errorf("%v: time: got %v, %v, want %v", ours.Key().Algorithm, at, err, time.Unix(now, 0))
		}

		before := time.Now().Unix()
		text, _, _ := bytes.Cut(base, []byte("\n\n"))
		foreign, err := note.Sign(&note.Note{Text: string(text) + "\n"}, theirs)
		if err != nil {
			t.Fatal(err)
		}
		n, err := tlog.DecodeNote(foreign)
		if err != nil {
			t.Fatal(err)
		}
		at, err := ours.Key().VerifyCosignature(mustDecode(t, foreign), n.Signatures[0])
		if err != nil || at < before || at > time.Now().Unix() {
			t.Errorf("%v: ours on the library's: got time %d, error %v", ours.Key().Algorithm, at, err)
		}
	}
}

// A cosignature holds for the name, time and each field of the checkpoint that
// the algorithm covers: all for Ed25519 but the name, all for ML-DSA-44 but
// the extension lines.
func TestCosignatureCovers(t *testing.T) {
	for _, a := range []tlog.Algorithm{tlog.CosignatureEd25519, tlog.CosignatureMLDSA44} {
		s := cosigner(t, "witness.example/w1", a, 3)
		c := tlog.Checkpoint{Origin: origin, Size: 8, Root: [32]byte{1}}
		line, err := s.Cosign(&c, now)
		if err != nil {
			t.Fatal(err)
		}
		signatures, err := tlog.DecodeSignatures(line)
		if err != nil {
			t.Fatal(err)
		}
		good := signatures[0]
		if at, err := s.Key().VerifyCosignature(&c, good); err != nil || at != now {
			t.Fatalf("%v: got time %d, error %v, want %d", a, at, err, int64(now))
		}
		for name, change := range map[string]func(*tlog.Checkpoint){
			"origin":     func(c *tlog.Checkpoint) { c.Origin += "x" },
			"size":       func(c *tlog.Checkpoint) { c.Size++ },
			"root":       func(c *tlog.Checkpoint) { c.Root[31]++ },
			"extensions": func(c *tlog.Checkpoint) { c.Extensions = []string{"more"} },
		} {
			changed := c
			change(&changed)
			_, err := s.Key().VerifyCosignature(&changed, good)
			if want := name == "extensions" && a == tlog.CosignatureMLDSA44; (err == nil) != want {
				t.Errorf("%v: another %s: got error %v, want accepted %v", a, name, err, want)
			}
		}
		for at := range good.Sig {
			if at > 12 && at%401 != 0 && at != len(good.Sig)-1 {
				continue
			}
			flipped := good
			flipped.Sig = bytes.Clone(good.Sig)
			flipped.Sig[at] ^= 1
			if _, err := s.Key().VerifyCosignature(&c, flipped); err == nil {
				t.Errorf("%v: accepted with a bit of byte %d flipped", a, at)
			}
		}
		for name, sig := range map[string][]byte{
			"cut": good.Sig[:len(good.Sig)-1], "longer": append(bytes.Clone(good.Sig), 0),
			"time alone": good.Sig[:8], "less than a time": good.Sig[:7], "nothing": nil,
		} {
			if _, err := s.Key().VerifyCosignature(&c, tlog.Signature{Name: good.Name, ID: good.ID, Sig: sig}); err == nil {
				t.Errorf("%v: accepted %s", a, name)
			}
		}
		other := cosigner(t, "witness.example/w2", a, 3) // the same secret key under another name
		if _, err := other.Key().VerifyCosignature(&c, good); err == nil {
			t.Errorf("%v: another name's key accepted it", a)
		}
		renamed := tlog.Signature{Name: other.Key().Name, ID: other.Key().ID, Sig: good.Sig}
		_, err = other.Key().VerifyCosignature(&c, renamed)
		if want := a == tlog.CosignatureEd25519; (err == nil) != want {
			t.Errorf("%v: under another name: got error %v, want accepted %v", a, err, want)
		}
	}
}

// tlog-cosignature: a time above 2^63-1 is no time, even signed.
func TestCosignatureTimes(t *testing.T) {
	s := cosigner(t, "witness.example/w1", tlog.CosignatureEd25519, 3)
	c := &tlog.Checkpoint{Origin: origin, Size: 8, Root: [32]byte{1}}
	for _, time := range []int64{0, -1} {
		_, err := s.Cosign(c, time)
		wantError(t, "cosigning", err, "time")
	}
	line, err := s.Cosign(c, 1<<63-1)
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := tlog.DecodeSignatures(line)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := s.Key().VerifyCosignature(c, signatures[0]); err != nil || at != 1<<63-1 {
		t.Errorf("the last time: got %d, %v", at, err)
	}
	signatures[0].Sig[0] |= 0x80
	_, err = s.Key().VerifyCosignature(c, signatures[0])
	wantError(t, "above 2^63-1", err, "2^63-1")
	signatures[0].Sig[0] &^= 0x80
	_, err = s.Cosign(&tlog.Checkpoint{Origin: "a\nb", Size: 1}, now)
	wantError(t, "origin of two lines", err, "cosigning")
	pq := cosigner(t, "witness.example/w1", tlog.CosignatureMLDSA44, 3)
	_, err = pq.Cosign(&tlog.Checkpoint{Origin: strings.Repeat("o", 256), Size: 1}, now)
	wantError(t, "origin of 256 bytes", err, "255")
	logKey := logSigner(t, "witness.example/w1", 3).Key()
	_, err = logKey.VerifyCosignature(c, tlog.Signature{Name: logKey.Name, ID: logKey.ID, Sig: signatures[0].Sig})
	wantError(t, "a log's key", err, "makes none")
	_, err = tlog.Key{}.VerifyCosignature(c, tlog.Signature{Sig: signatures[0].Sig})
	wantError(t, "no key", err, "")
	if (tlog.Key{}).Verify(c.Text(), tlog.Signature{}) {
		t.Error("no key: verified")
	}
}

func TestSigningRefuses(t *testing.T) {
	s := logSigner(t, origin, 1)
	_, err := s.SignCheckpoint(&tlog.Checkpoint{Origin: "another", Size: 1})
	wantError(t, "another origin", err, "origin")
	_, err = s.SignCheckpoint(&tlog.Checkpoint{Origin: origin, Size: -1})
	wantError(t, "negative size", err, "size")
	_, err = s.SignCheckpoint(&tlog.Checkpoint{Origin: origin, Size: 1, Extensions: []string{""}})
	wantError(t, "empty extension", err, "empty")
	_, err = s.SignCheckpoint(&tlog.Checkpoint{Origin: origin, Size: 0})
	wantError(t, "root of nothing", err, "root")
	_, err = s.Sign([]byte("no newline"))
	wantError(t, "no newline", err, "newline")
	if s.Name() != origin || s.KeyHash() != s.Key().ID {
		t.Errorf("got %q %08x, want %q %08x", s.Name(), s.KeyHash(), origin, s.Key().ID)
	}
}

// Keys made here are keys for the library, and the other way round.
func TestGenerateAgainstLibrary(t *testing.T) {
	skey, vkey, err := tlog.GenerateLogKey(origin, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := tlog.NewLogSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("a text\n")
	a, err := theirs.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ours.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) || !verifier.Verify(text, b) {
		t.Errorf("signature: got %x, library %x", b, a)
	}
	if !key(t, vkey).Verify(text, tlog.Signature{Name: origin, ID: theirs.KeyHash(), Sig: a}) {
		t.Error("the library's signature does not verify")
	}
	skey, _, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tlog.NewLogSigner(skey); err != nil {
		t.Error(err)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, vkey := range []string{neumannKey, tesseraKey, remoraKey, rfcLogKey, rfcWitnessKey, "a+00000000+Bg=="} {
		f.Add(vkey)
	}
	f.Add(cosigner(f, "pq.example", tlog.CosignatureMLDSA44, 1).Key().String())
	f.Fuzz(func(t *testing.T, vkey string) {
		k, err := tlog.ParseKey(vkey)
		if err != nil {
			return
		}
		if got := k.String(); got != vkey {
			t.Errorf("got %q, want %q", got, vkey)
		}
		switch k.Algorithm {
		case tlog.Ed25519:
			_, err = note.NewVerifier(vkey)
		default:
			_, err = formats.NewVerifierForCosignatureV1(vkey)
		}
		if err != nil {
			t.Errorf("the library refuses %q: %v", vkey, err)
		}
	})
}

func FuzzSecretKey(f *testing.F) {
	f.Add(tesseraSecret)
	for _, a := range []tlog.Algorithm{tlog.CosignatureEd25519, tlog.CosignatureMLDSA44} {
		skey, _, err := tlog.GenerateWitnessKey("w", a, seed(1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(skey)
	}
	f.Fuzz(func(t *testing.T, skey string) {
		if s, err := tlog.NewLogSigner(skey); err == nil {
			theirs, err := note.NewSigner(skey)
			if err != nil {
				t.Fatalf("the library refuses %q: %v", skey, err)
			}
			if s.KeyHash() != theirs.KeyHash() || s.Name() != theirs.Name() {
				t.Errorf("got %q %08x, library %q %08x", s.Name(), s.KeyHash(), theirs.Name(), theirs.KeyHash())
			}
		}
		if s, err := tlog.NewCosigner(skey); err == nil {
			theirs, err := formats.NewSignerForCosignatureV1(skey)
			if err != nil {
				t.Fatalf("the library refuses %q: %v", skey, err)
			}
			if s.Key().ID != theirs.KeyHash() {
				t.Errorf("got %08x, library %08x", s.Key().ID, theirs.KeyHash())
			}
		}
	})
}
