package guestapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/vectortest"
)

// vectors are those of docs/format-job.md, which testdata/vectors.py made
// without our code.
func vectors(t testing.TB) *vectortest.Vectors {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format-job.md")
	if err != nil {
		t.Fatal(err)
	}
	return vectortest.Parse(t, doc)
}

func exampleJob() *Job {
	return &Job{
		Grant: []byte("grant"), Manifest: []byte("manifest"), Leaves: []byte("leaves"),
		Params: []byte{}, Module: []byte("\x00asm"),
	}
}

func exampleResult() *Result {
	return &Result{Receipt: []byte("receipt"), Outputs: []Output{
		{0, [][]byte{[]byte("for the first"), []byte("for the second")}},
		{258, [][]byte{[]byte("output")}},
	}}
}

func TestJobVector(t *testing.T) {
	v := vectors(t)
	b, err := exampleJob().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := v.Value("job"); !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
	if got, want := sha256.Sum256(b), v.Octets32("job_sha256"); got != want {
		t.Errorf("SHA-256: got %x, want %x", got, want)
	}
	got, err := DecodeJob(v.Value("job"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(exampleJob(), got); d != "" {
		t.Error(d)
	}
}

func TestResultVectors(t *testing.T) {
	v := vectors(t)
	for name, want := range map[string]*Result{
		"result":       exampleResult(),
		"result_empty": {Receipt: []byte("receipt"), Outputs: []Output{}},
	} {
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, v.Value(name)) {
			t.Errorf("%s: got %x, want %x", name, b, v.Value(name))
		}
		got, err := DecodeResult(v.Value(name))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestJobLimits: each part at its limits, and one byte beyond.
func TestJobLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*Job, int)
		ok   []int
		bad  []int
		want string
	}{
		{"grant", func(j *Job, n int) { j.Grant = make([]byte, n) }, []int{1, 65536}, []int{0, 65537}, "1 to 65536"},
		{"manifest", func(j *Job, n int) { j.Manifest = make([]byte, n) }, []int{1, 32768}, []int{0, 32769}, "1 to 32768"},
		{"leaves", func(j *Job, n int) { j.Leaves = make([]byte, n) }, []int{1, 16777216}, []int{0, 16777217}, "1 to 16777216"},
		{"params", func(j *Job, n int) { j.Params = make([]byte, n) }, []int{0, 65536}, []int{65537}, "0 to 65536"},
		{"module", func(j *Job, n int) { j.Module = make([]byte, n) }, []int{1, 33554432}, []int{0, 33554433}, "1 to 33554432"},
	} {
		for _, n := range tt.ok {
			j := exampleJob()
			tt.set(j, n)
			b, err := j.Encode()
			if err != nil {
				t.Errorf("%s of %d bytes: %v", tt.name, n, err)
				continue
			}
			if _, err := DecodeJob(b); err != nil {
				t.Errorf("%s of %d bytes: %v", tt.name, n, err)
			}
		}
		for _, n := range tt.bad {
			j := exampleJob()
			tt.set(j, n)
			if _, err := j.Encode(); err == nil || !strings.Contains(err.Error(), tt.name+": got ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s of %d bytes: encoding: got %v", tt.name, n, err)
			}
			b := []byte("SBJ1")
			for _, p := range j.parts() {
				b = append(binary.BigEndian.AppendUint32(b, uint32(len(*p.bytes))), *p.bytes...)
			}
			if _, err := DecodeJob(b); err == nil || !strings.HasPrefix(err.Error(), "decoding job: "+tt.name+": ") {
				t.Errorf("%s of %d bytes: decoding: got %v", tt.name, n, err)
			}
		}
	}
}

// TestLargestJob: MaxJob is the size of a job with every part at its limit.
func TestLargestJob(t *testing.T) {
	j := &Job{
		Grant: make([]byte, MaxGrant), Manifest: make([]byte, MaxManifest), Leaves: make([]byte, MaxLeaves),
		Params: make([]byte, MaxParams), Module: make([]byte, MaxModule),
	}
	b, err := j.Encode()
	if err != nil || len(b) != MaxJob {
		t.Errorf("got %d bytes, %v, want %d", len(b), err, MaxJob)
	}
}

func TestDecodeJobRefuses(t *testing.T) {
	good := vectors(t).Value("job")
	for i := range good {
		if _, err := DecodeJob(good[:i]); err == nil {
			t.Errorf("accepted the first %d bytes of %d", i, len(good))
		}
	}
	for _, tt := range []struct {
		name, want string
		in         []byte
	}{
		{"trailing byte", "trailing bytes: got 1, want none", append(bytes.Clone(good), 0)},
		{"twice", "trailing bytes", append(bytes.Clone(good), good...)},
		{"a result", `magic: got "SBR1", want "SBJ1"`, append([]byte("SBR1"), good[4:]...)},
		{"length of 4 GiB", "grant: length: got 4294967295, want at most 65536", append([]byte("SBJ1\xff\xff\xff\xff"), good[8:]...)},
	} {
		if _, err := DecodeJob(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestJobPartsAreApart: appending to a part does not change the next.
func TestJobPartsAreApart(t *testing.T) {
	j, err := DecodeJob(vectors(t).Value("job"))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(j.Grant, "overwritten"...)
	if d := cmp.Diff(exampleJob(), j); d != "" {
		t.Error(d)
	}
}

func TestResultRules(t *testing.T) {
	sealed := [][]byte{{1}}
	outputs := func(n int) (all []Output) {
		for i := range n {
			all = append(all, Output{uint32(i), sealed})
		}
		return all
	}
	recipients := func(n int) [][]byte { return repeat([]byte{1}, n) }
	for _, tt := range []struct {
		name   string
		result *Result
		want   string // empty: accepted
	}{
		{"64 outputs", &Result{[]byte("r"), outputs(64)}, ""},
		{"16 recipients", &Result{[]byte("r"), []Output{{0, recipients(16)}}}, ""},
		{"largest slot", &Result{[]byte("r"), []Output{{1<<32 - 1, sealed}}}, ""},
		{"largest receipt", &Result{make([]byte, 163840), []Output{}}, ""},
		{"no receipt", &Result{nil, outputs(1)}, "receipt: got 0 bytes, want 1 to 163840"},
		{"large receipt", &Result{make([]byte, 163841), nil}, "receipt: "},
		{"65 outputs", &Result{[]byte("r"), outputs(65)}, "outputs: got 65, want 0 to 64"},
		{"slot twice", &Result{[]byte("r"), []Output{{7, sealed}, {7, sealed}}}, "output 1: slot: got 7 after 7"},
		{"descending", &Result{[]byte("r"), []Output{{7, sealed}, {6, sealed}}}, "output 1: slot: got 6 after 7"},
		{"no recipient", &Result{[]byte("r"), []Output{{7, nil}}}, "output 0: recipients: got 0, want 1 to 16"},
		{"17 recipients", &Result{[]byte("r"), []Output{{7, recipients(17)}}}, "output 0: recipients: got 17, want 1 to 16"},
		{"nothing sealed", &Result{[]byte("r"), []Output{{7, [][]byte{{1}, {}}}}}, "output 0: recipient 1: got nothing"},
	} {
		_, encodeErr := tt.result.Encode()
		_, decodeErr := DecodeResult(rawResult(tt.result))
		if tt.want == "" {
			if encodeErr != nil || decodeErr != nil {
				t.Errorf("%s: refused: %v, %v", tt.name, encodeErr, decodeErr)
			}
			continue
		}
		if encodeErr == nil || !strings.HasPrefix(encodeErr.Error(), "encoding result: "+tt.want) {
			t.Errorf("%s: encoding: got %v, want %s", tt.name, encodeErr, tt.want)
		}
		if decodeErr == nil || !strings.HasPrefix(decodeErr.Error(), "decoding result: "+tt.want) {
			t.Errorf("%s: decoding: got %v, want %s", tt.name, decodeErr, tt.want)
		}
	}
}

func repeat(b []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, b)
	}
	return all
}

// rawResult lays a result out without asking whether it may be.
func rawResult(r *Result) []byte {
	field := func(b, f []byte) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...) }
	b := field([]byte("SBR1"), r.Receipt)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Outputs)))
	for _, o := range r.Outputs {
		b = binary.BigEndian.AppendUint32(b, o.Slot)
		b = binary.BigEndian.AppendUint32(b, uint32(len(o.Sealed)))
		for _, s := range o.Sealed {
			b = field(b, s)
		}
	}
	return b
}

// TestResultSize: the sum is bounded, not only each part. The outputs share
// memory, so that the test does not need what it refuses.
func TestResultSize(t *testing.T) {
	r := &Result{[]byte("r"), []Output{{0, repeat(make([]byte, 16<<20), 16)}}}
	if _, err := r.Encode(); err == nil || !strings.Contains(err.Error(), "bytes, want at most 268435456") {
		t.Errorf("got %v", err)
	}
}

func TestDecodeResultRefuses(t *testing.T) {
	good := vectors(t).Value("result")
	for i := range good {
		if _, err := DecodeResult(good[:i]); err == nil {
			t.Errorf("accepted the first %d bytes of %d", i, len(good))
		}
	}
	head := []byte("SBR1\x00\x00\x00\x01r")
	for _, tt := range []struct {
		name, want string
		in         []byte
	}{
		{"trailing byte", "trailing bytes: got 1, want none", append(bytes.Clone(good), 0)},
		{"a job", `magic: got "SBJ1", want "SBR1"`, append([]byte("SBJ1"), good[4:]...)},
		{"4 G outputs", "outputs: got 4294967295, want 0 to 64", append(bytes.Clone(head), 0xff, 0xff, 0xff, 0xff)},
		{"4 G recipients", "output 0: recipients: got 4294967295, want 1 to 16", append(bytes.Clone(head), 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)},
	} {
		if _, err := DecodeResult(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func FuzzDecodeJob(f *testing.F) {
	f.Add(vectors(f).Value("job"))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := DecodeJob(b)
		if err != nil {
			return
		}
		again, err := j.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %x, encodes as %x, %v", b, again, err)
		}
	})
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(vectors(f).Value("result"))
	f.Add(vectors(f).Value("result_empty"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeResult(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %x, encodes as %x, %v", b, again, err)
		}
	})
}
