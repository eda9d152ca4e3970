package witness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Limits of the server. A request with 63 hashes and a checkpoint with twelve
// ML-DSA-44 signatures has less than 48 KiB.
const (
	maxBody     = 64 << 10
	maxHeader   = 16 << 10
	maxRequests = 64 // at once
)

// sizeType is the content type of a 409 that tells the size held
// (C2SP tlog-witness, add-checkpoint).
const sizeType = "text/x.tlog.size"

// Server is an HTTP server for the witness with its limits set.
func (w *Witness) Server() *http.Server {
	return &http.Server{
		Handler:           w.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       5 * time.Minute, // logs come back often: keep-alive
		MaxHeaderBytes:    maxHeader,
	}
}

// Handler serves POST /add-checkpoint.
func (w *Witness) Handler() http.Handler {
	slots := make(chan struct{}, maxRequests)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxBody))
		if err != nil {
			answerUnread(rw, err)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			http.Error(rw, fmt.Sprintf("%d requests are under way already", maxRequests), http.StatusServiceUnavailable)
			return
		}
		lines, err := w.AddCheckpoint(body)
		if err != nil {
			answerRefused(rw, err)
			return
		}
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if _, err := rw.Write(lines); err != nil {
			w.say("note: a client left before it got its cosignature: %v", err)
		}
	})
	return mux
}

func answerUnread(rw http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		http.Error(rw, fmt.Sprintf("body larger than %d bytes", large.Limit), http.StatusRequestEntityTooLarge)
		return
	}
	http.Error(rw, "reading body failed", http.StatusBadRequest)
}

// answerRefused writes the status of a refusal. An error that is none is the
// witness's own trouble, which is not the client's business.
func answerRefused(rw http.ResponseWriter, err error) {
	var r *Refusal
	switch {
	case !errors.As(err, &r):
		http.Error(rw, "internal error", http.StatusInternalServerError)
	case r.Held != nil:
		// Set by hand: http.Error would name another type.
		rw.Header().Set("Content-Type", sizeType)
		rw.WriteHeader(r.Status)
		fmt.Fprintf(rw, "%d\n", *r.Held) //nolint:errcheck // the client is gone; it asks again
	default:
		http.Error(rw, r.Error(), r.Status)
	}
}
