package eventlog

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safebox/measure/vectortest"
)

// boots are the folders of testdata/uefi. The list stands here so that none
// can get lost.
func boots() []string {
	return []string{"cred", "esp", "kappend", "kraw", "kuki", "mkosiesp", "osrel", "smbios", "uki", "uki262"}
}

// foreign are the logs of other people's TPMs in ../testdata.
func foreign() []string {
	return []string{
		"go-eventlog/cos-101-amd-sev.bin", "go-eventlog/crypto_agile_eventlog", "dstack/tpm_eventlog.bin",
		"go-eventlog/ubuntu-2404-amd-sevsnp.bin",
	}
}

// guests are the logs of TDX guests in ../testdata.
func guests() []string {
	return []string{
		"go-eventlog/CCEL_unpadded.data.bin", "go-eventlog/cos-113-intel-tdx.bin",
		"go-eventlog/cos-113-intel-tdx-dupe-separator.bin", "go-eventlog/cos-113-intel-tdx-dupe-separator-unpadded.bin",
		"go-eventlog/event_log.bin", "dstack/ccel.bin",
	}
}

// vectors is measure/testdata.
func vectors() fs.FS { return os.DirFS("../testdata") }

func readForeign(t testing.TB, name string) *Log {
	t.Helper()
	l, err := Decode(vectortest.File(t, vectors(), name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return l
}

func readGuest(t testing.TB, name string) *CCLog {
	t.Helper()
	l, err := DecodeCCEL(vectortest.File(t, vectors(), name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return l
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readLog(t testing.TB, path string) *Log {
	t.Helper()
	l, err := Decode(readFile(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return l
}

// readPCRs reads the values of one bank that a TPM returned.
func readPCRs(t testing.TB, path, bank string) map[int][]byte {
	t.Helper()
	pcrs := map[int][]byte{}
	for _, line := range strings.Split(strings.TrimSpace(string(readFile(t, path))), "\n") {
		var name, value string
		var n int
		if _, err := fmt.Sscanf(line, "PCR %s %d %s", &name, &n, &value); err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		if name != bank {
			continue
		}
		b, err := hex.DecodeString(value)
		if err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		pcrs[n] = b
	}
	return pcrs
}
