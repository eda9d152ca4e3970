// Package logged describes what a release log holds and what is said about it:
// records (docs/format-release.md), checkpoints, proofs and policies (C2SP
// tlog-checkpoint, tlog-proof, tlog-policy), and the bundle that carries them
// (docs/format-bundle.md).
package logged

import (
	"bytes"

	"safebox/image/inspect/tree"
)

// Who verifies what is only decoded here.
const (
	by      = "safebox verify"
	byOwner = "you, by asking whose keys these are"
)

// Formats lists what this package recognises.
func Formats() []tree.Format {
	var list []tree.Format
	for _, kind := range []string{KindRelease, KindRebuild, KindRevocation} {
		list = append(list, tree.Format{Kind: kind, Match: func(b []byte) bool { return kindOf(b) == kind }, Items: recordFile})
	}
	return append(list,
		tree.Format{Kind: "log proof", Match: isProof, Items: proofFile},
		tree.Format{Kind: "checkpoint", Match: isCheckpoint, Items: checkpointFile},
		tree.Format{Kind: "log policy", Match: isPolicy, Items: policyFile},
		tree.Format{Kind: "key", Match: isKey, Items: keyFile},
	)
}

func recordFile(b []byte) ([]tree.Item, error) {
	r, err := NewRecord(b, nil)
	if err != nil {
		return nil, err
	}
	return append([]tree.Item{tree.Unverified("safebox release show --key, safebox verify")}, r.Items()...), nil
}

// firstLine is the text before the first line break.
func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b[:min(len(b), 4096)], []byte("\n"))
	return string(line)
}
