package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/transcript"
	"safebox/verifier/vectortest"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// example is the file in docs/format-evidence.md, which testdata/vectors.py
// made without our code.
func example(t testing.TB) []byte {
	t.Helper()
	doc := read(t, "../../docs/format-evidence.md")
	b := []byte(strings.ReplaceAll(vectortest.Block(t, doc, "Example"), "\n", ""))
	if sum := sha256.Sum256(b); !bytes.Contains(doc, []byte("SHA-256 of the file: `"+hex.EncodeToString(sum[:])+"`")) {
		t.Fatalf("the document does not say the SHA-256 of its example, %x", sum)
	}
	return b
}

// built is the example put together from the vectors of the transcript.
func built(t testing.TB) *Evidence {
	t.Helper()
	v := vectortest.Parse(t, read(t, "../../docs/format-transcript.md"))
	zero := strings.Repeat("00", 32)
	quote := func(bank, zero string) Quote {
		return Quote{
			Bank:      bank,
			Attest:    []byte("attest " + bank),
			Signature: []byte("signature " + bank),
			PCRs:      []PCR{{8, zero}, {15, hex.EncodeToString(v.Value("pcr15_fresh_" + bank))}},
		}
	}
	return &Evidence{
		Type:          Type,
		Platform:      transcript.VTPM,
		Nonce:         v.Octets32("nonce"),
		Audience:      v.Octets32("audience"),
		KEM:           v.Value("kem"),
		ReceiptKey:    v.Octets32("receipt_key"),
		Release:       v.Octets32("release"),
		Configuration: v.Value("document"),
		BootSession:   v.Octets32("boot_session"),
		VTPM: &VTPM{
			AK:         []byte("ak"),
			Quotes:     []Quote{quote("sha256", zero), quote("sha384", zero+zero[:32])},
			EventLog:   []byte("event log"),
			Runtime:    []RuntimeEvent{{KindConfig, v.Octets32("config")}},
			Activation: []byte{},
		},
	}
}

func TestExample(t *testing.T) {
	want := built(t)
	got, err := Decode(example(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(example(t)), string(b)); d != "" {
		t.Error(d)
	}
	// The transcript of the example is that of the other document.
	v := vectortest.Parse(t, read(t, "../../docs/format-transcript.md"))
	if i, err := got.Transcript().Bytes(); err != nil || !bytes.Equal(i, v.Value("i_vtpm")) {
		t.Errorf("transcript: got %x, %v", i, err)
	}
	got.Configuration = nil
	if q, err := got.Transcript().QualifyingData(); err != nil || q != v.Octets32("qualifying_data_vtpm_none") {
		t.Errorf("qualifying data without a document: got %x, %v", q, err)
	}
}

// TestTranscriptIsACopy: whoever changes it does not change the evidence.
func TestTranscriptIsACopy(t *testing.T) {
	e := built(t)
	e.Transcript().KEM[2] ^= 1
	if d := cmp.Diff(built(t), e); d != "" {
		t.Error(d)
	}
}

// TestRealEvidence: what a guest's code made with a software TPM decodes, and
// is canonical by another program's rules as well: names sorted, no space.
func TestRealEvidence(t *testing.T) {
	b := read(t, "../testdata/vtpm/evidence.json")
	e, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.VTPM.Quotes) != 2 || len(e.VTPM.Quotes[0].PCRs) != 16 || len(e.VTPM.Activation) != 32 {
		t.Errorf("got %d quotes of %d registers, activation of %d bytes", len(e.VTPM.Quotes), len(e.VTPM.Quotes[0].PCRs), len(e.VTPM.Activation))
	}
	again, err := e.Encode()
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("encodes differently: %v", err)
	}
}

// TestEncodeWritesNoNull: nil lists become empty ones, and the caller's value
// stays as it was.
func TestEncodeWritesNoNull(t *testing.T) {
	e := built(t)
	e.Configuration, e.VTPM.Runtime, e.VTPM.EventLog, e.VTPM.Activation = nil, nil, nil, nil
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("null")) {
		t.Errorf("null in %s", b)
	}
	if e.Configuration != nil || e.VTPM.Runtime != nil {
		t.Error("the value was changed")
	}
	if _, err := Decode(b); err != nil {
		t.Error(err)
	}
}

// TestOtherPlatforms: vtpm is null there, and each has its own object.
func TestOtherPlatforms(t *testing.T) {
	runtime := []RuntimeEvent{{Kind: KindKeys}}
	for platform, change := range map[string]func(*Evidence){
		transcript.SNP: func(e *Evidence) { e.SNP = &SNP{Report: []byte("report"), Endorsements: []byte("e")} },
		transcript.TDX: func(e *Evidence) {
			e.TDX = &TDX{Quote: []byte("quote"), EventLog: []byte("log"), Runtime: runtime, Endorsements: []byte("e")}
		},
		transcript.Nitro:    func(e *Evidence) { e.Nitro = &Nitro{Document: []byte("document"), Runtime: runtime} },
		transcript.NitroTPM: func(e *Evidence) { e.Nitro = &Nitro{Document: []byte("document"), Runtime: runtime} },
	} {
		e := built(t)
		e.Platform, e.VTPM = platform, nil
		if _, err := e.Encode(); err == nil {
			t.Errorf("%s: no object accepted", platform)
		}
		change(e)
		b, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got); d != "" {
			t.Error(d)
		}
		if bytes.Contains(b, []byte("null")) != bytes.Contains(b, []byte(`"vtpm":null`)) {
			t.Errorf("%s: %s", platform, b)
		}
	}
}

// TestOthersAbsentLists: nil lists of the other platforms are written as empty
// ones, and null is none.
func TestOthersAbsentLists(t *testing.T) {
	for name, change := range map[string]func(*Evidence){
		"snp":   func(e *Evidence) { e.Platform, e.SNP = transcript.SNP, &SNP{Report: []byte{1}} },
		"tdx":   func(e *Evidence) { e.Platform, e.TDX = transcript.TDX, &TDX{Quote: []byte{1}} },
		"nitro": func(e *Evidence) { e.Platform, e.Nitro = transcript.Nitro, &Nitro{Document: []byte{1}} },
	} {
		e := built(t)
		e.VTPM = nil
		change(e)
		b, err := e.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := Decode(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, empty := range []string{`"endorsements":""`, `"event_log":""`, `"runtime":[]`} {
			member, _, _ := strings.Cut(empty, ":")
			null := bytes.Replace(b, []byte(empty), []byte(member+":null"), 1)
			if _, err := Decode(null); err == nil && !bytes.Equal(null, b) {
				t.Errorf("%s: %s: null accepted", name, member)
			}
		}
	}
}

// TestOthersBounds: each byte string of the other platforms one byte too long.
func TestOthersBounds(t *testing.T) {
	many := make([]RuntimeEvent, MaxRuntime+1)
	for want, change := range map[string]func(*Evidence){
		"snp: report: got 4097 bytes":           func(e *Evidence) { e.SNP = &SNP{Report: make([]byte, MaxReport+1)} },
		"snp: report: got 0 bytes":              func(e *Evidence) { e.SNP = &SNP{Report: []byte{}} },
		"snp: endorsements: got 262145 bytes":   func(e *Evidence) { e.SNP = &SNP{Report: []byte{1}, Endorsements: make([]byte, MaxEndorsements+1)} },
		"tdx: quote: got 16385 bytes":           func(e *Evidence) { e.TDX = &TDX{Quote: make([]byte, MaxQuote+1)} },
		"tdx: event_log: got 1048577 bytes":     func(e *Evidence) { e.TDX = &TDX{Quote: []byte{1}, EventLog: make([]byte, MaxEventLog+1)} },
		"tdx: runtime: got 65 events":           func(e *Evidence) { e.TDX = &TDX{Quote: []byte{1}, Runtime: many} },
		`tdx: runtime event 0: kind: got "x"`:   func(e *Evidence) { e.TDX = &TDX{Quote: []byte{1}, Runtime: []RuntimeEvent{{Kind: "x"}}} },
		"tdx: endorsements: got 262145 bytes":   func(e *Evidence) { e.TDX = &TDX{Quote: []byte{1}, Endorsements: make([]byte, MaxEndorsements+1)} },
		"nitro: document: got 32769 bytes":      func(e *Evidence) { e.Nitro = &Nitro{Document: make([]byte, MaxDocument+1)} },
		"nitro: runtime: got 65 events":         func(e *Evidence) { e.Nitro = &Nitro{Document: []byte{1}, Runtime: many} },
		`nitro: runtime event 0: kind: got "x"`: func(e *Evidence) { e.Nitro = &Nitro{Document: []byte{1}, Runtime: []RuntimeEvent{{Kind: "x"}}} },
	} {
		e := built(t)
		e.Platform, _, _ = strings.Cut(want, ":")
		e.VTPM = nil
		change(e)
		if _, err := e.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// largest has as many members and elements as any valid evidence can.
func largest(t testing.TB) *Evidence {
	t.Helper()
	e := built(t)
	for i := range e.VTPM.Quotes {
		q := &e.VTPM.Quotes[i]
		value := q.PCRs[0].Value
		q.PCRs = nil
		for n := range PCRs {
			q.PCRs = append(q.PCRs, PCR{n, value})
		}
		q.Attest, q.Signature = make([]byte, MaxAttest), make([]byte, MaxSignature)
	}
	for len(e.VTPM.Runtime) < MaxRuntime {
		e.VTPM.Runtime = append(e.VTPM.Runtime, RuntimeEvent{Kind: KindKeys})
	}
	e.VTPM.EventLog = make([]byte, MaxEventLog)
	e.VTPM.Activation = make([]byte, MaxActivation)
	e.VTPM.AK = make([]byte, MaxPublic)
	e.Configuration = make([]byte, 64<<10)
	return e
}

// TestLargest: the limits leave room for what the limits allow.
func TestLargest(t *testing.T) {
	b, err := largest(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte{','}); n != maxCommas {
		t.Errorf("%d commas, want maxCommas = %d", n, maxCommas)
	}
	if _, err := Decode(b); err != nil {
		t.Error(err)
	}
}

// TestRefuses: each rule of docs/format-evidence.md, by Encode and, in a file
// that only that rule forbids, by Decode.
func TestRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Evidence)
		want   string
	}{
		{"type", func(e *Evidence) { e.Type = "safebox/evidence/v2" }, `type: got "safebox/evidence/v2", want "safebox/evidence/v1"`},
		{"platform", func(e *Evidence) { e.Platform = "sgx" }, `platform: got "sgx"`},
		{"no KEM key", func(e *Evidence) { e.KEM = []byte{} }, "KEM key: length: got 0, want 1218"},
		{"other KEM", func(e *Evidence) { e.KEM[0] = 0 }, "KEM key: identifier: got 0x007a, want 0x647a"},
		{"configuration", func(e *Evidence) { e.Configuration = make([]byte, 64<<10+1) }, "configuration: got 65537 bytes, want 0 to 65536"},
		{"no vtpm", func(e *Evidence) { e.VTPM = nil }, `vtpm: got none, want an object on platform "vtpm"`},
		{"vtpm elsewhere", func(e *Evidence) { e.Platform = "tdx" }, `vtpm: got an object, want none on platform "tdx"`},
		{"no AK", func(e *Evidence) { e.VTPM.AK = []byte{} }, "vtpm: ak: got 0 bytes, want 1 to 1024"},
		{"long AK", func(e *Evidence) { e.VTPM.AK = make([]byte, 1025) }, "vtpm: ak: got 1025 bytes, want 1 to 1024"},
		{"no quote", func(e *Evidence) { e.VTPM.Quotes = []Quote{} }, "vtpm: quotes: got 0, want 1 to 2"},
		{"three quotes", func(e *Evidence) { e.VTPM.Quotes = append(e.VTPM.Quotes, e.VTPM.Quotes[1]) }, "vtpm: quotes: got 3, want 1 to 2"},
		{"bank twice", func(e *Evidence) { e.VTPM.Quotes[0] = e.VTPM.Quotes[1] }, "vtpm: quote 1: bank: got sha384 after sha384"},
		{"banks in other order", func(e *Evidence) { q := e.VTPM.Quotes; q[0], q[1] = q[1], q[0] }, "vtpm: quote 1: bank: got sha256 after sha384"},
		{"unknown bank", func(e *Evidence) { e.VTPM.Quotes[0].Bank = "sha1" }, `vtpm: quote 0: parsing PCR bank: got "sha1"`},
		{"no attest", func(e *Evidence) { e.VTPM.Quotes[0].Attest = []byte{} }, "vtpm: quote 0: attest: got 0 bytes, want 1 to 1024"},
		{"long attest", func(e *Evidence) { e.VTPM.Quotes[0].Attest = make([]byte, 1025) }, "vtpm: quote 0: attest: got 1025 bytes"},
		{"no signature", func(e *Evidence) { e.VTPM.Quotes[1].Signature = []byte{} }, "vtpm: quote 1: signature: got 0 bytes, want 1 to 1024"},
		{"long signature", func(e *Evidence) { e.VTPM.Quotes[1].Signature = make([]byte, 1025) }, "vtpm: quote 1: signature: got 1025 bytes"},
		{"no registers", func(e *Evidence) { e.VTPM.Quotes[0].PCRs = []PCR{} }, "vtpm: quote 0: pcrs: got 0, want 1 to 24"},
		{"index 24", func(e *Evidence) { e.VTPM.Quotes[0].PCRs[1].Index = 24 }, "vtpm: quote 0: pcrs: index: got 24, want 0 to 23"},
		{"index -1", func(e *Evidence) { e.VTPM.Quotes[0].PCRs[0].Index = -1 }, "vtpm: quote 0: pcrs: index: got -1, want 0 to 23"},
		{"index twice", func(e *Evidence) { e.VTPM.Quotes[0].PCRs[1].Index = 8 }, "vtpm: quote 0: pcrs: index: got 8 after 8"},
		{"descending", func(e *Evidence) { e.VTPM.Quotes[0].PCRs[1].Index = 7 }, "vtpm: quote 0: pcrs: index: got 7 after 8"},
		{"value of the other bank", func(e *Evidence) {
			e.VTPM.Quotes[1].PCRs[0] = e.VTPM.Quotes[0].PCRs[0]
		}, `vtpm: quote 1: pcr8: got "` + strings.Repeat("0", 64) + `", want 48 bytes of lower-case hex`},
		{"upper case", func(e *Evidence) { p := e.VTPM.Quotes[0].PCRs; p[1].Value = strings.ToUpper(p[1].Value) }, "vtpm: quote 0: pcr15: got"},
		{"no hex", func(e *Evidence) { e.VTPM.Quotes[0].PCRs[0].Value = strings.Repeat("0x", 32) }, "vtpm: quote 0: pcr8: got"},
		{"event log", func(e *Evidence) { e.VTPM.EventLog = make([]byte, MaxEventLog+1) }, "vtpm: event_log: got 1048577 bytes, want 0 to 1048576"},
		{"runtime log", func(e *Evidence) { e.VTPM.Runtime = make([]RuntimeEvent, 65) }, "vtpm: runtime: got 65 events, want a list of at most 64"},
		{"kind", func(e *Evidence) { e.VTPM.Runtime[0].Kind = "Config" }, `vtpm: runtime event 0: kind: got "Config", want "config" or "keys"`},
		{"activation", func(e *Evidence) { e.VTPM.Activation = make([]byte, 65) }, "vtpm: activation: got 65 bytes, want 0 to 64"},
	} {
		e := built(t)
		tt.change(e)
		if _, err := e.Encode(); err == nil || !strings.HasPrefix(err.Error(), "encoding evidence: "+tt.want) {
			t.Errorf("%s: Encode: got %v, want %s", tt.name, err, tt.want)
		}
		b, err := canon.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(b); err == nil || !strings.HasPrefix(err.Error(), "decoding evidence: "+tt.want) {
			t.Errorf("%s: Decode: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestDecodeRefusesNull: null is none of the lists, and no byte string.
func TestDecodeRefusesNull(t *testing.T) {
	for name, change := range map[string]func(*Evidence){
		"kem":           func(e *Evidence) { e.KEM = nil },
		"configuration": func(e *Evidence) { e.Configuration = nil },
		"ak":            func(e *Evidence) { e.VTPM.AK = nil },
		"quotes":        func(e *Evidence) { e.VTPM.Quotes = nil },
		"attest":        func(e *Evidence) { e.VTPM.Quotes[0].Attest = nil },
		"signature":     func(e *Evidence) { e.VTPM.Quotes[0].Signature = nil },
		"pcrs":          func(e *Evidence) { e.VTPM.Quotes[0].PCRs = nil },
		"event_log":     func(e *Evidence) { e.VTPM.EventLog = nil },
		"runtime":       func(e *Evidence) { e.VTPM.Runtime = nil },
		"activation":    func(e *Evidence) { e.VTPM.Activation = nil },
	} {
		e := built(t)
		change(e)
		b, err := canon.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(`"`+name+`":null`)) {
			t.Fatalf("%s: not null in %s", name, b)
		}
		if _, err := Decode(b); err == nil {
			t.Errorf("%s: null accepted", name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(example(t))
	change := func(old, changed string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the example has no %s", old)
		}
		return strings.Replace(good, old, changed, 1)
	}
	// What a hostile file of 4 MiB would make of the lists.
	many := strings.Repeat("{},", MaxSize/3-len(good)) + "{}"
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "EOF"},
		{"null", "null", "not in canonical form"},
		{"cut", good[:len(good)-1], "unexpected EOF"},
		{"newline at end", good + "\n", "not in canonical form"},
		{"two", good + good, "trailing data"},
		{"white space", change(`":"`, `": "`), "not in canonical form"},
		{"order", strings.Replace(change(`"activation":"",`, ""), `"ak":"YWs=",`, `"ak":"YWs=","activation":"",`, 1), "not in canonical form"},
		{"unknown member", change(`"vtpm":{`, `"vtpm":{"aa":1,`), `unknown field "aa"`},
		{"missing member", change(`"activation":"",`, ""), "not in canonical form"},
		{"member twice", change(`"activation":"",`, `"activation":"","activation":"",`), "not in canonical form"},
		{"base64 without padding", change(`"ak":"YWs="`, `"ak":"YWs"`), "illegal base64"},
		{"base64 with a line break", change(`"ak":"YWs="`, `"ak":"YW\ns="`), "not in canonical form"},
		{"base64 with stray bits", change(`"ak":"YWs="`, `"ak":"YWt="`), "not in canonical form"},
		{"short nonce", change("000102", "0102"), "want 32 bytes of lower-case hex"},
		{"index as a float", change(`"index":8`, `"index":8.0`), "cannot unmarshal"},
		{"index as text", change(`"index":8`, `"index":"8"`), "cannot unmarshal"},
		{"millions of quotes", change(`"quotes":[`, `"quotes":[`+many+","), "commas, want at most 241"},
		{"100 MB", strings.Repeat(" ", 100e6), "100000000 bytes, want at most 4194304"},
	} {
		_, err := Decode([]byte(tt.in))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %.300v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestHostileListsStaySmall: a file that is all list costs no more than its
// own size before it is refused.
func TestHostileListsStaySmall(t *testing.T) {
	b := []byte(`{"vtpm":{"runtime":[` + strings.Repeat("{},", MaxSize/3-20) + `{}]}}`)
	if n := testing.AllocsPerRun(1, func() {
		if _, err := Decode(b); err == nil {
			t.Error("accepted")
		}
	}); n > 100 {
		t.Errorf("%v allocations before the refusal", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(example(f))
	e, err := Decode(read(f, "../testdata/vtpm/evidence.json"))
	if err != nil {
		f.Fatal(err)
	}
	e.VTPM.EventLog = e.VTPM.EventLog[:64] // real but short: the fuzzer spends its time on making large inputs small
	b, err := e.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %s, encodes as %s, %v", b, again, err)
		}
		if _, err := e.Transcript().Bytes(); err != nil {
			t.Errorf("accepted, but has no transcript: %v", err)
		}
		if !json.Valid(b) {
			t.Error("not JSON")
		}
	})
}
