package compare

import (
	"bytes"
	"encoding/binary"

	"safebox/image/disk/container"
	"safebox/image/disk/gcp"
	"safebox/image/disk/vhd"
)

// namer names the parts of a file that holds a disk. Both sides could be
// opened, or one, or none; then that side is nil.
type namer func(a, b []byte, diskA, diskB *container.Disk) *Difference

// diskFiles compares two disks in files of one format: the disks first, then
// the files.
func diskFiles(a, b []byte, name namer) *Difference {
	diskA, errA := container.Open(bytes.NewReader(a), int64(len(a)))
	diskB, errB := container.Open(bytes.NewReader(b), int64(len(b)))
	opened := errA == nil && errB == nil
	if opened {
		if d := diskContents(diskA, diskB); d != nil {
			return d.in("content")
		}
	}
	d := name(a, b, diskA, diskB)
	if d == nil {
		d = firstByte(a, b)
	}
	if opened && d.Note == "" {
		d.Note = "the disks are equal, only the files differ"
	}
	return d.refused(errA, errB)
}

// fileField is a field of a file that holds a disk.
type fileField struct {
	name string
	off  int64
	size int64
	form form
}

// fieldSpans puts fields into a component.
func fieldSpans(where string, fields []fileField) []span {
	spans := make([]span, len(fields))
	for i, f := range fields {
		spans[i] = span{path: []string{where, f.name}, off: f.off, size: f.size, form: f.form}
	}
	return spans
}

// qcow2Fields: QEMU 10.0, docs/interop/qcow2.rst, "Header".
func qcow2Fields() []fileField {
	return []fileField{
		{"magic", 0, 4, formBig},
		{"version", 4, 4, formBig},
		{"backing_file_offset", 8, 8, formBig},
		{"backing_file_size", 16, 4, formBig},
		{"cluster_bits", 20, 4, formBig},
		{"size", 24, 8, formBig},
		{"crypt_method", 32, 4, formBig},
		{"l1_size", offL1Size, 4, formBig},
		{"l1_table_offset", offL1Table, 8, formBig},
		{"refcount_table_offset", offRefcountTable, 8, formBig},
		{"refcount_table_clusters", 56, 4, formBig},
		{"nb_snapshots", 60, 4, formBig},
		{"snapshots_offset", 64, 8, formBig},
		{"incompatible_features", 72, 8, formBig},
		{"compatible_features", 80, 8, formBig},
		{"autoclear_features", 88, 8, formBig},
		{"refcount_order", 96, 4, formBig},
		{"header_length", 100, 4, formBig},
	}
}

const (
	offL1Size        = 36
	offL1Table       = 40
	offRefcountTable = 48
	qcow2Header      = 104
)

// qcow2Layout names header fields, and the tables by the header of a side that
// could be opened.
func qcow2Layout(a, b []byte, diskA, diskB *container.Disk) *Difference {
	spans := fieldSpans("header", qcow2Fields())
	layout := b
	if diskB == nil {
		layout = a
	}
	if diskA != nil || diskB != nil {
		be := binary.BigEndian
		table := int64(be.Uint64(layout[offRefcountTable:]))
		l1, entries := int64(be.Uint64(layout[offL1Table:])), int64(be.Uint32(layout[offL1Size:]))
		spans = append(spans,
			span{path: []string{"header extensions"}, off: qcow2Header, size: 512 - qcow2Header},
			span{path: []string{"L1 table"}, off: l1, size: 8 * entries},
			span{path: []string{"refcount table"}, off: table, size: 512},
		)
	}
	return firstSpan(a, b, spans)
}

// vhdFields: Microsoft, Virtual Hard Disk Image Format Specification 1.0,
// "Hard Disk Footer Format".
func vhdFields() []fileField {
	return []fileField{
		{"cookie", 0, 8, formText},
		{"features", 8, 4, formBig},
		{"file format version", 12, 4, formBig},
		{"data offset", 16, 8, formBig},
		{"time stamp", 24, 4, formBig},
		{"creator application", 28, 4, formText},
		{"creator version", 32, 4, formBig},
		{"creator host OS", 36, 4, formText},
		{"original size", 40, 8, formBig},
		{"current size", 48, 8, formBig},
		{"disk geometry", 56, 4, formBig},
		{"disk type", 60, 4, formBig},
		{"unique ID", 68, 16, formBytes},
		{"saved state", 84, 1, formBig},
		{"checksum", 64, 4, formBig}, // follows from the others
	}
}

// vhdLayout names the fields of the footer, which lies at the end of each file.
func vhdLayout(a, b []byte, _, _ *container.Disk) *Difference {
	return firstSpan(a[len(a)-vhd.FooterSize:], b[len(b)-vhd.FooterSize:], fieldSpans("footer", vhdFields()))
}

// gzipFields: RFC 1952, section 2.3.
func gzipFields() []fileField {
	return []fileField{{"ID1, ID2", 0, 2, formNumber}, {"CM", 2, 1, formNumber}, {"FLG", 3, 1, formNumber}, {"MTIME", 4, 4, formNumber}, {"XFL", 8, 1, formNumber}, {"OS", 9, 1, formNumber}}
}

// tarFields: GNU tar manual, "Basic Tar Format", struct posix_header with
// struct oldgnu_header.
func tarFields() []fileField {
	return []fileField{
		{"name", 0, 100, formText},
		{"mode", 100, 8, formText},
		{"uid", 108, 8, formText},
		{"gid", 116, 8, formText},
		{"size", 124, 12, formText},
		{"mtime", 136, 12, formText},
		{"typeflag", 156, 1, formText},
		{"linkname", 157, 100, formText},
		{"magic and version", 257, 8, formText},
		{"uname", 265, 32, formText},
		{"gname", 297, 32, formText},
		{"devmajor", 329, 8, formText},
		{"devminor", 337, 8, formText},
		{"isextended", 482, 1, formText},
		{"realsize", 483, 12, formText},
		{"chksum", 148, 8, formText}, // follows from the others
	}
}

// gcpLayout names the fields of the gzip, then of the tar in it.
func gcpLayout(a, b []byte, diskA, diskB *container.Disk) *Difference {
	if d := firstSpan(a, b, fieldSpans("gzip header", gzipFields())); d != nil {
		return d
	}
	headA, headB := tarHeader(diskA), tarHeader(diskB)
	if headA == nil || headB == nil {
		return nil
	}
	spans := fieldSpans("tar header", tarFields())
	spans = append(spans, span{path: []string{"tar header", "map of holes"}, size: int64(max(len(headA), len(headB)))})
	return firstSpan(headA, headB, spans)
}

func tarHeader(d *container.Disk) []byte {
	if d == nil {
		return nil
	}
	if im, ok := d.Disk.(*gcp.Image); ok {
		return im.Header
	}
	return nil
}
