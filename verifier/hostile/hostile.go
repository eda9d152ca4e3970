// Package hostile changes documents as a host would that means to deceive:
// the demo and the tests show that each change is refused by name. Everything
// it makes is well formed, so that no parser refuses it before the check that
// matters.
package hostile

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"safebox/measure/eventlog"
	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/release"
)

// Evidence gives the evidence with a change.
func Evidence(file []byte, change func(*evidence.Evidence) error) ([]byte, error) {
	e, err := evidence.Decode(file)
	if err != nil {
		return nil, err
	}
	if e.VTPM == nil {
		return nil, errors.New("changing evidence: want that of a vtpm")
	}
	if err := change(e); err != nil {
		return nil, fmt.Errorf("changing evidence: %w", err)
	}
	return e.Encode()
}

// EventLog changes the firmware's log.
func EventLog(change func([]eventlog.Event) []eventlog.Event) func(*evidence.Evidence) error {
	return func(e *evidence.Evidence) error {
		log, err := eventlog.Decode(e.VTPM.EventLog)
		if err != nil {
			return err
		}
		log.Events = change(log.Events)
		e.VTPM.EventLog = log.Encode()
		return nil
	}
}

// DropEvent leaves an event out.
func DropEvent(n int) func([]eventlog.Event) []eventlog.Event {
	return func(all []eventlog.Event) []eventlog.Event { return slices.Delete(all, n, n+1) }
}

// AddEvent repeats an event at the end.
func AddEvent(n int) func([]eventlog.Event) []eventlog.Event {
	return func(all []eventlog.Event) []eventlog.Event { return append(all, all[n]) }
}

// MoveEvent moves an event behind the next one of the same register.
func MoveEvent(n int) func([]eventlog.Event) []eventlog.Event {
	return func(all []eventlog.Event) []eventlog.Event {
		for m := n + 1; m < len(all); m++ {
			if all[m].PCR == all[n].PCR {
				all[n], all[m] = all[m], all[n]
				break
			}
		}
		return all
	}
}

// Release gives a bundle whose release.json has another digest of its first
// artifact.
func Release(file []byte) ([]byte, error) {
	b, err := bundle.Decode(file)
	if err != nil {
		return nil, err
	}
	r, err := release.Decode(b.Release)
	if err != nil {
		return nil, err
	}
	r.Artifacts = slices.Clone(r.Artifacts)
	r.Artifacts[0].SHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(r.Artifacts[0].SHA256)))
	if b.Release, err = r.Encode(); err != nil {
		return nil, err
	}
	return bundle.Encode(b)
}

// grantFile and envelope are the forms of a grant file and of DSSE, open to
// changes.
type grantFile struct {
	Type     string `json:"type"`
	Envelope []byte `json:"envelope"`
	Sealed   []byte `json:"sealed"`
}

type envelope struct {
	Payload     string            `json:"payload"`
	PayloadType string            `json:"payloadType"`
	Signatures  []json.RawMessage `json:"signatures"`
}

// Grant gives a grant whose document has a change and keeps its signature; or
// is signed by another key, if there is one.
func Grant(file []byte, change func(*grant.Document), signer ed25519.PrivateKey) ([]byte, error) {
	var f grantFile
	if err := canon.Unmarshal(file, &f); err != nil {
		return nil, err
	}
	payload, err := dsse.Payload(f.Envelope, dsse.TypeGrant, grant.MaxFile)
	if err != nil {
		return nil, err
	}
	var doc grant.Document
	if err := canon.Unmarshal(payload, &doc); err != nil {
		return nil, err
	}
	change(&doc)
	if payload, err = canon.Marshal(&doc); err != nil {
		return nil, err
	}
	if signer != nil {
		f.Envelope = dsse.Sign(dsse.TypeGrant, payload, signer)
	} else if f.Envelope, err = withPayload(f.Envelope, payload); err != nil {
		return nil, err
	}
	return canon.Marshal(&f)
}

// withPayload puts another payload under the same signature.
func withPayload(b, payload []byte) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, fmt.Errorf("changing envelope: %w", err)
	}
	e.Payload = base64.StdEncoding.EncodeToString(payload)
	return canon.Marshal(&e)
}
