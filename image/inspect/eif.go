package inspect

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"safebox/measure/eif"
	"safebox/measure/nitro"
)

// eifMagic begins an enclave image (EIF specification, "EifHeader").
const eifMagic = ".eif"

func isEIF(b []byte) bool { return bytes.HasPrefix(b, []byte(eifMagic)) }

func enclave(b []byte) ([]Item, error) {
	f, err := eif.OpenOlder(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	h := f.Header
	items := []Item{
		item("sha384", "%x", sha512.Sum384(b)),
		item("version", "%d", h.Version),
		item("arch", "%v", h.Arch),
		item("default_memory", "%d bytes", h.Memory),
		item("default_cpus", "%d", h.CPUs),
		item("crc32", "%08x", h.CRC32),
		item("cmdline", "%q", f.CommandLine),
	}
	sections, err := eifSections(f)
	if err != nil {
		return nil, err
	}
	items = append(items, sections)
	if f.Metadata != nil {
		items = append(items, metadata(f.Metadata))
	}
	signature, pcrs, err := eifRegisters(f)
	if err != nil {
		return nil, err
	}
	return append(items, signature, pcrs), nil
}

func eifSections(f *eif.File) (Item, error) {
	list := Item{Name: "sections", Value: strconv.Itoa(len(f.Sections))}
	for i, s := range f.Sections {
		h := sha512.New384()
		if _, err := io.Copy(h, s.Data()); err != nil {
			return Item{}, fmt.Errorf("section %d: %w", i, err)
		}
		entry := item(strconv.Itoa(i), "%v, %d bytes at 0x%x", s.Type, s.Size, s.Offset)
		entry.Items = []Item{item("sha384", "%x", h.Sum(nil))}
		list.Items = append(list.Items, entry)
	}
	return list, nil
}

// metadata shows what the builder wrote: no register holds it.
func metadata(m *eif.Metadata) Item {
	list := item("metadata", "not measured")
	list.Items = []Item{
		item("image_name", "%q", m.ImageName),
		item("image_version", "%q", m.ImageVersion),
		item("build_time", "%q", m.Build.Time),
		item("build_tool", "%q", m.Build.Tool),
		item("build_tool_version", "%q", m.Build.ToolVersion),
		item("operating_system", "%q", m.Build.OperatingSystem),
		item("kernel_version", "%q", m.Build.KernelVersion),
		item("docker_info", "%s", clip(m.Docker)),
	}
	if m.Custom != nil {
		list.Items = append(list.Items, item("custom", "%s", clip(m.Custom)))
	}
	if len(m.Others) > 0 {
		list.Items = append(list.Items, item("others", "%q", m.Others))
	}
	return list
}

// clip bounds a text that comes from a file.
func clip(b []byte) string {
	if len(b) <= maxShown {
		return string(b)
	}
	return fmt.Sprintf("%s.. (%d bytes)", strings.ToValidUTF8(string(b[:maxShown]), ""), len(b))
}

// eifRegisters computes what the image is measured to, and whether its
// signature holds. One that does not takes PCR8 away and nothing else.
func eifRegisters(f *eif.File) (signature, registers Item, err error) {
	unsigned := *f
	unsigned.Signature = nil
	p, err := nitro.Predict(nitro.Input{Image: &unsigned})
	if err != nil {
		return signature, registers, err
	}
	signature = item("signature", "none")
	if s := f.Signature; s != nil {
		signature = certificate(s)
		if err := s.Verify(p.PCRs[0].Value); err != nil {
			signature.Value = "does not verify: " + err.Error()
			p.PCRs[8] = nitro.Register{Rule: nitro.Missing, Note: "the signature does not verify"}
		} else if p, err = nitro.Predict(nitro.Input{Image: f}); err != nil {
			return signature, registers, err
		}
	}
	registers = item("registers", "sha384")
	for _, i := range []int{0, 1, 2, 8} {
		r := p.PCRs[i]
		entry := item("pcr"+strconv.Itoa(i), "%v", r.Value)
		if r.Rule == nitro.Missing {
			entry.Value = "none"
		}
		if r.Note != "" {
			entry.Items = []Item{item("note", "%s", r.Note)}
		}
		registers.Items = append(registers.Items, entry)
	}
	return signature, registers, nil
}

// certificate shows whose key signed. Nobody vouches for these names: PCR8 is
// the digest of the certificate itself.
func certificate(s *eif.Signature) Item {
	c := s.Certificate
	list := item("signature", "verifies")
	list.Items = []Item{
		item("algorithm", "%v", s.Algorithm),
		item("signed_pcr0", "%x", s.PCR0),
		item("subject", "%q", c.Subject),
		item("issuer", "%q", c.Issuer),
		item("serial", "%x", c.SerialNumber),
		item("not_before", "%s", c.NotBefore.UTC().Format(time.RFC3339)),
		item("not_after", "%s", c.NotAfter.UTC().Format(time.RFC3339)),
		item("certificate_sha256", "%s", digest(c.Raw)),
	}
	return list
}
