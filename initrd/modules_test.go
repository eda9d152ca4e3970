package initrd

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/initrd/layout"
)

const debianRelease = "6.12.107+deb13-cloud-amd64"

// debianModules is what the lock lists for layout.Modules.
func debianModules(t testing.TB) map[string][]byte {
	dir := "usr/lib/modules/" + debianRelease + "/kernel/"
	return map[string][]byte{
		dir + "drivers/net/virtio_net.ko.xz":   readTestdata(t, "virtio_net.ko.xz"),
		dir + "drivers/net/net_failover.ko.xz": readTestdata(t, "net_failover.ko.xz"),
		dir + "net/core/failover.ko.xz":        readTestdata(t, "failover.ko.xz"),
	}
}

// TestLoadOrderDebian expects the order that the dependencies which modinfo
// prints leave no choice in, and the bytes that xz -dc makes of the files (both
// in testdata/README.md).
func TestLoadOrderDebian(t *testing.T) {
	got, err := LoadOrder(debianRelease, layout.Modules(layout.Distro), debianModules(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ name, sum string }{
		{"failover", "6c767118072d75540f0f9f03309c7dca69e07a881b3ae7da19ba2d5a59e2950d"},
		{"net_failover", "9297671a356d9583ca6482332df465c3d7e85e27882338783651f76719f14edf"},
		{"virtio_net", "a01b6da24399a21689be2c3cd82fc8808e1ed2c95775af6dac15092737c193b6"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d modules, want %d", len(got), len(want))
	}
	for i, w := range want {
		sum := sha256.Sum256(got[i].Data)
		if got[i].Name != w.name || hex.EncodeToString(sum[:]) != w.sum {
			t.Errorf("module %d: got %s %x, want %s %s", i, got[i].Name, sum, w.name, w.sum)
		}
	}
}

// TestOpenModuleDebian expects what modinfo prints, see testdata/README.md.
func TestOpenModuleDebian(t *testing.T) {
	const vermagic = debianRelease + " SMP preempt mod_unload modversions "
	want := map[string]moduleInfo{
		"virtio_net.ko.xz":   {name: "virtio_net", depends: []string{"net_failover"}, vermagic: vermagic},
		"net_failover.ko.xz": {name: "net_failover", depends: []string{"failover"}, vermagic: vermagic},
		"failover.ko.xz":     {name: "failover", vermagic: vermagic},
	}
	for file, w := range want {
		_, got, err := openModule(file, readTestdata(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, got, cmp.AllowUnexported(moduleInfo{})); diff != "" {
			t.Errorf("%s (-modinfo +got):\n%s", file, diff)
		}
	}
}

// fakeModule is an ELF object with section .modinfo and a signature of one
// byte, enough for everything but the kernel.
func fakeModule(modinfo string) []byte {
	names := "\x00.modinfo\x00.shstrtab\x00"
	var b bytes.Buffer
	hdr := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2,
		Shoff: 64 + uint64(len(modinfo)+len(names)),
	}
	copy(hdr.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(modinfo)), Addralign: 1},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: 64 + uint64(len(modinfo)), Size: uint64(len(names)), Addralign: 1},
	}
	for _, part := range []any{hdr, []byte(modinfo + names), sections} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	b.WriteString("S\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01" + signatureMarker)
	return b.Bytes()
}

func fake(name, depends string) []byte {
	return fakeModule("license=GPL\x00\x00depends=" + depends + "\x00name=" + name + "\x00vermagic=1.0 SMP \x00")
}

func TestLoadOrder(t *testing.T) {
	tests := map[string]struct {
		roots     []string
		available map[string][]byte
		want      string
		err       string
	}{
		"diamond":         {roots: []string{"a"}, available: map[string][]byte{"a.ko": fake("a", "c,b"), "b.ko": fake("b", "d"), "c.ko": fake("c", "d"), "d.ko": fake("d", "")}, want: "d c b a"},
		"roots in order":  {roots: []string{"z", "a"}, available: map[string][]byte{"a.ko": fake("a", ""), "z.ko": fake("z", "")}, want: "z a"},
		"root twice":      {roots: []string{"a", "a"}, available: map[string][]byte{"a.ko": fake("a", "")}, want: "a"},
		"dashes":          {roots: []string{"tdx-guest"}, available: map[string][]byte{"x/tdx-guest.ko": fake("tdx_guest", "crc-itu-t"), "x/crc-itu-t.ko": fake("crc_itu_t", "")}, want: "crc_itu_t tdx_guest"},
		"nothing":         {},
		"missing root":    {roots: []string{"a"}, err: "module a: not available"},
		"missing":         {roots: []string{"a"}, available: map[string][]byte{"a.ko": fake("a", "b")}, err: "module b: not available, needed by a"},
		"cycle":           {roots: []string{"a"}, available: map[string][]byte{"a.ko": fake("a", "b"), "b.ko": fake("b", "c"), "c.ko": fake("c", "b")}, err: "modules depend on each other: a -> b -> c -> b"},
		"itself":          {roots: []string{"a"}, available: map[string][]byte{"a.ko": fake("a", "a")}, err: "modules depend on each other: a -> a"},
		"superfluous":     {roots: []string{"a"}, available: map[string][]byte{"a.ko": fake("a", ""), "x/b.ko": fake("b", "")}, err: "module b: x/b.ko is not needed by any module asked for"},
		"name":            {roots: []string{"a"}, available: map[string][]byte{"b.ko": fake("a", "")}, err: `b.ko: .modinfo: name: got "a", want "b" as the file is called`},
		"twice":           {roots: []string{"a"}, available: map[string][]byte{"a.ko": fake("a", ""), "x/a.ko": fake("a", "")}, err: "x/a.ko: module a: already in a.ko"},
		"other release":   {roots: []string{"a"}, available: map[string][]byte{"a.ko": fakeModule("depends=\x00name=a\x00vermagic=1.1 SMP \x00")}, err: `a.ko: kernel release: got "1.1", want "1.0"`},
		"other vermagic":  {roots: []string{"a"}, available: map[string][]byte{"a.ko": fake("a", ""), "b.ko": fakeModule("depends=\x00name=b\x00vermagic=1.0 \x00")}, err: `b.ko: vermagic: got "1.0 ", want "1.0 SMP " as in the other modules`},
		"no vermagic":     {roots: []string{"a"}, available: map[string][]byte{"a.ko": fakeModule("depends=\x00name=a\x00")}, err: "a.ko: .modinfo: got no vermagic, want one"},
		"name twice":      {roots: []string{"a"}, available: map[string][]byte{"a.ko": fakeModule("depends=\x00name=a\x00name=a\x00vermagic=1.0\x00")}, err: "a.ko: .modinfo: name is there twice"},
		"no value":        {roots: []string{"a"}, available: map[string][]byte{"a.ko": fakeModule("depends\x00")}, err: `a.ko: .modinfo: got "depends", want key=value`},
		"no NUL":          {roots: []string{"a"}, available: map[string][]byte{"a.ko": fakeModule("depends=")}, err: "a.ko: .modinfo: got no NUL at the end, want one"},
		"no signature":    {roots: []string{"a"}, available: map[string][]byte{"a.ko": bytes.TrimSuffix(fake("a", ""), []byte("\n"))}, err: "a.ko: signature: got none, want one at the end of the module"},
		"other signature": {roots: []string{"a"}, available: map[string][]byte{"a.ko": bytes.Replace(fake("a", ""), []byte("S\x00\x00\x02"), []byte("S\x00\x00\x01"), 1)}, err: "a.ko: signature: got header 0000010000000000, want 0000020000000000 (PKCS #7)"},
		"empty":           {roots: []string{"a"}, available: map[string][]byte{"a.ko": nil}, err: "a.ko: size: got 0, want 1 to 16777216"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			modules, err := LoadOrder("1.0", tt.roots, tt.available)
			if tt.err != "" {
				if err == nil || err.Error() != "ordering kernel modules: "+tt.err {
					t.Errorf("got %v, want ordering kernel modules: %s", err, tt.err)
				}
				return
			}
			var names []string
			for _, m := range modules {
				names = append(names, m.Name)
			}
			if got := strings.Join(names, " "); err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestExpandModuleErrors(t *testing.T) {
	good := readTestdata(t, "failover.ko.xz")
	set := func(pos int, v byte) []byte {
		b := bytes.Clone(good)
		b[pos] = v
		return b
	}
	tests := map[string]struct {
		b    []byte
		want string
	}{
		// Positions in the file: 12 block header size (04: 20 bytes), 13 flags
		// (c0), then two sizes (eb 24, af b2 01), 21 01 and the dictionary.
		"header past the end": {good[:16], "size: got 20, want at most 4"},
		"two filters":         {set(13, 0xc1), "flags: got 0xc1"},
		"huge dictionary":     {set(bytes.Index(good, []byte(xzFilterLZMA2))+2, 40), "dictionary size code of at most 28"},
		"cut":                 {good[:len(good)-1], "xz: "},
		"bit in content":      {set(200, good[200]^1), "xz: "},
		"trailing":            {append(bytes.Clone(good), 0), "xz: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := expandModule(tt.b); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// FuzzOpenModule starts from the decompressed module too, or no mutation would
// survive the checksums of xz.
func FuzzOpenModule(f *testing.F) {
	packed := readTestdata(f, "failover.ko.xz")
	ko, err := expandModule(packed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(ko)
	f.Add(fake("failover", "a,b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, info, err := openModule("failover.ko", b)
		if err == nil && info.name != "failover" {
			t.Errorf("accepted name %q", info.name)
		}
	})
}
