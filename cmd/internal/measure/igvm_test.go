package measure

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	write "safebox/image/igvm"
	"safebox/measure/igvm"
	"safebox/measure/snp"
	"safebox/measure/snp/idblock"
)

// runIGVM runs `measure igvm`.
func runIGVM(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := igvmCommand()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(io.Discard)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.Execute()
	return out.String(), err
}

// igvmOracle unpacks a file of measure/igvm/testdata/oracle.py and gives what
// that computed.
func igvmOracle(t *testing.T, name string) (path string, digests map[string]string, mrtd string) {
	t.Helper()
	const dir = "../../../measure/igvm/testdata/"
	packed, err := os.ReadFile(dir + name + ".igvm.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(dir + "oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var list map[string]struct {
		SNP  map[string]string
		MRTD string
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	return path, list[name].SNP, list[name].MRTD
}

func TestIGVM(t *testing.T) {
	small, digests, mrtd := igvmOracle(t, "small")
	large, big, _ := igvmOracle(t, "large")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--file", small}, "launch_digest " + digests["ms"] + "\n"},
		{[]string{"--file", small, "--qemu"}, "launch_digest " + digests["qemu"] + "\n"},
		{[]string{"--file", small, "--shared", "measured", "--insert", "first"}, "launch_digest " + digests["igvmmeasure"] + "\n"},
		{[]string{"--file", small, "--zero-pages", "native", "--shared", "measured", "--insert", "first"}, "launch_digest " + digests["igvmmeasure-native-zero"] + "\n"},
		{[]string{"--file", small, "--json"}, "{\n  \"platform\": \"snp\",\n  \"launch_digest\": \"" + digests["ms"] + "\"\n}\n"},
		{[]string{"--file", small, "--platform", "tdx"}, "mrtd " + mrtd + "\n"},
		{[]string{"--file", large, "--large", "split"}, "launch_digest " + big["igvmmeasure"] + "\n"},
	} {
		got, err := runIGVM(t, c.args...)
		if err != nil || got != c.want && !sameJSON(got, c.want) {
			t.Errorf("%q: got %s, %v, want %s", c.args, got, err, c.want)
		}
	}
	// 4 pages of parameter areas, 7 of the pages that are not shared, 2 save areas;
	// the first has no line before it.
	got, err := runIGVM(t, "--file", small, "--trace")
	if err != nil || strings.Count(got, "\npage ") != 4+7+2-1 || !strings.Contains(got, "page secrets 0x801000 ") {
		t.Errorf("trace: %v: got %s", err, got)
	}
}

// sameJSON compares documents, whatever their white space.
func sameJSON(a, b string) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, []byte(a)) == nil && json.Compact(&y, []byte(b)) == nil && x.String() == y.String()
}

func TestIGVMRefuses(t *testing.T) {
	small, _, _ := igvmOracle(t, "small")
	large, _, _ := igvmOracle(t, "large")
	for want, args := range map[string][]string{
		"--file is missing":                               nil,
		`--platform: got "sev", want snp or tdx`:          {"--file", small, "--platform", "sev"},
		"--qemu and --trace are for platform snp":         {"--file", small, "--platform", "tdx", "--trace"},
		`--zero-pages: got "", want normal or native`:     {"--file", small, "--zero-pages", ""},
		`--shared: got "all", want skipped or measured`:   {"--file", small, "--shared", "all"},
		"want one of --qemu and --insert first":           {"--file", small, "--qemu", "--insert", "first"},
		"got a page of 2 MiB":                             {"--file", large},
		"igvm_test.go: parsing IGVM file: magic at 0x0":   {"--file", "igvm_test.go"},
		"measuring IGVM file for TDX: structure 4 at 0x7": {"--file", large, "--platform", "tdx"},
	} {
		got, err := runIGVM(t, args...)
		if err == nil || got != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %s, %v, want an error with %q", args, got, err, want)
		}
	}
}

// signedIGVM is a small file with an ID block.
func signedIGVM(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../measure/testdata/sev-rust/test_id_key.pem")
	if err != nil {
		t.Fatal(err)
	}
	key, err := idblock.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	vmsa := make([]byte, 4096)
	vmsa[0x3b0] = 1
	list := []igvm.Structure{
		{Type: igvm.SupportedPlatformType, Body: igvm.Platform{Mask: 1, Type: igvm.SNP, Version: 1}},
		{Type: igvm.GuestPolicyType, Body: igvm.GuestPolicy{Policy: 0x30000, Mask: 1}},
		{Type: igvm.PageDataType, Body: igvm.PageData{GPA: 0x1000, Mask: 1}},
		{Type: igvm.VPContextType, Body: igvm.VPContext{GPA: snp.VMSAGPA, Mask: 1, VMSA: vmsa}},
	}
	digest, err := igvm.MeasureSNP(&igvm.File{Structures: list}, igvm.Options{Zero: igvm.ZeroNative})
	if err != nil {
		t.Fatal(err)
	}
	set, err := idblock.Make(idblock.Block{LaunchDigest: digest, Policy: 0x30000, GuestSVN: 5}, idblock.Keys{ID: key})
	if err != nil {
		t.Fatal(err)
	}
	b, err := write.Encode(append(list, igvm.Structure{Type: igvm.SNPIDBlockType, Body: igvm.SNPIDBlock{Mask: 1, LaunchDigest: digest, GuestSVN: 5, Auth: *set.Auth}}))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIGVMBlock: a block that the loader's way of measuring makes right, the
// same block under another way, and one that was changed.
func TestIGVMBlock(t *testing.T) {
	b := signedIGVM(t)
	path := filepath.Join(t.TempDir(), "signed.igvm")
	put := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(b)
	got, err := runIGVM(t, "--file", path, "--zero-pages", "native")
	if err != nil || !strings.Contains(got, "\nid_key_digest ") || !strings.Contains(got, "\npolicy 0x30000\n") {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := runIGVM(t, "--file", path); err == nil || !strings.Contains(err.Error(), "ID block: launch digest: got") {
		t.Errorf("measured in another way: got %v", err)
	}
	f, err := igvm.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	at := f.Structures[slices.IndexFunc(f.Structures, func(s igvm.Structure) bool { return s.Type == igvm.SNPIDBlockType })].Offset
	b[at+8+0x5c]++ // guest_svn
	end := 24 + binary.LittleEndian.Uint32(b[12:])
	binary.LittleEndian.PutUint32(b[20:], igvm.Checksum(b[:24], b[24:end]))
	put(b)
	if _, err := runIGVM(t, "--file", path, "--zero-pages", "native"); err == nil || !strings.Contains(err.Error(), "ID block: verifying ID block") {
		t.Errorf("changed: got %v", err)
	}
}
