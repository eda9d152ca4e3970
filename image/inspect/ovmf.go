package inspect

import (
	"bytes"
	"crypto/sha512"
	"strconv"

	"safebox/measure/ovmf"
)

// footerGUID is that of the footer table, as it is stored, and where its last
// byte is counted from the end (edk2 OvmfPkg/ResetVector/Ia16/
// ResetVectorVtf0.asm).
const (
	footerGUID    = "\xde\x82\xb5\x96\xb2\x1f\xf7\x45\xba\xea\xa3\x66\xc5\x5a\x08\x2d"
	footerFromEnd = 48
)

// Signature of a firmware volume and its offset (UEFI Platform Initialization
// 1.8, Volume 3, 3.2.1.1).
const (
	volumeSignature       = "_FVH"
	volumeSignatureOffset = 40
)

func isOVMF(b []byte) bool {
	return len(b) >= footerFromEnd && bytes.HasPrefix(b[len(b)-footerFromEnd:], []byte(footerGUID))
}

// isVolumes recognises a row of volumes without a table, such as OVMF_VARS.fd.
func isVolumes(b []byte) bool {
	return len(b) >= volumeSignatureOffset && bytes.HasPrefix(b[volumeSignatureOffset:], []byte(volumeSignature))
}

func firmware(b []byte) ([]Item, error) {
	im, err := ovmf.Decode(b)
	if err != nil {
		return nil, err
	}
	whole := "yes"
	errWhole := im.CheckUnified()
	if errWhole != nil {
		whole = "no: " + errWhole.Error()
	}
	items := []Item{
		item("sha384", "%x", sha512.Sum384(b)),
		item("layout", "%s", im.Layout()),
		item("whole", "%s", whole),
		item("address", "0x%x", im.GPA()),
		footer(im),
	}
	if im.SEV != nil {
		items = append(items, sevSections(im))
	}
	if im.TDX != nil {
		items = append(items, tdxSections(im, errWhole == nil))
	}
	if !isVolumes(b) {
		return append(items, item("volumes", "none")), nil
	}
	list, err := volumes(b)
	if err != nil {
		return nil, err
	}
	return append(items, list), nil
}

// footer lists the table's entries with what they say.
func footer(im *ovmf.Image) Item {
	list := Item{Name: "footer", Value: strconv.Itoa(len(im.Entries))}
	for _, e := range im.Entries {
		name := e.Name
		if name == "" {
			name = "unknown"
		}
		entry := item(e.GUID.String(), "%s", name)
		entry.Items = []Item{item("data", "%x", e.Data), item("offset", "0x%x", e.Offset)}
		list.Items = append(list.Items, entry)
	}
	if im.ResetEIP != nil {
		list.Items = append(list.Items, item("reset_eip", "0x%08x", *im.ResetEIP))
	}
	list.Items = append(list.Items, area("hash_table", im.HashTable), area("launch_secret", im.Secret))
	if im.SVSMEntry != nil {
		list.Items = append(list.Items, item("svsm_entry", "0x%x from the start", *im.SVSMEntry))
	}
	return list
}

func area(name string, a *ovmf.Area) Item {
	if a == nil {
		return item(name, "none")
	}
	return item(name, "0x%x bytes at 0x%x", a.Size, a.GPA)
}

func sevSections(im *ovmf.Image) Item {
	list := item("sev_sections", "%d at offset 0x%x", len(im.SEV), im.SEVOffset)
	for i, s := range im.SEV {
		list.Items = append(list.Items, item(strconv.Itoa(i), "%v, 0x%x bytes at 0x%x", s.Type, s.Size, s.GPA))
	}
	return list
}

// tdxSections lists the sections with the digest of what fills them: that of
// the CFV is extended into RTMR0. In a part of an image other bytes lie at
// their offsets.
func tdxSections(im *ovmf.Image, whole bool) Item {
	list := item("tdx_sections", "%d at offset 0x%x", len(im.TDX), im.TDXOffset)
	for i, s := range im.TDX {
		entry := item(strconv.Itoa(i), "%v, 0x%x bytes at 0x%x%s", s.Type, s.MemSize, s.GPA, attributes(s.Attributes))
		if s.RawSize != 0 {
			raw := item("data", "0x%x bytes at offset 0x%x", s.RawSize, s.Offset)
			if whole {
				raw.Items = []Item{item("sha384", "%x", sha512.Sum384(im.Bytes[s.Offset:][:s.RawSize]))}
			}
			entry.Items = []Item{raw}
		}
		list.Items = append(list.Items, entry)
	}
	return list
}

func attributes(a uint32) string {
	switch a {
	case ovmf.MRExtend:
		return ", measured (MR_EXTEND)"
	case ovmf.PageAug:
		return ", added later (PAGE_AUG)"
	}
	return ""
}

// onlyVolumes describes an image without a table.
func onlyVolumes(b []byte) ([]Item, error) {
	list, err := volumes(b)
	if err != nil {
		return nil, err
	}
	return []Item{item("sha384", "%x", sha512.Sum384(b)), list}, nil
}

// volumes lists the firmware volumes and those inside compressed files.
func volumes(b []byte) (Item, error) {
	list, err := ovmf.Volumes(b)
	if err != nil {
		return Item{}, err
	}
	all := Item{Name: "volumes", Value: strconv.Itoa(len(list))}
	for _, v := range list {
		entry := volume(v)
		entry.Items = append(entry.Items, item("offset", "0x%x", v.Offset))
		files, err := v.Files()
		if err != nil {
			return Item{}, err
		}
		entry.Items = append(entry.Items, item("files", "%d", len(files)))
		inner, err := v.Inner()
		if err != nil {
			return Item{}, err
		}
		for _, i := range inner {
			entry.Items = append(entry.Items, volume(i))
		}
		all.Items = append(all.Items, entry)
	}
	return all, nil
}

func volume(v ovmf.Volume) Item {
	entry := item(v.Label(), "%d bytes", len(v.Bytes))
	entry.Items = []Item{
		item("file_system", "%s", v.FileSystem),
		item("sha256", "%s", digest(v.Bytes)),
		item("sha384", "%x", sha512.Sum384(v.Bytes)),
	}
	return entry
}
