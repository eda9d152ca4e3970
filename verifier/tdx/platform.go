package tdx

import (
	"fmt"

	"safebox/verifier/tdx/pcs"
)

// platform is TDX-Q2, the quoting enclave is Intel's, and TDX-T1 to TDX-T5: how
// good the TCB of platform, TDX module and quoting enclave is.
func (v *verification) platform() {
	qe, known := v.quotingEnclave()
	if v.info == nil || v.pck == nil || !v.ofThisPlatform() {
		return
	}
	t := tcb{v: v, qe: qe}
	if !t.levels() || !known {
		return
	}
	err := t.accept()
	v.log.Check("TDX-T4", err, v.wantStatus(), t.String())
	t.relaunch(err == nil)
}

// quotingEnclave is TDX-Q2.
func (v *verification) quotingEnclave() (pcs.Match, bool) {
	if v.identity == nil {
		return pcs.Match{}, false
	}
	want := fmt.Sprintf("quoting enclave of Intel's identity: MRSIGNER %x, ISVPRODID %d, a TCB level for its ISVSVN", v.identity.MRSigner, v.identity.ISVProdID)
	report := (*[pcs.ReportSize]byte)(v.q.Data.Report.raw)
	if err := v.identity.Check(report); err != nil {
		v.log.Fail("TDX-Q2", want, err.Error())
		return pcs.Match{}, false
	}
	m, err := v.identity.Match(report)
	v.log.Check("TDX-Q2", err, want, fmt.Sprintf("ISVSVN %d: %v", v.q.Data.Report.ISVSVN, m))
	return m, err == nil
}

// ofThisPlatform is TDX-T1.
func (v *verification) ofThisPlatform() bool {
	pck, body := v.pck.pck, &v.q.Body
	want := fmt.Sprintf("TCB info of FMSPC %X and PCEID %X that knows the TDX module", pck.FMSPC, pck.PCEID)
	err := v.info.CheckPlatform(pck)
	if err == nil {
		err = v.info.CheckModule(body.TEETCBSVN, body.MRSignerSEAM, body.SEAMAttributes)
	}
	v.log.Check("TDX-T1", err, want, fmt.Sprintf("FMSPC %X, PCEID %X, module version %d", v.info.FMSPC, v.info.PCEID, body.TEETCBSVN[1]))
	return err == nil
}

// tcb are the levels that the three parts of a platform have reached.
type tcb struct {
	v                    *verification
	platform, module, qe pcs.Match
}

// levels is TDX-T2 and TDX-T3.
func (t *tcb) levels() bool {
	v := t.v
	svn := v.q.Body.TEETCBSVN
	var err, moduleErr error
	t.platform, err = v.info.MatchPlatform(v.pck.pck, svn)
	v.log.Check("TDX-T2", err, "a TCB level that the platform has reached", t.platform.String())
	var own bool
	t.module, own, moduleErr = v.info.MatchModule(svn)
	got := t.module.String()
	if !own {
		got = "not applicable: the module has version 0, its SVN is among the platform's (TDX-T2)"
	}
	v.log.Check("TDX-T3", moduleErr, "a TCB level that the TDX module has reached", got)
	return err == nil && moduleErr == nil
}

func (t *tcb) status() pcs.Status {
	return pcs.Converge(t.platform.Status, t.module.Status, t.qe.Status)
}

// accept asks the policy.
func (t *tcb) accept() error {
	if err := t.v.accept(t.status(), t.platform, t.module, t.qe); err != nil {
		return fmt.Errorf("%w: %v", err, t)
	}
	return nil
}

func (t *tcb) String() string {
	return fmt.Sprintf("%s (platform %v; TDX module %v; quoting enclave %v)", t.status(), t.platform, t.module, t.qe)
}

// relaunch is TDX-T5: a guest of TDX 1.5 may have been kept through an update of
// the TDX module. Then the module of now must be accepted too, and if the one
// that launched the guest is out of date alone Intel advises to launch the guest
// again.
func (t *tcb) relaunch(accepted bool) {
	const want = "the TDX module of now is accepted, and no relaunch of the guest is advised"
	v := t.v
	body := &v.q.Body
	if v.q.Form != V5Body15 {
		v.log.Pass("TDX-T5", want, "not applicable: a body of TDX 1.0 does not tell the module of now")
		return
	}
	if body.TEETCBSVN2 == body.TEETCBSVN {
		v.log.Pass("TDX-T5", want, fmt.Sprintf("the module of now, SVN %x, is the one that launched the guest", body.TEETCBSVN2))
		return
	}
	svns := fmt.Sprintf("launched under SVN %x, now %x", body.TEETCBSVN, body.TEETCBSVN2)
	if status, why := v.info.RelaunchAdvised(v.pck.pck, body.TEETCBSVN, body.TEETCBSVN2, t.qe.Status); status != 0 {
		if v.policy.RelaunchAdvised != "accept" {
			v.log.Fail("TDX-T5", want, fmt.Sprintf("%v: %s; %s", status, svns, why))
			return
		}
		v.log.Waive("relaunch of the guest, which Intel advises", "tdx.relaunch_advised = \"accept\" in the policy")
	}
	err := t.now(accepted)
	v.log.Check("TDX-T5", err, want, svns)
}

// now checks the module of now. When the one at launch is refused (TDX-T4),
// nothing is added by refusing this one too.
func (t *tcb) now(accepted bool) error {
	v := t.v
	body := &v.q.Body
	if !accepted {
		return nil
	}
	if body.TEETCBSVN2[1] < body.TEETCBSVN[1] || body.TEETCBSVN2[1] == body.TEETCBSVN[1] && body.TEETCBSVN2[0] < body.TEETCBSVN[0] {
		return fmt.Errorf("the TDX module of now (SVN %x) is older than the one that launched the guest (%x)", body.TEETCBSVN2, body.TEETCBSVN)
	}
	n := tcb{v: v, qe: t.qe}
	var err error
	if n.platform, err = v.info.MatchPlatform(v.pck.pck, body.TEETCBSVN2); err != nil {
		return fmt.Errorf("at TEE_TCB_SVN2: %w", err)
	}
	if n.module, _, err = v.info.MatchModule(body.TEETCBSVN2); err != nil {
		return fmt.Errorf("at TEE_TCB_SVN2: %w", err)
	}
	if err := n.accept(); err != nil {
		return fmt.Errorf("at TEE_TCB_SVN2: %w", err)
	}
	return nil
}
