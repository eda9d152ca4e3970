package release

import (
	"encoding/json"
	"testing"

	"safebox/measure/benchtest"
)

// realSize is a release with as many registers as a real one: two boots in two
// banks.
func realSize() *Release {
	r := example()
	r.Measurements = nil
	for _, boot := range []string{"esp", "kernel"} {
		for _, bank := range []string{"sha256", "sha384"} {
			size := map[string]int{"sha256": 32, "sha384": 48}[bank]
			r.Measurements = append(r.Measurements, Measurement{Platform: "vtpm", Boot: boot, Bank: bank, Registers: registers(size)})
		}
	}
	return r
}

// BenchmarkEncode compares with the standard library's way to sorted names:
// through a tree of maps.
func BenchmarkEncode(b *testing.B) {
	r := realSize()
	benchtest.Ratio(b, "x-of-encoding/json", func() {
		if _, err := r.Encode(); err != nil {
			b.Fatal(err)
		}
	}, func() {
		plain, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(plain, &tree); err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(tree); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkDecode compares with decoding that refuses nothing.
func BenchmarkDecode(b *testing.B) {
	encoded, err := realSize().Encode()
	if err != nil {
		b.Fatal(err)
	}
	benchtest.Ratio(b, "x-of-encoding/json", func() {
		if _, err := Decode(encoded); err != nil {
			b.Fatal(err)
		}
	}, func() {
		var r Release
		if err := json.Unmarshal(encoded, &r); err != nil {
			b.Fatal(err)
		}
	})
}
