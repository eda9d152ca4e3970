package tpm

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"safebox/measure/fat"
)

func TestPredictRefuses(t *testing.T) {
	uki := func(list ...part) []byte { return assemble(stub(t), list) }
	cmdline, kernel, initrd := part{".cmdline", []byte("quiet")}, part{".linux", linux(t)}, part{".initrd", []byte("cpio")}
	line := func(s string) []byte { return uki(part{".cmdline", []byte(s)}, kernel, initrd) }
	version := func(from, to string) []byte {
		return bytes.Replace(uki(cmdline, kernel, initrd), []byte("systemd-stub "+from), []byte("systemd-stub "+to), 1)
	}
	tests := []struct {
		name string
		uki  []byte
		want string
	}{
		{"no UKI", nil, "want a UKI and no disk"},
		{"not PE", []byte("MZ"), "reading UKI"},
		{"stub alone", stub(t), "section .linux: missing"},
		{"no initrd", uki(cmdline, kernel), "no section .initrd or .ucode"},
		{"kernel is not PE", uki(cmdline, part{".linux", []byte("bzImage")}, initrd), "section .linux: parsing PE"},
		{"no stub", assemble(linuxWithoutMagic(t), []part{cmdline, kernel, initrd}), "section .sdmagic: want exactly one"},
		{"section twice", uki(cmdline, kernel, cmdline), "section .cmdline: listed twice"},
		{"linux twice", uki(cmdline, kernel, kernel), "section .linux: listed twice"},
		{"stub 258", version("257", "258"), `systemd-stub version: got "258.13-1~deb13u1", want 257 or 262`},
		{"stub 2570", version("257.", "2570"), "systemd-stub version: got"},
		{"stub without version", version("257", "x57"), "systemd-stub version: got"},
		{"other stub", bytes.Replace(uki(cmdline, kernel, initrd), []byte("LoaderInfo: systemd-stub"), []byte("LoaderInfo: sustemd-stub"), 1), "want the version of systemd-stub"},
		{"stub 257 candidate", version("257.13-1~", "257~rc1-1"), "systemd-stub version: got"},
		{"stub 262 candidate", version("257.13-1~", "262-rc2-1"), "systemd-stub version: got"},
		{"stub 262 without console", version("257", "262"), "without console=, systemd-stub 262 adds a console"},
		{"stub 262 with another console", bytes.Replace(line("xconsole=tty0"), []byte("stub 257"), []byte("stub 262"), 1), "without console="},
		{"leading space", line(" quiet"), "begins or ends with a space"},
		{"trailing space", line("quiet "), "begins or ends with a space"},
		{"newline", line("quiet\n"), "byte 5: got 0x0a"},
		{"NUL", line("quiet\x00"), "byte 5: got 0x00"},
		{"tab", line("a\tb"), "byte 1: got 0x09"},
		{"not ASCII", line("ä"), "byte 0: got 0xc3"},
	}
	for _, name := range refusedSections() {
		tests = append(tests, struct {
			name string
			uki  []byte
			want string
		}{name, uki(cmdline, kernel, part{name, []byte("x")}), "section " + name + ": whether the stub takes it depends on the machine"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Predict(Input{Boot: Kernel, UKI: tt.uki}, SHA256)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// linuxWithoutMagic is the stub with its .sdmagic section under another name.
func linuxWithoutMagic(t *testing.T) []byte {
	return bytes.Replace(stub(t), []byte(".sdmagic"), []byte(".nomagic"), 1)
}

func TestInputRefuses(t *testing.T) {
	uki := assemble(stub(t), parts(t, "plain"))
	disk := bytes.NewReader(uki)
	tests := []struct {
		name string
		in   Input
		bank Bank
		want string
	}{
		{"no bank", Input{Boot: Kernel, UKI: uki}, 0, "bank: got bank 0"},
		{"no boot", Input{UKI: uki}, SHA256, "boot: got boot 0"},
		{"esp of nothing", Input{Boot: ESP}, SHA256, "want either a disk or a UKI"},
		{"esp of both", Input{Boot: ESP, UKI: uki, Disk: disk, DiskSize: 1}, SHA256, "want either a disk or a UKI"},
		{"kernel of a disk", Input{Boot: Kernel, Disk: disk}, SHA256, "want a UKI and no disk"},
		{"not a disk", Input{Boot: ESP, Disk: disk, DiskSize: int64(len(uki))}, SHA256, "reading disk"},
	}
	for _, tt := range tests {
		_, err := Predict(tt.in, tt.bank)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

func TestCompanions(t *testing.T) {
	for path, ok := range map[string]bool{
		"EFI": true, "EFI/BOOT/BOOTX64.EFI": true, "EFI/Linux/other.efi": true, "loaderx": true,
		"loader": false, "LOADER/addons/x.addon.efi": false, "loader/credentials/x.cred": false,
		"EFI/BOOT/BOOTX64.EFI.extra.d": false, "efi/boot/bootx64.efi.extra.d/x.cred": false,
	} {
		if err := checkCompanions([]fat.File{{Path: path}}); (err == nil) != ok {
			t.Errorf("%s: got error %v", path, err)
		}
	}
}

// TestDiskRefuses adds to a disk what would boot another way, or measure more,
// than predicted.
func TestDiskRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(disk []byte)
		want   string
	}{
		{"companion", func(disk []byte) {
			// FATGEN, "FAT Directory Structure": the entry behind EFI, an empty file.
			copy(disk[bytes.Index(disk, []byte("EFI        \x10"))+32:], "LOADER     \x20")
		}, `"LOADER": systemd-stub may measure`},
		{"second ESP", addESP, "more than one EFI system partition"},
	} {
		disk := realDisk(t)
		tt.change(disk)
		_, err := Predict(Input{Boot: ESP, Disk: bytes.NewReader(disk), DiskSize: int64(len(disk))}, SHA256)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// addESP adds a partition of one sector at 2 MiB, of the type of the first, to
// both copies of the table (UEFI 2.10, tables 5-5 and 5-6).
func addESP(disk []byte) {
	le := binary.LittleEndian
	for _, header := range [][]byte{disk[512:1024], disk[len(disk)-512:]} {
		entries := disk[512*le.Uint64(header[72:]):][:128*128]
		second := entries[128:256]
		copy(second, entries[:16])
		second[16] = 1 // unique GUID
		le.PutUint64(second[32:], 4096)
		le.PutUint64(second[40:], 4096)
		le.PutUint32(header[88:], crc32.ChecksumIEEE(entries))
		le.PutUint32(header[16:], 0)
		le.PutUint32(header[16:], crc32.ChecksumIEEE(header[:92]))
	}
}

func TestParseBoot(t *testing.T) {
	for _, b := range []Boot{ESP, Kernel} {
		if got, err := ParseBoot(b.String()); err != nil || got != b {
			t.Errorf("%v: got %v, %v", b, got, err)
		}
	}
	for _, s := range []string{"", "ESP", "disk", "boot 0"} {
		if _, err := ParseBoot(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}

// FuzzPredict mutates a UKI made of two real images.
func FuzzPredict(f *testing.F) {
	for _, kind := range []string{"plain", "osrel", "bare"} {
		f.Add(assemble(stub(f), parts(f, kind)))
	}
	f.Add(profiles(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		for profile := range 2 {
			p, err := Predict(Input{Boot: Kernel, UKI: b, Profile: profile}, SHA256)
			if err != nil {
				continue
			}
			for _, i := range []int{2, 3, 4, 6, 7, 9, 11} {
				if r := p.PCRs[i]; r.Rule != Exact || len(r.Value) != 32 || len(r.Events) == 0 {
					t.Errorf("PCR %d: got %v %v from %d events", i, r.Rule, r.Value, len(r.Events))
				}
			}
		}
	})
}
