package pagetest

import (
	"strconv"
	"strings"

	"safebox/verifier/verdict"
	"safebox/verifier/verdict/page"
)

// Accepted is the verdict on the real session in verifier/testdata/vtpm, as
// safebox verify gave it, with the boot's event log.
func Accepted() Example {
	return Example{
		Name: "accepted",
		Verdict: &verdict.Verdict{
			OK: true, Platform: "vtpm", Type: verdict.Type, At: "2026-11-21T07:17:04Z", Boot: "esp", Profile: "test",
			Evidence:  "fd804aafc2a1e46d79cc07ebf048d74357aa063ecd73b12166090fb14e5adcaa",
			Bundle:    "7ef06d2a78ca09795149e7cd6a8365a64b9023ffe425ee15839ec48791939eec",
			Policy:    "fb73afedf472ea7e70c13ab30fdd6a50c11c610ce6320a82932dbd65997ade38",
			Challenge: "94e55f6de472fb659523656e7aee1fc1f9af4b64833073f6d87251c628d27521",
			Release:   "526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6",
			Checks:    checks(sessionChecks),
			Waived:    sessionWaived(),
		},
		Events: sessionEvents(),
	}
}

// Refused is the same session with another kernel: registers differ, and the
// log says at which event.
func Refused() Example {
	e := Accepted()
	e.Name = "refused"
	v := e.Verdict
	const hint = "the log below marks the first event that differs; boot the release's own image"
	fail(v, "TPM-R4-sha256", "9e1c52ad5920cee67a70885ae474125dc9e1c25ad500066474917166fe77a0c3", hint)
	fail(v, "TPM-R11-sha256", "5d44c99bc7f82efe556cb653e888ae0e6b71e47c820603f2395181da161d0e65", hint)
	fail(v, "FR-3", "2026-11-21T07:41:10Z", "make a new challenge, with a longer --expires if files are carried by hand")
	fail(v, "REL-2", "challenge 526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6, evidence 526089dfad5344d4ffffff1161d818887ade02a2e8862929339f125a8595d6c6",
		"challenge, bundle and evidence must be about the same release.json")
	for i := range e.Events {
		ev := &e.Events[i]
		ev.Want = ev.Digest
		switch i {
		case 26:
			ev.Want, ev.Diverges = "ab12f00192def88f03515c07f92267f012260ab464ca863826fd0ed2d7ccc32a", true
		case 28:
			ev.Want, ev.Diverges = "d1bc2c60a78ae6979736d081bc3c90e45ace6baf414f767dff588e319d3492bc", true
		case 37:
			ev.Want, ev.Diverges = "", true
		}
	}
	return e
}

// sessionEvents reads the log below: register, type, digest, description.
func sessionEvents() []page.Event {
	var list []page.Event
	for line := range strings.Lines(sessionLog) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "|", 4)
		if len(f) == 4 {
			list = append(list, page.Event{Index: len(list), Register: "PCR " + f[0], Type: f[1], Digest: f[2], Description: f[3]})
		}
	}
	return list
}

// Many is a log of n events of which one diverges; none does if it is
// negative.
func Many(n, diverges int) []page.Event {
	list := make([]page.Event, n)
	for i := range list {
		list[i] = page.Event{
			Index: i, Register: "RTMR " + strconv.Itoa(i%4), Type: "EV_IPL", Description: "event " + strconv.Itoa(i),
			Digest: strings.Repeat("ab", 48), Diverges: i == diverges,
		}
	}
	return list
}

func sessionWaived() []verdict.Waiver {
	return []verdict.Waiver{
		{What: "publication of the release: signatures, rebuilds, log", Reason: "release = \"unsigned\" in the policy"},
		{What: "content of the configuration document", Reason: "configuration.documents = \"any\" in the policy"},
		{What: "hardware behind the TPM", Reason: "software_roots = \"accept\" in the policy: the TPM of CN=swtpm-localca-rootca is a program, and its host can make it say anything"},
		{What: "clock of the TPM", Reason: "vtpm.clock = \"any\" in the policy"},
		{What: "register 1: host's tables", Reason: "the release leaves it open"},
		{What: "register 5: partition table", Reason: "vtpm.disk = \"any\" in the policy"},
		{What: "register 10: kernel's IMA", Reason: "the release leaves it open"},
	}
}
