package eventlog

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// boots are the folders of testdata/uefi. The list stands here so that none
// can get lost.
func boots() []string {
	return []string{"cred", "esp", "kappend", "kraw", "kuki", "mkosiesp", "osrel", "smbios", "uki", "uki262"}
}

// foreign are the logs of other people's TPMs in testdata/foreign.
func foreign() []string {
	return []string{"cos-101-amd-sev", "crypto_agile", "dstack-uki", "ubuntu-2404-amd-sevsnp"}
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
