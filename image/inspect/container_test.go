package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/image/disk"
	"safebox/image/disk/container"
	"safebox/image/disk/disktest"
)

// TestDiskFiles: what is said of each file is what sha256sum and sfdisk say of
// the disk that qemu-img or GNU tar takes out of it.
func TestDiskFiles(t *testing.T) {
	esp := []disk.File{{Path: disk.Boot, Data: []byte("no program")}}
	kinds := map[container.Format]string{container.Raw: "disk", container.QCOW2: "qcow2 disk", container.VHD: "VHD disk", container.GCP: "GCP disk"}
	for f, kind := range kinds {
		content, err := f.Content(esp, disktest.Seed)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := f.Encode(&b, content, disktest.Seed); err != nil {
			t.Fatal(err)
		}
		r := describe(t, b.Bytes(), kind)
		dir := t.TempDir()
		raw, in := filepath.Join(dir, "disk.raw"), disktest.Save(t, "in", b.Bytes())
		sectors := "71680 of 512 bytes" // 35 MiB
		below := "content/"
		want := map[string]string{}
		switch f {
		case container.Raw:
			raw, below = in, ""
		case container.QCOW2:
			disktest.Run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", in, raw)
			want["format"], want["cluster_size"], want["content"] = "qcow2", "65536 bytes", "36700160 bytes"
		case container.VHD:
			disktest.Run(t, "qemu-img", "convert", "-f", "vpc", "-O", "raw", in, raw)
			want["time_stamp"] = "0 seconds since 2000-01-01"
			want["creator"] = `"win ", version 0x000a0000, host "Wi2k"`
			want["original_size"], want["geometry"] = "36700160 bytes", "843/5/17"
			want["unique_id"] = "5e4dad39170456a6ac0050f387f9e4c6" // Python's uuid5, as in image/disk/vhd
		case container.GCP:
			disktest.Run(t, "tar", "-xzf", in, "-C", dir)
			sectors = "2097152 of 512 bytes"
			want["tar_owner"], want["tar_time"] = "0:0, mode 0644", "0"
			want["content"] = "1073741824 bytes"
		}
		if f != container.Raw {
			sum, _, _ := strings.Cut(string(disktest.Run(t, "sha256sum", raw)), " ")
			want["content/sha256"] = sum
		}
		want[below+"sectors"] = sectors
		file := append(strings.Split(strings.TrimSuffix(below, "/"), "/"), "partitions", `"esp"`, "file_system", "EFI/BOOT/BOOTX64.EFI")
		if below == "" {
			file = file[1:]
		}
		if got, want := value(t, r, file...), "10 bytes, sha256 77c81fb66a43b886cf465ef2634a071856e9529e7509b908ab5c2e70f6e2ddd9"; got != want {
			t.Errorf("%s: file: got %q, want %q as sha256sum says", kind, got, want)
		}
		guid := strings.ToLower(strings.TrimSpace(string(disktest.Run(t, "sfdisk", "--disk-id", raw))))
		want[below+"disk_guid"] = guid
		wants(t, r, want)
	}
}

// TestForeignArchive: the names and times of another's gzip and tar are shown.
func TestForeignArchive(t *testing.T) {
	content, err := container.Raw.Content([]disk.File{{Path: disk.Boot, Data: []byte("x")}}, disktest.Seed)
	if err != nil {
		t.Fatal(err)
	}
	large, err := container.GCP.Content([]disk.File{{Path: disk.Boot, Data: []byte("x")}}, disktest.Seed)
	if err != nil {
		t.Fatal(err)
	}
	in := disktest.Save(t, "disk.raw", disktest.Bytes(t, content)) // with the table of a smaller disk
	f, err := os.OpenFile(in, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range large.Extents() {
		b := make([]byte, e.Size)
		if n, err := large.ReadAt(b, e.Offset); n != len(b) {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, e.Offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.tar")
	disktest.Run(t, "tar", "--format=oldgnu", "-S", "--owner=1000", "--group=1001", "--numeric-owner", "--mtime=@1700000000", "--mode=0600",
		"-C", filepath.Dir(in), "-cf", out, "disk.raw")
	disktest.Run(t, "touch", "-d", "@1600000000", out)
	disktest.Run(t, "gzip", "-1", out)
	wants(t, describe(t, disktest.Read(t, out+".gz"), "GCP disk"), map[string]string{
		"tar_owner": "1000:1001, mode 0600", "tar_time": "1700000000", "gzip_name": `"out.tar"`, "gzip_time": "1600000000",
	})
}

// TestDamagedDiskFiles keep their kind and are refused.
func TestDamagedDiskFiles(t *testing.T) {
	content, err := container.Raw.Content([]disk.File{{Path: disk.Boot, Data: []byte("x")}}, disktest.Seed)
	if err != nil {
		t.Fatal(err)
	}
	file := func(f container.Format, off int, with byte) []byte {
		var b bytes.Buffer
		if err := f.Encode(&b, content, disktest.Seed); err != nil {
			t.Fatal(err)
		}
		b.Bytes()[(off+b.Len())%b.Len()] = with
		return b.Bytes()
	}
	for kind, tt := range map[string]struct {
		b    []byte
		want string
	}{
		"qcow2 disk": {file(container.QCOW2, 35, 1), "inspecting qcow2 disk: opening disk: parsing qcow2: header: crypt_method: got 1"},
		"VHD disk":   {file(container.VHD, -1, 1), "inspecting VHD disk: opening disk: parsing VHD footer: checksum"},
		"GCP disk":   {[]byte("\x1f\x8b\x08"), "inspecting GCP disk: opening disk: parsing GCP disk: gzip header"},
	} {
		if got := Kind(tt.b); got != kind {
			t.Errorf("kind: got %q, want %q", got, kind)
		}
		if _, err := Bytes(tt.b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", kind, err, tt.want)
		}
	}
	// A disk in a file whose content is none.
	b := file(container.VHD, 512, 'X')
	if _, err := Bytes(b); err == nil || !strings.Contains(err.Error(), "inspecting VHD disk: content: parsing GPT: primary header") {
		t.Errorf("no partition table: got error %v", err)
	}
}
