package endorsed

import (
	"crypto/x509"

	"safebox/image/inspect/tree"
)

// list describes a revocation list.
func list(name string, l *x509.RevocationList) tree.Item {
	number := "none"
	if l.Number != nil {
		number = l.Number.String()
	}
	next := "not said"
	if !l.NextUpdate.IsZero() {
		next = tree.Time(l.NextUpdate)
	}
	var revoked []tree.Item
	for _, e := range l.RevokedCertificateEntries {
		entry := tree.New("serial", "%x, %s", e.SerialNumber, tree.Time(e.RevocationTime))
		if e.ReasonCode != 0 {
			entry.Items = []tree.Item{tree.New("reason", "%d", e.ReasonCode)}
		}
		revoked = append(revoked, entry)
	}
	item := tree.New(name, "%q", l.Issuer.String())
	item.Items = []tree.Item{
		tree.New("number", "%s", number),
		tree.New("this_update", "%s", tree.Time(l.ThisUpdate)),
		tree.New("next_update", "%s", next),
		tree.New("signature_algorithm", "%v", l.SignatureAlgorithm),
		tree.New("sha256", "%s", tree.SHA256(l.Raw)),
		tree.List("entries", revoked),
	}
	return item
}
