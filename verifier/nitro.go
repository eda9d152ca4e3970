package verifier

import (
	"fmt"
	"slices"

	"safebox/measure/tpm/golden"
	"safebox/verifier/evidence"
	"safebox/verifier/nitro"
	"safebox/verifier/policy"
	"safebox/verifier/policy/nitropolicy"
	"safebox/verifier/release"
	"safebox/verifier/transcript"
)

// Registers that the guest itself extends in an enclave (specs/protocol.md,
// section 3).
const (
	enclaveConfigPCR = 16
	enclaveKeysPCR   = 17
)

// checkNitro: NITRO-*, CFG-2. As for SEV-SNP, no policy can loosen what the
// protocol puts into nonce and user_data of our own evidence.
func (v *verification) checkNitro(kind nitro.Kind) {
	e := v.evidence.Nitro
	p := v.policy.Nitro
	if kind == nitro.NitroTPM {
		p = v.policy.NitroTPM
	}
	p.Nonce = nitropolicy.Field{Rule: nitropolicy.Challenge}
	p.UserData = nitropolicy.Field{Rule: nitropolicy.Transcript}
	in := nitro.Input{Document: e.Document, Rules: v.rules(), Policy: &p, Roots: v.roots.nitro()}
	if v.transcript != nil {
		in.Expected.Nonce = v.transcript.input.Nonce[:]
		in.Expected.UserData = v.transcript.sum[:]
	}
	if v.release != nil {
		err := v.expectNitro(kind, &in.Expected)
		v.log.Check("REL-4", err, wantRegisters, "registers of boot "+v.boot)
		for _, i := range p.Ordered() {
			if _, ok := in.Expected.PCRs[i]; ok && p.PCRs[i].Rule == nitropolicy.Listed {
				v.waiveRelease(fmt.Sprintf("PCR%d", i), fmt.Sprintf("pcrs.%d", i))
			}
		}
	}
	document := nitro.Verify(in, v.log)
	if document == nil {
		return
	}
	want := "the configuration event"
	if v.policy.State == policy.Working {
		want += ", then arrivals of keys"
	}
	err := v.checkRuntimeNitro(kind, document.PCRs)
	v.log.Check("CFG-2", err, want, fmt.Sprintf("configuration and %d arrivals of keys", max(0, len(e.Runtime)-1)))
}

// expectNitro fills in what the release says of the registers.
func (v *verification) expectNitro(kind nitro.Kind, want *nitro.Expected) error {
	platform, boot := transcript.Nitro, "enclave"
	if kind == nitro.NitroTPM {
		platform, boot = transcript.VTPM, "esp"
	}
	m, ok := v.release.Measurement(platform, boot, golden.SHA384.String())
	if !ok {
		return fmt.Errorf("the release has no measurement of platform %s", platform)
	}
	v.boot = boot
	want.PCRs = map[int][][48]byte{}
	for index, reg := range m.Registers {
		if kind == nitro.NitroTPM && !slices.Contains(nitroTPMRegisters(), index) || reg.Rule == release.RuleAny {
			continue
		}
		value, err := unhex48(reg.Value)
		if err != nil {
			return fmt.Errorf("register %s: %w", reg.Name, err)
		}
		want.PCRs[index] = [][48]byte{value}
	}
	config := []evidence.RuntimeEvent{{Kind: evidence.KindConfig, Digest: v.config}}
	if kind == nitro.NitroTPM {
		want.PCRs[runtimePCR] = [][48]byte{[48]byte(replayRuntime(golden.SHA384, v.evidence.Nitro.Runtime))}
	} else {
		want.PCRs[enclaveConfigPCR] = [][48]byte{[48]byte(replayRuntime(golden.SHA384, config))}
	}
	return nil
}

// nitroTPMRegisters are those whose values in a machine of EC2 are the
// release's: the others hold Amazon's firmware, which no release knows
// (specs/nitro.md, section 7.1).
func nitroTPMRegisters() []int { return []int{4, 7, 8, 9, 11, 12, 13, 14} }

// checkRuntimeNitro: CFG-2. An enclave has a register for the configuration and
// one for keys, each locked once it is extended; only locked registers are in a
// document. A NitroTPM has PCR 15 for both.
func (v *verification) checkRuntimeNitro(kind nitro.Kind, pcrs map[int][48]byte) error {
	runtime := v.evidence.Nitro.Runtime
	if err := v.checkOrder(runtime); err != nil {
		return err
	}
	if kind == nitro.NitroTPM {
		return compareRegister(pcrs, runtimePCR, replayRuntime(golden.SHA384, runtime))
	}
	if len(runtime) > 2 {
		return fmt.Errorf("runtime log: %d arrivals of keys, want at most one: the register is locked after it", len(runtime)-1)
	}
	if err := compareRegister(pcrs, enclaveConfigPCR, replayRuntime(golden.SHA384, runtime[:1])); err != nil {
		return err
	}
	arrived := golden.SHA384.Zero()
	if len(runtime) == 2 {
		arrived = golden.SHA384.Extend(arrived, transcript.KeysEvent(golden.SHA384, runtime[1].Digest))
	} else if _, locked := pcrs[enclaveKeysPCR]; !locked {
		return nil // not in the document: nothing has extended it
	}
	return compareRegister(pcrs, enclaveKeysPCR, arrived)
}

func compareRegister(pcrs map[int][48]byte, index int, want golden.Digest) error {
	got, ok := pcrs[index]
	if !ok {
		return fmt.Errorf("register %d: not in the document: was it locked?", index)
	}
	if !want.Equal(got[:]) {
		return fmt.Errorf("register %d: got %x, want %v", index, got, want)
	}
	return nil
}
