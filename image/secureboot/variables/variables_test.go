package variables_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"safebox/image/secureboot/keytest"
	"safebox/image/secureboot/variables"
	"safebox/measure/pkcs7"
	"safebox/measure/tpm"
	"safebox/measure/tpm/varstore"
)

const (
	guid = "5afeb0c0-0000-4000-8000-000000000001"
	// inputs holds flashes that a Python program made and that were booted
	// (measure/tpm/testdata/README.md).
	inputs = "../../../measure/tpm/testdata/boots/inputs/"
)

func owner(t testing.TB) varstore.GUID {
	t.Helper()
	g, err := varstore.ParseGUID(guid)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func unxz(t testing.TB, path string) []byte {
	t.Helper()
	r, err := xz.NewReader(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func at(t testing.TB, year int) variables.Time {
	t.Helper()
	v, err := variables.NewTime(time.Date(year, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newVariable(t testing.TB, name string, when variables.Time, data []byte) *variables.Variable {
	t.Helper()
	v, err := variables.New(name, when, data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestListsOfOthers compares with sbsiglist of sbsigntool.
func TestListsOfOthers(t *testing.T) {
	dir, by := t.TempDir(), keytest.New(t, "db")
	tool(t, "sbsiglist", "--owner", guid, "--type", "x509", "--output", dir+"/x509", write(t, dir+"/der", by.Certificate.Raw))
	if got, want := variables.Certificates(owner(t), by.Certificate), read(t, dir+"/x509"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	digest := [32]byte(bytes.Repeat([]byte{7}, 32))
	tool(t, "sbsiglist", "--owner", guid, "--type", "sha256", "--output", dir+"/sha256", write(t, dir+"/digest", digest[:]))
	if got, want := variables.Digests(owner(t), digest), read(t, dir+"/sha256"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	two := variables.Certificates(owner(t), by.Certificate, by.Certificate)
	if one := variables.Certificates(owner(t), by.Certificate); !bytes.Equal(two, append(bytes.Clone(one), one...)) {
		t.Error("two certificates are not two lists")
	}
	if got := variables.Digests(owner(t)); len(got) != 0 {
		t.Errorf("no digests: got %x", got)
	}
}

// TestUpdatesOfOthers compares with sbvarsign of sbsigntool: time, headers and
// data, and what is signed. It takes the time from its clock and signs it too,
// in an attribute, so that its message is another; ours is that of openssl.
func TestUpdatesOfOthers(t *testing.T) {
	dir, by := t.TempDir(), keytest.New(t, "PK")
	key, cert := by.Write(t, dir, "PK")
	data := variables.Certificates(owner(t), by.Certificate)
	const attributes = "NON_VOLATILE,BOOTSERVICE_ACCESS,RUNTIME_ACCESS,TIME_BASED_AUTHENTICATED_WRITE_ACCESS"
	for _, name := range []string{"PK", "KEK", "db", "dbx"} {
		tool(t, "sbvarsign", "--key", key, "--cert", cert, "--attr", attributes, "--output", dir+"/auth", name, write(t, dir+"/esl", data))
		theirs := read(t, dir+"/auth")
		v := newVariable(t, name, variables.Time(theirs[:16]), data)
		const message = 16 + 24
		end := len(theirs) - len(data)
		signed, err := pkcs7.DecodeBare(theirs[message:end])
		if err != nil {
			t.Fatal(err)
		}
		if err := signed.Verify(v.ToBeSigned()); err != nil {
			t.Errorf("%s: sbvarsign signed something else: %v", name, err)
		}
		tool(t, "openssl", "smime", "-sign", "-binary", "-noattr", "-md", "sha256", "-outform", "DER",
			"-in", write(t, dir+"/tbs", v.ToBeSigned()), "-inkey", key, "-signer", cert, "-out", dir+"/p7")
		const contentInfo = 4 + 11 + 4 // SEQUENCE, type, [0]
		want := slices.Concat(theirs[:message], read(t, dir+"/p7")[contentInfo:], theirs[end:])
		binary.LittleEndian.PutUint32(want[16:], uint32(len(want)-16-len(data)))
		got, err := v.Sign(by.Key, by.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		opened, signer, err := variables.OpenUpdate(name, want)
		if err != nil {
			t.Fatal(err)
		}
		if opened.Name != name || !bytes.Equal(opened.Data, data) || !bytes.Equal(signer.Raw, by.Certificate.Raw) {
			t.Errorf("%s: got %+v by %q", name, opened, signer.Subject)
		}
		if _, _, err := variables.OpenUpdate(name, theirs); err == nil || !strings.Contains(err.Error(), "authenticated attributes: got") {
			t.Errorf("%s: an update with attributes: got %v", name, err)
		}
	}
}

// TestElsewhere signs by openssl what ToBeSigned gives.
func TestElsewhere(t *testing.T) {
	dir, by := t.TempDir(), keytest.New(t, "PK")
	key, _ := by.Write(t, dir, "PK")
	v := newVariable(t, "PK", at(t, 2026), variables.Certificates(owner(t), by.Certificate))
	tool(t, "openssl", "dgst", "-sha256", "-sign", key, "-out", dir+"/sig", write(t, dir+"/tbs", v.ToBeSigned()))
	attached, err := v.Attach(read(t, dir+"/sig"), by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := v.Sign(by.Key, by.Certificate)
	if err != nil || !bytes.Equal(signed, attached) {
		t.Errorf("signed here: other bytes, %v", err)
	}
	if _, err := v.Attach(read(t, dir+"/sig"), keytest.New(t, "PK").Certificate); err == nil || !strings.Contains(err.Error(), "signer: crypto/rsa") {
		t.Errorf("another's certificate: got %v", err)
	}
}

// TestUpdateRefuses: what is signed is signed to the last bit, for one variable.
func TestUpdateRefuses(t *testing.T) {
	by := keytest.New(t, "PK")
	v := newVariable(t, "PK", at(t, 2026), variables.Certificates(owner(t), by.Certificate))
	b, err := v.Sign(by.Key, by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	length := int(binary.LittleEndian.Uint32(b[16:]))
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		// Of the message some bits are nobody's: parameters, versions.
		if message := i >= 40 && i < 16+length; message {
			continue
		}
		if _, _, err := variables.OpenUpdate("PK", bad); err == nil {
			t.Errorf("byte %#x: another value passed", i)
		}
	}
	change := func(at int, v byte) []byte {
		c := bytes.Clone(b)
		c[at] = v
		return c
	}
	for _, tt := range []struct {
		name, variable string
		b              []byte
		want           string
	}{
		{"another variable", "KEK", b, "verifying update of KEK: signer: crypto/rsa"},
		{"no such variable", "SecureBoot", b, `variable "SecureBoot": want PK`},
		{"short", "PK", b[:39], "got 39 bytes, want 40"},
		{"long", "PK", make([]byte, 1<<20+1), "got 1048577 bytes"},
		{"length", "PK", change(16, 23-0)[:40], "length: got"},
		{"revision", "PK", change(21, 1), "revision and type: got 0x0100 0x0ef1"},
		{"type", "PK", change(22, 2), "revision and type: got 0x0200 0x0e02"},
		{"GUID", "PK", change(24, 0), "revision and type: got 0x0200 0x0ef1 00d2af4a"},
		{"message", "PK", change(40, 0x31), "at 0x28: signed data"},
		{"no data", "PK", b[:16+length], "no entries: firmware deletes such a variable"},
	} {
		if _, _, err := variables.OpenUpdate(tt.variable, tt.b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	by := keytest.New(t, "PK")
	one := variables.Certificates(owner(t), by.Certificate)
	digest := variables.Digests(owner(t), [32]byte{1})
	other := bytes.Clone(digest)
	other[0] ^= 1
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"pk", one, `variable "pk": want PK, KEK, db or dbx`},
		{"PK", append(bytes.Clone(one), one...), "variable PK: got 2 entries, want 1"},
		{"PK", digest, "variable PK: entry 0: signature type"},
		{"KEK", digest, "variable KEK: entry 0: signature type"},
		{"db", other, "variable db: entry 0: signature type"},
		{"dbx", nil, "variable dbx: no entries"},
		{"dbx", digest[:40], "variable dbx: parsing signature list at 0x0: size"},
	} {
		if _, err := variables.New(tt.name, at(t, 2026), tt.data); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	for _, name := range []string{"db", "dbx"} {
		newVariable(t, name, at(t, 2026), digest)
	}
}

func TestTime(t *testing.T) {
	// UEFI 2.10, section 8.3, written by hand.
	want := "ea07" + "0b15" + "163b3a" + "00" + "00000000" + "0000" + "00" + "00"
	got, err := variables.NewTime(time.Date(2026, 11, 22, 1, 59, 58, 0, time.FixedZone("", 3*3600)))
	if err != nil || hex.EncodeToString(got[:]) != want {
		t.Errorf("got %x, %v, want %s", got, err, want)
	}
	for _, bad := range []time.Time{
		time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(1899, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if _, err := variables.NewTime(bad); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

// erased is a flash of inputs without its variables: where they begin, and that
// a store without any is erased flash, is VARIABLE_STORE_HEADER's size and
// VariableFormat.h's.
func erased(t testing.TB, flash []byte) []byte {
	t.Helper()
	b := bytes.Clone(flash)
	const first = 0x48 + 28
	end := 0x48 + int(binary.LittleEndian.Uint32(b[0x48+16:]))
	for i := first; i < end; i++ {
		b[i] = 0xff
	}
	return b
}

// TestFillAsOthers fills a blank flash with the variables of those that a Python
// program filled and that were booted: the same bytes come out.
func TestFillAsOthers(t *testing.T) {
	for _, name := range []string{"ca.fd", "leaf.fd", "hash.fd"} {
		want := unxz(t, inputs+name+".xz")
		store, err := varstore.Decode(want)
		if err != nil {
			t.Fatal(err)
		}
		var keys []*variables.Variable
		for _, v := range store.Variables {
			if v.Name == "SecureBootEnable" {
				continue
			}
			if when := at(t, 2026); v.TimeStamp != when {
				t.Errorf("%s: %s: time %x, NewTime gives %x", name, v.Name, v.TimeStamp, when)
			}
			keys = append(keys, newVariable(t, v.Name, v.TimeStamp, v.Data))
		}
		got, err := variables.Fill(erased(t, want), keys...)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes than it was booted with", name)
		}
	}
}

// TestFillKeepsVariables: what is there stays, and keys come behind it.
func TestFillKeepsVariables(t *testing.T) {
	by := keytest.New(t, "PK")
	blank := erased(t, unxz(t, inputs+"ca.fd.xz"))
	other := (&varstore.Variable{State: varstore.Added, Attributes: 7, Owner: varstore.GlobalVariable(), Name: "Lang", Data: []byte("eng")}).Append(nil)
	copy(blank[0x48+28:], other)
	before := bytes.Clone(blank)
	filled, err := variables.Fill(blank, newVariable(t, "PK", at(t, 2026), variables.Certificates(owner(t), by.Certificate)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(blank, before) {
		t.Error("the input was changed")
	}
	store, err := varstore.Decode(filled)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := store.Variable(varstore.GlobalVariable(), "Lang"); !ok || string(v.Data) != "eng" || len(store.Variables) != 3 {
		t.Errorf("got %+v", store.Variables)
	}
	sb, err := tpm.NewSecureBoot(store)
	if err != nil || !sb.Enabled {
		t.Errorf("Secure Boot: got %+v, %v", sb, err)
	}
}

func TestFillRefuses(t *testing.T) {
	by := keytest.New(t, "PK")
	pk := newVariable(t, "PK", at(t, 2026), variables.Certificates(owner(t), by.Certificate))
	flash := unxz(t, inputs+"ca.fd.xz")
	if _, err := variables.Fill(flash, pk); err == nil || !strings.Contains(err.Error(), "PK is there already") {
		t.Errorf("keys there: got %v", err)
	}
	if _, err := variables.Fill(flash[:100], pk); err == nil || !strings.Contains(err.Error(), "parsing variable flash") {
		t.Errorf("no flash: got %v", err)
	}
	// A store of 256 KiB has room for this many digests of 48 bytes and no more.
	room := binary.LittleEndian.Uint32(flash[0x48+16:])
	large := newVariable(t, "dbx", at(t, 2026), variables.Digests(owner(t), make([][32]byte, room/48)...))
	if _, err := variables.Fill(erased(t, flash), large); err == nil || !strings.Contains(err.Error(), "filling flash at 0x64: the variables need") {
		t.Errorf("too much: got %v", err)
	}
	fits := newVariable(t, "dbx", at(t, 2026), variables.Digests(owner(t), make([][32]byte, room/48-10)...))
	if _, err := variables.Fill(erased(t, flash), fits); err != nil {
		t.Errorf("nearly too much: %v", err)
	}
	for _, v := range []varstore.Variable{
		{Owner: varstore.GlobalVariable(), Name: "KEK"},
		{Owner: varstore.SecurityDatabase(), Name: "dbt"},
		{Owner: varstore.SecureBootEnableDisable(), Name: "SecureBootEnable", Data: []byte{0}},
	} {
		b := erased(t, flash)
		v.State = varstore.Added
		copy(b[0x64:], v.Append(nil))
		if _, err := variables.Fill(b, pk); err == nil || !strings.Contains(err.Error(), v.Name+" is there already") {
			t.Errorf("%s: got %v", v.Name, err)
		}
		b = erased(t, flash)
		v.State = varstore.Deleted
		copy(b[0x64:], v.Append(nil))
		if _, err := variables.Fill(b, pk); err != nil {
			t.Errorf("%s, deleted: %v", v.Name, err)
		}
	}
}

// TestFixedUpdates opens updates that no code of ours wrote: testdata/README.md.
func TestFixedUpdates(t *testing.T) {
	for _, name := range []string{"PK", "db"} {
		v, signer, err := variables.OpenUpdate(name, read(t, "testdata/"+name+".auth"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"PK": "TEST ONLY PK", "db": "TEST ONLY KEK"}[name]
		if signer.Subject.CommonName != want || v.Time != at(t, 2026) {
			t.Errorf("%s: by %q at %x, want %q", name, signer.Subject.CommonName, v.Time, want)
		}
	}
}

func FuzzOpenUpdate(f *testing.F) {
	signed := map[string][]byte{}
	for _, name := range []string{"PK", "db"} {
		b := read(f, "testdata/"+name+".auth")
		signed[name] = b
		f.Add(name, b)
	}
	pk, by, err := variables.OpenUpdate("PK", signed["PK"])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		v, signer, err := variables.OpenUpdate(name, b)
		if err != nil {
			return
		}
		// The key of PK signed one thing.
		if bytes.Equal(signer.RawSubjectPublicKeyInfo, by.RawSubjectPublicKeyInfo) &&
			(v.Name != pk.Name || v.Time != pk.Time || !bytes.Equal(v.Data, pk.Data)) {
			t.Errorf("passed: %+v by %q", v, signer.Subject)
		}
		// What is read is in the file, in its place.
		if !bytes.HasPrefix(b, v.Time[:]) || !bytes.HasSuffix(b, v.Data) {
			t.Errorf("got %+v from %x", v, b)
		}
	})
}
