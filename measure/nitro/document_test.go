package nitro

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// TestDocuments compares PCR4 with what AWS signed: the document names the
// instance in its module_id, i-..-enc...
func TestDocuments(t *testing.T) {
	names, err := fs.Glob(testdata(), "nitro/docs/*.cbor")
	if err != nil || len(names) != 9 {
		t.Fatalf("%d documents in testdata, want 9: %v", len(names), err)
	}
	for _, name := range names {
		module, pcrs := decodeDocument(t, readFile(t, name))
		id, _, found := strings.Cut(module, "-enc")
		if !found {
			t.Errorf("%s: module_id: got %q", name, module)
		}
		got := predict(t, Input{Parts: parts(t, 1), InstanceID: id, Debug: true})
		if !bytes.Equal(got.PCRs[4].Value[:], pcrs[4]) {
			t.Errorf("%s: PCR4: got %v, want %x", name, got.PCRs[4].Value, pcrs[4])
		}
		if len(pcrs) != Registers {
			t.Errorf("%s: got %d registers, want %d", name, len(pcrs), Registers)
		}
		for _, i := range []int{5, 6, 7, 9, 10, 11, 12, 13, 14, 15} {
			if !bytes.Equal(got.PCRs[i].Value[:], pcrs[i]) {
				t.Errorf("%s: PCR%d: got %v, want %x", name, i, got.PCRs[i].Value, pcrs[i])
			}
		}
		if bytes.Equal(pcrs[0], make([]byte, len(Digest{}))) {
			checkDebug(t, name, got, pcrs)
		}
	}
}

// checkDebug compares the registers of an enclave in debug mode.
func checkDebug(t *testing.T, name string, got *Prediction, pcrs map[int][]byte) {
	t.Helper()
	for _, i := range []int{0, 1, 2, 8} {
		if !bytes.Equal(got.PCRs[i].Value[:], pcrs[i]) || got.PCRs[i].Rule != Zero {
			t.Errorf("%s: PCR%d: got %v, want %x", name, i, got.PCRs[i].Value, pcrs[i])
		}
	}
}

// decodeDocument reads the payload of a COSE_Sign1. Nothing is verified.
func decodeDocument(t *testing.T, b []byte) (module string, pcrs map[int][]byte) {
	t.Helper()
	var message []cbor.RawMessage
	var payload []byte
	var document struct {
		Module string         `cbor:"module_id"`
		PCRs   map[int][]byte `cbor:"pcrs"`
	}
	if err := cbor.Unmarshal(b, &message); err != nil || len(message) != 4 {
		t.Fatalf("message: %v", err)
	}
	if err := cbor.Unmarshal(message[2], &payload); err != nil {
		t.Fatal(err)
	}
	if err := cbor.Unmarshal(payload, &document); err != nil {
		t.Fatal(err)
	}
	return document.Module, document.PCRs
}
