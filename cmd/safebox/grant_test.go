package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/grant"
	"safebox/verifier/guestapi"
	"safebox/verifier/keyfile"
	"safebox/verifier/object"
	"safebox/verifier/receipt"
)

func grantArgs(more ...string) []string {
	return append([]string{
		"grant", "--evidence", "@evidence.json", "--bundle", "@release.bundle", "--policy", "@policy.toml", "--challenge", "@challenge.json",
		"--keys", "@object/keys.json", "--audience-key", "@owner.key", "--chunks", "0-1", "--module", "@module.wasm", "--params", "@params.json",
		"--recipient", "@analyst.key.pub", "--out", "@grant.json",
	}, more...)
}

func runArgs(url string, more ...string) []string {
	return append([]string{
		"run", "--host", url, "--manifest", "@object/manifest.json", "--module", "@module.wasm", "--params", "@params.json",
		"--grant", "@grant.json", "--recipient-key", "@analyst.key", "--out", "@result",
	}, more...)
}

func receiptArgs(more ...string) []string {
	return append([]string{
		"receipt", "verify", "@result/receipt.json", "--evidence", "@evidence.json", "--bundle", "@release.bundle",
		"--policy", "@policy.toml", "--challenge", "@challenge.json",
	}, more...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// The owner's story: verify and grant, run, receipt; then all that can be
// wrong with each. One machine serves all: its start is the slow part.
func TestGrantAndRun(t *testing.T) {
	s := newStory(t)
	t.Run("refused without a verdict", s.testNoVerdict)
	t.Run("refused usage of grant", s.testGrantUsage)
	t.Run("refused without a proof", s.testNoProof)
	t.Run("refused publications", s.testAttacks)
	out := s.must(t, grantArgs()...)
	for _, want := range []string{"grant ", "serial ", "chunks 0-1\n", "recipient ", "checkpoint " + s.checkpoint(), "not_after "} {
		if !strings.Contains(out, want) {
			t.Errorf("grant: got %q, want %q in it", out, want)
		}
	}
	t.Run("terms", s.testTerms)
	t.Run("run", s.testRun)
	t.Run("receipt", s.testReceipt)
	t.Run("floors", s.testFloors)
	t.Run("rollback", s.testRollback)
	t.Run("relay cheats", s.testRelayCheats)
	t.Run("relay refuses", s.testRelayRefuses)
	t.Run("refused usage of run", s.testRunUsage)
	t.Run("ends", s.testEnds)
}

// Evidence that a check refuses gives no grant, and no file of any kind.
func (s *story) testNoVerdict(t *testing.T) {
	changed := bytes.Replace(s.guest.evidence, []byte(`"nonce":"`), []byte(`"nonce":"0`), 1)
	s.write(t, "noevidence.json", append(changed, '\n'))
	s.write(t, "large.json", bytes.Repeat([]byte(" "), 5<<20))
	strict := s.must(t, "policy", "init", "--profile", "strict")
	s.write(t, "strict.toml", []byte(strict))
	for name, tt := range map[string]struct {
		args []string
		want string // ID
	}{
		"damaged evidence":   {[]string{"--evidence", "@noevidence.json"}, "EV-1"},
		"too large evidence": {[]string{"--evidence", "@large.json"}, "EV-1"},
		"nobody's release":   {[]string{"--policy", "@strict.toml"}, "REL-3"},
		"challenge too old":  {[]string{"--at", s.at.Add(time.Hour).UTC().Format(time.RFC3339)}, "FR-3"},
	} {
		a := s.invoke(t, grantArgs(append(tt.args, "--out", "@never.json")...)...)
		if a.code != 1 || a.stdout != "" || !strings.Contains(a.stderr, "failed: "+tt.want) || !strings.Contains(a.stderr, "error: no grant: ") {
			t.Errorf("%s: got code %d, %q and %q, want 1 and failed: %s", name, a.code, a.stdout, a.stderr, tt.want)
		}
		if exists(s.path("never.json")) || exists(s.path("never.json"+evidenceSuffix)) {
			t.Errorf("%s: a file was written", name)
		}
	}
	// Without what the owner keeps of the challenge there is no activation to
	// check, so no verdict either.
	s.write(t, "other.json", s.read(t, "challenge.json"))
	if a := s.invoke(t, grantArgs("--challenge", "@other.json", "--out", "@never.json")...); a.code != 1 || exists(s.path("never.json")) {
		t.Errorf("no secret: got code %d and %q", a.code, a.stderr)
	}
}

func (s *story) testGrantUsage(t *testing.T) {
	s.must(t, "key", "audience", "--out", "@other.key", "--no-passphrase")
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"other audience key":    {[]string{"--audience-key", "@other.key"}, 1, "not the key that the challenge names"},
		"public audience key":   {[]string{"--audience-key", "@owner.key.pub"}, 2, "--audience-key"},
		"secret recipient":      {[]string{"--recipient", "@analyst.key"}, 2, "--recipient"},
		"recipient twice":       {[]string{"--recipient", "@analyst.key.pub"}, 1, "same key"},
		"no chunks":             {[]string{"--chunks", ""}, 2, "--chunks"},
		"chunks in disorder":    {[]string{"--chunks", "5,0-1"}, 2, "--chunks"},
		"memory not writable":   {[]string{"--memory", "@nosuch/memory"}, 1, "--memory"},
		"memory for a grant":    {[]string{"--memory", "@never.json"}, 2, "written twice"},
		"memory for its copy":   {[]string{"--memory", "@never.json.evidence"}, 2, "written twice"},
		"no module":             {[]string{"--module", ""}, 2, "no --module"},
		"no params":             {[]string{"--params", "@nosuch"}, 2, "nosuch"},
		"no keys":               {[]string{"--keys", "@params.json"}, 2, "--keys"},
		"life":                  {[]string{"--life", "60m"}, 2, "--life: got 1h0m0s, want 1s to 59m0s"},
		"no life":               {[]string{"--life", "0s"}, 2, "--life: got 0s"},
		"no evidence":           {[]string{"--evidence", ""}, 2, "no --evidence"},
		"no challenge":          {[]string{"--challenge", ""}, 2, "no --challenge"},
		"time":                  {[]string{"--at", "yesterday"}, 2, "--at"},
		"no out":                {[]string{"--out", ""}, 2, "no --out"},
		"out is an input":       {[]string{"--out", "@params.json"}, 2, "params.json"},
		"out is the challenge":  {[]string{"--out", "@challenge.json"}, 2, "challenge.json"},
		"out is the secret key": {[]string{"--out", "@owner.key"}, 2, "owner.key"},
	} {
		before := s.read(t, "params.json")
		args := grantArgs("--out", "@never.json")
		if a := s.invoke(t, append(args, tt.args...)...); a.code != tt.code || !strings.Contains(a.stderr, tt.want) {
			t.Errorf("%s: got code %d and %q, want %d and %q", name, a.code, a.stderr, tt.code, tt.want)
		}
		if exists(s.path("never.json")) || !bytes.Equal(before, s.read(t, "params.json")) {
			t.Errorf("%s: a file was written", name)
		}
	}
}

// testTerms looks at the grant that was written.
func (s *story) testTerms(t *testing.T) {
	doc, _, err := grant.Inspect(s.read(t, "grant.json"))
	if err != nil {
		t.Fatal(err)
	}
	if life := doc.NotAfter - doc.NotBefore; life != 15*60+60 {
		t.Errorf("life: got %d s, want 15 minutes and one for the clocks", life)
	}
	if doc.Checkpoint == nil || doc.Checkpoint.String() != s.checkpoint() {
		t.Errorf("checkpoint: got %v, want %s", doc.Checkpoint, s.checkpoint())
	}
	if len(doc.Ranges) != 1 || doc.Ranges[0] != [2]uint32{0, 2} || len(doc.Recipients) != 1 {
		t.Errorf("got %+v", doc)
	}
	if !bytes.Equal(s.read(t, "grant.json"+evidenceSuffix), s.guest.evidence) {
		t.Error("evidence beside the grant: not the evidence")
	}
	var j map[string]any
	out := s.must(t, grantArgs("--out", "@second.json", "--json", "--recipient", "@stranger.key.pub", "--life", "30s")...)
	if err := json.Unmarshal([]byte(out), &j); err != nil {
		t.Fatal(err)
	}
	second, _, err := grant.Inspect(s.read(t, "second.json"))
	if err != nil {
		t.Fatal(err)
	}
	if j["checkpoint"] != s.checkpoint() {
		t.Errorf("checkpoint: got %v, want %s", j["checkpoint"], s.checkpoint())
	}
	if second.Serial == doc.Serial || j["serial"] != second.Serial.String() || len(second.Recipients) != 2 || second.NotAfter-second.NotBefore != 90 {
		t.Errorf("second grant: got %s and %+v", out, second)
	}
}

func (s *story) testRun(t *testing.T) {
	url := s.guest.serve(t)
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1") // must not be asked
	for _, tt := range []struct{ grant, key, dir string }{
		{"@grant.json", "@analyst.key", "@result"},
		{"@second.json", "@stranger.key", "@result2"},
	} {
		s.guest.asked.Store(0)
		a := s.invoke(t, runArgs(url, "--grant", tt.grant, "--recipient-key", tt.key, "--out", tt.dir)...)
		if a.code != 0 || !strings.Contains(a.stdout, "exit 0\n") || !strings.Contains(a.stdout, "output-0 object 10 bytes\noutput-3 object 0 bytes\nreceipt ") {
			t.Fatalf("got %+v", a)
		}
		if !strings.Contains(a.stderr, "sending the job") || !strings.Contains(a.stderr, "fetching the result") {
			t.Errorf("progress: got %q", a.stderr)
		}
		for name, want := range map[string]string{"output-0": "statistics", "output-3": ""} {
			path := filepath.Join(strings.TrimPrefix(tt.dir, "@"), name)
			if got := s.read(t, path); string(got) != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
			if st, err := os.Stat(s.path(path)); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%s: got %v, %v, want mode 0600", path, st, err)
			}
		}
		if s.guest.asked.Load() != 3 {
			t.Errorf("asked %d times for the state, want 3", s.guest.asked.Load())
		}
	}
	if a := s.invoke(t, runArgs(url, "--audience", "@owner.key.pub", "--out", "@audience")...); a.code != 0 {
		t.Errorf("by the owner's key: got %+v", a)
	}
	// A result is never replaced, and that is said before the grant is used.
	kept := s.read(t, "result/receipt.json")
	s.guest.asked.Store(0)
	a := s.invoke(t, runArgs(url)...)
	if a.code != 1 || !strings.Contains(a.stderr, "result holds output-0 already") || s.guest.asked.Load() != 0 || !bytes.Equal(kept, s.read(t, "result/receipt.json")) {
		t.Errorf("over a result: got %+v", a)
	}
}

func (s *story) testReceipt(t *testing.T) {
	a := s.invoke(t, receiptArgs()...)
	if a.code != 0 || a.stderr != "" || !strings.Contains(a.stdout, "accepted: ") || !strings.Contains(a.stdout, "output 0 object 10 bytes\n") {
		t.Errorf("got %+v", a)
	}
	for _, id := range []string{"RCP-1", "RCP-2", "RCP-3", "RCP-4"} {
		if !strings.Contains(a.stdout, "ok      "+id) {
			t.Errorf("got %q, want %s in it", a.stdout, id)
		}
	}
	// Years later it is still a receipt.
	later := s.invoke(t, receiptArgs("--json", "--at", s.at.Add(time.Hour).UTC().Format(time.RFC3339))...)
	var j struct {
		Verdict struct {
			OK bool `json:"ok"`
		} `json:"verdict"`
		Receipt *receipt.Document `json:"receipt"`
	}
	if err := json.Unmarshal([]byte(later.stdout), &j); err != nil || later.code != 0 || !j.Verdict.OK || strings.Contains(later.stdout, `"reached": false`) || j.Receipt == nil || j.Receipt.MemoryPeak != 65536 {
		t.Errorf("got %+v, %v", later, err)
	}
	// Its log too was witnessed long ago by then.
	if a := s.invoke(t, receiptArgs("--at", s.at.Add(60*24*time.Hour).UTC().Format(time.RFC3339))...); a.code != 0 {
		t.Errorf("60 days later: got %+v", a)
	}
	// By another machine's key, and with evidence that no check accepts.
	forged, err := receipt.Sign(j.Receipt, slices.Clone(testOwner(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "forged.json", forged)
	d := *j.Receipt
	d.Evidence[0] ^= 1
	d.Transcript[0] ^= 1
	d.Release[0] ^= 1
	mixed, err := receipt.Sign(&d, s.guest.receiptKey)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "mixed.json", mixed)
	s.write(t, "large.receipt", bytes.Repeat([]byte(" "), 5<<20))
	s.write(t, "strict.toml", []byte(s.must(t, "policy", "init", "--profile", "strict")))
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"other signer":     {withReceipt("@forged.json"), []string{"FAILED  RCP-1", "-       RCP-2", "-       RCP-3", "-       RCP-4"}},
		"other evidence":   {withReceipt("@mixed.json"), []string{"ok      RCP-1", "FAILED  RCP-2", "FAILED  RCP-3", "FAILED  RCP-4"}},
		"no receipt":       {withReceipt("@params.json"), []string{"FAILED  RCP-1"}},
		"large":            {withReceipt("@large.receipt"), []string{"FAILED  RCP-1"}},
		"refused evidence": {receiptArgs("--policy", "@strict.toml"), []string{"FAILED  REL-3", "-       RCP-1", "-       RCP-2", "-       RCP-3", "-       RCP-4"}},
	} {
		a := s.invoke(t, tt.args...)
		if a.code != 1 || strings.Contains(a.stdout, "output 0") || strings.Contains(a.stdout, "\naccepted: ") {
			t.Errorf("%s: got %+v", name, a)
		}
		for _, line := range tt.want {
			if !strings.Contains(a.stdout, line) {
				t.Errorf("%s: got %q, want %s", name, a.stdout, line)
			}
		}
	}
	// Neither pin nor challenge: who holds the attestation key is not known.
	if a := s.invoke(t, "receipt", "verify", "@result/receipt.json", "--evidence", "@evidence.json", "--bundle", "@release.bundle", "--policy", "@policy.toml"); a.code != 1 {
		t.Errorf("no pin: got %+v", a)
	}
}

func withReceipt(file string) []string {
	args := receiptArgs()
	args[2] = file
	return args
}

// longDone is a number of questions after which the fake guest's job is done.
const longDone = 10

// What a relay can do to a result: each is refused before anything is
// decrypted, and no folder appears.
func (s *story) testRelayCheats(t *testing.T) {
	defer func() { s.guest.document, s.guest.result, s.guest.envelope = nil, nil, nil }()
	url := s.guest.serve(t)
	for name, tt := range map[string]struct {
		document func(d *receipt.Document)
		result   func(r *guestapi.Result)
		envelope func(b []byte) []byte
		want     string
	}{
		"signs itself": {envelope: func(b []byte) []byte {
			d, err := receipt.Open(b, s.guest.e.ReceiptKey)
			if err != nil {
				t.Fatal(err)
			}
			forged, err := receipt.Sign(d, testOwner(t, s))
			if err != nil {
				t.Fatal(err)
			}
			return forged
		}, want: "keyid: got"},
		"changes a receipt": {envelope: func(b []byte) []byte { return bytes.Replace(b, []byte(`"payload":"ey`), []byte(`"payload":"ez`), 1) }, want: "opening receipt"},
		"other grant":       {document: func(d *receipt.Document) { d.Grant[0] ^= 1 }, want: "receipt: grant: got"},
		"other module":      {document: func(d *receipt.Document) { d.Module[0] ^= 1 }, want: "receipt: module: got"},
		"other params":      {document: func(d *receipt.Document) { d.Params[0] ^= 1 }, want: "receipt: params: got"},
		"other evidence":    {document: func(d *receipt.Document) { d.Evidence[0] ^= 1 }, want: "receipt: evidence: got"},
		"other transcript":  {document: func(d *receipt.Document) { d.Transcript[0] ^= 1 }, want: "receipt: transcript: got"},
		"other release":     {document: func(d *receipt.Document) { d.Release[0] ^= 1 }, want: "receipt: release: got"},
		"other serial":      {document: func(d *receipt.Document) { d.Serial[0] ^= 1 }, want: "receipt: serial: got"},
		"other object":      {document: func(d *receipt.Document) { d.Inputs[0].Root = object.CID(nil) }, want: "receipt: inputs: got"},
		"more objects":      {document: func(d *receipt.Document) { d.Inputs = append(d.Inputs, d.Inputs[0]) }, want: "receipt: inputs: got"},
		"other chunks":      {document: func(d *receipt.Document) { d.Inputs[0].Ranges = object.Ranges{{0, 3}} }, want: "receipt: chunks: got 0-2, want 0-1"},
		"drops an output":   {result: func(r *guestapi.Result) { r.Outputs = r.Outputs[:1] }, want: "outputs: got 1, want 2"},
		"moves an output":   {result: func(r *guestapi.Result) { r.Outputs[1].Slot = 4 }, want: "output 1: got slot 4, want 3"},
		"changes an output": {result: func(r *guestapi.Result) { r.Outputs[0].Sealed[0][0] ^= 1 }, want: "output 0 for recipient 0: got SHA-256"},
		"swaps two outputs": {result: func(r *guestapi.Result) {
			r.Outputs[0].Sealed, r.Outputs[1].Sealed = r.Outputs[1].Sealed, r.Outputs[0].Sealed
		}, want: "output 0 for recipient 0: got SHA-256"},
		"adds a ciphertext":          {result: func(r *guestapi.Result) { r.Outputs[0].Sealed = append(r.Outputs[0].Sealed, []byte{1}) }, want: "output 0: got 2 ciphertexts"},
		"receipt of more recipients": {document: func(d *receipt.Document) { addDigest(d) }, want: "output 0: got 1 ciphertexts, receipt 2, want 1"},
		"more recipients": {document: func(d *receipt.Document) { addDigest(d) }, result: func(r *guestapi.Result) {
			for i := range r.Outputs {
				r.Outputs[i].Sealed = append(r.Outputs[i].Sealed, []byte{1})
			}
		}, want: "output 0: got 2 ciphertexts, receipt 2, want 1"},
		"other size":           {document: func(d *receipt.Document) { d.Outputs[0].Size++ }, want: "output 0: got 10 bytes, want 11 as in the receipt"},
		"seals to no one else": {document: func(d *receipt.Document) { d.Outputs[0].Sealed[0] = canon.Octets32{1} }, want: "output 0 for recipient 0: got SHA-256"},
	} {
		s.guest.document, s.guest.result, s.guest.envelope = tt.document, tt.result, tt.envelope
		s.guest.asked.Store(longDone)
		a := s.invoke(t, runArgs(url, "--out", "@cheated")...)
		if a.code != 1 || a.stdout != "" || !strings.Contains(a.stderr, tt.want) {
			t.Errorf("%s: got code %d, %q and %q, want 1 and %q", name, a.code, a.stdout, a.stderr, tt.want)
		}
		if exists(s.path("cheated")) {
			t.Fatalf("%s: a folder appeared", name)
		}
	}
}

// addDigest has each output sealed to one recipient more.
func addDigest(d *receipt.Document) {
	for i := range d.Outputs {
		d.Outputs[i].Sealed = append(d.Outputs[i].Sealed, canon.Octets32{1})
	}
}

// Answers of a guest or a relay that are none, and those that refuse.
func (s *story) testRelayRefuses(t *testing.T) {
	defer func() { s.guest.answer = nil }()
	url := s.guest.serve(t)
	id := canon.Octets16{1, 2, 3}.String()
	status := func(w http.ResponseWriter, job canon.Octets16, state string, p *guestapi.Problem) {
		b, err := (&guestapi.Status{Type: guestapi.StatusType, Job: job, State: state, Problem: p}).Encode()
		if err != nil {
			t.Error(err)
		}
		write(t, w, b)
	}
	for name, tt := range map[string]struct {
		path   string // answered like this; others as usual
		answer func(w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"problem": {guestapi.JobsPath, func(w http.ResponseWriter, _ *http.Request) {
			refuse(t, w, http.StatusForbidden, &guestapi.Problem{ID: "grant-time", Detail: "expired"})
		}, "error: grant-time: expired"},
		"failed job": {guestapi.JobPath(id), func(w http.ResponseWriter, _ *http.Request) {
			status(w, canon.Octets16{1, 2, 3}, guestapi.Failed, &guestapi.Problem{ID: "shard-hash", Detail: "rotten"})
		}, "error: shard-hash: rotten"},
		"other job": {guestapi.JobPath(id), func(w http.ResponseWriter, _ *http.Request) {
			status(w, canon.Octets16{9}, guestapi.Done, nil)
		}, "want " + id},
		"redirect": {guestapi.JobsPath, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusTemporaryRedirect)
		}, "status 307 and no problem in the known form"},
		"page":           {guestapi.JobsPath, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, "status 502 and no problem"},
		"status as text": {guestapi.JobPath(id), func(w http.ResponseWriter, _ *http.Request) { write(t, w, []byte("done")) }, "decoding job status"},
		"endless status": {guestapi.JobPath(id), func(w http.ResponseWriter, _ *http.Request) { write(t, w, make([]byte, 1<<20)) }, "answer is longer than"},
		"endless problem": {guestapi.JobsPath, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			write(t, w, make([]byte, 1<<20))
		}, "answer is longer than"},
		"no result": {guestapi.ResultPath(id), func(w http.ResponseWriter, _ *http.Request) { write(t, w, []byte("SBR1")) }, "decoding result"},
	} {
		s.guest.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == tt.path {
				tt.answer(w, r)
			}
			return r.URL.Path == tt.path
		}
		s.guest.asked.Store(longDone)
		if a := s.invoke(t, runArgs(url, "--out", "@cheated")...); a.code != 1 || a.stdout != "" || !strings.Contains(a.stderr, tt.want) {
			t.Errorf("%s: got code %d, %q and %q, want 1 and %q", name, a.code, a.stdout, a.stderr, tt.want)
		}
		if exists(s.path("cheated")) {
			t.Fatalf("%s: a folder appeared", name)
		}
	}

	// Busy is no answer, and a job that does not end is given up.
	busy := 0
	s.guest.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if busy++; busy%2 == 1 {
			refuse(t, w, http.StatusServiceUnavailable, &guestapi.Problem{ID: []string{"http-busy", "relay-busy"}[busy/2%2], Detail: "later"})
		}
		return busy%2 == 1
	}
	s.guest.asked.Store(0)
	if a := s.invoke(t, runArgs(url, "--out", "@busy")...); a.code != 0 {
		t.Errorf("busy: got %+v", a)
	}
	s.guest.answer = func(http.ResponseWriter, *http.Request) bool {
		s.guest.asked.Store(0)
		return false
	}
	if a := s.invoke(t, runArgs(url, "--out", "@cheated", "--timeout", "1s")...); a.code != 1 || !strings.Contains(a.stderr, context.DeadlineExceeded.Error()) {
		t.Errorf("endless job: got %+v", a)
	}
}

func (s *story) testRunUsage(t *testing.T) {
	url := s.guest.serve(t)
	s.write(t, "other.evidence", append(bytes.Clone(s.guest.evidence), '\n'))
	if err := os.Mkdir(s.path("full"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write(t, "full/mine", nil)
	s.write(t, "forged.grant", s.forgedGrant(t, "other.key", s.guest.t, func(*grant.Document) {}))
	s.write(t, "words.grant", s.forgedGrant(t, "owner.key", s.guest.t, func(d *grant.Document) { d.Evidence = sha256.Sum256(s.read(t, "params.json")) }))
	s.write(t, "transcript.grant", s.forgedGrant(t, "owner.key", [64]byte{1}, func(d *grant.Document) {
		sum := [64]byte{1}
		d.Transcript = sha256.Sum256(sum[:])
	}))
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"other recipient":     {[]string{"--recipient-key", "@stranger.key"}, 1, "the grant is for other recipients"},
		"public key":          {[]string{"--recipient-key", "@analyst.key.pub"}, 2, "--recipient-key"},
		"other evidence":      {[]string{"--evidence", "@other.evidence"}, 1, "as in the grant"},
		"no evidence":         {[]string{"--evidence", "@nosuch"}, 2, "--evidence"},
		"evidence is none":    {[]string{"--grant", "@words.grant", "--evidence", "@params.json"}, 2, "--evidence: " + s.path("params.json") + ": decoding evidence: "},
		"other transcript":    {[]string{"--grant", "@transcript.grant", "--evidence", "@evidence.json"}, 1, "got transcript "},
		"no grant":            {[]string{"--grant", "@params.json"}, 2, "--grant"},
		"no manifest":         {[]string{"--manifest", "@nosuch/manifest.json"}, 2, "nosuch"},
		"no leaves":           {[]string{"--manifest", "@params.json"}, 2, "leaves"},
		"no out":              {[]string{"--out", ""}, 2, "no --out"},
		"folder of others":    {[]string{"--out", "@full"}, 1, "full holds mine already"},
		"other owner":         {[]string{"--audience", "@other.key.pub"}, 1, "--evidence: made for audience"},
		"secret owner":        {[]string{"--audience", "@owner.key"}, 2, "--audience"},
		"self-made grant":     {[]string{"--audience", "@owner.key.pub", "--grant", "@forged.grant", "--evidence", "@evidence.json"}, 1, "forged.grant: grant-audience: "},
		"host without scheme": {[]string{"--host", "127.0.0.1:1"}, 2, "--host"},
		"host with query":     {[]string{"--host", url + "/?a"}, 2, "--host"},
		"host as file":        {[]string{"--host", "file:///etc/passwd"}, 2, "--host"},
		"nobody there":        {[]string{"--host", "http://127.0.0.1:1"}, 1, "refused"},
	} {
		args := append(runArgs(url, "--out", "@cheated"), tt.args...)
		if a := s.invoke(t, args...); a.code != tt.code || a.stdout != "" || !strings.Contains(a.stderr, tt.want) {
			t.Errorf("%s: got code %d, %q and %q, want %d and %q", name, a.code, a.stdout, a.stderr, tt.code, tt.want)
		}
	}
	if exists(s.path("cheated")) {
		t.Error("a folder appeared")
	}
	// The guest is the one to refuse another module, under its own name.
	s.write(t, "other.wasm", []byte("\x00asm other"))
	if a := s.invoke(t, runArgs(url, "--module", "@other.wasm", "--out", "@cheated")...); a.code != 1 || !strings.Contains(a.stderr, "error: job-module: ") {
		t.Errorf("other module: got %+v", a)
	}
}

// forgedGrant is the grant signed by another key of the story, for transcript
// t, with whatever is changed in it.
func (s *story) forgedGrant(t *testing.T, key string, transcript [64]byte, change func(*grant.Document)) []byte {
	t.Helper()
	doc, _, err := grant.Inspect(s.read(t, "grant.json"))
	if err != nil {
		t.Fatal(err)
	}
	change(doc)
	signer, err := keyfile.DecodeAudience(s.read(t, key))
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := object.RootNode([32]byte{1}, [32]byte{2}, object.Suite).Cover(doc.Ranges)
	if err != nil {
		t.Fatal(err)
	}
	b, err := grant.Seal(doc, signer, s.guest.e.KEM, transcript, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A module that is stopped or fails leaves its receipt, and the answer is no.
func (s *story) testEnds(t *testing.T) {
	defer func() { s.guest.document = nil }()
	url := s.guest.serve(t)
	for name, tt := range map[string]struct {
		document func(d *receipt.Document)
		want     string
	}{
		"trap": {func(d *receipt.Document) { d.Trap = "memory" }, "the module was stopped: memory"},
		"exit": {func(d *receipt.Document) { d.Exit = 3 }, "the module returned 3"},
	} {
		s.guest.document = tt.document
		s.guest.asked.Store(longDone)
		a := s.invoke(t, runArgs(url, "--out", "@"+name, "--json")...)
		if a.code != 1 || !strings.Contains(a.stderr, tt.want) || !json.Valid([]byte(a.stdout)) || !exists(s.path(name+"/receipt.json")) {
			t.Errorf("%s: got %+v", name, a)
		}
	}
}
