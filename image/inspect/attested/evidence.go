package attested

import (
	"fmt"

	"safebox/image/inspect/endorsed"
	"safebox/image/inspect/tree"
	"safebox/verifier/evidence"
	"safebox/verifier/tpm"
)

func ownEvidence(b []byte) ([]tree.Item, error) {
	e, err := evidence.Decode(b)
	if err != nil {
		return nil, err
	}
	items := []tree.Item{
		tree.Unverified("safebox verify"),
		tree.New("platform", "%q", e.Platform),
		tree.New("nonce", "%s", e.Nonce),
		tree.New("audience", "%s", e.Audience),
		tree.Sum("kem", e.KEM),
		tree.New("receipt_key", "%s", e.ReceiptKey),
		tree.New("release", "%s", e.Release),
		tree.Sum("configuration", e.Configuration),
		tree.New("boot_session", "%s", e.BootSession),
	}
	if v := e.VTPM; v != nil {
		items = append(items, vtpm(v))
	}
	if s := e.SNP; s != nil {
		items = append(items, tree.Group("snp", inner("report", s.Report, snpReport), endorsed.Any("endorsements", s.Endorsements)))
	}
	if t := e.TDX; t != nil {
		items = append(items, tree.Group("tdx", inner("quote", t.Quote, tdxQuote), tree.Sum("event_log", t.EventLog),
			runtime(t.Runtime), endorsed.Any("endorsements", t.Endorsements)))
	}
	if n := e.Nitro; n != nil {
		items = append(items, tree.Group("nitro", inner("document", n.Document, nitroDocument), runtime(n.Runtime)))
	}
	return items, nil
}

func vtpm(v *evidence.VTPM) tree.Item {
	item := tree.Group("vtpm", inner("ak", v.AK, func(b []byte) ([]tree.Item, error) {
		p, err := tpm.DecodePublic(b)
		if err != nil {
			return nil, err
		}
		return append([]tree.Item{unverified()}, public(p)...), nil
	}))
	for _, q := range v.Quotes {
		one := tree.Item{Name: "quote", Value: tree.Text(q.Bank), Items: []tree.Item{inner("attest", q.Attest, attest)}}
		for _, r := range q.PCRs {
			one.Items = append(one.Items, tree.New(fmt.Sprintf("pcr%d", r.Index), "%s", tree.Text(r.Value)))
		}
		item.Items = append(item.Items, one)
	}
	item.Items = append(item.Items, tree.Sum("event_log", v.EventLog), runtime(v.Runtime), tree.Bytes("activation", v.Activation))
	return item
}

// runtime lists what the guest says it extended itself.
func runtime(events []evidence.RuntimeEvent) tree.Item {
	var items []tree.Item
	for _, e := range events {
		items = append(items, tree.New(tree.Text(e.Kind), "%s", e.Digest))
	}
	return tree.List("runtime", items)
}
