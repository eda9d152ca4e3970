package tlog

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// BundleWidth is the number of entries in a full bundle (tlog-tiles, "Log
// entries").
const BundleWidth = 256

// maxEntry is the largest entry of a bundle in bytes: its length is a uint16.
const maxEntry = 1<<16 - 1

// DecodeEntries reads an entry bundle: 1 to 256 entries, each after its length
// as a big-endian uint16 (tlog-tiles, "Log entries"). The entries share the
// bundle's memory.
func DecodeEntries(bundle []byte) ([][]byte, error) {
	var entries [][]byte
	for at := 0; at < len(bundle); {
		if len(entries) == BundleWidth {
			return nil, fmt.Errorf("decoding entry bundle: byte %d: got more than %d entries", at, BundleWidth)
		}
		if len(bundle)-at < 2 {
			return nil, fmt.Errorf("decoding entry bundle: byte %d: length: got 1 byte, want 2", at)
		}
		n := int(binary.BigEndian.Uint16(bundle[at:]))
		at += 2
		if len(bundle)-at < n {
			return nil, fmt.Errorf("decoding entry bundle: byte %d: entry %d: got %d bytes, want %d", at, len(entries), len(bundle)-at, n)
		}
		entries = append(entries, bundle[at:at+n:at+n])
		at += n
	}
	if len(entries) == 0 {
		return nil, errors.New("decoding entry bundle: got no entries, want 1 to 256")
	}
	return entries, nil
}

// EncodeEntries gives the bundle of 1 to 256 entries.
func EncodeEntries(entries [][]byte) ([]byte, error) {
	if len(entries) < 1 || len(entries) > BundleWidth {
		return nil, fmt.Errorf("encoding entry bundle: got %d entries, want 1 to %d", len(entries), BundleWidth)
	}
	var b []byte
	for i, e := range entries {
		if len(e) > maxEntry {
			return nil, fmt.Errorf("encoding entry bundle: entry %d: got %d bytes, want at most %d", i, len(e), maxEntry)
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(e))), e...)
	}
	return b, nil
}

// EntryBundlePath is the path of bundle n, which holds width entries (1 to
// 256), below a log's prefix (tlog-tiles, "Merkle Tree"): the number in groups
// of three digits, all but the last after an x, and a partial bundle's width.
func EntryBundlePath(n int64, width int) (string, error) {
	if n < 0 || width < 1 || width > BundleWidth {
		return "", fmt.Errorf("path of entry bundle %d of width %d: want a number from 0 and a width from 1 to %d", n, width, BundleWidth)
	}
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width < BundleWidth {
		path = fmt.Sprintf("%s.p/%d", path, width)
	}
	return "tile/entries/" + path, nil
}
