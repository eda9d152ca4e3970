package cloud

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/tpm"
)

// quote is a quote whose TPMS_ATTEST was decoded.
type quote struct {
	*Quote
	name   string // of the bank
	attest *tpm.Attest
}

// checkQuotes: TPM-Q1 to TPM-Q4 and TPM-E4. Every quote that counts must hold.
func (v *verification) checkQuotes() {
	v.checkBanks()
	for i := range v.evidence.Quotes {
		q := &v.evidence.Quotes[i]
		attest, err := tpm.DecodeAttest(q.Attest)
		if err == nil {
			err = v.checkSession(attest)
		}
		v.log.Check("TPM-Q1", err, "a TPM's own quote whose extra data is the session's", "the session's")
		v.log.Check("TPM-Q2", v.checkSignature(q), "RSASSA or ECDSA with a SHA-2 hash by the attestation key, of 2048 bits or P-256 and more",
			fmt.Sprintf("valid, key of %s", strength(v.evidence.Key)))
		if attest == nil {
			continue
		}
		decoded := quote{Quote: q, name: bankName(q.Bank), attest: attest}
		v.log.Check("TPM-Q3", v.checkSelection(decoded), fmt.Sprintf("registers %v of each bank", v.policy.PCRs), "these, and their digest")
		v.checkClock(decoded)
		v.quotes = append(v.quotes, decoded)
	}
}

// checkBanks: TPM-E4. SHA-1 was left out when the file was decoded.
func (v *verification) checkBanks() {
	var quoted []string
	for _, q := range v.evidence.Quotes {
		quoted = append(quoted, bankName(q.Bank))
	}
	ok := len(v.policy.Banks) > 0
	for _, name := range v.policy.Banks {
		ok = ok && slices.Contains(quoted, name)
	}
	got := "quotes of " + strings.Join(quoted, " and ")
	if len(quoted) == 0 {
		got = "no quote of a bank that counts"
	}
	if len(v.evidence.Ignored) > 0 {
		got += "; not counted: " + strings.Join(v.evidence.Ignored, "; ")
	}
	v.log.Record("TPM-E4", ok, "quotes of "+strings.Join(v.policy.Banks, " and "), got)
}

// checkSession: the quote is about this session. A quote without extra data is
// of no session, whatever the policy says.
func (v *verification) checkSession(a *tpm.Attest) error {
	p, want := v.policy, v.in.Expected.ExtraData
	switch {
	case len(a.ExtraData) == 0:
		return errors.New("extra data: got none: the quote could be of any day")
	case p.AnyExtraData:
		v.log.Waive("extra data of the quote", "vtpm.quote.extra_data = \"any\" in the policy")
		return nil
	case p.Transcript && len(want) == 0:
		return errors.New("extra data: nobody said what it must be")
	case p.Transcript && !bytes.Equal(a.ExtraData, want):
		return fmt.Errorf("extra data: got %x, want %x", a.ExtraData, want)
	case p.Transcript:
		return nil
	case slices.ContainsFunc(p.ExtraData, func(b []byte) bool { return len(b) > 0 && bytes.Equal(b, a.ExtraData) }):
		return nil
	}
	return fmt.Errorf("extra data: got %x, want one of the policy's %d values", a.ExtraData, len(p.ExtraData))
}

// checkSignature: TPM-Q2, over the received bytes. A restricted key signs by
// one scheme alone, its own.
func (v *verification) checkSignature(q *Quote) error {
	if k := v.evidence.Public; k != nil && k.Scheme != tpm.AlgNull && (q.Signature.Scheme != k.Scheme || q.Signature.Hash != k.SchemeHash) {
		return fmt.Errorf("bank %s: scheme %#04x with hash %#04x, the key's is %#04x with %#04x", bankName(q.Bank),
			uint16(q.Signature.Scheme), uint16(q.Signature.Hash), uint16(k.Scheme), uint16(k.SchemeHash))
	}
	if err := q.Signature.Verify(v.evidence.Key, q.Attest); err != nil {
		return fmt.Errorf("bank %s: signature: %w", bankName(q.Bank), err)
	}
	return nil
}

// checkSelection: TPM-Q3. The set comes from the policy: a machine that chose
// it could leave out what speaks against it.
func (v *verification) checkSelection(q quote) error {
	if q.attest.Bank != q.Bank {
		return fmt.Errorf("bank: quoted %#04x, values sent of %s", uint16(q.attest.Bank), q.name)
	}
	if len(v.policy.PCRs) == 0 || !slices.Equal(q.attest.PCRs, v.policy.PCRs) {
		return fmt.Errorf("bank %s: registers %v", q.name, q.attest.PCRs)
	}
	var values [][]byte
	for _, index := range q.attest.PCRs {
		value, ok := q.Values[index]
		if !ok {
			return fmt.Errorf("bank %s: value of register %d was not sent along", q.name, index)
		}
		values = append(values, value)
	}
	if err := q.attest.CheckDigestBy(q.Signature.Hash, values); err != nil {
		return fmt.Errorf("bank %s: %w", q.name, err)
	}
	return nil
}

// checkClock: TPM-Q4. A resumed TPM keeps registers that a machine may have
// left in another state.
func (v *verification) checkClock(q quote) {
	p, a := v.policy, q.attest
	ok := (a.Safe || p.AnyClock) && (p.AnyResets || int64(a.ResetCount) >= p.Resets) &&
		(p.AnyRestarts || int64(a.RestartCount) <= p.Restarts)
	want := "clock " + map[bool]string{true: "any", false: "never set back"}[p.AnyClock] +
		", resets " + bound(p.AnyResets, "at least", p.Resets) + ", restarts " + bound(p.AnyRestarts, "at most", p.Restarts)
	if len(v.quotes) > 0 {
		first := v.quotes[0].attest
		ok = ok && a.ResetCount == first.ResetCount && a.RestartCount == first.RestartCount && a.Firmware == first.Firmware
		want += ", one boot and one firmware for all quotes"
	}
	v.log.Record("TPM-Q4", ok, want, fmt.Sprintf("reset count %d, restart count %d, safe %t, firmware %#x", a.ResetCount, a.RestartCount, a.Safe, a.Firmware))
	for _, w := range []struct {
		any  bool
		what string
		key  string
	}{
		{p.AnyClock, "clock of the TPM", "clock"},
		{p.AnyResets, "number of resets of the TPM", "resets"},
		{p.AnyRestarts, "number of restarts of the TPM", "restarts"},
	} {
		if w.any {
			v.log.Waive(w.what, "vtpm.quote."+w.key+" = \"any\" in the policy")
		}
	}
}

func bound(anything bool, side string, n int64) string {
	if anything {
		return "any"
	}
	return fmt.Sprintf("%s %d", side, n)
}

func strength(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return key.Params().Name
	}
	return fmt.Sprintf("%T", key)
}
