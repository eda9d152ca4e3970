package pcs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// Identity is an enclave identity of id TD_QE and version 2 (PCS API version 4,
// Get TDX QE Identity): what Intel's quoting enclave for TDX must be. It is made
// by OpenIdentity.
type Identity struct {
	IssueDate        time.Time
	NextUpdate       time.Time
	EvaluationNumber uint32 // tcbEvaluationDataNumber
	MiscSelect       [4]byte
	MiscSelectMask   [4]byte
	Attributes       [16]byte
	AttributesMask   [16]byte
	MRSigner         [32]byte
	ISVProdID        uint16
	Levels           []SVNLevel // the best first
}

// ReportSize is that of an enclave report in a quote, in bytes.
const ReportSize = 384

// Where an enclave report has its fields (Intel SDM volume 3D, REPORT structure,
// without KEYID and MAC; DCAP quote library, Enclave Report Body).
const (
	miscSelectAt = 16
	attributesAt = 48
	mrSignerAt   = 128
	isvProdIDAt  = 256
	isvSVNAt     = 258
)

func decodeIdentity(body []byte) (*Identity, error) {
	r := newReader(body)
	q := new(Identity)
	r.object("enclave identity", func(name string) {
		switch name {
		case "id":
			r.constant("TD_QE")
		case "version":
			r.exactly(2)
		case "issueDate":
			q.IssueDate = r.date()
		case "nextUpdate":
			q.NextUpdate = r.date()
		case "tcbEvaluationDataNumber":
			q.EvaluationNumber = uint32(r.number(1<<32 - 1))
		case "miscselect":
			r.hex(q.MiscSelect[:])
		case "miscselectMask":
			r.hex(q.MiscSelectMask[:])
		case "attributes":
			r.hex(q.Attributes[:])
		case "attributesMask":
			r.hex(q.AttributesMask[:])
		case "mrsigner":
			r.hex(q.MRSigner[:])
		case "isvprodid":
			q.ISVProdID = uint16(r.number(1<<16 - 1))
		case "tcbLevels":
			r.array(name, func() { q.Levels = append(q.Levels, r.svnLevel(1<<16-1)) })
		default:
			r.skip()
		}
	}, "id", "version", "issueDate", "nextUpdate", "tcbEvaluationDataNumber", "miscselect", "miscselectMask",
		"attributes", "attributesMask", "mrsigner", "isvprodid", "tcbLevels")
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := checkPeriod(q.IssueDate, q.NextUpdate); err != nil {
		return nil, err
	}
	return q, checkSVNOrder(q.Levels)
}

// Check says whether the enclave of a report is the one that Intel describes:
// MRSIGNER, ISVPRODID, and MISCSELECT and ATTRIBUTES under their masks.
func (q *Identity) Check(report *[ReportSize]byte) error {
	if got := report[mrSignerAt : mrSignerAt+32]; !bytes.Equal(got, q.MRSigner[:]) {
		return fmt.Errorf("quoting enclave: MRSIGNER %x, want %x", got, q.MRSigner)
	}
	if got := binary.LittleEndian.Uint16(report[isvProdIDAt:]); got != q.ISVProdID {
		return fmt.Errorf("quoting enclave: ISVPRODID %d, want %d", got, q.ISVProdID)
	}
	if got := report[miscSelectAt : miscSelectAt+4]; !masked(got, q.MiscSelectMask[:], q.MiscSelect[:]) {
		return fmt.Errorf("quoting enclave: MISCSELECT %x, want %x under mask %x", got, q.MiscSelect, q.MiscSelectMask)
	}
	if got := report[attributesAt : attributesAt+16]; !masked(got, q.AttributesMask[:], q.Attributes[:]) {
		return fmt.Errorf("quoting enclave: ATTRIBUTES %x, want %x under mask %x", got, q.Attributes, q.AttributesMask)
	}
	return nil
}

// Match finds the TCB level of the enclave of a report.
func (q *Identity) Match(report *[ReportSize]byte) (Match, error) {
	return matchSVN("quoting enclave", binary.LittleEndian.Uint16(report[isvSVNAt:]), q.Levels)
}

// masked reports whether got equals want where mask has ones.
func masked(got, mask, want []byte) bool {
	for i := range got {
		if got[i]&mask[i] != want[i] {
			return false
		}
	}
	return true
}
