package compare

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"testing"
)

// igvmOracle is a file that measure/igvm/testdata/oracle.py wrote.
func igvmOracle(t *testing.T, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile("../../measure/igvm/testdata/" + name + ".igvm.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestIGVM: the structures are those that oracle.py lists, by number. Offsets
// are those of its file: 24 bytes of header, then each structure with 8 bytes
// before its body (igvm_defs).
func TestIGVM(t *testing.T) {
	good := igvmOracle(t, "small")
	at := func(off int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[off:], to)
		end := 24 + binary.LittleEndian.Uint32(b[12:])
		clear(b[20:24])
		binary.LittleEndian.PutUint32(b[20:], crc32.ChecksumIEEE(b[:end]))
		return b
	}
	// 2 platforms of 24 bytes, a policy of 24, an optional structure of 16, 2
	// areas of 24, 3 parameters of 16, 2 inserts of 24: pages start here.
	const pages = 24 + 2*24 + 24 + 16 + 2*24 + 3*16 + 2*24
	data := int(binary.LittleEndian.Uint32(good[pages+8+12:]))
	for name, tt := range map[string]struct {
		a    []byte
		want string
	}{
		"same":      {good, ""},
		"policy":    {at(24+2*24+8, 1), "f: structure 2 GUEST_POLICY: 0x30001, mask 0x1, want 0x30000, mask 0x1"},
		"page":      {at(data+7, 0xff), "f: structure 11 PAGE_DATA 0xffc00000: byte 7: 0xff, want ..."},
		"address":   {at(pages+8+2*32, 0, 0xf0, 0x7f), "f: structure 13 PAGE_DATA 0x800000: normal at 0x7ff000, flags 0x0, mask 0x3, zeros, want normal at 0x800000, flags 0x0, mask 0x3, zeros"},
		"no data":   {at(pages+8+12, 0, 0, 0, 0), "f: structure 11 PAGE_DATA 0xffc00000: data: none, want 4096 bytes"},
		"type":      {at(24+2*24+24, 0x51), "f: structure 3 type 0x80000150: type: type 0x80000151, want type 0x80000150"},
		"opaque":    {at(24+2*24+24+8, 'O'), `f: structure 3 type 0x80000150: body: ...`},
		"version":   {igvmOracle(t, "version2"), "f: header: version: 2, want 1"},
		"unread":    {append(bytes.Clone(good), 0), "f: size: ..."},
		"structure": {igvmOracle(t, "large"), "f: structure 4 PARAMETER_AREA: type: PAGE_DATA, want PARAMETER_AREA"},
	} {
		t.Run(name, func(t *testing.T) { check(t, tt.a, good, tt.want) })
	}
}
