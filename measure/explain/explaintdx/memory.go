package explaintdx

import (
	"fmt"

	"safebox/measure/explain/internal/search"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// commonMemory lists the sizes in which machines are made: the first ones also
// for products of axes.
func commonMemory() (common, all []uint64) {
	for _, n := range []uint64{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512} {
		common = append(common, n*gib)
	}
	for n := uint64(1); n < 64; n++ {
		all = append(all, n*128*mib)
	}
	for n := uint64(8); n <= 256; n++ {
		all = append(all, n*gib)
	}
	for n := uint64(272); n <= 4096; n += 16 {
		all = append(all, n*gib)
	}
	return common, all
}

func memoryText(n uint64) string {
	if n%gib == 0 {
		return fmt.Sprintf("%d GiB", n/gib)
	}
	if n%mib == 0 {
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%d bytes", n)
}

// memoryAxis: sizes of a q35 machine, and the machine types of Google.
func (l *lab) memoryAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisMemory, Expected: "unknown"}
	if m := l.start.input.Memory; m != 0 {
		a.Expected = memoryText(m)
	}
	if l.start.input.HOB != nil || l.start.input.Digests.HOB != nil {
		a.Expected = "that of the HOB given"
	}
	seen := map[uint64]bool{l.start.input.Memory: true}
	add := func(size uint64, rare bool) {
		if seen[size] {
			return
		}
		seen[size] = true
		value := memoryText(size)
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: value, Phrase: fmt.Sprintf("%s of memory instead of %s", value, a.Expected), Rare: rare,
			Set: func(s *state) { s.input.Memory, s.input.HOB, s.input.Digests.HOB = size, nil, nil },
		})
	}
	common, all := commonMemory()
	for _, size := range l.in.Memory {
		add(size, false)
	}
	for _, size := range common {
		add(size, false)
	}
	for _, size := range all {
		add(size, true)
	}
	for _, h := range l.gceHOBs() {
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: h.Name, Phrase: fmt.Sprintf("the memory map of Google's %s instead of %s", h.Name, a.Expected), Rare: true,
			Set: func(s *state) { s.hob = h.Value },
		})
	}
	return a
}

// lowMemoryAxis: sizes by which QEMU puts the initrd elsewhere, and so patches the
// kernel in another way (specs/measure.md 5.5). From 2.75 GiB on they are all
// alike.
func (l *lab) lowMemoryAxis() search.Axis[state] {
	a := search.Axis[state]{Name: axisMemory, Expected: "unknown"}
	if m := l.start.input.Memory; m != 0 {
		a.Expected = memoryText(m)
	}
	d := l.start.input.Direct
	if d.Kernel == nil || d.InitrdSHA384 == nil {
		return a
	}
	sizes := []uint64{4 * gib, 2 * gib, gib, 512 * mib}
	for n := uint64(1); n <= 21; n++ {
		sizes = append(sizes, n*128*mib)
	}
	seen := map[uint64]bool{l.start.input.Memory: true}
	for i, size := range sizes {
		if seen[size] {
			continue
		}
		seen[size] = true
		value := memoryText(size)
		a.Choices = append(a.Choices, search.Choice[state]{
			Value: value, Rare: i >= 2,
			Phrase: fmt.Sprintf("%s of memory instead of %s, which moves the initrd's address in the patched setup header", value, a.Expected),
			Set:    func(s *state) { s.input.Memory = size },
		})
	}
	return a
}
