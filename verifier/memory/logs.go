package memory

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"safebox/verifier/canon"
)

// Limits of the trees in a memory.
const (
	maxLogs = 64
	maxTree = 1<<53 - 1 // the largest integer of canonical JSON
)

// Tree is the largest tree of a log that was seen: who has all entries of a
// larger one can compute the root that it had at this size, and a log that has
// forked since has another.
type Tree struct {
	Size int64
	Root [32]byte
}

// log is the encoding of a Tree.
type log struct {
	Origin string         `json:"origin"`
	Root   canon.Octets32 `json:"root"`
	Size   int64          `json:"size"`
}

// Tree gives the largest tree that was seen of a log, by its origin.
func (m *Memory) Tree(origin string) (Tree, bool) {
	if m == nil {
		return Tree{}, false
	}
	t, ok := m.logs[origin]
	return t, ok
}

// MergeTree keeps the larger of two trees of a log. Two of one size with
// different roots are a fork, which is refused. As with Merge, only what belongs
// to an accepting verdict may be merged, and on error nothing changes.
func (m *Memory) MergeTree(origin string, t Tree) error {
	if m == nil {
		return errors.New("merging into rollback memory: no memory")
	}
	if err := checkTree(origin, t.Size); err != nil {
		return fmt.Errorf("merging into rollback memory: %w", err)
	}
	old, known := m.logs[origin]
	switch {
	case !known && len(m.logs) >= maxLogs:
		return fmt.Errorf("merging into rollback memory: got %d logs, want at most %d", len(m.logs)+1, maxLogs)
	case known && old.Size == t.Size && old.Root != t.Root:
		return fmt.Errorf("merging into rollback memory: FORK: log %s of size %d has root %x, seen root %x", origin, t.Size, t.Root, old.Root)
	case known && old.Size >= t.Size:
		return nil
	}
	if m.logs == nil {
		m.logs = make(map[string]Tree, 1)
	}
	m.logs[origin] = t
	return nil
}

func checkTree(origin string, size int64) error {
	if err := checkKey(origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	if size < 1 || size > maxTree {
		return fmt.Errorf("log %s: size: got %d, want 1 to %d", origin, size, int64(maxTree))
	}
	return nil
}

// setLogs takes the trees of a document.
func (m *Memory) setLogs(list []log) error {
	if len(list) > maxLogs {
		return fmt.Errorf("logs: got %d, want at most %d", len(list), maxLogs)
	}
	m.logs = make(map[string]Tree, len(list))
	for i, l := range list {
		if i > 0 && list[i-1].Origin >= l.Origin {
			return fmt.Errorf("logs %d: origin %q is not above the one before it", i, l.Origin)
		}
		if err := checkTree(l.Origin, l.Size); err != nil {
			return fmt.Errorf("logs %d: %w", i, err)
		}
		m.logs[l.Origin] = Tree{Size: l.Size, Root: l.Root}
	}
	return nil
}

// listLogs gives the trees in the order of a document, nil for none.
func (m *Memory) listLogs() []log {
	var list []log
	for origin, t := range m.logs {
		list = append(list, log{Origin: origin, Root: t.Root, Size: t.Size})
	}
	slices.SortFunc(list, func(a, b log) int { return cmp.Compare(a.Origin, b.Origin) })
	return list
}
