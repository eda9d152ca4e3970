package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"safebox/measure/vectortest"
	"safebox/verifier/canon"
)

// vectors is the folder of other people's vectors.
func vectors() fs.FS { return os.DirFS(filepath.Join(root, "measure", "testdata")) }

// TestMeasureScripts runs testdata/measure/*.txt: see testdata/README.md.
func TestMeasureScripts(t *testing.T) {
	for _, tool := range []string{"qemu-system-x86_64", "sha256sum", "sha384sum", "base64", "od"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: run ci/setup", err)
		}
	}
	release := buildRelease(t, "vtpm,snp,tdx")
	files := measureFiles(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/measure",
		Setup: func(env *testscript.Env) error {
			source, err := filepath.Abs(root)
			if err != nil {
				return err
			}
			env.Setenv("SOURCE", source)
			env.Setenv("VECTORS", filepath.Join(source, "measure", "testdata"))
			env.Setenv("RELEASE", release)
			for name, b := range files {
				path := filepath.Join(env.WorkDir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(path, b, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails":    fails,
			"isjson":   isJSON,
			"code":     exitCode,
			"vector":   setVector,
			"value":    setValue,
			"poke":     poke,
			"patch":    patch,
			"sums":     artifactSums,
			"setjson":  setJSON,
			"table":    hashTable,
			"chain":    commandChain,
			"folds":    folds384,
			"assemble": assemble,
		},
	})
}

// buildRelease runs `safebox build` from the pinned inputs.
func buildRelease(t *testing.T, platforms string) string {
	t.Helper()
	s := &stage{inputs: t.TempDir()}
	s.linkInputs(t)
	out := filepath.Join(t.TempDir(), "release")
	var stdout, stderr bytes.Buffer
	args := []string{"build", "--source", root, "--inputs", s.inputs, "--out", out, "--platform", platforms}
	if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("safebox %q: got code %d and %q", args, code, stderr.String())
	}
	return out
}

// measureFiles are those files of measure/testdata that are packed there, by
// the names under which scripts find them.
func measureFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for name, from := range map[string]string{
		"OVMF.fd":                          "debian-ovmf/OVMF.fd",
		"OVMF_CODE_4M.fd":                  "debian-ovmf/OVMF_CODE_4M.fd",
		"svsm.bin":                         "sev-snp-measure/svsm.bin",
		"svsm_ovmf.fd":                     "sev-snp-measure/svsm_ovmf.fd",
		"ccel.bin":                         "dstack/ccel.bin",
		"cos-113-intel-tdx.bin":            "go-eventlog/cos-113-intel-tdx.bin",
		"event_log.bin":                    "go-eventlog/event_log.bin",
		"q35-2g-4cpu/etc_acpi_rsdp.bin":    "qemu-acpi/q35-2g-4cpu/etc_acpi_rsdp.bin",
		"q35-2g-4cpu/etc_acpi_tables.bin":  "qemu-acpi/q35-2g-4cpu/etc_acpi_tables.bin",
		"q35-2g-4cpu/etc_table-loader.bin": "qemu-acpi/q35-2g-4cpu/etc_table-loader.bin",
	} {
		files[name] = vectortest.File(t, vectors(), from)
	}
	boots := os.DirFS(filepath.Join(root, "measure", "tpm", "testdata", "boots"))
	for _, name := range []string{"disabled.fd", "ca.fd"} {
		files[name] = vectortest.File(t, boots, "inputs/"+name)
	}
	files["OVMF_CODE_4M.secboot.fd"] = packaged(t, "ovmf", "usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
	return files
}

// exitCode CODE ARGS runs safebox, which must end with that code.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	code, err := strconv.Atoi(args[0])
	if neg || err != nil {
		ts.Fatalf("usage: code CODE ARGUMENT...")
	}
	execute(ts, code, args[1:])
}

// setVector NAME FILE KEY... sets the environment variable NAME to a value of a
// file of vectors. The first key is a vector's id, file or member; further ones
// are members or indices.
func setVector(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: vector NAME FILE ID KEY...")
	}
	b, err := fs.ReadFile(vectors(), args[1])
	ts.Check(err)
	var v any
	ts.Check(json.Unmarshal(b, &v))
	for i, key := range args[2:] {
		if object, ok := v.(map[string]any); ok && i == 0 && object[key] == nil {
			v = object["vectors"]
		}
		if v = member(v, key); v == nil {
			ts.Fatalf("%s: nothing at %q", args[1], args[2:3+i])
		}
	}
	text, ok := v.(string)
	if !ok {
		ts.Fatalf("%s: %q: got %v, want a string", args[1], args[2:], v)
	}
	ts.Setenv(args[0], text)
}

// setValue NAME REGISTER sets the environment variable NAME to the value that was
// printed for a register.
func setValue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: value NAME REGISTER")
	}
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == args[1] {
			ts.Setenv(args[0], fields[1])
			return
		}
	}
	ts.Fatalf("no value of %s was printed", args[1])
}

// member finds a value in an object by its name, in a list by its place or by
// what the files here know their entries by. Nil if there is none.
func member(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[key]
	case []any:
		if i, err := strconv.Atoi(key); err == nil && i < len(v) {
			return v[i]
		}
		for _, e := range v {
			object, ok := e.(map[string]any)
			if ok && slices.Contains([]any{object["id"], object["File"], object["platform"], object["name"]}, any(key)) {
				return object
			}
		}
	}
	return nil
}

// poke FILE OFFSET HEX writes bytes over others.
func poke(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: poke FILE OFFSET HEX")
	}
	offset, err := strconv.ParseInt(args[1], 0, 64)
	ts.Check(err)
	b, err := hex.DecodeString(args[2])
	ts.Check(err)
	name := ts.MkAbs(args[0])
	content, err := os.ReadFile(name)
	ts.Check(err)
	if int(offset)+len(b) > len(content) {
		ts.Fatalf("%s has %d bytes", args[0], len(content))
	}
	copy(content[offset:], b)
	ts.Check(os.WriteFile(name, content, 0o644))
}

// hashTable OUT KERNEL INITRD CMDLINE writes the table that QEMU puts into the
// guest's memory: specs/measure.md 2.3, read in target/i386/sev.c
// (PaddedSevHashTable). CMDLINE is a file; the NUL is added here.
func hashTable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: table OUT KERNEL INITRD CMDLINE")
	}
	sum := func(name, tail string) []byte {
		b, err := os.ReadFile(ts.MkAbs(name))
		ts.Check(err)
		h := sha256.Sum256(append(b, tail...))
		return h[:]
	}
	var table []byte
	entry := func(guid string, size uint16, data []byte) {
		b, err := hex.DecodeString(guid)
		ts.Check(err)
		table = append(binary.LittleEndian.AppendUint16(append(table, b...), size), data...)
	}
	entry("06d63894224fc94cb479a793d411fd21", 168, nil)
	entry("d82dd09720bd944caa78e7714d36ab2a", 50, sum(args[3], "\x00"))
	entry("31f7ba442f3ad74b9af141e29169781d", 50, sum(args[2], ""))
	entry("3794e74dd2ab7f42b835d5b172d2045b", 50, sum(args[1], ""))
	table = append(table, make([]byte, 176-len(table))...)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), table, 0o644))
}

// chain TRACE FIRMWARE [TABLE OFFSET] computes the launch digest of `measure
// snp --trace` again, page by page: AMD 56860, 8.17.2 (PAGE_INFO). The contents
// of VMSAs are not known here, so those pages only have to be the last. TABLE is
// what lies on the page SNP_KERNEL_HASHES, at OFFSET.
func commandChain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 4 {
		ts.Fatalf("usage: chain TRACE FIRMWARE [TABLE OFFSET]")
	}
	firmware, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	hashes := make([]byte, 4096)
	if len(args) == 4 {
		table, err := os.ReadFile(ts.MkAbs(args[2]))
		ts.Check(err)
		offset, err := strconv.ParseInt(args[3], 0, 64)
		ts.Check(err)
		copy(hashes[offset:], table)
	}
	base := uint64(1)<<32 - uint64(len(firmware))
	digest, seen := make([]byte, 48), map[string]int{}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		f := strings.Fields(line)
		if f[0] == "launch_digest" {
			if f[1] != hex.EncodeToString(digest) {
				ts.Fatalf("got %s, want %x, the digest after the last page", f[1], digest)
			}
			break
		}
		gpa, err := strconv.ParseUint(f[2], 0, 64)
		ts.Check(err)
		seen[f[1]+" "+f[4]]++
		contents := make([]byte, 48)
		kind := byte(slices.Index([]string{"normal", "vmsa", "zero", "unmeasured", "secrets", "cpuid"}, f[1]) + 1)
		switch {
		case kind == 0:
			ts.Fatalf("page type %q", f[1])
		case kind == pageNormal && f[4] == "firmware":
			contents = sum384(firmware[gpa-base : gpa-base+4096])
		case kind == pageNormal:
			contents = sum384(hashes)
		}
		digest = extendLaunch(digest, contents, kind, gpa)
		if kind == pageVMSA {
			digest, err = hex.DecodeString(f[3])
			ts.Check(err)
		}
		if got := hex.EncodeToString(digest); got != f[3] {
			ts.Fatalf("%sgot %s, want %s", line, f[3], got)
		}
	}
	if got := seen["normal firmware"]; got != len(firmware)/4096 {
		ts.Fatalf("got %d pages of firmware, want %d", got, len(firmware)/4096)
	}
	if got := seen["normal SNP_KERNEL_HASHES"]; got != len(args)/4 {
		ts.Fatalf("got %d pages of kernel hashes, want %d", got, len(args)/4)
	}
}

// Page types, AMD 56860, 8.17.2.
const (
	pageNormal = 1
	pageVMSA   = 2
)

// extendLaunch is the launch digest after a page: AMD 56860, 8.17.2 (PAGE_INFO).
func extendLaunch(digest, contents []byte, kind byte, gpa uint64) []byte {
	info := append(slices.Concat(digest, contents), 0x70, 0, kind, 0, 0, 0, 0, 0)
	return sum384(binary.LittleEndian.AppendUint64(info, gpa))
}

func sum384(b []byte) []byte {
	h := sha512.Sum384(b)
	return h[:]
}

// folds384 FILE REGISTER...: in the output of `measure tdx --trace`, these
// registers have values, each the fold of the digests below it.
func folds384(ts *testscript.TestScript, neg bool, args []string) {
	values, want := map[string][]byte{}, map[string]string{}
	name := ""
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		f := strings.Fields(line)
		if !strings.HasPrefix(line, " ") {
			name = f[0]
			want[name], values[name] = f[1], make([]byte, 48)
			continue
		}
		if slices.Contains(args[1:], name) {
			digest, err := hex.DecodeString(f[0])
			ts.Check(err)
			values[name] = sum384(append(values[name], digest...))
		}
	}
	for _, name := range args[1:] {
		if got := hex.EncodeToString(values[name]); neg || got != want[name] || len(want[name]) != 96 {
			ts.Fatalf("%s: its events fold to %s, want %s", name, got, want[name])
		}
	}
}

// setJSON FILE VALUE KEY... changes a value of a release.json, which stays
// canonical; without a VALUE (”) it takes it out. In a list a key is a place, a
// platform or a name.
func setJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: setjson FILE VALUE KEY...")
	}
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var r any
	ts.Check(d.Decode(&r))
	at, last := r, len(args)-1
	for _, key := range args[2:last] {
		at = member(at, key)
	}
	object, ok := at.(map[string]any)
	if !ok || object[args[last]] == nil {
		ts.Fatalf("%s: nothing at %q", args[0], args[2:])
	}
	switch object[args[last]].(type) {
	case string:
		object[args[last]] = args[1]
	case json.Number:
		object[args[last]] = json.Number(args[1])
	default:
		delete(object, args[last])
	}
	b, err = canon.Marshal(r)
	ts.Check(err)
	ts.Check(os.WriteFile(name, b, 0o644))
}

// artifactSums FILE ARTIFACT writes into a release.json the digests that an
// artifact beside it has.
func artifactSums(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sums FILE ARTIFACT")
	}
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	sum := sha256.Sum256(b)
	for key, value := range map[string][]byte{"sha256": sum[:], "sha384": sum384(b)} {
		setJSON(ts, false, []string{args[0], hex.EncodeToString(value), "artifacts", filepath.Base(args[1]), key})
	}
}
