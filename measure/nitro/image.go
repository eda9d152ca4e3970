package nitro

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"safebox/measure/eif"
)

// bufferSize is how much of an image is held in memory at a time.
const bufferSize = 256 << 10

// imageHashes are the hashes of PCR0, PCR1 and PCR2 (EIF specification, "EIF
// Measurements"):
//
//	PCR0  kernel, command line and all ramdisks
//	PCR1  kernel, command line and the first ramdisk
//	PCR2  all ramdisks but the first
//
// in the order in which they are in the file. PCR0 and PCR1 hold the same up
// to the second ramdisk, so one hash serves both until then: every byte up to
// there is hashed once. The second ramdisk and those behind it are hashed twice,
// as they follow other bytes in PCR0 than in PCR2.
type imageHashes struct {
	all   hash.Hash // PCR0
	first hash.Hash // PCR1; nil as long as it holds what PCR0 does
	rest  hash.Hash // PCR2

	ramdisks int
}

// next gives the hashes that take the content of the next section.
func (h *imageHashes) next(kind eif.Type) ([]hash.Hash, error) {
	if kind == eif.RamdiskSection {
		h.ramdisks++
		if h.ramdisks > 1 {
			return []hash.Hash{h.all, h.rest}, h.split()
		}
	}
	if h.first != nil {
		return []hash.Hash{h.all, h.first}, nil
	}
	return []hash.Hash{h.all}, nil
}

// split gives PCR1 a hash of its own.
func (h *imageHashes) split() error {
	if h.first != nil {
		return nil
	}
	cloner, ok := h.all.(hash.Cloner)
	if !ok {
		return fmt.Errorf("hash %T: want one that can be cloned", h.all)
	}
	first, err := cloner.Clone()
	if err != nil {
		return fmt.Errorf("cloning hash: %w", err)
	}
	h.first = first
	return nil
}

// measure reads the content of an image once and computes PCR0, PCR1 and PCR2.
func measure(content []piece, digests bool) (registers [3]Register, err error) {
	h := imageHashes{all: sha512.New384(), rest: sha512.New384()}
	var items [3][]Item
	buffer := make([]byte, bufferSize)
	for _, p := range content {
		into, err := h.next(p.kind)
		if err != nil {
			return registers, err
		}
		item, err := p.hash(into, buffer, digests)
		if err != nil {
			return registers, fmt.Errorf("reading %s: %w", p.name, err)
		}
		items[0] = append(items[0], item)
		if p.kind == eif.RamdiskSection && h.ramdisks > 1 {
			items[2] = append(items[2], item)
		} else {
			items[1] = append(items[1], item)
		}
	}
	if h.first == nil {
		h.first = h.all
	}
	for i, h := range []hash.Hash{h.all, h.first, h.rest} {
		digest := Digest(h.Sum(nil))
		registers[i] = Register{
			Rule:  Exact,
			Value: extend(digest[:]),
			Event: &Event{Content: items[i], Digest: &digest},
		}
	}
	return registers, nil
}

// hash reads the piece to its end and gives it to all hashes.
func (p *piece) hash(into []hash.Hash, buffer []byte, digests bool) (Item, error) {
	own := sha512.New384()
	if digests {
		into = append(into, own)
	}
	item := Item{Name: p.name, Offset: p.offset}
	for {
		n, err := io.ReadFull(p.data, buffer)
		write(into, buffer[:n])
		item.Size += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return Item{}, err
		}
	}
	if p.size >= 0 && item.Size != p.size {
		return Item{}, fmt.Errorf("got %d bytes, want %d: the file was changed", item.Size, p.size)
	}
	if item.Size == 0 && p.kind != eif.CommandLineSection {
		return Item{}, errors.New("got no bytes, want content")
	}
	if digests {
		digest := Digest(own.Sum(nil))
		item.SHA384 = &digest
	}
	return item, nil
}

// write gives data to all hashes at the same time.
func write(into []hash.Hash, data []byte) {
	var others sync.WaitGroup
	for _, h := range into[1:] {
		others.Go(func() { h.Write(data) })
	}
	into[0].Write(data)
	others.Wait()
}
