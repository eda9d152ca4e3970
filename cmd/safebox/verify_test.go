package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"safebox/verifier/challenge"
)

// TestVerifyScripts runs testdata/verify/*.txt in a folder with the captured
// session of verifier/testdata. $AT is a time within its challenge's life,
// $LATE one after it; $EVIDENCE and $NITRO are the folders of real evidence.
func TestVerifyScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/verify",
		Setup: func(env *testscript.Env) error {
			for _, from := range []string{"boot/release.json", "vtpm/evidence.json", "vtpm/challenge.json", "vtpm/policy.toml", "vtpm/root.pem", "vtpm/enrollment.json"} {
				if err := copyFile(filepath.Join(env.WorkDir, filepath.Base(from)), from); err != nil {
					return err
				}
			}
			if err := copyFile(filepath.Join(env.WorkDir, "challenge.json.secret"), "vtpm/secret.json"); err != nil {
				return err
			}
			b, err := os.ReadFile(filepath.Join(env.WorkDir, "challenge.json.secret"))
			if err != nil {
				return err
			}
			s, err := challenge.DecodeSecret(b)
			if err != nil {
				return err
			}
			env.Setenv("AT", time.Unix(s.Issued+30, 0).UTC().Format(time.RFC3339))
			env.Setenv("LATE", time.Unix(s.Issued+601, 0).UTC().Format(time.RFC3339))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			return setFolders(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fails": fails, "isjson": isJSON, "no": answersNo, "unhex": unhexMember, "raise": raise, "patch": patch, "makelog": makeLogPolicy},
	})
}

func setFolders(env *testscript.Env) error {
	source, err := filepath.Abs(root)
	env.Setenv("EVIDENCE", filepath.Join(source, "verifier", "testdata", "evidence"))
	env.Setenv("NITRO", filepath.Join(source, "measure", "testdata", "nitro", "docs"))
	return err
}

// makelog OUT LOG.pub NAME=WITNESS.pub... writes a C2SP tlog-policy whose quorum is
// all witnesses.
func makeLogPolicy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: makelog OUT LOG.pub NAME=WITNESS.pub...")
	}
	text, names := "log "+ts.ReadFile(args[1]), ""
	for _, w := range args[2:] {
		name, path, _ := strings.Cut(w, "=")
		text += "witness " + name + " " + ts.ReadFile(path)
		names += " " + name
	}
	text += "group all-of-them all" + names + "\nquorum all-of-them\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// unhex FILE NAME OUT writes what a member of a JSON object says in hex.
func unhexMember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: unhex FILE NAME OUT")
	}
	var object map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &object))
	var text string
	ts.Check(json.Unmarshal(object[args[1]], &text))
	b, err := hex.DecodeString(text)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), b, 0o644))
}

// raise MEMORY PREFIX adds one to the numbers of a rollback memory whose keys
// begin so.
func raise(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: raise MEMORY PREFIX")
	}
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	changed := 0
	number := regexp.MustCompile(`("key":"` + regexp.QuoteMeta(args[1]) + `[^"]*","value":")([0-9]+)`)
	b = number.ReplaceAllFunc(b, func(m []byte) []byte {
		parts := number.FindSubmatch(m)
		n, err := strconv.ParseUint(string(parts[2]), 10, 64)
		ts.Check(err)
		changed++
		return strconv.AppendUint(slices.Clone(parts[1]), n+1, 10)
	})
	if changed == 0 {
		ts.Fatalf("%s has no number of %s: %s", args[0], args[1], b)
	}
	ts.Check(os.WriteFile(name, b, 0o600))
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(filepath.Join("..", "..", "verifier", "testdata", from))
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
