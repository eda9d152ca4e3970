package tdx

import (
	"fmt"

	"safebox/verifier/policy/tdxpolicy"
	"safebox/verifier/tdx/pcs"
)

// machine is TDX-A6: the machine is one of those that are listed, which is the
// answer to evidence relayed from another one, and it is set up as the policy
// wants.
func (v *verification) machine() {
	if v.pck == nil {
		return
	}
	p, pck := v.policy, v.pck.pck
	flags := pck.Configuration
	v.record("TDX-A6",
		v.chip(pck),
		v.flag("simultaneous multithreading", "smt", p.SMT, flags != nil, flags != nil && flags.SMTEnabled),
		v.flag("platform keys kept at Intel", "cached_keys", p.CachedKeys, flags != nil, flags != nil && flags.CachedKeys),
		v.flag("packages that may be exchanged", "dynamic_platform", p.DynamicPlatform, flags != nil, flags != nil && flags.DynamicPlatform))
}

func (v *verification) chip(pck *pcs.PCK) finding {
	f := finding{want: "a machine of the policy's list", got: fmt.Sprintf("ppid:%x", pck.PPID)}
	if pck.PIID != nil {
		f.got = fmt.Sprintf("piid:%x, %s", *pck.PIID, f.got)
	}
	if v.policy.AnyChip {
		v.log.Waive("machine", "tdx.chips = \"any\" in the policy: evidence may be relayed from another one")
		f.ok, f.want = true, "any machine"
		return f
	}
	if len(v.policy.Chips) == 0 {
		f.want = "a machine of the policy's list, which is empty"
	}
	for _, c := range v.policy.Chips {
		if c.PPID && c.ID == pck.PPID || !c.PPID && pck.PIID != nil && c.ID == *pck.PIID {
			f.ok = true
		}
	}
	return f
}

// flag checks what the certificate says of the platform's configuration.
// Certificates of the Processor CA do not say it, and then it is not known to be
// off.
func (v *verification) flag(what, key, want string, known, on bool) finding {
	f := finding{want: what + " off", got: what + " off"}
	switch {
	case !known:
		f.got = what + " not told by the certificate"
	case on:
		f.got = what + " on"
	}
	switch want {
	case tdxpolicy.Any:
		v.log.Waive(what, "tdx."+key+" = \"any\" in the policy")
		f.ok, f.want = true, what+" any"
	case tdxpolicy.Off:
		f.ok = known && !on
	default:
		f.want = what + ": the policy states nothing"
	}
	return f
}
