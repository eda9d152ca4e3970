package verifier

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"slices"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
	"safebox/verifier/accept"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
	"safebox/verifier/release"
	"safebox/verifier/tdx"
	"safebox/verifier/transcript"
)

// checkTDX: TDX-*, CFG-2.
func (v *verification) checkTDX() {
	e := v.evidence.TDX
	in := tdx.Input{
		Quote: e.Quote, EventLog: e.EventLog, Endorsements: v.endorsements,
		Rules: v.rules(), Policy: &v.policy.TDX, Roots: v.roots.tdx(),
	}
	for _, r := range e.Runtime {
		in.Runtime = append(in.Runtime, [48]byte(transcript.KeysEvent(golden.SHA384, r.Digest)))
	}
	if v.transcript != nil {
		in.Expected.ReportData = &v.transcript.sum
		config := sha512.Sum384(v.evidence.Configuration)
		in.Expected.ConfigID = &config
	}
	v.expect(release.PlatformTDX, func(l release.Launch) error { return v.acceptedTDX(l, &in.Expected) })
	tdx.Verify(in, v.log)
	v.checkRuntimeKeys("RTMR3", e.Runtime, "TDX-M2", "TDX-A5")
}

// checkRuntimeKeys: CFG-2 of a platform whose hardware holds the configuration
// and whose register holds the keys that arrived: other checks compare both,
// and this one wants no keys if the policy wants a fresh machine.
func (v *verification) checkRuntimeKeys(register string, runtime []evidence.RuntimeEvent, compared ...string) {
	want := "no keys in " + register
	if v.policy.State == policy.Working {
		want = "keys alone in " + register
	}
	for _, r := range runtime {
		if r.Kind != evidence.KindKeys {
			v.log.Fail("CFG-2", want, fmt.Sprintf("runtime log: an event of kind %q", r.Kind))
			return
		}
	}
	if v.policy.State == policy.Fresh && len(runtime) > 0 {
		v.log.Fail("CFG-2", want, fmt.Sprintf("%d arrivals of keys", len(runtime)))
		return
	}
	for _, id := range compared {
		if !v.log.Passed(id) {
			return // it has failed there
		}
	}
	v.log.Pass("CFG-2", want, fmt.Sprintf("%d arrivals of keys", len(runtime)))
}

// acceptedTDX fills in the registers of the release on the machines that the
// policy accepts.
func (v *verification) acceptedTDX(l release.Launch, want *tdx.Expected) error {
	log, err := eventlog.DecodeCCEL(v.evidence.TDX.EventLog)
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	var registers [5][][48]byte // MRTD, RTMR0 to 3
	for _, memory := range v.policy.Shapes.Memory {
		p, err := accept.TDX(l, accept.TDXMachine{Memory: memory, Log: log})
		if err != nil {
			return fmt.Errorf("memory of %d MiB: %w", memory>>20, err)
		}
		v.predictions = append(v.predictions, p)
		for i, reg := range p.Registers {
			if reg.Value == nil {
				return fmt.Errorf("%s: %s", reg.Name, reg.Missing)
			}
			if !slices.Contains(registers[i], [48]byte(*reg.Value)) {
				registers[i] = append(registers[i], *reg.Value)
			}
		}
	}
	want.MRTD, want.RTMR = registers[0], [4][][48]byte(registers[1:])
	if v.policy.Shapes.AnyACPI {
		v.log.Waive("ACPI tables of the machine", "shapes.tdx_acpi = \"any\" in the policy: their digests are the log's own")
	}
	return nil
}

func unhex48(s string) ([48]byte, error) {
	var d [48]byte
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("got %.120q, want 48 bytes in hex", s)
	}
	return [48]byte(b), nil
}
