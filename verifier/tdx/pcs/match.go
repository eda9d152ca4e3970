package pcs

import (
	"fmt"
	"strings"
	"time"
)

// Match is the TCB level that something has reached.
type Match struct {
	Status     Status
	Date       time.Time // tcbDate of the level
	Advisories []string  // that Intel lists as open at the level
	Rank       int       // 1 for the best level that the document knows
	Of         int       // how many levels the document knows
	Behind     string    // what is too low for the best level; empty at the best
}

// String says it in words for people.
func (m Match) String() string {
	if m.Of == 0 {
		return m.Status.String()
	}
	s := fmt.Sprintf("%s: TCB level %d of %d, of %s", m.Status, m.Rank, m.Of, m.Date.Format(time.DateOnly))
	if len(m.Advisories) > 0 {
		s += "; open: " + strings.Join(m.Advisories, ", ")
	}
	if m.Behind != "" {
		s += "; " + m.Behind
	}
	return s
}

// CheckPlatform is the first half of step T1: the TCB info is of the platform's
// kind.
func (t *TCBInfo) CheckPlatform(pck *PCK) error {
	if pck.FMSPC != t.FMSPC {
		return fmt.Errorf("FMSPC %X of the PCK certificate, TCB info is of %X", pck.FMSPC, t.FMSPC)
	}
	if pck.PCEID != t.PCEID {
		return fmt.Errorf("PCEID %X of the PCK certificate, TCB info is of %X", pck.PCEID, t.PCEID)
	}
	return nil
}

// CheckModule is the second half of step T1: MRSIGNERSEAM and SEAMATTRIBUTES are
// those of the TDX module that TEE_TCB_SVN names. Attributes outside the mask
// must be zero: nobody vouches for them.
func (t *TCBInfo) CheckModule(svn [16]byte, mrSignerSEAM [48]byte, seamAttributes [8]byte) error {
	m, err := t.module(svn)
	if err != nil {
		return err
	}
	if mrSignerSEAM != m.MRSigner {
		return fmt.Errorf("%s: MRSIGNERSEAM %x, want %x", moduleName(svn), mrSignerSEAM, m.MRSigner)
	}
	for i, b := range seamAttributes {
		if b&m.AttributesMask[i] != m.Attributes[i] || b&^m.AttributesMask[i] != 0 {
			return fmt.Errorf("%s: SEAMATTRIBUTES %x, want %x under mask %x and zero elsewhere",
				moduleName(svn), seamAttributes, m.Attributes, m.AttributesMask)
		}
	}
	return nil
}

// module finds what is said of the TDX module that TEE_TCB_SVN names.
func (t *TCBInfo) module(svn [16]byte) (*Module, error) {
	if svn[1] == 0 {
		return &t.Base, nil
	}
	for i := range t.Modules {
		if t.Modules[i].Version == svn[1] {
			return &t.Modules[i], nil
		}
	}
	return nil, fmt.Errorf("%s is not in this TCB info (evaluation number %d)", moduleName(svn), t.EvaluationNumber)
}

func moduleName(svn [16]byte) string { return fmt.Sprintf("TDX module TDX_%02X", svn[1]) }

// MatchPlatform is step T2: the first level of which the platform has every SGX
// component and the PCESVN (as its PCK certificate says), and every TDX component
// (as TEE_TCB_SVN says). Components 0 and 1 are the TDX module: for modules with
// levels of their own, MatchModule looks at them.
func (t *TCBInfo) MatchPlatform(pck *PCK, svn [16]byte) (Match, error) {
	return t.matchLevel("platform", func(l *Level) string { return l.missing(pck, &svn) })
}

// matchLevel finds the first level that lacks nothing. missing names the first
// thing that is too low.
func (t *TCBInfo) matchLevel(what string, missing func(*Level) string) (Match, error) {
	for i := range t.Levels {
		l := &t.Levels[i]
		if missing(l) != "" {
			continue
		}
		m := Match{Status: l.Status, Date: l.Date, Advisories: l.Advisories, Rank: i + 1, Of: len(t.Levels)}
		if i > 0 {
			m.Behind = missing(&t.Levels[0])
		}
		return m, nil
	}
	if len(t.Levels) == 0 {
		return Match{}, fmt.Errorf("%s: no TCB level matches: TCB info has none", what)
	}
	return Match{}, fmt.Errorf("%s: no TCB level matches; for the best one (of %s), %s; for the lowest one (of %s), %s", what,
		t.Levels[0].Date.Format(time.DateOnly), missing(&t.Levels[0]),
		t.Levels[len(t.Levels)-1].Date.Format(time.DateOnly), missing(&t.Levels[len(t.Levels)-1]))
}

// missing names the first thing of a level that the platform lacks; empty if
// nothing. Without svn only what the PCK certificate says is looked at.
func (l *Level) missing(pck *PCK, svn *[16]byte) string {
	for i, c := range l.SGX {
		if pck.Components[i] < c.SVN {
			return tooLow("SGX", i, c, pck.Components[i])
		}
	}
	if pck.PCESVN < l.PCESVN {
		return fmt.Sprintf("PCESVN is %d, want %d (provisioning certification enclave)", pck.PCESVN, l.PCESVN)
	}
	if svn == nil {
		return ""
	}
	from := 0
	if svn[1] > 0 {
		from = 2
	}
	for i := from; i < len(l.TDX); i++ {
		if svn[i] < l.TDX[i].SVN {
			return tooLow("TDX", i, l.TDX[i], svn[i])
		}
	}
	return ""
}

func tooLow(kind string, i int, c Component, got uint8) string {
	what := c.Type
	if c.Category != "" {
		what = strings.TrimSuffix(c.Category+": "+c.Type, ": ")
	}
	if what == "" {
		what = "Intel does not say what it is"
	}
	return fmt.Sprintf("%s TCB component %d is %d, want %d (%s)", kind, i+1, got, c.SVN, what)
}

// MatchModule is step T3: the level of the TDX module that TEE_TCB_SVN[1] names,
// by the security version TEE_TCB_SVN[0]. own tells whether it has levels of its
// own; for one that has none the platform's level counts, and the status is
// UpToDate.
func (t *TCBInfo) MatchModule(svn [16]byte) (m Match, own bool, err error) {
	if svn[1] == 0 {
		return Match{Status: UpToDate}, false, nil
	}
	module, err := t.module(svn)
	if err != nil {
		return Match{}, true, err
	}
	m, err = matchSVN(moduleName(svn), uint16(svn[0]), module.Levels)
	return m, true, err
}

func matchSVN(what string, svn uint16, levels []SVNLevel) (Match, error) {
	for i, l := range levels {
		if svn < l.ISVSVN {
			continue
		}
		m := Match{Status: l.Status, Date: l.Date, Advisories: l.Advisories, Rank: i + 1, Of: len(levels)}
		if i > 0 {
			m.Behind = fmt.Sprintf("%s has ISVSVN %d, want %d", what, svn, levels[0].ISVSVN)
		}
		return m, nil
	}
	if len(levels) == 0 {
		return Match{}, fmt.Errorf("%s: no TCB level matches: there is none", what)
	}
	return Match{}, fmt.Errorf("%s: no TCB level matches: ISVSVN is %d, the best level (of %s) wants %d and the lowest %d",
		what, svn, levels[0].Date.Format(time.DateOnly), levels[0].ISVSVN, levels[len(levels)-1].ISVSVN)
}
