package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"safebox/image"
	"safebox/image/secureboot/keytest"
	"safebox/image/secureboot/variables"
	"safebox/measure/tpm"
	"safebox/measure/tpm/varstore"
)

// signStage is a folder with keys, files to sign and the pinned flash.
type signStage struct {
	*story
	db, other, pk, kek keytest.Pair
}

func newSignStage(t *testing.T) *signStage {
	t.Helper()
	s := &signStage{
		story: &story{dir: t.TempDir()},
		db:    keytest.New(t, "db"), other: keytest.New(t, "other"), pk: keytest.New(t, "PK"), kek: keytest.New(t, "KEK"),
	}
	for name, pair := range map[string]keytest.Pair{"db": s.db, "other": s.other, "pk": s.pk, "kek": s.kek} {
		pair.Write(t, s.dir, name)
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keytest.NewOf(t, "eif", key).Write(t, s.dir, "eif")
	s.copy(t, root+"/measure/pe/testdata/linuxx64.efi.stub", "image.efi")
	s.write(t, "digest", bytes.Repeat([]byte{1}, sha256.Size))
	s.copy(t, root+"/image/eif/testdata/two_ramdisks_rfc6979.eif", "signed.eif")
	return s
}

func (s *signStage) copy(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, to, b)
}

func (s *signStage) tool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	for i, a := range args {
		if strings.HasPrefix(a, "@") {
			args[i] = s.path(a[1:])
		}
	}
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestSignImage signs here and elsewhere: one file comes out, which sbsigntool
// verifies and which detach gives back.
func TestSignImage(t *testing.T) {
	s := newSignStage(t)
	out := s.must(t, "sign", "@image.efi", "--key", "@db.key", "--cert", "@db.pem", "--out", "@signed.efi", "--disk", "@signed.raw")
	signed := s.read(t, "signed.efi")
	want := "kind pe\nout " + s.path("signed.efi") + "\nsha256 " + hexSum(signed) + "\ncertificate " + hexSum(s.db.Certificate.Raw) +
		"\ndisk " + s.path("signed.raw") + "\n"
	if out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	s.tool(t, "sbverify", "--cert", "@db.pem", "@signed.efi")
	if raw, err := image.Disk(signed); err != nil || !bytes.Equal(raw, s.read(t, "signed.raw")) {
		t.Errorf("disk: other bytes, %v", err)
	}
	if got := s.must(t, "sign", "prepare", "@image.efi", "--out", "@tbs"); !strings.HasSuffix(got, "\nhash sha256\n") {
		t.Errorf("prepare: got %q", got)
	}
	s.tool(t, "openssl", "dgst", "-sha256", "-sign", "@db.key", "-out", "@sig", "@tbs")
	s.must(t, "sign", "attach", "@image.efi", "--signature", "@sig", "--cert", "@db.pem", "--out", "@attached.efi")
	if !bytes.Equal(s.read(t, "attached.efi"), signed) {
		t.Error("signed elsewhere: other bytes")
	}
	s.must(t, "sign", "detach", "@signed.efi", "--out", "@unsigned.efi", "--signature", "@table")
	if !bytes.Equal(s.read(t, "unsigned.efi"), s.read(t, "image.efi")) || !bytes.HasSuffix(signed, s.read(t, "table")) {
		t.Error("detached: other bytes")
	}
	var j map[string]string
	if err := json.Unmarshal([]byte(s.must(t, "sign", "@image.efi", "--key", "@db.key", "--cert", "@db.pem", "--out", "@j.efi", "--json")), &j); err != nil {
		t.Fatal(err)
	}
	if j["kind"] != "pe" || j["sha256"] != hexSum(signed) || j["certificate"] != hexSum(s.db.Certificate.Raw) {
		t.Errorf("got %v", j)
	}
}

// TestSignEnclave does the same with an EIF, whose kind is told by its content.
func TestSignEnclave(t *testing.T) {
	s := newSignStage(t)
	s.must(t, "sign", "detach", "@signed.eif", "--out", "@image")
	s.must(t, "sign", "@image", "--key", "@eif.key", "--cert", "@eif.pem", "--out", "@signed")
	if got := s.must(t, "sign", "prepare", "@image", "--out", "@tbs"); !strings.HasPrefix(got, "kind eif\n") || !strings.HasSuffix(got, "\nhash sha384\n") {
		t.Errorf("prepare: got %q", got)
	}
	s.tool(t, "openssl", "dgst", "-sha384", "-sign", "@eif.key", "-out", "@sig", "@tbs")
	s.must(t, "sign", "attach", "@image", "--signature", "@sig", "--cert", "@eif.pem", "--out", "@attached")
	for _, name := range []string{"signed", "attached"} {
		s.must(t, "sign", "detach", "@"+name, "--out", "@again")
		if !bytes.Equal(s.read(t, "again"), s.read(t, "image")) {
			t.Errorf("%s: detached: other bytes", name)
		}
		if got := s.must(t, "inspect", "@"+name); !strings.Contains(got, "signature") {
			t.Errorf("%s: inspect says %s", name, got)
		}
	}
	if a := s.invoke(t, "sign", "@image", "--key", "@db.key", "--cert", "@db.pem", "--out", "@x"); a.code != 2 || !strings.Contains(a.stderr, "key: got RSA, want ECDSA") {
		t.Errorf("RSA: got %+v", a)
	}
	if a := s.invoke(t, "sign", "@image", "--key", "@eif.key", "--cert", "@eif.pem", "--out", "@x", "--disk", "@y"); a.code != 2 || exists(s.path("x")) {
		t.Errorf("disk of an EIF: got %+v", a)
	}
}

// TestSignRefuses: nothing is written, an input is never replaced.
func TestSignRefuses(t *testing.T) {
	s := newSignStage(t)
	s.must(t, "sign", "@image.efi", "--key", "@db.key", "--cert", "@db.pem", "--out", "@signed.efi")
	s.must(t, "sign", "prepare", "@image.efi", "--out", "@tbs")
	s.tool(t, "openssl", "dgst", "-sha256", "-sign", "@other.key", "-out", "@other.sig", "@tbs")
	s.write(t, "two.pem", append(s.read(t, "db.pem"), s.read(t, "other.pem")...))
	s.write(t, "two.key", append(s.read(t, "db.key"), s.read(t, "other.key")...))
	s.write(t, "text", []byte("text"))
	before, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, e := range before {
		sums[e.Name()] = hexSum(s.read(t, e.Name()))
	}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"sign", 2, "arguments: got 0, want 1"},
		{"sign @image.efi @image.efi", 2, "arguments: got 2, want 1"},
		{"sign @image.efi --cert @db.pem --out @x", 2, "--key is missing"},
		{"sign @image.efi --key @db.key --out @x", 2, "--cert is missing"},
		{"sign @image.efi --key @db.key --cert @db.pem", 2, "--out is missing"},
		{"sign @text --key @db.key --cert @db.pem --out @x", 2, "want a PE image or an EIF"},
		{"sign @image.efi --key @other.key --cert @db.pem --out @x", 2, "it is not the one of the certificate"},
		{"sign @image.efi --key @eif.key --cert @eif.pem --out @x", 2, "want RSA"},
		{"sign @signed.efi --key @db.key --cert @db.pem --out @x", 2, "it is signed already"},
		{"sign @image.efi --key @db.pem --cert @db.pem --out @x", 2, `PEM: got type "CERTIFICATE"`},
		{"sign @image.efi --key @two.key --cert @db.pem --out @x", 2, "want PEM of one private key"},
		{"sign @image.efi --key @db.key --cert @two.pem --out @x", 2, "certificates: got 2, want 1"},
		{"sign @image.efi --key @db.key --cert @db.key --out @x", 2, "no PEM block of type CERTIFICATE"},
		{"sign @image.efi --key @db.key --cert @db.pem --out @image.efi", 2, "over the input"},
		{"sign @image.efi --key @db.key --cert @db.pem --out @db.key", 2, "over the input"},
		{"sign @image.efi --key @db.key --cert @db.pem --out @x --disk @db.pem", 2, "over the input"},
		{"sign @image.efi --key @db.key --cert @db.pem --out @x --disk @x", 2, "would be written twice"},
		{"sign prepare @image.efi", 2, "--out is missing"},
		{"sign prepare @image.efi --out @image.efi", 2, "over the input"},
		{"sign prepare @image.efi --out @x --cert @eif.pem", 2, "want RSA"},
		{"sign prepare @signed.efi --out @x", 2, "it is signed already"},
		{"sign attach @image.efi --cert @db.pem --out @x", 2, "--signature is missing"},
		{"sign attach @image.efi --signature @other.sig --cert @db.pem --out @x", 1, "signer: crypto/rsa: verification error"},
		{"sign attach @image.efi --signature @other.sig --cert @other.pem --out @other.sig", 2, "over the input"},
		{"sign detach @image.efi --out @x", 1, "the image is not signed"},
		{"sign detach @signed.efi --out @signed.efi", 2, "over the input"},
		{"sign detach @signed.efi --out @x --signature @x", 2, "written twice"},
	} {
		a := s.invoke(t, strings.Fields(tt.args)...)
		if a.code != tt.code || !strings.Contains(a.stderr, tt.want) || a.stdout != "" {
			t.Errorf("%s: got %+v, want %d and %q", tt.args, a, tt.code, tt.want)
		}
	}
	after, err := os.ReadDir(s.dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("files: got %v, %v, want %v", after, err, before)
	}
	for name, sum := range sums {
		if hexSum(s.read(t, name)) != sum {
			t.Errorf("%s was changed", name)
		}
	}
}

// variablesArgs are the flags of the good case.
func variablesArgs(more ...string) []string {
	return slices.Concat([]string{"sign", "variables", "--pk", "@pk.pem", "--kek", "@kek.pem", "--db", "@db.pem", "--time", "2026-11-21T00:00:00Z"}, more)
}

// TestSignVariables makes the variables with the keys here and elsewhere.
func TestSignVariables(t *testing.T) {
	s := newSignStage(t)
	s.must(t, variablesArgs("--out", "@prepared")...)
	if err := os.Mkdir(s.path("sig"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"PK": "pk", "KEK": "pk", "db": "kek"} {
		s.tool(t, "openssl", "dgst", "-sha256", "-sign", "@"+key+".key", "-out", "@sig/"+name+".sig", "@prepared/"+name+".tbs")
	}
	s.must(t, variablesArgs("--signatures", "@sig", "--out", "@elsewhere")...)
	out := s.must(t, variablesArgs("--pk-key", "@pk.key", "--kek-key", "@kek.key", "--out", "@here")...)
	names := []string{}
	for line := range strings.Lines(out) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		names = append(names, name)
		b := s.read(t, "here/"+name)
		if hexSum(b) != sum || !bytes.Equal(b, s.read(t, "elsewhere/"+name)) {
			t.Errorf("%s: got %s, or other bytes than elsewhere", name, sum)
		}
	}
	want := []string{"PK.esl", "PK.tbs", "PK.auth", "KEK.esl", "KEK.tbs", "KEK.auth", "db.esl", "db.tbs", "db.auth"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	s.tool(t, "openssl", "x509", "-in", "@db.pem", "-outform", "DER", "-out", "@db.der")
	s.tool(t, "sbsiglist", "--owner", defaultOwner().String(), "--type", "x509", "--output", "@db.esl", "@db.der")
	if !bytes.Equal(s.read(t, "here/db.esl"), s.read(t, "db.esl")) {
		t.Error("db.esl: other bytes than sbsiglist's")
	}
	var j struct {
		Out   string
		Files []struct{ Name, SHA256 string }
	}
	if err := json.Unmarshal([]byte(s.must(t, variablesArgs("--out", "@json", "--json")...)), &j); err != nil || len(j.Files) != 6 {
		t.Errorf("got %+v, %v", j, err)
	}
}

// TestSignFlash: the flash that the pinned package has, with the keys in it, is
// what measure tpm predicts PCR 7 from. Of two keys for KEK either signs.
func TestSignFlash(t *testing.T) {
	s := newSignStage(t)
	s.write(t, "OVMF_VARS_4M.fd", packaged(t, "ovmf", "usr/share/OVMF/OVMF_VARS_4M.fd"))
	s.write(t, "keks.pem", append(s.read(t, "other.pem"), s.read(t, "kek.pem")...))
	s.tool(t, "sbsiglist", "--owner", defaultOwner().String(), "--type", "sha256", "--output", "@dbx.esl", "@digest")
	s.must(t, variablesArgs("--kek", "@keks.pem", "--pk-key", "@pk.key", "--kek-key", "@kek.key",
		"--dbx", "@dbx.esl", "--vars", "@OVMF_VARS_4M.fd", "--out", "@out")...)
	store, err := varstore.Decode(s.read(t, "out/vars.fd"))
	if err != nil {
		t.Fatal(err)
	}
	sb, err := tpm.NewSecureBoot(store)
	if err != nil || !sb.Enabled {
		t.Fatalf("got %+v, %v", sb, err)
	}
	for name, got := range map[string][]byte{"PK": sb.PK, "KEK": sb.KEK, "db": sb.DB, "dbx": sb.DBX} {
		if want := s.read(t, "out/"+name+".esl"); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
	if _, signer, err := variables.OpenUpdate("db", s.read(t, "out/db.auth")); err != nil || !bytes.Equal(signer.Raw, s.kek.Certificate.Raw) {
		t.Errorf("db.auth: by %v, %v", signer, err)
	}
	a := s.invoke(t, variablesArgs("--vars", "@out/vars.fd", "--out", "@again")...)
	if a.code != 2 || !strings.Contains(a.stderr, "PK is there already") || exists(s.path("again")) {
		t.Errorf("a flash with keys: got %+v", a)
	}
}

// TestSignVariablesRefuses names what is wrong, and writes nothing.
func TestSignVariablesRefuses(t *testing.T) {
	s := newSignStage(t)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"sign", "variables", "--out", "@x"}, 2, "--pk is missing"},
		{[]string{"sign", "variables", "--pk", "@pk.pem", "--kek", "@kek.pem", "--db", "@db.pem", "--out", "@x"}, 2, "--time is missing"},
		{variablesArgs(), 2, "--out is missing"},
		{variablesArgs("--out", "@x", "--time", "yesterday"), 2, `--time: got "yesterday"`},
		{variablesArgs("--out", "@x", "--time", "2026-11-21T00:00:00.5Z"), 2, "want whole seconds"},
		{variablesArgs("--out", "@x", "--owner", "me"), 2, "--owner: parsing GUID"},
		{variablesArgs("--out", "@x", "--pk-key", "@pk.key"), 2, "want both of --pk-key and --kek-key"},
		{variablesArgs("--out", "@x", "--pk-key", "@pk.key", "--kek-key", "@kek.key", "--signatures", "@x"), 2, "not both"},
		{variablesArgs("--out", "@x", "--pk-key", "@db.key", "--kek-key", "@kek.key"), 2, "it is not the one of the certificate"},
		{variablesArgs("--out", "@x", "--pk-key", "@pk.key", "--kek-key", "@pk.key"), 2, "it is not the one of the certificate"},
		{variablesArgs("--out", "@x", "--vars", "@pk.pem"), 2, "parsing variable flash"},
		{variablesArgs("--out", "@x", "--dbx", "@pk.pem"), 2, "variable dbx: parsing signature list"},
		{variablesArgs("--out", "@x", "--signatures", "@nowhere"), 2, "nowhere/PK.sig"},
	} {
		if a := s.invoke(t, tt.args...); a.code != tt.code || !strings.Contains(a.stderr, tt.want) || a.stdout != "" || exists(s.path("x")) {
			t.Errorf("%q: got %+v, want %d and %q", tt.args, a, tt.code, tt.want)
		}
	}
	s.must(t, variablesArgs("--out", "@prepared")...)
	if err := os.Mkdir(s.path("sig"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"PK", "KEK", "db"} {
		s.tool(t, "openssl", "dgst", "-sha256", "-sign", "@pk.key", "-out", "@sig/"+name+".sig", "@prepared/"+name+".tbs")
	}
	// The key of PK signs no db: KEK's does.
	a := s.invoke(t, variablesArgs("--signatures", "@sig", "--out", "@x")...)
	if a.code != 1 || !strings.Contains(a.stderr, "db.sig: signing update of db: verifying update of db") || exists(s.path("x")) {
		t.Errorf("db signed by PK: got %+v", a)
	}
}
