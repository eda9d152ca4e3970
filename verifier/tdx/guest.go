package tdx

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/policy/tdxpolicy"
)

// guest is TDX-A1 to TDX-A5: what kind of TD it is, and what its owner and host
// set at its launch.
func (v *verification) guest() {
	b, p := &v.q.Body, v.policy
	v.attributes()
	v.xfam()
	v.module()
	v.serviceTD()
	v.record("TDX-A5",
		v.expect("MRCONFIGID", "mrconfigid", b.MRConfigID[:], p.MRConfigID, v.configuration()),
		v.expect("MROWNER", "mrowner", b.MROwner[:], p.MROwner, nil),
		v.expect("MROWNERCONFIG", "mrownerconfig", b.MROwnerConfig[:], p.MROwnerConfig, nil))
}

func (v *verification) configuration() [][]byte {
	if v.in.Expected.ConfigID == nil {
		return nil
	}
	return [][]byte{v.in.Expected.ConfigID[:]}
}

// attributes is TDX-A1. Whatever a policy lists, a debug TD and one that can
// migrate are refused.
func (v *verification) attributes() {
	a := v.q.Body.TDAttributes
	accepted := make([]string, len(v.policy.TDAttributes))
	for i, w := range v.policy.TDAttributes {
		accepted[i] = Attributes(w).String()
	}
	ok := slices.Contains(v.policy.TDAttributes, uint64(a)) && a&(underDebug|Migratable) == 0
	v.log.Record("TDX-A1", ok, "TD attributes "+orNone(accepted)+", never a debug or migratable TD", a.String())
}

// String gives all 8 bytes as they stand in the body, and the names of the bits.
func (a Attributes) String() string {
	var names []string
	for _, n := range []struct {
		bit  Attributes
		name string
	}{
		{Debug, "DEBUG"},
		{SEPTVEDisable, "SEPT_VE_DISABLE"},
		{Migratable, "MIGRATABLE"},
		{PKS, "PKS"},
		{KeyLocker, "KL"},
		{PerfMon, "PERFMON"},
	} {
		if a&n.bit != 0 {
			names = append(names, n.name)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("%x", a.Bytes())
	}
	return fmt.Sprintf("%x (%s)", a.Bytes(), strings.Join(names, ", "))
}

// xfam is TDX-A2.
func (v *verification) xfam() {
	got, required, allowed := v.q.Body.XFAM, v.policy.XFAMRequired, v.policy.XFAMAllowed
	want := fmt.Sprintf("XFAM with all of %s and nothing outside %s", le(required), le(allowed))
	if required == 0 || allowed == 0 {
		v.log.Fail("TDX-A2", "XFAM: the policy states no features", le(got))
		return
	}
	missing, extra := required&^got, got&^allowed
	told := le(got)
	if missing != 0 {
		told += fmt.Sprintf(", lacks bits %#x", missing)
	}
	if extra != 0 {
		told += fmt.Sprintf(", has bits %#x", extra)
	}
	v.log.Record("TDX-A2", missing == 0 && extra == 0, want, told)
}

// le gives a number as its bytes stand in the body.
func le(n uint64) string { return fmt.Sprintf("%x", binary.LittleEndian.AppendUint64(nil, n)) }

// module is TDX-A3. By "identity" the module is known by what Intel signs of its
// signer, attributes and SVN: TDX-T1 and TDX-T3 must have passed.
func (v *verification) module() {
	got := v.q.Body.MRSEAM
	if v.policy.MRSEAM.Word != tdxpolicy.Identity {
		v.record("TDX-A3", v.expect("MRSEAM", "mrseam", got[:], v.policy.MRSEAM, nil))
		return
	}
	if v.log.Passed("TDX-T1") && v.log.Passed("TDX-T3") {
		v.log.Pass("TDX-A3", "TDX module of an identity that Intel signs", fmt.Sprintf("MRSEAM %x, known by signer and SVN (TDX-T1, TDX-T3)", got))
	}
}

// serviceTD is TDX-A4.
func (v *verification) serviceTD() {
	const want = "MRSERVICETD zero: no service TD is bound"
	switch {
	case v.policy.MRServiceTD.Word != tdxpolicy.Zero:
		v.log.Fail("TDX-A4", "MRSERVICETD: the policy does not say \"zero\", which alone is possible", fmt.Sprintf("%x", v.q.Body.MRServiceTD))
	case v.q.Form != V5Body15:
		if v.q.Body.TEETCBSVN[1] > 0 { // TDX 1.5 and later can bind one
			v.log.Waive("service TDs", "tdx.quotes accepts "+v.q.Form.String()+", which does not show them; TDX-A1 refuses migratable guests")
		}
		v.log.Pass("TDX-A4", want, "not applicable: a body of TDX 1.0 has no MRSERVICETD")
	default:
		v.log.Record("TDX-A4", v.q.Body.MRServiceTD == [48]byte{}, want, fmt.Sprintf("%x", v.q.Body.MRServiceTD))
	}
}
