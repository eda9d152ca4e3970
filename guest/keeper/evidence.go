package keeper

import (
	"time"

	"safebox/measure/tpm/golden"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/transcript"
)

// configure takes the measured configuration, once, and only before anything
// was quoted: a quote is of a guest whose configuration stands.
func (k *Keeper) configure(body []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.configured {
		return problem(ProblemConfigLate, "this guest is configured, or has answered a challenge: start another one")
	}
	doc, err := configuration.Decode(body)
	if err != nil {
		return problem(ProblemConfigFormat, "%v", err)
	}
	if err := k.measureConfiguration(body); err != nil {
		return err
	}
	k.configuration, k.limits = body, doc.Worker
	return nil
}

// measureConfiguration extends PCR 15 with the configuration (specs/protocol.md
// 3). Whatever comes of it, there is no second time: the register can't be
// taken back.
func (k *Keeper) measureConfiguration(document []byte) error {
	k.configured = true
	config := transcript.Config(document)
	err := k.options.Device.Extend(func(b golden.Bank) golden.Digest {
		return transcript.ConfigEvent(b, config)
	})
	if err != nil {
		return err
	}
	k.runtime = append(k.runtime, evidence.RuntimeEvent{Kind: evidence.KindConfig, Digest: config})
	return nil
}

// evidence answers a challenge. In this order:
//
//  1. the challenge is one (its expiry is for the owner to judge: our clock is
//     the host's),
//  2. there is room for another,
//  3. the configuration is in PCR 15, if it was not yet,
//  4. a fresh KEM key, the transcript,
//  5. a quote of both banks over the transcript, and the answer to the
//     credential, if one was asked for,
//  6. the KEM key is kept, for the grant.
func (k *Keeper) evidence(body []byte) ([]byte, error) {
	ch, err := challenge.Decode(body)
	if err != nil {
		return nil, problem(ProblemChallenge, "%v", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, errClosed
	}
	if n := len(k.challenges); n >= maxChallenges {
		return nil, problem(ProblemChallengeFull, "%d challenges are open, each for %v or until its grant", n, challengeLife)
	}
	if !k.configured {
		if err := k.measureConfiguration(nil); err != nil {
			return nil, err
		}
	}
	o, kem, err := k.newOpen(ch)
	if err != nil {
		return nil, err
	}
	file, err := k.answer(ch, &o, kem)
	if err != nil {
		o.seed.wipe()
		return nil, err
	}
	o.until = k.options.Boottime() + challengeLife
	k.challenges = append(k.challenges, o)
	time.AfterFunc(challengeLife, k.expire)
	return file, nil
}

// answer builds the evidence file and binds the open challenge to it.
func (k *Keeper) answer(ch *challenge.Challenge, o *open, kem []byte) ([]byte, error) {
	e := &evidence.Evidence{
		Type:          evidence.Type,
		Platform:      transcript.VTPM,
		Nonce:         ch.Nonce,
		Audience:      transcript.Audience(ch.Audience),
		ReceiptKey:    k.receiptKey,
		Release:       ch.Release,
		BootSession:   k.bootSession,
		KEM:           kem,
		Configuration: append([]byte{}, k.configuration...),
	}
	vtpm, err := k.quote(ch, e.Transcript())
	if err != nil {
		return nil, err
	}
	e.VTPM = vtpm
	file, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return file, o.bind(e.Transcript(), file)
}

// quote has the TPM do its part.
func (k *Keeper) quote(ch *challenge.Challenge, in *transcript.Input) (*evidence.VTPM, error) {
	v := &evidence.VTPM{
		AK:         k.options.Device.AK(),
		EventLog:   k.options.EventLog,
		Runtime:    append([]evidence.RuntimeEvent{}, k.runtime...),
		Activation: []byte{},
	}
	if ch.Enroll != nil {
		secret, err := k.options.Device.Activate(ch.Enroll)
		if err != nil {
			return nil, problem(ProblemEnroll, "%v", err)
		}
		v.Activation = secret
	}
	qualifying, err := in.QualifyingData()
	if err != nil {
		return nil, err
	}
	for _, bank := range golden.Banks() {
		q, err := k.options.Device.Quote(bank, qualifying)
		if err != nil {
			return nil, err
		}
		v.Quotes = append(v.Quotes, *q)
	}
	return v, nil
}
