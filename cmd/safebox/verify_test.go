package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"safebox/verifier/challenge"
)

// TestVerifyScripts runs testdata/verify/*.txt in a folder with the captured
// session of verifier/testdata. $AT is a time within its challenge's life,
// $LATE one after it.
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
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"fails": fails, "isjson": isJSON, "no": answersNo},
	})
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(filepath.Join("..", "..", "verifier", "testdata", from))
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
