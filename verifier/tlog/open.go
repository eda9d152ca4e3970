package tlog

import (
	"fmt"
	"slices"
)

// Opened is a checkpoint that a listed log signed, and who of the listed
// witnesses cosigned it. Whether they are enough, and their times recent, is
// not decided yet: Policy.Quorum.
type Opened struct {
	Checkpoint   Checkpoint
	Log          string        // the log's name, which is the checkpoint's origin
	Cosignatures []Cosignature // one a witness, in the policy's order
}

// Cosignature is a listed witness's word for a checkpoint.
type Cosignature struct {
	Witness string // the name in the policy
	Time    int64  // Unix seconds as the witness says: 0 and the far future are possible
}

// LogError says that no listed log of the checkpoint's origin signed it.
type LogError struct{ Origin string }

// Error implements error.
func (e *LogError) Error() string {
	return fmt.Sprintf("checkpoint of %q: signed by no listed log of this name", e.Origin)
}

// Open reads a checkpoint and verifies it, in this order:
//
//  1. the form of the note and of the checkpoint;
//  2. every signature that names a listed log's key (*SignatureError);
//  3. one of them is of a log whose name is the origin (*LogError);
//  4. every signature that names a listed witness's key (*SignatureError).
//
// Signatures of other keys are ignored. A witness with several cosignatures
// counts once, with its latest time. An error of rule 4 names the witness's
// key as rule 2 does the log's: CosignerError tells them apart.
func (p *Policy) Open(note []byte) (*Opened, error) {
	n, c, err := decode(note)
	if err != nil {
		return nil, err
	}
	if err := signedBy(n, c, p.logs); err != nil {
		return nil, fmt.Errorf("opening checkpoint: %w", err)
	}
	o := &Opened{Checkpoint: *c, Log: c.Origin}
	for _, w := range p.witnesses {
		latest := int64(-1)
		for _, s := range n.Signatures {
			if !w.key.made(s) {
				continue
			}
			time, err := w.key.VerifyCosignature(c, s)
			if err != nil {
				return nil, fmt.Errorf("opening checkpoint of %q: %w", c.Origin, &CosignerError{Witness: w.Name, Err: err})
			}
			latest = max(latest, time)
		}
		if latest >= 0 {
			o.Cosignatures = append(o.Cosignatures, Cosignature{Witness: w.Name, Time: latest})
		}
	}
	return o, nil
}

// CosignerError says that a cosignature which names a listed witness's key
// does not verify.
type CosignerError struct {
	Witness string // the name in the policy
	Err     error
}

// Error implements error.
func (e *CosignerError) Error() string { return fmt.Sprintf("witness %q: %v", e.Witness, e.Err) }

// Unwrap implements errors.Unwrap.
func (e *CosignerError) Unwrap() error { return e.Err }

// Quorum says whether the witnesses are enough, and since when: the latest
// time such that the cosignatures of that time or later are enough by
// themselves. A caller that distrusts a time leaves its cosignature out.
// Cosignatures of witnesses that the policy does not list count nothing, and
// several of one witness count once. Where the policy asks for none, the
// answer is 0 and true: see QuorumNone.
func (p *Policy) Quorum(cosignatures []Cosignature) (at int64, ok bool) {
	if p.quorum == quorumNone {
		return 0, true
	}
	latest := slices.Clone(cosignatures)
	slices.SortStableFunc(latest, func(a, b Cosignature) int {
		switch {
		case a.Time > b.Time:
			return -1
		case a.Time < b.Time:
			return 1
		}
		return 0
	})
	have := make([]bool, len(p.witnesses))
	for _, c := range latest {
		i := slices.IndexFunc(p.witnesses, func(w Witness) bool { return w.Name == c.Witness })
		if i < 0 {
			continue
		}
		have[i] = true
		if p.satisfied(have) {
			return c.Time, true
		}
	}
	return 0, false
}

// satisfied evaluates the groups in the order of their definition, which
// needs no recursion: members come first.
func (p *Policy) satisfied(have []bool) bool {
	cosigned := make([]bool, len(p.nodes))
	for i, n := range p.nodes {
		if n.witness >= 0 {
			cosigned[i] = have[n.witness]
			continue
		}
		count := 0
		for _, m := range n.members {
			if cosigned[m] {
				count++
			}
		}
		cosigned[i] = count >= n.threshold
	}
	return cosigned[p.quorum]
}
