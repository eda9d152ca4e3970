package release

import (
	"fmt"
	"slices"
	"strconv"
)

// boot is a way of booting a platform, in one bank.
type boot struct{ platform, boot, bank string }

// boots lists every measurement that a release must have: an expectation that
// is not there can't be met. An enclave's may follow.
func boots() []boot {
	return []boot{
		{"vtpm", "esp", "sha256"},
		{"vtpm", "esp", "sha384"},
		{"vtpm", "kernel", "sha256"},
		{"vtpm", "kernel", "sha384"},
	}
}

// enclave is the measurement of an enclave image (specs/nitro.md, section 1.5).
func enclave() boot { return boot{PlatformNitro, "enclave", "sha384"} }

// enclaveRules are those of PCR 0 to 2: the image, its kernel and start
// ramdisk, its further ramdisks.
func enclaveRules() [][]string {
	exact := []string{RuleExact}
	return [][]string{exact, exact, exact}
}

// registerRules gives the registers of a vTPM in order and the rules that
// each may have (specs/protocol.md, section 4). A weaker rule is no release.
func registerRules() [][]string {
	exact, zero, host := []string{RuleExact}, []string{RuleZero}, []string{RuleAny}
	return [][]string{
		0: exact, 1: host, 2: exact, 3: exact, 4: exact, 5: {RuleFixedDisk, RuleAny}, 6: exact, 7: exact,
		8: zero, 9: exact, 10: host, 11: exact, 12: zero, 13: zero, 14: zero, 15: {RuleConfiguration},
	}
}

// checkMeasurements wants all boots, each once, in order, each with all
// registers.
func (r *Release) checkMeasurements() error {
	want := boots()
	if len(r.Measurements) == len(want)+1 {
		want = append(want, enclave())
	}
	if len(r.Measurements) != len(want) {
		return fmt.Errorf("%d measurements, want %d", len(r.Measurements), len(want))
	}
	for i, m := range r.Measurements {
		if got := (boot{m.Platform, m.Boot, m.Bank}); got != want[i] {
			return fmt.Errorf("measurement %d: %v, want %v", i, got, want[i])
		}
		if err := m.check(); err != nil {
			return fmt.Errorf("measurement %v: %w", want[i], err)
		}
	}
	return nil
}

func (m Measurement) check() error {
	rules := registerRules()
	if m.Platform == enclave().platform {
		rules = enclaveRules()
	}
	if len(m.Registers) != len(rules) {
		return fmt.Errorf("%d registers, want %d", len(m.Registers), len(rules))
	}
	size := map[string]int{"sha256": 32, "sha384": 48}[m.Bank]
	for i, reg := range m.Registers {
		if want := "pcr" + strconv.Itoa(i); reg.Name != want {
			return fmt.Errorf("register %d: name %q, want %s", i, reg.Name, want)
		}
		if !slices.Contains(rules[i], reg.Rule) {
			return fmt.Errorf("register %s: rule %q, want %q", reg.Name, reg.Rule, rules[i])
		}
		if err := reg.check(size); err != nil {
			return err
		}
	}
	return nil
}
