package publication

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Values are what a table is written of: Section. What is not there is written
// as None, or as the profiles have it.
type Values struct {
	Signatures int // 0: 1
	Signers    []Signer
	SVNFloor   int64 // 0: 1
	Rebuilds   int   // 0: 2
	Rebuilders []Rebuilder
	Log        string // C2SP tlog-policy
}

// defaultAge is the oldest state of a log (specs/runtime.md, section C4).
const defaultAge = 7 * day * time.Second

// Section writes the table [publication] with comments.
func Section(v Values) (string, error) {
	if strings.Contains(v.Log, "'''") {
		return "", errors.New("making policy: the log's policy has ''' in it, which ends a text")
	}
	log := `"none"`
	if v.Log != "" {
		log = "'''\n" + strings.TrimSuffix(v.Log, "\n") + "\n'''"
	}
	var b strings.Builder
	fmt.Fprintf(&b, template, max(v.Signatures, 1), max(v.SVNFloor, 1), orDefault(v.Rebuilds, leastRebuilds), defaultAge/time.Second, log)
	if len(v.Signers) == 0 {
		b.WriteString(noSigners)
	}
	if len(v.Rebuilders) == 0 {
		b.WriteString(noRebuilders)
	}
	for _, s := range v.Signers {
		fmt.Fprintf(&b, "\n[[publication.signers]]\nname = %s\nkey = %q\n", basicString(s.Name), s.Key.String())
	}
	for _, r := range v.Rebuilders {
		fmt.Fprintf(&b, "\n[[publication.rebuilders]]\noperator = %s\nkey = %q\n", basicString(r.Operator), r.Key.String())
	}
	return b.String(), nil
}

func orDefault(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

// basicString writes a TOML basic string of printable text (TOML 1.0,
// "String").
func basicString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

const noSigners = `# No signer is named: every release is refused until you name one
# (safebox policy init --signer FILE.pub).
signers = "none"
`

const noRebuilders = `# No rebuilder is named: every release is refused until you name enough of them
# (safebox policy init --rebuilder OPERATOR=FILE.pub).
rebuilders = "none"
`

const template = `
# Who must have published a release before it counts. A key has one role: nobody
# here vouches for himself.
[publication]
# So many of the signers below, by name, must have signed it.
signatures = %d
# Lowest security version. A release below it is refused, also one that runs.
svn_floor = %d
# So many operators of the rebuilders below must have built the same bytes from
# the source. A mismatch by any of them holds the release.
rebuilds = %d
# How long ago the log's witnesses may have cosigned it, in seconds: a revocation
# can stay hidden for that long.
max_age = %d
# The log and its witnesses (C2SP tlog-policy), or "none": then nothing passes.
log = %s
`
