package acpi

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/tdx"
	"safebox/measure/vectortest"
)

func folders() []string { return []string{"q35-2g-4cpu", "q35-4g-8cpu-hpet-3pci"} }

// genuine gives a vector's tables, each time anew.
func genuine(t testing.TB, folder string) *tdx.ACPI {
	t.Helper()
	file := func(name string) []byte {
		return bytes.Clone(vectortest.File(t, os.DirFS(testdata), "qemu-acpi/"+folder+"/"+name))
	}
	return &tdx.ACPI{Loader: file(loaderName), RSDP: file(rsdpName), Tables: file(tablesName)}
}

// TestDecode compares with what a separate Python reader saw.
func TestDecode(t *testing.T) {
	want := []Table{
		{"FACS", 0, 64},
		{"DSDT", 64, 8405},
		{"FACP", 8469, 244},
		{"APIC", 8713, 144},
		{"MCFG", 8857, 60},
		{"WAET", 8917, 40},
		{"RSDT", 8957, 52},
	}
	got, err := Decode(genuine(t, "q35-2g-4cpu").Tables)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
}

// TestDecodeLoader compares with what a separate Python reader saw, which are
// the commands of specs/measure.md 5.4 in their order.
func TestDecodeLoader(t *testing.T) {
	tables, rsdp := "etc/acpi/tables", "etc/acpi/rsdp"
	want := []Command{
		Allocate{rsdp, 16, 2},
		Allocate{tables, 64, 1},
		AddChecksum{tables, 73, 64, 8405},
		AddPointer{tables, tables, 8505, 4},
		AddPointer{tables, tables, 8509, 4},
		AddPointer{tables, tables, 8609, 8},
		AddChecksum{tables, 8478, 8469, 244},
		AddChecksum{tables, 8722, 8713, 144},
		AddChecksum{tables, 8866, 8857, 60},
		AddChecksum{tables, 8926, 8917, 40},
		AddPointer{tables, tables, 8993, 4},
		AddPointer{tables, tables, 8997, 4},
		AddPointer{tables, tables, 9001, 4},
		AddPointer{tables, tables, 9005, 4},
		AddChecksum{tables, 8966, 8957, 52},
		AddPointer{rsdp, tables, 16, 4},
		AddChecksum{rsdp, 8, 0, 20},
	}
	got, err := DecodeLoader(genuine(t, "q35-2g-4cpu").Loader)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if !bytes.Equal(EncodeLoader(got), genuine(t, "q35-2g-4cpu").Loader) {
		t.Error("decoded commands encode to other bytes")
	}
}

func TestFolder(t *testing.T) {
	for _, folder := range folders() {
		dir := filepath.Join(t.TempDir(), "acpi")
		want := genuine(t, folder)
		if err := WriteFolder(dir, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
		if err := WriteFolder(dir, want); err != nil {
			t.Errorf("%s: writing again: %v", folder, err)
		}
		if err := os.Remove(filepath.Join(dir, rsdpName)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFolder(dir); err == nil || !strings.Contains(err.Error(), rsdpName) {
			t.Errorf("%s: missing file: got error %v", folder, err)
		}
	}
}

func TestReadFolderRefusesLongFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "acpi")
	if err := WriteFolder(dir, genuine(t, "q35-2g-4cpu")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, rsdpName), make([]byte, 21), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFolder(dir); err == nil || !strings.Contains(err.Error(), "got more than 20 bytes") {
		t.Errorf("got error %v", err)
	}
}

func TestWriteFolderRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "acpi")
	a := genuine(t, "q35-2g-4cpu")
	a.Tables[0] = 'f'
	if err := WriteFolder(dir, a); err == nil {
		t.Error("wrong tables: no error")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("wrong tables: the folder is there")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFolder(dir, genuine(t, "q35-2g-4cpu")); err == nil {
		t.Error("somebody's folder: no error")
	}
}

// TestCheckRefuses edits the files of the smaller vector: DSDT at 0x40, FACP at
// 0x2115, RSDT at 0x22fd; commands of 128 bytes.
func TestCheckRefuses(t *testing.T) {
	le := binary.LittleEndian
	command := func(n int, edit func(c []byte)) func(*tdx.ACPI) {
		return func(a *tdx.ACPI) { edit(a.Loader[n*commandSize : (n+1)*commandSize]) }
	}
	tests := []struct {
		name string
		edit func(a *tdx.ACPI)
		want string
	}{
		{"empty", func(a *tdx.ACPI) { *a = tdx.ACPI{} }, "parsing etc/acpi/rsdp: length: got 0, want 20"},
		{"RSDP revision 2", func(a *tdx.ACPI) { a.RSDP[15] = 2 }, "revision at 0xf: got 2, want 0"},
		{"RSDP signature", func(a *tdx.ACPI) { a.RSDP[0] = 'r' }, "signature: got"},
		{"files swapped", func(a *tdx.ACPI) { a.Loader, a.Tables = a.Tables, a.Loader }, "parsing etc/acpi/tables: length: got 4096"},
		{"no tables", func(a *tdx.ACPI) { clear(a.Tables) }, "parsing etc/acpi/tables: no table"},
		{"cut tables", func(a *tdx.ACPI) { a.Tables = a.Tables[:4096] }, "length: got 4096, want a multiple of 131072"},
		{"tables too long", func(a *tdx.ACPI) { a.Tables = append(a.Tables, make([]byte, tablesMax)...) }, "up to 2097152"},
		{"bytes after tables", func(a *tdx.ACPI) { a.Tables[0x1ffff] = 7 }, "after the last table: got 0x07 at 0x1ffff, want zeros"},
		{"table signature", func(a *tdx.ACPI) { a.Tables[0x40] = 'd' }, `table 1 at 0x40: signature: got "dSDT"`},
		{"table length over the end", func(a *tdx.ACPI) { le.PutUint32(a.Tables[0x44:], 1<<31) }, "table 1 at 0x40: length: got 2147483648"},
		{"table length short", func(a *tdx.ACPI) { le.PutUint32(a.Tables[0x44:], 35) }, "length: got 35, want 36"},
		{"FACS length", func(a *tdx.ACPI) { le.PutUint32(a.Tables[4:], 60) }, "length of FACS: got 60, want 64"},
		{"no commands", func(a *tdx.ACPI) { clear(a.Loader) }, "got 0 files allocated"},
		{"loader length", func(a *tdx.ACPI) { a.Loader = a.Loader[:2176] }, "parsing etc/table-loader: length: got 2176"},
		{"bytes after commands", func(a *tdx.ACPI) { a.Loader[0x900] = 1 }, "after the last command: got 0x01 at 0x900, want zeros"},
		{"unknown command", command(3, func(c []byte) { c[0] = 4 }), "command 3 at 0x180: type: got 4, want 1 (allocate)"},
		{"bytes after fields", command(2, func(c []byte) { c[127] = 1 }), "command 2 at 0x100: after its fields: got 0x01"},
		{"name not filled", command(2, func(c []byte) { c[4+55] = 'x' }), "command 2 at 0x100: file name"},
		{"empty name", command(2, func(c []byte) { clear(c[4:60]) }), "file name: got"},
		{"name with a space", command(2, func(c []byte) { c[5] = ' ' }), "want printable ASCII"},
		{"other file", command(1, func(c []byte) { copy(c[4:], "etc/tpm/log\x00\x00\x00\x00") }), "command 1 at 0x80: allocation: got {File:etc/tpm/log"},
		{"third file", command(2, func(c []byte) { clear(c); c[0] = 1; copy(c[4:], "etc/tpm/log") }), `file "etc/tpm/log": want none beside`},
		{"alignment", command(0, func(c []byte) { c[60] = 32 }), "command 0 at 0x0: allocation: got"},
		{"unknown file in a pointer", command(3, func(c []byte) { c[4] = 'x' }), `file "xtc/acpi/tables": not allocated before`},
		{"pointer into the RSDP", command(3, func(c []byte) { copy(c[60:], "etc/acpi/rsdp\x00\x00") }), `pointer into "etc/acpi/rsdp"`},
		{"pointer size", command(3, func(c []byte) { c[120] = 2 }), "pointer size: got 2, want 4 or 8"},
		{"pointer over the end", command(3, func(c []byte) { le.PutUint32(c[116:], 0x1fffd) }), "pointer at 0x1fffd of etc/acpi/tables: want it below 0x20000"},
		{"pointer in a header", command(3, func(c []byte) { le.PutUint32(c[116:], 0) }), "pointer at 0x0"},
		{"pointer with an address", func(a *tdx.ACPI) { a.Tables[8509+3] = 0x7f }, "tables as a guest sees them have addresses there"},
		{"RSDP to another table", func(a *tdx.ACPI) { le.PutUint16(a.RSDP[16:], 64) }, "pointer of the RSDP: got one to DSDT"},
		{"checksum set", func(a *tdx.ACPI) { a.Tables[73] = 1 }, "checksum at 0x49 of etc/acpi/tables: got 0x01, want 0"},
		{"RSDP checksum set", func(a *tdx.ACPI) { a.RSDP[8] = 1 }, "checksum at 0x8 of etc/acpi/rsdp: got 0x01, want 0"},
		{"checksum length", command(2, func(c []byte) { c[68]++ }), "checksum of DSDT at 0x40: got"},
		{"checksum of no table", command(2, func(c []byte) { c[64]++ }), "checksum over 0x41 of etc/acpi/tables: want the start of a table"},
		{"checksum over the end", command(2, func(c []byte) { c[63] = 1 }), "want it below 0x20000"},
		{"checksum twice", func(a *tdx.ACPI) { copy(a.Loader[3*commandSize:], a.Loader[2*commandSize:3*commandSize]) }, "command 3 at 0x180: checksum of DSDT"},
		{"checksum missing", func(a *tdx.ACPI) { copy(a.Loader[7*commandSize:8*commandSize], a.Loader[10*commandSize:]) }, "no checksum for table APIC"},
		{"RSDP without checksum", command(16, func(c []byte) { clear(c) }), "got no pointer or no checksum, want both"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := genuine(t, "q35-2g-4cpu")
			tt.edit(a)
			if err := Check(a); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// FuzzCheck fills loader and tables with zeros up to their size: without the
// filling the fuzzer works on what matters.
func FuzzCheck(f *testing.F) {
	for _, folder := range folders() {
		a := genuine(f, folder)
		f.Add(bytes.TrimRight(a.Loader, "\x00"), a.RSDP, bytes.TrimRight(a.Tables, "\x00"))
	}
	filled := func(b []byte, unit int) []byte { return append(b[:len(b):len(b)], make([]byte, -len(b)&(unit-1))...) }
	f.Fuzz(func(t *testing.T, loader, rsdp, tables []byte) {
		a := &tdx.ACPI{Loader: filled(loader, loaderUnit), RSDP: rsdp, Tables: filled(tables, tablesUnit)}
		commands, err := DecodeLoader(a.Loader)
		if err == nil && !bytes.HasPrefix(a.Loader, EncodeLoader(commands)) {
			t.Error("decoded commands encode to other bytes")
		}
		list, err := Decode(a.Tables)
		end := 0
		for _, table := range list {
			if table.Offset != end || table.Size < tableHeader || table.Offset+table.Size > len(a.Tables) {
				t.Fatalf("table %+v: want it at %#x", table, end)
			}
			end += table.Size
		}
		if Check(a) == nil && err != nil {
			t.Error("checked tables do not decode")
		}
	})
}
