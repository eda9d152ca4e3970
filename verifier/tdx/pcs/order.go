package pcs

import (
	"fmt"
	"slices"
)

// checkOrder refuses levels that are not in descending order, and a level twice:
// the first level that matches is the best one only if they are. Intel's library
// sorts them instead. Intel writes them sorted, so another order is not Intel's.
func (t *TCBInfo) checkOrder() error {
	for i := 1; i < len(t.Levels); i++ {
		if t.Levels[i-1].compare(&t.Levels[i]) <= 0 {
			return fmt.Errorf("TCB level %d is not below level %d: levels are not in descending order", i+1, i)
		}
	}
	for i, m := range t.Modules {
		if slices.ContainsFunc(t.Modules[:i], func(other Module) bool { return other.Version == m.Version }) {
			return fmt.Errorf("TDX module identity TDX_%02X twice", m.Version)
		}
		if err := checkSVNOrder(m.Levels); err != nil {
			return fmt.Errorf("TDX module identity TDX_%02X: %w", m.Version, err)
		}
	}
	return nil
}

// compare orders levels as Intel's library does: SGX components from the first,
// PCESVN, TDX components from the first.
func (l *Level) compare(other *Level) int {
	if c := compareComponents(&l.SGX, &other.SGX); c != 0 {
		return c
	}
	if c := int(l.PCESVN) - int(other.PCESVN); c != 0 {
		return c
	}
	return compareComponents(&l.TDX, &other.TDX)
}

func compareComponents(a, b *[16]Component) int {
	for i := range a {
		if c := int(a[i].SVN) - int(b[i].SVN); c != 0 {
			return c
		}
	}
	return 0
}

func checkSVNOrder(levels []SVNLevel) error {
	for i := 1; i < len(levels); i++ {
		if levels[i-1].ISVSVN <= levels[i].ISVSVN {
			return fmt.Errorf("TCB level with isvsvn %d after one with %d: levels are not in descending order", levels[i].ISVSVN, levels[i-1].ISVSVN)
		}
	}
	return nil
}
