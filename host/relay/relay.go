// Package relay passes a guest's API on to callers on this host, and adds what
// the host itself can say. It serves the paths of verifier/guestapi, in the
// same forms, and nothing else; a configuration document or a job may come
// through it, and decide nothing here. The relay is not trusted by callers
// (the host is the adversary), and it does not trust the guest: sizes and
// times are bounded in both directions, and no header of either side passes.
//
// Shards go the other way: the host keeps a connection to the guest open, on
// which the guest asks for shards of objects (ServeShards).
package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"safebox/verifier/bootreport"
	"safebox/verifier/challenge"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
)

// InstancePath is the path of the host's own words: an Instance as JSON.
const InstancePath = "/v1/instance"

// maxRequests is how many requests may be under way at the same time.
const maxRequests = 16

// IDs of the relay's own problems.
const (
	problemPath   = "relay-path"   // no such path
	problemMethod = "relay-method" // the path has another method
	problemBody   = "relay-body"   // a body that the path does not take
	problemBusy   = "relay-busy"   // maxRequests are under way
	problemGuest  = "relay-guest"  // no answer, or none that may pass
	problemOrigin = "relay-origin" // a web page's request
	problemShards = "relay-shards" // this host has no shards
	problemHost   = "relay-host"   // the host can't describe itself
)

const (
	mediaJSON   = "application/json"
	mediaOctets = "application/octet-stream"
)

// Relay answers for one guest.
type Relay struct {
	guest    string // host:port
	client   *Client
	instance func() any
	shards   http.Handler
	slots    chan struct{}
}

// New makes a relay to the guest that listens at addr, a loopback host:port.
// What instance returns is shown at InstancePath. shards answers requests
// below guestapi.ShardPath; nil means that there are none.
func New(addr string, instance func() any, shards http.Handler) *Relay {
	return &Relay{
		guest: addr, client: NewClient("http://" + addr), instance: instance, shards: shards,
		slots: make(chan struct{}, maxRequests),
	}
}

// Client asks the relay's guest.
func (r *Relay) Client() *Client { return r.client }

// Server is an HTTP server for the relay with its limits set.
func (r *Relay) Server() *http.Server {
	return &http.Server{
		Handler:           r.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second, // of a shard; forward sets its own
		WriteTimeout:      30 * time.Second, // likewise
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    maxHeader,
	}
}

// Handler serves the paths. Web pages are kept out: a browser on this machine
// reaches the port too, and a page from anywhere could post a job.
func (r *Relay) Handler() http.Handler {
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusForbidden, problemOrigin, errors.New("requests of web pages are not passed on"))
	}))
	return own.Handler(http.HandlerFunc(r.serve))
}

func (r *Relay) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == InstancePath {
		r.describe(w, req)
		return
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		fail(w, http.StatusServiceUnavailable, problemBusy, fmt.Errorf("%d requests are under way already", maxRequests))
		return
	}
	rt := find(req.URL.Path)
	switch {
	case rt != nil:
		r.forward(w, req, rt)
	case !strings.HasPrefix(req.URL.Path, guestapi.ShardPath):
		fail(w, http.StatusNotFound, problemPath, errors.New("no such path"))
	case r.shards == nil:
		fail(w, http.StatusNotFound, problemShards, errors.New("this host was started without shards"))
	default:
		r.shards.ServeHTTP(w, req)
	}
}

func (r *Relay) describe(w http.ResponseWriter, req *http.Request) {
	if !allowed(w, req, &route{method: http.MethodGet}) {
		return
	}
	b, err := json.Marshal(r.instance())
	if err != nil {
		fail(w, http.StatusInternalServerError, problemHost, err)
		return
	}
	answer(w, http.StatusOK, mediaJSON, append(b, '\n'))
}

// route is one path of the guest, or one kind of path.
type route struct {
	method string
	media  string
	body   int64 // most bytes; 0: there is none
	answer int64 // most bytes
	time   time.Duration
	large  bool // the answer is not held here: it streams
}

// find gives the route of a path that is the guest's, else nil.
func find(path string) *route {
	switch path {
	case guestapi.HealthPath:
		return &route{http.MethodGet, mediaJSON, 0, maxHealth, memoryTime, false}
	case guestapi.ReportPath:
		return &route{http.MethodGet, mediaJSON, 0, bootreport.MaxSize + 1, memoryTime, false} // and a newline
	case guestapi.IdentityPath:
		return &route{http.MethodGet, mediaJSON, 0, guestapi.MaxIdentity, keeperTime, false}
	case guestapi.ConfigurationPath:
		return &route{http.MethodPost, mediaJSON, configuration.MaxSize, 0, keeperTime, false}
	case guestapi.EvidencePath:
		return &route{http.MethodPost, mediaJSON, challenge.MaxSize, evidence.MaxSize, keeperTime, false}
	case guestapi.JobsPath:
		return &route{http.MethodPost, mediaJSON, int64(guestapi.MaxJob), guestapi.MaxStatus, keeperTime, false}
	}
	return findJob(path)
}

func findJob(path string) *route {
	name, ok := strings.CutPrefix(path, guestapi.JobsPath+"/")
	if !ok {
		return nil
	}
	name, what, result := strings.Cut(name, "/")
	if _, err := guestapi.ParseJobID(name); err != nil || result && what != "result" {
		return nil
	}
	if result {
		return &route{http.MethodGet, mediaOctets, 0, guestapi.MaxResult, keeperTime, true}
	}
	return &route{http.MethodGet, mediaJSON, 0, guestapi.MaxStatus, keeperTime, false}
}

// forward asks the guest for the request's path, without the request's query
// or headers. A body streams through.
func (r *Relay) forward(w http.ResponseWriter, req *http.Request, rt *route) {
	if !allowed(w, req, rt) || !bodyFits(w, req, rt) {
		return
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(transferTime(req.ContentLength))); err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
	q := question{
		method: rt.method, path: req.URL.Path, size: req.ContentLength, limit: rt.answer,
		time: rt.time + transferTime(req.ContentLength) + transferTime(rt.answer),
	}
	if rt.body > 0 {
		q.body = io.NopCloser(req.Body) // the server closes it, and nobody else
	}
	if rt.large {
		r.stream(w, req, q, rt.media)
		return
	}
	status, body, err := r.client.ask(req.Context(), q)
	if err != nil {
		fail(w, http.StatusBadGateway, problemGuest, fmt.Errorf("asking the guest for %s: %w", q.path, err))
		return
	}
	answer(w, status, rt.media, body)
}

// stream passes a large answer on as it comes. When it breaks off, the
// caller's connection does: the length that was promised tells.
func (r *Relay) stream(w http.ResponseWriter, req *http.Request, q question, media string) {
	a, err := r.client.open(req.Context(), q)
	if err != nil {
		fail(w, http.StatusBadGateway, problemGuest, fmt.Errorf("asking the guest for %s: %w", q.path, err))
		return
	}
	limit := q.limit
	if a.StatusCode != http.StatusOK {
		media, limit = mediaJSON, guestapi.MaxProblem
	}
	if a.ContentLength < 0 || a.ContentLength > limit {
		err := errors.Join(fmt.Errorf("answer of %d bytes, want 0 to %d, known in advance", a.ContentLength, limit), a.close())
		fail(w, http.StatusBadGateway, problemGuest, fmt.Errorf("asking the guest for %s: %w", q.path, err))
		return
	}
	begin(w, a.StatusCode, media, a.ContentLength)
	_, err = io.Copy(w, a.Body)
	if errors.Join(err, a.close()) != nil {
		panic(http.ErrAbortHandler)
	}
}

// allowed answers a request with another method than the path's.
func allowed(w http.ResponseWriter, req *http.Request, rt *route) bool {
	if req.Method == rt.method {
		return true
	}
	w.Header().Set("Allow", rt.method)
	fail(w, http.StatusMethodNotAllowed, problemMethod, fmt.Errorf("only %s is allowed", rt.method))
	return false
}

// bodyFits answers a request whose body the guest would not take.
func bodyFits(w http.ResponseWriter, req *http.Request, rt *route) bool {
	switch {
	case rt.body == 0 && req.ContentLength != 0:
		fail(w, http.StatusBadRequest, problemBody, errors.New("want no body"))
	case req.ContentLength < 0:
		fail(w, http.StatusLengthRequired, problemBody, errors.New("want a body with its length in advance (Content-Length)"))
	case rt.body > 0 && req.ContentLength == 0:
		fail(w, http.StatusBadRequest, problemBody, errors.New("want a body"))
	case req.ContentLength > rt.body:
		fail(w, http.StatusRequestEntityTooLarge, problemBody, fmt.Errorf("want a body of at most %d bytes", rt.body))
	default:
		return true
	}
	return false
}

// answer sends body as the media type that the path has, whatever the guest
// called it: a browser must not take it for a page.
func answer(w http.ResponseWriter, status int, media string, body []byte) {
	begin(w, status, media, int64(len(body)))
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
}

// begin sends the header; the time for the body starts now.
func begin(w http.ResponseWriter, status int, media string, size int64) {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(transferTime(size))); err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
	w.WriteHeader(status)
}

// fail answers with a problem of the relay's own.
func fail(w http.ResponseWriter, status int, id string, err error) {
	b, encodeErr := guestapi.EncodeProblem(&guestapi.Problem{ID: id, Detail: err.Error()})
	if encodeErr != nil {
		panic(encodeErr) // our own IDs are constants
	}
	answer(w, status, mediaJSON, b)
}
