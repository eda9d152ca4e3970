package tlog

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
	"safebox/verifier/release/record"
)

// Paths that the log serves besides those of tlog-tiles.
const (
	// EntriesPath takes an entry by POST. The answer is a Receipt as JSON: 201,
	// or 200 if the log had the entry.
	EntriesPath = "/v1/entries"
	// ProofPath and 64 digits of hex, the entry's leaf hash (RFC 6962, section
	// 2.1), is the entry's tlog-proof under the published checkpoint.
	ProofPath = "/v1/proof/"
)

const (
	// maxRequests is how many appends, and how many other requests, may be under
	// way at the same time. Appends may all wait for witnesses; the log can be
	// read meanwhile.
	maxRequests = 256
	// maxHeader bounds the header of a request or answer, in bytes.
	maxHeader = 16 << 10
	// appendTime is how long an entry waits for its checkpoint.
	appendTime = 30 * time.Second
)

// Identifiers in the answers that refuse.
const (
	problemPath      = "log-path"      // no such path
	problemMethod    = "log-method"    // method that is not served
	problemOrigin    = "log-origin"    // a web page's request
	problemBusy      = "log-busy"      // too many requests are under way
	problemEntry     = "log-entry"     // not a record in its one form
	problemSize      = "log-size"      // the body is too large, or did not arrive whole
	problemSubmitter = "log-submitter" // signed by somebody who is not listed
	problemWitness   = "log-witness"   // no quorum has cosigned yet
	problemMissing   = "log-missing"   // not in the published tree
	problemStopped   = "log-stopped"   // the log is stopping, or broke down
)

// Media types of answers.
const (
	mediaJSON   = "application/json"
	mediaText   = "text/plain; charset=utf-8" // checkpoints and proofs
	mediaOctets = "application/octet-stream"  // tiles and entry bundles
)

// handler serves a log over HTTP.
type handler struct {
	log            *Log
	appends, reads chan struct{} // places
	wait           time.Duration
}

// Handler serves the log: EntriesPath, ProofPath, and the files of tlog-tiles,
// of the published tree only. An answer that refuses has a guestapi.Problem as
// body. Web pages are kept out: a browser on this machine reaches the port
// too.
func (l *Log) Handler() http.Handler {
	h := &handler{log: l, appends: make(chan struct{}, maxRequests), reads: make(chan struct{}, maxRequests), wait: appendTime}
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, problemOrigin, "requests of web pages are not taken")
	}))
	return own.Handler(h)
}

// Server is an HTTP server for the log with its limits set.
func (l *Log) Server() *http.Server {
	return &http.Server{
		Handler:           l.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      15*time.Second + appendTime, // counts from the header's end
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
	}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.RequestURI // in its one form: no query, no escape
	places := h.reads
	if path == EntriesPath {
		places = h.appends
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, problemBusy, fmt.Sprintf("%d requests of this kind are under way already", cap(places)))
		return
	}
	switch {
	case path == EntriesPath:
		h.append(w, r)
	case strings.HasPrefix(path, ProofPath):
		h.prove(w, r, path[len(ProofPath):])
	default:
		h.static(w, r, path)
	}
}

func (h *handler) append(w http.ResponseWriter, r *http.Request) {
	if !allowed(w, r, http.MethodPost) {
		return
	}
	entry, err := io.ReadAll(http.MaxBytesReader(w, r.Body, record.MaxEntry))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, problemSize, fmt.Sprintf("an entry has at most %d bytes", record.MaxEntry))
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, problemSize, "the body did not arrive whole")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.wait)
	defer cancel()
	receipt, err := h.log.Append(ctx, entry)
	if err != nil {
		refuseAppend(w, err)
		return
	}
	b, err := canon.Marshal(receipt)
	if err != nil {
		panic(http.ErrAbortHandler) // two numbers: it can't be
	}
	status := http.StatusOK
	if receipt.New {
		status = http.StatusCreated
	}
	reply(w, status, mediaJSON, b)
}

func refuseAppend(w http.ResponseWriter, err error) {
	var bad *EntryError
	switch {
	case errors.As(err, &bad) && bad.Foreign:
		refuse(w, http.StatusForbidden, problemSubmitter, err.Error())
	case errors.As(err, &bad):
		refuse(w, http.StatusBadRequest, problemEntry, err.Error())
	case errors.Is(err, ErrUnpublished):
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, problemWitness, err.Error())
	default: // the log has stopped; or the caller is gone, who hears nothing
		refuse(w, http.StatusServiceUnavailable, problemStopped, ErrStopped.Error())
	}
}

func (h *handler) prove(w http.ResponseWriter, r *http.Request, name string) {
	if !allowed(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	var leaf canon.Octets32
	if err := leaf.UnmarshalText([]byte(name)); err != nil {
		refuse(w, http.StatusBadRequest, problemPath, "leaf hash: "+err.Error())
		return
	}
	proof, ok, err := h.log.Proof(leaf)
	switch {
	case err != nil:
		h.log.fail(err)
		refuse(w, http.StatusServiceUnavailable, problemStopped, ErrStopped.Error())
	case !ok:
		refuse(w, http.StatusNotFound, problemMissing, "no entry with leaf hash "+hex.EncodeToString(leaf[:])+" in the published tree")
	default:
		w.Header().Set("Cache-Control", "no-cache")
		reply(w, http.StatusOK, mediaText, proof)
	}
}

// allowed answers a request with another method.
func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	list := strings.Join(methods, ", ")
	w.Header().Set("Allow", list)
	refuse(w, http.StatusMethodNotAllowed, problemMethod, fmt.Sprintf("got %.20q, want %s", r.Method, list))
	return false
}

// reply answers with a body. To HEAD, the server leaves it out.
func reply(w http.ResponseWriter, status int, media string, b []byte) {
	head := w.Header()
	head.Set("Content-Type", media)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		panic(http.ErrAbortHandler) // the caller is gone
	}
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, status int, id, detail string) {
	b, err := guestapi.EncodeProblem(&guestapi.Problem{ID: id, Detail: detail})
	if err != nil {
		b = nil // the status says it
	}
	reply(w, status, mediaJSON, b)
}
