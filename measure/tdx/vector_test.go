package tdx

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"safebox/measure/eventlog"
	"safebox/measure/tdx/tdvf"
	"safebox/measure/vectortest"
)

// testdata holds the vectors of others, see its README.md.
func testdata() fs.FS { return os.DirFS("../testdata") }

func parseDigest(t testing.TB, s string) Digest {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(Digest{}) {
		t.Fatalf("%q: want the hex of 48 bytes", s)
	}
	return Digest(b)
}

func given(t testing.TB, s string) *Measurement {
	t.Helper()
	return &Measurement{parseDigest(t, s), Given}
}

// expect compares registers by name.
func expect(t testing.TB, p *Prediction, want map[string]string) {
	t.Helper()
	for _, r := range p.Registers {
		w, ok := want[r.Name]
		switch {
		case !ok:
			continue
		case r.Value == nil:
			t.Errorf("%s: no value: %s", r.Name, r.Missing)
		case r.Value.String() != w:
			t.Errorf("%s: got %v, want %s", r.Name, r.Value, w)
		}
		delete(want, r.Name)
	}
	for name := range want {
		t.Errorf("%s: not among the registers", name)
	}
}

func mustPredict(t testing.TB, in Input) *Prediction {
	t.Helper()
	p, err := Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestVectors(t *testing.T) {
	vectortest.Each(t, testdata(), "tdx", func(t *testing.T, v vectortest.Vector) {
		switch v.ID {
		case "dstack/tdx-lite-hw":
			hardwareQuote(t, v)
		case "dstack/ovmf-202505-constants":
			constantsL2(t, v)
		default:
			t.Fatalf("no test for this vector of %s", v.Origin)
		}
	})
}

// tdxVector is a vector of dstack/tdx-vectors.json.
type tdxVector struct {
	Inputs struct {
		Memory      uint64      `json:"memory_bytes"`
		HOBGPA      uint64      `json:"td_hob_gpa"`
		Accepted    [][2]uint64 `json:"accepted_ranges"`
		CFV         string      `json:"cfv_sha384"`
		ACPI        []string    `json:"acpi_digests_loader_rsdp_tables"`
		Kernel      string      `json:"kernel_authenticode_sha384"`
		LoadOptions string      `json:"cmdline_utf16nul_sha384"`
		Initrd      string      `json:"initrd_sha384"`
	}
	Expected map[string]string
}

func (v tdxVector) hob(t *testing.T) []byte {
	t.Helper()
	var accepted []tdvf.Range
	for _, r := range v.Inputs.Accepted {
		accepted = append(accepted, tdvf.Range{Start: r[0], Length: r[1] - r[0]})
	}
	if v.Inputs.Memory >= 0xb0000000 {
		t.Fatal("memory above 4 GiB")
	}
	b, err := tdvf.HOB([]tdvf.Range{{Start: 0, Length: v.Inputs.Memory}}, v.Inputs.HOBGPA, accepted)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// logEntry is an event of the log in tdx-lite-getquote.json.
type logEntry struct {
	IMR     int
	Digest  string
	Event   string
	Payload string `json:"event_payload"`
}

// readQuote returns the quote in hex and the log beside it.
func readQuote(t *testing.T, v vectortest.Vector) (quote string, log []logEntry) {
	t.Helper()
	var quoted struct {
		Quote    string
		EventLog string `json:"event_log"`
	}
	if err := json.Unmarshal(v.File(t, "tdx-lite-getquote.json"), &quoted); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(quoted.EventLog), &log); err != nil {
		t.Fatal(err)
	}
	return quoted.Quote, log
}

// runtimeEvents rebuilds the events of RTMR3.
func runtimeEvents(t *testing.T, log []logEntry) (list []Event) {
	t.Helper()
	for _, e := range log {
		if e.IMR != 3 {
			continue
		}
		payload, err := hex.DecodeString(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, DstackEvent(e.Event, payload))
	}
	return list
}

// hardwareQuote rebuilds the registers of a signed quote.
func hardwareQuote(t *testing.T, v vectortest.Vector) {
	var vector tdxVector
	v.Decode(t, &vector)
	in, want := vector.Inputs, vector.Expected
	quote, log := readQuote(t, v)
	fromLog := func(i int) *Measurement { return &Measurement{parseDigest(t, in.ACPI[i]), FromLog} }
	p := mustPredict(t, Input{
		Layout: L1, HOB: vector.hob(t), Direct: &Direct{}, Runtime: runtimeEvents(t, log),
		Digests: Digests{
			CFV: given(t, in.CFV), Loader: fromLog(0), RSDP: fromLog(1), Tables: fromLog(2),
			Kernel: given(t, in.Kernel), LoadOptions: given(t, in.LoadOptions), Initrd: given(t, in.Initrd),
		},
	})
	expect(t, p, map[string]string{"rtmr0": want["rtmr0"], "rtmr1": want["rtmr1"], "rtmr2": want["rtmr2"], "rtmr3": want["rtmr3"]})
	if got := p.Registers[RTMR0].Events[0].Digest.String(); got != want["td_hob_sha384"] {
		t.Errorf("TD HOB: got %s, want %s", got, want["td_hob_sha384"])
	}
	// The quote itself: TD report at 48, rtmr0 at 328 (specs/measure.md 5.10).
	for i := range 4 {
		at := 2 * (48 + 328 + 48*i)
		if got := p.Registers[RTMR0+i].Value.String(); got != quote[at:at+96] {
			t.Errorf("rtmr%d: got %s, want %s of the quote", i, got, quote[at:at+96])
		}
	}
	for i, want := range []Source{Unknown, FromLog, Given, Given, FromFile} {
		if got := p.Registers[i].Source(); got != want {
			t.Errorf("%s: source: got %v, want %v", p.Registers[i].Name, got, want)
		}
	}
	if r := p.Registers[MRTD]; r.Value != nil || r.Missing != "no firmware given" {
		t.Errorf("mrtd: got %v, %q", r.Value, r.Missing)
	}
	for i := range 3 { // the log has no digests of runtime events
		var logged []string
		for _, e := range log {
			if e.IMR == i {
				logged = append(logged, e.Digest)
			}
		}
		if got, want := fmt.Sprint(digests(p.Registers[RTMR0+i])), fmt.Sprint(logged); got != want {
			t.Errorf("rtmr%d: events: got %s, want %s", i, got, want)
		}
	}
}

// constantsL2 looks for the digests that dstack found in the log of a TD.
func constantsL2(t *testing.T, v vectortest.Vector) {
	var vector tdxVector
	v.Decode(t, &vector)
	authority := []byte("not dstack's: what that hashes is not known")
	p := mustPredict(t, Input{Layout: L2, Direct: &Direct{CommandLine: "x"}, Authorities: [][]byte{authority}})
	events := p.Registers[RTMR0].Events
	var names []string
	digests := map[string]string{}
	for _, e := range events {
		names = append(names, e.Description)
		digests[e.Description] = e.Digest.String()
	}
	for name, key := range map[string]string{
		"fw_cfg bootorder": "bootorder_fwcfg_sha384", "BootOrder": "boot_order_var_sha384",
		"Boot0000": "boot0000_sha384", "Boot0001": "boot0001_sha384",
	} {
		if got, want := digests[name], vector.Expected[key]; got != want || want == "" {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	// sha384sum of two zero bytes, which is what bootmenu_fwcfg_sha384_of says
	if got, want := digests["fw_cfg BootMenu"], "1dd6f7b457ad880d840d41c961283bab688e94e4b59359ea45686581e90feccea3c624b1226113f824f315eb60ae0a7c"; got != want {
		t.Errorf("BootMenu: got %s, want %s", got, want)
	}
	const want = "TD HOB,configuration volume,fw_cfg BootMenu,fw_cfg bootorder," +
		"variable SecureBoot,variable PK,variable KEK,variable db,variable dbx,separator," +
		"ACPI etc/table-loader,ACPI etc/acpi/rsdp,ACPI etc/acpi/tables,BootOrder,Boot0000,Boot0001,authority"
	if got := strings.Join(names, ","); got != want {
		t.Errorf("got events\n%s\nwant those of specs/measure.md 5.3\n%s", got, want)
	}
}

// TestACPIFiles hashes the files that an unmodified QEMU made of two machines,
// and the bootorder that it has with -kernel.
func TestACPIFiles(t *testing.T) {
	var file struct {
		Vectors []struct {
			ID, Dir  string
			Expected map[string]string
		}
	}
	if err := json.Unmarshal(vectortest.File(t, testdata(), "qemu-acpi/vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 3 {
		t.Fatalf("got %d vectors, want 3", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		in := Input{Layout: L2, Direct: &Direct{}}
		want := map[string]string{"fw_cfg bootorder": v.Expected["bootorder"]}
		if v.Dir != "" {
			f := func(name string) []byte { return vectortest.File(t, testdata(), "qemu-acpi/"+v.Dir+"/"+name) }
			in.ACPI = &ACPI{f("etc_table-loader.bin"), f("etc_acpi_rsdp.bin"), f("etc_acpi_tables.bin")}
			want = map[string]string{}
			for name, digest := range v.Expected {
				want["ACPI "+name] = digest
			}
		}
		for _, e := range mustPredict(t, in).Registers[RTMR0].Events {
			if w, ok := want[e.Description]; ok && e.Digest.String() != w {
				t.Errorf("%s: %s: got %v, want %s", v.ID, e.Description, e.Digest, w)
			} else if ok && v.Dir != "" && e.Source != FromFile {
				t.Errorf("%s: %s: source: got %v, want %v", v.ID, e.Description, e.Source, FromFile)
			}
			delete(want, e.Description)
		}
		if len(want) > 0 {
			t.Errorf("%s: no events for %v", v.ID, want)
		}
	}
}

// goEventlog returns a log of google/go-eventlog and the registers that its
// vectors.json expects.
func goEventlog(t *testing.T, id string) (*eventlog.CCLog, map[string]string) {
	t.Helper()
	var file struct {
		Vectors []struct {
			ID, Log  string
			Expected json.RawMessage
		}
	}
	if err := json.Unmarshal(vectortest.File(t, testdata(), "go-eventlog/vectors.json"), &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		if v.ID != id {
			continue
		}
		expected := map[string]string{}
		if err := json.Unmarshal(v.Expected, &expected); err != nil {
			t.Fatal(err)
		}
		return decodeCCEL(t, "go-eventlog/"+v.Log), expected
	}
	t.Fatalf("no vector %q", id)
	return nil, nil
}

func decodeCCEL(t *testing.T, name string) *eventlog.CCLog {
	t.Helper()
	log, err := eventlog.DecodeCCEL(vectortest.File(t, testdata(), name))
	if err != nil {
		t.Fatal(err)
	}
	return log
}
