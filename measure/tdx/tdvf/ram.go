package tdvf

import (
	"cmp"
	"fmt"
	"slices"
)

// QEMU's split of q35 RAM (hw/i386/pc_q35.c, pc_q35_init): machines with less
// than the PCI hole's usual start have all of it below, others 2 GiB.
const (
	q35Below      = 0xb0000000
	q35BelowLarge = 0x80000000

	// memoryUnit is the unit to which QEMU rounds -m (hw/core/machine.c,
	// machine_set_mem).
	memoryUnit = 8192

	// physicalEnd bounds guest-physical addresses: 52 bits (AMD64 and Intel
	// 64 page tables).
	physicalEnd = 1 << 52
)

// Q35RAM lists the ranges of RAM that QEMU's machine q35 has with so many bytes
// of memory.
func Q35RAM(memory uint64) ([]Range, error) {
	if memory == 0 || memory%memoryUnit != 0 {
		return nil, fmt.Errorf("memory: got %d bytes, want a multiple of %d: QEMU rounds other sizes", memory, memoryUnit)
	}
	if memory > physicalEnd-addressEnd {
		return nil, fmt.Errorf("memory: got %#x bytes, want at most %#x: addresses have 52 bits", memory, uint64(physicalEnd-addressEnd))
	}
	if memory < q35Below {
		return []Range{{0, memory}}, nil
	}
	return []Range{{0, q35BelowLarge}, {addressEnd, memory - q35BelowLarge}}, nil
}

// piece is a part of a bank of RAM.
type piece struct {
	Range
	accepted bool
}

// split cuts a bank at the accepted ranges, which are sorted. Neighbours are
// not merged: the monitors don't.
func split(bank Range, accepted []Range) []piece {
	var list []piece
	at, end := bank.Start, bank.End()
	for _, r := range accepted {
		from, to := max(r.Start, at), min(r.End(), end)
		if from >= to {
			continue
		}
		if at < from {
			list = append(list, piece{Range{at, from - at}, false})
		}
		list = append(list, piece{Range{from, to - from}, true})
		at = to
	}
	if at < end {
		list = append(list, piece{Range{at, end - at}, false})
	}
	return list
}

func sorted(list []Range) []Range {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Range) int { return cmp.Compare(a.Start, b.Start) })
	return list
}

// checkRanges checks a sorted list.
func checkRanges(what string, list []Range) error {
	if len(list) == 0 {
		return fmt.Errorf("TD HOB: %s: got no range, want at least one", what)
	}
	for i, r := range list {
		if r.Length == 0 || r.Start%pageSize != 0 || r.Length%pageSize != 0 {
			return fmt.Errorf("TD HOB: %s: got %#x bytes at %#x, want whole pages of %d bytes", what, r.Length, r.Start, pageSize)
		}
		if r.Length > physicalEnd || r.Start > physicalEnd-r.Length {
			return fmt.Errorf("TD HOB: %s: got %#x bytes at %#x, want an end at or below %#x", what, r.Length, r.Start, uint64(physicalEnd))
		}
		if i > 0 && list[i-1].End() > r.Start {
			return fmt.Errorf("TD HOB: %s: %v overlaps %v", what, r, list[i-1])
		}
	}
	return nil
}

func checkInside(r Range, ram []Range) error {
	for _, bank := range ram {
		if r.Start >= bank.Start && r.End() <= bank.End() {
			return nil
		}
	}
	return fmt.Errorf("TD HOB: accepted memory %v: want it inside one of the RAM ranges %v", r, ram)
}
