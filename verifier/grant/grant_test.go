package grant_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	"safebox/verifier/object"
)

// epoch is 2026-01-01 00:00:00 UTC, by `date -ud 2026-01-01 +%s`.
const epoch = 1767225600

// scene is an owner, a guest that answered the owner's challenge, two
// recipients, and a grant between them.
type scene struct {
	owner, host      ed25519.PrivateKey
	guest, recipient hpke.PrivateKey
	kem              []byte
	t                [64]byte
	nodes            []object.Node
	doc              grant.Document
	expect           grant.Expectation
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{
		owner:     ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)),
		host:      ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)),
		guest:     privateKey(t, 3),
		recipient: privateKey(t, 4),
	}
	s.kem = append([]byte{0x64, 0x7a}, s.guest.PublicKey().Bytes()...)
	for i := range s.t {
		s.t[i] = byte(i)
	}
	s.doc = grant.Document{
		Type:       grant.Type,
		Object:     object.CID([]byte("manifest")),
		Ranges:     object.Ranges{{0, 3}, {8, 9}},
		Module:     sha256.Sum256([]byte("module")),
		Params:     sha256.Sum256([]byte("params")),
		Recipients: [][]byte{s.recipient.PublicKey().Bytes(), privateKey(t, 5).PublicKey().Bytes()},
		Transcript: sha256.Sum256(s.t[:]),
		Evidence:   sha256.Sum256([]byte("evidence")),
		Release:    sha256.Sum256([]byte("release")),
		Checkpoint: digest("checkpoint"),
		NotBefore:  epoch,
		NotAfter:   epoch + 900,
		Serial:     canon.Octets16{15: 1},
	}
	s.nodes = s.cover(t, s.doc.Ranges)
	s.expect = grant.Expectation{
		Owner: [32]byte(s.owner.Public().(ed25519.PublicKey)), T: s.t,
		Evidence: s.doc.Evidence, Release: s.doc.Release, Now: time.Unix(epoch+60, 0),
	}
	return s
}

// digest is SHA-256 of a word.
func digest(word string) *canon.Octets32 {
	sum := canon.Octets32(sha256.Sum256([]byte(word)))
	return &sum
}

func privateKey(t testing.TB, fill byte) hpke.PrivateKey {
	t.Helper()
	key, err := hpke.MLKEM768X25519().NewPrivateKey(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *scene) cover(t testing.TB, r object.Ranges) []object.Node {
	t.Helper()
	nodes, err := object.RootNode([32]byte{6}, [32]byte{7}, object.Suite).Cover(r)
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

func (s *scene) seal(t testing.TB) []byte {
	t.Helper()
	b, err := grant.Seal(&s.doc, s.owner, s.kem, s.t, s.nodes)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// parts are the grant file as anybody can take it apart.
type parts struct {
	Type     string `json:"type"`
	Envelope []byte `json:"envelope"`
	Sealed   []byte `json:"sealed"`
}

func takeApart(t testing.TB, b []byte) parts {
	t.Helper()
	var p parts
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p parts) join(t testing.TB) []byte {
	t.Helper()
	b, err := canon.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// payload is the document in the envelope.
func (p parts) payload(t testing.TB) []byte {
	t.Helper()
	var e struct {
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal(p.Envelope, &e); err != nil {
		t.Fatal(err)
	}
	return e.Payload
}

func wantProblem(t testing.TB, name string, err error, id, detail string) {
	t.Helper()
	var p *guestapi.Problem
	if !errors.As(err, &p) || p.ID != id || !strings.Contains(p.Detail, detail) {
		t.Errorf("%s: got %v, want problem %s with %q", name, err, id, detail)
	}
}

func TestSealAndOpen(t *testing.T) {
	s := newScene(t)
	file := s.seal(t)
	digest, err := grant.Peek(file)
	if err != nil || digest != s.doc.Transcript {
		t.Errorf("Peek: got %x, %v", digest, err)
	}
	o, err := grant.Open(file, s.expect)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.doc, o.Document); diff != "" {
		t.Error(diff)
	}
	if want := sha256.Sum256(takeApart(t, file).payload(t)); o.Digest != want {
		t.Errorf("digest: got %x, want %x", o.Digest, want)
	}
	nodes, err := o.Unseal(s.guest, s.t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.nodes, nodes); diff != "" {
		t.Error(diff)
	}
}

// What a host can do to a grant that it carries: swap fields of the document,
// sign it again, and mix the parts of two grants.
func TestHostCannotChange(t *testing.T) {
	s := newScene(t)
	file := s.seal(t)
	good := takeApart(t, file)
	payload := string(good.payload(t))
	other, base64Of := newScene(t), base64.StdEncoding.EncodeToString
	for name, swap := range map[string]func(d *grant.Document){
		"module":      func(d *grant.Document) { d.Module = sha256.Sum256([]byte("host's")) },
		"params":      func(d *grant.Document) { d.Params = sha256.Sum256([]byte("host's")) },
		"recipient":   func(d *grant.Document) { d.Recipients = [][]byte{privateKey(t, 9).PublicKey().Bytes()} },
		"more to":     func(d *grant.Document) { d.Recipients = append(d.Recipients, privateKey(t, 9).PublicKey().Bytes()) },
		"ranges":      func(d *grant.Document) { d.Ranges = object.Ranges{{0, 9}} },
		"object":      func(d *grant.Document) { d.Object = object.CID([]byte("other")) },
		"serial":      func(d *grant.Document) { d.Serial[0]++ },
		"checkpoint":  func(d *grant.Document) { d.Checkpoint = digest("host's") },
		"longer life": func(d *grant.Document) { d.NotAfter += 60 },
	} {
		other.doc = s.doc
		swap(&other.doc)
		changed, err := canon.Marshal(other.doc)
		if err != nil {
			t.Fatal(err)
		}
		if string(changed) == payload {
			t.Fatalf("%s: the test changes nothing", name)
		}
		// Under the owner's signature of the first document.
		p := good
		p.Envelope = []byte(strings.Replace(string(good.Envelope), base64Of([]byte(payload)), base64Of(changed), 1))
		_, err = grant.Open(p.join(t), s.expect)
		wantProblem(t, name+", owner's signature", err, grant.ProblemSignature, "does not verify")
		// Under the host's own.
		p.Envelope = dsse.Sign(dsse.TypeGrant, changed, s.host)
		_, err = grant.Open(p.join(t), s.expect)
		wantProblem(t, name+", host's signature", err, grant.ProblemAudience, "keyid: got")
		p.Envelope = []byte(strings.Replace(string(p.Envelope),
			dsse.KeyID(s.host.Public().(ed25519.PublicKey)), dsse.KeyID(s.owner.Public().(ed25519.PublicKey)), 1))
		_, err = grant.Open(p.join(t), s.expect)
		wantProblem(t, name+", host's signature, owner's name", err, grant.ProblemSignature, "does not verify")
		// Under a signature of the owner's, but with the keys of the first.
		p.Envelope = dsse.Sign(dsse.TypeGrant, changed, s.owner)
		o, err := grant.Open(p.join(t), s.expect)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = o.Unseal(s.guest, s.t)
		wantProblem(t, name+", other grant's keys", err, grant.ProblemSeal, "another guest, transcript or document")
	}
}

// The sealed part opens for one guest and one transcript, and with every bit
// as it was.
func TestUnsealRefuses(t *testing.T) {
	s := newScene(t)
	open := func(p parts) *grant.Opened {
		o, err := grant.Open(p.join(t), s.expect)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	good := takeApart(t, s.seal(t))
	_, err := open(good).Unseal(privateKey(t, 8), s.t)
	wantProblem(t, "other guest", err, grant.ProblemSeal, "")
	_, err = open(good).Unseal(s.guest, [64]byte{})
	wantProblem(t, "other transcript", err, grant.ProblemSeal, "")
	// enc is 1088 bytes of ML-KEM-768 and 32 of X25519; 16 of tag at the end.
	for _, at := range []int{0, 1087, 1088, 1119, 1120, len(good.Sealed) - 16, len(good.Sealed) - 1} {
		p := good
		p.Sealed = bytes.Clone(good.Sealed)
		p.Sealed[at] ^= 1
		_, err = open(p).Unseal(s.guest, s.t)
		wantProblem(t, "flipped bit", err, grant.ProblemSeal, "")
	}
	for _, n := range []int{0, 1, 1119, 1120, 1135, len(good.Sealed) - 1} {
		p := good
		p.Sealed = append([]byte{}, good.Sealed[:n]...)
		_, err = open(p).Unseal(s.guest, s.t)
		wantProblem(t, "cut", err, grant.ProblemSeal, "")
	}
	wrong, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(good).Unseal(wrong, s.t); err == nil || !strings.Contains(err.Error(), "KEM: got 0x0020, want 0x647a") {
		t.Errorf("key of another KEM: got %v", err)
	}
	if _, err := open(good).Unseal(nil, s.t); err == nil {
		t.Error("no key: accepted")
	}
}

// An owner's tool that seals other nodes than those of the ranges is refused
// too: the message is built here by the document's own words.
func TestNodesMustFitRanges(t *testing.T) {
	s := newScene(t)
	good := takeApart(t, s.seal(t))
	payload := good.payload(t)
	encode := func(nodes []object.Node) []byte { return object.EncodeNodes(nodes) }
	reversed := []object.Node{s.nodes[1], s.nodes[0], s.nodes[2]}
	for name, plain := range map[string][]byte{
		"less":          encode(s.nodes[:2]),
		"more":          encode(s.cover(t, object.Ranges{{0, 3}, {8, 9}, {20, 21}})),
		"whole object":  encode([]object.Node{object.RootNode([32]byte{6}, [32]byte{7}, object.Suite)}),
		"other chunks":  encode(s.cover(t, object.Ranges{{4, 7}, {9, 10}})),
		"not smallest":  encode(append(s.cover(t, object.Ranges{{0, 1}}), append(s.cover(t, object.Ranges{{1, 3}}), s.nodes[2])...)),
		"other order":   encode(reversed),
		"none":          encode(nil),
		"empty":         {},
		"other magic":   append([]byte("SBG2"), encode(s.nodes)[4:]...),
		"byte too many": append(encode(s.nodes), 0),
		"byte missing":  encode(s.nodes)[:len(encode(s.nodes))-1],
	} {
		digest, transcript := sha256.Sum256(payload), sha256.Sum256(s.t[:])
		info := "safebox/grant/v1\x00" + string(transcript[:]) + string(digest[:])
		var err error
		p := good
		if p.Sealed, err = hpke.Seal(s.guest.PublicKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(info), plain); err != nil {
			t.Fatal(err)
		}
		o, err := grant.Open(p.join(t), s.expect)
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.Unseal(s.guest, s.t)
		wantProblem(t, name, err, grant.ProblemNodes, "")
	}
}

// What the guest expects is compared field by field.
func TestOpenCompares(t *testing.T) {
	s := newScene(t)
	file := s.seal(t)
	for name, tt := range map[string]struct {
		change     func(e *grant.Expectation)
		id, detail string
	}{
		"other audience":   {func(e *grant.Expectation) { e.Owner[0] ^= 1 }, grant.ProblemAudience, "keyid: got"},
		"other transcript": {func(e *grant.Expectation) { e.T[63] ^= 1 }, grant.ProblemTranscript, "want"},
		"other evidence":   {func(e *grant.Expectation) { e.Evidence[31] ^= 1 }, grant.ProblemEvidence, "want"},
		"other release":    {func(e *grant.Expectation) { e.Release[31] ^= 1 }, grant.ProblemRelease, "want"},
		"not yet valid":    {func(e *grant.Expectation) { e.Now = time.Unix(epoch-1, 999999999) }, grant.ProblemTime, "not yet valid: now 1767225599, want at least 1767225600"},
		"expired":          {func(e *grant.Expectation) { e.Now = time.Unix(epoch+901, 0) }, grant.ProblemTime, "expired: now 1767226501, want at most 1767226500"},
	} {
		e := s.expect
		tt.change(&e)
		_, err := grant.Open(file, e)
		wantProblem(t, name, err, tt.id, tt.detail)
	}
	for _, now := range []time.Time{time.Unix(epoch, 0), time.Unix(epoch+900, 999999999)} {
		e := s.expect
		e.Now = now
		if _, err := grant.Open(file, e); err != nil {
			t.Errorf("at %d: %v", now.Unix(), err)
		}
	}
}

// An expectation that is not given is an error, not a check left out.
func TestOpenWantsExpectations(t *testing.T) {
	s := newScene(t)
	file := s.seal(t)
	for name, change := range map[string]func(e *grant.Expectation){
		"owner":      func(e *grant.Expectation) { e.Owner = [32]byte{} },
		"transcript": func(e *grant.Expectation) { e.T = [64]byte{} },
		"evidence":   func(e *grant.Expectation) { e.Evidence = [32]byte{} },
		"release":    func(e *grant.Expectation) { e.Release = [32]byte{} },
		"time":       func(e *grant.Expectation) { e.Now = time.Time{} },
	} {
		e := s.expect
		change(&e)
		if _, err := grant.Open(file, e); err == nil || !strings.Contains(err.Error(), "expectation: no "+name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
