package measure

import (
	"encoding/hex"
	"fmt"
	"strings"

	"safebox/measure/snp"
)

// sevResult is what `measure snp`, `measure sev` and `measure seves` print.
type sevResult struct {
	Platform     string       `json:"platform"`
	LaunchDigest string       `json:"launch_digest"`
	VMM          string       `json:"vmm"`
	VCPUs        int          `json:"vcpus,omitempty"`
	CPUSignature string       `json:"cpu_signature,omitempty"`
	Features     string       `json:"guest_features,omitempty"`
	Kernel       *kernelHash  `json:"kernel_hashes,omitempty"`
	ID           *idResult    `json:"id_block,omitempty"`
	Pages        []pageResult `json:"pages,omitempty"`
}

// kernelHash are the SHA-256 digests in the table of kernel hashes.
type kernelHash struct {
	Kernel      string `json:"kernel"`
	Initrd      string `json:"initrd"`
	CommandLine string `json:"command_line"` // with the NUL after it
}

// pageResult is a page of --trace.
type pageResult struct {
	Type         string `json:"type"`
	GPA          string `json:"gpa"`
	Origin       string `json:"origin"`
	LaunchDigest string `json:"launch_digest"` // after the page
}

func newSEVResult(technology string, l snp.Launch, digest []byte, pages []snp.Page) *sevResult {
	r := &sevResult{Platform: technology, LaunchDigest: hex.EncodeToString(digest), VMM: l.VMM.String()}
	if technology != "sev" {
		r.VCPUs, r.CPUSignature, r.Features = l.VCPUs, fmt.Sprintf("0x%08x", l.CPU), fmt.Sprintf("%#x", l.Features)
	}
	if k := l.Kernel; k != nil {
		r.Kernel = &kernelHash{hex.EncodeToString(k.Kernel[:]), hex.EncodeToString(k.Initrd[:]), hex.EncodeToString(k.CommandLine[:])}
	}
	for _, p := range pages {
		r.Pages = append(r.Pages, pageResult{p.Type.String(), fmt.Sprintf("%#x", p.GPA), p.Origin, p.LD.String()})
	}
	return r
}

// text is one line a page, if they were asked for, then the digest.
func (r *sevResult) text() string {
	var b strings.Builder
	for _, p := range r.Pages {
		fmt.Fprintf(&b, "page %s %s %s %s\n", p.Type, p.GPA, p.LaunchDigest, p.Origin)
	}
	fmt.Fprintf(&b, "launch_digest %s\n", r.LaunchDigest)
	if r.ID != nil {
		b.WriteString(r.ID.text())
	}
	return b.String()
}
