// Package pcstest is for tests: it makes what Intel would say about a TDX
// platform, with one value changed where a test wants it, and signs it. The
// documents are put together as text, so that they do not depend on the code that
// reads them.
package pcstest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"safebox/verifier/endorse"
)

// TCBInfo is what a TCB info of id TDX says. Text fields are put into the JSON as
// they are. Start with NewTCBInfo.
type TCBInfo struct {
	ID         string
	Version    int
	IssueDate  string
	NextUpdate string
	FMSPC      string
	PCEID      string
	TCBType    int
	Evaluation uint32
	Module     Module   // tdxModule
	Modules    []Module // tdxModuleIdentities; left out if nil
	Levels     []Level
	Extra      string // more members of the outermost object, such as `,"later":1`
}

// Module is tdxModule (without ID and Levels) or an entry of
// tdxModuleIdentities.
type Module struct {
	ID         string
	MRSigner   string
	Attributes string
	Mask       string
	Levels     []SVNLevel
}

// Level is a TCB level of a platform.
type Level struct {
	SGX, TDX   [16]uint8
	PCESVN     uint16
	Date       string
	Status     string
	Advisories []string // left out if nil
}

// SVNLevel is a TCB level of a TDX module or a quoting enclave.
type SVNLevel struct {
	ISVSVN     uint16
	Date       string
	Status     string
	Advisories []string // left out if nil
}

// NewTCBInfo makes a TCB info of the platform of NewPCKExtension, with TEE_TCB_SVN
// up to {7, 1, 2}: two platform levels, and the modules TDX_03 and TDX_01.
func NewTCBInfo(issued, next string) *TCBInfo {
	zero := strings.Repeat("00", 48)
	module := func(id string, levels ...SVNLevel) Module {
		return Module{ID: id, MRSigner: zero, Attributes: "0000000000000000", Mask: "FFFFFFFFFFFFFFFF", Levels: levels}
	}
	sgx := [16]uint8{3, 3, 2, 2, 4, 1, 0, 5}
	tdx := [16]uint8{5, 0, 2}
	return &TCBInfo{
		ID: "TDX", Version: 3, IssueDate: issued, NextUpdate: next,
		FMSPC: "90C06F000000", PCEID: "0000", Evaluation: 21,
		Module: module(""),
		Modules: []Module{
			module("TDX_03", SVNLevel{ISVSVN: 3, Date: "2026-05-13T00:00:00Z", Status: "UpToDate"}),
			module("TDX_01",
				SVNLevel{ISVSVN: 7, Date: "2026-05-13T00:00:00Z", Status: "UpToDate"},
				SVNLevel{ISVSVN: 4, Date: "2024-11-13T00:00:00Z", Status: "OutOfDate", Advisories: []string{"INTEL-SA-01397"}}),
		},
		Levels: []Level{
			{SGX: sgx, TDX: tdx, PCESVN: 13, Date: "2026-05-13T00:00:00Z", Status: "UpToDate"},
			{SGX: sgx, TDX: tdx, PCESVN: 5, Date: "2018-01-04T00:00:00Z", Status: "OutOfDate", Advisories: []string{"INTEL-SA-00106", "INTEL-SA-00115"}},
		},
	}
}

// JSON writes it as Intel does: without white space, in Intel's order.
func (t *TCBInfo) JSON() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"id":"%s","version":%d,"issueDate":"%s","nextUpdate":"%s","fmspc":"%s","pceId":"%s","tcbType":%d,"tcbEvaluationDataNumber":%d,"tdxModule":%s`,
		t.ID, t.Version, t.IssueDate, t.NextUpdate, t.FMSPC, t.PCEID, t.TCBType, t.Evaluation, t.Module.json(false))
	if t.Modules != nil {
		b.WriteString(`,"tdxModuleIdentities":` + list(t.Modules, func(m Module) string { return m.json(true) }))
	}
	b.WriteString(`,"tcbLevels":` + list(t.Levels, Level.json) + t.Extra + "}")
	return b.String()
}

func (m Module) json(identity bool) string {
	s := fmt.Sprintf(`"mrsigner":"%s","attributes":"%s","attributesMask":"%s"`, m.MRSigner, m.Attributes, m.Mask)
	if !identity {
		return "{" + s + "}"
	}
	return fmt.Sprintf(`{"id":"%s",%s,"tcbLevels":%s}`, m.ID, s, list(m.Levels, SVNLevel.json))
}

func (l Level) json() string {
	svn := func(n uint8) string { return fmt.Sprintf(`{"svn":%d}`, n) }
	return fmt.Sprintf(`{"tcb":{"sgxtcbcomponents":%s,"pcesvn":%d,"tdxtcbcomponents":%s},"tcbDate":"%s","tcbStatus":"%s"%s}`,
		list(l.SGX[:], svn), l.PCESVN, list(l.TDX[:], svn), l.Date, l.Status, advisories(l.Advisories))
}

func (l SVNLevel) json() string {
	return fmt.Sprintf(`{"tcb":{"isvsvn":%d},"tcbDate":"%s","tcbStatus":"%s"%s}`, l.ISVSVN, l.Date, l.Status, advisories(l.Advisories))
}

func advisories(ids []string) string {
	if ids == nil {
		return ""
	}
	return `,"advisoryIDs":` + list(ids, func(id string) string { return `"` + id + `"` })
}

func list[T any](all []T, text func(T) string) string {
	parts := make([]string, len(all))
	for i, one := range all {
		parts[i] = text(one)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// Identity is what an identity of a quoting enclave says. Text fields are put
// into the JSON as they are. Start with NewIdentity.
type Identity struct {
	ID         string
	Version    int
	IssueDate  string
	NextUpdate string
	Evaluation uint32
	MiscSelect string
	MiscMask   string
	Attributes string
	Mask       string
	MRSigner   string
	ISVProdID  uint16
	Levels     []SVNLevel
	Extra      string // more members of the outermost object
}

// NewIdentity makes the identity of Intel's quoting enclave for TDX, with the
// values that Intel's own has, and two levels: ISVSVN 4 and 2.
func NewIdentity(issued, next string) *Identity {
	return &Identity{
		ID: "TD_QE", Version: 2, IssueDate: issued, NextUpdate: next, Evaluation: 21,
		MiscSelect: "00000000", MiscMask: "FFFFFFFF",
		Attributes: "11000000000000000000000000000000", Mask: "FBFFFFFFFFFFFFFF0000000000000000",
		MRSigner:  "DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5",
		ISVProdID: 2,
		Levels: []SVNLevel{
			{ISVSVN: 4, Date: "2026-05-13T00:00:00Z", Status: "UpToDate"},
			{ISVSVN: 2, Date: "2023-08-09T00:00:00Z", Status: "OutOfDate", Advisories: []string{"INTEL-SA-00837"}},
		},
	}
}

// JSON writes it as Intel does.
func (q *Identity) JSON() string {
	return fmt.Sprintf(`{"id":"%s","version":%d,"issueDate":"%s","nextUpdate":"%s","tcbEvaluationDataNumber":%d,"miscselect":"%s","miscselectMask":"%s","attributes":"%s","attributesMask":"%s","mrsigner":"%s","isvprodid":%d,"tcbLevels":%s%s}`,
		q.ID, q.Version, q.IssueDate, q.NextUpdate, q.Evaluation, q.MiscSelect, q.MiscMask, q.Attributes, q.Mask, q.MRSigner, q.ISVProdID,
		list(q.Levels, SVNLevel.json), q.Extra)
}

// Sign signs a body as Intel does: ECDSA over its SHA-256, r || s.
func Sign(t testing.TB, key *ecdsa.PrivateKey, body string) endorse.Signed {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return endorse.Signed{Body: []byte(body), Signature: append(bytes32(r), bytes32(s)...)}
}

func bytes32(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

// Edit replaces the only occurrence of old in a text.
func Edit(t testing.TB, text, old, changed string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q is %d times in the text, want 1", old, n)
	}
	return strings.Replace(text, old, changed, 1)
}
