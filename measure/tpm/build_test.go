package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ulikunitz/xz"

	"safebox/measure/eventlog"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpacked holds the large files that were unpacked, by name: unpacking takes
// longer than predicting.
var unpacked sync.Map

// unpackOnce returns a copy of a file that it unpacks the first time.
func unpackOnce(t testing.TB, name string, unpack func() []byte) []byte {
	t.Helper()
	b, ok := unpacked.Load(name)
	if !ok {
		b = unpack()
		unpacked.Store(name, b)
	}
	return bytes.Clone(b.([]byte))
}

func unxz(t testing.TB, path string) []byte {
	t.Helper()
	return unpackOnce(t, path, func() []byte {
		r, err := xz.NewReader(bytes.NewReader(readFile(t, path)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// realFirmware is Debian's OVMF_CODE_4M.fd, see ../ovmf/testdata/README.md.
func realFirmware(t testing.TB) []byte {
	t.Helper()
	b := unxz(t, "../ovmf/testdata/OVMF_CODE_4M.fd.xz")
	const want = "624e06de18b4fa535e90db7160d00d3d07d206422b89999bf1e27d920264e4e0"
	if got := sha256.Sum256(b); hex.EncodeToString(got[:]) != want {
		t.Fatalf("OVMF_CODE_4M.fd: got SHA-256 %x, want %s", got, want)
	}
	return b
}

// realDisk is testdata/disk.img.
func realDisk(t testing.TB) []byte {
	t.Helper()
	return unxz(t, "testdata/disk.img.xz")
}

// boots are the folders of ../eventlog/testdata/uefi.
func boots() []string {
	return []string{"cred", "esp", "kappend", "kraw", "kuki", "mkosiesp", "osrel", "smbios", "uki", "uki262"}
}

func readLog(t testing.TB, boot string) *eventlog.Log {
	t.Helper()
	l, err := eventlog.Decode(readFile(t, "../eventlog/testdata/uefi/"+boot+"/evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// readPCRs reads the registers of one bank that the TPM returned.
func readPCRs(t testing.TB, boot string, bank Bank) [eventlog.PCRs][]byte {
	t.Helper()
	return readRegisters(t, "../eventlog/testdata/uefi/"+boot+"/pcrs.txt", bank)
}

func readRegisters(t testing.TB, path string, bank Bank) (values [eventlog.PCRs][]byte) {
	t.Helper()
	n := 0
	for line := range strings.Lines(string(readFile(t, path))) {
		f := strings.Fields(line)
		if f[1] != bank.String() {
			continue
		}
		if n >= len(values) || f[2] != strconv.Itoa(n) {
			t.Fatalf("%s: got register %s, want %d", path, f[2], n)
		}
		values[n] = unhex(t, f[3])
		n++
	}
	if n != eventlog.PCRs {
		t.Fatalf("%s: got %d registers, want %d", path, n, eventlog.PCRs)
	}
	return values
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// part is a section to add.
type part struct {
	name string
	data []byte
}

func stub(t testing.TB) []byte  { return readFile(t, "../pe/testdata/linuxx64.efi.stub") }
func linux(t testing.TB) []byte { return readFile(t, "../pe/testdata/addonx64.efi.stub") }

// parts are the sections of the kinds of UKI in testdata/oracle.py.
func parts(t testing.TB, kind string) []part {
	t.Helper()
	cmdline, kernel := part{".cmdline", []byte("console=ttyS0 panic=1")}, part{".linux", linux(t)}
	base := []part{cmdline, {".uname", []byte("6.12.107")}, {".initrd", []byte("not quite an initrd, 33 bytes...\n")}, kernel}
	switch kind {
	case "plain":
		return base
	case "osrel":
		return append([]part{{".osrel", []byte("ID=safebox\nVERSION=1\n")}}, base...)
	case "bare":
		return []part{kernel, cmdline, base[2]}
	}
	t.Fatalf("no kind %q", kind)
	return nil
}

// assemble adds sections to a stub as specs/image.md 1.1 says.
func assemble(stub []byte, list []part) []byte {
	le := binary.LittleEndian
	b := bytes.Clone(stub)
	coff := int(le.Uint32(b[0x3c:])) + 4
	optional := coff + 20
	count := int(le.Uint16(b[coff+2:]))
	table := optional + int(le.Uint16(b[coff+16:]))
	last := b[table+40*(count-1):]
	address := roundUp(int(le.Uint32(last[12:])+le.Uint32(last[8:])), 0x1000)
	for _, p := range list {
		size := roundUp(len(p.data), 0x200)
		h := make([]byte, 40)
		copy(h, p.name)
		le.PutUint32(h[8:], uint32(len(p.data)))
		le.PutUint32(h[12:], uint32(address))
		le.PutUint32(h[16:], uint32(size))
		le.PutUint32(h[20:], uint32(len(b)))
		le.PutUint32(h[36:], 0x40000040)
		if p.name == ".linux" {
			le.PutUint32(h[36:], 0x40000020)
		}
		copy(b[table+40*count:], h)
		b = append(b, p.data...)
		b = append(b, make([]byte, size-len(p.data))...)
		count++
		address = roundUp(address+len(p.data), 0x1000)
	}
	le.PutUint16(b[coff+2:], uint16(count))
	le.PutUint32(b[optional+56:], uint32(address))
	le.PutUint32(b[optional+64:], 0)
	return b
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
