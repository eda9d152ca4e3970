package transcript

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBytesRefuses: nothing that no other guest would accept is bound.
func TestBytesRefuses(t *testing.T) {
	v := vectors(t)
	for _, tt := range []struct {
		name   string
		change func(*Input)
		want   string
	}{
		{"no platform", func(in *Input) { in.Platform = "" }, `platform: got "", want one of ["vtpm" "snp" "tdx" "nitro" "nitrotpm"]`},
		{"unknown platform", func(in *Input) { in.Platform = "sgx" }, `platform: got "sgx"`},
		{"other case", func(in *Input) { in.Platform = "VTPM" }, `platform: got "VTPM"`},
		{"platform and a zero", func(in *Input) { in.Platform = "vtpm\x00" }, `platform: got "vtpm\x00"`},
		{"no key", func(in *Input) { in.KEM = nil }, "KEM key: length: got 0, want 1218"},
		{"key without identifier", func(in *Input) { in.KEM = in.KEM[2:] }, "KEM key: length: got 1216, want 1218"},
		{"long key", func(in *Input) { in.KEM = append(in.KEM, 0) }, "KEM key: length: got 1219, want 1218"},
		{"X25519's identifier", func(in *Input) { binary.BigEndian.PutUint16(in.KEM, 0x0020) }, "KEM key: identifier: got 0x0020, want 0x647a"},
	} {
		in := example(t, v, VTPM)
		tt.change(in)
		_, err := in.Bytes()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Bytes: got %v, want %s", tt.name, err, tt.want)
		}
		if _, err := in.Sum(); err == nil {
			t.Errorf("%s: has a T", tt.name)
		}
		if _, err := in.QualifyingData(); err == nil {
			t.Errorf("%s: has qualifying data", tt.name)
		}
	}
}

// TestEveryFieldCounts: a bit in any field gives another T and other
// qualifying data.
func TestEveryFieldCounts(t *testing.T) {
	v := vectors(t)
	sums, quotes := map[[64]byte]string{}, map[[32]byte]string{}
	for name, change := range map[string]func(*Input){
		"nothing":      func(*Input) {},
		"platform":     func(in *Input) { in.Platform = SNP },
		"nonce":        func(in *Input) { in.Nonce[31] ^= 1 },
		"audience":     func(in *Input) { in.Audience[31] ^= 1 },
		"kem":          func(in *Input) { in.KEM[KEMSize-1] ^= 1 },
		"receipt key":  func(in *Input) { in.ReceiptKey[31] ^= 1 },
		"release":      func(in *Input) { in.Release[31] ^= 1 },
		"config":       func(in *Input) { in.Config[31] ^= 1 },
		"boot session": func(in *Input) { in.BootSession[31] ^= 1 },
	} {
		in := example(t, v, VTPM)
		change(in)
		sum, err := in.Sum()
		if err != nil {
			t.Fatal(err)
		}
		q, err := in.QualifyingData()
		if err != nil {
			t.Fatal(err)
		}
		if other, same := sums[sum]; same {
			t.Errorf("%s and %s: same T", name, other)
		}
		if other, same := quotes[q]; same {
			t.Errorf("%s and %s: same qualifying data", name, other)
		}
		sums[sum], quotes[q] = name, name
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := vectors(t).Value("i_vtpm")
	// Offsets from docs/format-transcript.md: the label has 20 bytes, then
	// each field follows its length of 4.
	const platform, nonce, kem = 20, 28, 28 + 36 + 36
	const receiptKey = kem + 4 + KEMSize
	change := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	for _, tt := range []struct {
		name, want string
		in         []byte
	}{
		{"empty", "label: got", nil},
		{"grant's label", "label: got", append([]byte("safebox/grant/v1\x00"), good[20:]...)},
		{"label of version 2", "label: got", change(18, '2')},
		{"label without its zero", "platform: length: got", append([]byte("safebox/evidence/v1"), good[20:]...)},
		{"label alone", "platform: length: got 0 bytes, want 4", good[:20]},
		{"cut in a length", "nonce: length: got 3 bytes, want 4", good[:nonce+3]},
		{"cut in a field", "nonce: length: got 32, but 31 bytes follow", good[:nonce+4+31]},
		{"last byte cut", "boot session: length: got 32, but 31 bytes follow", good[:len(good)-1]},
		{"a byte more", "1 bytes after the last field", append(bytes.Clone(good), 0)},
		{"twice", "bytes after the last field", append(bytes.Clone(good), good...)},
		{"unknown platform", `platform: got "vtpn"`, change(platform+4, []byte("vtpn")...)},
		{"long platform", "platform: length: got 9, want at most 8", change(platform, 0, 0, 0, 9)},
		{"short nonce", "nonce: length: got 31, want 32", change(nonce, 0, 0, 0, 31)},
		{"long nonce", "nonce: length: got 33, want at most 32", change(nonce, 0, 0, 0, 33)},
		{"length of 4 GiB", "nonce: length: got 4294967295, want at most 32", change(nonce, 0xff, 0xff, 0xff, 0xff)},
		{"length in little-endian", "nonce: length: got 536870912", change(nonce, 32, 0, 0, 0)},
		{"other KEM", "identifier: got 0x0020", change(kem+4, 0x00, 0x20)},
		{"short KEM key", "receipt key: length", change(kem+2, 0x04, 0xc1)},
		{"long KEM key", "KEM key: length: got 1219, want at most 1218", change(kem+2, 0x04, 0xc3)},
		{"long receipt key", "receipt key: length: got 33", change(receiptKey, 0, 0, 0, 33)},
	} {
		_, err := Decode(tt.in)
		if err == nil || !strings.HasPrefix(err.Error(), "decoding transcript: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestDecodeKeepsNothing: the input may be overwritten afterwards.
func TestDecodeKeepsNothing(t *testing.T) {
	v := vectors(t)
	b := v.Value("i_vtpm")
	in, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if d := cmp.Diff(example(t, v, VTPM), in); d != "" {
		t.Error(d)
	}
}

func FuzzDecode(f *testing.F) {
	v := vectors(f)
	for _, platform := range Platforms() {
		b, err := example(f, v, platform).Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(label))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := Decode(b)
		if err != nil {
			return
		}
		again, err := in.Bytes()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %x, encodes as %x, %v", b, again, err)
		}
	})
}
