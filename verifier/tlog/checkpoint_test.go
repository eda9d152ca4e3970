package tlog_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	formats "github.com/transparency-dev/formats/log"
	sumdb "golang.org/x/mod/sumdb/note"

	"safebox/verifier/tlog"
)

// emptyRoot is SHA-256 of nothing, `sha256sum </dev/null | xxd -r -p | base64`.
const emptyRoot = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

func TestDecodeCheckpoint(t *testing.T) {
	c := mustDecode(t, []byte(sofa))
	// The root is that of the text, by `base64 -d | xxd -p`.
	if c.Origin != "example.com/behind-the-sofa" || c.Size != 20852163 || c.Extensions != nil ||
		c.Root[0] != 0x0a || c.Root[1] != 0xc5 || c.Root[31] != 0x62 {
		t.Errorf("got %+v", c)
	}
	if got, want := string(c.Text()), sofa[:strings.Index(sofa, "\n\n")+1]; got != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
	if c := mustDecode(t, read(t, "tessera/checkpoint.0")); c.Size != 0 || c.Root != tlog.RootHash(nil) {
		t.Errorf("checkpoint of nothing: got %+v", c)
	}
}

// The forms that the library reads all the same are marked.
func TestParseCheckpointRefuses(t *testing.T) {
	const root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
	for _, tt := range []struct {
		name, text, want string
		lenient          bool // transparency-dev/formats/log takes it
	}{
		{"nothing", "", "newline", false},
		{"two lines", "o\n1\n", "2 lines", false},
		{"no newline at the end", "o\n1\n" + root, "newline", false},
		{"no origin", "\n1\n" + root + "\n", "line 1 is empty", false},
		{"size 01", "o\n01\n" + root + "\n", "decimal", true},
		{"size 00", "o\n00\n" + emptyRoot + "\n", "decimal", true},
		{"size -1", "o\n-1\n" + root + "\n", "decimal", false},
		{"size -0", "o\n-0\n" + emptyRoot + "\n", "decimal", false},
		{"size +1", "o\n+1\n" + root + "\n", "decimal", false},
		{"size 1_0", "o\n1_0\n" + root + "\n", "decimal", false},
		{"size 0x10", "o\n0x10\n" + root + "\n", "decimal", false},
		{"size 1.0", "o\n1.0\n" + root + "\n", "decimal", false},
		{"size with a space", "o\n1 \n" + root + "\n", "decimal", false},
		{"no size", "o\n\n" + root + "\n", "line 2 is empty", false},
		{"size 2^63", "o\n9223372036854775808\n" + root + "\n", "decimal", true},
		{"size 2^64", "o\n18446744073709551616\n" + root + "\n", "decimal", false},
		{"root of 31 bytes", "o\n1\n" + "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==" + "\n", "31 bytes", true},
		{"root of 33 bytes", "o\n1\n" + "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2Ix" + "\n", "33 bytes", true},
		{"short root", "o\n1\nAAAA\n", "4 characters", true},
		{"root with unused bits", "o\n1\n" + loose(t, root) + "\n", "one form", true},
		{"root in base64url", "o\n1\n" + strings.ReplaceAll(root, "/", "_") + "\n", "base64", false},
		{"root with CR", "o\n1\n" + root + "\r\n", "control character", true},
		{"CR LF", "o\r\n1\r\n" + root + "\r\n", "control character", false},
		{"empty extension line", "o\n1\n" + root + "\n\n", "line 4 is empty", true},
		{"empty line between extensions", "o\n1\n" + root + "\na\n\nb\n", "line 5 is empty", true},
		{"another root of nothing", "o\n0\n" + root + "\n", "root of no entries", true},
	} {
		_, err := tlog.ParseCheckpoint(tt.text)
		wantError(t, tt.name, err, tt.want)
		var c formats.Checkpoint
		if _, err := c.Unmarshal([]byte(tt.text)); (err == nil) != tt.lenient {
			t.Errorf("%s: library: got error %v, want lenient %v", tt.name, err, tt.lenient)
		}
	}
	for _, text := range []string{
		"o\n9223372036854775807\n" + root + "\n", "o\n1\n" + root + "\nmore\nand more\n", "an origin + more\n1\n" + root + "\n", "o\n0\n" + emptyRoot + "\n",
	} {
		if c, err := tlog.ParseCheckpoint(text); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := string(c.Text()); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

func TestOpenSigned(t *testing.T) {
	note := read(t, "tessera/checkpoint.15")
	log := key(t, tesseraKey)
	c, err := tlog.OpenSigned(note, []tlog.Key{key(t, neumannKey), log})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mustDecode(t, note), c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var unsigned *tlog.LogError
	if _, err := tlog.OpenSigned(note, []tlog.Key{key(t, neumannKey)}); !errors.As(err, &unsigned) || unsigned.Origin != "example.com/log/testdata" {
		t.Errorf("another log's key: got %v, want a *LogError", err)
	}
	if _, err := tlog.OpenSigned(note, nil); !errors.As(err, &unsigned) {
		t.Errorf("no key: got %v, want a *LogError", err)
	}
	for _, at := range []int{0, len("example.com/log/testdata\n"), 30, len(note) - 20} {
		flipped := bytes.Clone(note)
		flipped[at] ^= 4
		if _, err := tlog.OpenSigned(flipped, []tlog.Key{log}); err == nil {
			t.Errorf("byte %d flipped: no error", at)
		}
	}
	// A tree whose name is not that of its key, as the log of Go's checksum
	// database is; signed by x/mod.
	signer, err := sumdb.NewSigner(neumannSecret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := sumdb.Sign(&sumdb.Note{Text: "go.sum database tree\n1514086\n" + emptyRoot + "\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tlog.OpenSigned(other, []tlog.Key{key(t, neumannKey)}); !errors.As(err, &unsigned) {
		t.Errorf("origin that is not the key's name: got %v, want a *LogError", err)
	}
	var bad *tlog.SignatureError
	if _, err := tlog.OpenSigned(bytes.Replace(other, []byte("1514086"), []byte("1514087"), 1), []tlog.Key{key(t, neumannKey)}); !errors.As(err, &bad) || bad.Name != "PeterNeumann" {
		t.Errorf("another size: got %v, want a *SignatureError", err)
	}
	_, err = tlog.OpenSigned([]byte(poem), []tlog.Key{log})
	wantError(t, "no checkpoint", err, "checkpoint")
	_, err = tlog.OpenSigned(nil, []tlog.Key{log})
	wantError(t, "no note", err, "note")
}

func FuzzDecodeCheckpoint(f *testing.F) {
	for _, s := range []string{sofa, poem, "o\n1\n" + emptyRoot + "\nx\n\n— name AAAAAAA=\n"} {
		f.Add([]byte(s))
	}
	for _, n := range []string{"0", "15"} {
		f.Add(read(f, "tessera/checkpoint."+n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := tlog.DecodeCheckpoint(b)
		if err != nil {
			return
		}
		if text := c.Text(); !bytes.HasPrefix(b, append(bytes.Clone(text), '\n')) {
			t.Errorf("text: got %q of %q", text, b)
		}
		var theirs formats.Checkpoint
		if _, err := theirs.Unmarshal(c.Text()); err != nil {
			t.Fatalf("the library refuses %q: %v", c.Text(), err)
		}
		if theirs.Origin != c.Origin || theirs.Size != uint64(c.Size) || !bytes.Equal(theirs.Hash, c.Root[:]) {
			t.Errorf("got %+v, library %+v", c, theirs)
		}
	})
}
