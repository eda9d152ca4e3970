package pcs

import (
	"fmt"
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

func checkPeriod(from, until time.Time) error {
	if !from.Before(until) {
		return fmt.Errorf("issueDate %s is not before nextUpdate %s", from.Format(time.RFC3339), until.Format(time.RFC3339))
	}
	return nil
}
