package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"safebox/guest/quote"
	"safebox/guest/quote/quotetest"
	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	"safebox/verifier/object"
	"safebox/verifier/publishtest"
	"safebox/verifier/receipt"
	"safebox/verifier/transcript"
)

// fakeGuest is a machine for the commands of an owner: its TPM is a real
// software TPM with the registers of a real boot (verifier/testdata/boot), its
// keeper is what is written here. It opens grants as a guest does.
type fakeGuest struct {
	kem        hpke.PrivateKey
	receiptKey ed25519.PrivateKey
	evidence   []byte
	e          *evidence.Evidence
	t          [64]byte
	owner      [32]byte

	asked atomic.Int64 // questions for a job's state

	// What a test changes; nil: nothing.
	document func(d *receipt.Document)
	result   func(r *guestapi.Result)
	envelope func(b []byte) []byte
	answer   func(w http.ResponseWriter, r *http.Request) bool // true: answered

	sealed map[canon.Octets16][]byte // results by job
}

// story is a folder in which an owner has done everything up to the grant.
type story struct {
	dir       string
	machine   *quote.TPM
	guest     *fakeGuest // of the first challenge
	published *publishtest.Publication
	at        time.Time
}

func (s *story) path(name string) string { return filepath.Join(s.dir, name) }

// invoke runs one command; names with "@" are in the story's folder.
func (s *story) invoke(t *testing.T, args ...string) answer {
	t.Helper()
	all := make([]string, len(args))
	for i, a := range args {
		all[i] = a
		if name, ok := strings.CutPrefix(a, "@"); ok {
			all[i] = s.path(name)
		}
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), all, strings.NewReader(""), &stdout, &stderr)
	return answer{code, stdout.String(), stderr.String()}
}

type answer struct {
	code           int
	stdout, stderr string
}

func (s *story) must(t *testing.T, args ...string) string {
	t.Helper()
	a := s.invoke(t, args...)
	if a.code != 0 {
		t.Fatalf("safebox %q: got code %d and %s%s", args, a.code, a.stdout, a.stderr)
	}
	return a.stdout
}

func (s *story) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *story) write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// bootData is where verifier keeps a release and the event log of its boot.
const bootData = "../../verifier/testdata/boot"

// newStory makes keys, an object, a machine, a challenge and its evidence.
func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{dir: t.TempDir(), at: time.Now()}
	s.write(t, "letters.txt", bytes.Repeat([]byte("a letter\n"), 300_000)) // 3 chunks
	s.write(t, "module.wasm", []byte("\x00asm module"))
	s.write(t, "params.json", []byte(`{"top":3}`))
	s.must(t, "key", "audience", "--out", "@owner.key", "--no-passphrase")
	s.must(t, "key", "recipient", "--out", "@analyst.key", "--no-passphrase")
	s.must(t, "key", "recipient", "--out", "@stranger.key", "--no-passphrase")
	s.must(t, "seal", "@letters.txt", "--out", "@object", "--profile", "small")
	s.boot(t)
	s.must(t, "policy", "init", "--profile", "test", "--tpm-root", "@root.pem", "--out", "@unsigned.toml")
	s.must(t, "release", "bundle", "--release", filepath.Join(bootData, "release.json"), "--out", "@unsigned.bundle")
	s.published = s.plan(t).Publish(t)
	s.keep(t, "release.bundle", "policy.toml", s.published)
	return s
}

// plan is a publication of the release that runs, to be changed.
func (s *story) plan(t *testing.T) *publishtest.Plan {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(bootData, "release.json"))
	if err != nil {
		t.Fatal(err)
	}
	return publishtest.New(t, file, s.at)
}

// keep writes a publication's bundle and the policy that it is for.
func (s *story) keep(t *testing.T, bundle, policy string, p *publishtest.Publication) {
	t.Helper()
	s.write(t, bundle, p.Encode(t))
	s.write(t, policy, p.Policy.Apply(t, s.read(t, "unsigned.toml")))
}

// boot starts the machine, has it answer a challenge, and keeps the files.
func (s *story) boot(t *testing.T) {
	t.Helper()
	dev := quotetest.Start(t)
	dev.Replay(t, bootLog(t))
	var err error
	if s.machine, err = quote.New(dev.Open(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.machine.Extend(func(b golden.Bank) golden.Digest { return transcript.ConfigEvent(b, transcript.Config(nil)) }); err != nil {
		t.Fatal(err)
	}
	id, err := s.machine.Identity()
	if err != nil {
		t.Fatal(err)
	}
	ek := id.EKs[0]
	enrollment, err := (&challenge.Enrollment{
		Type: challenge.EnrollmentType, AK: id.AK, EK: ek.Kind, EKPublic: ek.Public, EKCertificate: ek.Certificate,
		Issuers: [][]byte{quotetest.Certificate(t, dev.Issuer)},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "id.json", enrollment)
	s.write(t, "root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: quotetest.Certificate(t, dev.Root)}))
	s.guest = s.ask(t, "challenge.json", "evidence.json")
}

// ask has the machine answer one challenge more.
func (s *story) ask(t *testing.T, challenge, evidence string) *fakeGuest {
	t.Helper()
	s.must(t, "challenge", "--audience", "@owner.key.pub", "--release", filepath.Join(bootData, "release.json"),
		"--enroll", "@id.json", "--tpm-root", "@root.pem", "--expires", "10m", "--out", "@"+challenge)
	g := newFakeGuest(t, s.machine, s.read(t, challenge), bootLog(t), transcript.Config(nil))
	s.write(t, evidence, g.evidence)
	return g
}

func bootLog(t *testing.T) []byte {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(bootData, "esp.evlog.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func newFakeGuest(t *testing.T, tpm *quote.TPM, file, log []byte, config [32]byte) *fakeGuest {
	t.Helper()
	g := &fakeGuest{receiptKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), sealed: map[canon.Octets16][]byte{}}
	c, err := challenge.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if g.kem, err = hpke.MLKEM768X25519().GenerateKey(); err != nil {
		t.Fatal(err)
	}
	g.owner = c.Audience
	g.e = &evidence.Evidence{
		Type: evidence.Type, Platform: transcript.VTPM, Nonce: c.Nonce, Audience: transcript.Audience(c.Audience),
		Release: c.Release, KEM: append([]byte{0x64, 0x7a}, g.kem.PublicKey().Bytes()...),
		ReceiptKey: [32]byte(g.receiptKey.Public().(ed25519.PublicKey)), BootSession: [32]byte{1},
		VTPM: &evidence.VTPM{AK: tpm.AK(), EventLog: log, Runtime: []evidence.RuntimeEvent{{Kind: evidence.KindConfig, Digest: config}}},
	}
	if g.e.VTPM.Activation, err = tpm.Activate(c.Enroll); err != nil {
		t.Fatal(err)
	}
	data, err := g.e.Transcript().QualifyingData()
	if err != nil {
		t.Fatal(err)
	}
	for _, bank := range golden.Banks() {
		q, err := tpm.Quote(bank, data)
		if err != nil {
			t.Fatal(err)
		}
		g.e.VTPM.Quotes = append(g.e.VTPM.Quotes, *q)
	}
	if g.evidence, err = g.e.Encode(); err != nil {
		t.Fatal(err)
	}
	if g.t, err = g.e.Transcript().Sum(); err != nil {
		t.Fatal(err)
	}
	return g
}

// serve is the relay with the guest behind it.
func (g *fakeGuest) serve(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.answer != nil && g.answer(w, r) {
			return
		}
		b, err := g.handle(r)
		if err == nil {
			write(t, w, b)
			return
		}
		var p *guestapi.Problem
		if !errors.As(err, &p) {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
			p = &guestapi.Problem{ID: "test", Detail: "broken"}
		}
		refuse(t, w, http.StatusForbidden, p)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func refuse(t *testing.T, w http.ResponseWriter, status int, p *guestapi.Problem) {
	b, err := guestapi.EncodeProblem(p)
	if err != nil {
		t.Error(err)
	}
	w.WriteHeader(status)
	write(t, w, b)
}

func (g *fakeGuest) handle(r *http.Request) ([]byte, error) {
	id := canon.Octets16{1, 2, 3}
	status := &guestapi.Status{Type: guestapi.StatusType, Job: id, State: guestapi.Running}
	switch r.Method + " " + r.URL.Path {
	case "POST " + guestapi.JobsPath:
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if g.sealed[id], err = g.job(b); err != nil {
			return nil, err
		}
		return status.Encode()
	case "GET " + guestapi.JobPath(id.String()):
		if g.asked.Add(1) > 2 {
			status.State = guestapi.Done
		}
		return status.Encode()
	case "GET " + guestapi.ResultPath(id.String()):
		return g.sealed[id], nil
	}
	return nil, &guestapi.Problem{ID: "http-path", Detail: r.Method + " " + r.URL.Path}
}

// job opens the grant as a guest does, and answers with two outputs.
func (g *fakeGuest) job(b []byte) ([]byte, error) {
	job, err := guestapi.DecodeJob(b)
	if err != nil {
		return nil, err
	}
	o, err := grant.Open(job.Grant, grant.Expectation{
		Owner: g.owner, T: g.t, Evidence: sha256.Sum256(g.evidence), Release: g.e.Release, Now: time.Now(),
	})
	if err != nil {
		return nil, err
	}
	if _, err := o.Unseal(g.kem, g.t); err != nil {
		return nil, err
	}
	if sha256.Sum256(job.Module) != o.Document.Module {
		return nil, &guestapi.Problem{ID: "job-module", Detail: "got another module"}
	}
	if _, err := object.OpenManifest(job.Manifest, o.Document.Object, job.Leaves); err != nil {
		return nil, err
	}
	d := &receipt.Document{
		Type: receipt.Type, Grant: o.Digest, Module: o.Document.Module, Params: o.Document.Params, Evidence: o.Document.Evidence,
		Transcript: o.Document.Transcript, Release: o.Document.Release,
		Inputs:  []receipt.Input{{Root: o.Document.Object, Ranges: o.Document.Ranges}},
		Outputs: []receipt.Output{}, MemoryPeak: 65536, WallMicros: 1234, Serial: o.Document.Serial, Sequence: 1, Time: 1767225600,
	}
	result := &guestapi.Result{}
	if err := errors.Join(addOutput(d, result, o, 0, "statistics"), addOutput(d, result, o, 3, "")); err != nil {
		return nil, err
	}
	if g.document != nil {
		g.document(d)
	}
	if result.Receipt, err = receipt.Sign(d, g.receiptKey); err != nil {
		return nil, err
	}
	if g.envelope != nil {
		result.Receipt = g.envelope(result.Receipt)
	}
	if g.result != nil {
		g.result(result)
	}
	return result.Encode()
}

func addOutput(d *receipt.Document, r *guestapi.Result, o *grant.Opened, slot uint32, plain string) error {
	named, out := receipt.Output{Slot: slot, Kind: "object", Size: int64(len(plain))}, guestapi.Output{Slot: slot}
	for _, recipient := range o.Document.Recipients {
		sealed, err := grant.SealOutput(recipient, o.Digest, slot, []byte(plain))
		if err != nil {
			return err
		}
		named.Sealed, out.Sealed = append(named.Sealed, sha256.Sum256(sealed)), append(out.Sealed, sealed)
	}
	d.Outputs, r.Outputs = append(d.Outputs, named), append(r.Outputs, out)
	return nil
}
