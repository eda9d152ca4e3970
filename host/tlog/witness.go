package tlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"safebox/verifier/tlog"
)

const (
	// witnessTime is how long a checkpoint waits for its quorum, all questions
	// to all witnesses included.
	witnessTime = 5 * time.Second
	// lateTime is how long it waits for the others when the quorum is reached.
	lateTime = 100 * time.Millisecond
)

// QuorumError says that too few witnesses cosigned a checkpoint.
type QuorumError struct {
	Size int64
	Got  int // cosignatures
	Err  error
}

// Error implements error.
func (e *QuorumError) Error() string {
	return fmt.Sprintf("checkpoint of %d entries is not published: %d cosignatures are no quorum: %v", e.Size, e.Got, e.Err)
}

// Unwrap implements errors.Unwrap.
func (e *QuorumError) Unwrap() error { return e.Err }

// witnesses gathers cosignatures. One goroutine at a time uses it.
type witnesses struct {
	policy *tlog.Policy
	client *http.Client
	list   []*witness
	note   func(format string, args ...any)
}

// witness is one address with its keys: a witness may sign with several.
type witness struct {
	url  string
	keys map[string]tlog.Key // by the name in the policy
	size int64               // what it cosigned last, as far as we know
	ill  bool                // the last question failed; said once
}

func newWitnesses(p *tlog.Policy, note func(string, ...any)) (*witnesses, error) {
	w := &witnesses{policy: p, note: note, client: newWitnessClient()}
	var reachable []tlog.Cosignature
	for _, m := range p.Witnesses() {
		if m.URL == "" {
			continue
		}
		key, err := tlog.ParseKey(m.VKey)
		if err != nil {
			return nil, fmt.Errorf("witness %s: %w", m.Name, err)
		}
		address, err := url.Parse(m.URL)
		if err != nil || address.Host == "" || address.User != nil || address.RawQuery != "" || address.Fragment != "" {
			return nil, fmt.Errorf("witness %s: URL %q, want a scheme, a host and a path", m.Name, m.URL)
		}
		full := address.JoinPath("add-checkpoint").String()
		i := slices.IndexFunc(w.list, func(x *witness) bool { return x.url == full })
		if i < 0 {
			i = len(w.list)
			w.list = append(w.list, &witness{url: full, keys: map[string]tlog.Key{}})
		}
		w.list[i].keys[m.Name] = key
		reachable = append(reachable, tlog.Cosignature{Witness: m.Name, Time: 1})
	}
	if _, ok := p.Quorum(reachable); !ok {
		return nil, fmt.Errorf("the %d witnesses with a URL are no quorum of the policy", len(reachable))
	}
	return w, nil
}

// assume sets what the witnesses cosigned last, as far as the log knows after a
// start: the checkpoint that was published last.
func (w *witnesses) assume(size int64) {
	for _, x := range w.list {
		x.size = size
	}
}

// names lists a witness's names.
func (w *witness) names() string {
	return strings.Join(slices.Sorted(maps.Keys(w.keys)), ", ")
}

// answer is what one witness said.
type answer struct {
	from *witness
	size int64                     // what it has cosigned last now
	got  map[string]tlog.Signature // by the name in the policy
	err  error
}

// cosign asks all witnesses at once and gives the note with their
// cosignatures, as soon as all answered, or lateTime after they are a quorum,
// or not at all after witnessTime: a *QuorumError.
func (w *witnesses) cosign(ctx context.Context, c *tlog.Checkpoint, note []byte, t *tree) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	answers := make(chan answer, len(w.list))
	for _, x := range w.list {
		go func() { answers <- w.ask(ctx, x, c, note, t) }()
	}
	got := map[string]tlog.Signature{}
	var failures []error
	reached := w.quorum(got, cancel)
	for range w.list {
		a := <-answers // each comes: ctx ends them
		a.from.size = a.size
		if a.err != nil {
			failures = append(failures, fmt.Errorf("witness %s: %w", a.from.names(), a.err))
		}
		w.remark(a)
		maps.Copy(got, a.got)
		reached = reached || w.quorum(got, cancel)
	}
	if !reached {
		return nil, &QuorumError{Size: c.Size, Got: len(got), Err: errors.Join(failures...)}
	}
	for _, m := range w.policy.Witnesses() { // in the policy's order
		if s, ok := got[m.Name]; ok {
			note = append(note, s.String()...)
		}
	}
	return note, nil
}

// quorum says whether those who cosigned are enough; then the others have
// lateTime to follow. The times that they put into their cosignatures don't
// matter here: how old they may be is for those who rely on the log.
func (w *witnesses) quorum(got map[string]tlog.Signature, cancel context.CancelFunc) bool {
	var list []tlog.Cosignature
	for name := range got {
		list = append(list, tlog.Cosignature{Witness: name, Time: 1})
	}
	_, ok := w.policy.Quorum(list)
	if ok {
		time.AfterFunc(lateTime, cancel)
	}
	return ok
}

// remark tells, once each time, that a witness fails or is well again.
func (w *witnesses) remark(a answer) {
	switch ill := a.err != nil; {
	case ill && !a.from.ill:
		w.note("witness %s: %v", a.from.names(), a.err)
	case !ill && a.from.ill:
		w.note("witness %s answers again", a.from.names())
	}
	a.from.ill = a.err != nil
}
