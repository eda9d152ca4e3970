package nitro

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// Limits of an item. Documents need less: the library's least are 4 levels and
// 16 elements of an array; 32 pairs are the registers of an enclave.
const (
	maxLevels   = 4
	maxElements = 16
	maxPairs    = 32
)

// Major types (RFC 8949, section 3.1) and null (section 3.3).
const (
	majorNumber   = 0
	majorNegative = 1
	majorBytes    = 2
	majorText     = 3
	majorArray    = 4
	majorMap      = 5
	null          = 0xf6
	indefinite    = 31 // additional information
)

// decoder reads CBOR (RFC 8949) for which there is one way to read it: no tag,
// no duplicate key, no value that is a string in chunks, nothing after the item.
// Maps and arrays may have an indefinite length: AWS signs such maps since 2025
// (specs/nitro.md, section 4.1).
type decoder struct{ mode cbor.DecMode }

func newDecoder() (*decoder, error) {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthAllowed,
		TagsMd:           cbor.TagsForbidden,
		MaxNestedLevels:  maxLevels,
		MaxArrayElements: maxElements,
		MaxMapPairs:      maxPairs,
	}.DecMode()
	return &decoder{mode}, err
}

// read decodes exactly one item of a major type.
func (d *decoder) read(item []byte, major byte, to any) error {
	if len(item) == 0 {
		return errors.New("got nothing")
	}
	if got := item[0] >> 5; got != major {
		return fmt.Errorf("got %s, want %s", typeName(item[0]), majorName(major))
	}
	if (major == majorBytes || major == majorText) && item[0]&31 == indefinite {
		return fmt.Errorf("got %s in chunks, want it in one piece", majorName(major))
	}
	return d.mode.Unmarshal(item, to)
}

func (d *decoder) array(item []byte) ([]cbor.RawMessage, error) {
	var list []cbor.RawMessage
	err := d.read(item, majorArray, &list)
	return list, err
}

// pairs reads a map whose keys are all of one Go type: string for text, uint64
// and int64 for numbers.
func pairs[K comparable](d *decoder, item []byte) (map[K]cbor.RawMessage, error) {
	var found map[any]cbor.RawMessage
	if err := d.read(item, majorMap, &found); err != nil {
		return nil, err
	}
	m := make(map[K]cbor.RawMessage, len(found))
	var others []string
	for key, value := range found {
		k, ok := key.(K)
		if !ok {
			others = append(others, fmt.Sprintf("%.40q is %T, want %T", fmt.Sprint(key), key, k))
		}
		m[k] = value
	}
	if len(others) > 0 {
		return nil, fmt.Errorf("key %s", slices.Min(others)) // equal documents get equal errors
	}
	return m, nil
}

func (d *decoder) bytes(item []byte) ([]byte, error) {
	b := []byte{}
	err := d.read(item, majorBytes, &b)
	return b, err
}

func (d *decoder) text(item []byte) (string, error) {
	var s string
	err := d.read(item, majorText, &s)
	return s, err
}

func (d *decoder) number(item []byte) (uint64, error) {
	var n uint64
	err := d.read(item, majorNumber, &n)
	return n, err
}

// typeName says what an item is by its first byte.
func typeName(first byte) string {
	if first == null {
		return "null"
	}
	return majorName(first >> 5)
}

func majorName(major byte) string {
	names := [8]string{
		majorNumber: "a number", majorNegative: "a negative number", majorBytes: "a byte string", majorText: "a text",
		majorArray: "an array", majorMap: "a map", 6: "a tag", 7: "a simple value",
	}
	return names[major&7]
}
