package main

import (
	"bytes"
	"crypto/ed25519"
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
