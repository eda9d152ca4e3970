package lock

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const oldLock, newLock = "testdata/old.lock", "testdata/new.lock"

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, name string) *Lock {
	t.Helper()
	l, err := ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The repository's own lock: section 6 of the image specification gives the
// hashes of the packages, the signed index of trixie of 2026-09-12 that of the
// source; dpkg-deb -x and sha256sum those of the files.
func TestReleaseLock(t *testing.T) {
	l := parse(t, "../safebox.lock")
	if diff := cmp.Diff(string(load(t, "../safebox.lock")), string(l.Encode())); diff != "" {
		t.Errorf("safebox.lock is not in its canonical form: %s", diff)
	}
	packages := map[string]string{}
	for _, p := range l.Packages {
		packages[p.Name] = p.SHA256.String()
	}
	if diff := cmp.Diff(map[string]string{
		"linux-image-6.12.107+deb13-cloud-amd64": "04434ff520f860423eafe4203d986a35682ce73c2f71baa39e988ca0da93ac91",
		"linux-source-6.12":                      "775b9ef84d7fa7927ccebfec33fbbe9aeb2482ebf9a92c771aafd33fb6e2ee27",
		"ovmf":                                   "78e0d54df11fc77406cb7a0bc9a39e5bca6d1cbe06556b91d9a73491c52decdf",
		"ovmf-amdsev":                            "92c9b6d15e4eeb371938c3f99080c1a8fc057dfd6bc0509d37f8b615e9edebfb",
		"systemd-boot-efi":                       "390ecdcef9bbb753f51bb6d8f696bdae2f1dbedde7239c49ccb2512f137a8933",
	}, packages); diff != "" {
		t.Error(diff)
	}
	for role, want := range map[Role]string{
		Kernel:       "d1bc2c60a78ae6979736d081bc3c90e45ace6baf414f767dff588e319d3492bd",
		Stub:         "9c623743834bb904a3cb941092cffc958c31230263ce896d332a75e9ec48aa85",
		FirmwareCode: "624e06de18b4fa535e90db7160d00d3d07d206422b89999bf1e27d920264e4e0",
		FirmwareVars: "5d2ac383371b408398accee7ec27c8c09ea5b74a0de0ceea6513388b15be5d1e",
		FirmwareSNP:  "3e4fd0b3fe3b2dbe481c3d9e99418a034174f26cbe1f55aa212b0f18c12d2d6f",
		FirmwareTDX:  "14954040cc754ade0c625ac3470ea46d4c14318b5b1396de4ef77090203d76db",
		KernelSource: "5295fbf9c06bc9a6fd4868b80b5fd1e12d7d286d6d51c950a83c4c18edf0c5b3",
	} {
		in, err := l.File(role)
		if err != nil || in.File.SHA256.String() != want {
			t.Errorf("%s: got %v %v, want %s", role, in.File.SHA256, err, want)
		}
	}
	if got := len(l.Files(Module)); got != 3 {
		t.Errorf("modules: got %d, want 3", got)
	}
	if l.Epoch != 1767225600 || l.Go != "1.26.8" {
		t.Errorf("got epoch %d, go %s", l.Epoch, l.Go)
	}
}

func TestParse(t *testing.T) {
	l := parse(t, oldLock)
	sum, err := ParseDigest("58ad2f7bda25b2cbcdb010e2b223fce298c494e252651335645bfbe7dc528346")
	if err != nil {
		t.Fatal(err)
	}
	// The values of old.lock's last line, from sha256sum and stat.
	want := File{Role: Stub, Path: "usr/lib/small/x64.stub", Size: 38, SHA256: sum}
	in, err := l.File(Stub)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, in.File); diff != "" {
		t.Error(diff)
	}
	if in.Package.Name != "small-boot" || in.Package.Version != "1:2.0~rc1-1" || in.Package.Architecture != "all" ||
		in.Package.Pool != "pool/main/s/small-boot/small-boot_2.0~rc1-1_all.deb" {
		t.Errorf("got %+v", in.Package)
	}
	if l.Toolchain.Path+"@"+l.Toolchain.Version != "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64" {
		t.Errorf("got %+v", l.Toolchain)
	}
}

func TestFileNeedsExactlyOne(t *testing.T) {
	l := parse(t, oldLock)
	if _, err := l.File(FirmwareCode); err == nil || err.Error() != "lock: files of role firmware-code: got 0, want 1" {
		t.Errorf("none: got %v", err)
	}
	l.Packages[0].Files[1].Role = Kernel
	if _, err := l.File(Kernel); err == nil || err.Error() != "lock: files of role kernel: got 2, want 1" {
		t.Errorf("two: got %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	text := string(load(t, oldLock))
	const digest = "1a798999619ebdd8184815da47fee7276e93fad01891548c5fb6f0bdd3a53c54"
	for _, tt := range []struct {
		name, old, new string
		line           int
		want           string
	}{
		{"format", "safebox-lock/1", "safebox-lock/2", 3, `format: got "safebox-lock/2", want "safebox-lock/1"`},
		{"no format", "format safebox-lock/1\n", "", 3, `got "epoch 1767225600", want "format" and 1 value(s)`},
		{"epoch", "1767225600", "-1", 4, `epoch: got "-1"`},
		{"epoch with zero", "1767225600", "01767225600", 4, "epoch"},
		{"go", "go 1.26.8", "go 1.26", 5, `go: got "1.26"`},
		{"toolchain of another go", "go 1.26.8\n", "go 1.26.7\n", 6, `want "golang.org/toolchain@v0.0.1-go1.26.7.linux-amd64"`},
		{"toolchain hash", "h1:ZOmG", "h2:ZOmG", 6, "toolchain: hash"},
		{"toolchain hash bits", "nis1RXM=", "nis1RXN=", 6, "toolchain: hash"},
		{"unknown line", "\npackage linux", "\nmirror x\npackage linux", 8, `got "mirror x"`},
		{"header twice", "\npackage linux", "\nepoch 1\npackage linux", 8, `got "epoch 1"`},
		{"two blanks", "go 1.26.8", "go  1.26.8", 5, "field 2 is empty"},
		{"blank at the end", "go 1.26.8", "go 1.26.8 ", 5, "field 3 is empty"},
		{"tab", "go 1.26.8", "go\t1.26.8", 5, "column 3: got byte 0x09"},
		{"carriage return", "go 1.26.8\n", "go 1.26.8\r\n", 5, "column 10: got byte 0x0d"},
		{"comment behind", "go 1.26.8", "go 1.26.8 # x", 5, `want "go" and 1 value(s)`},
		{"name", "package linux-image-9", "package Linux-image-9", 8, "package: got"},
		{"version", " 9.9.9-1 amd64", " 9.9.9_1 amd64", 8, "package: got"},
		{"architecture", " amd64 872", " AMD64 872", 8, "package: got"},
		{"size", " amd64 872", " amd64 0", 8, `size: got "0"`},
		{"size with sign", " amd64 872", " amd64 +872", 8, `size: got "+872"`},
		{"digest case", digest, strings.ToUpper(digest), 8, "sha256: got"},
		{"digest length", digest, digest[1:], 8, "sha256: got"},
		{"digest too long", digest, digest + "00", 8, "sha256: got"},
		{"digest not hex", digest, "g" + digest[1:], 8, "sha256: got"},
		{"pool leads out", "pool/main/l/linux", "pool/main/../linux", 8, "pool path: got"},
		{"pool absolute", "pool/main/l/linux", "/pool/main/l/linux", 8, "pool path: got"},
		{"pool elsewhere", "pool/main/l/linux", "dists/main/l/linux", 8, "pool path: got"},
		{"pool of another version", "9.9.9-1_amd64.deb", "9.9.8-1_amd64.deb", 8, "want pool/.../linux-image-9.9.9+deb99-cloud-amd64_9.9.9-1_amd64.deb"},
		{"pool query", "pool/main/l/linux", "pool/main?/l/linux", 8, "pool path: got"},
		{"missing field", " 872 ", " ", 8, "want \"package NAME"},
		{"role", "file kernel", "file initrd", 9, `role: got "initrd"`},
		{"role twice", "file module usr/lib/modules", "file kernel usr/lib/modules", 10, "role kernel: given twice, first on line 9"},
		{"file leads out", "file kernel boot/", "file kernel boot/../../", 9, "file: got path"},
		{"file absolute", "file kernel boot/", "file kernel /boot/", 9, "file: got path"},
		{"one blank of indent", "  file kernel", " file kernel", 9, "field 1 is empty"},
		{"no indent", "  file kernel", "file kernel", 9, `got "file kernel`},
		{"package without files", "\npackage small-boot", "\npackage linux-image-9.9.9+deb99-cloud-amd64", 12, "given twice, first on line 8"},
		{"truncated", "528346\n", "528346", 13, "line has no end: truncated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(text, tt.old) {
				t.Fatalf("fixture lacks %q", tt.old)
			}
			_, err := Parse([]byte(strings.Replace(text, tt.old, tt.new, 1)))
			var at *ParseError
			if !errors.As(err, &at) || at.Line != tt.line || !strings.Contains(at.Err.Error(), tt.want) {
				t.Errorf("got %v, want line %d: ... %q", err, tt.line, tt.want)
			}
		})
	}
}

func TestParseIncomplete(t *testing.T) {
	lines := strings.SplitAfter(string(load(t, oldLock)), "\n")
	for n, want := range map[int]string{
		0:  `lock ends, want a line "format"`,
		5:  `lock ends, want a line "toolchain"`,
		7:  "lock ends, want at least one package",
		8:  "package linux-image-9.9.9+deb99-cloud-amd64: no file line below it",
		12: "package small-boot: no file line below it",
	} {
		_, err := Parse([]byte(strings.Join(lines[:n], "")))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d lines: got %v, want %q", n, err, want)
		}
	}
	twice := strings.Join(lines, "") + lines[12]
	if _, err := Parse([]byte(twice)); err == nil || !strings.Contains(err.Error(), "line 14: role stub: given twice") {
		t.Errorf("got %v", err)
	}
	if _, err := Parse(bytes.Repeat([]byte("#\n"), maxText)); err == nil || !strings.Contains(err.Error(), "limit is") {
		t.Errorf("too long: got %v", err)
	}
	if _, err := Parse([]byte("#" + strings.Repeat("x", maxLine) + "\n")); err == nil || !strings.Contains(err.Error(), "limit is") {
		t.Errorf("line too long: got %v", err)
	}
}

func TestReadFileNamesThePlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "safebox.lock")
	if err := os.WriteFile(name, []byte("format safebox-lock/1\nepoch x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(name); err == nil || !strings.HasPrefix(err.Error(), name+":2: epoch: got") {
		t.Errorf("got %v, want %s:2: ...", err, name)
	}
	if _, err := ReadFile("/dev/zero"); err == nil || !strings.Contains(err.Error(), "want a file of at most") {
		t.Errorf("device: got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{oldLock, newSource, "../safebox.lock"} {
		f.Add(load(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			var at *ParseError
			if !errors.As(err, &at) || at.Line < 1 {
				t.Fatalf("error without a line: %v", err)
			}
			return
		}
		again, err := Parse(l.Encode())
		if err != nil {
			t.Fatalf("encoding does not parse: %v", err)
		}
		if diff := cmp.Diff(l, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
