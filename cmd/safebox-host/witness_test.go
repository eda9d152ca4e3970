package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"safebox/verifier/keyfile"
	"safebox/verifier/keyfile/notekey"
)

// TestWitnessScripts runs testdata/witness/*.txt.
func TestWitnessScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/witness",
		Setup: witnessFiles,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":  await,
			"submit": submitCommand,
		},
	})
}

// witnessFiles makes the keys of two logs and of one witness, in two kinds, and
// requests of the first log: BRANCH.OLD-SIZE up to size 3, of two branches.
func witnessFiles(env *testscript.Env) error {
	skey, vkey, err := note.GenerateKey(rand.Reader, "log.example/a")
	if err != nil {
		return err
	}
	_, other, err := note.GenerateKey(rand.Reader, "log.example/b")
	if err != nil {
		return err
	}
	env.Setenv("LOG", vkey)
	files := map[string][]byte{"logs": []byte("# two logs\n\n" + vkey + "\n  " + other + "\n")}
	for name, algorithm := range map[string]string{"w1": keyfile.Ed25519, "w2": keyfile.MLDSA44} {
		k, err := notekey.NewWitness("witness.example/w", algorithm, rand.Reader)
		if err != nil {
			return err
		}
		files[name], files[name+".pub"] = k.Encode(), k.EncodePublic()
	}
	l, err := notekey.NewLog("log.example/a", rand.Reader)
	if err != nil {
		return err
	}
	files["logkey"] = l.Encode()
	for _, branch := range []string{"main", "fork"} {
		if err := addRequests(files, skey, branch); err != nil {
			return err
		}
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// addRequests makes the requests of a branch by golang.org/x/mod/sumdb.
func addRequests(files map[string][]byte, skey, branch string) error {
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	var stored []xtlog.Hash
	reader := xtlog.HashReaderFunc(func(at []int64) (list []xtlog.Hash, err error) {
		for _, i := range at {
			list = append(list, stored[i])
		}
		return list, nil
	})
	for size := int64(1); size <= 3; size++ {
		h, err := xtlog.StoredHashes(size-1, fmt.Appendf(nil, "%s %d", branch, size), reader)
		if err != nil {
			return err
		}
		stored = append(stored, h...)
		root, err := xtlog.TreeHash(size, reader)
		if err != nil {
			return err
		}
		signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%v\n", signer.Name(), size, root)}, signer)
		if err != nil {
			return err
		}
		for old := range size + 1 {
			b := fmt.Appendf(nil, "old %d\n", old)
			if old > 0 && old < size {
				proof, err := xtlog.ProveTree(size, old, reader)
				if err != nil {
					return err
				}
				for _, h := range proof {
					b = fmt.Appendf(b, "%v\n", h)
				}
			}
			files[fmt.Sprintf("%s.%d-%d", branch, old, size)] = fmt.Appendf(b, "\n%s", signed)
		}
	}
	return nil
}

// submit OUT REQUEST STATUS [VKEYFILE...] sends a request to the witness that
// wrote OUT. With status 200 each of the keys, and no other, has cosigned.
func submitCommand(ts *testscript.TestScript, _ bool, args []string) {
	_, url, _ := strings.Cut(strings.TrimSpace(ts.ReadFile(args[0])), " ")
	body := ts.ReadFile(args[1])
	r, err := http.Post(url+"/add-checkpoint", "", strings.NewReader(body))
	ts.Check(err)
	answer, err := io.ReadAll(r.Body)
	ts.Check(err)
	ts.Check(r.Body.Close())
	if got := fmt.Sprint(r.StatusCode); got != args[2] {
		ts.Fatalf("%s: got status %s %q, want %s", args[1], got, answer, args[2])
	}
	if r.StatusCode != http.StatusOK {
		return
	}
	var verifiers []note.Verifier
	for _, name := range args[3:] {
		v, err := fnote.NewVerifierForCosignatureV1(strings.TrimSpace(ts.ReadFile(name)))
		ts.Check(err)
		verifiers = append(verifiers, v)
	}
	_, signed, _ := strings.Cut(body, "\n\n")
	n, err := note.Open(append([]byte(signed), answer...), note.VerifierList(verifiers...))
	ts.Check(err)
	if lines := bytes.Count(answer, []byte("\n")); len(n.Sigs) != len(verifiers) || lines != len(verifiers) {
		ts.Fatalf("got %d good cosignatures in %d lines, want %d", len(n.Sigs), lines, len(verifiers))
	}
}
