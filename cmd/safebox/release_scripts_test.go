package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// TestPublishScripts runs testdata/publish/*.txt: see testdata/README.md.
func TestPublishScripts(t *testing.T) {
	for _, tool := range []string{"git", "sha256sum", "basenc", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: run ci/setup", err)
		}
	}
	s := newStage(t)
	clone := filepath.Join(t.TempDir(), "clone")
	commitSource(t, s.source, clone)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/publish",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CLONE", clone)
			return s.setUp(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails": fails, "no": answersNo, "isjson": isJSON, "payload": payload,
		},
	})
}

// commitSource makes a clone that holds the source of this test, committed or
// not, as its only commit.
func commitSource(t *testing.T, source, clone string) {
	t.Helper()
	const script = `mkdir "$CLONE"
git -C "$SOURCE" ls-files -co --exclude-standard -z | (cd "$SOURCE" && tar --null --no-recursion -T - -cf - --ignore-failed-read) | tar -C "$CLONE" -xf -
cd "$CLONE"
git init -q
git add -A
git -c user.name=Test -c user.email=test@example.com commit -q -m source`
	c := exec.Command("bash", "-euc", script)
	c.Env = append(os.Environ(), "SOURCE="+source, "CLONE="+clone, "GIT_CONFIG_GLOBAL=/dev/null")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
}

// payload FILE: what a record says, as another reader of DSSE takes it out of
// the envelope (go-securesystemslib), goes to the file FILE.json.
func payload(ts *testscript.TestScript, _ bool, args []string) {
	var e dsse.Envelope
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &e))
	b, err := e.DecodeB64Payload()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0])+".json", b, 0o600))
}
