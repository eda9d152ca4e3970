package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
)

// Type is the width of a FAT entry in bits.
type Type int

// The three variants (FATGEN, "FAT Type Determination").
const (
	FAT12 Type = 12
	FAT16 Type = 16
	FAT32 Type = 32
)

// String is the usual name, such as "FAT32".
func (t Type) String() string { return fmt.Sprintf("FAT%d", int(t)) }

const (
	sectorSize   = 512 // the one that firmware finds on a disk with 512-byte blocks
	numFATs      = 2
	bootSig      = 0xaa55 // at offset 510
	extBootSig   = 0x29   // BS_BootSig: volume id, label and type follow
	maxCluster   = 64 << 10
	fsInfoLead   = 0x41615252 // FSI_LeadSig
	fsInfoStruct = 0x61417272 // FSI_StrucSig
	fsInfoTrail  = 0xaa550000 // FSI_TrailSig

	// Cluster counts where the type changes (FATGEN, "FAT Type
	// Determination").
	minClusters16 = 4085
	minClusters32 = 65525
)

// boot is the boot sector, FATGEN, "Boot Sector and BPB Structure", and what
// follows from it. Places are in bytes from the start of the file system.
type boot struct {
	clusterSize int64
	reserved    int64 // sectors before the first FAT
	rootEntries int64 // of FAT12 and FAT16
	sectors     int64
	media       byte
	fatSectors  int64

	rootCluster  uint32 // of FAT32
	infoSector   int64
	backupSector int64

	fatStart  int64
	rootStart int64
	dataStart int64
	clusters  uint32 // numbered from 2
}

// readBoot reads and checks the boot sector.
func (f *FS) readBoot(size int64) error {
	var b [sectorSize]byte
	if err := readAt(f.r, b[:], 0); err != nil {
		return fmt.Errorf("boot sector: %w", err)
	}
	if err := f.decodeBoot(&b, size); err != nil {
		return fmt.Errorf("boot sector: %w", err)
	}
	if f.Type == FAT32 {
		return f.checkBoot32(&b)
	}
	return nil
}

func (f *FS) decodeBoot(b *[sectorSize]byte, size int64) error {
	if got := binary.LittleEndian.Uint16(b[510:]); got != bootSig {
		return fmt.Errorf("signature at 0x1fe: got 0x%04x, want 0x%04x", got, bootSig)
	}
	if got := binary.LittleEndian.Uint16(b[11:]); got != sectorSize {
		return fmt.Errorf("BPB_BytsPerSec: got %d, want %d", got, sectorSize)
	}
	perCluster := b[13]
	if bits.OnesCount8(perCluster) != 1 || int(perCluster)*sectorSize > maxCluster {
		return fmt.Errorf("BPB_SecPerClus: got %d, want a power of two, at most %d", perCluster, maxCluster/sectorSize)
	}
	f.boot.clusterSize = int64(perCluster) * sectorSize
	f.boot.reserved = int64(binary.LittleEndian.Uint16(b[14:]))
	if f.boot.reserved == 0 {
		return fmt.Errorf("BPB_RsvdSecCnt: got 0, want at least 1")
	}
	if b[16] != numFATs {
		return fmt.Errorf("BPB_NumFATs: got %d, want %d", b[16], numFATs)
	}
	f.boot.rootEntries = int64(binary.LittleEndian.Uint16(b[17:]))
	if f.boot.rootEntries*entrySize%sectorSize != 0 {
		return fmt.Errorf("BPB_RootEntCnt: got %d, want a multiple of %d", f.boot.rootEntries, sectorSize/entrySize)
	}
	if b[21] != 0xf0 && b[21] < 0xf8 {
		return fmt.Errorf("BPB_Media: got 0x%02x, want 0xf0 or 0xf8 to 0xff", b[21])
	}
	f.boot.media = b[21]
	if err := f.decodeSizes(b, size); err != nil {
		return err
	}
	return f.decodeExtended(b)
}

// decodeSizes reads the fields that have a 16-bit and a 32-bit form, of which
// one must be zero, and lays out the file system.
func (f *FS) decodeSizes(b *[sectorSize]byte, size int64) error {
	total16, total32 := binary.LittleEndian.Uint16(b[19:]), binary.LittleEndian.Uint32(b[32:])
	if (total16 == 0) == (total32 == 0) {
		return fmt.Errorf("BPB_TotSec16, BPB_TotSec32: got %d, %d, want one of them zero", total16, total32)
	}
	f.boot.sectors = int64(total16) + int64(total32)
	if f.boot.sectors > size/sectorSize {
		return fmt.Errorf("total sectors: got %d, want at most the %d of the partition", f.boot.sectors, size/sectorSize)
	}
	fat16 := int64(binary.LittleEndian.Uint16(b[22:]))
	if fat16 != 0 {
		f.boot.fatSectors = fat16
	} else {
		f.boot.fatSectors = int64(binary.LittleEndian.Uint32(b[36:])) // BPB_FATSz32
	}
	f.boot.fatStart = f.boot.reserved * sectorSize
	f.boot.rootStart = f.boot.fatStart + numFATs*f.boot.fatSectors*sectorSize
	f.boot.dataStart = f.boot.rootStart + f.boot.rootEntries*entrySize
	data := f.boot.sectors*sectorSize - f.boot.dataStart
	if data < f.boot.clusterSize || data/f.boot.clusterSize > MaxClusters {
		return fmt.Errorf("data area: got %d bytes in clusters of %d, want 1 to %d clusters", data, f.boot.clusterSize, MaxClusters)
	}
	f.boot.clusters = uint32(data / f.boot.clusterSize)
	return f.checkType(fat16 == 0)
}

// checkType determines the type by the number of clusters, which is the rule,
// and by the form of the boot sector, which is what some drivers do.
func (f *FS) checkType(form32 bool) error {
	n := f.boot.clusters
	switch {
	case n < minClusters16:
		f.Type = FAT12
	case n < minClusters32:
		f.Type = FAT16
	default:
		f.Type = FAT32
	}
	if want := f.Type == FAT32; form32 != want || (f.boot.rootEntries == 0) != want {
		return fmt.Errorf("type: got %v from %d clusters, but another from BPB_FATSz16 and BPB_RootEntCnt %d", f.Type, n, f.boot.rootEntries)
	}
	need := ((int64(n)+2)*int64(f.Type) + 7) / 8
	if have := f.boot.fatSectors * sectorSize; have < need {
		return fmt.Errorf("size of a FAT: got %d bytes, want at least %d for %d clusters", have, need, n)
	}
	return nil
}

// decodeExtended reads the part whose place depends on the type: FATGEN, "Fat12
// and Fat16 Structure Starting at Offset 36" and "FAT32 Structure Starting at
// Offset 36".
func (f *FS) decodeExtended(b *[sectorSize]byte) error {
	ext := b[36:62]
	if f.Type == FAT32 {
		f.boot.rootCluster = binary.LittleEndian.Uint32(b[44:])
		f.boot.infoSector = int64(binary.LittleEndian.Uint16(b[48:]))
		f.boot.backupSector = int64(binary.LittleEndian.Uint16(b[50:]))
		ext = b[64:90]
	}
	if ext[2] != extBootSig {
		return fmt.Errorf("BS_BootSig: got 0x%02x, want 0x%02x", ext[2], extBootSig)
	}
	// FATGEN calls BS_FilSysType informational, but there are drivers that
	// go by it.
	if got := string(ext[18:26]); got != f.Type.String()+"   " && got != "FAT     " {
		return fmt.Errorf("BS_FilSysType: got %q, want %q as there are %d clusters", got, f.Type.String()+"   ", f.boot.clusters)
	}
	f.VolumeID = binary.LittleEndian.Uint32(ext[3:])
	f.Label = strings.TrimRight(string(ext[7:18]), " ")
	return nil
}

// checkBoot32 checks what only FAT32 has: mirroring on, version 0, the FSInfo
// sector, and a backup boot sector that says the same as the first.
func (f *FS) checkBoot32(b *[sectorSize]byte) error {
	if flags, version := binary.LittleEndian.Uint16(b[40:]), binary.LittleEndian.Uint16(b[42:]); flags != 0 || version != 0 {
		return fmt.Errorf("boot sector: BPB_ExtFlags, BPB_FSVer: got 0x%x, 0x%x, want 0, 0", flags, version)
	}
	last := f.boot.reserved - 1
	if f.boot.infoSector < 1 || f.boot.infoSector > last || f.boot.backupSector < 1 || f.boot.backupSector > last {
		return fmt.Errorf("boot sector: BPB_FSInfo, BPB_BkBootSec: got %d, %d, want 1 to %d", f.boot.infoSector, f.boot.backupSector, last)
	}
	var s [sectorSize]byte
	if err := readAt(f.r, s[:], f.boot.backupSector*sectorSize); err != nil {
		return fmt.Errorf("backup boot sector: %w", err)
	}
	if !bytes.Equal(s[:], b[:]) {
		return fmt.Errorf("backup boot sector %d: differs from the first", f.boot.backupSector)
	}
	if err := readAt(f.r, s[:], f.boot.infoSector*sectorSize); err != nil {
		return fmt.Errorf("FSInfo: %w", err)
	}
	// FATGEN, "FAT32 FSInfo Sector Structure and Backup Boot Sector". The
	// counts in it are hints and say nothing.
	lead, struc, trail := binary.LittleEndian.Uint32(s[0:]), binary.LittleEndian.Uint32(s[484:]), binary.LittleEndian.Uint32(s[508:])
	if lead != fsInfoLead || struc != fsInfoStruct || trail != fsInfoTrail {
		return fmt.Errorf("FSInfo: signatures: got %08x %08x %08x, want %08x %08x %08x", lead, struc, trail, fsInfoLead, fsInfoStruct, fsInfoTrail)
	}
	return nil
}
