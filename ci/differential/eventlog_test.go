package differential

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-eventlog/register"
	"github.com/google/go-eventlog/tcg"
	"github.com/google/go-tpm-tools/proto/attest"
	"google.golang.org/protobuf/proto"

	"safebox/measure/eventlog"
	"safebox/verifier/tdx"
)

// tpmLogs are the logs of TPMs in the vectors.
func tpmLogs(t testing.TB) map[string][]byte {
	t.Helper()
	logs := map[string][]byte{"dstack": read(t, "vtpm/dstack/tpm_eventlog.bin")}
	for _, name := range []string{
		"arch-linux-workstation", "confidential-gke-debug-251000_eventlog", "cos-101-amd-sev", "cos-85-amd-sev", "cos-93-amd-sev", "debian-10",
		"eventlogwithsp800155", "gdc-host", "glinux-alex", "rhel8-uefi", "ubuntu-1804-amd-sev", "ubuntu-2104-no-dbx", "ubuntu-2104-no-secure-boot",
		"ubuntu-2404-amd-sevsnp",
	} {
		logs[name] = read(t, "vtpm/go-tpm-tools/eventlogs/"+name+".bin")
	}
	a := &attest.Attestation{}
	if err := proto.Unmarshal(read(t, gceNonce), a); err != nil {
		t.Fatal(err)
	}
	logs["gce attestation"] = a.EventLog
	return logs
}

// ccLogs are the logs of TDX guests.
func ccLogs(t testing.TB) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"cos":      read(t, "tdx/go-tdx-guest/ccel/ccel_data.dat"),
		"gcp":      read(t, "tdx/trustee/CCEL_data_gcp"),
		"grub":     read(t, "tdx/trustee/CCEL_data_grub"),
		"ovmf":     read(t, "tdx/trustee/CCEL_data_ovmf"),
		"ccel.bin": read(t, "tdx/dstack/ccel.bin"),
	}
}

// bank is a bank of registers. SHA-1 is not here: ours counts none.
type bank struct {
	name string
	ours eventlog.Algorithm
	hash crypto.Hash
	alg  register.HashAlg
}

func banks() []bank {
	return []bank{
		{"SHA-256", eventlog.SHA256, crypto.SHA256, register.HashSHA256},
		{"SHA-384", eventlog.SHA384, crypto.SHA384, register.HashSHA384},
	}
}

// TestEventLogs compares the replay of event logs: the registers that ours
// computes must be those that theirs accepts, and no others.
func TestEventLogs(t *testing.T) {
	var pairs []pair
	logs := tpmLogs(t)
	for _, name := range sorted(logs) {
		for _, b := range banks() {
			pairs = append(pairs, tpmLogPairs(t, name, logs[name], b)...)
		}
	}
	areas := ccLogs(t)
	for _, name := range sorted(areas) {
		pairs = append(pairs, ccLogPairs(t, name, areas[name])...)
	}
	compare(t, "go-eventlog", pairs, least{32, 295})
}

func replayed(file []byte, registers []register.MR, opts tcg.ParseOpts) outcome {
	return run(func() error {
		_, err := tcg.ParseAndReplay(file, registers, opts)
		return err
	})
}

// same is the outcome of the check that compares a whole replay of ours with
// registers.
func same(check string, equal bool) outcome {
	if equal {
		return outcome{verdict: accepts}
	}
	return outcome{refuses, check}
}

// tpmLogPairs are a bank of a log as ours computes it, and with each register
// changed, which ours has then another value for.
func tpmLogPairs(t *testing.T, name string, file []byte, b bank) []pair {
	t.Helper()
	registers := func(values [eventlog.PCRs][]byte) []register.MR {
		var list []register.MR
		for i, v := range values {
			list = append(list, register.PCR{Index: i, Digest: v, DigestAlg: b.hash})
		}
		return list
	}
	l, err := eventlog.Decode(file)
	if err != nil {
		return []pair{{"tpm/" + name + "/" + b.name, outcome{refuses, err.Error()}, replayed(file, nil, tcg.ParseOpts{})}}
	}
	if !slices.ContainsFunc(l.Header.Algorithms, func(a eventlog.AlgorithmSize) bool { return a.Algorithm == b.ours }) {
		return nil
	}
	values, err := l.Replay(b.ours)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	compareEvents(t, name, file, l.Events, b)
	pairs := []pair{{"tpm/" + name + "/" + b.name, same("", true), replayed(file, registers(values), tcg.ParseOpts{})}}
	for i := range values {
		other := values
		other[i] = flip(values[i], i%20, 0)
		what := "register changed"
		if !slices.ContainsFunc(l.Events, func(e eventlog.Event) bool { return e.PCR == uint32(i) && e.Type != eventlog.NoAction }) {
			what = "register without events changed"
		}
		pairs = append(pairs, pair{
			fmt.Sprintf("tpm/%s/%s/%s: %d", name, b.name, what, i),
			outcome{refuses, "TPM-E1"},
			replayed(file, registers(other), tcg.ParseOpts{}),
		})
	}
	return pairs
}

func ccLogPairs(t *testing.T, name string, file []byte) []pair {
	t.Helper()
	registers := func(values [eventlog.RTMRs][48]byte) []register.MR {
		var list []register.MR
		for i := range values {
			list = append(list, register.RTMR{Index: i, Digest: values[i][:]})
		}
		return list
	}
	l, err := eventlog.DecodeCCEL(file)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	values, err := l.Replay()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	opts := tcg.ParseOpts{AllowPadding: true}
	pairs := []pair{{"cc/" + name, same("", true), replayed(file, registers(values), opts)}}
	for i := range values {
		other := values
		other[i][i] ^= 1
		what := "register changed"
		if !slices.ContainsFunc(l.Events, func(e eventlog.Event) bool { return e.PCR == uint32(i+1) && e.Type != eventlog.NoAction }) {
			what = "register without events changed"
		}
		pairs = append(pairs, pair{fmt.Sprintf("cc/%s/%s: %d", name, what, i), same("TDX-M2", other == values), replayed(file, registers(other), opts)})
	}
	return pairs
}

// compareEvents compares what both read in a log.
func compareEvents(t *testing.T, name string, file []byte, ours []eventlog.Event, b bank) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s: the library panics: %v", name, r)
		}
	}()
	l, err := tcg.ParseEventLog(file, tcg.ParseOpts{})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	theirs := l.Events(b.alg)
	if len(theirs) != len(ours) {
		t.Errorf("%s: %d events, theirs %d", name, len(ours), len(theirs))
		return
	}
	for i, e := range ours {
		var digest []byte
		for _, d := range e.Digests {
			if d.Algorithm == b.ours {
				digest = d.Value
			}
		}
		o := theirs[i]
		if int(e.PCR) != o.Index || uint32(e.Type) != uint32(o.Type) || !bytes.Equal(e.Data, o.Data) || !bytes.Equal(digest, o.Digest) {
			t.Errorf("%s: event %d: PCR %d, type %#x, %d bytes, digest %x; theirs %d, %#x, %d, %x", name, i,
				e.PCR, uint32(e.Type), len(e.Data), digest, o.Index, uint32(o.Type), len(o.Data), o.Digest)
		}
	}
}

// TestEventLogOfQuote: both replay the log of Google's guest to the registers of
// its quote.
func TestEventLogOfQuote(t *testing.T) {
	q, err := tdx.Decode(read(t, "tdx/go-tdx-guest/ccel/cos-113-tdx-quote.dat"))
	if err != nil {
		t.Fatal(err)
	}
	file := read(t, "tdx/go-tdx-guest/ccel/ccel_data.dat")
	var registers []register.MR
	for i := range q.Body.RTMR {
		registers = append(registers, register.RTMR{Index: i, Digest: q.Body.RTMR[i][:]})
	}
	if o := replayed(file, registers, tcg.ParseOpts{AllowPadding: true}); !o.accepted() {
		t.Errorf("theirs: %v", o)
	}
	l, err := eventlog.DecodeCCEL(file)
	if err != nil {
		t.Fatal(err)
	}
	if values, err := l.Replay(); err != nil || values != q.Body.RTMR {
		t.Errorf("ours: %x, %v", values, err)
	}
}
