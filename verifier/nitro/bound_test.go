package nitro_test

import (
	"bytes"
	"runtime"
	"testing"

	"safebox/verifier/check"
	"safebox/verifier/nitro"
	"safebox/verifier/nitro/nitrotest"
	"safebox/verifier/policy/nitropolicy"
)

// allocated is the memory that a function asks for, in bytes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// hostile is input that a decoder without bounds would swell on.
func hostile() map[string][]byte {
	sign1 := func(payload []byte) []byte {
		return nitrotest.Array(
			nitrotest.Bytes(nitrotest.Map(nitrotest.Pair{Key: nitrotest.Number(1), Value: nitrotest.Negative(34)})),
			nitrotest.Map(), nitrotest.Bytes(payload), nitrotest.Bytes(make([]byte, 96)))
	}
	entries := func(n int) []nitrotest.Pair {
		list := make([]nitrotest.Pair, n)
		for i := range list {
			list[i] = nitrotest.Pair{Key: nitrotest.Number(uint64(i)), Value: nitrotest.Null()}
		}
		return list
	}
	indefinite := append(append([]byte{0xbf}, bytes.Repeat([]byte{0x00, 0xf6}, 1_000_000)...), 0xff)
	short := append(append([]byte{0xbf}, bytes.Repeat([]byte{0x00, 0xf6}, 7_000)...), 0xff)
	return map[string][]byte{
		"100 MB of zeros":                          make([]byte, 100_000_000),
		"1 MiB of nested arrays":                   nitrotest.Nested(1 << 20),
		"1 MiB of nested arrays as payload":        sign1(nitrotest.Nested(1 << 20)),
		"15 KiB of nested arrays as payload":       sign1(nitrotest.Nested(15 << 10)),
		"10^6 map entries":                         indefinite,
		"10^6 map entries as payload":              sign1(indefinite),
		"7,000 map entries as payload":             sign1(short),
		"4,000 different map entries as payload":   sign1(nitrotest.Map(entries(4000)...)),
		"a map that promises 2^63 entries":         sign1([]byte{0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"an array that promises 2^32 entries":      {0x9a, 0xff, 0xff, 0xff, 0xff},
		"bytes that promise 2^62":                  sign1([]byte{0xa1, 0x5b, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"registers that promise 2^32 entries":      sign1(append(append(nitrotest.Item{0xa1}, nitrotest.Text("pcrs")...), 0xba, 0xff, 0xff, 0xff, 0xff)),
		"cabundle that promises 2^32 certificates": sign1(append(append(nitrotest.Item{0xa1}, nitrotest.Text("cabundle")...), 0x9a, 0xff, 0xff, 0xff, 0xff)),
	}
}

// TestBounded: hostile input is refused with little memory, whatever its size.
func TestBounded(t *testing.T) {
	p := nitrotest.Policy(t, nitropolicy.Enclave, "test")
	const most = 256 << 10 // bytes; the largest input that is read has 32 KiB
	for name, b := range hostile() {
		var err error
		if n := allocated(func() { _, err = nitro.Decode(b) }); err == nil || n > most {
			t.Errorf("%s: decoding: error %v, %d bytes of memory, want an error and at most %d", name, err, n, most)
		}
		log := check.New()
		if n := allocated(func() { nitro.Verify(nitro.Input{Document: b, Policy: &p, Roots: nitro.PinnedRoots()}, log) }); n > most {
			t.Errorf("%s: verifying: %d bytes of memory, want at most %d", name, n, most)
		}
		if log.Verdict(nitro.Definitions(nitro.Enclave)).OK {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, r := range reals() {
		b := read(t, documents, r.file)
		if n := allocated(func() {
			if _, err := nitro.Decode(b); err != nil {
				t.Error(err)
			}
		}); n > most {
			t.Errorf("%s: decoding: %d bytes of memory, want at most %d", r.file, n, most)
		}
	}
}
