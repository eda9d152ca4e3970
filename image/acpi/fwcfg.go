package acpi

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// fw_cfg by I/O ports (QEMU 10.0, docs/specs/fw_cfg.rst): a write to the first
// selects an item, reads from the second give its bytes. A multiple of bytes is
// read one by one.
const (
	selectPort = 0x510
	dataPort   = 0x511

	signatureItem = 0x00 // "QEMU"
	bootMenuItem  = 0x0e // u16
	directoryItem = 0x19
	firstFileItem = 0x20

	maxFiles    = 4096
	maxFileSize = tablesMax
)

// entry is a file of the directory: big endian u32 size, u16 item, u16 zero, 56
// bytes of name.
type entry struct {
	size uint32
	item uint16
}

const entrySize = 64

// fwCfg reads fw_cfg files.
type fwCfg struct {
	q     *qtest
	files map[string]entry
}

// openFwCfg reads the directory. QEMU builds the ACPI tables when one of their
// files is selected for the first time, so nothing else is selected here.
func openFwCfg(q *qtest) (*fwCfg, error) {
	f := &fwCfg{q: q, files: map[string]entry{}}
	signature, err := f.item(signatureItem, 4)
	if err == nil && string(signature) != "QEMU" {
		err = fmt.Errorf("signature: got %q, want QEMU", signature)
	}
	if err != nil {
		return nil, fmt.Errorf("reading fw_cfg: %w", err)
	}
	head, err := f.item(directoryItem, 4)
	if err != nil {
		return nil, fmt.Errorf("reading fw_cfg directory: %w", err)
	}
	count := binary.BigEndian.Uint32(head)
	if count > maxFiles {
		return nil, fmt.Errorf("reading fw_cfg directory: got %d files, want at most %d", count, maxFiles)
	}
	b, err := q.inBytes(dataPort, int(count)*entrySize)
	if err != nil {
		return nil, fmt.Errorf("reading fw_cfg directory: %w", err)
	}
	for i := 0; i < len(b); i += entrySize {
		e := entry{size: binary.BigEndian.Uint32(b[i:]), item: binary.BigEndian.Uint16(b[i+4:])}
		name, _, _ := strings.Cut(string(b[i+8:i+entrySize]), "\x00")
		if _, twice := f.files[name]; twice || name == "" || e.item < firstFileItem {
			return nil, fmt.Errorf("reading fw_cfg directory: file %d: got name %q and item %#x, want a new name and an item from %#x", i/entrySize, name, e.item, firstFileItem)
		}
		f.files[name] = e
	}
	return f, nil
}

// item selects an item and reads its first n bytes.
func (f *fwCfg) item(number uint16, n int) ([]byte, error) {
	if err := f.q.out("w", selectPort, uint32(number)); err != nil {
		return nil, err
	}
	return f.q.inBytes(dataPort, n)
}

// file reads a whole file; ok is false when there is none of that name.
func (f *fwCfg) file(name string) (b []byte, ok bool, err error) {
	e, ok := f.files[name]
	if !ok {
		return nil, false, nil
	}
	if e.size > maxFileSize {
		return nil, false, fmt.Errorf("reading fw_cfg file %s: length: got %d, want at most %d", name, e.size, maxFileSize)
	}
	b, err = f.item(e.item, int(e.size))
	if err != nil {
		return nil, false, fmt.Errorf("reading fw_cfg file %s: %w", name, err)
	}
	return b, true, nil
}
