package tpm

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"unicode/utf16"

	"safebox/measure/eventlog"
	"safebox/measure/ovmf"
	"safebox/measure/tpm/golden"
)

// UnknownFirmwareError says that a firmware was never seen to boot. The part
// of PCR 0 that cannot be computed is not known for it.
type UnknownFirmwareError struct {
	SHA256 string // of its file, hex
}

// Error implements error.
func (e *UnknownFirmwareError) Error() string {
	return fmt.Sprintf("unknown firmware with SHA-256 %s", e.SHA256)
}

// Hint says what to do about it.
func (e *UnknownFirmwareError) Hint() string {
	return "use the pinned OVMF_CODE_4M.fd, or learn this firmware's values from one labelled golden boot"
}

// findFirmware looks a firmware up by the hash of its file. There may be several
// entries, for different machines.
func findFirmware(code []byte) ([]golden.Firmware, error) {
	sum := sha256.Sum256(code)
	name := hex.EncodeToString(sum[:])
	var found []golden.Firmware
	for _, f := range append(golden.KnownFirmware(), golden.SecureBootFirmware()...) {
		if f.SHA256 == name {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return nil, &UnknownFirmwareError{SHA256: name}
	}
	return found, nil
}

// firmware is a firmware that is known, taken apart.
type firmware struct {
	seen []golden.Firmware // at least one, equal but for the machine
	dxe  []byte            // volume DXEFV
}

// openFirmware returns nil if there is no code.
func openFirmware(code []byte) (*firmware, error) {
	if code == nil {
		return nil, nil
	}
	seen, err := findFirmware(code)
	if err != nil {
		return nil, err
	}
	dxe, err := ovmf.DXEVolume(code)
	if err != nil {
		return nil, err
	}
	return &firmware{seen: seen, dxe: dxe}, nil
}

// secureBoot reports whether the firmware was built with Secure Boot.
func (fw *firmware) secureBoot() bool { return fw.seen[0].SecureBoot }

// on finds what is known of the firmware on such a machine.
func (fw *firmware) on(vcpus int, memory int64) (golden.Firmware, bool) {
	for _, f := range fw.seen {
		if f.VCPUs == 0 && f.Memory == 0 || f.VCPUs == vcpus && f.Memory == memory {
			return f, true
		}
	}
	return golden.Firmware{}, false
}

// firmware is PCR 0, the firmware itself: its version, the volume that PEI runs
// from, the volume that it unpacks DXE from (edk2 SecurityPkg, Tcg2Pei.c). The
// second is hashed after it has run and is learned; the third is computed.
func (s *sequence) firmware(b *boot) {
	if b.firmware == nil {
		s.unknown[0] = true
		return
	}
	known, ok := b.firmware.on(b.vcpus, b.memory)
	if !ok {
		s.unknown[0] = true
		return
	}
	s.add(0, eventlog.SCRTMVersion, "version "+known.CRTMVersion, wide(known.CRTMVersion))
	s.addDigest(0, eventlog.EFIPlatformFirmwareBlob, "PEIFV after it has run, from a golden boot", known.PEI(s.bank))
	s.add(0, eventlog.EFIPlatformFirmwareBlob, "DXEFV of "+known.Name, b.firmware.dxe)
}

// wide is UTF-16LE with its final NUL.
func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}
