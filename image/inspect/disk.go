package inspect

import (
	"bytes"
	"fmt"
	"strconv"

	"safebox/image/disk/container"
	"safebox/image/disk/sparse"
	"safebox/measure/fat"
	"safebox/measure/gpt"
)

// isDisk recognises a disk in one format.
func isDisk(f container.Format) func(b []byte) bool {
	return func(b []byte) bool {
		got, err := container.Recognise(bytes.NewReader(b), int64(len(b)))
		return err == nil && got == f
	}
}

// rawDisk describes a disk that is the file.
func rawDisk(b []byte) ([]Item, error) { return content(bytes.NewReader(b)) }

// content describes a disk as a machine sees it.
func content(r sparse.Disk) ([]Item, error) {
	t, err := gpt.Decode(r, r.Size())
	if err != nil {
		return nil, err
	}
	items := []Item{
		item("disk_guid", "%s", t.DiskGUID),
		item("sectors", "%d of %d bytes", t.Sectors, gpt.SectorSize),
		item("gpt_event_sha256", "%s", digest(t.EventData())),
	}
	partitions := Item{Name: "partitions", Value: strconv.Itoa(len(t.Partitions))}
	for _, p := range t.Partitions {
		entry := item(strconv.Quote(p.Name), "sectors %d to %d", p.First, p.Last)
		entry.Items = []Item{item("type_guid", "%s", p.Type), item("guid", "%s", p.GUID)}
		if p.Type == gpt.ESP() {
			files, err := espFiles(p, r)
			if err != nil {
				return nil, err
			}
			entry.Items = append(entry.Items, files)
		}
		partitions.Items = append(partitions.Items, entry)
	}
	return append(items, partitions), nil
}

func espFiles(p gpt.Partition, r sparse.Disk) (Item, error) {
	esp, err := fat.Open(p.Section(r), p.Size())
	if err != nil {
		return Item{}, err
	}
	files := item("file_system", "%s, label %q, serial %08X", esp.Type, esp.Label, esp.VolumeID)
	for _, f := range esp.Files() {
		if f.IsDir() {
			files.Items = append(files.Items, item(f.Path+"/", ""))
			continue
		}
		b, err := esp.ReadFile(f.Path)
		if err != nil {
			return Item{}, err
		}
		entry := item(f.Path, "%d bytes, sha256 %s", f.Size, digest(b))
		if isPE(b) {
			if entry.Items, err = uki(b); err != nil {
				return Item{}, fmt.Errorf("%s: %w", f.Path, err)
			}
		}
		files.Items = append(files.Items, entry)
	}
	return files, nil
}
