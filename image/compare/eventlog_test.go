package compare

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/eventlog"
	"safebox/measure/vectortest"
)

func shared(t testing.TB, name string) []byte {
	t.Helper()
	return vectortest.File(t, os.DirFS("../../measure/testdata"), name)
}

func boot(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../measure/eventlog/testdata/uefi/" + name + "/evlog.bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// all gives the sentences of All.
func all(t *testing.T, a, b []byte) []string {
	t.Helper()
	list, err := All("f", a, b)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range list {
		lines = append(lines, d.String())
	}
	return lines
}

// TestEventLogs compares two pairs of real logs. Registers, numbers and digests
// of the first differing events are those that a separate reader, in Python,
// found.
func TestEventLogs(t *testing.T) {
	const (
		table   = `EV_EFI_HANDOFF_TABLES2 "TdxTable" 93bb96af-b9f2-4eb8-9462-e0ba74564236 at 0x809000`
		path    = "0403140072f728144ab61e44b8c39ebdd7f893c7040412006b00650072006e0065006c0000007fff0400"
		options = `EV_EVENT_TAG "LOADED_IMAGE::LoadOptions"`
		tagged  = `EV_EVENT_TAG tag 0x8f3b22ed "LOADED_IMAGE::LoadOptions"`
	)
	image := func(size, digest string) string {
		return "EV_EFI_BOOT_SERVICES_APPLICATION image of " + size + " bytes, device path " + path + " with sha384 " + digest
	}
	want := []string{
		"f: RTMR0: event 0: " + table + " with sha384 2e070cda358b5aa00f27cca25c47381bb564f4be3a84d059805a73cbbde764ed8341f7e09915b5e7b370f9c08a743fbd" +
			", want " + table + " with sha384 2b630fa1d8fa9b6e8c6507d2256803ed227888f7d1f62ca5cfbddfe495338b1c6a0fc339ea64700f0835c0897a662789",
		"f: RTMR1: event 0: " + image("13580064", "b575e51f1a73199887af3efbc09d3a0843ed866601886a8db93ab90a29086bbf4f4a84c6d161159d51be65172367442e") +
			", want " + image("5252096", "a0832ba01668bfd12ac376617f3574d286e5331fddbe60a35683db80960ab5a2e588f00626beb0f033e2e7f6b306819f"),
		"f: RTMR2: event 0: " + options + " with sha384 3e6ed3b37cfc97289bef8d583fe31624793ee9dd46f94cc4320e1659bb888ad5d77f94851bac43f090a36538a63f0760, want none",
	}
	a, b := shared(t, "go-eventlog/CCEL_unpadded.data.bin"), shared(t, "dstack/ccel.bin")
	if diff := cmp.Diff(want, all(t, a, b)); diff != "" {
		t.Errorf("guests (-want +got):\n%s", diff)
	}
	check(t, a, b, want[0])

	want = []string{
		"f: pcr4: event 0: " + image("13588480", "c4dcddb1c5642fd124f1f6aa677ba7282e2153783d9a6f15362de834842e111ef6899133d58a031a8616905fc2004867") +
			", want " + image("11708352", "b87b2bfd7eb3fcc0c5e3f28a8bd807420d85d8d2ccd0d2727a5b7025aa2d16a6c3369b80556175dad1e1749843ee8f93"),
		"f: pcr9: event 0: " + tagged + " with sha384 cf3486bcb4fb23d5e4aef834c78b14cb39a063cee7bbd36085e21a12f3686512bc3f8c73406878215f88b3c0cd07d4fd" +
			", want " + tagged + " with sha384 c488b802e3c8a61d717e20189d147581a12ea6fe30f09768633ceb2ace983b99fd85e851f82343cea3be9a03614305b3",
		`f: pcr11: event 0: EV_IPL ".linux" with sha384 2fdc8531577607d99031d70fb3063e9e4aecf50a7eaa9c2b0bcda5c5a6e111302996c138465920cadea4416d36089651, want none`,
		`f: pcr12: event 0: EV_IPL "console=ttyS0 evil=1" with sha384 cf3486bcb4fb23d5e4aef834c78b14cb39a063cee7bbd36085e21a12f3686512bc3f8c73406878215f88b3c0cd07d4fd, want none`,
	}
	if diff := cmp.Diff(want, all(t, boot(t, "kappend"), boot(t, "kraw"))); diff != "" {
		t.Errorf("TPMs (-want +got):\n%s", diff)
	}
	if got := all(t, a, a); got != nil {
		t.Errorf("equal logs: got %q", got)
	}
}

// edited changes a decoded guest's log. In that of the test, RTMR1 has the
// events 11, 14, 17 and 18, and 17 is "Exit Boot Services Invocation".
func edited(t *testing.T, edit func(l *eventlog.CCLog)) []byte {
	t.Helper()
	l, err := eventlog.DecodeCCEL(shared(t, "go-eventlog/CCEL_unpadded.data.bin"))
	if err != nil {
		t.Fatal(err)
	}
	edit(l)
	return l.Encode()
}

func TestEventLogEdits(t *testing.T) {
	b := edited(t, func(*eventlog.CCLog) {})
	const invocation = `EV_EFI_ACTION "Exit Boot Services Invocation"`
	const digest = "214b0bef1379756011344877743fdc2a5382bac6e70362d624ccf3f654407c1b4badf7d8f9295dd3dabdef65b27677e0"
	tests := []struct {
		name string
		a    []byte
		want string
	}{
		{
			"data only", edited(t, func(l *eventlog.CCLog) { l.Events[17].Data[0] = 'e' }),
			`f: RTMR1: event 2: EV_EFI_ACTION "exit Boot Services Invocation" with the same digests, want ` + invocation + ` with the same digests`,
		},
		{
			"long data", edited(t, func(l *eventlog.CCLog) { l.Events[11].Type, l.Events[11].Data = 99, make([]byte, 100) }),
			"f: RTMR1: event 0: event type 0x00000063 0000000000 ...",
		},
		{
			"a digest counts before data", edited(t, func(l *eventlog.CCLog) {
				l.Events[11].Data[0]++ // where the image was loaded
				copy(l.Events[17].Digests[0].Value, []byte{0x20})
			}),
			"f: RTMR1: event 2: " + invocation + " with sha384 204b0bef" + digest[8:] + ", want " + invocation + " with sha384 " + digest,
		},
		{
			"one more at the end", edited(t, func(l *eventlog.CCLog) { l.Events = append(l.Events, l.Events[17]) }),
			"f: RTMR1: event 4: " + invocation + " with sha384 " + digest + ", want none",
		},
		{
			"register", edited(t, func(l *eventlog.CCLog) { l.Events[18].PCR = 4 }),
			`f: RTMR1: event 3: none, want EV_EFI_ACTION "Exit Boot Services Returned with Success" with sha384 0a2e01c85deae718a530ad8c6d20a84009babe6c8989269e950d8cf440c6e997695e64d455c4174a652cd080f6230b74`,
		},
		{
			"order", edited(t, func(l *eventlog.CCLog) { l.Events[16], l.Events[17] = l.Events[17], l.Events[16] }),
			"f: order: event 16: RTMR1, want RTMR2",
		},
		{"errata", edited(t, func(l *eventlog.CCLog) { l.Header.Errata++ }), "f: errata: 1, want 0"},
		{"class", edited(t, func(l *eventlog.CCLog) { l.Header.PlatformClass = 1 }), "f: platform class: 1, want 0"},
		{"vendor", edited(t, func(l *eventlog.CCLog) { l.Header.VendorInfo = []byte{7} }), "f: vendor information: 07, want "},
		{"filling", append(bytes.Clone(b), 0xff, 0xff), "f: size: 2028 bytes, want 2026 bytes (the events are equal, only what is around them differs)"},
		{"header", flip(b, 0), "f: format: log of a TPM, want log of a TDX guest"},
		{"log of a TPM", boot(t, "kraw"), "f: format: log of a TPM, want log of a TDX guest"},
		{"cut", b[:2000], `f: size: 2000 bytes, want 2026 bytes (the first can't be read: ...`},
		{"no log", []byte("text"), "f: format: text, want event log"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { check(t, tt.a, b, tt.want) })
	}
}

// TestEventLogLongData: events that are described in the same words.
func TestEventLogLongData(t *testing.T) {
	long := func(last byte) []byte {
		return edited(t, func(l *eventlog.CCLog) { l.Events[11].Data = append(make([]byte, 100), last) })
	}
	check(t, long(1), long(2), "f: RTMR1: event 0: EV_EFI_BOOT_SERVICES_APPLICATION "+strings.Repeat("0", 128)+"... (101 bytes) with the same digests: data: byte 100: 0x01, want 0x02")
}

// TestEventLogAlgorithms leaves out one bank.
func TestEventLogAlgorithms(t *testing.T) {
	l, err := eventlog.Decode(boot(t, "kraw"))
	if err != nil {
		t.Fatal(err)
	}
	one := *l
	one.Header.Algorithms = l.Header.Algorithms[:1]
	one.Events = nil
	for _, e := range l.Events {
		e.Digests = e.Digests[:1]
		one.Events = append(one.Events, e)
	}
	check(t, one.Encode(), boot(t, "kraw"), "f: algorithms: sha256, want sha256 sha384")
}
