package tlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"safebox/verifier/tlog"
)

// Examples of the C2SP documents, word for word.
const (
	// signed-note, at the top.
	poem = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`
	// tlog-cosignature, at the top; without the last line it is the example of tlog-checkpoint.
	sofa = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`
	// golang.org/x/mod v0.42.0, sumdb/note/note.go.
	proverb = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
		"— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n" +
		"— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)

func TestDecodeNote(t *testing.T) {
	n, err := tlog.DecodeNote([]byte(poem))
	if err != nil {
		t.Fatal(err)
	}
	if want := poem[:strings.LastIndex(poem, "\n\n")+1]; string(n.Text) != want {
		t.Errorf("text: got %q, want %q", n.Text, want)
	}
	n, err = tlog.DecodeNote([]byte(sofa))
	if err != nil {
		t.Fatal(err)
	}
	// The time is the one of the document's message example.
	if got, want := binary.BigEndian.Uint64(n.Signatures[1].Sig), uint64(1679315147); got != want {
		t.Errorf("time of the cosignature: got %d, want %d", got, want)
	}
	var names []string
	for _, s := range n.Signatures {
		names = append(names, fmt.Sprintf("%s %08x %d", s.Name, s.ID, len(s.Sig)))
	}
	if diff := cmp.Diff([]string{"example.com/behind-the-sofa 033de0ae 64", "witness.example.com/w1 8d66cf3f 72"}, names); diff != "" {
		t.Errorf("signatures (-want +got):\n%s", diff)
	}
	n, err = tlog.DecodeNote([]byte(proverb))
	if err != nil {
		t.Fatal(err)
	}
	if !key(t, neumannKey).Verify(n.Text, n.Signatures[0]) {
		t.Error("PeterNeumann's signature does not verify")
	}
	if key(t, neumannKey).Verify(n.Text, n.Signatures[1]) || key(t, neumannKey).Verify(n.Text[1:], n.Signatures[0]) {
		t.Error("PeterNeumann's key verifies what it did not sign")
	}
}

// The forms that the library reads all the same are marked.
func TestDecodeNoteRefuses(t *testing.T) {
	const sig = "AAAAAAA="
	line := "— name " + sig + "\n"
	for _, tt := range []struct {
		name, note, want string
		lenient          bool // golang.org/x/mod/sumdb/note takes it
	}{
		{"nothing", "", "no empty line", false},
		{"no signature", "text\n\n", "no newline", false},
		{"no text", line, "no empty line", false},
		{"no empty line", "text\n" + line, "no empty line", false},
		{"no newline at the end", "text\n\n" + line[:len(line)-1], "no newline", false},
		{"CR LF", "text\r\n\r\n— name " + sig + "\r\n", "no empty line", false},
		{"CR in the text", "te\rxt\n\n" + line, "control character", false},
		{"CR in the signature", "text\n\n— name " + sig + "\r\n", "control character", false},
		{"tab", "te\txt\n\n" + line, "control character", false},
		{"zero byte", "te\x00xt\n\n" + line, "control character", false},
		{"not UTF-8", "te\xffxt\n\n" + line, "UTF-8", false},
		{"name not UTF-8", "text\n\n— n\xff " + sig + "\n", "UTF-8", false},
		{"hyphen", "text\n\n- name " + sig + "\n", "em dash", false},
		{"no name", "text\n\n—  " + sig + "\n", "key name", false},
		{"no signature on the line", "text\n\n— name\n", "key name", false},
		{"plus in the name", "text\n\n— na+me " + sig + "\n", "key name", false},
		{"Unicode space in the name", "text\n\n— na\u00a0me " + sig + "\n", "key name", false},
		{"two spaces", "text\n\n— name  " + sig + "\n", "base64", false},
		{"space at the end", "text\n\n— name " + sig + " \n", "base64", false},
		{"key ID alone", "text\n\n— name AAAAAA==\n", "4 bytes", false},
		{"no base64", "text\n\n— name !\n", "base64", false},
		{"no padding", "text\n\n— name AAAAAAA\n", "base64", false},
		{"unused bits", "text\n\n— name " + loose(t, sig) + "\n", "one form", true},
		{"the same line twice", "text\n\n" + line + line, "again", true},
		{"line after the signatures", "text\n\n" + line + "text\n", "em dash", false},
		{"101 signatures", "text\n\n" + distinct(101), "at most 100", false},
		{"too long", strings.Repeat("a", tlog.MaxNote) + "\n\n" + line, "at most", true},
	} {
		_, err := tlog.DecodeNote([]byte(tt.note))
		wantError(t, tt.name, err, tt.want)
		_, err = note.Open([]byte(tt.note), note.VerifierList())
		var unverified *note.UnverifiedNoteError
		if got := errors.As(err, &unverified); got != tt.lenient {
			t.Errorf("%s: library: got %v, want lenient %v", tt.name, err, tt.lenient)
		}
	}
	if _, err := tlog.DecodeNote([]byte("text\n\n" + distinct(tlog.MaxSignatures))); err != nil {
		t.Errorf("as many signatures as may be: %v", err)
	}
	most := strings.Repeat("a", tlog.MaxNote-len("\n\n"+line)) + "\n\n" + line
	if _, err := tlog.DecodeNote([]byte(most)); err != nil {
		t.Errorf("as long as may be: %v", err)
	}
	if _, err := tlog.DecodeSignatures(nil); err == nil {
		t.Error("no signature lines: no error")
	}
	if _, err := tlog.DecodeSignatures(bytes.Repeat([]byte("a"), tlog.MaxNote+1)); err == nil {
		t.Error("too long signature lines: no error")
	}
}

// distinct makes n signature lines, none the same.
func distinct(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(tlog.Signature{Name: "name", ID: uint32(i), Sig: []byte{1}}.String())
	}
	return b.String()
}

// FuzzDecodeNote: what is read is written the same, and is a note to the
// library.
func FuzzDecodeNote(f *testing.F) {
	for _, s := range []string{poem, sofa, proverb, "text\n\n— name AAAAAAA=\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := tlog.DecodeNote(b)
		if err != nil {
			return
		}
		again := append(bytes.Clone(n.Text), '\n')
		for _, s := range n.Signatures {
			again = append(again, s.String()...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("got %q, want %q", again, b)
		}
		var unverified *note.UnverifiedNoteError
		if _, err := note.Open(b, note.VerifierList()); !errors.As(err, &unverified) {
			t.Fatalf("the library refuses %q: %v", b, err)
		}
		if unverified.Note.Text != string(n.Text) {
			t.Errorf("text: got %q, library %q", n.Text, unverified.Note.Text)
		}
	})
}
