package verifier

import (
	"fmt"
	"strings"

	"safebox/measure/tpm/golden"
	"safebox/verifier/evidence"
	"safebox/verifier/policy"
	"safebox/verifier/release"
	"safebox/verifier/transcript"
)

// comparison is one register of one bank with what the release says of it.
type comparison struct {
	id        string
	index     int
	bank      golden.Bank
	want, got string // hex
}

// checkRegisters: TPM-R<n>-<bank>. Every register of every quoted bank that the
// release has a value for is compared, for the way of booting that fits best.
func (v *verification) checkRegisters() {
	if v.policy == nil || v.release == nil || len(v.quotes) == 0 {
		return
	}
	best := -1
	for _, boot := range v.policy.VTPM.Boots {
		list, ok := v.compare(boot)
		if !ok {
			continue
		}
		if n := equal(list); n > best {
			best, v.boot, v.compared = n, boot, list
		}
	}
	for i := range v.compared {
		c := &v.compared[i]
		c.id = registerID(c.index, c.bank)
		v.log.Record(c.id, c.want == c.got, c.want, c.got)
	}
	if len(v.compared) == 0 {
		return
	}
	v.waiveRegisters()
}

// waiveRegisters says which registers of this boot may have any value.
func (v *verification) waiveRegisters() {
	m, ok := v.release.Measurement(transcript.VTPM, v.boot, v.quotes[0].bank.String())
	if !ok {
		return
	}
	for index, r := range m.Registers {
		name := fmt.Sprintf("register %d: %s", index, registerUse(index))
		switch {
		case r.Rule == release.RuleAny:
			v.log.Waive(name, "the release leaves it open")
		case r.Rule == release.RuleFixedDisk && v.policy.VTPM.AnyDisk:
			v.log.Waive(name, "vtpm.disk = \"any\" in the policy")
		}
	}
}

// compare lists the registers for one way of booting. It reports false if the
// release knows no such boot in one of the banks.
func (v *verification) compare(boot string) ([]comparison, bool) {
	list := make([]comparison, 0, 16*len(v.quotes))
	for i := range v.quotes {
		q := &v.quotes[i]
		m, ok := v.release.Measurement(transcript.VTPM, boot, q.bank.String())
		if !ok {
			return nil, false
		}
		for index, r := range m.Registers {
			if !v.isCompared(r) {
				continue
			}
			got, ok := q.text[index]
			if !ok {
				got = "not quoted"
			}
			list = append(list, comparison{index: index, bank: q.bank, want: r.Value, got: got})
		}
	}
	return list, true
}

// isCompared: a release has only these rules (release.Decode). An unknown one
// is compared with its value, which nothing equals if it is empty.
func (v *verification) isCompared(r release.Register) bool {
	switch r.Rule {
	case release.RuleAny, release.RuleConfiguration: // the latter: CFG-2
		return false
	case release.RuleFixedDisk:
		return !v.policy.VTPM.AnyDisk
	}
	return true
}

func equal(list []comparison) int {
	n := 0
	for _, c := range list {
		if c.want == c.got {
			n++
		}
	}
	return n
}

// checkRuntime: CFG-2. Register 15 must be the replay of the runtime log: first
// the configuration that the transcript binds, then each arrival of keys.
func (v *verification) checkRuntime() {
	if v.policy == nil || v.evidence == nil || len(v.quotes) == 0 {
		return
	}
	want := "the configuration event"
	if v.policy.State == policy.Working {
		want += ", then arrivals of keys"
	}
	runtime := v.evidence.VTPM.Runtime
	if err := v.checkOrder(runtime); err != nil {
		v.log.Fail("CFG-2", want, err.Error())
		return
	}
	var differ []string
	for i := range v.quotes {
		q := &v.quotes[i]
		value := replayRuntime(q.bank, runtime)
		if got := q.values[runtimePCR]; !value.Equal(got) {
			differ = append(differ, fmt.Sprintf("%v register 15: quoted %x, replayed %v", q.bank, got, value))
		}
	}
	v.log.Record("CFG-2", len(differ) == 0, want, got(differ, fmt.Sprintf("configuration and %d arrivals of keys", len(runtime)-1)))
}

// checkOrder: one configuration event, first, of the document in the evidence;
// in state fresh nothing after it.
func (v *verification) checkOrder(runtime []evidence.RuntimeEvent) error {
	var kinds []string
	for _, e := range runtime {
		kinds = append(kinds, e.Kind)
	}
	got := strings.Join(kinds, " ")
	if len(runtime) == 0 || runtime[0].Kind != evidence.KindConfig {
		return fmt.Errorf("runtime log: got [%s], want the configuration first", got)
	}
	if runtime[0].Digest != v.config {
		return fmt.Errorf("runtime log: configuration %v, the evidence's document has %x", runtime[0].Digest, v.config)
	}
	for _, e := range runtime[1:] {
		if e.Kind != evidence.KindKeys {
			return fmt.Errorf("runtime log: got [%s], want one configuration and then keys", got)
		}
	}
	if v.policy.State == policy.Fresh && len(runtime) > 1 {
		return fmt.Errorf("runtime log: got %d arrivals of keys, want none in state fresh", len(runtime)-1)
	}
	return nil
}

func replayRuntime(bank golden.Bank, runtime []evidence.RuntimeEvent) golden.Digest {
	value := bank.Zero()
	for _, e := range runtime {
		event := transcript.ConfigEvent(bank, e.Digest)
		if e.Kind == evidence.KindKeys {
			event = transcript.KeysEvent(bank, e.Digest)
		}
		value = bank.Extend(value, event)
	}
	return value
}
