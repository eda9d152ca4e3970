package disk

import (
	"encoding/binary"
	"fmt"
)

// The one geometry that is written: FAT32 with the smallest clusters.
const (
	clusterSize     = sectorSize
	reservedSectors = 32 // FATGEN, BPB_RsvdSecCnt: "typically 32"
	infoSector      = 1
	backupSector    = 6
	numFATs         = 2
	rootCluster     = 2
	media           = 0xf8

	// minClusters keeps the count clear of 65525, below which it would be
	// FAT16; FATGEN advises 16 clusters or more.
	minClusters = 65525 + 16
	// maxClusters bounds the partition to about 256 MiB, where FATGEN's
	// table leaves clusters of 512 bytes.
	maxClusters = 510 << 10

	endOfChain = 0x0fffffff
)

// Directory entries (FATGEN, "FAT Directory Structure").
const (
	entrySize     = 32
	attrDirectory = 0x10
	attrArchive   = 0x20
	maxDirectory  = 65536 * entrySize
	dosDate       = 1<<5 | 1 // 1980-01-01, the first day there is; the time stays 0
)

// fileSystem is a FAT32 file system in which every node has its place.
type fileSystem struct {
	size       int64 // of the partition, in whole mebibytes
	volumeID   uint32
	fatSectors uint32
	clusters   uint32 // that exist
	used       uint32 // that are taken, from cluster 2 on without a gap
	nodes      []*node
}

// newFileSystem gives every node its clusters and finds the smallest size.
func newFileSystem(root *node, volumeID uint32) (*fileSystem, error) {
	fs := &fileSystem{volumeID: volumeID, nodes: root.list()}
	for _, n := range fs.nodes {
		length := len(n.data)
		if n.dir {
			if length = n.directorySize(); length > maxDirectory {
				return nil, fmt.Errorf("directory %q: got %d bytes of entries, want at most %d", n.name, length, maxDirectory)
			}
		}
		n.clusters = uint32((length + clusterSize - 1) / clusterSize)
		if uint64(fs.used)+uint64(n.clusters) > maxClusters {
			return nil, fmt.Errorf("files: got more than %d bytes, which is the most", maxClusters*clusterSize)
		}
		if n.clusters > 0 {
			n.first = rootCluster + fs.used
		}
		fs.used += n.clusters
	}
	fs.layout(max(fs.used, minClusters))
	return fs, nil
}

// layout finds the smallest whole number of mebibytes with that many clusters.
func (fs *fileSystem) layout(clusters uint32) {
	for {
		fs.size += mib
		sectors := uint32(fs.size / sectorSize)
		// Rounded up to 8 sectors, so that data lies at a multiple of
		// 4096. The FAT has room for all sectors, which is a little more
		// than there are clusters.
		fs.fatSectors = (sectors*4/sectorSize + 8) &^ 7
		data := int64(sectors) - int64(fs.dataSector())
		if data >= int64(clusters) {
			fs.clusters = uint32(data)
			return
		}
	}
}

func (fs *fileSystem) dataSector() uint32 { return reservedSectors + numFATs*fs.fatSectors }

// pieces lists what is not zero, in order.
func (fs *fileSystem) pieces() []piece {
	boot, info, table := fs.bootSector(), fs.infoSector(), fs.table()
	list := []piece{
		{0, boot},
		{infoSector * sectorSize, info},
		{backupSector * sectorSize, boot},
		{(backupSector + infoSector) * sectorSize, info},
	}
	for i := range int64(numFATs) {
		list = append(list, piece{(reservedSectors + i*int64(fs.fatSectors)) * sectorSize, table})
	}
	for _, n := range fs.nodes {
		data := n.data
		if n.dir {
			data = n.directory()
		}
		if n.clusters > 0 {
			list = append(list, piece{int64(fs.dataSector())*sectorSize + int64(n.first-rootCluster)*clusterSize, data})
		}
	}
	return list
}

// bootSector is FATGEN, "Boot Sector and BPB Structure" with "FAT32 Structure
// Starting at Offset 36". There is no boot code: firmware is UEFI.
func (fs *fileSystem) bootSector() []byte {
	b := make([]byte, sectorSize)
	copy(b, "\xeb\x58\x90MSWIN4.1") // BS_jmpBoot, and the BS_OEMName that FATGEN advises
	binary.LittleEndian.PutUint16(b[11:], sectorSize)
	b[13] = clusterSize / sectorSize
	binary.LittleEndian.PutUint16(b[14:], reservedSectors)
	b[16] = numFATs
	b[21] = media
	// A geometry of 32 sectors and 64 heads makes cylinders of 1 MiB, so
	// that tools which insist find whole ones.
	binary.LittleEndian.PutUint16(b[24:], 32)
	binary.LittleEndian.PutUint16(b[26:], 64)
	binary.LittleEndian.PutUint32(b[28:], espStart/sectorSize) // BPB_HiddSec
	binary.LittleEndian.PutUint32(b[32:], uint32(fs.size/sectorSize))
	binary.LittleEndian.PutUint32(b[36:], fs.fatSectors)
	binary.LittleEndian.PutUint32(b[44:], rootCluster)
	binary.LittleEndian.PutUint16(b[48:], infoSector)
	binary.LittleEndian.PutUint16(b[50:], backupSector)
	b[64] = 0x80 // BS_DrvNum
	b[66] = 0x29 // BS_BootSig: the next three fields are there
	binary.LittleEndian.PutUint32(b[67:], fs.volumeID)
	copy(b[71:], "NO NAME    FAT32   ")
	b[510], b[511] = 0x55, 0xaa
	return b
}

// infoSector is FATGEN, "FAT32 FSInfo Sector Structure and Backup Boot Sector".
func (fs *fileSystem) infoSector() []byte {
	b := make([]byte, sectorSize)
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	binary.LittleEndian.PutUint32(b[488:], fs.clusters-fs.used) // FSI_Free_Count
	binary.LittleEndian.PutUint32(b[492:], rootCluster+fs.used) // FSI_Nxt_Free
	b[510], b[511] = 0x55, 0xaa
	return b
}

// table is the file allocation table up to the last entry in use: each node
// is one run of clusters.
func (fs *fileSystem) table() []byte {
	b := make([]byte, 0, 4*(rootCluster+fs.used))
	b = binary.LittleEndian.AppendUint32(b, endOfChain&^0xff|media)
	b = binary.LittleEndian.AppendUint32(b, endOfChain) // clean, no error
	for _, n := range fs.nodes {
		for i := uint32(1); i < n.clusters; i++ {
			b = binary.LittleEndian.AppendUint32(b, n.first+i)
		}
		if n.clusters > 0 {
			b = binary.LittleEndian.AppendUint32(b, endOfChain)
		}
	}
	return b
}

// directorySize is the length of what directory returns, at least one entry.
func (n *node) directorySize() int {
	return max(len(n.directory()), entrySize)
}

// directory is the content of a directory. All but the root begin with
// themselves and their parent.
func (n *node) directory() []byte {
	var b []byte
	if n.parent != nil {
		up := n.parent.first
		if n.parent.parent == nil {
			up = 0 // the root, by whatever cluster
		}
		b = appendEntry(b, padShort(".", ""), attrDirectory, n.first, 0)
		b = appendEntry(b, padShort("..", ""), attrDirectory, up, 0)
	}
	names := shortNames(n.children)
	for _, c := range n.children {
		short := names[c]
		if c.name != short.String() {
			b = append(b, longEntries(c.name, short)...)
		}
		attr := byte(attrArchive)
		if c.dir {
			attr = attrDirectory
		}
		b = appendEntry(b, short, attr, c.first, uint32(len(c.data)))
	}
	return b
}

// appendEntry appends one short entry (FATGEN, "FAT Directory Structure").
func appendEntry(b []byte, name shortName, attr byte, first, size uint32) []byte {
	e := make([]byte, entrySize)
	copy(e, name[:])
	e[11] = attr
	binary.LittleEndian.PutUint16(e[16:], dosDate) // DIR_CrtDate
	binary.LittleEndian.PutUint16(e[18:], dosDate) // DIR_LstAccDate
	binary.LittleEndian.PutUint16(e[20:], uint16(first>>16))
	binary.LittleEndian.PutUint16(e[24:], dosDate) // DIR_WrtDate
	binary.LittleEndian.PutUint16(e[26:], uint16(first))
	binary.LittleEndian.PutUint32(e[28:], size)
	return append(b, e...)
}
