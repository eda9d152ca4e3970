package pcs

import "fmt"

// RelaunchAdvised is step T5. A TD of TDX 1.5 keeps the TEE_TCB_SVN of the module
// that launched it; TEE_TCB_SVN2 is that of the module that runs now. If only the
// former is out of date, launching the TD again helps. The rule (Intel's quote
// verification library, step 4.1.2.4.17.4.3), all of it:
//
//  1. the quoting enclave is UpToDate;
//  2. the platform without its TDX components (first level by SGX components and
//     PCESVN) is UpToDate, SWHardeningNeeded, ConfigurationNeeded or
//     ConfigurationAndSWHardeningNeeded;
//  3. the TDX module has levels of its own and is OutOfDate at TEE_TCB_SVN, and
//     platform and module converge to OutOfDate or OutOfDateConfigurationNeeded;
//  4. the module at TEE_TCB_SVN2 is at its best level: for version 0 that is
//     component 0 of the best platform level, else the best level of the module's
//     identity, which must be UpToDate; and component 2 is at least that of the
//     best platform level.
//
// Then the status is RelaunchAdvised, or RelaunchAdvisedConfigurationNeeded if the
// platform needs another configuration. Else it is 0, and why says what speaks
// against it. It never turns a bad status into UpToDate.
func (t *TCBInfo) RelaunchAdvised(pck *PCK, svn, svn2 [16]byte, qe Status) (s Status, why string) {
	if qe != UpToDate {
		return 0, fmt.Sprintf("the quoting enclave is %s", qe)
	}
	sgx, err := t.matchLevel("platform without TDX components", func(l *Level) string { return l.missing(pck, nil) })
	if err != nil {
		return 0, err.Error()
	}
	if sgx.Status < UpToDate || sgx.Status > ConfigurationAndSWHardeningNeeded {
		return 0, fmt.Sprintf("the platform without its TDX components is %s", sgx.Status)
	}
	platform, err := t.MatchPlatform(pck, svn)
	if err != nil {
		return 0, err.Error()
	}
	module, own, err := t.MatchModule(svn)
	if err != nil {
		return 0, err.Error()
	}
	if !own || module.Status != OutOfDate {
		return 0, fmt.Sprintf("the TDX module that launched the TD is %s", module.Status)
	}
	whole := Converge(platform.Status, module.Status)
	if whole != OutOfDate && whole != OutOfDateConfigurationNeeded {
		return 0, fmt.Sprintf("platform and TDX module are %s", whole)
	}
	if why := t.behind(svn2); why != "" {
		return 0, why
	}
	if sgx.Status.configurationNeeded() || whole.configurationNeeded() {
		return RelaunchAdvisedConfigurationNeeded, "the TDX module of now is up to date: launch the TD again, and change the platform's configuration"
	}
	return RelaunchAdvised, "the TDX module of now is up to date: launch the TD again"
}

// behind says what the TDX module of TEE_TCB_SVN2 lacks to be at the best level.
func (t *TCBInfo) behind(svn2 [16]byte) string {
	best := &t.Levels[0]
	want := uint16(best.TDX[0].SVN)
	if svn2[1] > 0 {
		m, err := t.module(svn2)
		if err != nil {
			return err.Error()
		}
		if len(m.Levels) == 0 || m.Levels[0].Status != UpToDate {
			return moduleName(svn2) + " has no level that is UpToDate"
		}
		want = m.Levels[0].ISVSVN
	}
	if uint16(svn2[0]) < want {
		return fmt.Sprintf("%s that runs now has ISVSVN %d, want %d", moduleName(svn2), svn2[0], want)
	}
	if svn2[2] < best.TDX[2].SVN {
		return tooLow("TDX", 2, best.TDX[2], svn2[2])
	}
	return ""
}
