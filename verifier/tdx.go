package verifier

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/measure/eventlog"
	"safebox/measure/tpm/golden"
	"safebox/verifier/accept"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/release"
	"safebox/verifier/tdx"
	"safebox/verifier/transcript"
)

// checkTDX: TDX-*, CFG-2. As for SEV-SNP, no policy can loosen what the protocol
// puts into REPORTDATA and MRCONFIGID of our own evidence.
func (v *verification) checkTDX() {
	e := v.evidence.TDX
	p := v.policy.TDX
	p.ReportData = tdxpolicy.Value{Word: tdxpolicy.Transcript}
	p.MRConfigID = tdxpolicy.Value{Word: tdxpolicy.Configuration}
	in := tdx.Input{
		Quote: e.Quote, EventLog: e.EventLog, Endorsements: v.endorsements,
		Runtime: make([][48]byte, 0, len(e.Runtime)), // a log without events is a log
		Rules:   v.rules(), Policy: &p, Roots: v.roots.tdx(),
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
	for i, own := range []tdxpolicy.Value{p.MRTD, p.RTMR[0], p.RTMR[1], p.RTMR[2]} {
		if name := eventlog.MRName(uint32(i)); own.Word == "" {
			v.waiveRelease(name, "tdx."+strings.ToLower(name))
		}
	}
	v.checkRuntimeTDX(tdx.Verify(in, v.log), e.Runtime)
}

// checkRuntimeTDX: CFG-2. MRCONFIGID holds the configuration (TDX-A5), and RTMR3
// the keys that arrived. A policy's rule for RTMR3 need not be about the log, so
// the two are compared here too.
func (v *verification) checkRuntimeTDX(q *tdx.Quote, runtime []evidence.RuntimeEvent) {
	want := "no keys in RTMR3"
	if v.policy.State == policy.Working {
		want = "keys alone in RTMR3, those of the log"
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
	if q == nil || !v.log.Passed("TDX-M2") || !v.log.Passed("TDX-A5") {
		return // it has failed there
	}
	register, value := q.Body.RTMR[3], replayRuntime(golden.SHA384, runtime)
	if !value.Equal(register[:]) {
		v.log.Fail("CFG-2", want, fmt.Sprintf("RTMR3 %x; %d arrivals in the log lead to %v", register, len(runtime), value))
		return
	}
	v.log.Pass("CFG-2", want, fmt.Sprintf("%d arrivals of keys", len(runtime)))
}

// acceptedTDX fills in the registers of the release on the machines that the
// policy accepts.
func (v *verification) acceptedTDX(l release.Launch, want *tdx.Expected) error {
	if !v.policy.Shapes.AnyACPI {
		return errors.New("the policy has no rule for the machine's ACPI tables")
	}
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
	v.log.Waive("ACPI tables of the machine", "shapes.tdx_acpi = \"any\" in the policy: their digests are the log's own")
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
