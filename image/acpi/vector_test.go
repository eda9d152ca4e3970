package acpi

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/tdx"
	"safebox/measure/vectortest"
)

const testdata = "../../measure/testdata"

// vector is an entry of measure/testdata/qemu-acpi/vectors.json.
type vector struct {
	Args     string            `json:"args"`
	Dir      string            `json:"dir"`
	Aperture string            `json:"aperture_base"`
	Expected map[string]string `json:"expected"`
	Negative map[string]string `json:"negative"`
}

func qemu(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	return path
}

// commonArgs are the vectors' common_args without the accelerator, which Read
// adds.
func commonArgs(t testing.TB) []string {
	t.Helper()
	var common struct {
		Args string `json:"common_args"`
	}
	if err := json.Unmarshal(vectortest.File(t, os.DirFS(testdata), "qemu-acpi/vectors.json"), &common); err != nil {
		t.Fatal(err)
	}
	args, ok := strings.CutSuffix(common.Args, " -accel tcg")
	if !ok {
		t.Fatalf("common_args: got %q", common.Args)
	}
	return strings.Fields(args)
}

func sha384(b []byte) string {
	d := sha512.Sum384(b)
	return hex.EncodeToString(d[:])
}

func ask10(t *testing.T, args []string, o Options) *Answer {
	t.Helper()
	a, err := Read(context.Background(), qemu(t), args, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func compare(t *testing.T, a *tdx.ACPI, want map[string]string) {
	t.Helper()
	for name, b := range map[string][]byte{loaderFile: a.Loader, rsdpFile: a.RSDP, tablesFile: a.Tables} {
		if want[name] == "" {
			t.Fatalf("no digest of %s to compare", name)
		}
		if got := sha384(b); got != want[name] {
			t.Errorf("%s: got %s, want %s (of QEMU 10.0.2)", name, got, want[name])
		}
	}
}

// TestVectors asks the installed QEMU for what the vectors' author got, and
// compared with a live boot of OVMF.
func TestVectors(t *testing.T) {
	vectortest.Each(t, os.DirFS(testdata), "image/acpi", func(t *testing.T, v vectortest.Vector) {
		var want vector
		v.Decode(t, &want)
		if want.Expected["bootorder"] != "" {
			testBootOrder(t, want)
			return
		}
		args := append(commonArgs(t), strings.Fields(want.Args)...)
		o := Options{}
		if want.Aperture != "" {
			base, err := strconv.ParseUint(strings.TrimPrefix(want.Aperture, "0x"), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			o.Aperture = base
		}
		a := ask10(t, args, o)
		compare(t, &a.ACPI, want.Expected)
		for name, got := range map[string][]byte{loaderName: a.ACPI.Loader, rsdpName: a.ACPI.RSDP, tablesName: a.ACPI.Tables} {
			if !bytes.Equal(got, v.File(t, want.Dir+"/"+name)) {
				t.Errorf("%s differs from the vector's file", name)
			}
		}
		if a.QEMU.Major < MinQEMU || a.QEMU.Text == "" {
			t.Errorf("version: got %+v", a.QEMU)
		}
		if want.Negative != nil {
			testUnprogrammed(t, args, want.Negative["etc/acpi/tables without BAR programming"])
		}
	})
}

// testUnprogrammed leaves out the step that the vector's negative left out.
func testUnprogrammed(t *testing.T, args []string, want string) {
	ctx, cancel := context.WithTimeout(context.Background(), readTime)
	defer cancel()
	p, err := start(ctx, qemu(t), args)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.stop() }() // killed: an error by intent
	q := newQtest(p.conn)
	if err := (pci{q}).chipset(); err != nil {
		t.Fatal(err)
	}
	f, err := openFwCfg(q)
	if err != nil {
		t.Fatal(err)
	}
	b, ok, err := f.file(tablesFile)
	if err != nil || !ok {
		t.Fatalf("got %v, %v", ok, err)
	}
	if got := sha384(b); got != want {
		t.Errorf("without BAR programming: got %s, want %s", got, want)
	}
}

// testBootOrder reads what the firmware reads with -kernel, "any of the above"
// machines.
func testBootOrder(t *testing.T, want vector) {
	args := append(commonArgs(t), strings.Fields("-machine q35,hpet=off,smm=off,pic=off -m 2G -smp 4 -cpu qemu64")...)
	plain, direct := ask10(t, args, Options{}), ask10(t, append(args, "-kernel", kernel(t)), Options{})
	if len(plain.Files) != 0 {
		t.Errorf("without a kernel: got files %q, want none", plain.Files)
	}
	if diff := cmp.Diff(plain.ACPI, direct.ACPI); diff != "" {
		t.Errorf("a kernel changes the tables (-without +with):\n%s", diff)
	}
	got := direct.Files["bootorder"]
	if string(got) != strings.ReplaceAll(want.Expected["bootorder_bytes"], `\0`, "\x00") || sha384(got) != want.Expected["bootorder"] {
		t.Errorf("bootorder: got %q, want %q", got, want.Expected["bootorder_bytes"])
	}
}

// kernel makes a file that QEMU takes for a Linux kernel: the setup header
// (Linux, Documentation/arch/x86/boot.rst) and nothing behind it.
func kernel(t *testing.T) string {
	t.Helper()
	b := make([]byte, 64<<10)
	b[0x1f1] = 4 // setup sectors
	copy(b[0x1fe:], "\x55\xaa")
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x206:], 0x20c)
	b[0x211] = 1 // loaded high
	path := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLiveBoots compares with what stood in fw_cfg after Debian's OVMF
// 2025.02-8+deb13u1 (CODE_4M, VARS_4M) had booted on the same machine under QEMU
// 10.0.2 (TCG), read by a Python program through -qtest.
func TestLiveBoots(t *testing.T) {
	for _, tt := range liveBoots(t) {
		t.Run(tt.name, func(t *testing.T) {
			a := ask10(t, tt.args, Options{Aperture: tt.aperture})
			compare(t, &a.ACPI, tt.want)
		})
	}
}

type liveBoot struct {
	name     string
	args     []string
	aperture uint64
	want     map[string]string
}

func liveBoots(t *testing.T) []liveBoot {
	t.Helper()
	disk := strings.Fields("-netdev user,id=net,restrict=on -device virtio-net-pci,netdev=net,disable-legacy=on,romfile=" +
		" -blockdev driver=null-co,node-name=disk,size=1048576 -device virtio-blk-pci,drive=disk,disable-legacy=on,romfile=")
	ours := func(vcpus int, memory uint64) []string {
		args, err := MachineArgs(vcpus, memory, disk...)
		if err != nil {
			t.Fatal(err)
		}
		return args
	}
	high := func(physBits int) uint64 {
		base, err := Aperture(physBits)
		if err != nil {
			t.Fatal(err)
		}
		return base
	}
	return []liveBoot{
		{
			// BARs of 64 MiB and 16 KiB, one of them not prefetchable (nvme).
			name: "BARs of several sizes",
			args: strings.Fields("-nodefaults -no-user-config -display none -machine q35,smm=off,pic=off -m 4G -smp 2" +
				" -cpu Skylake-Server,phys-bits=46 -object memory-backend-ram,id=hm,size=64M,share=on" +
				" -device virtio-scsi-pci,disable-legacy=on -device ivshmem-plain,memdev=hm -device nvme,serial=x" +
				" -device virtio-rng-pci,disable-legacy=on,romfile="),
			aperture: high(46),
			want: map[string]string{
				rsdpFile:   "852c315bc3187ff1f6daa141491edb32723e1f5890c6ba11f9f3659ffdc50f15f0811e6d23f634a5b69f0812611c8006",
				tablesFile: "a4f68c953ebfffd15d65aac3d968ed481668a024e20ba1966ae8b2db643d7825baa5c4c94f5a1285b87ea5ea58c3dd55",
				loaderFile: "260c779f8e7fb33107f58969211c0a863a0616dbad50221758741a9a635db19b2a2ea94fef7f9197d2903a1587d93fe2",
			},
		},
		{
			name:     "ours, 42 bits", // booted with -cpu Skylake-Server,phys-bits=42
			args:     append(ours(4, 8<<30), "-cpu", "Skylake-Server,phys-bits=42"),
			aperture: high(42),
			want: map[string]string{
				rsdpFile:   "f25016e3654d12787011781d85e74f129ffa9783687c3d1f330536299e227103731f39018e5eb85e6d54b674dae2c494",
				tablesFile: "051b9424236ebe25605601ef1ca832013f134876303da80596cfef67bff0c0e477fc62ef7bfc4b484a7a6564239dfa47",
				loaderFile: "72472e094cfc0b290a808348597bedfc15cb86d3a42245cb06e5749fadbf60358e5164606a4ac01d8c8bad48a72926b4",
			},
		},
		{
			// Booted with -cpu max, which is AMD's with 40 bits: QEMU reserves
			// 0xfd00000000, and OVMF put the BARs at 0xc000000000. The processor
			// itself is in no table.
			name:     "ours, 40 bits of AMD",
			args:     ours(2, 1<<30),
			aperture: 0xc000000000,
			want: map[string]string{
				rsdpFile:   "5b46f0493d8e7bb65d776f08c13eaeae6c997b2b98a04bce98f714b9ce04f3359a6467153bb025f4e97d522867f226f9",
				tablesFile: "0cbc933a60638debe3f5b3743998b02b1fda2fdb87750713047e47a9599bb5d9169bf1402afb672354f2faf86e322864",
				loaderFile: "35104beebda551089052f8e0ad8bf133ee8c6f46719a669016afd231831c32d03bb97c6c6f7f3c8e551ceb69475f2863",
			},
		},
	}
}
