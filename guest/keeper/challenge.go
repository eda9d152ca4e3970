package keeper

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"safebox/verifier/challenge"
	"safebox/verifier/transcript"
)

// Limits of open challenges (specs/protocol.md 2).
const (
	maxChallenges = 16
	challengeLife = 10 * time.Minute
)

// open is a challenge that was answered with evidence and waits for a grant.
type open struct {
	owner      [32]byte
	release    [32]byte
	t          [64]byte // transcript digest T
	transcript [32]byte // SHA-256(T), as grants name it
	evidence   [32]byte // SHA-256 of the evidence file
	seed       slot     // of the KEM key
	until      time.Duration
}

// challenges is the table of open challenges.
type challenges []open

// expire wipes the keys of challenges that are over.
func (c *challenges) expire(now time.Duration) {
	kept := (*c)[:0]
	for _, o := range *c {
		if now < o.until {
			kept = append(kept, o)
			continue
		}
		o.seed.wipe()
	}
	*c = kept
}

// find gives the challenge with that transcript.
func (c challenges) find(transcript [32]byte) (open, bool) {
	for _, o := range c {
		if o.transcript == transcript {
			return o, true
		}
	}
	return open{}, false
}

// remove takes a challenge out and wipes its key.
func (c *challenges) remove(transcript [32]byte) {
	kept := (*c)[:0]
	for _, o := range *c {
		if o.transcript != transcript {
			kept = append(kept, o)
			continue
		}
		o.seed.wipe()
	}
	*c = kept
}

// newOpen begins the answer to a challenge: a fresh KEM key.
func (k *Keeper) newOpen(ch *challenge.Challenge) (open, []byte, error) {
	seed, err := k.arena.random()
	if err != nil {
		return open{}, nil, err
	}
	key, err := privateKey(seed)
	if err != nil {
		seed.wipe()
		return open{}, nil, err
	}
	// u16be KEM id || public key: specs/protocol.md 2.
	kem := binary.BigEndian.AppendUint16(nil, transcript.KEMID)
	kem = append(kem, key.PublicKey().Bytes()...)
	return open{owner: ch.Audience, release: ch.Release, seed: seed}, kem, nil
}

// privateKey expands a seed. The key lives on the Go heap until it is garbage.
func privateKey(seed slot) (hpke.PrivateKey, error) {
	return hpke.MLKEM768X25519().NewPrivateKey(seed.bytes())
}

// bind completes an open challenge with the transcript and the evidence file.
func (o *open) bind(in *transcript.Input, file []byte) error {
	t, err := in.Sum()
	if err != nil {
		return err
	}
	o.t = t
	o.transcript = sha256.Sum256(t[:])
	o.evidence = sha256.Sum256(file)
	return nil
}
