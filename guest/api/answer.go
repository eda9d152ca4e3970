package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"safebox/verifier/guestapi"
)

// failed answers for a call to the keeper that did not succeed.
func failed(w http.ResponseWriter, err error) {
	var p *guestapi.Problem
	if !errors.As(err, &p) {
		// What went wrong between our processes is no business of callers.
		refuse(w, http.StatusInternalServerError, problemKeeper, "the keeper gave no answer")
		return
	}
	refuse(w, status(p.ID), p.ID, p.Detail)
}

// status gives the HTTP status that fits a problem of the keeper best.
// Programs look at the ID; a status that this list does not know better is
// that of a request that was understood and refused.
func status(id string) int {
	switch id {
	case "job-unknown":
		return http.StatusNotFound
	case "config-late", "job-running":
		return http.StatusConflict
	case "job-busy", "challenge-full":
		return http.StatusServiceUnavailable
	case "internal", "worker-start", "job-worker":
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, status int, id, detail string) {
	b, err := guestapi.EncodeProblem(&guestapi.Problem{ID: id, Detail: detail})
	if err != nil { // an ID of the keeper in another form than IDs have
		status, b = http.StatusInternalServerError, []byte(`{"error":{"detail":"a problem that can't be told","id":"`+problemKeeper+`"}}`)
	}
	answer(w, status, "application/json", b)
}

func answer(w http.ResponseWriter, status int, media string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// The time for the answer begins now, however long the keeper took.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(transferTime(int64(len(body))))); err != nil {
		return // the connection is gone, as below
	}
	w.WriteHeader(status)
	// An error here is the client's connection gone: nobody is left to tell.
	if _, err := w.Write(body); err != nil {
		return
	}
}
