package nitrotest

import (
	"encoding/binary"
	"slices"
)

// Item is one encoded CBOR item. It is written here by hand, so that tests can
// write what a library would not.
type Item []byte

// Null is the simple value null.
func Null() Item { return Item{0xf6} }

// head is a major type with its argument in the shortest form (RFC 8949,
// section 3).
func head(major byte, n uint64) Item {
	first := major << 5
	switch {
	case n < 24:
		return Item{first | byte(n)}
	case n < 1<<8:
		return Item{first | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(Item{first | 25}, uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(Item{first | 26}, uint32(n))
	}
	return binary.BigEndian.AppendUint64(Item{first | 27}, n)
}

// Number is an integer that is not negative.
func Number(n uint64) Item { return head(0, n) }

// Negative is the integer -1 - n.
func Negative(n uint64) Item { return head(1, n) }

// Bytes is a byte string.
func Bytes(b []byte) Item { return append(head(2, uint64(len(b))), b...) }

// Chunks is a byte string of indefinite length with one chunk.
func Chunks(b []byte) Item { return append(append(Item{0x5f}, Bytes(b)...), 0xff) }

// BytesOrNull is a byte string, and null for nil.
func BytesOrNull(b []byte) Item {
	if b == nil {
		return Null()
	}
	return Bytes(b)
}

// Text is a text string.
func Text(s string) Item { return append(head(3, uint64(len(s))), s...) }

// Array is an array.
func Array(items ...Item) Item {
	return append(head(4, uint64(len(items))), slices.Concat(items...)...)
}

// Pair is a key and its value.
type Pair struct{ Key, Value Item }

// Map is a map of definite length, its pairs in the given order, duplicates and
// all.
func Map(pairs ...Pair) Item {
	b := head(5, uint64(len(pairs)))
	for _, p := range pairs {
		b = slices.Concat(b, p.Key, p.Value)
	}
	return b
}

// IndefiniteMap is a map of indefinite length.
func IndefiniteMap(pairs ...Pair) Item {
	b := Item{0xbf}
	for _, p := range pairs {
		b = slices.Concat(b, p.Key, p.Value)
	}
	return append(b, 0xff)
}

// Nested is an array in an array in an array, so deep.
func Nested(depth int) Item {
	b := slices.Repeat(Item{0x81}, depth)
	return append(b, 0x00)
}
