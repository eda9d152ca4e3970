package witness

import (
	"bytes"
	"fmt"
	"net/http"

	"safebox/verifier/tlog"
)

// maxStepBack is how many seconds the clock may be behind the latest
// cosignature, as after a step of NTP: the old time is given again. With a
// clock further behind nothing is signed, because either it or the earlier
// cosignature lies.
const maxStepBack = 10

// sayAgain is after how many seconds the operator is told again of a log whose
// requests bring no new evidence.
const sayAgain = 60

// Refusal is the answer to a request that gets no cosignature, with the HTTP
// status of C2SP tlog-witness.
type Refusal struct {
	Status int
	Held   *int64 // size held, for a 409 about the old size
	Err    error
}

// Error says why.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(status int, format string, args ...any) error {
	return &Refusal{Status: status, Err: fmt.Errorf(format, args...)}
}

// AddCheckpoint decides about the body of an add-checkpoint request and gives
// the cosignature lines, or a *Refusal, or an error of the witness's own. The
// checks have the order of C2SP tlog-witness, add-checkpoint.
func (w *Witness) AddCheckpoint(body []byte) ([]byte, error) {
	if len(body) > maxBody {
		return nil, refuse(http.StatusRequestEntityTooLarge, "body larger than %d bytes", maxBody)
	}
	r, err := tlog.DecodeAddCheckpoint(body)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "add-checkpoint request: %w", err)
	}
	claimed, err := tlog.DecodeCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "add-checkpoint request: %w", err)
	}
	l, ok := w.logs[claimed.Origin]
	if !ok {
		return nil, refuse(http.StatusNotFound, "no log of origin %q here", claimed.Origin)
	}
	c, err := tlog.OpenSigned(r.Checkpoint, l.keys)
	if err != nil {
		return nil, refuse(http.StatusForbidden, "checkpoint of %q: %w", claimed.Origin, err)
	}
	if r.Old > c.Size {
		return nil, refuse(http.StatusBadRequest, "old size: got %d, want at most the checkpoint's %d", r.Old, c.Size)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return nil, fmt.Errorf("log %q: stopped: %w", c.Origin, l.broken)
	}
	if err := w.compare(l, r, c, body); err != nil {
		return nil, err
	}
	return w.cosign(l, c, r.Checkpoint)
}

// compare holds a request that the log signed against what was cosigned last.
// l.mu is held.
func (w *Witness) compare(l *watched, r *tlog.AddCheckpoint, c *tlog.Checkpoint, body []byte) error {
	held := l.state
	forked := c.Size == held.size && c.Root != held.root
	if forked { // also when the old size is wrong: the proof of a fork is worth keeping
		w.keep(l, kindFork, c, body)
	}
	switch {
	case r.Old != held.size:
		size := held.size
		return &Refusal{
			Status: http.StatusConflict, Held: &size,
			Err: fmt.Errorf("old size: got %d, want %d", r.Old, size),
		}
	case (r.Old == 0 || r.Old == c.Size) && len(r.Proof) > 0:
		return refuse(http.StatusUnprocessableEntity, "consistency proof: got %d hashes, want none", len(r.Proof))
	case forked:
		return refuse(http.StatusConflict, "fork: root of size %d: got %x, want %x", c.Size, c.Root, held.root)
	case r.Old == 0 || r.Old == c.Size:
		return nil
	}
	if err := tlog.CheckConsistency(r.Proof, held.size, held.root, c.Size, c.Root); err != nil {
		w.keep(l, kindInconsistent, c, body)
		return refuse(http.StatusUnprocessableEntity, "consistency proof from %d to %d: %w", held.size, c.Size, err)
	}
	return nil
}

// cosign puts the new checkpoint on disk, then signs it. l.mu is held, so that
// nobody compares with the old one meanwhile.
func (w *Witness) cosign(l *watched, c *tlog.Checkpoint, note []byte) ([]byte, error) {
	at := w.now().Unix()
	if at < 1 || l.state.time-at > maxStepBack {
		w.say("clock: at %d, the latest cosignature of %q at %d (Unix seconds): nothing is signed until it is right",
			at, c.Origin, l.state.time)
		return nil, refuse(http.StatusServiceUnavailable, "the witness's clock is wrong")
	}
	next := &state{origin: c.Origin, time: max(at, l.state.time)}
	signed, err := signedOnlyBy(l.keys, note)
	if err == nil {
		err = next.setCheckpoint(signed)
	}
	if err != nil {
		return nil, fmt.Errorf("state of %q: %w", c.Origin, err)
	}
	if replaced, err := w.folder.save(next); err != nil {
		if replaced {
			l.broken = err
		}
		w.say("error: state of %q not on disk, not cosigned: %v", c.Origin, err)
		return nil, fmt.Errorf("storing state of %q: %w", c.Origin, err)
	}
	l.state = next
	var lines bytes.Buffer
	for _, k := range w.cosigners {
		line, err := k.Cosign(c, next.time)
		if err != nil {
			w.say("error: cosigning %q: %v", c.Origin, err)
			return nil, fmt.Errorf("cosigning %q: %w", c.Origin, err)
		}
		lines.Write(line)
	}
	return lines.Bytes(), nil
}

// keep stores evidence against a log and tells the operator. That it could not
// be stored changes nothing for the client.
func (w *Witness) keep(l *watched, kind string, c *tlog.Checkpoint, body []byte) {
	if len(l.state.checkpoint) == 0 {
		return // against the empty tree nothing is evidence
	}
	path, err := w.folder.keep(c.Origin, &evidence{
		kind: kind, time: w.now().Unix(), held: l.state.checkpoint, request: body, size: c.Size, root: c.Root,
	})
	now := w.now().Unix()
	switch {
	case err != nil:
		w.say("error: keeping evidence against %q: %v", c.Origin, err)
	case path == "" && now-l.told < sayAgain && now >= l.told:
		return // a log that is refused tries again every second
	case path == "":
		path = "kept already, or no room"
	}
	l.told = now
	if kind == kindFork {
		w.say("FORK: log %q signed two trees of size %d: root %x was cosigned, root %x is refused; evidence: %s",
			c.Origin, c.Size, l.state.root, c.Root, path)
		return
	}
	w.say("refused: log %q, size %d: the proof does not lead there from size %d: a fork, or a wrong proof; evidence: %s",
		c.Origin, c.Size, l.state.size, path)
}
