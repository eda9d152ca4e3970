package inspect

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"

	build "safebox/image/uki"
	"safebox/measure/vectortest"
)

func shared(t testing.TB, name string) []byte {
	t.Helper()
	return vectortest.File(t, os.DirFS("../../measure/testdata"), name)
}

// describe inspects and wants a kind.
func describe(t *testing.T, b []byte, kind string) *Report {
	t.Helper()
	r, err := Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	if r.Kind != kind || Kind(b) != kind {
		t.Fatalf("kind: got %q and %q, want %q", r.Kind, Kind(b), kind)
	}
	return r
}

// value finds an item by its path. Of several with one name the first counts.
func value(t *testing.T, r *Report, path ...string) string {
	t.Helper()
	items, found := r.Items, ""
	for _, name := range path {
		i := slices.IndexFunc(items, func(i Item) bool { return i.Name == name })
		if i < 0 {
			t.Fatalf("%s: no item %s", strings.Join(path, "/"), name)
		}
		found, items = items[i].Value, items[i].Items
	}
	return found
}

// wants compares items, given by path and value. One that ends in ".." may go on.
func wants(t *testing.T, r *Report, want map[string]string) {
	t.Helper()
	for path, w := range want {
		got := value(t, r, strings.Split(path, "/")...)
		start, open := strings.CutSuffix(w, "..")
		if got != w && !(open && strings.HasPrefix(got, start)) {
			t.Errorf("%s:\n got %q\nwant %q", path, got, w)
		}
	}
}

// TestOVMF: the numbers are those of specs/measure.md 4.1 and of a reader in
// Python, the digests those of sha384sum and of real boots: the CFV's is event
// 2 of dstack's hardware log, DXEFV's event 2 of the log of
// ../../measure/eventlog/testdata/uefi/esp.
func TestOVMF(t *testing.T) {
	r := describe(t, shared(t, "debian-ovmf/OVMF.fd"), "OVMF")
	if want := "14954040cc754ade0c625ac3470ea46d4c14318b5b1396de4ef77090203d76db"; r.SHA256 != want {
		t.Errorf("SHA-256: got %s, want %s as in debian-ovmf/vectors.json", r.SHA256, want)
	}
	wants(t, r, map[string]string{
		"layout":  "OvmfPkgX64",
		"whole":   "yes",
		"address": "0xffc00000",
		"footer":  "5",
		"footer/00f771de-1a7e-4fcb-890e-68c77e2fb44e":      "SEV-ES reset block",
		"footer/00f771de-1a7e-4fcb-890e-68c77e2fb44e/data": "04b08000",
		"footer/reset_eip":    "0x0080b004",
		"footer/hash_table":   "none",
		"sev_sections":        "6 at offset 0x3ffab8",
		"sev_sections/2":      "SNP_SECRETS, 0x1000 bytes at 0x80d000",
		"tdx_sections":        "6 at offset 0x3ff640",
		"tdx_sections/0":      "BFV, 0x37c000 bytes at 0xffc84000, measured (MR_EXTEND)",
		"tdx_sections/0/data": "0x37c000 bytes at offset 0x84000",
		"tdx_sections/1/data/sha384": "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6" +
			"412af21c097d473155875ffd561d6790",
		"tdx_sections/4":                      "TD_HOB, 0x2000 bytes at 0x809000",
		"volumes":                             "3",
		"volumes/SECFV/offset":                "0x3cc000",
		"volumes/FVMAIN_COMPACT/DXEFV":        "15204352 bytes",
		"volumes/FVMAIN_COMPACT/DXEFV/sha256": "450136d3f01290a89f67a4ecc0e3f8a9d16f49e9eb4e17c4cacdffdeea32f806",
		"volumes/FVMAIN_COMPACT/DXEFV/sha384": "10d7a73a4f51a085ed7f5c753df5138baed369eb4c9ad5353be7150c9ddb59ab" +
			"7cfc920b451696d06baf09d86dbc35bf",
	})
}

// TestPartsOfFirmware: what is not a whole image says so, and gives no digest
// of bytes that lie elsewhere in the whole one.
func TestPartsOfFirmware(t *testing.T) {
	r := describe(t, shared(t, "debian-ovmf/OVMF_CODE_4M.fd"), "OVMF")
	whole := value(t, r, "whole")
	for _, want := range []string{"no: ", "OVMF_CODE.fd?", "want the unified image (VARS and CODE in one file, OVMF.fd)"} {
		if !strings.Contains(whole, want) {
			t.Errorf("whole: got %q, want it to contain %q", whole, want)
		}
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	_, sections, _ := strings.Cut(text.String(), "\ntdx_sections ")
	sections, _, _ = strings.Cut(sections, "\nvolumes ")
	if sections == "" || strings.Contains(sections, "sha384") {
		t.Errorf("TDX sections: got %q, want no digest", sections)
	}

	r = describe(t, shared(t, "sev-snp-measure/svsm.bin"), "OVMF")
	wants(t, r, map[string]string{
		"layout": "SVSM", "whole": "yes", "footer/svsm_entry": "0x0 from the start", "volumes": "none",
		"footer/launch_secret": "0x0 bytes at 0xdeadbeef",
	})
	r = describe(t, shared(t, "sev-snp-measure/ovmf_AmdSev_suffix.bin"), "OVMF")
	wants(t, r, map[string]string{
		"layout": "AmdSev", "whole": "no: ..", "volumes": "none",
		"footer/hash_table": "0x400 bytes at 0x810c00", "sev_sections/5": "SNP_KERNEL_HASHES, 0x1000 bytes at 0x810000",
	})
	r = describe(t, shared(t, "debian-ovmf/OVMF_VARS_4M.fd"), "firmware volumes")
	wants(t, r, map[string]string{
		"sha384":            "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790",
		"volumes/variables": "540672 bytes",
	})
}

// TestEIF compares with another program's vectors, vectors.json beside the
// images, and with openssl x509 on the certificate.
func TestEIF(t *testing.T) {
	var vectors []struct {
		File, CRC32, SHA256 string
		PCR                 map[string]string
	}
	if err := json.Unmarshal(shared(t, "nitro/eif/vectors.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	tested := 0
	for _, v := range vectors {
		b := shared(t, "nitro/eif/"+v.File)
		switch v.File {
		case "gap_between_sections.eif", "bad_crc.eif", "size_mismatch.eif":
			if _, err := Bytes(b); err == nil || !strings.HasPrefix(err.Error(), "inspecting EIF: ") {
				t.Errorf("%s: got error %v, want one", v.File, err)
			}
			continue
		}
		tested++
		r := describe(t, b, "EIF")
		if r.SHA256 != v.SHA256 {
			t.Errorf("%s: SHA-256: got %s, want %s", v.File, r.SHA256, v.SHA256)
		}
		want := map[string]string{"crc32": v.CRC32}
		for name, w := range v.PCR {
			want["registers/"+strings.ToLower(name)] = w
		}
		wants(t, r, want)
	}
	if tested != 7 {
		t.Errorf("got %d images, want 7", tested)
	}
	wants(t, describe(t, shared(t, "nitro/eif/two_ramdisks_aarch64.eif"), "EIF"), map[string]string{
		"version": "4", "arch": "aarch64", "sections": "5", "signature": "none", "registers/pcr8/note": "the image is not signed",
		"sections/0": "kernel, 1040 bytes at 0x224",
	})
	wants(t, describe(t, shared(t, "nitro/eif/signed_p384.eif"), "EIF"), map[string]string{
		"signature": "verifies", "signature/algorithm": "ES384", "signature/subject": `"CN=eif-vector-signer"`,
		"signature/not_after": "2099-01-01T00:00:00Z", "metadata/build_tool": `"eifgen"`, "metadata": "not measured",
	})
}

// TestCorruptSignature: an image whose signature does not hold is shown, and
// has no PCR8.
func TestCorruptSignature(t *testing.T) {
	b := shared(t, "nitro/eif/signed_p384.eif")
	b[0x23c] ^= 1 // within the kernel, so that PCR0 is another one
	binary.BigEndian.PutUint32(b[0x220:], crc32.ChecksumIEEE(slices.Concat(b[:0x220], b[0x224:])))
	r := describe(t, b, "EIF")
	wants(t, r, map[string]string{
		"signature":      "does not verify: verifying EIF signature: signed PCR0: got 085ae2845547d01473abfee2c3ba4ab2a2abc303cf2d2533010bb0f85e37a25a..",
		"registers/pcr8": "none", "registers/pcr8/note": "the signature does not verify",
		"registers/pcr2": "a1ef40c603ef4d2403f9a0c8bcdec0f60a1915141d81e0676bdcf917257f76167de4d8d9176d6c59559c4737e8e0f3e0",
	})
	if got := value(t, r, "registers", "pcr0"); strings.HasPrefix(got, "085ae284") {
		t.Errorf("pcr0: got %s, that of another kernel", got)
	}
}

// TestCCEL compares registers with go-eventlog's vectors.json, and layouts with
// the words of its vectors: "legacy layout L0", "Intel downstream", and a disk
// boot of Google Compute Engine, which package tdx counts as l1. Those with the
// duplicate separator have the order of l0: it lies in RTMR0 behind the boot
// entries, and RTMR1 has none. dstack's log is of edk2 before 2025.05.
func TestCCEL(t *testing.T) {
	var file struct {
		Vectors []struct {
			Log, Kind string
			Expected  map[string]any
		}
	}
	if err := json.Unmarshal(shared(t, "go-eventlog/vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	layouts := map[string]string{
		"CCEL_unpadded.data.bin": "l0", "event_log.bin": "intel", "cos-113-intel-tdx.bin": "l1",
		"cos-113-intel-tdx-dupe-separator.bin": "l0", "cos-113-intel-tdx-dupe-separator-unpadded.bin": "l0",
	}
	registers := 0
	for _, v := range file.Vectors {
		if v.Kind != "" { // of a TPM
			describe(t, shared(t, "go-eventlog/"+v.Log), "event log")
			continue
		}
		r := describe(t, shared(t, "go-eventlog/"+v.Log), "CCEL event log")
		want := map[string]string{"firmware_layout": layouts[v.Log]}
		for name, w := range v.Expected {
			if i := strings.Index(name, "rtmr"); i >= 0 {
				want["replayed SHA384/"+name[i:]] = w.(string)
				registers++
			}
		}
		wants(t, r, want)
	}
	if registers != 12 {
		t.Errorf("got %d registers, want 12", registers)
	}
	r := describe(t, shared(t, "dstack/ccel.bin"), "CCEL event log")
	wants(t, r, map[string]string{
		"firmware_layout": "l1",
		"data":            "every SHA-256 and SHA-384 digest that is the hash of its data is right",
		"events/0/sha384": "2b630fa1d8fa9b6e8c6507d2256803ed227888f7d1f62ca5cfbddfe495338b1c6a0fc339ea64700f0835c0897a662789", // parse_ccel.snap
	})
	r = describe(t, shared(t, "go-eventlog/cos-113-intel-tdx-dupe-separator.bin"), "CCEL event log")
	if got := value(t, r, "duplicate_separator"); !strings.HasPrefix(got, "duplicate separator in RTMR") {
		t.Errorf("duplicate_separator: got %q", got)
	}
}

// TestChangedCCEL: a digest that is not that of its data is said.
func TestChangedCCEL(t *testing.T) {
	b := shared(t, "go-eventlog/CCEL_unpadded.data.bin")
	i := bytes.Index(b, []byte("Exit Boot Services Invocation"))
	b[i] = 'e'
	r := describe(t, b, "CCEL event log")
	wants(t, r, map[string]string{"data": "checking event 17 in RTMR1: EV_EFI_ACTION: sha384 digest: got 214b0bef.."})
}

// TestTDShimLog: a log that names register 0 in its header, as td-shim's do,
// is not taken for one of a TPM when it is filled.
func TestTDShimLog(t *testing.T) {
	b := append(shared(t, "go-eventlog/CCEL_unpadded.data.bin"), make([]byte, 64)...)
	b[0] = 0
	describe(t, b, "CCEL event log")
}

// TestCCELTable: upstream's reading of the file is LAML 0x10000 and LASA
// 0x7d649000 (go-eventlog/vectors.json, "ccel-unpadded").
func TestCCELTable(t *testing.T) {
	wants(t, describe(t, shared(t, "go-eventlog/CCEL.bin"), "CCEL table"), map[string]string{
		"log_size": "0x10000", "log_address": "0x7d649000", "oem": `"INTEL "`,
	})
}

// TestUKI has sections that release images don't have. The digests of the
// addon that stands in for a kernel are those of osslsigncode
// (../../measure/pe/testdata/README.md).
func TestUKI(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile("../../measure/pe/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b, err := build.Assemble(read("linuxx64.efi.stub"), []build.Section{
		{Name: ".osrel", Data: []byte("ID=test\n")},
		{Name: ".cmdline", Data: []byte("quiet\x00")},
		{Name: ".profile", Data: []byte("ID=main\nTITLE=Main\n")},
		{Name: ".pcrpkey", Data: []byte("-----BEGIN PUBLIC KEY-----\n")},
		{Name: ".linux", Data: read("addonx64.efi.stub")},
		{Name: ".initrd", Data: []byte("no archive")},
	})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, describe(t, b, "UKI"), map[string]string{
		"linux/authenticode_sha256": "cf9f98edc997e3717bb93a395c6a0aed30b1274ff46f19143f3b72e7aa90edca",
		"linux/authenticode_sha384": "259cfdb9e6ac707a097a0aad60d5cc1e8db8487be22b39cccbdbe4626943dc7b1648ce02ade029bc84eaaf5b8e216b37",
		"profiles":                  "1",
		"sections/.profile/text":    `"ID=main\nTITLE=Main\n"`,
		"sections/.pcrpkey/text":    `"-----BEGIN PUBLIC KEY-----\n"`,
		"sections/.cmdline/text":    `"quiet"`,
		"sections/.sdmagic/text":    `"#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####"`,
		// printf 'ID=test\n' | sha384sum
		"sections/.osrel/sha384": "05455077e956bae8d077b0efebbc2da3ec1771c9ac84bf6694238f137d1a911038d7078be6a0ced3a62860cf3c475b95",
	})
	describe(t, read("linuxx64.efi.stub"), "PE image")
}

// TestKindsApart: what is none of the formats has no kind, and damaged files
// of a kind keep it and are refused.
func TestKindsApart(t *testing.T) {
	if got := Kind([]byte("plain text")); got != "" {
		t.Errorf("kind of text: got %q, want none", got)
	}
	if _, err := Bytes([]byte("plain text")); err == nil || !strings.Contains(err.Error(), "not recognised: got 10 bytes beginning 706c61696e207465") {
		t.Errorf("text: got error %v", err)
	}
	ovmf := shared(t, "sev-snp-measure/ovmf_AmdSev_suffix.bin")
	ovmf[len(ovmf)-49] = 0xff // the length of the table
	tests := []struct {
		name string
		b    []byte
		want string
	}{
		{"OVMF", ovmf, "inspecting OVMF: parsing firmware table at 0xfce: length of the table: got 65416, want 18 to 4064"},
		{"CCEL table", shared(t, "go-eventlog/CCEL.bin")[:55], "inspecting CCEL table: parsing CCEL table: length: got 55, want 56"},
		{"CCEL event log", shared(t, "go-eventlog/CCEL_unpadded.data.bin")[:2000], "inspecting CCEL event log: parsing event"},
		{"EIF", []byte(".eif"), "inspecting EIF: parsing EIF: file size: got 4"},
		{"firmware volumes", shared(t, "debian-ovmf/OVMF_VARS_4M.fd")[:4096], "inspecting firmware volumes: reading firmware volumes: at 0x0: volume length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Kind(tt.b); got != tt.name {
				t.Errorf("kind: got %q, want %q", got, tt.name)
			}
			if _, err := Bytes(tt.b); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// FuzzBytes: no content makes a reader fail in another way than with an error,
// or speak to the terminal.
func FuzzBytes(f *testing.F) {
	for _, name := range []string{
		"go-eventlog/CCEL_unpadded.data.bin", "go-eventlog/CCEL.bin", "go-eventlog/crypto_agile_eventlog",
		"sev-snp-measure/ovmf_AmdSev_suffix.bin", "nitro/eif/signed_p384.eif",
	} {
		f.Add(shared(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Bytes(b)
		if err != nil {
			return
		}
		if r.Kind != Kind(b) {
			t.Errorf("kind: got %q and %q", r.Kind, Kind(b))
		}
		var text bytes.Buffer
		if err := r.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		if i := bytes.IndexFunc(text.Bytes(), func(c rune) bool { return c < ' ' && c != '\n' }); i >= 0 {
			t.Errorf("text: got a control character at byte %d", i)
		}
	})
}
