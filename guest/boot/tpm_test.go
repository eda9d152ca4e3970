package boot

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safebox/guest/quote/quotetest"
	"safebox/measure/tpm/golden"

	"github.com/google/go-tpm/tpm2"
)

// TestReadRegisters reads a real TPM: after start-up PCR 17 to 22 are all
// ones, the others zero (TCG PC Client Platform TPM Profile 1.05, table 5:
// PCR initial and reset values); then one is extended.
func TestReadRegisters(t *testing.T) {
	tpm := quotetest.Start(t).Open(t)
	got, err := readRegisters(tpm)
	if err != nil {
		t.Fatal(err)
	}
	for _, bank := range golden.Banks() {
		for i, v := range got[bank] {
			want := bank.Zero()
			if i >= 17 && i <= 22 {
				want = bytes.Repeat([]byte{0xff}, len(want))
			}
			if !want.Equal(v) {
				t.Errorf("%v pcr%d: got %v, want %v", bank, i, v, want)
			}
		}
	}
	one := bytes.Repeat([]byte{1}, 48)
	_, err = tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(12), Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{
			{HashAlg: tpm2.TPMAlgSHA256, Digest: one[:32]}, {HashAlg: tpm2.TPMAlgSHA384, Digest: one},
		}},
	}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = readRegisters(tpm); err != nil {
		t.Fatal(err)
	}
	for _, bank := range golden.Banks() {
		want := bank.Extend(bank.Zero(), one[:len(bank.Zero())])
		if v := got[bank][12]; !want.Equal(v) {
			t.Errorf("%v pcr12: got %v, want %v", bank, v, want)
		}
	}
	if banks := got.banks(); len(banks) != 2 || banks[1].Algorithm != "sha384" || len(banks[1].PCRs[23]) != 96 {
		t.Errorf("report has %v", banks)
	}
}

// TestMissingBank: a TPM that keeps no SHA-384 bank is an error, not a bank
// of empty values.
func TestMissingBank(t *testing.T) {
	_, err := readRegisters(quotetest.StartBanks(t, "sha256").Open(t))
	want := "reading sha384 pcr0 to pcr7: TPM returned 0 digests, want 8"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestOpenTPMWaitsAndGivesUp(t *testing.T) {
	if _, err := openTPM(filepath.Join(t.TempDir(), "none"), 20*time.Millisecond); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that there is no such file", err)
	}
}
