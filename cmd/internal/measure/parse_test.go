package measure

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"safebox/cmd/internal/cli"
)

func TestParseCounts(t *testing.T) {
	for text, want := range map[string][]int{
		"4": {4}, "1..3": {1, 2, 3}, "8,1..2,2": {1, 2, 8}, "64..64": {64},
		"": nil, "0": nil, "65": nil, "3..2": nil, "1..": nil, "..3": nil, "1,,2": nil, "1-3": nil, "1..2..3": nil, "0x1": nil, "-1": nil, " 1": nil,
		"99999999999999999999": nil,
	} {
		got, err := parseCounts("--vcpus", text, 64)
		if (err == nil) != (want != nil) || !cmp.Equal(got, want) {
			t.Errorf("%q: got %v and %v, want %v", text, got, err, want)
		}
	}
}

// QEMU's -m takes MiB where no unit is given.
func TestParseMemory(t *testing.T) {
	for text, want := range map[string]uint64{
		"2G": 2 << 30, "1536M": 1536 << 20, "1T": 1 << 40, "512": 512 << 20, "4096T": 1 << 52,
		"": 0, "0": 0, "0G": 0, "G": 0, "2g": 0, "2GB": 0, "1.5G": 0, "-1G": 0, "4097T": 0, "99999999999G": 0, "2 G": 0, "1K": 0,
	} {
		got, err := parseMemory(text)
		if (err == nil) != (want != 0) || got != want {
			t.Errorf("%q: got %d and %v, want %d", text, got, err, want)
		}
	}
}

func TestParseHex(t *testing.T) {
	for text, ok := range map[string]bool{"0aFf": true, "0a": false, "0afff": false, "0affff": false, "": false, "0x0a": false, "zz00": false} {
		if b, err := parseHex("--x", text, 2); (err == nil) != ok || ok && !bytes.Equal(b, []byte{0x0a, 0xff}) {
			t.Errorf("%q: got %x and %v, want ok %v", text, b, err, ok)
		}
	}
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		in     commandLine
		want   string
		remark bool
		err    string
	}{
		"none":        {commandLine{}, "", false, ""},
		"empty":       {commandLine{given: true}, "", false, ""},
		"text":        {commandLine{text: " a  b ", given: true}, " a  b ", false, ""},
		"file":        {commandLine{file: file("file", "a\tb")}, "a\tb", false, ""},
		"newline":     {commandLine{file: file("newline", "a\n")}, "a\n", true, ""},
		"NUL":         {commandLine{file: file("nul", "a\x00")}, "", false, "NUL at byte 1"},
		"both":        {commandLine{given: true, file: file("both", "")}, "", false, "want one of"},
		"large":       {commandLine{file: file("large", strings.Repeat("a", maxCommandLine+1))}, "", false, "more than 65536 bytes"},
		"not a file":  {commandLine{file: dir}, "", false, "is a directory"},
		"just enough": {commandLine{file: file("most", strings.Repeat("a", maxCommandLine))}, strings.Repeat("a", maxCommandLine), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text, remark, err := tt.in.read()
			if text != tt.want || (remark != "") != tt.remark || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %.20q, %q and %v, want %.20q, a remark %v and %q", text, remark, err, tt.want, tt.remark, tt.err)
			}
		})
	}
}

// TestEmptyValues: no flag of any command takes an empty value for none given,
// as a script's unset variable has it. The command line may be empty.
func TestEmptyValues(t *testing.T) {
	count := 0
	for _, c := range Command().Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.HasPrefix(f.Value.Type(), "string") || f.Name == "cmdline" {
				return
			}
			count++
			var stdout, stderr bytes.Buffer
			root := &cobra.Command{Use: "safebox"}
			root.AddCommand(Command())
			code := cli.Run(root, []string{"measure", c.Name(), "--" + f.Name, ""}, strings.NewReader(""), &stdout, &stderr)
			if want := "error: --" + f.Name + ": got an empty value"; code != cli.ExitUsage || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) {
				t.Errorf("%s: got code %d, %q and %q, want code 2 and %q", c.Name(), code, stdout.String(), stderr.String(), want)
			}
		})
	}
	if count < 50 {
		t.Errorf("got %d flags with a text, want them all", count)
	}
}

// TestCompanions: the flags that are said to go together are flags.
func TestCompanions(t *testing.T) {
	all := map[string]bool{}
	for _, c := range Command().Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			all[f.Name] = true
			if with := companion(f.Name); with != "" && c.Flags().Lookup(with) == nil {
				t.Errorf("%s: --%s wants --%s, which there is not", c.Name(), f.Name, with)
			}
			if strings.HasPrefix(f.Name, "other-") && companion(f.Name) != "explain" {
				t.Errorf("%s: --%s does nothing without --explain, and is not refused", c.Name(), f.Name)
			}
		})
	}
	for _, name := range idle("explain") {
		if !all[name] {
			t.Errorf("--%s is no flag", name)
		}
	}
}
