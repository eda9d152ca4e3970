package pcs

import (
	"fmt"
	"slices"
	"time"
)

// TCBInfo is a TCB info of id TDX and version 3 (PCS API version 4, Get TDX TCB
// Info): what Intel knows of all platforms of one FMSPC. It is made by
// OpenTCBInfo.
type TCBInfo struct {
	IssueDate        time.Time
	NextUpdate       time.Time
	FMSPC            [6]byte
	PCEID            [2]byte
	EvaluationNumber uint32   // tcbEvaluationDataNumber
	Base             Module   // tdxModule: of modules with TEE_TCB_SVN[1] = 0; no levels
	Modules          []Module // tdxModuleIdentities: of the others
	Levels           []Level  // the best first
}

// Module is what the identity of a TDX module must be.
type Module struct {
	Version        uint8 // TEE_TCB_SVN[1]: the XX of the id TDX_XX, in hexadecimal digits
	MRSigner       [48]byte
	Attributes     [8]byte
	AttributesMask [8]byte
	Levels         []SVNLevel // the best first
}

// Level is a level that a platform's TCB may have reached.
type Level struct {
	SGX        [16]Component
	TDX        [16]Component
	PCESVN     uint16
	Date       time.Time // tcbDate: no advisory up to that day is left open
	Status     Status
	Advisories []string // that are left open
}

// Component is one of the 16 parts of a TCB.
type Component struct {
	SVN      uint8
	Category string // who updates it, such as "BIOS"; for people, may be empty
	Type     string // what it is, such as "TDX Module"; for people, may be empty
}

// SVNLevel is a level that a TDX module or an enclave may have reached.
type SVNLevel struct {
	ISVSVN     uint16
	Date       time.Time
	Status     Status
	Advisories []string
}

func decodeTCBInfo(body []byte) (*TCBInfo, error) {
	r := newReader(body)
	t := new(TCBInfo)
	r.object("TCB info", func(name string) {
		switch name {
		case "id":
			r.constant("TDX")
		case "version":
			r.exactly(3)
		case "issueDate":
			t.IssueDate = r.date()
		case "nextUpdate":
			t.NextUpdate = r.date()
		case "fmspc":
			r.hex(t.FMSPC[:])
		case "pceId":
			r.hex(t.PCEID[:])
		case "tcbType":
			r.exactly(0)
		case "tcbEvaluationDataNumber":
			t.EvaluationNumber = uint32(r.number(1<<32 - 1))
		case "tdxModule":
			t.Base = r.module(false)
		case "tdxModuleIdentities":
			r.array(name, func() { t.Modules = append(t.Modules, r.module(true)) })
		case "tcbLevels":
			r.array(name, func() { t.Levels = append(t.Levels, r.level()) })
		default:
			r.skip()
		}
	}, "id", "version", "issueDate", "nextUpdate", "fmspc", "pceId", "tcbType", "tcbEvaluationDataNumber", "tdxModule", "tcbLevels")
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := checkPeriod(t.IssueDate, t.NextUpdate); err != nil {
		return nil, err
	}
	return t, t.checkOrder()
}

// module reads tdxModule, or an entry of tdxModuleIdentities, which has an id and
// levels besides.
func (r *reader) module(identity bool) Module {
	var m Module
	required := []string{"mrsigner", "attributes", "attributesMask", "id", "tcbLevels"}
	if !identity {
		required = required[:3]
	}
	r.object("TDX module", func(name string) {
		switch name {
		case "mrsigner":
			r.hex(m.MRSigner[:])
		case "attributes":
			r.hex(m.Attributes[:])
		case "attributesMask":
			r.hex(m.AttributesMask[:])
		case "id":
			m.Version = r.moduleID()
		case "tcbLevels":
			r.array(name, func() { m.Levels = append(m.Levels, r.svnLevel(255)) })
		default:
			r.skip()
		}
	}, required...)
	if !identity && len(m.Levels) > 0 {
		r.fail("tdxModule has levels of its own, want them in tdxModuleIdentities")
	}
	return m
}

// moduleID reads "TDX_01": the version of the module in two hexadecimal digits.
func (r *reader) moduleID() uint8 {
	at := r.at
	s := r.text()
	var version [1]byte
	if len(s) != 6 || s[:4] != "TDX_" || !unhex(version[:], s[4:]) {
		r.failAt(at, "TDX module id %q, want TDX_ and two hexadecimal digits", s)
	}
	return version[0]
}

func (r *reader) level() Level {
	var l Level
	r.object("TCB level", func(name string) {
		switch name {
		case "tcb":
			r.object("tcb", func(name string) {
				switch name {
				case "sgxtcbcomponents":
					r.components(&l.SGX)
				case "tdxtcbcomponents":
					r.components(&l.TDX)
				case "pcesvn":
					l.PCESVN = uint16(r.number(1<<16 - 1))
				default:
					r.skip()
				}
			}, "sgxtcbcomponents", "tdxtcbcomponents", "pcesvn")
		case "tcbDate":
			l.Date = r.date()
		case "tcbStatus":
			l.Status = r.status(Status.ofPlatform)
		case "advisoryIDs":
			l.Advisories = r.advisories()
		default:
			r.skip()
		}
	}, "tcb", "tcbDate", "tcbStatus")
	return l
}

func (r *reader) components(into *[16]Component) {
	at, n := r.at, 0
	r.array("TCB components", func() {
		c := &Component{}
		if n < len(into) {
			c = &into[n]
		}
		n++
		r.object("TCB component", func(name string) {
			switch name {
			case "svn":
				c.SVN = uint8(r.number(255))
			case "category":
				c.Category = r.words()
			case "type":
				c.Type = r.words()
			default:
				r.skip()
			}
		}, "svn")
	})
	if n != len(into) {
		r.failAt(at, "%d TCB components, want %d", n, len(into))
	}
}

// svnLevel reads a level of a TDX module or an enclave.
func (r *reader) svnLevel(most uint64) SVNLevel {
	var l SVNLevel
	r.object("TCB level", func(name string) {
		switch name {
		case "tcb":
			r.object("tcb", func(name string) {
				if name != "isvsvn" {
					r.skip()
					return
				}
				l.ISVSVN = uint16(r.number(most))
			}, "isvsvn")
		case "tcbDate":
			l.Date = r.date()
		case "tcbStatus":
			l.Status = r.status(Status.ofEnclave)
		case "advisoryIDs":
			l.Advisories = r.advisories()
		default:
			r.skip()
		}
	}, "tcb", "tcbDate", "tcbStatus")
	return l
}

func (r *reader) status(allowed func(Status) bool) Status {
	at := r.at
	s, err := ParseStatus(r.text())
	if err != nil {
		r.failAt(at, "%w", err)
	} else if !allowed(s) {
		r.failAt(at, "TCB status %s is not one that a level of this kind has", s)
	}
	return s
}

func (r *reader) advisories() []string {
	all := []string{}
	r.list("advisoryIDs", func() { all = append(all, r.words()) })
	return all
}

func checkPeriod(from, until time.Time) error {
	if !from.Before(until) {
		return fmt.Errorf("issueDate %s is not before nextUpdate %s", from.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	return nil
}

// checkOrder refuses levels that are not in descending order. "The first that
// matches" is the best only if they are; Intel's library sorts, which would make
// a TCB out of a document that Intel did not write that way.
func (t *TCBInfo) checkOrder() error {
	for i := 1; i < len(t.Levels); i++ {
		if t.Levels[i-1].compare(&t.Levels[i]) <= 0 {
			return fmt.Errorf("TCB level %d is not below level %d: levels are not in descending order", i+1, i)
		}
	}
	for i, m := range t.Modules {
		if slices.ContainsFunc(t.Modules[:i], func(other Module) bool { return other.Version == m.Version }) {
			return fmt.Errorf("TDX module identity TDX_%02X twice", m.Version)
		}
		if err := checkSVNOrder(m.Levels); err != nil {
			return fmt.Errorf("TDX module identity TDX_%02X: %w", m.Version, err)
		}
	}
	return nil
}

// compare orders levels as Intel's library does: SGX components from the first,
// PCESVN, TDX components from the first.
func (l *Level) compare(other *Level) int {
	if c := compareComponents(&l.SGX, &other.SGX); c != 0 {
		return c
	}
	if c := int(l.PCESVN) - int(other.PCESVN); c != 0 {
		return c
	}
	return compareComponents(&l.TDX, &other.TDX)
}

func compareComponents(a, b *[16]Component) int {
	for i := range a {
		if c := int(a[i].SVN) - int(b[i].SVN); c != 0 {
			return c
		}
	}
	return 0
}

func checkSVNOrder(levels []SVNLevel) error {
	for i := 1; i < len(levels); i++ {
		if levels[i-1].ISVSVN <= levels[i].ISVSVN {
			return fmt.Errorf("TCB level with isvsvn %d after one with %d: levels are not in descending order", levels[i].ISVSVN, levels[i-1].ISVSVN)
		}
	}
	return nil
}
