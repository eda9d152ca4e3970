// Package relay passes a guest's API on to callers on this host, and adds what
// the host itself can say. It serves the paths of package bootreport and
// nothing else. The relay is not trusted by callers (the host is the
// adversary), and it does not trust the guest: sizes and times are bounded in
// both directions, and no header of either side passes.
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"safebox/verifier/bootreport"
	"safebox/verifier/guestapi"
)

// InstancePath is the path of the host's own words: an Instance as JSON.
const InstancePath = "/v1/instance"

// Limits.
const (
	maxHealth   = 4 << 10 // bytes of a health answer
	maxRequests = 16      // at the same time
	maxHeader   = 16 << 10
	guestTime   = 15 * time.Second // for the guest's whole answer; the report is made from memory
	dialTime    = 2 * time.Second
)

// Relay answers for one guest.
type Relay struct {
	guest    string // host:port
	client   *http.Client
	instance func() any
	slots    chan struct{}
}

// New makes a relay to the guest that listens at addr, a loopback host:port.
// What instance returns is shown at InstancePath.
func New(addr string, instance func() any) *Relay {
	return &Relay{
		guest: addr,
		client: &http.Client{
			Timeout: guestTime,
			// The zero Proxy: no environment variable leads elsewhere.
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeader,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		instance: instance,
		slots:    make(chan struct{}, maxRequests),
	}
}

// Server is an HTTP server for the relay with its limits set.
func (r *Relay) Server() *http.Server {
	return &http.Server{
		Handler:           r.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      guestTime + 15*time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    maxHeader,
	}
}

// Handler serves the paths.
func (r *Relay) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+guestapi.HealthPath, r.forward(maxHealth))
	mux.HandleFunc("GET "+guestapi.ReportPath, r.forward(bootreport.MaxSize))
	mux.HandleFunc("GET "+InstancePath, func(w http.ResponseWriter, _ *http.Request) {
		b, err := json.Marshal(r.instance())
		if err != nil {
			fail(w, http.StatusInternalServerError, err)
			return
		}
		answer(w, http.StatusOK, append(b, '\n'))
	})
	return mux
}

// Healthy asks the guest's health once.
func (r *Relay) Healthy(ctx context.Context) error {
	status, _, err := r.ask(ctx, guestapi.HealthPath, maxHealth)
	if err != nil {
		return fmt.Errorf("asking the guest for its health: %w", err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("asking the guest for its health: status %d, want 200", status)
	}
	return nil
}

// forward asks the guest for the request's path, without the request's query
// or headers.
func (r *Relay) forward(limit int64) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		default:
			fail(w, http.StatusServiceUnavailable, fmt.Errorf("%d requests are under way already", maxRequests))
			return
		}
		status, body, err := r.ask(req.Context(), req.URL.Path, limit)
		if err != nil {
			fail(w, http.StatusBadGateway, fmt.Errorf("asking the guest for %s: %w", req.URL.Path, err))
			return
		}
		answer(w, status, body)
	}
}

// ask gives the guest's answer: all of it, or an error. Only an answer that
// says yes (200) or names a failure (4xx, 5xx) is one.
func (r *Relay) ask(ctx context.Context, path string, limit int64) (status int, body []byte, err error) {
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.guest+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	resp, err := r.client.Do(out)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, nil, err
	}
	switch {
	case int64(len(body)) > limit:
		return 0, nil, fmt.Errorf("answer is longer than %d bytes", limit)
	case resp.StatusCode != http.StatusOK && (resp.StatusCode < 400 || resp.StatusCode > 599):
		return 0, nil, fmt.Errorf("status %d, want 200 or a failure", resp.StatusCode)
	}
	return resp.StatusCode, body, nil
}

// answer sends body as JSON, whatever the guest called it: a browser must not
// take it for a page.
func answer(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
}

// fail answers {"error":"..."}.
func fail(w http.ResponseWriter, status int, err error) {
	b, jsonErr := json.Marshal(struct {
		Error string `json:"error"`
	}{err.Error()})
	if jsonErr != nil {
		b = []byte(`{"error":"internal error"}`)
	}
	answer(w, status, append(b, '\n'))
}
