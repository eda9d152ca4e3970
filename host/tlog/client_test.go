package tlog

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"safebox/verifier/guestapi"
	"safebox/verifier/tlog"
)

func TestClient(t *testing.T) {
	l := newLab(t)
	log := l.open(t)
	c, _ := serve(t, log)
	entry := l.entry(t, 0)
	if _, err := c.Proof(t.Context(), entry); !isProblem(err, "log-missing") {
		t.Errorf("proof of what is not there: %v", err)
	}
	for i, isNew := range []bool{true, false} {
		if r, err := c.Append(t.Context(), entry); err != nil || r != (Receipt{0, 1, isNew}) {
			t.Errorf("append %d: %+v, %v", i, r, err)
		}
	}
	if _, err := c.Append(t.Context(), []byte("{}")); !isProblem(err, "log-entry") {
		t.Errorf("no record: %v", err)
	}
	proof, err := c.Proof(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	if index, err := Verify(proof, entry, l.policy(t, "quorum none")); err != nil || index != 0 {
		t.Errorf("got %d, %v", index, err)
	}
}

func isProblem(err error, id string) bool {
	var p *guestapi.Problem
	return errors.As(err, &p) && p.ID == id
}

// TestVerify: what a proof must have.
func TestVerify(t *testing.T) {
	l := newLab(t)
	one, two := newActor(t, 1, ed25519Key), newActor(t, 2, ed25519Key)
	l.Policy = l.policy(t, lines("all", one)...)
	log := l.open(t)
	l.fill(t, log, 0, 3)
	entry := l.entry(t, 1)
	proof, ok, err := log.Proof(tlog.LeafHash(entry))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	_, stranger, err := tlog.GenerateLogKey(origin, bytes.NewReader(seed(8)))
	if err != nil {
		t.Fatal(err)
	}
	edited := func(old, now string) []byte { return bytes.Replace(proof, []byte(old), []byte(now), 1) }
	for name, tt := range map[string]struct {
		proof []byte
		p     *tlog.Policy
		want  string
	}{
		"good":            {proof, l.Policy, ""},
		"no witnesses":    {proof, l.policy(t, "quorum none"), ""},
		"other log":       {proof, parsePolicy(t, "log "+stranger+"\nquorum none\n"), "signed by no listed log"},
		"quorum short":    {proof, l.policy(t, lines("2", one, two)...), "its 1 cosignatures are no quorum"},
		"other witness":   {proof, l.policy(t, lines("1", two)...), "its 0 cosignatures are no quorum"},
		"other header":    {edited("@v1", "@v2"), l.Policy, "decoding proof"},
		"other index":     {edited("\nindex ", "\nindex 1"), l.Policy, "index"},
		"other size":      {edited("\n3\n", "\n4\n"), l.Policy, "does not verify"},
		"no signature":    {edited("\u2014 "+origin, "\u2014 "+origin+"x"), l.Policy, "signed by no listed log"},
		"cut before root": {proof[:len(proof)/3], l.Policy, "decoding proof"},
	} {
		_, err := Verify(tt.proof, entry, tt.p)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// TestClientBelievesNothing: answers of a server that is no log.
func TestClientBelievesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"good":            {200, `{"index":0,"size":1}`, ""},
		"not in the tree": {200, `{"index":1,"size":1}`, "index 1 in a tree of 1 entries"},
		"negative":        {200, `{"index":-1,"size":1}`, "index -1"},
		"twice":           {200, `{"index":0,"index":0,"size":1}`, "receipt: "},
		"another field":   {200, `{"index":0,"size":1,"x":1}`, "receipt: "},
		"empty":           {200, "", "receipt: "},
		"long":            {200, strings.Repeat(" ", 300), "longer than 256 bytes"},
		"redirect":        {302, "", "status 302, and no problem named"},
		"no problem":      {500, "oops", "status 500, and no problem named"},
		"no content":      {204, "", "status 204, and no problem named"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/other")
			w.WriteHeader(tt.status)
			say(t, w, tt.body)
		}))
		c, err := NewClient(server.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Append(t.Context(), []byte("x"))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		server.Close()
	}
	for _, base := range []string{"", "log.example", "ftp://log.example", "http://", "http://u:p@log.example", "http://log.example/?q", "http://log.example/#f", "http://a b"} {
		if _, err := NewClient(base); err == nil {
			t.Errorf("%q is the URL of a log", base)
		}
	}
}
