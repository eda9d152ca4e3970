package eventlog

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/measure/vectortest"
)

// TestGuestLogs compares with what a separate Python reader counted in the
// files: events, and bytes of filling, all 0xff.
func TestGuestLogs(t *testing.T) {
	want := map[string][2]int{
		"go-eventlog/CCEL_unpadded.data.bin":                        {19, 0},
		"go-eventlog/cos-113-intel-tdx.bin":                         {43, 244043},
		"go-eventlog/cos-113-intel-tdx-dupe-separator.bin":          {43, 244043},
		"go-eventlog/cos-113-intel-tdx-dupe-separator-unpadded.bin": {43, 0},
		"go-eventlog/event_log.bin":                                 {27, 62833},
		"dstack/ccel.bin":                                           {18, 63603},
	}
	for _, name := range guests() {
		l := readGuest(t, name)
		if got := [2]int{len(l.Events), l.Filling}; got != want[name] {
			t.Errorf("%s: events and filling: got %v, want %v", name, got, want[name])
		}
		if l.Filling > 0 && l.Filler != 0xff {
			t.Errorf("%s: filler: got %#02x, want 0xff", name, l.Filler)
		}
		if l.HeaderRegister != 1 {
			t.Errorf("%s: header register: got %d, want 1", name, l.HeaderRegister)
		}
		header := Header{VersionMajor: 2, UintnSize: 2, Algorithms: []AlgorithmSize{{SHA384, 48}}, VendorInfo: []byte{}}
		if diff := cmp.Diff(header, l.Header); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", name, diff)
		}
		if !bytes.Equal(l.Encode(), vectortest.File(t, vectors(), name)) {
			t.Errorf("%s: encodes to other bytes", name)
		}
	}
}

// TestZeroFilling: td-shim names register 0 in the header and leaves zeros.
func TestZeroFilling(t *testing.T) {
	b := vectortest.File(t, vectors(), "go-eventlog/CCEL_unpadded.data.bin")
	b[0] = 0
	for _, n := range []int{1, 3, 7, 8, 4096, MaxSize - len(b)} {
		l, err := DecodeCCEL(append(b[:len(b):len(b)], make([]byte, n)...))
		if err != nil {
			t.Errorf("%d zeros: %v", n, err)
			continue
		}
		if len(l.Events) != 19 || l.Filling != n || l.Filler != 0 || l.HeaderRegister != 0 {
			t.Errorf("%d zeros: got %d events, %d bytes of filling, header register %d", n, len(l.Events), l.Filling, l.HeaderRegister)
		}
	}
}

func TestDecodeCCELRefuses(t *testing.T) {
	// The first event starts at 0x41, the filling at 0x7ea.
	put := func(off int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[off:], v); return b }
	}
	fill := func(v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { return append(b, v...) }
	}
	ff := func(n int) []byte { return bytes.Repeat([]byte{0xff}, n) }
	event := vectortest.File(t, vectors(), "go-eventlog/CCEL_unpadded.data.bin")[0x780:]
	tests := []struct {
		name string
		edit func([]byte) []byte
		want string
	}{
		{"empty", func([]byte) []byte { return nil }, "parsing event log header: register index at 0x0: got 0 bytes, want 4"},
		{"header register", put(0, 2), "register index: got 2, want 0 or 1"},
		{"header type", put(4, 4), "type: got EV_SEPARATOR, want EV_NO_ACTION"},
		{"header digest", put(8, 1), "digest: got 01"},
		{"algorithm count", put(0x38, 0), "algorithm count: got 0"},
		{"digest algorithm", put(0x4d, 0x0b), "parsing event 0 at 0x41: digest 0: algorithm: got sha256, want sha384"},
		{"register", put(0x41, 5), "parsing event 0 at 0x41: register index: got 5, want below 5"},
		{"no digest", put(0x49, 0), "digest count: got 0, want 1"},
		{"two digests", put(0x49, 2), "digest count: got 2, want 1"},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }, "parsing event 18 at 0x780: event data"},
		{"event behind 0xff", fill(append(ff(64), event...)...), "parsing event log at 0x7ea: filling: got 0x02 after 64 bytes of 0xff"},
		{"event behind zeros", fill(append(make([]byte, 64), event...)...), "filling: got 0x02 after 64 bytes of 0x00, want 0x00 up to the end"},
		{"zeros behind 0xff", fill(append(ff(64), 0)...), "filling: got 0x00 after 64 bytes of 0xff"},
		{"0xff behind zeros", fill(append(make([]byte, 8), 0xff)...), "filling: got 0xff after 8 bytes of 0x00"},
		{"one other byte of a large filling", fill(append(ff(4096), 0xfe)...), "filling: got 0xfe after 4096 bytes of 0xff"},
		{"a mark alone", fill(0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0), "filling: got 0x03 after 4 bytes of 0xff"},
		{"a mark of zeros alone", fill(0, 0, 0, 0, 0, 0, 0, 0, 1), "filling: got 0x01 after 8 bytes of 0x00"},
		{"half a mark of zeros", fill(0, 0, 0, 0, 0, 0, 0, 0x80), "parsing event 19 at 0x7ea"},
		{"half a mark", fill(0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0), "parsing event 19 at 0x7ea"},
		{"other filling", fill(bytes.Repeat([]byte{0xcc}, 64)...), "register index: got 3435973836, want below 5"},
		{"too long", fill(make([]byte, MaxSize)...), "want at most 1048576"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeCCEL(tt.edit(vectortest.File(t, vectors(), "go-eventlog/CCEL_unpadded.data.bin")))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestDecodeCCELRefusesTPM: registers of a TPM's log are none of a guest's.
func TestDecodeCCELRefusesTPM(t *testing.T) {
	_, err := DecodeCCEL(readFile(t, "uefi/esp/evlog.bin"))
	if err == nil || !strings.Contains(err.Error(), "register index: got 7, want below 5") {
		t.Errorf("got error %v", err)
	}
}

func TestReplayGuestRefuses(t *testing.T) {
	l := readGuest(t, "dstack/ccel.bin")
	l.Events[3].PCR = 0
	if _, err := l.Replay(); err == nil || !strings.Contains(err.Error(), "replaying event 3: MRTD") {
		t.Errorf("MRTD: got error %v", err)
	}
	l.Events[3].Type = NoAction
	if _, err := l.Replay(); err != nil {
		t.Errorf("EV_NO_ACTION: %v", err)
	}
	l.Events[4].Digests[0].Algorithm = SHA256
	if _, err := l.Replay(); err == nil || !strings.Contains(err.Error(), "replaying event 4: sha384 digest: got 0 bytes, want 48") {
		t.Errorf("no SHA-384 digest: got error %v", err)
	}
}

// TestOtherAlgorithms: digests of other banks are carried and not replayed.
func TestOtherAlgorithms(t *testing.T) {
	l := readGuest(t, "dstack/ccel.bin")
	want, err := l.Replay()
	if err != nil {
		t.Fatal(err)
	}
	l.Header.Algorithms = append(l.Header.Algorithms, AlgorithmSize{SHA1, 20}, AlgorithmSize{0x1234, 28})
	for i := range l.Events {
		e := &l.Events[i]
		e.Digests = append(e.Digests, Digest{SHA1, make([]byte, 20)}, Digest{0x1234, make([]byte, 28)})
	}
	decoded, err := DecodeCCEL(l.Encode())
	if err != nil {
		t.Fatal(err)
	}
	got, err := decoded.Replay()
	if err != nil || got != want {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
}

// TestDuplicateSeparators: registers with more than one separator, as a
// separate Python reader saw them.
func TestDuplicateSeparators(t *testing.T) {
	want := map[string][MRs]string{
		"go-eventlog/CCEL_unpadded.data.bin":               {1: "event 15, after event 7"},
		"go-eventlog/cos-113-intel-tdx.bin":                {},
		"go-eventlog/cos-113-intel-tdx-dupe-separator.bin": {1: "event 15, after event 7"},
		"go-eventlog/event_log.bin":                        {1: "event 18, after event 7", 2: "event 21, after event 20"},
		"dstack/ccel.bin":                                  {},
	}
	for name, registers := range want {
		l := readGuest(t, name)
		for mr, text := range registers {
			err := l.DuplicateSeparators(uint32(mr))
			switch {
			case text == "" && err != nil:
				t.Errorf("%s: %s: %v", name, MRName(uint32(mr)), err)
			case text != "" && (err == nil || !strings.Contains(err.Error(), "duplicate separator in "+MRName(uint32(mr))+": "+text)):
				t.Errorf("%s: %s: got error %v, want one with %q", name, MRName(uint32(mr)), err, text)
			}
		}
	}
}

// TestSeparatorsFirst: the first event is an event like others.
func TestSeparatorsFirst(t *testing.T) {
	l := &CCLog{Events: []Event{{PCR: 1, Type: Separator}, {PCR: 2, Type: Separator}, {PCR: 1, Type: Separator}}}
	if err := l.DuplicateSeparators(1); err == nil || !strings.Contains(err.Error(), "event 2, after event 0") {
		t.Errorf("RTMR0: got error %v", err)
	}
	if err := l.DuplicateSeparators(2); err != nil {
		t.Errorf("RTMR1: %v", err)
	}
}

func TestMRName(t *testing.T) {
	for i, want := range []string{"MRTD", "RTMR0", "RTMR1", "RTMR2", "RTMR3", "measurement register 5"} {
		if got := MRName(uint32(i)); got != want {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
	}
}

// TestDescribeGuest compares with what a separate Python dump of the logs shows.
func TestDescribeGuest(t *testing.T) {
	tests := []struct {
		log  string
		want map[int]string
	}{
		{"dstack/ccel.bin", map[int]string{
			0:  `EV_EFI_HANDOFF_TABLES2 "TdxTable" 93bb96af-b9f2-4eb8-9462-e0ba74564236 at 0x809000`,
			1:  `EV_EFI_PLATFORM_FIRMWARE_BLOB2 "Fv(XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX)" base 0xffc00000 size 0x84000`,
			2:  `EV_EFI_VARIABLE_DRIVER_CONFIG "SecureBoot"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 0 bytes`,
			8:  `EV_PLATFORM_CONFIG_FLAGS "ACPI DATA"`,
			12: `EV_EFI_VARIABLE_BOOT "BootOrder"-8be4df61-93ca-11d2-aa0d-00e098032b8c: 2 bytes`,
		}},
		{"go-eventlog/CCEL_unpadded.data.bin", map[int]string{16: `EV_EVENT_TAG "LOADED_IMAGE::LoadOptions"`}},
		{"go-eventlog/cos-113-intel-tdx.bin", map[int]string{
			1:  `EV_EFI_PLATFORM_FIRMWARE_BLOB2 "Fv(48DB5E17-707C-472D-91CD-1613E7EF51B0)" base 0xffe00000 size 0x20000`,
			20: `EV_EFI_VARIABLE_AUTHORITY "SbatLevel"-605dab50-e046-4300-abb6-3dd810dd8b23: 18 bytes`,
			24: `EV_IPL "/efi/boot/grub.cfg"`,
		}},
		{"go-eventlog/event_log.bin", map[int]string{
			8:  `EV_POST_CODE "ACPI DATA"`,
			9:  `EV_PLATFORM_CONFIG_FLAGS "kernel"`,
			10: `EV_PLATFORM_CONFIG_FLAGS "etc/table-loader"`,
			11: `EV_PLATFORM_CONFIG_FLAGS "etc/acpi/rsdp"`,
			12: `EV_PLATFORM_CONFIG_FLAGS "etc/acpi/tables"`,
			14: `EV_PLATFORM_CONFIG_FLAGS "DirectBoot Command Line"`,
		}},
	}
	for _, tt := range tests {
		l := readGuest(t, tt.log)
		for i, want := range tt.want {
			e := &l.Events[i]
			if got := e.Type.String() + " " + e.Describe(); got != want {
				t.Errorf("%s: event %d:\n got %s\nwant %s", tt.log, i, got, want)
			}
		}
	}
}

// TestDescribeMalformed: what does not parse is shown in hex.
func TestDescribeMalformed(t *testing.T) {
	count := binary.LittleEndian.AppendUint64([]byte("\x02ab"), 1)
	for _, tt := range []struct {
		typ  Type
		data string
		want string
	}{
		{EFIHandoffTables2, "\x05ab", "056162"},
		{EFIHandoffTables2, string(count), "0261620100000000000000"},
		{EFIPlatformFirmwareBlob2, "", ""},
		{EFIPlatformFirmwareBlob2, "\x01a1234567", "016131323334353637"},
		{PlatformConfigFlags, "\x00\x00", "0000"},
		{PlatformConfigFlags, "a\x00b", "610062"},
	} {
		e := Event{Type: tt.typ, Data: []byte(tt.data)}
		if got := e.Describe(); got != tt.want {
			t.Errorf("%v %q: got %q, want %q", tt.typ, tt.data, got, tt.want)
		}
	}
}

func FuzzDecodeCCEL(f *testing.F) {
	for _, name := range guests() { // with little of its filling, so that the fuzzer gets on
		b := vectortest.File(f, vectors(), name)
		l, err := DecodeCCEL(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-max(0, l.Filling-16)])
	}
	f.Add(readFile(f, "uefi/esp/evlog.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeCCEL(b)
		if err != nil {
			return
		}
		if !bytes.Equal(l.Encode(), b) {
			t.Error("decoded log encodes to other bytes")
		}
		for i := range l.Events {
			s := l.Events[i].Describe() + l.Events[i].Type.String()
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("description %q is not printable ASCII", s)
			}
		}
		for mr := range uint32(MRs) {
			if err := l.DuplicateSeparators(mr); err != nil {
				return
			}
		}
		if _, err := l.Replay(); err != nil {
			return
		}
		if err := l.CheckData(); err != nil {
			return
		}
	})
}
