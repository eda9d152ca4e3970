package tdvf

import (
	"fmt"
	"strings"

	"safebox/measure/ovmf"
)

// Memory of machines of Google Compute Engine (gce-tcb-verifier 74582c0,
// tdx/mrtd_from_ovmf.go): the hole for devices lies from 3 to 4 GiB, with 2 MiB
// of RAM for the firmware at its end, and a NUMA node has at most 176 GiB.
const (
	gib          = 1 << 30
	gceBelow     = 3 * gib
	gceTop       = 2 << 20
	gceNodeLimit = 176 * gib
)

// GCEMachine is a machine type on which Google Compute Engine offers TDX.
type GCEMachine struct {
	Name   string
	Memory uint64 // in bytes
	Nodes  int    // NUMA nodes
}

// GCEMachines lists the machine types that gce-tcb-verifier knows.
func GCEMachines() []GCEMachine {
	return []GCEMachine{
		{"c3-standard-4", 16 * gib, 1},
		{"c3-standard-8", 32 * gib, 1},
		{"c3-standard-22", 88 * gib, 1},
		{"c3-standard-44", 176 * gib, 1},
		{"c3-standard-88", 352 * gib, 2},
		{"c3-standard-176", 704 * gib, 4},
	}
}

// ParseGCEMachine finds a machine type by its name.
func ParseGCEMachine(name string) (GCEMachine, error) {
	var names []string
	for _, m := range GCEMachines() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return GCEMachine{}, fmt.Errorf("parsing GCE machine type: got %q, want one of %s", name, strings.Join(names, ", "))
}

// Banks lists the machine's ranges of RAM.
func (m GCEMachine) Banks() ([]Range, error) {
	if m.Nodes < 1 || m.Memory <= gceBelow || m.Memory > uint64(m.Nodes)*gceNodeLimit {
		return nil, fmt.Errorf("GCE machine %s: got %d bytes of memory in %d NUMA nodes, want more than 3 GiB and at most 176 GiB a node",
			m.Name, m.Memory, m.Nodes)
	}
	list := []Range{{0, gceBelow}, {addressEnd - gceTop, gceTop}}
	start, rest, taken := uint64(addressEnd), m.Memory-gceBelow, uint64(gceBelow)
	for range m.Nodes {
		length := min(gceNodeLimit-taken, rest)
		if length == 0 {
			return nil, fmt.Errorf("GCE machine %s: got %d NUMA nodes, want at most as many as %d bytes fill", m.Name, m.Nodes, m.Memory)
		}
		list = append(list, Range{start, length})
		start, rest, taken = start+length, rest-length, 0
	}
	return list, nil
}

// EarlyAccept says which memory the firmware must accept before it boots an
// operating system.
type EarlyAccept uint8

const (
	// EarlyAcceptLow is memory below 4 GiB: for systems that accept the rest
	// themselves. gce-tcb-verifier takes it for TDHOBBug.
	EarlyAcceptLow EarlyAccept = iota
	// EarlyAcceptAll is for systems that don't know unaccepted memory, such as
	// Container-Optimized OS 113.
	EarlyAcceptAll
)

// GCEHOB builds the list that Google Compute Engine puts into the TD_HOB
// section, without its end: all sections of the firmware in the order of the
// metadata, flash too, then the RAM between them.
func GCEHOB(im *ovmf.Image, m GCEMachine, early EarlyAccept) ([]byte, error) {
	if early > EarlyAcceptAll {
		return nil, fmt.Errorf("GCE HOB: early accept: got %d, want %d or %d", early, EarlyAcceptLow, EarlyAcceptAll)
	}
	list, err := readSections(im)
	if err != nil {
		return nil, err
	}
	hob, err := find(list, ovmf.TDHOB)
	if err != nil {
		return nil, err
	}
	banks, err := m.Banks()
	if err != nil {
		return nil, err
	}
	var private []Range
	for _, s := range list {
		if s.MemSize != 0 {
			private = append(private, Range{s.GPA, s.MemSize})
		}
	}
	b := encodeGCE(hob.GPA, private, unaccepted(banks, private), early)
	if n := uint64(len(b) + hobEndSize); n > hob.MemSize {
		return nil, fmt.Errorf("GCE HOB: got %d bytes, want at most %d: %v", n, hob.MemSize, hob)
	}
	return b, nil
}

// unaccepted lists what of the banks is not private.
func unaccepted(banks, private []Range) []Range {
	var list []Range
	private = sorted(private)
	for _, bank := range sorted(banks) {
		for _, p := range split(bank, private) {
			if !p.accepted {
				list = append(list, p.Range)
			}
		}
	}
	return list
}

// encodeGCE writes the list. EfiEndOfHobList is where the end HOB starts;
// QEMU's points behind it.
func encodeGCE(hobGPA uint64, private, unaccepted []Range, early EarlyAccept) []byte {
	var list []resource
	for _, r := range private {
		list = append(list, resource{r, resourceSystemMemory, attributesTDVF})
	}
	for _, r := range unaccepted {
		attributes := uint32(attributesTDVF)
		if r.End() <= addressEnd || early == EarlyAcceptAll {
			attributes |= attributeEarlyAccept
		}
		list = append(list, resource{r, resourceUnaccepted, attributes})
	}
	return encodeHOB(list, hobGPA+uint64(hobHandoffSize+hobResourceSize*len(list)))
}
