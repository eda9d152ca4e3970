package deb

import (
	"cmp"
	"strings"
)

// version is a version in its three parts: Policy 5.6.12.
type version struct{ epoch, upstream, revision string }

func splitVersion(s string) version {
	v := version{epoch: "0", upstream: s, revision: "0"}
	if epoch, rest, ok := strings.Cut(s, ":"); ok {
		v.epoch, v.upstream = epoch, rest
	}
	if i := strings.LastIndexByte(v.upstream, '-'); i >= 0 {
		v.upstream, v.revision = v.upstream[:i], v.upstream[i+1:]
	}
	return v
}

// CompareVersions orders two versions as dpkg does (Policy 5.6.12): negative
// when a is older than b. Both must be valid (ValidVersion).
func CompareVersions(a, b string) int {
	va, vb := splitVersion(a), splitVersion(b)
	return cmp.Or(
		compareNumbers(va.epoch, vb.epoch),
		comparePart(va.upstream, vb.upstream),
		comparePart(va.revision, vb.revision),
	)
}

// comparePart compares runs of non-digits and runs of digits in turn.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		var textA, textB, numA, numB string
		textA, a = cutRun(a, false)
		textB, b = cutRun(b, false)
		numA, a = cutRun(a, true)
		numB, b = cutRun(b, true)
		if c := cmp.Or(compareText(textA, textB), compareNumbers(numA, numB)); c != 0 {
			return c
		}
	}
	return 0
}

// cutRun cuts the leading run of digits, or of everything else.
func cutRun(s string, digits bool) (run, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) == digits {
		i++
	}
	return s[:i], s[i:]
}

// compareText orders by rank: a tilde sorts before the end, letters before
// everything else.
func compareText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(rank(a, i), rank(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func rank(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case isLetter(s[i]):
		return int(s[i])
	default:
		return int(s[i]) + 256
	}
}

// compareNumbers compares digits of any length.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
