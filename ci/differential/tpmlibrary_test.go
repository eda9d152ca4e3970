package differential

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm-tools/proto/attest"
	"github.com/google/go-tpm-tools/server"
	"github.com/google/go-tpm/legacy/tpm2"
	"google.golang.org/protobuf/proto"

	"safebox/verifier/check"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm/cloud"
)

// ourTPM verifies by our verifier.
func ourTPM(in cloud.Input) outcome {
	log := check.New()
	cloud.Verify(in, log)
	return ofVerdict(log.Verdict(cloud.Definitions()))
}

// theirTPM verifies by go-tpm-tools: SHA-256 stated, no SHA-1, the policy's
// roots. The library reads the machine's clock, which says the given time here.
func theirTPM(t *testing.T, in cloud.Input, clock time.Time) (o outcome) {
	t.Helper()
	atClock(t, clock, func() { o = run(func() error { return tpmVerify(in) }) })
	return o
}

// atClock runs a function while the clock says a time.
func atClock(t *testing.T, clock time.Time, f func()) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		time.Sleep(time.Until(clock))
		f()
	})
}

func tpmVerify(in cloud.Input) error {
	a := &attest.Attestation{}
	if err := proto.Unmarshal(in.Evidence, a); err != nil {
		return err
	}
	opts := server.VerifyOpts{Nonce: in.Expected.ExtraData, HashAlgo: tpm2.AlgSHA256, AllowEmptySBVar: true, AllowEFIAppBeforeCallingEvent: true}
	if list := in.Policy.ExtraData; len(list) == 1 {
		opts.Nonce = list[0]
	}
	if in.Endorsements != nil {
		for _, c := range in.Endorsements.Certificates {
			if in.Policy.Accepts(tpmpolicy.Certificate) && slices.ContainsFunc(in.Policy.Roots, func(r tpmpolicy.Root) bool { return r.SHA256 == sha256.Sum256(c.Raw) }) {
				opts.TrustedRootCerts = append(opts.TrustedRootCerts, c)
			} else {
				opts.IntermediateCerts = append(opts.IntermediateCerts, c)
			}
		}
	}
	key, err := pinnedKey(a, in.Policy)
	if err != nil {
		return err
	}
	if key != nil {
		opts.TrustedAKs, opts.TrustedRootCerts = []crypto.PublicKey{key}, nil
	}
	_, err = server.VerifyAttestation(a, opts)
	return err
}

// pinnedKey is the key of the attestation if the policy pins it.
func pinnedKey(a *attest.Attestation, p *tpmpolicy.Policy) (crypto.PublicKey, error) {
	if !p.Accepts(tpmpolicy.Pinned) || !slices.Contains(p.Pins, sha256.Sum256(a.GetAkPub())) {
		return nil, nil
	}
	area, err := tpm2.DecodePublic(a.GetAkPub())
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return area.Key()
}
