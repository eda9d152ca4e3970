package keeper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"safebox/guest/object"
	"safebox/guest/quote"
	"safebox/guest/wire"
	"safebox/measure/tpm/golden"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
)

// device is a TPM that signs nothing: for tests that are not about it.
type device struct {
	pcr15 map[golden.Bank]golden.Digest
	fail  error // of Extend and Quote, if not nil
}

func newDevice() *device {
	return &device{pcr15: map[golden.Bank]golden.Digest{golden.SHA256: golden.SHA256.Zero(), golden.SHA384: golden.SHA384.Zero()}}
}

func (d *device) AK() []byte { return []byte("key") }

func (d *device) Identity() (*guestapi.Identity, error) {
	return &guestapi.Identity{Type: guestapi.IdentityType, AK: d.AK()}, nil
}

func (d *device) Quote(bank golden.Bank, qualifying [32]byte) (*evidence.Quote, error) {
	if d.fail != nil {
		return nil, d.fail
	}
	q := &evidence.Quote{Bank: bank.String(), Attest: qualifying[:], Signature: []byte("signature")}
	for i := range quote.Quoted {
		value := bank.Zero()
		if i == quote.RuntimePCR {
			value = d.pcr15[bank]
		}
		q.PCRs = append(q.PCRs, evidence.PCR{Index: i, Value: value.String()})
	}
	return q, nil
}

func (d *device) Extend(digest func(golden.Bank) golden.Digest) error {
	if d.fail != nil {
		return d.fail
	}
	for bank, value := range d.pcr15 {
		d.pcr15[bank] = bank.Extend(value, digest(bank))
	}
	return nil
}

func (d *device) Activate(*challenge.Enroll) ([]byte, error) { return []byte("secret"), nil }

// bootFake starts a guest without a TPM.
func bootFake(t testing.TB, s *shards) (*guest, *device) {
	t.Helper()
	g, d := &guest{shards: s}, newDevice()
	g.start(t, d, []byte("log"))
	return g, d
}

// TestDeviceFails: no evidence and no keys from a TPM that does not do its
// part, and no secret left behind.
func TestDeviceFails(t *testing.T) {
	s, o := newObject(t), newOwner(t)
	g, d := bootFake(t, s.shards)
	v := g.visit(t, o)
	job := v.order(t, s, chunks01())
	d.fail = errors.New("TPM lost")
	c, err := newChallenge(o).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Handle(wire.OpEvidence, c); !errors.Is(err, d.fail) {
		t.Errorf("evidence: got %v", err)
	}
	g.clean(t, 1)
	if _, err := g.Handle(wire.OpSubmit, job.seal(t)); !errors.Is(err, d.fail) {
		t.Errorf("grant: got %v", err)
	}
	if g.clean(t, 0); g.holds(job.nodes) {
		t.Error("a node is still in the arena")
	}
	d.fail = nil
	if got := g.refused(t, wire.OpSubmit, job.seal(t)); got != ProblemGrantSerial {
		t.Errorf("the same grant again: %s", got)
	}

	// PCR 15 may or may not hold the configuration now: no second attempt.
	g, d = bootFake(t, s.shards)
	document, err := configuration.Default().Encode()
	if err != nil {
		t.Fatal(err)
	}
	d.fail = errors.New("TPM lost")
	if _, err := g.Handle(wire.OpConfigure, document); !errors.Is(err, d.fail) {
		t.Errorf("configuration: got %v", err)
	}
	d.fail = nil
	if got := g.refused(t, wire.OpConfigure, document); got != ProblemConfigLate {
		t.Errorf("configuration again: %s", got)
	}
}

func TestOptions(t *testing.T) {
	for name, change := range map[string]func(o *Options){
		"device":    func(o *Options) { o.Device = nil },
		"workers":   func(o *Options) { o.Workers = nil },
		"shards":    func(o *Options) { o.Shards = nil },
		"boot time": func(o *Options) { o.Boottime = nil },
		"now":       func(o *Options) { o.Now = nil },
		"no log":    func(o *Options) { o.EventLog = nil },
		"long log":  func(o *Options) { o.EventLog = make([]byte, evidence.MaxEventLog+1) },
	} {
		g, _ := bootFake(t, &shards{})
		o := g.options
		change(&o)
		if k, err := New(o); err == nil {
			t.Errorf("%s: made %v", name, k)
		}
	}
}

// FuzzHandle: whatever the process api sends, the keeper answers or refuses,
// and the arena holds what open challenges need and nothing else.
func FuzzHandle(f *testing.F) {
	s, o := newObject(f), newOwner(f)
	g, _ := bootFake(f, s.shards)
	c, err := newChallenge(o).Encode()
	if err != nil {
		f.Fatal(err)
	}
	document, err := configuration.Default().Encode()
	if err != nil {
		f.Fatal(err)
	}
	job := g.visit(f, o).order(f, s, chunks01()).seal(f)
	id := g.submit(f, job)
	g.await(f, id)
	for op, body := range map[uint8][]byte{
		wire.OpIdentity: nil, wire.OpConfigure: document, wire.OpEvidence: c,
		wire.OpSubmit: g.visit(f, o).order(f, s, chunks01()).seal(f), wire.OpStatus: id[:], wire.OpResult: id[:],
	} {
		f.Add(op, body)
	}
	f.Add(uint8(wire.OpSubmit), job)
	f.Fuzz(func(t *testing.T, op uint8, body []byte) {
		g.skew.Add(int64(challengeLife) / 8)
		answer, err := g.Handle(op, body)
		var p *guestapi.Problem
		switch {
		case err == nil && op == wire.OpSubmit:
			status, err := guestapi.DecodeStatus(answer)
			if err != nil {
				t.Fatal(err)
			}
			g.await(t, status.Job)
		case err != nil && !errors.As(err, &p):
			t.Errorf("no name: %v", err)
		}
		g.mu.Lock()
		open := len(g.challenges)
		g.mu.Unlock()
		g.clean(t, open)
	})
}

// FuzzSession: whatever a worker sends, the keeper answers or ends it.
func FuzzSession(f *testing.F) {
	s, o := newObject(f), newOwner(f)
	g, _ := bootFake(f, s.shards)
	job := g.visit(f, o).order(f, s, chunks01())
	job.seal(f)
	j, err := g.admit(&job.job)
	if err != nil {
		f.Fatal(err)
	}
	if err := g.accept(j); err != nil {
		f.Fatal(err)
	}
	defer j.keys.wipe()
	reader, err := object.NewReader(j.object, j.keys, g.options.Shards)
	if err != nil {
		f.Fatal(err)
	}
	begin := "\x00\x00\x00\x01\x20"
	f.Add([]byte(begin + "\x00\x00\x00\x09\x21\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Add([]byte(begin + "\x00\x00\x00\x0d\x22\x00\x00\x00\x00\x06objectxy"))
	f.Add([]byte(begin + "\x00\x00\x00\x04\x24\x01hi"))
	f.Add([]byte(begin + "\x00\x00\x00\x29\x23" + `{"exit":0,"memory_peak":65536,"trap":""}`))
	f.Fuzz(func(t *testing.T, stream []byte) {
		w := &goroutine{Conn: nothing{}, done: make(chan struct{})}
		x := &session{keeper: g.Keeper, job: j, limits: g.Keeper.limits, reader: reader, ctx: context.Background(), worker: w}
		defer x.wipe()
		var replies bytes.Buffer
		rw := struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(stream), &replies}
		err := wire.Serve(rw, x.requestLimit(), x.handle)
		if x.failed != nil {
			t.Errorf("failed: %v", x.failed)
		}
		if err == nil && x.done != nil && x.outcome(w.ending) != *x.done {
			t.Errorf("outcome %+v, done %+v", x.outcome(w.ending), x.done)
		}
		// A chunk that is not granted never comes.
		if bytes.Contains(replies.Bytes(), s.chunk(2)[:64]) {
			t.Error("a chunk outside the grant came out")
		}
	})
}

// nothing is a stream that was never opened.
type nothing struct{ net.Conn }

func (nothing) Close() error { return nil }
