package inspect

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"safebox/verifier/publishtest"
)

// publication is one of a release that nobody made, at 2026-11-21.
func publication(t testing.TB) (*publishtest.Plan, *publishtest.Publication) {
	t.Helper()
	plan := publishtest.New(t, file(t, "../../verifier/testdata/boot/release.json"), time.Unix(1795219200, 0))
	return plan, plan.Publish(t)
}

// loggedFiles are the files of a publication by what they are.
func loggedFiles(t testing.TB) map[string][]byte {
	t.Helper()
	plan, p := publication(t)
	revoke := plan.Revoke(3, plan.Release.Digest)
	return map[string][]byte{
		"release record": p.Log.Entries[0], "rebuild record": p.Log.Entries[1],
		"revocation": publishtest.Entry(t, &revoke, publishtest.Publisher(t)),
		"log proof":  p.Bundle.Proof, "checkpoint": p.Checkpoint, "log policy": []byte(p.Policy.Log),
		"key": []byte(publishtest.SignerP256(t, "publisher").Public().String() + "\n"), "bundle": p.Encode(t),
	}
}

// digestOfBoot is sha256sum's of verifier/testdata/boot/release.json.
const digestOfBoot = "526089dfad5344d4f2b47e1161d818887ade02a2e8862929339f125a8595d6c6"

// TestLogged: publishtest made the files and has code of its own for all but
// records; times are those of date -u.
func TestLogged(t *testing.T) {
	plan, p := publication(t)
	files := loggedFiles(t)
	signer := publishtest.Publisher(t).Public().ID() + ", not verified: no key of this ID was given"
	const when = "1795219200, 2026-11-21T00:00:00Z"
	_, logKey := publishtest.LogKeys()
	_, witnessKey := publishtest.WitnessKeys(t, publishtest.WitnessA)
	id := strings.Split(logKey, "+")[1]
	for kind, want := range map[string]map[string]string{
		"release record": {
			"verified": "no: decoded only, not verified: safebox release show --key, safebox verify",
			"release":  digestOfBoot, "version": "TEST-ONLY.1.0.0", "svn": "1", "source": publishtest.Sum, "commit": strings.Repeat("c0", 20),
			"tree": strings.Repeat("7e", 20), "supersedes": "none", "not_before": "1795215600, 2026-11-20T23:00:00Z", "signed_by": signer,
		},
		"rebuild record": {
			"release": digestOfBoot, "result": "match", "rebuilt": digestOfBoot, "rebuilder": "TEST-ONLY.rebuilder 0",
			"environment": "debian 12, amd64, go go1.26.8", "source": publishtest.Sum,
		},
		"revocation": {
			"release": digestOfBoot, "svn_floor": "3: every release below it is revoked too", "reason": "a test", "signed_by": signer,
		},
		"log proof":  {"verified": "no: decoded only, not verified: safebox verify", "index": "0", "hashes": "2", "extra": "none", "checkpoint/size": "4"},
		"checkpoint": {"origin": publishtest.Origin, "size": "4", "signature": publishtest.Origin + ", key " + id + ", of the log"},
		"log policy": {"log": publishtest.Origin + ", Ed25519, key " + id, "witness": publishtest.WitnessA + ": " + publishtest.WitnessA + ", Ed25519 cosignature, key " + strings.Split(witnessKey, "+")[1], "quorum": "named: cosignatures are wanted"},
		"key":        {"use": "records of releases", "algorithm": "ecdsa-p256", "key_id": publishtest.SignerP256(t, "publisher").Public().ID()},
		"bundle": {
			"log/origin": publishtest.Origin, "log/size": "4", "release record": "entry 0", "rebuild record": "entry 1",
			"release record/svn": "1", "release.json/release": digestOfBoot,
		},
	} {
		wants(t, describe(t, files[kind], kind), want)
	}
	note := describe(t, p.Checkpoint, "checkpoint")
	for _, want := range []string{
		publishtest.WitnessA + ", key ", ", cosignature, Ed25519, " + when, ", cosignature, ML-DSA-44, " + when,
	} {
		if !strings.Contains(fmt.Sprint(note.Items), want) {
			t.Errorf("got %v, want %q", note.Items, want)
		}
	}
	mismatch := plan.Mismatch(1)
	mismatch.Rebuilt = [32]byte{}
	wants(t, describe(t, publishtest.Entry(t, &mismatch, publishtest.Rebuilder(t, 1)), "rebuild record"),
		map[string]string{"result": "mismatch", "rebuilt": "nothing", "difference": "initrd.cpio.zst/init: 1 byte, want 2 bytes"})
	wants(t, describe(t, []byte(logKey+"\n"), "key"), map[string]string{"name": publishtest.Origin, "key_id": id, "algorithm": "Ed25519"})
	none := "log " + logKey + "\nquorum none\n"
	wants(t, describe(t, []byte(none), "log policy"), map[string]string{"quorum": "none: a checkpoint that nobody witnessed is enough"})
}

// TestLoggedDamaged: what begins like one of them is read as it, strictly.
func TestLoggedDamaged(t *testing.T) {
	files := loggedFiles(t)
	change := func(kind, old, with string) []byte {
		b := bytes.Replace(files[kind], []byte(old), []byte(with), 1)
		if bytes.Equal(b, files[kind]) {
			t.Fatalf("%s has no %q", kind, old)
		}
		return b
	}
	for name, tt := range map[string]struct {
		b          []byte
		kind, want string
	}{
		"record, a line more":      {append(bytes.Clone(files["release record"]), '\n'), "release record", "inspecting release record: "},
		"record, key ID":           {change("revocation", `"keyid":"`, `"keyid":"0`), "revocation", "inspecting revocation: "},
		"record of another type":   {change("rebuild record", "vnd.in-toto", "vnd.in-tono"), "", "not recognised"},
		"proof, index":             {change("log proof", "index 0", "index 00"), "log proof", "decoding proof: index"},
		"proof, version":           {change("log proof", "@v1", "@v2"), "", "not recognised"},
		"checkpoint, last newline": {bytes.TrimSuffix(files["checkpoint"], []byte("\n")), "checkpoint", "inspecting checkpoint: "},
		"checkpoint, size":         {change("checkpoint", "\n4\n", "\n04\n"), "checkpoint", "inspecting checkpoint: "},
		"policy, quorum":           {change("log policy", "quorum ", "quorum x"), "log policy", "parsing log policy: "},
		"key":                      {[]byte("ed25519:AAAA\n"), "key", "inspecting key: public key: "},
		"bundle, proof":            {change("bundle", "index 0\n", "index x\n"), "bundle", "release.tlog-proof: decoding proof: index"},
	} {
		if got := Kind(tt.b); got != tt.kind {
			t.Errorf("%s: kind: got %q, want %q", name, got, tt.kind)
		}
		if _, err := Bytes(tt.b); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, tt.want)
		}
	}
}
