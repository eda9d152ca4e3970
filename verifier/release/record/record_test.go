package record_test

import (
	"bytes"
	"crypto/sha256"

	"safebox/verifier/canon"
	"safebox/verifier/release/record"
)

// epoch is 2026-01-01 00:00:00 UTC, by `date -ud 2026-01-01 +%s`.
const epoch = 1767225600

// sum is the directory hash of golang.org/x/mod v0.42.0 as go.sum has it: any
// real one.
const sum = "h1:ywrr40bdZpGEA1Ou2yKxgOIEejPGi0sAdqrs5P/iE8k="

// digest is SHA-256 of the text, as it stands for a release.json.
func digest(text string) canon.Octets32 { return sha256.Sum256([]byte(text)) }

func goodRelease() record.Release {
	return record.Release{
		Digest: digest("one"), Version: "1.2.0", SVN: 3,
		Source: record.Source{
			Commit: "0123456789abcdef0123456789abcdef01234567", Tree: "89abcdef0123456789abcdef0123456789abcdef", Sum: sum,
		},
		Supersedes: digest("zero").String(), NotBefore: epoch,
	}
}

func goodMatch() record.Rebuild {
	return record.Rebuild{
		Digest: digest("one"), Rebuilder: "Example Auditors", Result: record.Match, Rebuilt: digest("one"),
		Source: sum, Environment: record.Environment{Arch: "amd64", Go: "1.26.8", OS: "linux"}, Time: epoch + 86400,
	}
}

func goodMismatch() record.Rebuild {
	r := goodMatch()
	r.Result, r.Rebuilt = record.Mismatch, digest("other")
	r.Differences = []record.Difference{
		{Path: "safebox.efi, section .initrd, /init, byte 4096", Got: "0x90", Want: "0xcc"},
		{Path: "release.json", Got: digest("other").String(), Want: digest("one").String()},
	}
	return r
}

func goodRevoke() record.Revoke {
	list := []canon.Octets32{digest("one"), digest("two"), digest("three")}
	for i := range list { // by hand: 76..., 3f..., 8b... in some order
		for j := range list[:i] {
			if bytes.Compare(list[i][:], list[j][:]) < 0 {
				list[i], list[j] = list[j], list[i]
			}
		}
	}
	return record.Revoke{Digests: list, SVNFloor: 4, Reason: "init follows links out of its folder", Effective: epoch + 2*86400}
}
