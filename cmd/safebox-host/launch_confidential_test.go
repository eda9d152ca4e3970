package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"safebox/image"
	"safebox/image/lock"
	"safebox/image/lock/locktest"
	"safebox/measure/ovmf"
	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
	"safebox/measure/tdx"
	"safebox/verifier/release"
)

// oracle is ../../image/testdata/launch.json: what launch.py, which is no Go
// program, computed of the pinned kernel and firmware with a small initrd.
type oracle struct {
	CommandLine string `json:"command_line"`
	Initrd      string
	SNP         *release.SNP
	TDX         *release.TDX
}

func readOracle(t testing.TB) (o oracle) {
	t.Helper()
	b, err := os.ReadFile("../../image/testdata/launch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// confidentialRelease writes a release folder with the pinned kernel and
// firmware, whose launches are those that launch.py computed.
func confidentialRelease(t testing.TB) (dir string, o oracle) { return enclaveRelease(t, 1<<20) }

// enclaveRelease is confidentialRelease with an enclave image of a size.
func enclaveRelease(t testing.TB, size int) (dir string, o oracle) {
	t.Helper()
	o, dir = readOracle(t), t.TempDir()
	text, err := os.ReadFile("../../image/safebox.lock")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := locktest.Resolver("../..")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"initrd.cpio.zst": []byte(o.Initrd), releaseEIF: make([]byte, size)}
	for name, role := range map[string]lock.Role{"firmware/snp.fd": lock.FirmwareSNP, "firmware/tdx.fd": lock.FirmwareTDX, "vmlinuz": lock.Kernel} {
		file, err := l.File(role)
		if err != nil {
			t.Fatal(err)
		}
		if files[name], err = r.File(t.Context(), file.Package, file.File); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	describeConfidential(t, dir, files, o)
	return dir, o
}

func describeConfidential(t testing.TB, dir string, files map[string][]byte, o oracle) {
	t.Helper()
	var r release.Release
	empty := t.TempDir()
	for _, name := range []string{releaseUKI, releaseDisk, releaseCode, releaseVars} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(empty, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(empty, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeDescription(empty); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(empty, release.FileName))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	r.Artifacts, r.CommandLines[0].Text = nil, o.CommandLine
	for name, b := range files {
		r.Artifacts = append(r.Artifacts, image.Describe(name, b))
	}
	slices.SortFunc(r.Artifacts, func(x, y release.Artifact) int { return strings.Compare(x.Name, y.Name) })
	one := release.Launch{Kernel: "vmlinuz", Initrd: "initrd.cpio.zst", CommandLine: o.CommandLine}
	one.Platform, one.Firmware, one.SNP = release.PlatformSNP, "firmware/snp.fd", o.SNP
	two := one
	two.Platform, two.Firmware, two.SNP, two.TDX = release.PlatformTDX, "firmware/tdx.fd", nil, o.TDX
	r.Launches = []release.Launch{one, two}
	if b, err = r.Encode(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, release.FileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// command runs `safebox-host launch` and gives what it prints.
func command(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(append([]string{"launch"}, args...), strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

// printed gives the arguments that --print-args prints, by option.
func printed(t testing.TB, args ...string) (list []string, options map[string][]string) {
	t.Helper()
	code, stdout, stderr := command(t, append(args, "--print-args", "--json")...)
	if code != 0 {
		t.Fatalf("%q: exit %d: %s", args, code, stderr)
	}
	var out struct{ Args []string }
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatal(err)
	}
	options = map[string][]string{}
	for i, a := range out.Args {
		if strings.HasPrefix(a, "-") && i+1 < len(out.Args) {
			options[a] = append(options[a], out.Args[i+1])
		}
	}
	return out.Args, options
}

// read reads the file of an option that is given once.
func read(t testing.TB, options map[string][]string, name string) []byte {
	t.Helper()
	if len(options[name]) != 1 {
		t.Fatalf("%s: got %q, want one", name, options[name])
	}
	b, err := os.ReadFile(options[name][0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// property finds a property of an object: "" if it has none.
func property(object, name string) string {
	for p := range strings.SplitSeq(object, ",") {
		if value, ok := strings.CutPrefix(p, name+"="); ok {
			return value
		}
	}
	return ""
}

func number(t testing.TB, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// openFirmware reads the image of -bios.
func openFirmware(t testing.TB, options map[string][]string) *ovmf.Image {
	t.Helper()
	im, err := ovmf.Open(read(t, options, "-bios"))
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// TestPrintSNP: what QEMU is told to boot measures to what launch.py computed
// for the release, on every machine of its list.
func TestPrintSNP(t *testing.T) {
	dir, o := confidentialRelease(t)
	if len(o.SNP.Shapes) == 0 {
		t.Fatal("no shapes")
	}
	for _, shape := range o.SNP.Shapes {
		_, cpu, _ := strings.Cut(shape.Name, "/")
		cpu, _, _ = strings.Cut(cpu, "/")
		_, options := printed(t, "--release", dir, "--platform", "snp", "--cpu", cpu, "--vcpus", strconv.Itoa(shape.VCPUs))
		object := options["-object"][0]
		for name, want := range map[string]string{
			"kernel-hashes": "on", "policy": "0x30000", "cbitpos": "51", "reduced-phys-bits": "1", "id": "cc", "id-block": "", "host-data": "",
		} {
			if got := property(object, name); got != want {
				t.Errorf("%s: %s: got %q, want %q", shape.Name, name, got, want)
			}
		}
		signature, err := snp.ParseCPU(options["-cpu"][0])
		if err != nil {
			t.Fatal(err)
		}
		got, err := snp.Measure(snp.Launch{
			Firmware: snp.NewFirmware(openFirmware(t, options)),
			Kernel: &snp.KernelHashes{
				Kernel: sha256.Sum256(read(t, options, "-kernel")), Initrd: sha256.Sum256(read(t, options, "-initrd")),
				CommandLine: snp.HashCommandLine(options["-append"][0]),
			},
			VCPUs: int(number(t, property(options["-smp"][0], "cpus"))), CPU: signature, VMM: snp.QEMU, Features: snp.SNPActive,
		})
		if err != nil || got.String() != shape.LaunchDigest {
			t.Errorf("%s: got %v, %v, want %s", shape.Name, got, err, shape.LaunchDigest)
		}
	}
}

// TestPrintTDX: the same for the registers that don't depend on the machine.
func TestPrintTDX(t *testing.T) {
	dir, o := confidentialRelease(t)
	config := bytes.Repeat([]byte{0xa5}, 48)
	_, options := printed(t, "--release", dir, "--platform", "tdx", "--memory", "2G", "--mrconfigid", hex.EncodeToString(config))
	var object struct {
		Type       string `json:"qom-type"`
		ID         string
		MRConfigID []byte
		MROwner    []byte
		Quotes     struct{ Type, CID, Port string } `json:"quote-generation-socket"`
	}
	if err := json.Unmarshal([]byte(options["-object"][0]), &object); err != nil {
		t.Fatal(err)
	}
	if object.Type != "tdx-guest" || object.ID != "cc" || !bytes.Equal(object.MRConfigID, config) || object.MROwner != nil || object.Quotes.Type != "vsock" {
		t.Errorf("object: got %+v", object)
	}
	if options["-cpu"][0] != "host" || options["-m"][0] != "size=2048M" || property(options["-object"][1], "size") != "2048M" {
		t.Errorf("processor and memory: got %q, %q, %q", options["-cpu"], options["-m"], options["-object"][1])
	}
	im := openFirmware(t, options)
	layout, ok := tdx.KnownLayout(sha256.Sum256(im.Bytes))
	if !ok {
		t.Fatal("firmware is not known")
	}
	initrd := read(t, options, "-initrd")
	sum := sha512.Sum384(initrd)
	p, err := tdx.Predict(tdx.Input{Firmware: im, Layout: layout, Direct: &tdx.Direct{
		Kernel: read(t, options, "-kernel"), InitrdSHA384: &sum, InitrdSize: uint64(len(initrd)), CommandLine: options["-append"][0],
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range o.TDX.Registers {
		if want.Rule != release.RuleShape && (p.Registers[i].Value == nil || p.Registers[i].Value.String() != want.Value) {
			t.Errorf("%s: got %v, want %s", want.Name, p.Registers[i].Value, want.Value)
		}
	}
}

// TestPrintIDBlock: the block goes into the command as it is, if it is that of
// this launch.
func TestPrintIDBlock(t *testing.T) {
	dir, o := confidentialRelease(t)
	text, err := os.ReadFile("../../measure/testdata/sev-rust/test_id_key.pem")
	if err != nil {
		t.Fatal(err)
	}
	key, err := idblock.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	shape := o.SNP.Shapes[slices.IndexFunc(o.SNP.Shapes, func(s release.SNPMachine) bool { return s.Name == "qemu/EPYC-Genoa/2" })]
	digest, err := hex.DecodeString(shape.LaunchDigest)
	if err != nil {
		t.Fatal(err)
	}
	for _, author := range []bool{false, true} {
		keys := idblock.Keys{ID: key}
		want := "off"
		if author {
			keys.Author, want = key, "on"
		}
		set, err := idblock.Make(idblock.Block{LaunchDigest: snp.Digest(digest), Policy: 0x120000, GuestSVN: 7}, keys)
		if err != nil {
			t.Fatal(err)
		}
		block, auth := filepath.Join(t.TempDir(), "block"), filepath.Join(t.TempDir(), "auth")
		if err := os.WriteFile(block, set.BlockBytes, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(auth, set.AuthBytes, 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"--release", dir, "--platform", "snp", "--cpu", "EPYC-Genoa", "--id-block", block, "--id-auth", auth, "--host-data", strings.Repeat("5a", 32)}
		_, options := printed(t, args...)
		object := options["-object"][0]
		for name, want := range map[string]string{
			"policy": "0x120000", "author-key-enabled": want, "host-data": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x5a}, 32)),
			"id-block": base64.StdEncoding.EncodeToString(set.BlockBytes), "id-auth": base64.StdEncoding.EncodeToString(set.AuthBytes),
		} {
			if got := property(object, name); got != want {
				t.Errorf("%s: got %.80q, want %.80q", name, got, want)
			}
		}
		for _, c := range []struct {
			more []string
			want string
		}{
			{[]string{"--vcpus", "4"}, "want " + o.SNP.Shapes[slices.IndexFunc(o.SNP.Shapes, func(s release.SNPMachine) bool { return s.Name == "qemu/EPYC-Genoa/4" })].LaunchDigest},
			{[]string{"--policy", "0x30000"}, "policy: got 0x120000, want that of --policy, 0x30000"},
			{[]string{"--id-auth", block}, "length: got 96, want 4096"},
			{[]string{"--id-auth", ""}, "want both --id-block and --id-auth"},
		} {
			code, stdout, stderr := command(t, append(slices.Concat(args, c.more), "--print-args")...)
			if code == 0 || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("%q: exit %d, got %s, want %s", c.more, code, stderr, c.want)
			}
		}
	}
}

// TestPrintNitro: the command of nitro-cli, whose options are those of
// aws-nitro-enclaves-cli, docs/ubuntu_20.04_how_to_install_nitro_cli_from_github_sources.md.
func TestPrintNitro(t *testing.T) {
	dir, _ := enclaveRelease(t, 65<<20)
	got, _ := printed(t, "--release", dir, "--platform", "nitro", "--name", "a1", "--vcpus", "4", "--memory", "260M")
	want := []string{
		"nitro-cli", "run-enclave", "--enclave-name", "safebox-a1", "--eif-path", filepath.Join(dir, "safebox.eif"),
		"--cpu-count", "4", "--memory", "260",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	code, stdout, stderr := command(t, "--release", dir, "--platform", "nitro", "--memory", "259M", "--print-args")
	if code != 2 || stdout != "" || !strings.Contains(stderr, "--memory 259M, want at least 260M") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestRefusesConfidential: flags of other platforms, and launches that can't be.
func TestRefusesConfidential(t *testing.T) {
	dir, _ := confidentialRelease(t)
	changed, _ := confidentialRelease(t)
	if err := os.WriteFile(filepath.Join(changed, "initrd.cpio.zst"), []byte("xn initrd"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--release", dir, "--platform", "snp"}, 1, "this machine's KVM has no guests of platform snp"},
		{[]string{"--release", dir, "--platform", "tdx"}, 1, "hint: --print-args prints the command for a machine that has them"},
		{[]string{"--release", dir, "--platform", "nitro"}, 1, "starts no enclave"},
		{[]string{"--release", dir, "--platform", "sev"}, 2, `unknown platform "sev", want one of vtpm, snp, tdx, nitro`},
		{[]string{"--release", dir, "--platform", "snp", "--tpm", "x"}, 2, "--tpm is for platform vtpm, not for snp"},
		{[]string{"--release", dir, "--platform", "tdx", "--cpu", "host"}, 2, "--cpu is for platform snp, not for tdx"},
		{[]string{"--release", dir, "--platform", "nitro", "--port", "1"}, 2, "--port is for platform vtpm, snp, tdx, not for nitro"},
		{[]string{"--release", dir, "--platform", "vtpm", "--mrowner", "x"}, 2, "--mrowner is for platform tdx, not for vtpm"},
		{[]string{"--release", dir, "--platform", "snp", "--accel", "tcg"}, 2, "--accel tcg, want kvm"},
		{[]string{"--release", dir, "--platform", "snp", "--vcpus", "0"}, 2, "--vcpus 0"},
		{[]string{"--release", dir, "--platform", "snp", "--print-args", "--cpu", "max"}, 2, "--cpu: parsing CPU type"},
		{[]string{"--release", dir, "--platform", "snp", "--print-args", "--policy", "0x10000"}, 2, "--policy: got 0x10000, want bit 17 set"},
		{[]string{"--release", dir, "--platform", "snp", "--print-args", "--host-data", "00"}, 2, "--host-data: got"},
		{[]string{"--release", dir, "--platform", "tdx", "--print-args", "--mrowner", "zz"}, 2, "--mrowner: got"},
		{[]string{"--platform", "snp"}, 2, "--release is missing"},
		{[]string{"--platform", "nitro"}, 2, "--release is missing"},
		{[]string{"--release", changed, "--platform", "snp", "--print-args"}, 1, "checking release:"},
		{[]string{"--release", changed, "--platform", "nitro", "--print-args"}, 1, "checking release:"},
	} {
		code, stdout, stderr := command(t, c.args...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d: got %s, want exit %d with %q", c.args, code, stderr, c.code, c.want)
		}
	}
}

// TestAcceptedByQEMU gives the printed commands to this machine's QEMU, which
// reads all options of the objects before it finds that there is no hardware.
// QEMU 10.0 has no TDX.
func TestAcceptedByQEMU(t *testing.T) {
	dir, _ := confidentialRelease(t)
	qemu := os.Getenv(realQEMU)
	try := func(args []string) string {
		cmd := exec.Command(qemu, args[1:]...)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("QEMU started %q", args)
		}
		return string(out)
	}
	for platform, want := range map[string][]string{
		"snp": {"cannot set up private guest memory for sev-snp-guest: KVM required"},
		"tdx": {"cannot set up private guest memory for tdx-guest: KVM required", "Parameter 'qom-type' does not accept value 'tdx-guest'"},
	} {
		args, _ := printed(t, "--release", dir, "--platform", platform)
		args[slices.Index(args, "-accel")+1] = "tcg" // the same answer with and without KVM
		said := try(args)
		if !slices.ContainsFunc(want, func(w string) bool { return strings.Contains(said, w) }) {
			t.Errorf("%s: got %s, want one of %q", platform, said, want)
		}
		args[slices.Index(args, "-object")+1] = strings.Replace(args[slices.Index(args, "-object")+1], "kernel-hashes", "kernel-hash", 1)
		if said := try(args); platform == "snp" && !strings.Contains(said, "kernel-hash") {
			t.Errorf("an unknown property: got %s", said)
		}
	}
}
