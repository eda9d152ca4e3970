package object

import (
	"context"
	"fmt"
	"strings"

	"safebox/verifier/object"
)

// shard gives chunk i's shard, fetched or rebuilt: its root holds.
func (r *Reader) shard(ctx context.Context, i uint32) ([]byte, error) {
	leaf := r.object.Geometry.Leaf(i)
	b, fault := r.fetch(ctx, leaf)
	if fault == nil {
		return b, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading chunk %d: %w", i, err)
	}
	return r.rebuild(ctx, i, fault)
}

// fetch gets the shard of a leaf and checks its length and root. Whatever is
// wrong goes into the blame record as well.
func (r *Reader) fetch(ctx context.Context, leaf int) ([]byte, *Blame) {
	l := r.object.Leaf(leaf)
	b, err := r.fetcher.Fetch(ctx, l.ShardRoot, int(l.StoredLen))
	fault := &Blame{Leaf: leaf, Root: l.ShardRoot, Kind: BlameHash}
	switch {
	case err != nil:
		fault.Kind, fault.Detail = BlameMissing, err.Error()
	case len(b) != int(l.StoredLen):
		fault.Detail = fmt.Sprintf("got %d bytes, want %d", len(b), l.StoredLen)
	default:
		got := object.ShardRoot(b)
		if got == l.ShardRoot {
			return b, nil
		}
		fault.Detail = fmt.Sprintf("got root %x, want %x", got, l.ShardRoot)
	}
	if ctx.Err() == nil { // an interrupted fetch is nobody's fault
		r.blame(*fault)
	}
	return nil, fault
}

// rebuild computes chunk i's shard from others of its stripe. No shard goes
// into the code before its root was checked: the code takes what it is given
// for good (specs/runtime.md, F8).
func (r *Reader) rebuild(ctx context.Context, i uint32, first *Blame) ([]byte, error) {
	p := r.object.Geometry.Profile
	st := r.object.Geometry.Stripe(i / uint32(p.K))
	own := int(i - st.FirstChunk)
	shards, faults, err := r.collect(ctx, st, own)
	if err != nil {
		return nil, fmt.Errorf("reading chunk %d: %w", i, err)
	}
	if good := st.Data + st.Parity - 1 - len(faults); good < st.Data {
		return nil, lost(i, st, append([]*Blame{first}, faults...))
	}
	required := make([]bool, p.K+p.M)
	required[own] = true
	if err := r.code.ReconstructSome(shards, required); err != nil {
		return nil, problem(ProblemMissing, "chunk %d: rebuilding from stripe %d: %v", i, st.Index, err)
	}
	l := r.object.Leaf(st.FirstLeaf + own)
	shard := shards[own][:l.StoredLen]
	if got := object.ShardRoot(shard); got != l.ShardRoot {
		return nil, problem(ProblemHash, "chunk %d: rebuilt from stripe %d: got root %x, want %x: the stripe was sealed wrong",
			i, st.Index, got, l.ShardRoot)
	}
	return shard, nil
}

// collect fetches other shards of a stripe than own until there are as many
// as it has data, or no more to ask for. It gives them in the positions of the
// code, extended to one length, and what was wrong with the rest.
func (r *Reader) collect(ctx context.Context, st object.Stripe, own int) (shards [][]byte, faults []*Blame, err error) {
	p := r.object.Geometry.Profile
	shards = make([][]byte, p.K+p.M)
	for j := st.Data; j < p.K; j++ {
		shards[j] = make([]byte, st.ShardLen)
	}
	next := 0
	for need := st.Data; need > 0; {
		var wave []int
		for ; next < st.Data+st.Parity && len(wave) < need; next++ {
			if next != own {
				wave = append(wave, next)
			}
		}
		if len(wave) == 0 {
			break
		}
		wrong := make([]*Blame, len(wave))
		err := parallel(ctx, len(wave), func(ctx context.Context, n int) error {
			var b []byte
			if b, wrong[n] = r.fetch(ctx, st.FirstLeaf+wave[n]); wrong[n] == nil {
				shards[position(st, p, wave[n])] = extend(b, st.ShardLen)
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, nil, err
		}
		for _, fault := range wrong {
			if fault != nil {
				faults = append(faults, fault)
			} else {
				need--
			}
		}
	}
	return shards, faults, nil
}

// extend gives a shard the length at which its stripe is coded.
func extend(b []byte, n int) []byte {
	if len(b) == n {
		return b
	}
	return append(make([]byte, 0, n), b...)[:n]
}

// lost says which shards a stripe misses, and why.
func lost(i uint32, st object.Stripe, faults []*Blame) error {
	id := ProblemMissing
	list := make([]string, len(faults))
	for n, f := range faults {
		list[n] = fmt.Sprintf("%d %s", f.Leaf, f.Kind)
		if f.Kind == BlameHash {
			id = ProblemHash
		}
	}
	return problem(id, "chunk %d: stripe %d: %d of its %d shards are bad, at most %d may be: leaf %s; the first: %.200s",
		i, st.Index, len(faults), st.Data+st.Parity, st.Parity, strings.Join(list, ", "), faults[0].Detail)
}
