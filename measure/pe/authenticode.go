package pe

import (
	"encoding/binary"
	"fmt"
	"hash"
)

// Attribute certificates (PE Format, "The Attribute Certificate Table";
// UEFI 2.10, section 32.2.4: WIN_CERTIFICATE).
const (
	certificateHeaderSize = 8 // dwLength, wRevision, wCertificateType
	certificateAlign      = 8
)

// decodeCertificates finds the attribute certificate table. It must be the
// very end of the file, because the digest is defined by its size alone:
// anywhere else, the bytes left out would not be the certificates.
func (f *File) decodeCertificates() error {
	off, ok := f.SecurityDirectory()
	if !ok {
		return nil
	}
	r := Range{
		Offset: binary.LittleEndian.Uint32(f.raw[off:]),
		Size:   binary.LittleEndian.Uint32(f.raw[off+4:]),
	}
	if r == (Range{}) {
		return nil
	}
	if r.Size == 0 || r.Offset%certificateAlign != 0 || r.end() != uint64(len(f.raw)) || uint64(r.Offset) < f.rawEnd() {
		return fmt.Errorf("certificate table at 0x%x: got 0x%x bytes, want an 8-byte aligned table after the sections, up to the end of file 0x%x",
			r.Offset, r.Size, len(f.raw))
	}
	f.Certificates = r
	return f.checkCertificates()
}

// checkCertificates walks the table: each entry says its length, and the next
// follows at the next multiple of 8.
func (f *File) checkCertificates() error {
	b := f.raw[f.Certificates.Offset:]
	for pos := uint64(0); pos < uint64(len(b)); {
		left := uint64(len(b)) - pos
		if left < certificateHeaderSize {
			return fmt.Errorf("certificate at 0x%x: got %d bytes, want at least %d", uint64(f.Certificates.Offset)+pos, left, certificateHeaderSize)
		}
		size := uint64(binary.LittleEndian.Uint32(b[pos:]))
		next := (size + certificateAlign - 1) &^ (certificateAlign - 1)
		if size < certificateHeaderSize || size > left || next > left {
			return fmt.Errorf("certificate at 0x%x: dwLength: got %d, want %d to %d, padded to 8",
				uint64(f.Certificates.Offset)+pos, size, certificateHeaderSize, left)
		}
		pos += next
	}
	return nil
}

// SecurityDirectory is the file offset of data directory 4, "Certificate
// Table": u32 file offset and u32 size of the attribute certificates. It reports
// false for an image that has so few directories that it can't be signed.
func (f *File) SecurityDirectory() (uint32, bool) {
	return f.Header.OptionalOffset + optionalFixedSize + directorySecurity*directorySize,
		f.Header.NumberOfRvaAndSizes > directorySecurity
}

// Authenticode computes the image digest with h, which it resets first. The
// numbered steps are those of the Authenticode document, "Calculating the PE
// Image Hash", as UEFI firmware does them (edk2 HashPeImage): firmware with
// several PCR banks measures the image once with each bank's hash.
func (f *File) Authenticode(h hash.Hash) []byte {
	h.Reset() // 1, 2
	write := func(from, to uint64) {
		// hash.Hash documents that Write never returns an error.
		h.Write(f.raw[from:to])
	}
	// 3-7: the headers, without CheckSum and without the directory entry of
	// the certificates, which change when the image is signed.
	checkSum := uint64(f.Header.OptionalOffset) + optCheckSum
	headers := uint64(f.Header.SizeOfHeaders)
	write(0, checkSum)
	if security, ok := f.SecurityDirectory(); ok {
		write(checkSum+4, uint64(security))
		write(uint64(security)+directorySize, headers)
	} else {
		write(checkSum+4, headers)
	}
	// 8-13: the raw data of the sections, in file order.
	sum := headers
	for _, s := range f.byRawOffset() {
		write(uint64(s.RawOffset), s.raw().end())
		sum += uint64(s.RawSize)
	}
	// 14: what is left before the certificates. It is counted by sizes, not
	// by position: with a gap before a section (SizeOfHeaders made smaller)
	// firmware hashes as many bytes at the end, and so does this.
	if end := uint64(len(f.raw)) - uint64(f.Certificates.Size); end > sum {
		write(sum, end)
	}
	return h.Sum(nil) // 15
}
