// Package api is the HTTP API of the guest (specs/protocol.md 7, process
// "api"): it parses what the network sends, and holds no key and no
// privilege. It only frames: it bounds sizes and times, and hands what it got
// to the keeper, which decides. Paths are those of verifier/guestapi;
// docs/format-boot-report.md describes the boot report.
//
// What it takes is HTTP/1.1 and 1.0, one request a connection, and strictly:
//
//  1. the request line names one of the paths, byte for byte: no query, no
//     escapes, no other spelling;
//  2. the method is the path's own: no HEAD;
//  3. a path that takes no body gets none, one that takes a body gets its
//     length (Content-Length) in advance, at least 1 and within the path's
//     limit: no chunked bodies. Its Content-Type and other headers mean
//     nothing;
//  4. the body arrives within a time that its length gives.
//
// Answers are 200 or a guestapi.Problem.
package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"safebox/guest/wire"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
)

// health is the answer to guestapi.HealthPath.
const health = `{"status":"ok","type":"safebox/health/v1"}`

// IDs of this process's own problems.
const (
	problemPath   = "http-path"   // no such path
	problemMethod = "http-method" // the path has another method
	problemBody   = "http-body"   // a body that the path does not take
	problemBusy   = "http-busy"   // as many requests of this kind as there may be are under way
	problemKeeper = "keeper"      // the keeper does not answer: the machine is about to power off
)

// Keeper answers calls: a *wire.Client.
type Keeper interface {
	Call(op uint8, body []byte) ([]byte, error)
}

// route is one path, or one kind of path.
type route struct {
	method string
	media  string
	op     uint8         // of package wire
	body   int           // most bytes; 0: there is none
	answer int           // most bytes
	slots  chan struct{} // taken while a request's body or answer is in memory
}

// handler answers requests.
type handler struct {
	report []byte
	keeper Keeper
	shards *Shards
	exact  map[string]*route
	status *route // guestapi.JobPath
	result *route // guestapi.ResultPath
}

// NewHandler answers for health and for the boot report, which is encoded
// already, passes everything else to keeper, and gives connections that the
// host opens for shards to shards. It matches paths as they were sent:
// http.ServeMux would clean them and redirect.
//
// Memory that requests can claim is bounded by the slots: the sum over the
// routes of slots * (body + answer), see TestMemoryBound. Beyond that there
// are maxConnections buffers of at most maxHeader.
func NewHandler(report []byte, keeper Keeper, shards *Shards) http.Handler {
	const media, octets = "application/json", "application/octet-stream"
	slots := func(n int) chan struct{} { return make(chan struct{}, n) }
	return &handler{
		report: line(report), keeper: keeper, shards: shards,
		exact: map[string]*route{
			guestapi.IdentityPath:      {http.MethodGet, media, wire.OpIdentity, 0, guestapi.MaxIdentity, slots(4)},
			guestapi.ConfigurationPath: {http.MethodPost, media, wire.OpConfigure, configuration.MaxSize, 0, slots(1)},
			guestapi.EvidencePath:      {http.MethodPost, media, wire.OpEvidence, challenge.MaxSize, evidence.MaxSize, slots(4)},
			guestapi.JobsPath:          {http.MethodPost, media, wire.OpSubmit, guestapi.MaxJob, guestapi.MaxStatus, slots(1)},
		},
		status: &route{http.MethodGet, media, wire.OpStatus, 0, guestapi.MaxStatus, slots(16)},
		result: &route{http.MethodGet, octets, wire.OpResult, 0, guestapi.MaxResult, slots(1)},
	}
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// One answer, then the connection ends: no state between requests.
	w.Header().Set("Connection", "close")
	switch r.RequestURI {
	case guestapi.HealthPath:
		h.constant(w, r, line([]byte(health)))
	case guestapi.ReportPath:
		h.constant(w, r, h.report)
	case guestapi.ShardChannelPath:
		h.openChannel(w, r)
	default:
		rt, id := h.find(r.RequestURI)
		if rt == nil {
			refuse(w, http.StatusNotFound, problemPath, "no such path")
			return
		}
		h.pass(w, r, rt, id)
	}
}

// find gives the route of a path, nil if there is none, and the job's
// identifier if the path names one.
func (h *handler) find(uri string) (*route, []byte) {
	if rt, ok := h.exact[uri]; ok {
		return rt, nil
	}
	name, ok := strings.CutPrefix(uri, guestapi.JobPath(""))
	if !ok {
		return nil, nil
	}
	rt := h.status
	if short, ok := strings.CutSuffix(name, guestapi.ResultPath("")[len(guestapi.JobPath("")):]); ok {
		name, rt = short, h.result
	}
	id, err := guestapi.ParseJobID(name)
	if err != nil {
		return nil, nil
	}
	return rt, id[:]
}

// line ends a document, for people who look at it.
func line(b []byte) []byte { return append(b[:len(b):len(b)], '\n') }

// constant answers what is in memory anyway, however many ask for it: no copy.
func (h *handler) constant(w http.ResponseWriter, r *http.Request, body []byte) {
	if !allowed(w, r, http.MethodGet) || !bodyFits(w, r, 0) {
		return
	}
	answer(w, http.StatusOK, "application/json", body)
}

// pass hands a request to the keeper and its answer back.
func (h *handler) pass(w http.ResponseWriter, r *http.Request, rt *route, id []byte) {
	if !allowed(w, r, rt.method) || !bodyFits(w, r, rt.body) {
		return
	}
	select {
	case rt.slots <- struct{}{}:
		defer func() { <-rt.slots }()
	default:
		busy(w, r)
		return
	}
	body := id
	if rt.body > 0 {
		body = make([]byte, r.ContentLength)
		if !receive(w, r, func() error { _, err := io.ReadFull(r.Body, body); return err }) {
			return
		}
	}
	out, err := h.keeper.Call(rt.op, body)
	if err == nil && len(out) > rt.answer {
		err = errTooLong
	}
	if err != nil {
		failed(w, err)
		return
	}
	answer(w, http.StatusOK, rt.media, out)
}

// errTooLong is for an answer of the keeper that it should not have made.
var errTooLong = errors.New("answer is too long")

// busy refuses, after it has read the body: a client that is still sending
// would not see the answer.
func busy(w http.ResponseWriter, r *http.Request) {
	if !receive(w, r, func() error { _, err := io.Copy(io.Discard, r.Body); return err }) {
		return
	}
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, problemBusy, "too many requests of this kind are under way")
}

// allowed answers a request with another method than the path's.
func allowed(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method {
		return true
	}
	w.Header().Set("Allow", method)
	refuse(w, http.StatusMethodNotAllowed, problemMethod, "only "+method+" is allowed")
	return false
}

// bodyFits answers a request whose body is not of a length that the path takes.
func bodyFits(w http.ResponseWriter, r *http.Request, limit int) bool {
	switch {
	case limit == 0 && r.ContentLength != 0:
		refuse(w, http.StatusBadRequest, problemBody, "want no body")
	case r.ContentLength < 0 || len(r.TransferEncoding) > 0:
		refuse(w, http.StatusLengthRequired, problemBody, "want a body with its length in advance (Content-Length)")
	case limit > 0 && r.ContentLength == 0:
		refuse(w, http.StatusBadRequest, problemBody, "want a body")
	case r.ContentLength > int64(limit):
		refuse(w, http.StatusRequestEntityTooLarge, problemBody, "want a body of at most "+strconv.Itoa(limit)+" bytes")
	default:
		return true
	}
	return false
}

// receive runs read, which reads the body, and answers if the body does not
// arrive whole and in time.
func receive(w http.ResponseWriter, r *http.Request, read func() error) bool {
	err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(transferTime(r.ContentLength)))
	if err == nil {
		err = read()
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, os.ErrDeadlineExceeded):
		refuse(w, http.StatusRequestTimeout, problemBody, "the body took too long")
	default:
		refuse(w, http.StatusBadRequest, problemBody, "the body is shorter than its length says")
	}
	return false
}

// transferTime is how long a body or an answer of that many bytes may take.
func transferTime(size int64) time.Duration {
	return transferBase + time.Duration(size/transferRate)*time.Second
}
