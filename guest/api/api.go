// Package api is the HTTP API of the guest (specs/protocol.md 7, process
// "api"): it parses what the network sends, and holds no key and no
// privilege. So far it tells that the appliance is up, and how it booted;
// docs/format-boot-report.md describes the report.
package api

import (
	"net/http"
	"strconv"

	"safebox/verifier/bootreport"
)

// health is the answer to bootreport.HealthPath.
const health = `{"status":"ok","type":"safebox/health/v1"}`

// NewHandler answers GET requests for health and for the report, which is
// encoded already, and nothing else. It matches paths as they were sent:
// http.ServeMux would clean them and redirect.
func NewHandler(report []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// One answer, then the connection ends: no state between requests.
		w.Header().Set("Connection", "close")
		switch {
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			answer(w, http.StatusMethodNotAllowed, problem("only GET is allowed"))
		case r.ContentLength != 0:
			answer(w, http.StatusBadRequest, problem("a request has no body"))
		case r.RequestURI == bootreport.HealthPath:
			answer(w, http.StatusOK, []byte(health))
		case r.RequestURI == bootreport.ReportPath:
			answer(w, http.StatusOK, report)
		default:
			answer(w, http.StatusNotFound, problem("no such path"))
		}
	})
}

// problem is the body of an error. Its text is a constant: nothing of a
// request comes back.
func problem(text string) []byte { return []byte(`{"error":"` + text + `"}`) }

func answer(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// An error here is the client's connection gone: nobody is left to tell.
	if _, err := w.Write(append(body[:len(body):len(body)], '\n')); err != nil {
		return
	}
}
