package grant

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/guestapi"
	"safebox/verifier/object"
)

// The problems that Open and Unseal report, in the order of their checks
// (docs/format-grant.md, "Verification").
const (
	ProblemFormat     = "grant-format"     // file, envelope or document not as documented
	ProblemAudience   = "grant-audience"   // signed by another key than the audience's
	ProblemSignature  = "grant-signature"  // the audience's signature does not verify
	ProblemTranscript = "grant-transcript" // for another transcript
	ProblemEvidence   = "grant-evidence"   // made upon other evidence
	ProblemRelease    = "grant-release"    // for another release
	ProblemProof      = "grant-proof"      // no checkpoint: nobody checked that the release was published
	ProblemTime       = "grant-time"       // not yet valid, expired, or living too long
	ProblemSeal       = "grant-seal"       // the sealed part does not open
	ProblemNodes      = "grant-nodes"      // the nodes are not those of the ranges
)

// Expectation is what a grant must be for. Each field must be given.
type Expectation struct {
	Owner    [32]byte // raw Ed25519 key that the challenge named
	T        [64]byte // of the transcript that answered it
	Evidence [32]byte // SHA-256 of the evidence file
	Release  [32]byte // SHA-256 of release.json
	Now      time.Time
}

func (e *Expectation) check() error {
	switch {
	case e.Owner == [32]byte{}:
		return errors.New("expectation: no owner")
	case e.T == [64]byte{}:
		return errors.New("expectation: no transcript")
	case e.Evidence == [32]byte{}:
		return errors.New("expectation: no evidence")
	case e.Release == [32]byte{}:
		return errors.New("expectation: no release")
	case e.Now.IsZero():
		return errors.New("expectation: no time")
	}
	return nil
}

// Opened is a grant whose signature and fields hold. Its keys are still sealed.
type Opened struct {
	Document Document
	Digest   [32]byte // SHA-256 of the document's bytes
	Sealed   []byte
}

// Open checks everything but the sealed part. A refusal is a
// *guestapi.Problem with one of the IDs above.
func Open(b []byte, e Expectation) (*Opened, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("opening grant: %w", err)
	}
	f, err := decodeFile(b)
	if err != nil {
		return nil, problem(ProblemFormat, err)
	}
	payload, err := openEnvelope(f.Envelope, e.Owner)
	if err != nil {
		return nil, err
	}
	doc, err := decodeDocument(payload)
	if err != nil {
		return nil, problem(ProblemFormat, err)
	}
	if err := e.compare(doc); err != nil {
		return nil, err
	}
	return &Opened{Document: *doc, Digest: sha256.Sum256(payload), Sealed: f.Sealed}, nil
}

// openEnvelope verifies the owner's signature. It tells a stranger's signature
// from a broken one, since they have different causes.
func openEnvelope(envelope []byte, owner [32]byte) ([]byte, error) {
	payload, err := dsse.Open(envelope, dsse.TypeGrant, ed25519.PublicKey(owner[:]), MaxFile)
	if err == nil {
		return payload, nil
	}
	var s *dsse.SignatureError
	switch {
	case !errors.As(err, &s):
		return nil, problem(ProblemFormat, err)
	case s.Got != s.Want:
		return nil, problem(ProblemAudience, err)
	default:
		return nil, problem(ProblemSignature, err)
	}
}

// compare holds the document against the expectation.
func (e *Expectation) compare(doc *Document) error {
	for _, f := range []struct {
		id        string
		got, want canon.Octets32
	}{
		{ProblemTranscript, doc.Transcript, sha256.Sum256(e.T[:])},
		{ProblemEvidence, doc.Evidence, e.Evidence},
		{ProblemRelease, doc.Release, e.Release},
	} {
		if f.got != f.want {
			return problem(f.id, fmt.Errorf("got %s, want %s", f.got, f.want))
		}
	}
	if err := doc.checkProof(); err != nil {
		return problem(ProblemProof, err)
	}
	if err := doc.checkLife(); err != nil {
		return problem(ProblemTime, err)
	}
	// Seconds, both ends included, as in X.509 (RFC 5280, section 4.1.2.5).
	switch now := e.Now.Unix(); {
	case now < doc.NotBefore:
		return problem(ProblemTime, fmt.Errorf("not yet valid: now %d, want at least %d", now, doc.NotBefore))
	case now > doc.NotAfter:
		return problem(ProblemTime, fmt.Errorf("expired: now %d, want at most %d", now, doc.NotAfter))
	}
	return nil
}

// Unseal gives the key-tree nodes. k is the private key of the challenge and t
// its transcript's T. A refusal is a *guestapi.Problem. The caller wipes the
// nodes after use.
func (o *Opened) Unseal(k hpke.PrivateKey, t [64]byte) ([]object.Node, error) {
	if err := checkPrivate(k); err != nil {
		return nil, fmt.Errorf("unsealing grant: %w", err)
	}
	plain, err := hpke.Open(k, hpke.HKDFSHA256(), hpke.AES256GCM(), nodesInfo(t, o.Digest), o.Sealed)
	if err != nil {
		return nil, problem(ProblemSeal, fmt.Errorf("made for another guest, transcript or document, or changed: %w", err))
	}
	defer clear(plain)
	nodes, err := object.DecodeNodes(plain, o.Document.Ranges)
	if err != nil {
		return nil, problem(ProblemNodes, err)
	}
	return nodes, nil
}

// Peek gives the transcript digest in a grant WITHOUT verifying anything: for
// finding the open challenge, whose data Open then needs.
func Peek(b []byte) ([32]byte, error) {
	doc, _, err := Inspect(b)
	if err != nil {
		return [32]byte{}, err
	}
	return doc.Transcript, nil
}

// Inspect gives a grant's document and its digest WITHOUT verifying a
// signature: for people who want to see what a file says, and for the sender,
// who has the file from the owner. A guest calls Open.
func Inspect(b []byte) (*Document, [32]byte, error) {
	f, err := decodeFile(b)
	if err != nil {
		return nil, [32]byte{}, problem(ProblemFormat, err)
	}
	payload, err := dsse.Payload(f.Envelope, dsse.TypeGrant, MaxFile)
	if err != nil {
		return nil, [32]byte{}, problem(ProblemFormat, err)
	}
	doc, err := decodeDocument(payload)
	if err != nil {
		return nil, [32]byte{}, problem(ProblemFormat, err)
	}
	return doc, sha256.Sum256(payload), nil
}

// maxDetail bounds a problem's text, in bytes: an error may quote the file.
const maxDetail = 512

func problem(id string, err error) error {
	detail := err.Error()
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "")
	}
	return &guestapi.Problem{ID: id, Detail: detail}
}
