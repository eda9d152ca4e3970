package pagetest

import (
	"strings"

	"safebox/verifier/verdict"
	"safebox/verifier/verdict/page"
)

// Hostile is a verdict in which every string tries something: markup, escapes
// of every context, marks of direction, control characters, and lengths.
func Hostile() Example {
	v := &verdict.Verdict{
		Platform: attack + "platform", Type: attack, At: attack, Boot: long, Profile: "p\u202eeulav dexif\u202c" + long,
		Evidence: strings.Repeat("0123456789abcdef", 16), Bundle: attack, Policy: "", Challenge: long, Release: attack, Collateral: attack,
		Waived: []verdict.Waiver{{What: long, Reason: attack}, {What: attack, Reason: long}, {}},
	}
	for _, id := range []string{
		"TPM-R" + strings.Repeat("9", 200), "SNP-C1" + attack, "", "NITRO-10", strings.Repeat("W", 100),
		"\u05d0\u05d1\u05d2 100 \u05d3", "\ufeff\u200b\u00ad",
	} {
		v.Checks = append(v.Checks,
			verdict.Check{ID: id, Reached: true, Want: attack + long, Got: long + attack, Hint: attack, Name: long, Source: attack},
			verdict.Check{ID: id, Want: long, Got: attack, Hint: long, Name: attack, Source: long},
			verdict.Check{ID: id, OK: true, Reached: true, Want: "\x00\x1b[31m\x7f", Got: "\xff\xc3\x28", Name: attack + id, Source: long},
		)
	}
	events := Many(3000, 1500)
	for _, i := range []int{0, 1500, 2999} {
		events[i] = page.Event{
			Index: i, Register: long, Type: attack, Digest: long, Description: attack + long, Want: attack, Diverges: i >= 1500,
		}
	}
	return Example{Name: "hostile", Verdict: v, Events: events}
}

// attack closes every context in which a string of the page could stand.
const attack = `</dd></td></table></title></style></script>--><script>alert(1)</script><img src=x onerror=alert(2)>` +
	`" onmouseover="alert(3)' style='color:red' javascript:alert(4) &lt;b&gt; &#60;i&#62; <svg/onload=alert(5)> ]]> {{.}} ${x}` +
	"\u202egnp.exe\u202c \u2066isolate\u2069 \u200bzero\u200d \u2028line a\u0301\u0302\u0303\u0304 \u3164filler\r\n\ttab"

// long has no place to break.
const long = "a-very-long-word-without-any-space_" + hexes + hexes + hexes

const hexes = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
