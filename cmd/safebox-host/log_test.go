package main

import (
	"bytes"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"safebox/measure/benchtest"
	"safebox/verifier/dsse"
	"safebox/verifier/tlog"
)

// TestLogScripts runs testdata/log/*.txt.
func TestLogScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "log"),
		Setup: setUpLog,
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"await": await, "url": urlCommand},
	})
}

// TestLogLies: a log whose proof is for another index than its answer, or that
// has no proof, is told on, and nothing is written.
func TestLogLies(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	publisher, err := dsse.NewSigner(ed25519.NewKeyFromSeed(benchtest.Bytes(32)))
	if err != nil {
		t.Fatal(err)
	}
	entry := logEntry(t, publisher, 1)
	secret, vkey, err := tlog.GenerateLogKey("log.example/lies", bytes.NewReader(benchtest.Bytes(32)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := tlog.NewLogSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := key.SignCheckpoint(&tlog.Checkpoint{Origin: key.Name(), Size: 1, Root: tlog.LeafHash(entry)})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"e.dsse": entry, "policy": []byte("log " + vkey + "\nquorum none\n")} {
		if err := os.WriteFile(path(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proof := (&tlog.Proof{Checkpoint: checkpoint}).Encode()
	for want, tt := range map[string]struct {
		receipt string
		proof   []byte
	}{
		"":                                      {`{"index":0,"size":1}`, proof},
		"it is for index 0, and the log said 1": {`{"index":1,"size":2}`, proof},
		"decoding proof":                        {`{"index":0,"size":1}`, proof[1:]},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b := tt.proof
			if r.Method == http.MethodPost {
				b = []byte(tt.receipt)
			}
			if _, err := w.Write(b); err != nil {
				t.Error(err)
			}
		}))
		var stdout, stderr bytes.Buffer
		code := run([]string{"log", "append", "--url", server.URL, "--policy", path("policy"), "--out", path("proof"), path("e.dsse")}, nil, &stdout, &stderr)
		server.Close()
		written := os.Remove(path("proof")) == nil
		if ok := want == ""; (code == 0) != ok || written != ok || (stdout.Len() > 0) != ok || !strings.Contains(stderr.String(), want) {
			t.Errorf("want %q: exit %d, written %v: %s%s", want, code, written, &stdout, &stderr)
		}
	}
}

// url VAR FILE puts the URL of the "listening" line of a file into VAR.
func urlCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: url VAR FILE")
	}
	_, url, ok := strings.Cut(ts.ReadFile(args[1]), "listening ")
	if !ok {
		ts.Fatalf("%s has no URL", args[1])
	}
	ts.Setenv(args[0], strings.TrimSpace(url))
}

// setUpLog makes keys (log.key, witness.key), submitters (one key), records of
// it (one.dsse, two.dsse) and of another key (stranger.dsse), and policies:
// none.policy has the log and no quorum, witnessed.policy a witness that is
// never there, other.policy another log.
func setUpLog(env *testscript.Env) error {
	key := func(n int) dsse.Signer {
		s, err := dsse.NewSigner(ed25519.NewKeyFromSeed(benchtest.Bytes(32 * (n + 1))[32*n:]))
		if err != nil {
			env.T().Fatal(err)
		}
		return s
	}
	t, publisher := env.T().(testing.TB), key(0)
	random := func(n int) *bytes.Reader { return bytes.NewReader(benchtest.Bytes(32 * (n + 1))[32*n:]) }
	secret, log, err := tlog.GenerateLogKey("log.example/script", random(1))
	if err != nil {
		return err
	}
	_, other, err := tlog.GenerateLogKey("log.example/script", random(2))
	if err != nil {
		return err
	}
	witnessSecret, witness, err := tlog.GenerateWitnessKey("witness.example/w", tlog.CosignatureEd25519, random(3))
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"log.key":          secret + "\n",
		"witness.key":      witnessSecret + "\n",
		"submitters":       "# publisher\n" + publisher.Public().String() + "\n",
		"one.dsse":         string(logEntry(t, publisher, 1)),
		"two.dsse":         string(logEntry(t, publisher, 2)),
		"stranger.dsse":    string(logEntry(t, key(4), 3)),
		"none.policy":      "log " + log + "\nquorum none\n",
		"other.policy":     "log " + other + "\nquorum none\n",
		"witnessed.policy": "log " + log + "\nwitness W " + witness + " http://127.0.0.1:1\nquorum W\n",
	} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
