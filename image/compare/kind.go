package compare

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"

	"safebox/measure/gpt"
)

// kind is a format that this package looks into.
type kind int

const (
	kindNone kind = iota // no component: the outermost file
	kindData             // any other bytes
	kindDisk
	kindPE
	kindInitrd
	kindELF
	kindJSON
	kindText
)

func (k kind) String() string {
	switch k {
	case kindDisk:
		return "disk"
	case kindPE:
		return "PE"
	case kindInitrd:
		return "initrd"
	case kindELF:
		return "ELF"
	case kindJSON:
		return "JSON"
	case kindText:
		return "text"
	case kindNone, kindData:
		return "data"
	}
	return "data"
}

// readable reports whether people can read it: damaged JSON is still text.
func (k kind) readable() bool { return k == kindJSON || k == kindText }

const (
	magicDisk = "EFI PART"         // UEFI 2.10, table 5-5, at the second sector
	magicPE   = "MZ"               // PE Format, "MS-DOS Stub (Image Only)"
	offPE     = 0x3c               // the same: where the signature is
	peMagic   = "PE\x00\x00"       // PE Format, "Signature (Image Only)"
	magicNewc = "070701"           // Linux buffer-format.rst, c_magic
	magicZstd = "\x28\xb5\x2f\xfd" // RFC 8878, section 3.1.1
	magicELF  = "\x7fELF"          // System V ABI, "ELF Identification"
)

// maxText bounds what is taken for text or JSON.
const maxText = 8 << 20

// recognise names the format of b within a component of kind outer. The order
// of containers is disk, PE, and in that an initrd or one more PE, the kernel;
// then no further. Files in an initrd are not unpacked again, so a nest of
// containers can't make us expand them all.
func recognise(b []byte, outer kind) kind {
	if bytes.HasPrefix(b, []byte(magicELF)) {
		return kindELF
	}
	if outer != kindInitrd {
		if isPE(b) {
			return kindPE
		}
		if bytes.HasPrefix(b, []byte(magicNewc)) || bytes.HasPrefix(b, []byte(magicZstd)) {
			return kindInitrd
		}
	}
	if outer == kindNone && len(b) > gpt.SectorSize && bytes.HasPrefix(b[gpt.SectorSize:], []byte(magicDisk)) {
		return kindDisk
	}
	if len(b) > maxText {
		return kindData
	}
	if trimmed := bytes.TrimLeft(b, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(b) {
		return kindJSON
	}
	if isText(b) {
		return kindText
	}
	return kindData
}

func isPE(b []byte) bool {
	if len(b) < offPE+4 || !bytes.HasPrefix(b, []byte(magicPE)) {
		return false
	}
	off := uint64(binary.LittleEndian.Uint32(b[offPE:]))
	return off < uint64(len(b)) && bytes.HasPrefix(b[off:], []byte(peMagic))
}

// isText takes UTF-8 without control characters but tab and line ends. A
// command line may end with a NUL.
func isText(b []byte) bool {
	b = bytes.TrimSuffix(b, []byte{0})
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
