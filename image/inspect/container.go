package inspect

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"

	"safebox/image/disk/container"
	"safebox/image/disk/gcp"
	"safebox/image/disk/qcow2"
	"safebox/image/disk/sparse"
	"safebox/image/disk/vhd"
)

// diskFile describes a file that holds a disk: what the format adds, then the
// disk as a machine sees it.
func diskFile(b []byte) ([]Item, error) {
	d, err := container.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	items := []Item{item("format", "%v", d.Format)}
	switch im := d.Disk.(type) {
	case *qcow2.Image:
		items = append(items, item("cluster_size", "%d bytes", im.ClusterSize))
	case *vhd.Image:
		items = append(items, vhdFooter(im.Footer)...)
	case *gcp.Image:
		items = append(items, archive(im)...)
	}
	inside, err := content(d)
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	sum, err := contentDigest(d)
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	disk := item("content", "%d bytes", d.Size())
	disk.Items = append(append(sum, item("data", "%d bytes that may not be zeros", dataSize(d.Disk))), inside...)
	return append(items, disk), nil
}

// contentDigest is what the raw disk would have. A disk of any size fits into
// a small file: of one that is larger than a file may be, there is none.
func contentDigest(d sparse.Disk) ([]Item, error) {
	if d.Size() > MaxSize {
		return nil, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(d, 0, d.Size())); err != nil {
		return nil, err
	}
	return []Item{item("sha256", "%x", h.Sum(nil))}, nil
}

func dataSize(d sparse.Disk) int64 {
	m, ok := d.(sparse.Mapped)
	if !ok {
		return d.Size()
	}
	var n int64
	for _, e := range m.Extents() {
		n += e.Size
	}
	return n
}

func vhdFooter(f vhd.Footer) []Item {
	return []Item{
		item("time_stamp", "%d seconds since 2000-01-01", f.TimeStamp),
		item("creator", "%q, version %#08x, host %q", f.Creator[:], f.CreatorVersion, f.CreatorHost[:]),
		item("original_size", "%d bytes", f.OriginalSize),
		item("geometry", "%v", f.Geometry),
		item("unique_id", "%x", f.UniqueID),
	}
}

func archive(im *gcp.Image) []Item {
	o := im.Owner
	items := []Item{
		item("tar_header", "%d bytes", len(im.Header)),
		item("tar_owner", "%d:%d, mode %04o", o.UID, o.GID, o.Mode),
		item("tar_time", "%d", o.ModTime),
	}
	if im.Gzip.Name != "" {
		items = append(items, item("gzip_name", "%q", im.Gzip.Name))
	}
	if !im.Gzip.ModTime.IsZero() {
		items = append(items, item("gzip_time", "%d", im.Gzip.ModTime.Unix()))
	}
	return items
}
