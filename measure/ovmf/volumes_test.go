package ovmf

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestVolumes compares with OvmfPkg/OvmfPkgX64.fdf and its include
// OvmfPkgDefines.fdf.inc for FD_SIZE_4MB: variables of 0x84000 bytes, then
// FVMAIN_COMPACT of 0x348000, then SECFV; PEIFV and DXEFV are compressed.
func TestVolumes(t *testing.T) {
	type place struct {
		Label        string
		Offset, Size int
	}
	places := func(list []Volume) []place {
		var p []place
		for _, v := range list {
			p = append(p, place{v.Label(), v.Offset, len(v.Bytes)})
		}
		return p
	}
	firmware := readShared(t, fileUnified)
	list, err := Volumes(firmware)
	if err != nil {
		t.Fatal(err)
	}
	want := []place{{"variables", 0, 0x84000}, {"FVMAIN_COMPACT", 0x84000, 0x348000}, {"SECFV", 0x3cc000, 0x34000}}
	if diff := cmp.Diff(want, places(list)); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
	inner, err := list[1].Inner()
	if err != nil {
		t.Fatal(err)
	}
	want = []place{{"PEIFV", -1, 0xe0000}, {"DXEFV", -1, 0xe80000}}
	if diff := cmp.Diff(want, places(inner)); diff != "" {
		t.Errorf("compressed volumes (-want +got):\n%s", diff)
	}
	dxe, err := DXEVolume(firmware)
	if err != nil || !bytes.Equal(dxe, inner[1].Bytes) {
		t.Errorf("DXEFV is not what DXEVolume returns, error %v", err)
	}
	if files, err := list[0].Files(); err != nil || files != nil {
		t.Errorf("variables: got %d files, error %v, want none", len(files), err)
	}
	// The two files of SECFV in the .fdf, SecMain.inf and ResetVector.inf, and
	// a padding file between them that GenFv adds.
	files, err := list[2].Files()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	wantNames := []string{"df1ccef6-f301-4a63-9661-fc6030dcc880", "ffffffff-ffff-ffff-ffff-ffffffffffff", "1ba0062e-c779-4582-8566-336ae8f78f09"}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Errorf("files of SECFV (-want +got):\n%s", diff)
	}
}

// TestUiApp: the boot entry of this firmware names UiApp by this GUID, event 13
// of the logs with it (specs/measure.md 5.3).
func TestUiApp(t *testing.T) {
	list, err := Volumes(readShared(t, fileUnified))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := list[1].Inner()
	if err != nil {
		t.Fatal(err)
	}
	files, err := inner[1].Files()
	if err != nil {
		t.Fatal(err)
	}
	const uiApp = "462caa21-7614-4503-836e-8ab6f4662331"
	i := slices.IndexFunc(files, func(f File) bool { return f.Name == uiApp })
	if i < 0 || files[i].Label() != "UiApp" {
		t.Errorf("file %s: got number %d of %d, want one that is called UiApp", uiApp, i, len(files))
	}
}

func TestFileLabel(t *testing.T) {
	name := func(text string) []byte {
		var b []byte
		for _, c := range text {
			b = append(b, byte(c), 0)
		}
		return buildSection(sectionUserInterface, b)
	}
	const id = "11111111-2222-3333-4444-555555555555"
	tests := []struct {
		name string
		file File
		want string
	}{
		{"named", File{id, 0x07, append(buildSection(sectionRaw, []byte("data")), name("Driver\x00")...)}, "Driver"},
		{"no name", File{id, 0x07, buildSection(sectionRaw, []byte("data"))}, id},
		{"empty name", File{id, 0x07, name("\x00")}, id},
		{"long name", File{id, 0x07, name(strings.Repeat("x", 129))}, id},
		{"odd name", File{id, 0x07, buildSection(sectionUserInterface, []byte{'x'})}, id},
		{"raw file", File{id, 0x01, name("Driver\x00")}, id},
		{"damaged", File{id, 0x07, []byte{1}}, id},
	}
	for _, tt := range tests {
		if got := tt.file.Label(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestVolumesRefuses(t *testing.T) {
	const other = "11111111-2222-3333-4444-555555555555"
	if _, err := Volumes(make([]byte, 4096)); err == nil {
		t.Error("no volume: got no error")
	}
	list, err := Volumes(buildVolume(volumeSpec{name: other, content: make([]byte, 64)}))
	if err != nil {
		t.Fatal(err)
	}
	if got := list[0].Label(); got != other {
		t.Errorf("label: got %q, want %q", got, other)
	}
	if _, err := list[0].Files(); err == nil {
		t.Error("files of zeros: got no error")
	}
	if _, err := list[0].Inner(); err == nil {
		t.Error("compressed files of zeros: got no error")
	}
	if list, err = Volumes(buildVolume(volumeSpec{})); err != nil || list[0].Label() != "unnamed" {
		t.Errorf("volume without a name: got %v, error %v", list, err)
	}
}
