package image

import (
	"crypto/sha512"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/image/lock"
	"safebox/image/lock/locktest"
	"safebox/measure/ovmf"
	"safebox/measure/tdx"
	"safebox/measure/tdx/tdvf"
	"safebox/verifier/accept"
	"safebox/verifier/release"
)

// oracle is testdata/launch.json, the output of testdata/launch.py. Its MRTD
// and configuration volume are those of measure/testdata/debian-ovmf too.
type oracle struct {
	CommandLine string `json:"command_line"`
	Initrd      string
	SNP         *release.SNP
	TDX         *release.TDX
}

// pinnedLaunch gives what launch.py was given: a launch with its pinned files.
func pinnedLaunch(t *testing.T, o oracle, platform string, firmware lock.Role) (release.Launch, map[string][]byte) {
	t.Helper()
	text, err := os.ReadFile("safebox.lock")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver("..")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"initrd": []byte(o.Initrd)}
	for name, role := range map[string]lock.Role{"firmware": firmware, "kernel": lock.Kernel} {
		file, err := l.File(role)
		if err != nil {
			t.Fatal(err)
		}
		if files[name], err = r.File(t.Context(), file.Package, file.File); err != nil {
			t.Fatal(err)
		}
	}
	return release.Launch{Platform: platform, Firmware: "firmware", Kernel: "kernel", Initrd: "initrd", CommandLine: o.CommandLine}, files
}

func readOracle(t *testing.T) (o oracle) {
	t.Helper()
	b, err := os.ReadFile("testdata/launch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestLaunchSNP(t *testing.T) {
	o := readOracle(t)
	l, files := pinnedLaunch(t, o, release.PlatformSNP, lock.FirmwareSNP)
	got, err := Launch(l, func(name string) []byte { return files[name] })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o.SNP, got.SNP); diff != "" || got.TDX != nil {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := accept.Check(got); err != nil {
		t.Error(err)
	}
}

// TestLaunchTDX: the launch leads to the same hand-off blocks and registers as
// the files themselves.
func TestLaunchTDX(t *testing.T) {
	o := readOracle(t)
	l, files := pinnedLaunch(t, o, release.PlatformTDX, lock.FirmwareTDX)
	got, err := Launch(l, func(name string) []byte { return files[name] })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o.TDX, got.TDX); diff != "" || got.SNP != nil {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := accept.Check(got); err != nil {
		t.Error(err)
	}
	im, err := ovmf.Open(files["firmware"])
	if err != nil {
		t.Fatal(err)
	}
	for _, memory := range []uint64{1 << 30, 2 << 30, 16 << 30} {
		p, err := accept.TDX(got, accept.TDXMachine{Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		hob, err := tdvf.TDHOB(im, memory)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.Registers[tdx.RTMR0].Events[0].Digest, tdx.Digest(sha512.Sum384(hob)); got != want {
			t.Errorf("%#x bytes: TD HOB: got %v, want %v", memory, got, want)
		}
	}
}

func TestLaunchRefused(t *testing.T) {
	o := readOracle(t)
	l, files := pinnedLaunch(t, o, release.PlatformTDX, lock.FirmwareTDX)
	unknown := append([]byte{1}, files["firmware"][1:]...)
	for name, c := range map[string]struct {
		platform string
		firmware []byte
		want     string
	}{
		"platform":         {"nitro", files["firmware"], "launch nitro: want snp or tdx"},
		"no firmware":      {"tdx", nil, "launch tdx: firmware: parsing firmware"},
		"CODE alone":       {"tdx", files["firmware"][0x84000:], "want the unified image"},
		"unknown firmware": {"tdx", unknown, "no firmware whose events in RTMR0 are known"},
		"not for SNP":      {"snp", files["firmware"], "no table of kernel hashes or no reset block"},
	} {
		l.Platform = c.platform
		_, err := Launch(l, func(name string) []byte {
			if name == "firmware" {
				return c.firmware
			}
			return files[name]
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}
