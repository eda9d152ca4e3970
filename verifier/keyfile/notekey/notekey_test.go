package notekey_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"safebox/verifier/keyfile"
	"safebox/verifier/keyfile/notekey"
)

// The example key of the documentation of golang.org/x/mod/sumdb/note.
const (
	goSecret = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
	goPublic = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
)

// text is a note that logs and witnesses sign: a checkpoint, of the empty tree.
const text = "log.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

func random(first byte) *bytes.Reader {
	b := make([]byte, 32)
	for i := range b {
		b[i] = first + byte(i)
	}
	return bytes.NewReader(b)
}

func TestGoExample(t *testing.T) {
	key, err := notekey.Decode([]byte(goSecret + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(key.EncodePublic()); got != goPublic+"\n" {
		t.Errorf("got %q, want %q", got, goPublic)
	}
	if key.Role() != "log" || key.Algorithm() != "ed25519" || key.ID() != "PeterNeumann+c74f20a3" || key.Secret() != goSecret {
		t.Errorf("got %s %s %s", key.Role(), key.Algorithm(), key.ID())
	}
	// The same seed and name make the same key.
	seed, err := base64.StdEncoding.DecodeString(goSecret[strings.LastIndex(goSecret, "+AYEK")+1:])
	if err != nil {
		t.Fatal(err)
	}
	made, err := notekey.NewLog("PeterNeumann", bytes.NewReader(seed[1:]))
	if err != nil || string(made.Encode()) != goSecret+"\n" {
		t.Errorf("made: got %v", err)
	}
}

// What a log's key signs, Go's own package verifies with the public file.
func TestLog(t *testing.T) {
	key, err := notekey.NewLog("log.example", random(0))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(key.Secret())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(strings.TrimSuffix(string(key.EncodePublic()), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	verifies(t, signer, verifier)
}

// What a witness's key signs, transparency-dev's package verifies with the
// public file.
func TestWitness(t *testing.T) {
	for algorithm, open := range map[string]func(skey, vkey string) (note.Signer, note.Verifier, error){
		keyfile.Ed25519: func(skey, vkey string) (note.Signer, note.Verifier, error) {
			s, err := formats.NewSignerForCosignatureV1(skey)
			if err != nil {
				return nil, nil, err
			}
			v, err := formats.NewVerifierForCosignatureV1(vkey)
			return s, v, err
		},
		keyfile.MLDSA44: func(skey, vkey string) (note.Signer, note.Verifier, error) {
			s, err := formats.NewMLDSASigner(skey)
			if err != nil {
				return nil, nil, err
			}
			v, err := formats.NewMLDSAVerifier(vkey)
			return s, v, err
		},
	} {
		key, err := notekey.NewWitness("witness.example", algorithm, random(1))
		if err != nil {
			t.Fatal(err)
		}
		if key.Role() != "witness" || key.Algorithm() != algorithm {
			t.Errorf("got %s %s, want witness %s", key.Role(), key.Algorithm(), algorithm)
		}
		signer, verifier, err := open(key.Secret(), strings.TrimSuffix(string(key.EncodePublic()), "\n"))
		if err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		verifies(t, signer, verifier)
	}
}

func verifies(t *testing.T, signer note.Signer, verifier note.Verifier) {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := note.Open(signed, note.VerifierList(verifier)); err != nil || len(n.Sigs) != 1 {
		t.Errorf("got %+v, %v", n, err)
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x00b", "a\xff", strings.Repeat("a", 1<<12)} {
		if _, err := notekey.NewLog(name, random(0)); err == nil || !strings.HasPrefix(err.Error(), "making a log key: ") {
			t.Errorf("log %.20q: got %v", name, err)
		}
		if _, err := notekey.NewWitness(name, keyfile.Ed25519, random(0)); err == nil || !strings.HasPrefix(err.Error(), "making a witness key: ") {
			t.Errorf("witness %.20q: got %v", name, err)
		}
	}
	if _, err := notekey.NewWitness("w", keyfile.ECDSAP256, random(0)); err == nil || !strings.Contains(err.Error(), `got "ecdsa-p256"`) {
		t.Errorf("witness of ECDSA: got %v", err)
	}
	if _, err := notekey.NewLog("log", bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("31 bytes of random: made")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, file := range map[string]string{
		"no newline":      goSecret,
		"two newlines":    goSecret + "\n\n",
		"CRLF":            goSecret + "\r\n",
		"space":           " " + goSecret + "\n",
		"public":          goPublic + "\n",
		"other name":      strings.Replace(goSecret, "Peter", "Paul", 1) + "\n",
		"other key ID":    strings.Replace(goSecret, "c74f20a3", "c74f20a4", 1) + "\n",
		"capitals in ID":  strings.Replace(goSecret, "c74f20a3", "C74F20A3", 1) + "\n",
		"other type":      strings.Replace(goSecret, "+AY", "+BY", 1) + "\n",
		"unknown type":    strings.Replace(goSecret, "+AY", "+CY", 1) + "\n",
		"short":           strings.TrimSuffix(goSecret, "KDFz") + "\n",
		"nothing":         "",
		"too large":       "PRIVATE+KEY+" + strings.Repeat("a", keyfile.MaxSize) + strings.TrimPrefix(goSecret, "PRIVATE+KEY+") + "\n",
		"newline in text": strings.Replace(goSecret, "KDFz", "\nKDFz", 1) + "\n",
	} {
		key, err := notekey.Decode([]byte(file))
		if err == nil || !strings.HasPrefix(err.Error(), "decoding note key: ") {
			t.Errorf("%s: got %v, %v", name, key, err)
		} else if name != "public" && strings.Contains(err.Error(), "EKFALVFGyN") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

// A file is measured before it is looked at.
func TestSize(t *testing.T) {
	for size, want := range map[int]string{keyfile.MaxSize: "parsing witness key", keyfile.MaxSize + 1: "size: got 4097 bytes, want at most 4096"} {
		file := "PRIVATE+KEY+" + strings.Repeat("a", size-13) + "\n"
		if _, err := notekey.Decode([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: got %v, want %q", size, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(goSecret + "\n"))
	for _, algorithm := range []string{keyfile.Ed25519, keyfile.MLDSA44} {
		key, err := notekey.NewWitness("w", algorithm, random(2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(key.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := notekey.Decode(b)
		if err != nil {
			return
		}
		if !bytes.Equal(key.Encode(), b) || !notekey.Is(b) {
			t.Errorf("accepted %q, encodes as %q", b, key.Encode())
		}
	})
}
