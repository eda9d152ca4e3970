package initrd

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"

	"safebox/initrd/layout"
)

// sample is an archive as the builder makes it, with contents made up here.
func sample(t testing.TB) []byte {
	t.Helper()
	b, err := Archive(layout.Distro, []byte("the init"), []Module{
		{Name: "failover", Data: []byte("first module")},
		{Name: "virtio_net", Data: []byte("2nd")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestArchiveListing lets GNU cpio read our archive. The listing was written
// by hand from image.md section 3 and package layout.
func TestArchiveListing(t *testing.T) {
	const want = `drwxr-xr-x   2 0        0               0 Jan  1  1970 dev
-r-xr-xr-x   1 0        0               8 Jan  1  1970 init
drwxr-xr-x   2 0        0               0 Jan  1  1970 modules
-r--r--r--   1 0        0              12 Jan  1  1970 modules/00-failover.ko
-r--r--r--   1 0        0               3 Jan  1  1970 modules/01-virtio_net.ko
drwxr-xr-x   2 0        0               0 Jan  1  1970 proc
drwxr-xr-x   2 0        0               0 Jan  1  1970 run
drwxr-xr-x   2 0        0               0 Jan  1  1970 sys
drwxr-xr-x   2 0        0               0 Jan  1  1970 tmp
`
	if diff := cmp.Diff(want, gnuList(t, sample(t), "-tv")); diff != "" {
		t.Errorf("cpio -itv (-want +got):\n%s", diff)
	}
}

func gnuList(t *testing.T, archive []byte, flag string) string {
	t.Helper()
	tool, err := exec.LookPath("cpio")
	if err != nil {
		t.Fatalf("GNU cpio: %v; run ci/setup", err)
	}
	cmd := exec.Command(tool, "-i", flag, "--quiet", "--numeric-uid-gid")
	cmd.Env = []string{"TZ=UTC", "LC_ALL=C"}
	cmd.Stdin = bytes.NewReader(archive)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() != 0 {
		t.Fatalf("cpio: %v: %s", err, stderr.String())
	}
	return string(out)
}

// TestArchiveFields checks the header fields that no listing shows, with
// u-root's reader.
func TestArchiveFields(t *testing.T) {
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(sample(t))))
	if err != nil {
		t.Fatal(err)
	}
	var got []cpio.Info
	for _, r := range records {
		got = append(got, r.Info)
	}
	dir := func(ino uint64, name string) cpio.Info {
		return cpio.Info{Ino: ino, Name: name, Mode: 0o40755, NLink: 2}
	}
	want := []cpio.Info{
		dir(1, "dev"),
		{Ino: 2, Name: "init", Mode: 0o100555, NLink: 1, FileSize: 8},
		dir(3, "modules"),
		{Ino: 4, Name: "modules/00-failover.ko", Mode: 0o100444, NLink: 1, FileSize: 12},
		{Ino: 5, Name: "modules/01-virtio_net.ko", Mode: 0o100444, NLink: 1, FileSize: 3},
		dir(6, "proc"), dir(7, "run"), dir(8, "sys"), dir(9, "tmp"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

// TestDecodeAgreesWithURoot compares our reader with u-root's, field by field.
func TestDecodeAgreesWithURoot(t *testing.T) {
	gnu, err := os.ReadFile("testdata/gnu.cpio")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"ours": sample(t), "GNU cpio": gnu} {
		t.Run(name, func(t *testing.T) {
			records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(b)))
			if err != nil {
				t.Fatal(err)
			}
			var want []Entry
			for _, r := range records {
				data, err := io.ReadAll(io.NewSectionReader(r.ReaderAt, 0, int64(r.FileSize)))
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, Entry{
					Name: r.Name, Ino: uint32(r.Ino), Mode: uint32(r.Mode), UID: uint32(r.UID), GID: uint32(r.GID),
					NLink: uint32(r.NLink), MTime: uint32(r.MTime), DevMajor: uint32(r.Major), DevMinor: uint32(r.Minor),
					RdevMajor: uint32(r.Rmajor), RdevMinor: uint32(r.Rminor), Data: data,
				})
			}
			got, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Decode (-u-root +ours):\n%s", diff)
			}
		})
	}
}

func TestArchiveIsRepeatable(t *testing.T) {
	if !bytes.Equal(sample(t), sample(t)) {
		t.Error("two archives of the same contents differ")
	}
}

func TestArchiveErrors(t *testing.T) {
	init, ko := []byte("x"), []byte("y")
	tests := map[string]struct {
		init    []byte
		modules []Module
		want    string
	}{
		"no init":         {nil, nil, "writing initrd: init: size: got 0, want 1 to 134217728"},
		"empty module":    {init, []Module{{Name: "a"}}, "writing initrd: modules/00-a.ko: size: got 0, want 1 to 16777216"},
		"bad module name": {init, []Module{{"../a", ko}}, `writing initrd: naming module: "../a" is not a module name`},
		"module twice":    {init, []Module{{"a", ko}, {"a", ko}}, `writing initrd: module "a" is there twice`},
		"too many":        {init, make101(), `writing initrd: naming module "m": position 100, want 0 to 99`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Archive(layout.Distro, tt.init, tt.modules)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// make101 has one module more than file names can count.
func make101() []Module {
	list := make([]Module, 101)
	for i := range list {
		list[i] = Module{Name: "m" + strings.Repeat("m", i%50) + strings.Repeat("n", i/50), Data: []byte("y")}
	}
	list[100].Name = "m"
	list[0].Name = "first"
	return list
}
