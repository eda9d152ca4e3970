package relay

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"safebox/verifier/guestapi"
)

// client gives a client of a guest with the given behaviour.
func client(t *testing.T, guest http.HandlerFunc) *Client {
	t.Helper()
	g := httptest.NewServer(guest)
	t.Cleanup(g.Close)
	return NewClient(g.URL + "/")
}

func TestClientAsks(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.Method + " " + r.URL.Path + " " + string(b) {
		case "POST /v1/configuration document":
		case "GET /v1/identity ":
			send(t, w, `{"ak":"YWs=","eks":[],"type":"safebox/identity/v1"}`)
		default:
			t.Errorf("asked for %s %s with %q", r.Method, r.URL, b)
		}
	})
	if err := c.Configure(t.Context(), []byte("document")); err != nil {
		t.Error(err)
	}
	if id, err := c.Identity(t.Context()); err != nil || string(id.AK) != "ak" {
		t.Errorf("got %v, %v", id, err)
	}
}

// TestClientBelievesNothing: each answer that is not one is an error, and a
// refusal keeps its name.
func TestClientBelievesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		guest http.HandlerFunc
		want  string
	}{
		"refusal":            {answers(t, 422, `{"error":{"detail":"no","id":"challenge-format"}}`), "challenge-format: no"},
		"refusal of no form": {answers(t, 422, `{"error":"no"}`), "status 422, and no problem named"},
		"long refusal":       {answers(t, 500, strings.Repeat("x", guestapi.MaxProblem+1)), "longer than 8192 bytes"},
		"not evidence":       {answers(t, 200, "{}"), "decoding evidence"},
		"nothing":            {answers(t, 200, ""), "decoding evidence"},
		"too long":           {answers(t, 200, strings.Repeat("x", 4<<20+1)), "longer than 4194304 bytes"},
		"other status":       {answers(t, 202, "{}"), "status 202, want 200"},
	} {
		_, err := client(t, tt.guest).Evidence(t.Context(), []byte("challenge"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "asking the guest for evidence: ") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		var p *guestapi.Problem
		if errors.As(err, &p) != (name == "refusal") {
			t.Errorf("%s: a problem: %v", name, p)
		}
	}
	if _, err := client(t, answers(t, 200, "{}")).Identity(t.Context()); err == nil || !strings.Contains(err.Error(), "decoding identity") {
		t.Errorf("got %v", err)
	}
	if err := client(t, answers(t, 409, `{"error":{"detail":"quoted","id":"config-late"}}`)).Configure(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "config-late: quoted") {
		t.Errorf("got %v", err)
	}
}

func answers(t *testing.T, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		send(t, w, body)
	}
}
