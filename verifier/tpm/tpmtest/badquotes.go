package tpmtest

import (
	"slices"
	"testing"

	"safebox/measure/eventlog"
	"safebox/verifier/policy/tpmpolicy"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/azure"
	"safebox/verifier/tpm/cloud"
)

func sessions() []wrong {
	snp := onAzure(azure.SNP)
	return []wrong{
		{"TPM-Q1", "other extra data", Google, func(m *Machine) { m.Extra = []byte("sessions") }},
		{"TPM-Q1", "extra data is a prefix", Google, func(m *Machine) { m.Extra = []byte("sess") }},
		{"TPM-Q1", "Azure: other extra data", snp, func(m *Machine) { m.Extra = []byte("another") }},
		{"TPM-Q1", "no extra data, though any is accepted", Google, func(m *Machine) {
			m.Extra = nil
			m.Change = func(p *tpmpolicy.Policy) { p.Transcript, p.AnyExtraData = false, true }
		}},
		{"TPM-Q1", "no extra data, and nobody said what it must be", Google, func(m *Machine) {
			m.Extra = nil
			m.Input = func(in *cloud.Input) { in.Expected.ExtraData = nil }
		}},
		{"TPM-Q1", "nobody said what the extra data must be", Google, func(m *Machine) {
			m.Input = func(in *cloud.Input) { in.Expected.ExtraData = nil }
		}},
		{"TPM-Q1", "extra data is not on the policy's list", Google, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.Transcript, p.ExtraData = false, [][]byte{[]byte("another")} }
		}},
		{"TPM-Q1", "policy says nothing of extra data", Google, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.Transcript = false }
		}},
		{"TPM-Q1", "certification of a key, not a quote", Google, func(m *Machine) { m.AttestType = 0x8017 }},
	}
}

func signatures() []wrong {
	return []wrong{
		{"TPM-Q2", "RSASSA: last bit", Google, func(m *Machine) { m.FlipSignature = 1 }},
		{"TPM-Q2", "ECDSA: last bit", pinned(pemP256), func(m *Machine) { m.FlipSignature = 1 }},
		{"TPM-Q2", "Azure: last bit", onAzure(azure.TDX), func(m *Machine) { m.FlipSignature = 1 }},
		{"TPM-Q2", "other key of the same kind", pinned(pemP256), func(m *Machine) { m.Signer = key(m.t, pemOther) }},
		{"TPM-Q2", "P-384 key signs by another hash than its scheme's", p384, func(m *Machine) {
			public := m.public()
			m.Hash = tpm.AlgSHA256
			m.File = func(b []byte) []byte { return replace(b, m.public(), public) }
			m.Change = func(p *tpmpolicy.Policy) { p.AttestationKeys = []string{tpmpolicy.Pinned}; p.Pins = pins(public) }
		}},
	}
}

func selections() []wrong {
	registers := func(list ...int) func(*Machine) { return func(m *Machine) { m.PCRs = list } }
	all := base23()
	return []wrong{
		{"TPM-Q3", "harmless registers only", Google, registers(16, 23)},
		{"TPM-Q3", "one register is missing", Google, registers(all[:23]...)},
		{"TPM-Q3", "more than the policy's registers", Google, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.PCRs = all[:23]; p.Explained = []int{7} }
		}},
		{"TPM-Q3", "no registers", Google, registers()},
		{"TPM-Q3", "other value sent along", Google, func(m *Machine) { m.FlipRegister = 10 }},
		{"TPM-Q3", "Azure: other value sent along", onAzure(azure.SNP), func(m *Machine) { m.FlipRegister = 16 }},
		{"TPM-Q3", "a value was not sent along", Google, func(m *Machine) { m.OmitRegister = 10 }},
		{"TPM-Q3", "quote is of another bank than its values", Google, func(m *Machine) { m.SaidBank = tpm.AlgSHA384 }},
		{"TPM-Q3", "policy lists no registers", onAzure(azure.SNP), func(m *Machine) {
			m.PCRs = nil
			m.Change = func(p *tpmpolicy.Policy) { p.PCRs, p.ReleaseRegisters, p.AnyRegisters = nil, false, true }
		}},
	}
}

// base23 are the 24 registers.
func base23() []int {
	var all []int
	for i := range 24 {
		all = append(all, i)
	}
	return all
}

func clocks() []wrong {
	return []wrong{
		{"TPM-Q4", "clock was set back", Google, func(m *Machine) { m.Safe = false }},
		{"TPM-Q4", "Azure: clock was set back", onAzure(azure.TDX), func(m *Machine) { m.Safe = false }},
		{"TPM-Q4", "resumed", Google, func(m *Machine) { m.Restarts = 1 }},
		{"TPM-Q4", "fewer resets than at enrolment", Google, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.AnyResets, p.Resets = false, 8 }
		}},
		{"TPM-Q4", "resumed between the quotes", twoBanks, func(m *Machine) {
			m.LaterRestarts = 1
			m.Change = func(p *tpmpolicy.Policy) { p.AnyRestarts = true }
		}},
		{"TPM-Q4", "rebooted between the quotes", twoBanks, func(m *Machine) { m.LaterResets = 1 }},
	}
}

func logs() []wrong {
	logged := func(change func([]Event) []Event) func(*Machine) {
		return func(m *Machine) { m.Logged = change(slices.Clone(m.Logged)) }
	}
	return []wrong{
		{"TPM-E1", "event dropped", Google, logged(func(e []Event) []Event { return e[:len(e)-1] })},
		{"TPM-E1", "event repeated", Google, logged(func(e []Event) []Event { return append(e, e[len(e)-1]) })},
		{"TPM-E1", "events of a register swapped", Google, logged(func(e []Event) []Event {
			n := len(e)
			e[n-1], e[n-2] = e[n-2], e[n-1]
			return e
		})},
		{"TPM-E1", "register without an event is not at its reset value", Google, func(m *Machine) {
			m.Unlogged = append(m.Unlogged, Event{PCR: 16, Data: []byte("later")})
		}},
		{"TPM-E1", "register of the dynamic root was extended", Google, func(m *Machine) {
			m.Unlogged = append(m.Unlogged, Event{PCR: 17, Data: []byte("launch")})
		}},
		{"TPM-E1", "no log", Google, func(m *Machine) { m.Logged = nil }},
		{"TPM-E1", "log is malformed", Google, func(m *Machine) { m.Logged = []Event{{PCR: 99}} }},
		{"TPM-E1", "log lacks the bank", Google, func(m *Machine) { m.LogBanks = []tpm.Algorithm{tpm.AlgSHA384} }},
		{"TPM-E1", "second bank tells of another boot", twoBanks, func(m *Machine) {
			m.LogBanks = []tpm.Algorithm{tpm.AlgSHA256}
		}},
		{"TPM-E1", "register that must be explained need not be quoted", Google, func(m *Machine) {
			m.PCRs = m.PCRs[:23]
			m.Change = func(p *tpmpolicy.Policy) { p.PCRs = p.PCRs[:23] }
		}},
		{"TPM-E1", "log tells another story of a register that it need not explain", anySecureBoot, func(m *Machine) {
			m.Unlogged = append(m.Unlogged, Event{PCR: 4, Data: []byte("later")})
			m.Change = func(p *tpmpolicy.Policy) { p.Explained = []int{0, 1, 2, 3} }
		}},
		{"TPM-E1", "policy wants nothing explained", anySecureBoot, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.Explained = nil }
		}},
	}
}

// anySecureBoot is a machine of whose Secure Boot nothing is asked.
func anySecureBoot(t testing.TB) *Machine {
	m := Google(t)
	m.Profile = "cloud"
	m.Policy = append(m.Policy, `secure_boot = "off"`, `secure_boot = "any"`)
	return m
}

func events() []wrong {
	happened := func(change func([]Event) []Event) func(*Machine) {
		return func(m *Machine) {
			m.Events = change(slices.Clone(m.Events))
			m.Logged = slices.Clone(m.Events)
		}
	}
	return []wrong{
		{"TPM-E2", "command line from the host in register 12", Google, happened(func(e []Event) []Event {
			return append(e, Event{PCR: 12, Type: eventlog.IPL, Data: wide("kernel-cmdline")})
		})},
		{"TPM-E2", "listed event in another register", Google, happened(func(e []Event) []Event {
			return append(e, Event{PCR: 13, Type: eventlog.IPL, Data: wide(".linux")})
		})},
		{"TPM-E2", "option ROM in register 2 after its separator", Google, happened(func(e []Event) []Event {
			return append(e, Event{PCR: 2, Type: eventlog.Separator, Data: make([]byte, 4)})
		})},
		{"TPM-E2", "no separator in register 3", Google, happened(func(e []Event) []Event {
			return slices.DeleteFunc(e, func(x Event) bool { return x.PCR == 3 })
		})},
		{"TPM-E2", "separator that marks an error", Google, happened(func(e []Event) []Event {
			for i := range e {
				if e[i].PCR == 5 && e[i].Type == eventlog.Separator {
					e[i].Data = []byte{1, 0, 0, 0}
				}
			}
			return e
		})},
		{"TPM-E2", "policy names no list", Google, func(m *Machine) { m.Change = func(p *tpmpolicy.Policy) { p.Events = "" } }},
		{"TPM-E3", "firmware version is not what was measured", Google, func(m *Machine) {
			m.Events[0].Hashed = []byte("2\x00\x00\x00")
			m.Logged = slices.Clone(m.Events)
		}},
	}
}

func banks() []wrong {
	return []wrong{
		{"TPM-E4", "SHA-384 is not quoted", Google, func(m *Machine) {
			m.Policy = append(m.Policy, `banks = ["sha256"]`, `banks = ["sha256", "sha384"]`)
		}},
		{"TPM-E4", "SHA-1 alone is quoted", Google, func(m *Machine) { m.Banks = []tpm.Algorithm{tpm.AlgSHA1} }},
		{"TPM-E4", "policy names no bank", listedRegisters, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.Banks, p.AnyRegisters = nil, true }
		}},
	}
}

func secureBoots() []wrong {
	off := secureBoot(nil, nil, nil, nil)
	return []wrong{
		{"TPM-E5", "on, the policy wants it off", Google, func(m *Machine) {
			m.withSecureBoot(secureBoot([]byte{1}, []byte("PK"), []byte("KEK"), []byte("db")))
		}},
		{"TPM-E5", "off, but keys are enrolled", Google, func(m *Machine) {
			m.withSecureBoot(secureBoot([]byte{0}, []byte("PK"), nil, nil))
		}},
		{"TPM-E5", "off, the policy wants it on", secureBootOn, func(m *Machine) {
			m.withSecureBoot(secureBoot([]byte{0}, []byte("PK"), []byte("KEK"), []byte("TEST db")))
		}},
		{"TPM-E5", "on, with other keys in db", secureBootOn, func(m *Machine) {
			m.withSecureBoot(secureBoot([]byte{1}, []byte("PK"), []byte("KEK"), []byte("test db")))
		}},
		{"TPM-E5", "policy names no variables", secureBootOn, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.Variables = nil }
		}},
		{"TPM-E5", "policy wants no state", Google, func(m *Machine) { m.Change = func(p *tpmpolicy.Policy) { p.SecureBoot = "" } }},
		{"TPM-E5", "what booted extends SecureBoot = 1 itself, and the first event's type is a lie", looseOn, func(m *Machine) {
			late := secureBoot([]byte{1}, []byte("PK"), []byte("KEK"), []byte("TEST db"))
			m.withSecureBoot(off)
			m.Events = append(m.Events, late...)
			m.Logged = slices.Clone(m.Events)
			for i := 2; i < 7; i++ {
				m.Logged[i].Type, m.Logged[i].Hashed, m.Logged[i].Data = eventlog.IPL, m.Logged[i].Data, []byte("nothing")
			}
		}},
		{"TPM-E5", "data of the first event is a lie, and the policy asks for no digests", looseOn, func(m *Machine) {
			m.withSecureBoot(secureBoot([]byte{0}, []byte("PK"), []byte("KEK"), []byte("TEST db")))
			m.Logged[2].Hashed = m.Logged[2].Data
			m.Logged[2].Data = secureBoot([]byte{1}, nil, nil, nil)[0].Data
			m.Change = func(p *tpmpolicy.Policy) { p.AnyDigests = true }
		}},
		{"TPM-E5", "register 7 need not be explained", looseOn, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.Explained = []int{0, 4} }
		}},
		{"TPM-E5", "Azure: claims say on", onAzure(azure.SNP), func(m *Machine) { m.ClaimsSecureBoot = true }},
		{"TPM-E5", "Azure: claims say off", azureOn, func(m *Machine) { m.ClaimsSecureBoot = false }},
		{"TPM-E5", "Azure: no log tells the keys", azureOn, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.AnyVariables, p.Variables = false, []tpmpolicy.Variable{{Name: "db"}} }
		}},
		{"TPM-E5", "no log tells the state", pinnedNoLog, func(*Machine) {}},
	}
}

// looseOn is a machine with Secure Boot on under a policy without a list of
// events.
func looseOn(t testing.TB) *Machine {
	m := secureBootOn(t)
	m.Profile = "cloud"
	return m
}

func azureOn(t testing.TB) *Machine {
	m := OnAzure(t, azure.TDX)
	m.ClaimsSecureBoot = true
	m.Policy = append(m.Policy, `secure_boot = "off"`, `secure_boot = "on"`)
	return m
}

func pinnedNoLog(t testing.TB) *Machine {
	m := Pinned(t, pemP256)
	m.Profile, m.Logged = "cloud", nil
	return m
}

func registers() []wrong {
	return []wrong{
		{"TPM-R", "another kernel booted", Google, func(m *Machine) {
			m.Input = func(in *cloud.Input) { in.Expected.Registers[1][11] = make([]byte, 32) }
		}},
		{"TPM-R", "nobody said what the release's values are", Google, func(m *Machine) {
			m.Input = func(in *cloud.Input) { in.Expected.Registers = nil }
		}},
		{"TPM-R", "a way of booting without values", Google, func(m *Machine) {
			m.Input = func(in *cloud.Input) { in.Expected.Registers[0] = nil }
		}},
		{"TPM-R", "registers of two ways of booting", Google, func(m *Machine) {
			m.Input = func(in *cloud.Input) {
				in.Expected.Registers[0][11] = in.Expected.Registers[1][11]
				in.Expected.Registers[1][11] = make([]byte, 32)
			}
		}},
		{"TPM-R", "release has a value of a register that is none", Google, func(m *Machine) {
			m.Input = func(in *cloud.Input) { in.Expected.Registers[1][24] = nil }
		}},
		{"TPM-R", "release's register need not be quoted", Google, func(m *Machine) {
			m.PCRs = m.PCRs[:11]
			m.Change = func(p *tpmpolicy.Policy) { p.PCRs, p.Explained = p.PCRs[:11], p.Explained[:8] }
		}},
		{"TPM-R", "value is not on the policy's list", listedRegisters, func(m *Machine) {
			change := m.Change
			m.Change = func(p *tpmpolicy.Policy) { change(p); p.Registers[1].Values = p.Registers[1].Values[:1] }
		}},
		{"TPM-R", "policy lists no registers", listedRegisters, func(m *Machine) {
			m.Change = func(p *tpmpolicy.Policy) { p.ReleaseRegisters = false }
		}},
		{"TPM-R", "Azure: another kernel booted", onAzure(azure.SNP), func(m *Machine) {
			m.Input = func(in *cloud.Input) { in.Expected.Registers[1][4] = make([]byte, 32) }
		}},
	}
}
