package page

import (
	"slices"
	"strings"

	"safebox/verifier/verdict"
)

// stage is one link of the chain of trust, from the maker of the hardware to
// the release of keys. It groups the checks for the picture and the table.
type stage struct {
	name     literal
	question literal  // what the checks answer, for the owner of the data
	checks   []string // how the IDs begin; a digit at the end is whole
}

// keyRelease and other name the two stages with rules of their own.
const (
	keyRelease literal = "Key release"
	other      literal = "Other checks"
)

// stages is the chain in order, with the checks of verifier/checks.txt. A check
// may answer two questions; it is listed in the table under the first.
func stages() []stage {
	return []stage{
		{
			"Hardware root", "Is the maker of the hardware one that you accept?",
			[]string{"SNP-C1", "TDX-C1", "NITRO-4", "TPM-K5"},
		},
		{
			"Endorsement chain", "Does the maker vouch for this machine’s key?",
			[]string{"SNP-C", "SNP-B", "TDX-C", "TDX-C1", "NITRO-4", "NITRO-5", "NITRO-7", "TPM-K", "TPM-H", "COL-", "ROLL-"},
		},
		{
			"Evidence signature", "Did that key sign exactly this evidence?",
			[]string{"EV-", "PLAT-", "SNP-F", "SNP-S", "TDX-F", "TDX-Q", "NITRO-1", "NITRO-2", "NITRO-3", "NITRO-6", "TPM-F", "TPM-Q"},
		},
		{
			"Platform state", "Are versions and settings what your policy demands?",
			[]string{"SNP-P", "SNP-T", "SNP-I", "TDX-T", "TDX-A", "NITRO-8"},
		},
		{
			"Boot measurement", "Are firmware, kernel and initrd what you demand?",
			[]string{"SNP-M", "TDX-M1", "NITRO-9", "TPM-R"},
		},
		{
			"Event log", "Does the log of the boot explain what was measured?",
			[]string{"TDX-M2", "TPM-E"},
		},
		{
			"Release", "Is it the release and configuration that you want?",
			[]string{"REL-", "REC-", "LOG-", "CFG-"},
		},
		{other, "Does everything else hold?", nil},
		{
			keyRelease, "Does it answer your challenge, in time and under a valid policy?",
			[]string{"POL-", "TIME-", "CH-", "FR-", "SNP-D", "TDX-D", "NITRO-10"},
		},
	}
}

// Known reports whether the page has a place in the chain for a check. One that
// it does not know is shown under "Other checks".
func Known(id string) bool {
	return slices.ContainsFunc(stages(), func(s stage) bool { return s.rank(id) > 0 })
}

// rank says how well the stage fits a check: 0 is not at all, and the longest
// beginning fits best.
func (s *stage) rank(id string) int {
	best := 0
	for _, c := range s.checks {
		rest, ok := strings.CutPrefix(id, c)
		if !ok || digit(c[len(c)-1]) && rest != "" && digit(rest[0]) {
			continue // NITRO-1 is not the beginning of NITRO-10
		}
		best = max(best, len(c))
	}
	return best
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// grouped is a stage with its checks in the verdict's order.
type grouped struct {
	stage
	deciding []verdict.Check // for the picture
	listed   []verdict.Check // for the table: each check of the verdict in one stage
}

// group puts every check into the stages that it fits best.
func group(v *verdict.Verdict) []grouped {
	var groups []grouped
	rest := 0
	for i, s := range stages() {
		groups = append(groups, grouped{stage: s})
		if s.name == other {
			rest = i
		}
	}
	for _, c := range v.Checks {
		best := 0
		for i := range groups {
			best = max(best, groups[i].rank(c.ID))
		}
		listed := false
		for i := range groups {
			g := &groups[i]
			if best == 0 && i != rest || g.rank(c.ID) != best {
				continue
			}
			g.deciding = append(g.deciding, c)
			if !listed {
				g.listed, listed = append(g.listed, c), true
			}
		}
	}
	if len(groups[rest].listed) == 0 {
		groups = slices.Delete(groups, rest, rest+1)
	}
	return groups
}
