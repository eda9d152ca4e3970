package verifier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"safebox/measure/tpm/golden"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
	"safebox/verifier/tpm"
	"safebox/verifier/transcript"
)

// forger signs quotes like a TPM that says whatever a test wants. Its key is a
// pinned one: what it says wrongly must be refused by the check for just that.
type forger struct {
	key *ecdsa.PrivateKey
	ak  []byte
	pin Pin
}

// attestation is what a TPMS_ATTEST says; the zero value of a test's change is
// filled in by honest.
type attestation struct {
	magic          uint32
	typ            uint16
	signer         []byte
	extra          []byte
	reset, restart uint32
	safe           byte
	firmware       uint64
	bank           uint16
	bitmap         []byte
	digest         []byte
}

func newForger(t testing.TB, in Input) *forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	ak := tpm.AKTemplate()
	ak = append(ak[:len(ak)-4], sized(point[1:33])...)
	ak = append(ak, sized(point[33:])...)
	p, err := policy.Parse(in.Policy)
	if err != nil {
		t.Fatal(err)
	}
	return &forger{key: key, ak: ak, pin: Pin{Type: PinType, AK: ak, Root: p.VTPM.Roots[0].SHA256, ResetCount: 5}}
}

func sized(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// input is the captured session answered by the forger: change alters the
// evidence before it is quoted, lie alters what each quote says.
func (f *forger) input(t testing.TB, in Input, change func(*evidence.Evidence), lie func(golden.Bank, *attestation)) Input {
	t.Helper()
	e, err := evidence.Decode(in.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	e.VTPM.AK, e.VTPM.Activation = f.ak, nil
	// The challenge of another owner's session, without an enrolment.
	in.Challenge, in.Secret = withoutEnrolment(t, in)
	if in.Pin, err = f.pin.Encode(); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(e)
	}
	for i := range e.VTPM.Quotes {
		f.quote(t, e, &e.VTPM.Quotes[i], lie)
	}
	if in.Evidence, err = e.Encode(); err != nil {
		t.Fatal(err)
	}
	return in
}

func (f *forger) quote(t testing.TB, e *evidence.Evidence, q *evidence.Quote, lie func(golden.Bank, *attestation)) {
	t.Helper()
	bank, err := golden.ParseBank(q.Bank)
	if err != nil {
		t.Fatal(err)
	}
	a := f.honest(t, e, q, bank)
	if lie != nil {
		lie(bank, a)
	}
	q.Attest = a.bytes()
	sum := sha256.Sum256(q.Attest)
	r, s, err := ecdsa.Sign(rand.Reader, f.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	q.Signature = append([]byte{0, 0x18, 0, 0x0b}, append(sized(r.Bytes()), sized(s.Bytes())...)...)
}

// honest is what a TPM with these registers would say.
func (f *forger) honest(t testing.TB, e *evidence.Evidence, q *evidence.Quote, bank golden.Bank) *attestation {
	t.Helper()
	data, err := e.Transcript().QualifyingData()
	if err != nil {
		t.Fatal(err)
	}
	name := sha256.Sum256(f.ak)
	signer := sha256.Sum256(append([]byte{0x40, 0, 0, 0x0b, 0, 0x0b}, name[:]...))
	a := &attestation{
		magic: 0xff544347, typ: 0x8018, signer: append([]byte{0, 0x0b}, signer[:]...), extra: data[:],
		reset: 5, safe: 1, firmware: 7, bank: uint16(algorithm(bank)), bitmap: make([]byte, 3),
	}
	h := sha256.New()
	for _, pcr := range q.PCRs {
		a.bitmap[pcr.Index/8] |= 1 << (pcr.Index % 8)
		value, err := hex.DecodeString(pcr.Value)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(value)
	}
	a.digest = h.Sum(nil)
	return a
}

// bytes is TPMS_ATTEST (TPM 2.0 Library, Part 2, 10.12.12), written apart from
// the decoder.
func (a *attestation) bytes() []byte {
	be := binary.BigEndian
	b := be.AppendUint32(nil, a.magic)
	b = be.AppendUint16(b, a.typ)
	b = append(b, sized(a.signer)...)
	b = append(b, sized(a.extra)...)
	b = be.AppendUint64(b, 123456)
	b = be.AppendUint32(b, a.reset)
	b = be.AppendUint32(b, a.restart)
	b = append(b, a.safe)
	b = be.AppendUint64(b, a.firmware)
	b = be.AppendUint32(b, 1)
	b = be.AppendUint16(b, a.bank)
	b = append(b, byte(len(a.bitmap)))
	b = append(b, a.bitmap...)
	return append(b, sized(a.digest)...)
}

// setRegister gives a register another value in one bank of the evidence.
func setRegister(t testing.TB, e *evidence.Evidence, bank golden.Bank, index int, value golden.Digest) {
	t.Helper()
	for i := range e.VTPM.Quotes {
		for j := range e.VTPM.Quotes[i].PCRs {
			if pcr := &e.VTPM.Quotes[i].PCRs[j]; e.VTPM.Quotes[i].Bank == bank.String() && pcr.Index == index {
				pcr.Value = value.String()
				return
			}
		}
	}
	t.Fatalf("%v register %d is not in the evidence", bank, index)
}

// setRuntime gives the evidence a runtime log and the registers that follow
// from it.
func setRuntime(t testing.TB, e *evidence.Evidence, log ...evidence.RuntimeEvent) {
	t.Helper()
	e.VTPM.Runtime = log
	for _, bank := range golden.Banks() {
		value := bank.Zero()
		for _, event := range log {
			label := "safebox/config/v1\x00"
			if event.Kind == evidence.KindKeys {
				label = "safebox/keys/v1\x00"
			}
			value = bank.Extend(value, bank.Sum([]byte(label), event.Digest[:]))
		}
		setRegister(t, e, bank, 15, value)
	}
}

func configEvent(e *evidence.Evidence) evidence.RuntimeEvent {
	return evidence.RuntimeEvent{Kind: evidence.KindConfig, Digest: transcript.Config(e.Configuration)}
}

func keysEvent() evidence.RuntimeEvent {
	return evidence.RuntimeEvent{Kind: evidence.KindKeys, Digest: sha256.Sum256([]byte("grant"))}
}
