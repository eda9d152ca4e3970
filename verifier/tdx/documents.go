package tdx

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/endorse"
	"safebox/verifier/tdx/pcs"
)

// candidate is a genuine document.
type candidate[T any] struct {
	document *T
	signer   *x509.Certificate
}

// documents is TDX-C3, TCB info and QE identity are genuine and of today, and
// TDX-C4, they are new enough. A document that is genuine and has expired fails
// and is looked at nevertheless, so that people learn what it says.
func (v *verification) documents() {
	if v.root == nil {
		return
	}
	const want = "TCB info (TDX, version 3) and QE identity (TD_QE, version 2), signed by Intel's TCB signing certificate, valid at the time"
	signers, err := v.findSigners()
	if err != nil {
		v.log.Fail("TDX-C3", want, "TCB signing certificate: "+err.Error())
		return
	}
	var told string
	infos, err := open(v.in.Endorsements.TCBInfos, signers, pcs.OpenTCBInfo)
	if err != nil {
		v.log.Fail("TDX-C3", want, "TCB info: "+err.Error())
	} else {
		told = v.chooseInfo(infos, want)
	}
	identities, err := open(v.in.Endorsements.Identities, signers, pcs.OpenIdentity)
	if err != nil {
		v.log.Fail("TDX-C3", want, "QE identity: "+err.Error())
	} else {
		told += "; " + v.chooseIdentity(identities, want)
	}
	v.log.Pass("TDX-C3", want, told)
	if v.info != nil && v.identity != nil {
		v.evaluationNumber()
	}
}

// findSigners gives the certificates of the endorsements that the pinned root
// made for signing TCB documents and that are valid.
func (v *verification) findSigners() ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	problem := errors.New("none among the endorsements")
	tried := 0
	for _, c := range v.in.Endorsements.Certificates {
		if c == nil || c.Subject.CommonName != nameTCB || !bytes.Equal(c.RawIssuer, v.root.RawSubject) ||
			slices.ContainsFunc(found, c.Equal) {
			continue
		}
		if tried++; tried > maxCandidates {
			return nil, fmt.Errorf("more than %d", maxCandidates)
		}
		err := chain.CheckPathBy([]*x509.Certificate{c, v.root}, x509.ECDSAWithSHA256)
		if err == nil {
			err = v.in.Rules.Certificate(c)
		}
		if err != nil {
			problem = err
			continue
		}
		found = append(found, c)
	}
	if len(found) == 0 {
		return nil, problem
	}
	return found, nil
}

// open verifies documents with each signer and gives those that are genuine and
// of the kind that is asked for. Others are passed over: a set may hold
// documents for SGX and of other signers.
func open[T any](signed []endorse.Signed, signers []*x509.Certificate, read func(endorse.Signed, *x509.Certificate) (*T, error)) ([]candidate[T], error) {
	if len(signed) > maxCandidates {
		return nil, fmt.Errorf("got %d, want at most %d", len(signed), maxCandidates)
	}
	var found []candidate[T]
	problem := errors.New("none among the endorsements")
	for _, s := range signed {
		for _, signer := range signers {
			document, err := read(s, signer)
			if err != nil {
				problem = err
				continue
			}
			found = append(found, candidate[T]{document, signer})
			break
		}
	}
	if len(found) == 0 {
		return nil, problem
	}
	return found, nil
}

// chooseInfo takes the TCB info of the quote's platform; of several one that is
// valid, then the newest.
func (v *verification) chooseInfo(found []candidate[pcs.TCBInfo], want string) string {
	best := slices.MaxFunc(found, func(a, b candidate[pcs.TCBInfo]) int {
		x, y := a.document, b.document
		return firstOf(
			truth(v.ofPlatform(x), v.ofPlatform(y)),
			truth(v.inTime(x.IssueDate, x.NextUpdate), v.inTime(y.IssueDate, y.NextUpdate)),
			int(x.EvaluationNumber)-int(y.EvaluationNumber), x.IssueDate.Compare(y.IssueDate))
	})
	v.info = best.document
	v.addSigner(best.signer)
	what := fmt.Sprintf("TCB info of FMSPC %X", v.info.FMSPC)
	v.current(what, v.info.IssueDate, v.info.NextUpdate, want)
	return fmt.Sprintf("%s, of %s to %s", what, date(v.info.IssueDate), date(v.info.NextUpdate))
}

func (v *verification) ofPlatform(t *pcs.TCBInfo) bool {
	return v.pck != nil && t.CheckPlatform(v.pck.pck) == nil
}

// chooseIdentity takes an identity that is valid; of several the newest.
func (v *verification) chooseIdentity(found []candidate[pcs.Identity], want string) string {
	best := slices.MaxFunc(found, func(a, b candidate[pcs.Identity]) int {
		x, y := a.document, b.document
		return firstOf(
			truth(v.inTime(x.IssueDate, x.NextUpdate), v.inTime(y.IssueDate, y.NextUpdate)),
			int(x.EvaluationNumber)-int(y.EvaluationNumber), x.IssueDate.Compare(y.IssueDate))
	})
	v.identity = best.document
	v.addSigner(best.signer)
	v.current("QE identity", v.identity.IssueDate, v.identity.NextUpdate, want)
	return fmt.Sprintf("QE identity of %s to %s", date(v.identity.IssueDate), date(v.identity.NextUpdate))
}

// addSigner notes a certificate that TDX-C2 must not find revoked.
func (v *verification) addSigner(c *x509.Certificate) {
	if !slices.ContainsFunc(v.signers, c.Equal) {
		v.signers = append(v.signers, c)
	}
}

func (v *verification) inTime(from, until time.Time) bool {
	_, err := v.in.Rules.Document("document", from, until, chain.AgeTCB)
	return err == nil
}

// current fails TDX-C3 if a document does not count at the time.
func (v *verification) current(what string, from, until time.Time, want string) {
	grace, err := v.in.Rules.Document(what, from, until, chain.AgeTCB)
	if err != nil {
		v.log.Fail("TDX-C3", want, err.Error())
		return
	}
	v.graceUsed(what, grace)
}

// graceUsed tells that something had expired and was taken nevertheless.
func (v *verification) graceUsed(what string, grace time.Duration) {
	if grace > 0 {
		v.grace = true
		v.log.Waive("expiry of "+what, fmt.Sprintf("it expired %v before the time of the verdict, within the grace of %v", grace, v.in.Rules.Grace))
	}
}

// evaluationNumber is TDX-C4. A TCB recovery raises the number; documents from
// before it stay valid for up to 30 days, and hide it. The documents of one
// series have one number.
func (v *verification) evaluationNumber() {
	info, identity, least := v.info.EvaluationNumber, v.identity.EvaluationNumber, v.policy.EvalNumberMin
	want := fmt.Sprintf("tcbEvaluationDataNumber of at least %d, the same in both, series %q", least, v.policy.Series)
	got := fmt.Sprintf("TCB info %d, QE identity %d", info, identity)
	if least == 0 || v.policy.Series == "" {
		v.log.Fail("TDX-C4", "a least tcbEvaluationDataNumber and a series: the policy states none", got)
		return
	}
	v.log.Record("TDX-C4", info >= least && info == identity, want, got)
	v.observe(uint64(min(info, identity)))
}

// observe notes for the rollback memory what never falls: the number of the
// series, and the dates of the documents.
func (v *verification) observe(number uint64) {
	v.log.Observe("tcb-eval/"+v.policy.Series, number)
	for _, d := range []struct {
		key string
		of  time.Time
	}{
		{fmt.Sprintf("tcb-time/%s/%x", v.policy.Series, v.info.FMSPC), v.info.IssueDate},
		{fmt.Sprintf("tcb-time/%s/qe-identity", v.policy.Series), v.identity.IssueDate},
	} {
		if at := d.of.Unix(); at > 0 {
			v.log.Observe(d.key, uint64(at))
			v.log.Observe(memoryTime, uint64(at))
		}
	}
}

// memoryTime is the rollback memory's key of times that somebody has signed.
const memoryTime = "time"

// truth orders false before true.
func truth(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// firstOf gives the first comparison that tells two things apart.
func firstOf(comparisons ...int) int {
	for _, c := range comparisons {
		if c != 0 {
			return c
		}
	}
	return 0
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
