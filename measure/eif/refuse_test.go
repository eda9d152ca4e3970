package eif

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestRefuse: each case is the good image with one thing wrong. Its sections
// are at 0x224 (kernel), 0x236 (cmdline), 0x249 (metadata), 0x2f9 and 0x309
// (ramdisks); it ends at 0x320.
func TestRefuse(t *testing.T) {
	g := good()
	if _, err := openBytes(g.encode()); err != nil {
		t.Fatal(err)
	}
	manyKernels := image{version: 4, sections: make([]section, 33)}
	for name, c := range map[string]struct {
		image image
		want  string
	}{
		"magic":            {g.patched(func(b []byte) { b[3] = 'g' }), `header: magic at 0x0: got ".eig", want ".eif"`},
		"version 1":        {g.patched(put16(4, 1)), "header: version at 0x4: got 1, want 4"},
		"version 5":        {g.patched(put16(4, 5)), "header: version at 0x4: got 5, want 4"},
		"flags":            {g.patched(put16(6, 2)), "header: flags at 0x6: got 0x2, want 0 (x86_64) or 1 (aarch64)"},
		"reserved":         {g.patched(put16(0x18, 1)), "header: reserved field at 0x18: got 0x1, want 0"},
		"unused field":     {g.patched(put16(0x21e, 1)), "header: reserved field at 0x21c: got 0x1, want 0"},
		"one section":      {g.only(0), "header: number of sections at 0x1a: got 1, want 2 to 32"},
		"33 sections":      {manyKernels, "header: number of sections at 0x1a: got 33, want 2 to 32"},
		"unused offset":    {g.patched(put64(0x1c+8*5, 0x320)), "header: section_offsets[5] at 0x44: unused entry: got 0x320, want 0"},
		"unused size":      {g.patched(put64(0x11c+8*31, 1)), "header: section_sizes[31] at 0x214: unused entry: got 0x1, want 0"},
		"first gap":        {g.with(0, section{KernelSection, "kernel", 4}), "section 0 at 0x228: offset: got 0x228, want 0x224: a gap of 4 bytes before it"},
		"gap":              {g.with(3, section{RamdiskSection, "init", 1}), "section 3 at 0x2fa: offset: got 0x2fa, want 0x2f9: a gap of 1 bytes before it"},
		"overlap":          {g.patched(put64(0x1c+8*1, 0x235)), "section 1 at 0x235: offset: got 0x235, want 0x236: it overlaps what is before it"},
		"in the header":    {g.patched(put64(0x1c, 0)), "section 0 at 0x0: offset: got 0x0, want 0x224: it overlaps what is before it"},
		"descending":       {g.patched(put64(0x1c+8*4, 0x224)), "section 4 at 0x224: offset: got 0x224, want 0x309: it overlaps what is before it"},
		"offset past 2^63": {g.patched(put64(0x1c+8*4, math.MaxUint64)), "section 4 at 0xffffffffffffffff: offset: got 0xffffffffffffffff, want 0x309: a gap"},
		"trailing byte":    {image{version: 4, sections: g.sections, trailing: []byte{0}}, "end of the last section: got 0x320, want 0x321, the file's end: 1 trailing bytes"},
		"table size":       {g.patched(put64(0x11c+8*3, 5)), "section 3 at 0x2f9: ramdisk: size: got 4 in the section's header, want 5 as in the file's"},
		"header size":      {g.patched(put64(0x309+4, 12)), "section 4 at 0x309: ramdisk: size: got 12 in the section's header, want 11 as in the file's"},
		"both sizes":       {g.patched(func(b []byte) { put64(0x309+4, 12)(b); put64(0x11c+8*4, 12)(b) }), "section 4 at 0x309: ramdisk: truncated: got 11 bytes, want the 12 that its header says"},
		"size past 2^63":   {g.patched(func(b []byte) { put64(0x309+4, math.MaxUint64)(b); put64(0x11c+8*4, math.MaxUint64)(b) }), "section 4 at 0x309: ramdisk: truncated"},
		"short size":       {g.patched(func(b []byte) { put64(0x309+4, 10)(b); put64(0x11c+8*4, 10)(b) }), "end of the last section: got 0x31f, want 0x320, the file's end: 1 trailing bytes"},
		"section flags":    {g.patched(put16(0x236+2, 1)), "section 1 at 0x236: cmdline: flags: got 0x1, want 0"},
		"type 0":           {g.with(3, section{0, "init", 0}), "section 3 at 0x2f9: type: got 0, want 1 to 5"},
		"type 6":           {g.with(4, section{6, "application", 0}), "section 4 at 0x309: type: got 6, want 1 to 5"},
		"two kernels":      {g.with(3, section{KernelSection, "init", 0}), "section 3 at 0x2f9: kernel: got a second one, want one"},
		"two cmdlines":     {g.with(3, section{CommandLineSection, "init", 0}), "section 3 at 0x2f9: cmdline: got a second one, want one"},
		"two metadata":     {g.with(4, g.sections[2]), "section 4 at 0x309: metadata: got a second one, want one"},
		"ramdisk first":    {g.only(3, 0, 1, 2), "section 0 at 0x224: ramdisk: got it before the kernel, want it behind"},
		"no kernel":        {g.only(1, 2), "section of type kernel: missing, want one"},
		"no cmdline":       {g.only(0, 2, 3), "section of type cmdline: missing, want one"},
		"no metadata":      {g.only(0, 1, 3), "section of type metadata: missing, want one"},
		"empty kernel":     {g.with(0, section{KernelSection, "", 0}), "section 0 at 0x224: kernel: size: got 0, want content"},
		"empty ramdisk":    {g.with(4, section{RamdiskSection, "", 0}), "section 4 at 0x309: ramdisk: size: got 0, want content"},
		"NUL":              {g.with(1, section{CommandLineSection, "panic=1\x00", 0}), "section 1 at 0x236: cmdline: byte 7: got NUL, want text: the kernel stops reading there"},
		"NUL first":        {g.with(1, section{CommandLineSection, "\x00panic=1", 0}), "section 1 at 0x236: cmdline: byte 0: got NUL"},
		"long cmdline":     {g.with(1, section{CommandLineSection, strings.Repeat("a", 64<<10+1), 0}), "section 1 at 0x236: cmdline: size: got 65537, want at most 65536"},
		"long metadata":    {g.with(2, section{MetadataSection, strings.Repeat(" ", 1<<20+1), 0}), "section 2 at 0x249: metadata: size: got 1048577, want at most 1048576"},
		"long signature":   {g.with(4, section{SignatureSection, strings.Repeat("a", 32769), 0}), "section 4 at 0x309: signature: size: got 32769, want at most 32768"},
		"not a signature":  {g.with(4, section{SignatureSection, "\x80", 0}), "section 4 at 0x309: signature: number of signatures: got 0, want 1, that of PCR0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openBytes(c.image.encode())
			if err == nil || !strings.HasPrefix(err.Error(), "parsing EIF: "+c.want) {
				t.Errorf("got  %v\nwant parsing EIF: %s", err, c.want)
			}
		})
	}
}

// TestPass: what is just within the bounds.
func TestPass(t *testing.T) {
	g := good()
	metadata := g.sections[2].data
	for name, im := range map[string]image{
		"no command line":   g.with(1, section{CommandLineSection, "", 0}),
		"long command line": g.with(1, section{CommandLineSection, strings.Repeat("a", 64<<10), 0}),
		"long metadata":     g.with(2, section{MetadataSection, metadata + strings.Repeat(" ", 1<<20-len(metadata)), 0}),
		"32 sections":       {version: 4, sections: append(g.sections[:5:5], slices.Repeat(g.sections[3:4], 27)...)},
	} {
		if _, err := openBytes(im.encode()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := append(readFile(t, "signer_cert.pem"), "\n \n"...)
	if _, err := ParseCertificate(append([]byte("\n"), text...)); err != nil {
		t.Errorf("certificate with space around: %v", err)
	}
}

// TestRefuseTruncated: no beginning of an image is an image.
func TestRefuseTruncated(t *testing.T) {
	b := good().encode()
	for n := range b {
		if _, err := openBytes(fixCRC(append([]byte(nil), b[:n]...))); err == nil {
			t.Errorf("the first %d of %d bytes were taken for an image", n, len(b))
		}
	}
	for n, want := range map[int]string{
		0x223: "file size: got 547, want at least the 548 bytes of a header",
		0x224: "section 0 at 0x224: truncated: got 0 bytes, want the 12 of a section's header",
		0x314: "section 4 at 0x309: truncated: got 11 bytes, want the 12 of a section's header",
		0x31f: "section 4 at 0x309: ramdisk: truncated: got 10 bytes, want the 11 that its header says",
	} {
		_, err := openBytes(b[:n])
		if err == nil || err.Error() != "parsing EIF: "+want {
			t.Errorf("%d bytes: got %v, want parsing EIF: %s", n, err, want)
		}
	}
}

// TestRefuseOlder: sections that the older versions don't have.
func TestRefuseOlder(t *testing.T) {
	old := good().only(0, 1, 3)
	for name, c := range map[string]struct {
		version uint16
		extra   section
		want    string
	}{
		"signature in 2": {2, section{SignatureSection, "x", 0}, "signature: not defined in version 2 of the format"},
		"metadata in 2":  {2, section{MetadataSection, "{}", 0}, "metadata: not defined in version 2 of the format"},
		"metadata in 3":  {3, section{MetadataSection, "{}", 0}, "metadata: not defined in version 3 of the format"},
	} {
		im := image{version: c.version, sections: append(old.sections[:3:3], c.extra)}
		b := im.encode()
		_, err := OpenOlder(strings.NewReader(string(b)), int64(len(b)))
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// TestFlips: the CRC32 is over every byte, so a single flipped bit is found.
func TestFlips(t *testing.T) {
	b := good().encode()
	for i := range b {
		b[i] ^= 0x10
		if _, err := openBytes(b); err == nil {
			t.Errorf("byte %#x flipped: accepted", i)
		}
		b[i] ^= 0x10
	}
}
