package logged

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"safebox/image/inspect/tree"
	"safebox/verifier/bundle"
	"safebox/verifier/dsse"
	"safebox/verifier/publishtest"
)

// publication is one of a release that nobody made.
func publication(t testing.TB) (*publishtest.Plan, *publishtest.Publication) {
	t.Helper()
	b, err := os.ReadFile("../../../verifier/testdata/boot/release.json")
	if err != nil {
		t.Fatal(err)
	}
	plan := publishtest.New(t, b, time.Unix(1795219200, 0))
	mismatch, revoke := plan.Mismatch(0), plan.Revoke(1, plan.Release.Digest)
	plan.After = [][]byte{
		publishtest.Entry(t, &mismatch, publishtest.Rebuilder(t, 0)), publishtest.Entry(t, &revoke, publishtest.Publisher(t)), []byte("no record"),
	}
	return plan, plan.Publish(t)
}

// FuzzFormats: whatever is read, every text of it can be shown on a terminal,
// it says first that nothing is verified, and it is bounded.
func FuzzFormats(f *testing.F) {
	_, p := publication(f)
	for _, b := range append([][]byte{
		p.Bundle.Proof, p.Checkpoint, []byte(p.Policy.Log), []byte(publishtest.Publisher(f).Public().String()), p.Encode(f),
	}, p.Log.Entries...) {
		f.Add(b)
	}
	keys := []dsse.PublicKey{publishtest.Publisher(f).Public()}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range Formats() {
			if !format.Match(b) {
				continue
			}
			items, err := format.Items(b)
			if err == nil && items[0].Name != "verified" {
				t.Errorf("%s: got %q first, want that nothing is verified", format.Kind, items[0].Name)
			}
			checkItems(t, items, 64*(len(b)+1024))
		}
		if out, err := NewBundle(b, keys); err == nil {
			checkItems(t, out.Items(), 64*(len(b)+1024))
			if _, err := bundle.Decode(b); err != nil {
				t.Errorf("accepted, which package bundle does not: %v", err)
			}
		}
	})
}

func checkItems(t *testing.T, items []tree.Item, limit int) {
	t.Helper()
	size := 0
	var walk func(items []tree.Item)
	walk = func(items []tree.Item) {
		for _, i := range items {
			size += len(i.Name) + len(i.Value)
			if strings.ContainsFunc(i.Name+i.Value, func(c rune) bool { return !strconv.IsPrint(c) }) {
				t.Errorf("%q: got %q, want nothing that a terminal obeys", i.Name, i.Value)
			}
			walk(i.Items)
		}
	}
	walk(items)
	if size > limit {
		t.Errorf("got %d bytes of items, want at most %d", size, limit)
	}
}

// TestBundle: what the log holds against the release, and what is no record.
func TestBundle(t *testing.T) {
	plan, p := publication(t)
	rebuilder := publishtest.Rebuilder(t, 0).Public()
	b, err := NewBundle(p.Encode(t), []dsse.PublicKey{rebuilder})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Signed || b.Release != plan.Release.Digest.String() || !b.Log.RootIsTrue || b.Log.Size != 7 || b.Log.Entries != 7 || len(b.Log.Signatures) != 4 {
		t.Errorf("got %+v", b.Log)
	}
	if len(b.Rebuilds) != 3 || len(b.Mismatches) != 1 || b.Mismatches[0].Index != 4 || len(b.Revocations) != 1 || !b.Revocations[0].Revokes {
		t.Errorf("got %d rebuilds, mismatches %v, revocations %v", len(b.Rebuilds), b.Mismatches, b.Revocations)
	}
	if len(b.Unreadable) != 1 || b.Unreadable[0].Index != 6 {
		t.Errorf("unreadable: got %v, want entry 6", b.Unreadable)
	}
	if got := b.Faults(); len(got) != 1 || got[0] != "entry 6 is no record" {
		t.Errorf("faults: got %q", got)
	}
	if s := b.Rebuilds[0].Record.Signatures[0]; !s.Valid || s.Key != rebuilder.String() {
		t.Errorf("rebuild 0: got %+v, want it verified", s)
	}
	if s := b.Rebuilds[1].Record.Signatures[0]; s.Valid || s.Key != "" {
		t.Errorf("rebuild 1: got %+v, want it not verified", s)
	}
}

// TestBundleFaults: a proof of another tree, and a record of another release.
func TestBundleFaults(t *testing.T) {
	plan, p := publication(t)
	// A proof in the same tree, that carries a checkpoint nobody cosigned.
	forked := *p.Bundle
	forked.Rebuilds = append([]bundle.Rebuild{{Record: p.Log.Entries[1], Proof: p.Log.Proof(1, p.Log.Checkpoint(t))}}, forked.Rebuilds[1:]...)
	other := *p.Bundle
	other.Release = []byte("{}")
	// The root is that of the entries, the size is not: only proofs would notice.
	body := bytes.Replace(p.Log.Body(), []byte("\n7\n"), []byte("\n8\n"), 1)
	sized := *p.Bundle
	sized.Proof = bytes.Replace(p.Bundle.Proof, p.Checkpoint, publishtest.SignCheckpoint(t, p.Log.Name, body), 1)
	low := plan.Revoke(2, [32]byte{9})
	plan.After = [][]byte{publishtest.Entry(t, &low, publishtest.Publisher(t))}
	for name, tt := range map[string]struct {
		bundle *bundle.Bundle
		want   string
	}{
		"checkpoint": {&forked, "rebuild record: the proof for entry 1 is not one"},
		"size":       {&sized, "the entries are not those of the checkpoint"},
		"release":    {&other, "release record: is about another release"},
	} {
		encoded, err := bundle.Encode(tt.bundle)
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewBundle(encoded, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(b.Faults(), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	b, err := NewBundle(plan.Publish(t).Encode(t), nil)
	if err != nil || len(b.Revocations) != 1 || !b.Revocations[0].Revokes || len(b.Faults()) != 0 {
		t.Errorf("floor above the release: got %+v and %v, want it revoked", b.Revocations, err)
	}
}
