package disk

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxDepth is what measure/fat reads.
const maxDepth = 16

// node is a file or, with children, a directory.
type node struct {
	name     string
	dir      bool
	data     []byte
	children []*node // sorted by name
	parent   *node   // nil for the root

	first    uint32 // first cluster, 0 if empty
	clusters uint32
}

// newTree makes the directories that the files need.
func newTree(files []File) (*node, error) {
	if len(files) == 0 {
		return nil, fmt.Errorf("files: got none")
	}
	root := &node{dir: true}
	for _, f := range files {
		if err := root.add(f); err != nil {
			return nil, fmt.Errorf("file %q: %w", f.Path, err)
		}
	}
	root.sort()
	return root, nil
}

// add puts f below n.
func (n *node) add(f File) error {
	if len(f.Data) > math.MaxUint32 {
		return fmt.Errorf("size: got %d, want at most %d", len(f.Data), uint32(math.MaxUint32))
	}
	parts := strings.Split(f.Path, "/")
	if len(parts) > maxDepth {
		return fmt.Errorf("depth: got %d, want at most %d", len(parts), maxDepth)
	}
	for i, name := range parts {
		if err := checkName(name); err != nil {
			return err
		}
		last := i == len(parts)-1
		child, err := n.child(name)
		if err != nil {
			return err
		}
		switch {
		case child == nil:
			child = &node{name: name, dir: !last, parent: n}
			if last {
				child.data = f.Data
			}
			n.children = append(n.children, child)
		case last || !child.dir:
			return fmt.Errorf("name %q: got it twice", strings.Join(parts[:i+1], "/"))
		}
		n = child
	}
	return nil
}

// child finds the child of that name, nil if there is none. Names that differ
// in case only would be one file to firmware.
func (n *node) child(name string) (*node, error) {
	for _, c := range n.children {
		if c.name == name {
			return c, nil
		}
		if strings.EqualFold(c.name, name) {
			return nil, fmt.Errorf("name %q: differs from %q in case only", name, c.name)
		}
	}
	return nil, nil
}

// sort orders all children bytewise, whatever order the files came in.
func (n *node) sort() {
	slices.SortFunc(n.children, func(a, b *node) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	for _, c := range n.children {
		c.sort()
	}
}

// list returns n and all below it: the directories first, as each is short
// and read on the way to every file.
func (n *node) list() []*node {
	dirs, files := []*node{n}, []*node{}
	for i := 0; i < len(dirs); i++ {
		for _, c := range dirs[i].children {
			if c.dir {
				dirs = append(dirs, c)
			} else {
				files = append(files, c)
			}
		}
	}
	return append(dirs, files...)
}
