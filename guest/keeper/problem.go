package keeper

import (
	"fmt"
	"strings"

	"safebox/verifier/guestapi"
)

// Identifiers of what the keeper refuses. Those of packages grant and object
// come on top.
const (
	ProblemRequest       = "request-format"   // a request not as package wire says
	ProblemChallenge     = "challenge-format" // not a challenge
	ProblemChallengeFull = "challenge-full"   // maxChallenges are open
	ProblemEnroll        = "challenge-enroll" // the TPM can't answer the credential
	ProblemConfigFormat  = "config-format"    // not a configuration document
	ProblemConfigLate    = "config-late"      // configured, or quoted, already
	ProblemGrantOpen     = "grant-challenge"  // for no challenge that is open here
	ProblemGrantSerial   = "grant-serial"     // second use
	ProblemGrantLimit    = "grant-limit"      // this boot took as many as its log has room for
	ProblemGrantLease    = "grant-lease"      // the time is over
	ProblemGrantRanges   = "grant-ranges"     // chunks that the object does not have
	ProblemJobFormat     = "job-format"       // not a job
	ProblemJobModule     = "job-module"       // another module than the grant's
	ProblemJobParams     = "job-params"       // other parameters than the grant's
	ProblemJobBusy       = "job-busy"         // another job runs
	ProblemJobUnknown    = "job-unknown"      // no such job, or forgotten
	ProblemJobOutput     = "job-output"       // more output than is allowed
	ProblemJobWorker     = "job-worker"       // the worker did not keep to package wire
	ProblemRunning       = "job-running"      // no result yet
	ProblemWorkerStart   = "worker-start"     // no worker could be started
)

// maxDetail is what a Problem has room for (guestapi), with some left.
const maxDetail = 900

func problem(id, format string, args ...any) *guestapi.Problem {
	detail := fmt.Sprintf(format, args...)
	if len(detail) > maxDetail {
		detail = detail[:maxDetail]
	}
	return &guestapi.Problem{ID: id, Detail: strings.ToValidUTF8(detail, "?")}
}
