package keystore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"safebox/cmd/internal/cli"
	"safebox/verifier/keyfile"
)

// fixed answers a question that must be asked.
func fixed(passphrase string) func() (string, error) {
	return func() (string, error) { return passphrase, nil }
}

// never fails the test when it is asked.
func never(t *testing.T) func() (string, error) {
	return func() (string, error) {
		t.Helper()
		t.Error("asked for a passphrase in vain")
		return "", errors.New("asked")
	}
}

// What wrap writes, age's own package reads, and no byte is spent on anything
// else.
func TestWrapForAge(t *testing.T) {
	b, err := wrap([]byte(testSigner), testPassphrase, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(b) - len(testSigner); got != overhead || len(b) != len(foreign(t)) {
		t.Errorf("got %d bytes more than the key, want %d", got, overhead)
	}
	identity, err := age.NewScryptIdentity(testPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(b), identity)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != testSigner {
		t.Errorf("got %q, %v", got, err)
	}
}

// New files take the work that age's program takes: "18 // 1s on a modern
// machine" (age 1.3.2, scrypt.go).
func TestWrapFactor(t *testing.T) {
	b, err := wrap([]byte(testSigner), testPassphrase, 0)
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Split(string(b), "\n")[1]; !strings.HasPrefix(line, "-> scrypt ") || !strings.HasSuffix(line, " 18") {
		t.Errorf("got %q, want work factor 18", line)
	}
	if _, err := wrap([]byte(testSigner), "", 1); err == nil {
		t.Error("encrypted under no passphrase")
	}
}

// The largest key file, encrypted, is the largest file that is read.
func TestWrappedSize(t *testing.T) {
	for _, more := range []int{0, 1} {
		largest := bytes.Repeat([]byte("a"), keyfile.MaxSize+more)
		b, err := wrap(largest, testPassphrase, 10)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(secretFile(t, b), Options{ask: func(context.Context, string) (string, error) { return testPassphrase, nil }})
		if more == 0 && (err != nil || !bytes.Equal(got, largest)) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if more == 1 {
			wantError(t, "larger", err, cli.ExitUsage, "more than 4278 bytes", "")
		}
	}
}

func TestUnwrapWorkFactor(t *testing.T) {
	good := string(foreign(t))
	for factor, asked := range map[string]bool{
		"1": true, "9": true, "20": true,
		"21": false, "22": false, "30": false, "64": false, "0": false, "-1": false, "": false, "a": false,
		"99999999999999999999": false,
	} {
		changed := regexp.MustCompile(` 10\n`).ReplaceAllString(good, " "+factor+"\n")
		got := false
		stop := errors.New("stop here")
		_, err := unwrap("key", []byte(changed), func() (string, error) { got = true; return "", stop })
		if got != asked || (asked && !errors.Is(err, stop)) {
			t.Errorf("factor %q: got %v, %v, want asked %v", factor, got, err, asked)
		}
		if !asked {
			wantError(t, "factor "+factor, err, cli.ExitUsage, "reading key key: ", "damaged")
		}
	}
}

// What can be seen without a passphrase is refused before one is asked for.
func TestUnwrapNotAsked(t *testing.T) {
	good := string(foreign(t))
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var toKey, armored bytes.Buffer
	w, err := age.Encrypt(&toKey, x25519.Recipient())
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	a := armor.NewWriter(&armored)
	if _, err := a.Write(foreign(t)); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfterN(good, "\n", 4)
	stanza := lines[1] + lines[2]
	for name, tt := range map[string]struct{ file, want, hint string }{
		"to a key":         {toKey.String(), "not under one passphrase", "damaged"},
		"two passphrases":  {strings.Replace(good, stanza, stanza+stanza, 1), "not under one passphrase", "damaged"},
		"two, another":     {strings.Replace(good, stanza, stanza+"-> other a\nYWJj\n", 1), "not under one passphrase", "damaged"},
		"other type":       {strings.Replace(good, "-> scrypt ", "-> argon2 ", 1), "not under one passphrase", "damaged"},
		"stanza's end":     {strings.Replace(good, " 10\n", "\n", 1), "not under one passphrase", "damaged"},
		"armored":          {armored.String(), "as text, want its binary form", "--armor"},
		"other version":    {strings.Replace(good, "/v1", "/v2", 1), "unexpected intro", "damaged"},
		"nothing but mark": {"age-encryption.org/", "unexpected EOF", "damaged"},
		"header cut":       {good[:100], "EOF", "damaged"},
	} {
		if !isWrapped([]byte(tt.file)) {
			t.Errorf("%s: not known as encrypted", name)
		}
		_, err := unwrap("key", []byte(tt.file), never(t))
		wantError(t, name, err, cli.ExitUsage, tt.want, tt.hint)
	}
}

// Every byte of a file counts, and none may follow.
func TestUnwrapDamaged(t *testing.T) {
	good := foreign(t)
	if got, err := unwrap("key", good, fixed(testPassphrase)); err != nil || string(got) != testSigner {
		t.Fatalf("got %q, %v", got, err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if factor(bad) > 12 {
			continue // memory and time, but no other outcome: the MAC covers it
		}
		if got, err := unwrap("key", bad, fixed(testPassphrase)); err == nil {
			t.Errorf("bit of byte %d changed: got %q", i, got)
		}
	}
	for name, bad := range map[string][]byte{
		"cut":     good[:len(good)-1],
		"no tag":  good[:len(good)-16],
		"header":  good[:len(good)-16-len(testSigner)],
		"longer":  append(bytes.Clone(good), 0),
		"doubled": append(bytes.Clone(good), good...),
	} {
		_, err := unwrap("key", bad, fixed(testPassphrase))
		wantError(t, name, err, cli.ExitUsage, "reading key key: ", "damaged")
	}
	_, err := unwrap("key", good, fixed(testPassphrase+" "))
	wantError(t, "passphrase", err, cli.ExitUsage, "reading key key: wrong passphrase", "passphrase")
}

// factor is the work factor in a file's header, 0 for none.
func factor(b []byte) int {
	m := regexp.MustCompile(`^[^\n]*\n-> scrypt [^ \n]* ([0-9]+)\n`).FindSubmatch(b)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	return n
}

// FuzzUnwrap: what opens is no longer than the file, and opens again when it is
// encrypted again.
func FuzzUnwrap(f *testing.F) {
	f.Add(foreign(f))
	small, err := wrap([]byte(testSigner), testPassphrase, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small)
	f.Add([]byte(testSigner))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := factor(b); n > 10 && n <= maxWorkFactor {
			return // allowed, and slow
		}
		secret, err := unwrap("key", b, fixed(testPassphrase))
		if err != nil {
			return
		}
		if len(secret)+overhead-1 > len(b) { // a factor of one digit is a byte less
			t.Errorf("got %d bytes of %d", len(secret), len(b))
		}
		again, err := wrap(secret, testPassphrase, 1)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := unwrap("key", again, fixed(testPassphrase)); err != nil || !bytes.Equal(back, secret) {
			t.Errorf("again: got %x, %v, want %x", back, err, secret)
		}
	})
}

// BenchmarkUnwrap is what a command waits for a key, at the work factor of new
// files.
func BenchmarkUnwrap(b *testing.B) {
	wrapped, err := wrap([]byte(testSigner), testPassphrase, workFactor)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := unwrap("key", wrapped, fixed(testPassphrase)); err != nil {
			b.Fatal(err)
		}
	}
}
