package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"safebox/image/inspect/logged"
	"safebox/image/inspect/tree"
	"safebox/verifier/bundle"
	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/dsse"
	"safebox/verifier/object"
	"safebox/verifier/receipt"
)

// documents lists what owners and guests send each other.
func documents() []tree.Format {
	return []tree.Format{
		{Kind: "challenge", Match: isChallenge, Items: challengeFile},
		{Kind: "bundle", Match: isBundle, Items: bundleFile},
		{Kind: "object manifest", Match: isManifest, Items: manifestFile},
		{Kind: "receipt", Match: isReceipt, Items: receiptFile},
	}
}

func isChallenge(b []byte) bool {
	return len(b) <= challenge.MaxSize && tree.Declares(b, challenge.Type)
}

func challengeFile(b []byte) ([]Item, error) {
	c, err := challenge.Decode(b)
	if err != nil {
		return nil, err
	}
	items := []Item{
		item("nonce", "%s", c.Nonce),
		item("audience", "%s", c.Audience),
		item("release", "%s", c.Release),
		item("expires", "%d, %s", c.Expires, tree.Time(time.Unix(c.Expires, 0))),
	}
	if e := c.Enroll; e != nil {
		items = append(items, tree.Group("enroll", item("ek", "%q", e.EK), item("ak_name", "%x", e.AKName)))
	}
	return items, nil
}

// Start of a bundle: a tar whose first entry is the release (POSIX.1-1988,
// "ustar": name at 0, magic at 257).
const (
	bundleStart = "release.json\x00"
	tarMagic    = "ustar"
	tarMagicAt  = 257
)

func isBundle(b []byte) bool {
	return bytes.HasPrefix(b, []byte(bundleStart)) && len(b) > tarMagicAt && bytes.HasPrefix(b[tarMagicAt:], []byte(tarMagic))
}

func bundleFile(b []byte) ([]Item, error) {
	content, err := bundle.Decode(b)
	if err != nil {
		return nil, err
	}
	published, err := logged.NewBundle(b, nil)
	if err != nil {
		return nil, err
	}
	items, err := releaseFile(content.Release)
	if err != nil {
		return nil, fmt.Errorf("release.json: %w", err)
	}
	return slices.Concat([]Item{tree.Unverified("safebox verify")}, published.Items(), []Item{
		{Name: "release.json", Value: fmt.Sprintf("%d bytes, sha256 %s", len(content.Release), digest(content.Release)), Items: items},
	}), nil
}

// isEnvelope recognises a signed document (package dsse) by its payload type.
func isEnvelope(b []byte, payloadType string) bool {
	const start = `{"payload":"`
	return len(b) <= 2*dsse.MaxSize && bytes.HasPrefix(b, []byte(start)) &&
		bytes.Contains(b, []byte(`"payloadType":"`+payloadType+`"`))
}

// signer names the key that an envelope says it is signed by.
func signer(b []byte) (Item, error) {
	var e struct {
		Signatures []struct {
			KeyID string `json:"keyid"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return Item{}, err
	}
	if len(e.Signatures) != 1 {
		return Item{}, fmt.Errorf("got %d signatures, want 1", len(e.Signatures))
	}
	return item("key_id", "%s", tree.Text(e.Signatures[0].KeyID)), nil
}

func isManifest(b []byte) bool {
	return isEnvelope(b, dsse.TypeManifest) || len(b) <= object.MaxManifest && tree.Declares(b, object.ManifestType)
}

func manifestFile(b []byte) ([]Item, error) {
	items := []Item{tree.Unverified("its identifier, writer and leaves are checked when the object is opened")}
	manifest := b
	if isEnvelope(b, dsse.TypeManifest) {
		var err error
		if manifest, err = dsse.Payload(b, dsse.TypeManifest, object.MaxManifest); err != nil {
			return nil, err
		}
		key, err := signer(b)
		if err != nil {
			return nil, err
		}
		items = append(items, key)
	}
	m, err := object.DecodeManifest(manifest)
	if err != nil {
		return nil, err
	}
	p, err := m.Profile()
	if err != nil {
		return nil, err
	}
	previous := "none"
	if m.Prev != nil {
		previous = tree.Text(*m.Prev)
	}
	return append(items,
		item("root_cid", "%s", object.CID(manifest)),
		item("oid", "%x", m.OID[:]),
		item("size", "%d bytes in %d chunks of %d", m.Size, m.Chunks, m.Chunk),
		item("profile", "%s, %d data and %d parity shards", p.Name, m.K, m.M),
		item("suite", "%d", m.Suite),
		item("leaves_root", "%x", m.Root[:]),
		item("policy", "%x", m.Policy[:]),
		item("writer", "%x", m.Writer[:]),
		item("time", "%d, %s, by the writer's clock", m.Time, tree.Time(time.Unix(m.Time, 0))),
		item("previous", "%s", previous),
	), nil
}

func isReceipt(b []byte) bool { return isEnvelope(b, dsse.TypeReceipt) }

func receiptFile(b []byte) ([]Item, error) {
	payload, err := dsse.Payload(b, dsse.TypeReceipt, receipt.MaxSize)
	if err != nil {
		return nil, err
	}
	key, err := signer(b)
	if err != nil {
		return nil, err
	}
	var d receipt.Document
	if err := canon.Unmarshal(payload, &d); err != nil {
		return nil, err
	}
	if d.Type != receipt.Type {
		return nil, fmt.Errorf("type: got %.100q, want %q", d.Type, receipt.Type)
	}
	items := []Item{
		tree.Unverified("safebox receipt verify"),
		key,
		item("grant", "%s", d.Grant), item("serial", "%s", d.Serial), item("sequence", "%d", d.Sequence),
		item("module", "%s", d.Module), item("params", "%s", d.Params),
		item("evidence", "%s", d.Evidence), item("transcript", "%s", d.Transcript), item("release", "%s", d.Release),
	}
	var inputs, outputs []Item
	for _, in := range d.Inputs {
		inputs = append(inputs, item("object", "%q, chunks %v", in.Root, in.Ranges))
	}
	for _, out := range d.Outputs {
		entry := item(fmt.Sprintf("slot %d", out.Slot), "%q, %d bytes", out.Kind, out.Size)
		for _, s := range out.Sealed {
			entry.Items = append(entry.Items, item("sealed", "%s", s))
		}
		outputs = append(outputs, entry)
	}
	trap := "none"
	if d.Trap != "" {
		trap = fmt.Sprintf("%q", d.Trap)
	}
	return append(items,
		tree.List("inputs", inputs), tree.List("outputs", outputs),
		item("exit", "%d", d.Exit), item("trap", "%s", trap),
		item("memory_peak", "%d bytes", d.MemoryPeak), item("wall", "%d us", d.WallMicros),
		item("time", "%d, by the guest's clock, which the host sets", d.Time),
	), nil
}
