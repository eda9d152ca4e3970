package witness

import (
	"fmt"
	"slices"

	"safebox/verifier/tlog"
)

// parseLogs sorts the verifier keys of logs by origin, which is their name.
func parseLogs(vkeys []string) (map[string][]tlog.Key, error) {
	logs := map[string][]tlog.Key{}
	for _, vkey := range vkeys {
		k, err := tlog.ParseKey(vkey)
		if err != nil {
			return nil, fmt.Errorf("log key: %w", err)
		}
		if k.Algorithm != tlog.Ed25519 {
			return nil, fmt.Errorf("log key %.100q: got %v, want %v", vkey, k.Algorithm, tlog.Ed25519)
		}
		if slices.ContainsFunc(logs[k.Name], func(other tlog.Key) bool { return other.String() == k.String() }) {
			return nil, fmt.Errorf("log key %.100q: given twice", vkey)
		}
		logs[k.Name] = append(logs[k.Name], k)
	}
	return logs, nil
}

// distinct refuses to sign twice with one key.
func distinct(cosigners []*tlog.Cosigner) error {
	seen := map[string]bool{}
	for _, c := range cosigners {
		text := c.Key().String()
		if seen[text] {
			return fmt.Errorf("witness key %.100q: given twice", text)
		}
		seen[text] = true
	}
	return nil
}

// signedOnlyBy is a note that was opened with keys, without the signatures of
// others: strangers' lines do not grow the state.
func signedOnlyBy(keys []tlog.Key, note []byte) ([]byte, error) {
	n, err := tlog.DecodeNote(note)
	if err != nil {
		return nil, err
	}
	b := append(slices.Clone(n.Text), '\n')
	for _, s := range n.Signatures {
		if slices.ContainsFunc(keys, func(k tlog.Key) bool { return k.Verify(n.Text, s) }) {
			b = append(b, s.String()...)
		}
	}
	return b, nil
}
