package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"safebox/cmd/internal/cli"
	"safebox/cmd/internal/tiles"
	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/release/record"
	"safebox/verifier/tlog"
)

// loggedRecords are the entries of a log that are about one release, in its order.
type loggedRecords struct {
	releases, rebuilds, against []loggedRecord
}

// loggedRecord is an entry and what it says.
type loggedRecord struct {
	index int
	entry []byte
	*record.Record
}

// findRecords looks at every entry. One that is no record makes the whole log
// useless to a verifier, so it is an error.
func findRecords(log *tiles.Log, digest canon.Octets32) (*loggedRecords, error) {
	found := &loggedRecords{}
	seen := map[[sha256.Size]byte]bool{}
	for i, entry := range log.Entries {
		r, err := record.Decode(entry)
		if err != nil {
			return nil, cli.Failed(fmt.Errorf("log entry %d: %w", i, err), "no verifier accepts a log that holds something else than records")
		}
		one := loggedRecord{i, entry, r}
		sum := sha256.Sum256(entry)
		if seen[sum] { // appended twice: the first will do
			continue
		}
		seen[sum] = true
		switch {
		case r.Release != nil && r.Release.Digest == digest:
			found.releases = append(found.releases, one)
		case r.Rebuild != nil && r.Rebuild.Digest == digest:
			found.rebuilds = append(found.rebuilds, one)
		case r.Revoke != nil:
			found.against = append(found.against, one)
		}
	}
	return found, nil
}

// choose leaves one release record, and rebuild records that a bundle has room
// for.
func (f *bundleFlags) choose(found *loggedRecords) error {
	if f.record != "" {
		one, err := pick("--record", f.record, found.releases)
		if err != nil {
			return err
		}
		found.releases = []loggedRecord{one}
	}
	switch len(found.releases) {
	case 0:
		return cli.Failed(errors.New("the log has no release record of this release"), "safebox release create signs one, safebox-host log append logs it")
	case 1:
	default:
		return cli.Failed(fmt.Errorf("the log has %d release records of this release: entries %s", len(found.releases), indexes(found.releases)),
			"--record FILE says which one is yours")
	}
	if len(f.rebuilds) > 0 {
		chosen := make([]loggedRecord, 0, len(f.rebuilds))
		for _, path := range f.rebuilds {
			one, err := pick("--rebuild", path, found.rebuilds)
			if err != nil {
				return err
			}
			chosen = append(chosen, one)
		}
		slices.SortFunc(chosen, func(a, b loggedRecord) int { return a.index - b.index })
		chosen = slices.CompactFunc(chosen, func(a, b loggedRecord) bool { return a.index == b.index })
		found.pass(chosen)
	}
	if n := len(found.rebuilds); n > bundle.MaxRebuilds {
		return cli.Failed(fmt.Errorf("the log has %d rebuild records of this release, and a bundle room for %d: entries %s", n, bundle.MaxRebuilds, indexes(found.rebuilds)),
			"--rebuild FILE, once for each, says which ones")
	}
	return nil
}

// pass takes these rebuild records; a mismatch among the others still speaks
// against the release.
func (l *loggedRecords) pass(chosen []loggedRecord) {
	for _, r := range l.rebuilds {
		if r.Rebuild.Result != record.Match && !slices.ContainsFunc(chosen, func(c loggedRecord) bool { return c.index == r.index }) {
			l.against = append(l.against, r)
		}
	}
	l.rebuilds = chosen
}

// pick finds the entry whose bytes are those of a file.
func pick(flag, path string, list []loggedRecord) (loggedRecord, error) {
	b, _, err := readRecord(flag, path)
	if err != nil {
		return loggedRecord{}, err
	}
	at := slices.IndexFunc(list, func(r loggedRecord) bool { return bytes.Equal(r.entry, b) })
	if at < 0 {
		return loggedRecord{}, cli.Failed(fmt.Errorf("%s: %s is not in the log as a record of this release", flag, path), "the file must be what was appended, with all its signatures")
	}
	return list[at], nil
}

func indexes(list []loggedRecord) string {
	var b strings.Builder
	for i, r := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d", r.index)
	}
	return b.String()
}

// put fills the bundle and says what is in it.
func (l *loggedRecords) put(log *tiles.Log, content *bundle.Bundle, answer *jsonBundle) {
	leaves := log.Leaves()
	prove := func(r loggedRecord) []byte {
		at := int64(r.index)
		return (&tlog.Proof{Index: at, Hashes: tlog.Inclusion(leaves, at), Checkpoint: log.Checkpoint}).Encode()
	}
	content.Entries = log.Entries
	content.Record, content.Proof = l.releases[0].entry, prove(l.releases[0])
	own := l.releases[0].Release
	first := l.releases[0].json(fmt.Sprintf("release %s, svn %d", own.Version, own.SVN))
	answer.Record = &first
	for _, r := range l.rebuilds {
		content.Rebuilds = append(content.Rebuilds, bundle.Rebuild{Record: r.entry, Proof: prove(r)})
		e := r.json(r.Rebuild.Result + " by " + r.Rebuild.Rebuilder)
		answer.Rebuilds = append(answer.Rebuilds, e)
		if r.Rebuild.Result != record.Match {
			answer.Against = append(answer.Against, e)
		}
	}
	for _, r := range l.against {
		switch {
		case r.Rebuild != nil:
			answer.Against = append(answer.Against, r.json(r.Rebuild.Result+" by "+r.Rebuild.Rebuilder))
		case slices.Contains(r.Revoke.Digests, own.Digest):
			answer.Against = append(answer.Against, r.json("revoked: "+r.Revoke.Reason))
		case own.SVN < r.Revoke.SVNFloor:
			answer.Against = append(answer.Against, r.json(fmt.Sprintf("svn %d below the floor %d: %s", own.SVN, r.Revoke.SVNFloor, r.Revoke.Reason)))
		}
	}
}

func (r loggedRecord) json(what string) jsonEntry {
	return jsonEntry{r.index, fmt.Sprintf("%x", sha256.Sum256(r.entry)), what}
}
