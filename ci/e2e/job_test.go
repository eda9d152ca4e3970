package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"safebox/image"
	"safebox/verifier/canon"
	"safebox/verifier/configuration"
	"safebox/verifier/evidence"
	"safebox/verifier/grant"
	"safebox/verifier/hostile"
	"safebox/verifier/keyfile"
	"safebox/verifier/object"
	"safebox/verifier/publishtest"
)

// Programs for the sandbox.
const (
	textstat = "./guest/sandbox/example/textstat"
	peek     = "./ci/e2e/module/peek"
	spin     = "./ci/e2e/module/spin"
)

// marker stands in the sealed text, in each chunk. Nothing outside the guest
// may ever show it but what the recipient decrypts.
const marker = "e2e-marker-93b1c7f2-must-not-be-seen"

// chunks of the sealed text; the last is short.
const textChunks = 6

// text is what the owner seals: words of a known number, with markers.
func text() []byte {
	var b bytes.Buffer
	for line := 0; b.Len() < (textChunks-1)*object.ChunkSize+1000; line++ {
		fmt.Fprintf(&b, "line %d says %s and no more\n", line, marker)
	}
	return b.Bytes()
}

// seal makes the object and hands its shards to the host.
func (p *party) seal(a *appliance) {
	p.t.Helper()
	p.write("letters.txt", text())
	p.yes("safebox", "seal", "letters.txt", "--out", "object", "--profile", "small")
	p.give(a, "object")
	p.write("textstat.wasm", module(p.t, textstat))
	p.write("params.json", []byte(`{"top":3}`))
}

// give copies the shards of an object to the folder that the host serves.
func (p *party) give(a *appliance, object string) {
	p.t.Helper()
	err := filepath.WalkDir(p.path(filepath.Join(object, "shards")), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(a.shards, e.Name()), b, 0o600)
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// grant asks for fresh evidence and grants chunks of the object to the guest.
func (p *party) grant(a *appliance, name, chunks, module string) {
	p.t.Helper()
	p.challenge(name+".challenge", "owner.key.pub")
	p.evidence(a, name+".challenge", name+".evidence")
	p.yes(grantArgs(name, "release.bundle", "policy.toml", chunks, module)...)
}

func grantArgs(name, bundle, policy, chunks, module string) []string {
	return []string{
		"safebox", "grant", "--evidence", name + ".evidence", "--bundle", bundle, "--policy", policy,
		"--challenge", name + ".challenge", "--keys", "object/keys.json", "--audience-key", "owner.key", "--chunks", chunks,
		"--module", module, "--params", "params.json", "--recipient", "analyst.key.pub", "--out", name + ".grant",
	}
}

// floors: the guest that got grants runs on, and meanwhile the log or the
// policy ask for more than its release. It gets no other grant.
func (p *party) floors(t *testing.T, a *appliance) {
	q := *p
	q.t = t
	file, err := os.ReadFile(filepath.Join(release(t, p.init).folder, "release.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, id string
		change   func(plan *publishtest.Plan)
	}{
		{"policyfloor", "REL-7", func(plan *publishtest.Plan) { plan.Policy.SVNFloor = 2 }},
		{"logfloor", "REL-7", func(plan *publishtest.Plan) { plan.AddRevocation(t, 2, canon.Octets32{1}) }},
		{"revoked", "REL-8", func(plan *publishtest.Plan) { plan.AddRevocation(t, 0, plan.Release.Digest) }},
	} {
		plan := publishtest.New(t, file, time.Now())
		tt.change(plan)
		published := plan.Publish(t)
		q.write(tt.name+".bundle", published.Encode(t))
		q.write(tt.name+".toml", published.Policy.Apply(t, q.read("unsigned.toml")))
		q.challenge(tt.name+".challenge", "owner.key.pub")
		q.evidence(a, tt.name+".challenge", tt.name+".evidence")
		code, out := q.say(grantArgs(tt.name, tt.name+".bundle", tt.name+".toml", "1-2", "textstat.wasm")...)
		if _, err := os.Stat(q.path(tt.name + ".grant")); code != 1 || !strings.Contains(out, "failed: "+tt.id) || err == nil {
			t.Errorf("%s: exit code %d, want 1, %s and no grant: %s", tt.name, code, tt.id, out)
		}
	}
	// And the release's proof can't be done without.
	code, out := q.say(grantArgs("revoked", "unsigned.bundle", "unsigned.toml", "1-2", "textstat.wasm")...)
	if code != 1 || !strings.Contains(out, "no release proof, no key") {
		t.Errorf("unsigned: exit code %d: %s", code, out)
	}
}

// run has the guest work under a grant, with some flags of the good case
// replaced, and gives the exit code and what was said.
func (p *party) run(a *appliance, name string, replaced map[string]string) (int, string) {
	p.t.Helper()
	flags := map[string]string{
		"--host": a.url, "--manifest": "object/manifest.json", "--module": "textstat.wasm", "--params": "params.json",
		"--grant": name + ".grant", "--evidence": name + ".evidence", "--recipient-key": "analyst.key", "--out": name + ".result",
	}
	for k, v := range replaced {
		flags[k] = v
	}
	args := []string{"safebox", "run"}
	for k, v := range flags {
		args = append(args, k, v)
	}
	return p.say(args...)
}

// refused runs and wants the guest's refusal by that name.
func (p *party) refused(a *appliance, name, id string, replaced map[string]string) {
	p.t.Helper()
	code, out := p.run(a, name, replaced)
	if code != 1 || !strings.Contains(out, id) {
		p.t.Errorf("exit code %d, want 1 with %s: %s", code, id, out)
	}
	if _, err := os.Stat(p.path(name + ".result")); err == nil {
		p.t.Errorf("%s: a result in spite of the refusal", id)
	}
	p.t.Logf("refused: %s", strings.TrimSpace(out))
}

// TestHostCannotSteal: the host carries everything and can use nothing of it.
func TestHostCannotSteal(t *testing.T) {
	t.Parallel()
	keptTPM := filepath.Join(t.TempDir(), "tpm")
	a := launch(t, launchOptions{init: image.InitPackage, shards: t.TempDir(), tpm: keptTPM})
	p := newParty(t, image.InitPackage)
	p.attest(a)
	p.seal(a)
	p.grant(a, "g", "1-2", "textstat.wasm")
	t.Run("swaps", func(t *testing.T) { p.swaps(t, a) })
	t.Run("shards", func(t *testing.T) { p.shards(t, a) })
	t.Run("honest run", func(t *testing.T) { p.honestRun(t, a) })
	t.Run("outside the grant", func(t *testing.T) { p.outside(t, a) })
	t.Run("a floor that rose", func(t *testing.T) { p.floors(t, a) })
	p.grant(a, "later", "1-2", "textstat.wasm")
	t.Run("marker", func(t *testing.T) { p.noMarker(t, a, keptTPM) })
	a.end(t)
	t.Run("after a reboot", func(t *testing.T) { p.reboot(t, a.shards, keptTPM) })
}

// reboot: the same machine, booted again with a configuration, knows no grant
// of its last life; and a program that never ends is ended.
func (p *party) reboot(t *testing.T, shards, tpm string) {
	document := configuration.Default()
	document.Worker.Wall = 20
	encoded, err := document.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b := launch(t, launchOptions{init: image.InitPackage, shards: shards, tpm: tpm, config: encoded})
	q := *p
	q.t = t
	q.refused(b, "later", "grant-challenge", nil)
	q.write("spin.wasm", module(t, spin))
	q.grant(b, "spin", "1-2", "spin.wasm")
	q.trapped(b, "spin", "wall")
	if e := q.decoded("spin.evidence"); !bytes.Equal(e.Configuration, encoded) {
		t.Errorf("configuration in the evidence: %s, want %s", e.Configuration, encoded)
	}
}

// trapped runs a module that can't come to its end, and wants the receipt to
// say why, and the API to be there still.
func (p *party) trapped(a *appliance, name, trap string) {
	p.t.Helper()
	code, out := p.run(a, name, map[string]string{"--module": name + ".wasm"})
	if code != 1 || !strings.Contains(out, trap) {
		p.t.Errorf("exit code %d, want 1 with trap %s: %s", code, trap, out)
	}
	text := p.yes("safebox", "receipt", "verify", name+".result/receipt.json", "--evidence", name+".evidence",
		"--bundle", "release.bundle", "--policy", "policy.toml", "--challenge", name+".challenge")
	if !strings.Contains(text, "trap "+trap) {
		p.t.Errorf("the receipt does not say trap %s: %s", trap, text)
	}
	if err := a.healthy(p.t); err != nil {
		p.t.Errorf("after the worker's end: %v", err)
	}
}

func (p *party) decoded(name string) *evidence.Evidence {
	p.t.Helper()
	e, err := evidence.Decode(p.read(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// swaps: what the host changes between the owner and the guest.
func (p *party) swaps(t *testing.T, a *appliance) {
	q := *p
	q.t = t
	other := append(q.read("textstat.wasm"), 0, 1, 0) // an empty custom section: it does the same and is not the same
	q.write("other.wasm", other)
	q.write("other.json", []byte(`{"top":4}`))
	q.yes("safebox", "key", "recipient", "--out", "host.key", "--no-passphrase")
	host, err := keyfile.DecodeRecipientPublic(q.read("host.key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyfile.NewAudience(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	q.change("recipient.grant", func(d *grant.Document) { d.Recipients = [][]byte{host} }, nil)
	q.change("ranges.grant", func(d *grant.Document) { d.Ranges = object.Ranges{{0, textChunks}} }, nil)
	q.change("self.grant", func(d *grant.Document) { d.Recipients = [][]byte{host} }, key)
	q.write("second.txt", []byte("an object of somebody else\n"))
	q.yes("safebox", "seal", "second.txt", "--out", "other-object", "--profile", "small")
	q.give(a, "other-object")
	q.yes("safebox", "seal", "letters.txt", "--out", "old-object", "--profile", "small")
	q.write("mixed/manifest.json", q.read("object/manifest.json"))
	q.write("mixed/leaves", q.read("old-object/leaves"))
	for _, tt := range []struct {
		name, id string
		flags    map[string]string
	}{
		{"module", "job-module", map[string]string{"--module": "other.wasm"}},
		{"parameters", "job-params", map[string]string{"--params": "other.json"}},
		{"recipient", "grant-signature", map[string]string{"--grant": "recipient.grant", "--recipient-key": "host.key"}},
		{"ranges", "grant-signature", map[string]string{"--grant": "ranges.grant"}},
		{"grant signed by the host", "grant-audience", map[string]string{"--grant": "self.grant", "--recipient-key": "host.key"}},
		{"another object", "object-cid", map[string]string{"--manifest": "other-object/manifest.json"}},
		{"an old version", "object-cid", map[string]string{"--manifest": "old-object/manifest.json"}},
		{"leaves of an old version", "object-leaves", map[string]string{"--manifest": "mixed/manifest.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := q
			r.t = t
			r.refused(a, "g", tt.id, tt.flags)
		})
	}
}

func (p *party) change(name string, change func(*grant.Document), signer ed25519.PrivateKey) {
	p.t.Helper()
	b, err := hostile.Grant(p.read("g.grant"), change, signer)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(name, b)
}

// shards: what the host does to the stored shards. The grant covers chunks 1
// and 2, which lie in the first stripe of 4+2.
func (p *party) shards(t *testing.T, a *appliance) {
	leaves, err := object.DecodeLeaves(p.read("object/leaves"))
	if err != nil {
		t.Fatal(err)
	}
	stripe := leaves[:6]
	good := map[string][]byte{}
	for _, l := range stripe {
		name := fmt.Sprintf("%x", l.ShardRoot)
		if good[name], err = os.ReadFile(filepath.Join(a.shards, name)); err != nil {
			t.Fatal(err)
		}
	}
	names := func(n int) []string {
		var all []string
		for _, l := range stripe[:n] {
			all = append(all, fmt.Sprintf("%x", l.ShardRoot))
		}
		return all
	}
	spoil := func(t *testing.T, list []string, change func([]byte) []byte) {
		for _, name := range list {
			path := filepath.Join(a.shards, name)
			if b := change(bytes.Clone(good[name])); b == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	restore := func() {
		for name, b := range good {
			if err := os.WriteFile(filepath.Join(a.shards, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	foreign, err := os.ReadFile(firstFile(t, p.path("old-object/shards")))
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		name, id string
		lose     int
		change   func([]byte) []byte
	}{
		{"corrupt", "shard-hash", 3, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"of another object", "shard-hash", 3, func(b []byte) []byte { return foreign }},
		{"gone", "shard-missing", 3, func([]byte) []byte { return nil }},
		{"two corrupt are repaired", "", 2, func(b []byte) []byte { b[0] ^= 1; return b }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := *p
			q.t = t
			name := fmt.Sprintf("shards%d", i)
			q.grant(a, name, "1-2", "textstat.wasm")
			defer restore()
			spoil(t, names(tt.lose + 1)[1:], tt.change) // shard 0 stays: 1, 2, 3 are spoiled
			if tt.id != "" {
				q.refused(a, name, tt.id, nil)
				return
			}
			if code, out := q.run(a, name, nil); code != 0 {
				t.Errorf("exit code %d: %s", code, out)
			}
		})
	}
}

func firstFile(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(entries), err)
	}
	return filepath.Join(dir, entries[0].Name())
}

// honestRun: after all these attempts the same grant still works, once; the
// result is right, and the receipt says whose it is.
func (p *party) honestRun(t *testing.T, a *appliance) {
	q := *p
	q.t = t
	if code, out := q.run(a, "g", nil); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	granted := text()[object.ChunkSize : 3*object.ChunkSize]
	var got struct {
		Bytes int64 `json:"bytes"`
		Lines int64 `json:"lines"`
		Words int64 `json:"words"`
	}
	if err := json.Unmarshal(q.read("g.result/output-0"), &got); err != nil {
		t.Fatal(err)
	}
	if got.Bytes != int64(len(granted)) || got.Lines != int64(bytes.Count(granted, []byte("\n"))) || got.Words != int64(len(bytes.Fields(granted))) {
		t.Errorf("got %+v, want %d bytes, %d lines, %d words", got, len(granted), bytes.Count(granted, []byte("\n")), len(bytes.Fields(granted)))
	}
	receipt := []string{
		"safebox", "receipt", "verify", "g.result/receipt.json", "--evidence", "g.evidence", "--bundle", "release.bundle",
		"--policy", "policy.toml", "--challenge", "g.challenge",
	}
	q.yes(receipt...)
	b := q.read("g.result/receipt.json")
	q.write("forged.json", bytes.Replace(b, []byte(`"sig":"`), []byte(`"sig":"A`), 1))
	receipt[3] = "forged.json"
	if code, out := q.say(receipt...); code == 0 {
		t.Errorf("forged receipt: accepted: %s", out)
	}
	receipt[3], receipt[5] = "g.result/receipt.json", "later.evidence"
	q.grant(a, "later", "1-2", "textstat.wasm")
	if code, out := q.say(receipt...); code == 0 {
		t.Errorf("receipt under other evidence: accepted: %s", out)
	}
	q.refused(a, "g-again", "grant-serial", map[string]string{"--grant": "g.grant", "--evidence": "g.evidence"})
}

// outside: a module that asks for a chunk outside its grant gets an error
// number, and the nodes of the grant open nothing else either.
func (p *party) outside(t *testing.T, a *appliance) {
	q := *p
	q.t = t
	q.write("peek.wasm", module(t, peek))
	q.grant(a, "peek", "1-2", "peek.wasm")
	if code, out := q.run(a, "peek", map[string]string{"--module": "peek.wasm"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	got := strings.Fields(string(q.read("peek.result/output-0")))
	want := []string{"denied", "read", "read", "denied", "denied", "denied"}
	if !slices.Equal(got, want) {
		t.Errorf("chunk by chunk: got %v, want %v", got, want)
	}
	keys, err := object.DecodeKeys(q.read("object/keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := keys.Root().Cover(object.Ranges{{1, 3}})
	if err != nil {
		t.Fatal(err)
	}
	opener := object.NewChunkKeys(keys.OID, nodes)
	for i := range uint32(textChunks) {
		_, _, _, err := opener.Chunk(i)
		if granted := i == 1 || i == 2; (err == nil) != granted {
			t.Errorf("chunk %d with the nodes of chunks 1 and 2: %v", i, err)
		}
	}
}

// noMarker looks for the sealed text in all that the host sees: the traffic of
// the guest's network card, the shards, the console, its own files.
func (p *party) noMarker(t *testing.T, a *appliance, tpm string) {
	if !bytes.Contains(p.read("letters.txt"), []byte(marker)) {
		t.Fatal("the marker is not in the sealed text: the test looks for nothing")
	}
	traffic, err := os.ReadFile(a.traffic)
	if err != nil {
		t.Fatal(err)
	}
	// The traffic was recorded: the challenges went that way in plain text.
	if !bytes.Contains(traffic, []byte("safebox/challenge/v1")) {
		t.Fatal("the recorded traffic holds no challenge: nothing was recorded")
	}
	seen := 0
	for _, dir := range []string{filepath.Dir(a.traffic), a.state, a.shards, tpm} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			seen++
			if bytes.Contains(b, []byte(marker)) {
				t.Errorf("%s holds the marker", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("no marker in %d files, %d bytes of traffic among them", seen, len(traffic))
}
