package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
	"safebox/measure/eventlog"
	"safebox/measure/tpm/varstore"
)

// bootCase is a real boot of testdata/boots, as its case.txt tells.
type bootCase struct {
	name     string
	boot     Boot
	stub     string
	firmware string
	vars     string
	load     string // QEMU's -append
	signed   bool
	sections [][2]string // name, input
}

// bootCases reads all of testdata/boots.
func bootCases(t testing.TB) []bootCase {
	t.Helper()
	files, err := filepath.Glob("testdata/boots/*/case.txt")
	if err != nil {
		t.Fatal(err)
	}
	if want := 26; len(files) != want {
		t.Fatalf("testdata/boots: got %d boots, want %d", len(files), want)
	}
	var list []bootCase
	for _, f := range files {
		c := bootCase{name: filepath.Base(filepath.Dir(f))}
		for line := range strings.Lines(string(readFile(t, f))) {
			c.parse(t, strings.TrimSuffix(line, "\n"))
		}
		list = append(list, c)
	}
	return list
}

func (c *bootCase) parse(t testing.TB, line string) {
	t.Helper()
	key, value, _ := strings.Cut(line, " ")
	switch key {
	case "boot":
		boot, err := ParseBoot(value)
		if err != nil {
			t.Fatal(err)
		}
		c.boot = boot
	case "stub":
		c.stub = value
	case "firmware":
		c.firmware = value
	case "vars":
		c.vars = value
	case "append":
		c.load = value
	case "sign":
		c.signed = true
	case "section":
		name, input, _ := strings.Cut(value, " ")
		c.sections = append(c.sections, [2]string{name, input})
	case "disk": // whether firmware could write to it: shows in one boot only
	default:
		t.Fatalf("%s: no key %q", c.name, key)
	}
}

// pinned takes a file out of a pinned package: one of the lock's, or another
// file of the same package.
func pinned(t testing.TB, role lock.Role, other *lock.File) []byte {
	t.Helper()
	name := fmt.Sprintf("role %v", role)
	if other != nil {
		name = other.Path
	}
	return unpackOnce(t, name, func() []byte { return readPinned(t, role, other) })
}

func readPinned(t testing.TB, role lock.Role, other *lock.File) []byte {
	t.Helper()
	root := filepath.Join("..", "..")
	r, err := locktest.Resolver(root)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.ReadFile(filepath.Join(root, "image", "safebox.lock"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.File(role)
	if err != nil {
		t.Fatal(err)
	}
	if other != nil {
		in.Package.Files = append(slices.Clone(in.Package.Files), *other)
		in.File = *other
	}
	b, err := r.File(t.Context(), in.Package, in.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkSum(t testing.TB, name string, b []byte, want string) []byte {
	t.Helper()
	if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != want {
		t.Fatalf("%s: got SHA-256 %x, want %s, as it was booted (testdata/README.md)", name, got, want)
	}
	return b
}

// bootFile is a file of ovmf 2025.02-8+deb13u1 beside the lock's own.
func bootFile(t testing.TB, name string, size int64, sum string) []byte {
	t.Helper()
	return pinned(t, lock.FirmwareCode, &lock.File{
		Role: lock.FirmwareCode, Path: "usr/share/OVMF/" + name, Size: size, SHA256: lock.Digest(unhex(t, sum)),
	})
}

// bootInputs holds the large files that boots share.
type bootInputs struct {
	kernel   []byte
	stubs    map[string][]byte
	firmware map[string][]byte
	vars     map[string][]byte
}

func readBootInputs(t testing.TB) *bootInputs {
	t.Helper()
	in := &bootInputs{
		kernel: checkSum(t, "kernel", pinned(t, lock.Kernel, nil), "d1bc2c60a78ae6979736d081bc3c90e45ace6baf414f767dff588e319d3492bd"),
		stubs: map[string][]byte{
			"257": checkSum(t, "stub 257", stub(t), "9c623743834bb904a3cb941092cffc958c31230263ce896d332a75e9ec48aa85"),
			"262": checkSum(t, "stub 262", unxz(t, "testdata/boots/inputs/linuxx64-262.efi.stub.xz"), "a1fe0fdfed2d8e6bab785af727fe08a0bee8027b476ac7fa0e76a9e3f485e92b"),
		},
		firmware: map[string][]byte{
			"OVMF_CODE_4M.fd": realFirmware(t),
			"OVMF_CODE_4M.secboot.fd": bootFile(t, "OVMF_CODE_4M.secboot.fd", 3653632,
				"1a46295574430cfb7f825ee3e4dc64b052acbef08e310377ed7c64cb757a9dc1"),
		},
		vars: map[string][]byte{
			"OVMF_VARS_4M.fd": checkSum(t, "variables", pinned(t, lock.FirmwareVars, nil),
				"5d2ac383371b408398accee7ec27c8c09ea5b74a0de0ceea6513388b15be5d1e"),
			"OVMF_VARS_4M.snakeoil.fd": bootFile(t, "OVMF_VARS_4M.snakeoil.fd", 540672, "e875a265aabb3fa97d34583ed3ab70a898062dbde42e374c42d37686e90be8d4"),
		},
	}
	for _, name := range []string{"ca.fd", "leaf.fd", "hash.fd", "disabled.fd"} {
		in.vars[name] = unxz(t, "testdata/boots/inputs/"+name+".xz")
	}
	return in
}

// input puts together what the case was booted from.
func (in *bootInputs) input(t testing.TB, c bootCase) Input {
	t.Helper()
	out := Input{Boot: c.boot, UKI: in.uki(t, c), Firmware: in.firmware[c.firmware], VCPUs: 2, Memory: 1 << 30}
	if strings.HasPrefix(c.load, "@") {
		if _, err := fmt.Sscanf(c.load, "@%d", &out.Profile); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(c.firmware, "secboot") {
		store, err := varstore.Decode(in.vars[c.vars])
		if err != nil {
			t.Fatal(err)
		}
		if out.SecureBoot, err = NewSecureBoot(store); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func (in *bootInputs) uki(t testing.TB, c bootCase) []byte {
	t.Helper()
	var list []part
	for _, s := range c.sections {
		content := in.kernel
		switch s[1] {
		case "kernel":
		case "initrd.cpio":
			content = readFile(t, "testdata/osrel/initrd.cpio")
		default:
			content = readFile(t, "testdata/boots/inputs/"+s[1])
		}
		list = append(list, part{s[0], content})
	}
	unified := assemble(in.stubs[c.stub], list)
	if c.signed {
		return attach(unified, readFile(t, "testdata/boots/"+c.name+"/signature.bin"))
	}
	return unified
}

// attach adds an attribute certificate table (PE Format, "The Attribute
// Certificate Table").
func attach(image, table []byte) []byte {
	le := binary.LittleEndian
	b := append(bytes.Clone(image), make([]byte, -len(image)&7)...)
	directory := int(le.Uint32(b[0x3c:])) + 24 + 112 + 4*8
	le.PutUint32(b[directory:], uint32(len(b)))
	le.PutUint32(b[directory+4:], uint32(len(table)))
	return append(b, table...)
}

// bootLog reads the log of a case and checks that it replays to the registers
// that the TPM returned.
func bootLog(t testing.TB, name string) (*eventlog.Log, map[Bank][eventlog.PCRs][]byte) {
	t.Helper()
	log, err := eventlog.Decode(readFile(t, "testdata/boots/"+name+"/evlog.bin"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	all := map[Bank][eventlog.PCRs][]byte{}
	for _, bank := range banks() {
		all[bank] = readRegisters(t, "testdata/boots/"+name+"/pcrs.txt", bank)
		replayed, err := log.Replay(Algorithm(bank))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range replayed {
			if i != 10 && !bytes.Equal(replayed[i], all[bank][i]) { // the kernel's IMA extends 10 later
				t.Fatalf("%s: %v PCR %d: the log replays to %x, the TPM had %x", name, bank, i, replayed[i], all[bank][i])
			}
		}
	}
	return log, all
}

// openOnce returns a firmware that it takes apart the first time: unpacking its
// DXE volume takes longer than predicting. TestFirmwareRegistersOfRealBoots and
// TestBootsAreToldApart go the whole way.
func openOnce(t testing.TB, code []byte) *firmware {
	t.Helper()
	name := sha256.Sum256(code)
	fw, ok := opened.Load(name)
	if !ok {
		var err error
		if fw, err = openFirmware(code); err != nil {
			t.Fatal(err)
		}
		opened.Store(name, fw)
	}
	return fw.(*firmware)
}

// opened holds firmware that was taken apart, by the SHA-256 of its file.
var opened sync.Map

// predictCase predicts a boot with the partition table of its log, whose disk
// is too large to keep. Each bank's prediction has the bank's index in banks.
func predictCase(t testing.TB, in Input, log *eventlog.Log) []*Prediction {
	t.Helper()
	b, err := in.bootWith(openOnce(t, in.Firmware))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log.Events {
		if e.Type == eventlog.EFIGPTEvent {
			b.gpt = e.Data
		}
	}
	var list []*Prediction
	for _, bank := range banks() {
		list = append(list, b.predict(bank))
	}
	return list
}
