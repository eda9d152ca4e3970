package compare

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unicode/utf8"

	"safebox/image/disk/container"
	"safebox/measure/igvm"
)

// kind is a format that this package looks into.
type kind int

const (
	kindNone kind = iota // no component: the outermost file
	kindData             // any other bytes
	kindDisk
	kindQCOW2 // a disk in a file of that format
	kindVHD
	kindGCP
	kindPE
	kindInitrd
	kindELF
	kindEIF
	kindIGVM
	kindFirmware // firmware volumes, with or without OVMF's tables
	kindLog      // an event log
	kindJSON
	kindText
)

func (k kind) String() string {
	switch k {
	case kindDisk:
		return "disk"
	case kindQCOW2:
		return "qcow2 disk"
	case kindVHD:
		return "VHD disk"
	case kindGCP:
		return "GCP disk"
	case kindPE:
		return "PE"
	case kindInitrd:
		return "initrd"
	case kindELF:
		return "ELF"
	case kindEIF:
		return "EIF"
	case kindIGVM:
		return "IGVM"
	case kindFirmware:
		return "firmware"
	case kindLog:
		return "event log"
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
	magicPE   = "MZ"               // PE Format, "MS-DOS Stub (Image Only)"
	offPE     = 0x3c               // the same: where the signature is
	peMagic   = "PE\x00\x00"       // PE Format, "Signature (Image Only)"
	magicNewc = "070701"           // Linux buffer-format.rst, c_magic
	magicZstd = "\x28\xb5\x2f\xfd" // RFC 8878, section 3.1.1
	magicELF  = "\x7fELF"          // System V ABI, "ELF Identification"
	magicEIF  = ".eif"             // EIF specification, "EifHeader"
	magicIGVM = igvm.Magic         // igvm_defs, IGVM_FIXED_HEADER

	magicVolume = "_FVH" // UEFI Platform Initialization 1.8, Volume 3, 3.2.1.1
	offVolume   = 40

	// The GUID of OVMF's footer table (edk2 OvmfPkg/ResetVector/Ia16/
	// ResetVectorVtf0.asm), 48 bytes before the end.
	magicFooter = "\xde\x82\xb5\x96\xb2\x1f\xf7\x45\xba\xea\xa3\x66\xc5\x5a\x08\x2d"
	offFooter   = 48

	magicLog = "Spec ID Event03\x00" // TCG PFP 1.06, 10.4.5.1
	offLog   = 32
)

// maxText bounds what is taken for text or JSON.
const maxText = 8 << 20

// recognise names the format of b within a component of kind outer. The order
// of containers is disk or EIF, PE, and in that an initrd or one more PE, the
// kernel; then no further. Files in an initrd are not unpacked again, so a nest of
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
	if outer == kindNone {
		if k := outermost(b); k != kindData {
			return k
		}
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

// outermost names the formats that are not looked for inside others.
func outermost(b []byte) kind {
	has := func(off int, magic string) bool {
		return off >= 0 && off <= len(b) && bytes.HasPrefix(b[off:], []byte(magic))
	}
	if f, err := container.Recognise(bytes.NewReader(b), int64(len(b))); err == nil {
		return diskKind(f)
	}
	switch {
	case has(0, magicEIF):
		return kindEIF
	case has(0, magicIGVM):
		return kindIGVM
	case has(len(b)-offFooter, magicFooter), has(offVolume, magicVolume):
		return kindFirmware
	case has(offLog, magicLog):
		return kindLog
	}
	return kindData
}

func diskKind(f container.Format) kind {
	switch f {
	case container.QCOW2:
		return kindQCOW2
	case container.VHD:
		return kindVHD
	case container.GCP:
		return kindGCP
	case container.Raw:
	}
	return kindDisk
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
