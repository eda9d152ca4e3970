package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
)

func encodeEntries(list [][]byte) ([]byte, error) {
	var out []byte
	for i, e := range list {
		if len(e) > 1<<16-1 {
			return nil, fmt.Errorf("entry %d: got %d bytes, want at most %d", i, len(e), 1<<16-1)
		}
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(e))), e...)
	}
	return out, nil
}

func decodeEntries(b []byte) ([][]byte, error) {
	var out [][]byte
	for len(b) > 0 {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, errors.New("cut")
		}
		n := 2 + int(binary.BigEndian.Uint16(b))
		out = append(out, b[2:n:n])
		b = b[n:]
	}
	return out, nil
}

func entryBundlePath(n int64, width int) string {
	if width == tileWidth {
		return fmt.Sprintf("tile/entries/%03d", n)
	}
	return fmt.Sprintf("tile/entries/%03d.p/%d", n, width)
}
