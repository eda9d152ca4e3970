package object

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The message that is sealed in a grant (specs/protocol.md, section 5):
// "SBG1" || u16be n || n x (u8 depth || u32be prefix || 32-byte node).
const (
	nodesMagic  = "SBG1"
	nodesHeader = len(nodesMagic) + 2
	nodeSize    = 1 + 4 + 32
)

// MaxNodes is the largest number of nodes that ranges can need: each range at
// most two on every level but the root and its children.
const MaxNodes = MaxRanges * 2 * (Depth - 1)

// EncodeNodes writes the nodes of a grant. What is no cover of any ranges
// DecodeNodes refuses.
func EncodeNodes(nodes []Node) []byte {
	b := make([]byte, 0, nodesHeader+len(nodes)*nodeSize)
	b = append(b, nodesMagic...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(nodes)))
	for _, n := range nodes {
		b = append(b, n.Depth)
		b = binary.BigEndian.AppendUint32(b, n.Prefix)
		b = append(b, n.Key[:]...)
	}
	return b
}

// DecodeNodes reads the nodes of a grant for these ranges. They must be the
// smallest cover, in ascending order: one set of ranges has one message.
func DecodeNodes(b []byte, r Ranges) ([]Node, error) {
	nodes, err := cover(r)
	if err != nil {
		return nil, fmt.Errorf("decoding nodes: %w", err)
	}
	if len(b) < nodesHeader || string(b[:len(nodesMagic)]) != nodesMagic {
		return nil, errors.New("decoding nodes: got no " + nodesMagic + " at the start")
	}
	n := int(binary.BigEndian.Uint16(b[len(nodesMagic):]))
	if n != len(nodes) {
		return nil, fmt.Errorf("decoding nodes: got %d, want %d for chunks %s", n, len(nodes), r)
	}
	if want := nodesHeader + n*nodeSize; len(b) != want {
		return nil, fmt.Errorf("decoding nodes: got %d bytes, want %d", len(b), want)
	}
	for i, want := range nodes {
		record := b[nodesHeader+i*nodeSize:][:nodeSize]
		depth, prefix := record[0], binary.BigEndian.Uint32(record[1:])
		if depth != want.Depth || prefix != want.Prefix {
			return nil, fmt.Errorf("decoding nodes: node %d: got depth %d and prefix %d, want %d and %d for chunks %s",
				i, depth, prefix, want.Depth, want.Prefix, r)
		}
		nodes[i].Key = [32]byte(record[5:])
	}
	return nodes, nil
}
