package tlog

import (
	"errors"
	"fmt"
	"slices"

	"safebox/verifier/dsse"
	"safebox/verifier/release/record"
)

// EntryError says why an entry is not taken.
type EntryError struct {
	Foreign bool // its form is right, but a submitter who is not listed signed it
	Err     error
}

// Error implements error.
func (e *EntryError) Error() string { return "entry: " + e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *EntryError) Unwrap() error { return e.Err }

// admit refuses what must not get into the log: an entry that is not a record
// in its one form, and, unless anybody may submit, one with a signature that
// is not a listed submitter's. Each signature counts: DSSE does not sign the
// list of them, and a stranger who adds one to a publisher's record would have
// a new entry each time.
func (o *Options) admit(entry []byte) error {
	r, err := record.Decode(entry)
	if err != nil {
		return &EntryError{Err: err}
	}
	if o.Anybody {
		return nil
	}
	for _, s := range r.Envelope.Signatures {
		i := slices.IndexFunc(o.Submitters, func(k dsse.PublicKey) bool { return k.ID() == s.KeyID })
		if i < 0 {
			return &EntryError{Foreign: true, Err: fmt.Errorf("signed by %s, who is no submitter here", s.KeyID)}
		}
		if !r.Envelope.SignedBy(o.Submitters[i]) {
			return &EntryError{Foreign: true, Err: fmt.Errorf("the signature of %s does not verify", s.KeyID)}
		}
	}
	if len(r.Envelope.Signatures) == 0 {
		return &EntryError{Foreign: true, Err: errors.New("no signature")}
	}
	return nil
}
