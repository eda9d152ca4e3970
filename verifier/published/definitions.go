package published

import "safebox/verifier/check"

// Definitions lists the checks in the order of the steps.
func Definitions() []check.Definition {
	list := append(recordDefinitions(), logDefinitions()...)
	return append(append(list, releaseDefinitions()...), rebuildDefinitions()...)
}

func recordDefinitions() []check.Definition {
	const hint = "whoever runs the log let something in that is no record: tell them; until then nothing in it can be relied on"
	return []check.Definition{
		check.Define("LOG-1", "proofs and checkpoint are readable", "runtime.md C5, step 1; C2SP tlog-proof, tlog-checkpoint",
			"make the bundle again: safebox release bundle"),
		check.Define("REC-1", "records are strict JSON, no name twice, not too large", "runtime.md C5, step 1; format-release.md: records", hint),
		check.Define("REC-2", "records are in their one form", "runtime.md C5, step 1; format-release.md: records", hint),
		check.Define("REC-3", "records are of known kinds", "runtime.md C1, C5, step 1", "a newer safebox may know this kind of record; this one can't tell what it says"),
		check.Define("REC-4", "fields of records are valid", "runtime.md C1, C5, step 1; format-release.md: records", hint),
		check.Define("REL-3", "release is signed by enough of the policy's signers", "runtime.md C5, step 2; format-policy.md: publication.signatures, signers",
			"don't run it: it is not what these signers have published, or the policy lists other keys than theirs"),
		check.Define("REL-5", "release record is about this release", "runtime.md C5, step 2; protocol.md 8",
			"release.json and record don't belong together: fetch the bundle again"),
	}
}

func logDefinitions() []check.Definition {
	return []check.Definition{
		check.Define("LOG-6", "records are in the log's tree", "runtime.md C5, steps 3 and 4; C2SP tlog-proof",
			"record and proof don't belong together: make the bundle again, with safebox release bundle"),
		check.Define("LOG-2", "checkpoint is signed by the policy's log", "runtime.md C5, step 5; C2SP tlog-checkpoint; format-policy.md: publication.log",
			"this is another log than the one that the policy names"),
		check.Define("LOG-3", "checkpoint is witnessed", "runtime.md C5, step 5; C2SP tlog-cosignature",
			"nobody but the log vouches for it: the log could show others something else"),
		check.Define("LOG-4", "witnesses are a quorum", "runtime.md C5, step 5; C2SP tlog-policy",
			"make the bundle again when more witnesses have cosigned"),
		check.Define("LOG-5", "witnesses have cosigned not long ago", "runtime.md C5, step 6; format-policy.md: publication.max_age",
			"make the bundle again: an old one hides what was revoked since. If it is from the future, set the clock"),
		check.Define("LOG-7", "entries are all of the log", "runtime.md C5, step 7",
			"entries were left out or changed, perhaps a revocation: make the bundle again"),
		check.Define("LOG-8", "log tells one story", "runtime.md C5, step 7; verify.md 5.2; format-memory.md: logs",
			"FORK: the log or whoever gave you the bundle shows different people different entries: keep the files and tell the witnesses"),
	}
}

func releaseDefinitions() []check.Definition {
	return []check.Definition{
		check.Define("REL-6", "release is in force", "runtime.md C1: notBefore", "wait, or set the clock"),
		check.Define("REL-7", "security version is not below the floor", "runtime.md C5, step 8; format-policy.md: publication.svn_floor",
			"run a newer release"),
		check.Define("REL-8", "release is not revoked", "runtime.md C5, step 8", "stop the machine and run a newer release"),
	}
}

func rebuildDefinitions() []check.Definition {
	return []check.Definition{
		check.Define("REL-11", "rebuilds are of this release and its source", "runtime.md C5, step 9; verify.md 9, R2",
			"make the bundle again with the rebuild records of this release"),
		check.Define("REL-9", "release was rebuilt often enough", "runtime.md C5, step 9; verify.md 9, R2; format-policy.md: publication.rebuilds, rebuilders",
			"wait until more of the policy's rebuilders have rebuilt it, and make the bundle again"),
		check.Define("REL-10", "rebuilds are by different operators", "runtime.md C5, step 9; verify.md 9, R2; format-policy.md: publication.rebuilders.operator",
			"one operator counts once, however many keys and records it has"),
		check.Define("REL-12", "no rebuilder got anything else", "runtime.md C5, step 9; verify.md 9, R2",
			"don't run it: somebody could not reproduce it. Ask the publisher why"),
	}
}
