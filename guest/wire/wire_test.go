package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
	"safebox/verifier/object"

	"github.com/google/go-cmp/cmp"
)

// pair gives both ends of a connection, closed with the test.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	a, b = net.Pipe()
	t.Cleanup(func() {
		if err := errors.Join(a.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	return a, b
}

// serve runs a server and gives a client of it.
func serve(t testing.TB, limit int, h Handler) *Client {
	t.Helper()
	a, b := pair(t)
	go func() {
		if err := Serve(b, limit, h); err != nil {
			t.Log(err) // the test looks at the client's side
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	return NewClient(a, 1<<20)
}

func echo(op uint8, body []byte) ([]byte, error) { return append([]byte{op}, body...), nil }

func TestCall(t *testing.T) {
	c := serve(t, 1<<20, echo)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			body := bytes.Repeat([]byte{byte(i)}, 100_000*i)
			got, err := c.Call(uint8(i), body)
			if err != nil || !bytes.Equal(got, append([]byte{byte(i)}, body...)) {
				t.Errorf("call %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	all.Wait()
}

func TestProblems(t *testing.T) {
	want := &guestapi.Problem{ID: "job-busy", Detail: "one at a time"}
	c := serve(t, 1<<20, func(op uint8, _ []byte) ([]byte, error) {
		if op == 1 {
			return nil, errors.Join(errors.New("around it"), want)
		}
		return nil, errors.New("device lost")
	})
	var got *guestapi.Problem
	if _, err := c.Call(1, nil); !errors.As(err, &got) {
		t.Fatalf("got %v", err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// The connection goes on after a problem, and an error of no name has one.
	if _, err := c.Call(2, nil); !errors.As(err, &got) || got.ID != Internal || got.Detail != "device lost" {
		t.Errorf("got %v", err)
	}
}

// TestBytes: frames as the package comment has them, written by hand.
func TestBytes(t *testing.T) {
	a, b := pair(t)
	c := NewClient(a, 1<<20)
	answers := make(chan error, 1)
	go func() {
		_, err := c.Call(0x21, []byte{0, 0, 0, 0, 0, 0, 0, 7})
		answers <- err
	}()
	got := make([]byte, 13)
	if _, err := io.ReadFull(b, got); err != nil {
		t.Fatal(err)
	}
	if want := "00000009" + "21" + "0000000000000007"; hex.EncodeToString(got) != want {
		t.Errorf("request: got %x, want %s", got, want)
	}
	if _, err := b.Write([]byte{0, 0, 0, 3, 0, 'o', 'k'}); err != nil {
		t.Fatal(err)
	}
	if err := <-answers; err != nil {
		t.Error(err)
	}
}

// TestBrokenReplies: each costs the connection, because the next reply could
// be taken for another's.
func TestBrokenReplies(t *testing.T) {
	for name, reply := range map[string]string{
		"length 0":          "00000000",
		"too long":          "00100001" + "00",
		"unknown status":    "00000001" + "02",
		"problem not one":   "00000003" + "01" + "7b7d",
		"problem empty":     "00000001" + "01",
		"cut in the length": "0000",
		"cut before status": "00000004",
		"cut in the body":   "00000004" + "0001",
		"nothing":           "",
	} {
		a, b := pair(t)
		c := NewClient(a, 1<<20)
		bytes, err := hex.DecodeString(reply)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, _, err := readFrame(b, 100); err != nil {
				t.Error(err)
			}
			if _, err := b.Write(bytes); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}()
		if _, err := c.Call(1, nil); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: got %v, want an error that is no orderly end", name, err)
		}
		if _, err := c.Call(1, nil); !errors.Is(err, errBroken) {
			t.Errorf("%s: second call: got %v, want %v", name, err, errBroken)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	for name, request := range map[string]string{
		"length 0": "0000000001" + "0000000101",
		"too long": "00000065" + strings.Repeat("01", 101),
		"cut":      "00000064" + "01",
	} {
		b, err := hex.DecodeString(request)
		if err != nil {
			t.Fatal(err)
		}
		rw := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(b), io.Discard}
		err = Serve(rw, 100, func(uint8, []byte) ([]byte, error) {
			t.Errorf("%s: handled", name)
			return nil, nil
		})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	end := struct {
		io.Reader
		io.Writer
	}{strings.NewReader(""), io.Discard}
	if err := Serve(end, 100, echo); err != nil {
		t.Errorf("end between frames: %v", err)
	}
}

// hoarder gives bytes and keeps where it put them.
type hoarder struct {
	io.Reader
	given [][]byte
}

func (h *hoarder) Read(b []byte) (int, error) {
	n, err := h.Reader.Read(b)
	h.given = append(h.given, b[:n])
	return n, err
}

// TestBodyLeavesNoCopies: what a body was moved from while it grew is clear.
func TestBodyLeavesNoCopies(t *testing.T) {
	r := &hoarder{Reader: bytes.NewReader(bytes.Repeat([]byte{0xaa}, 5*eager))}
	body, err := readBody(r, 5*eager)
	if err != nil || len(body) != 5*eager {
		t.Fatalf("got %d bytes, %v", len(body), err)
	}
	held := 0
	for _, b := range r.given {
		if bytes.Contains(b, []byte{0xaa}) {
			held += len(b)
		}
	}
	// The last piece was read into the body itself, from 4 * eager on.
	if want := eager; held != want {
		t.Errorf("%d bytes are still where they were read to, want %d", held, want)
	}
}

// TestInfoIsBounded: canonical, and longer than it may be.
func TestInfoIsBounded(t *testing.T) {
	info, err := canon.Marshal(Info{Inputs: []Input{}, Params: make([]byte, MaxInfo)})
	if err != nil {
		t.Fatal(err)
	}
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(info))), info...)
	if _, err := DecodeJob(b); err == nil || !strings.Contains(err.Error(), "want at most") {
		t.Errorf("got %v", err)
	}
}

// TestMemoryFollowsBytes: a length alone allocates little.
func TestMemoryFollowsBytes(t *testing.T) {
	got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, err := readFrame(strings.NewReader("\x0f\xff\xff\xff\x01short"), MaxReplyKeeper)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if got > 2*eager {
		t.Errorf("%d bytes allocated for a frame of 5", got)
	}
}

func TestBodies(t *testing.T) {
	output, err := Output{Slot: 3, Kind: "object", Data: []byte("x")}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	done, err := Done{Exit: -1, MemoryPeak: 65536, Trap: "wall"}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	job, err := (&Job{Info: Info{Engine: "compiler", Inputs: []Input{{Ranges: [][2]uint32{{0, 2}}, Root: "b"}}, Params: []byte("p")}, Module: []byte("m")}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	info := `{"engine":"compiler","inputs":[{"chunk_size":0,"chunks":0,"ranges":[[0,2]],"root":"b","size":0}],"memory":0,"output":0,"params":"cA==","seed":"` + strings.Repeat("0", 64) + `","time":0}`
	for _, c := range []struct {
		name string
		got  []byte
		want string // hex, written by hand from the doc comments
	}{
		{"fetch", Fetch{Root: [32]byte{1, 31: 2}, Limit: 1 << 20}.Encode(), "01" + strings.Repeat("00", 30) + "02" + "00100000"},
		{"chunk", Chunk{Input: 1, Index: 0x01020304}.Encode(), "00000001" + "01020304"},
		{"output", output, "00000003" + "06" + hex.EncodeToString([]byte("object")) + "78"},
		{"done", done, hex.EncodeToString([]byte(`{"exit":-1,"memory_peak":65536,"trap":"wall"}`))},
		{"log", Log{Level: 2, Text: "hi"}.Encode(), "026869"},
		{"job", job, "000000da" + hex.EncodeToString([]byte(info)) + "6d"},
	} {
		if hex.EncodeToString(c.got) != c.want {
			t.Errorf("%s: got %x, want %s", c.name, c.got, c.want)
		}
	}
}

func TestBodiesRefuse(t *testing.T) {
	for name, decode := range map[string]func() error{
		"fetch short":      func() error { _, err := DecodeFetch(make([]byte, 35)); return err },
		"fetch long":       func() error { _, err := DecodeFetch(make([]byte, 37)); return err },
		"chunk short":      func() error { _, err := DecodeChunk(make([]byte, 7)); return err },
		"chunk long":       func() error { _, err := DecodeChunk(make([]byte, 9)); return err },
		"output empty":     func() error { _, err := DecodeOutput(nil); return err },
		"output no kind":   func() error { _, err := DecodeOutput(make([]byte, 5)); return err },
		"output cut":       func() error { _, err := DecodeOutput([]byte("\x00\x00\x00\x00\x06objec")); return err },
		"output kind":      func() error { _, err := DecodeOutput([]byte("\x00\x00\x00\x00\x02O\n")); return err },
		"output long kind": func() error { _, err := Output{Kind: strings.Repeat("a", MaxKind+1)}.Encode(); return err },
		"log empty":        func() error { _, err := DecodeLog(nil); return err },
		"log long":         func() error { _, err := DecodeLog(make([]byte, MaxLog+2)); return err },
		"log not UTF-8":    func() error { _, err := DecodeLog([]byte{1, 0xff}); return err },
		"done trap": func() error {
			_, err := DecodeDone([]byte(`{"exit":0,"memory_peak":0,"trap":"<b>"}`))
			return err
		},
		"done memory": func() error {
			_, err := DecodeDone([]byte(`{"exit":0,"memory_peak":-1,"trap":""}`))
			return err
		},
		"done missing": func() error { _, err := DecodeDone([]byte(`{"exit":0,"trap":""}`)); return err },
		"job empty":    func() error { _, err := DecodeJob(nil); return err },
		"job cut":      func() error { _, err := DecodeJob([]byte{0, 0, 0, 9, '{'}); return err },
		"job info":     func() error { _, err := DecodeJob([]byte{0, 0, 0, 2, '{', '}'}); return err },
	} {
		if decode() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestShardFits: the limit is written twice, because this package knows
// nothing of objects.
func TestShardFits(t *testing.T) {
	if maxShard != object.ShardSize {
		t.Errorf("got %d, want %d", maxShard, object.ShardSize)
	}
}

func FuzzFrame(f *testing.F) {
	for _, s := range []string{"\x00\x00\x00\x01\x20", "\x00\x00\x00\x09\x21\x00\x00\x00\x00\x00\x00\x00\x07", "\x00\x00\x00\x03\x00ok\x00\x00\x00\x01\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		op, body, err := readFrame(bytes.NewReader(b), 1<<16)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeFrame(&again, op, body); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, again.Bytes()) {
			t.Errorf("read %x, wrote %x", b, again.Bytes())
		}
	})
}

func FuzzBodies(f *testing.F) {
	f.Add(Fetch{Limit: 1}.Encode())
	f.Add(Chunk{Index: 1}.Encode())
	f.Add(Log{Level: 1, Text: "line"}.Encode())
	f.Add([]byte("\x00\x00\x00\x01\x05replydata"))
	f.Add([]byte(`{"exit":0,"memory_peak":65536,"trap":""}`))
	job, err := (&Job{Info: Info{Engine: "compiler", Inputs: []Input{{Ranges: [][2]uint32{{0, 2}}}}, Params: []byte{}}, Module: []byte("m")}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(job)
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(again []byte, err error) {
			t.Helper()
			if err != nil || !bytes.Equal(again, b) {
				t.Errorf("accepted %x, encodes as %x, %v", b, again, err)
			}
		}
		if x, err := DecodeFetch(b); err == nil {
			same(x.Encode(), nil)
		}
		if x, err := DecodeChunk(b); err == nil {
			same(x.Encode(), nil)
		}
		if x, err := DecodeLog(b); err == nil {
			same(x.Encode(), nil)
		}
		if x, err := DecodeOutput(b); err == nil {
			same(x.Encode())
		}
		if x, err := DecodeDone(b); err == nil {
			same(x.Encode())
		}
		if x, err := DecodeJob(b); err == nil {
			same(x.Encode())
		}
	})
}
