// Package inspect says what is in a file: it recognises the formats of this
// project by content, decodes them with the strict readers, and gives a tree
// of names and values for people and, as JSON, for scripts.
package inspect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"safebox/image/disk/container"
	"safebox/image/inspect/attested"
	"safebox/image/inspect/endorsed"
	"safebox/image/inspect/logged"
	"safebox/image/inspect/tree"
)

// MaxSize bounds a file that is inspected.
const MaxSize = 1 << 30

// Report is what is known of a file.
type Report struct {
	Kind   string `json:"kind"` // "UKI", "disk", ...
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
	Items  []Item `json:"items"`
}

// Item is one named fact, with the facts below it.
type Item = tree.Item

// formats lists what is recognised, the more specific first.
func formats() []tree.Format {
	return slices.Concat(images(), attested.Formats(), endorsed.Formats(), documents(), logged.Formats())
}

// images lists what is built and measured.
func images() []tree.Format {
	return []tree.Format{
		{Kind: "UKI", Match: isUKI, Items: uki},
		{Kind: "PE image", Match: isPE, Items: image},
		{Kind: "disk", Match: isDisk(container.Raw), Items: rawDisk},
		{Kind: "qcow2 disk", Match: isDisk(container.QCOW2), Items: diskFile},
		{Kind: "VHD disk", Match: isDisk(container.VHD), Items: diskFile},
		{Kind: "GCP disk", Match: isDisk(container.GCP), Items: diskFile},
		{Kind: "EIF", Match: isEIF, Items: enclave},
		{Kind: "IGVM", Match: isIGVM, Items: igvmFile},
		{Kind: "OVMF", Match: isOVMF, Items: firmware},
		{Kind: "firmware volumes", Match: isVolumes, Items: onlyVolumes},
		{Kind: "initrd", Match: isInitrd, Items: initramfs},
		{Kind: "CCEL event log", Match: isCCEL, Items: ccel},
		{Kind: "CCEL table", Match: isCCELTable, Items: ccelTable},
		{Kind: "event log", Match: isEventLog, Items: eventLog},
		{Kind: "release", Match: isRelease, Items: releaseFile},
	}
}

// Kind names the format of b, "" when it is none of ours.
func Kind(b []byte) string {
	for _, f := range formats() {
		if f.Match(b) {
			return f.Kind
		}
	}
	return ""
}

// Bytes describes the content of a file.
func Bytes(b []byte) (*Report, error) {
	for _, f := range formats() {
		if !f.Match(b) {
			continue
		}
		items, err := f.Items(b)
		if err != nil {
			return nil, fmt.Errorf("inspecting %s: %w", f.Kind, err)
		}
		sum := sha256.Sum256(b)
		return &Report{Kind: f.Kind, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), Items: items}, nil
	}
	var kinds []string
	for _, f := range formats() {
		kinds = append(kinds, f.Kind)
	}
	return nil, fmt.Errorf("inspecting: not recognised: got %d bytes beginning %x, want one of: %s",
		len(b), b[:min(len(b), 8)], strings.Join(kinds, ", "))
}

// WriteText prints the report as indented lines, "name value".
func (r *Report) WriteText(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "kind %s\nsize %d\nsha256 %s\n", r.Kind, r.Size, r.SHA256); err != nil {
		return err
	}
	return WriteItems(w, r.Items)
}

// WriteItems prints facts as WriteText does.
func WriteItems(w io.Writer, items []Item) error {
	var out bytes.Buffer
	writeItems(&out, items, "")
	_, err := w.Write(out.Bytes())
	return err
}

func writeItems(out *bytes.Buffer, items []Item, indent string) {
	for _, i := range items {
		fmt.Fprintf(out, "%s%s", indent, visible(i.Name))
		if i.Value != "" {
			fmt.Fprintf(out, " %s", visible(i.Value))
		}
		out.WriteByte('\n')
		writeItems(out, i.Items, indent+"  ")
	}
}

// visible escapes what would break a line or speak to a terminal: names come
// from the file.
func visible(s string) string {
	quoted := strconv.Quote(s)
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// item is shorthand for a leaf.
func item(name, format string, args ...any) Item {
	return tree.New(name, format, args...)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
