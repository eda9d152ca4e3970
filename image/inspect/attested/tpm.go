package attested

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"safebox/image/inspect/endorsed"
	"safebox/image/inspect/tree"
	"safebox/verifier/tpm"
	"safebox/verifier/tpm/cloud"
	"safebox/verifier/tpm/gce"
	"safebox/verifier/tpm/jsontree"
)

// attestStart begins a TPMS_ATTEST with a quote: TPM_GENERATED_VALUE and
// TPM_ST_ATTEST_QUOTE (TPM 2.0 Library, Part 2, 6.2 and 6.9).
const attestStart = "\xffTCG\x80\x18"

func isAttest(b []byte) bool { return bytes.HasPrefix(b, []byte(attestStart)) }

func attest(b []byte) ([]tree.Item, error) {
	a, err := tpm.DecodeAttest(b)
	if err != nil {
		return nil, err
	}
	safe := "no: it was set back"
	if a.Safe {
		safe = "yes"
	}
	return []tree.Item{
		unverified(),
		tree.Bytes("extra_data", a.ExtraData),
		tree.New("qualified_signer", "%x", a.QualifiedSigner),
		tree.New("bank", "%s", algorithm(a.Bank)),
		tree.New("pcrs", "%v", a.PCRs),
		tree.New("pcr_digest", "%x", a.PCRDigest),
		tree.New("clock", "%d ms", a.Clock),
		tree.New("clock_safe", "%s", safe),
		tree.New("reset_count", "%d", a.ResetCount),
		tree.New("restart_count", "%d", a.RestartCount),
		tree.New("firmware", "%#016x", a.Firmware),
	}, nil
}

func algorithm(a tpm.Algorithm) string {
	switch a {
	case tpm.AlgSHA1:
		return "sha1"
	case tpm.AlgSHA256:
		return "sha256"
	case tpm.AlgSHA384:
		return "sha384"
	case tpm.AlgSHA512:
		return "sha512"
	case tpm.AlgRSA:
		return "RSA"
	case tpm.AlgECC:
		return "ECC"
	case tpm.AlgRSASSA:
		return "RSASSA"
	case tpm.AlgECDSA:
		return "ECDSA"
	}
	return fmt.Sprintf("algorithm %#04x", uint16(a))
}

// isTPM recognises evidence of a cloud machine's TPM: go-tpm-tools' message, and
// the JSON of agents.
func isTPM(b []byte) bool {
	if len(b) > cloud.MaxSize {
		return false
	}
	if !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		return isGoogle(b)
	}
	o, err := jsontree.Parse(b)
	if err != nil {
		return false
	}
	return o.Has("hcl_report") || o.Has("report") && o.Has("quote") || o.Has("ak_public") && o.Has("tpm_quote")
}

// isGoogle wants field 1 of bytes, and in them the start of a TPMT_PUBLIC: an
// RSA or ECC key, named by a SHA-2 hash.
func isGoogle(b []byte) bool {
	const field1Bytes, start = 0x0a, 4
	if len(b) == 0 || b[0] != field1Bytes {
		return false
	}
	size, n := binary.Uvarint(b[1:])
	if n <= 0 || size < start || len(b) < 1+n+start {
		return false
	}
	public := b[1+n:]
	kind, name := tpm.Algorithm(binary.BigEndian.Uint16(public)), tpm.Algorithm(binary.BigEndian.Uint16(public[2:]))
	return (kind == tpm.AlgRSA || kind == tpm.AlgECC) && name >= tpm.AlgSHA256 && name <= tpm.AlgSHA512
}

func tpmEvidence(b []byte) ([]tree.Item, error) {
	e, err := cloud.Decode(b)
	if err != nil {
		return nil, err
	}
	items := []tree.Item{unverified(), tree.New("form", "%s", e.Form), attestationKey(e)}
	for i := range e.Quotes {
		items = append(items, quote(&e.Quotes[i]))
	}
	items = append(items, tree.Sum("event_log", e.EventLog))
	if g := e.Google; g != nil {
		items = append(items, google(g)...)
	}
	if a := e.Azure; a != nil {
		items = append(items, tree.New("version", "%d", a.Version), hcl("hcl_report", a.Report), hardware(&a.Hardware))
	}
	for _, text := range e.Ignored {
		items = append(items, tree.New("not_used", "%s", text))
	}
	return items, nil
}

// attestationKey describes the key by what a policy pins of it.
func attestationKey(e *cloud.Evidence) tree.Item {
	item := tree.New("attestation_key", "%s", endorsed.Key(e.Key))
	item.Items = []tree.Item{tree.New("sha256", "%s", tree.SHA256(e.KeyBytes))}
	if p := e.Public; p != nil {
		item.Items = append(item.Items, public(p)...)
	}
	return item
}

// public describes a TPMT_PUBLIC.
func public(p *tpm.Public) []tree.Item {
	attributes := tree.New("attributes", "%#08x", uint32(p.Attributes))
	for _, a := range []struct {
		bit  tpm.Attributes
		name string
	}{
		{tpm.FixedTPM, "fixedTPM"},
		{tpm.FixedParent, "fixedParent"},
		{tpm.SensitiveDataOrigin, "sensitiveDataOrigin"},
		{tpm.UserWithAuth, "userWithAuth"},
		{tpm.AdminWithPolicy, "adminWithPolicy"},
		{tpm.NoDA, "noDA"},
		{tpm.Restricted, "restricted"},
		{tpm.Decrypt, "decrypt"},
		{tpm.Sign, "sign"},
	} {
		if p.Attributes&a.bit != 0 {
			attributes.Value += " " + a.name
		}
	}
	return []tree.Item{
		tree.New("type", "%s", algorithm(p.Type)),
		tree.New("name", "%x", p.Name()),
		attributes,
	}
}

// quote describes a quote and the registers that came with it.
func quote(q *cloud.Quote) tree.Item {
	item := tree.Group("quote", inner("attest", q.Attest, attest))
	item.Value = algorithm(q.Bank)
	if s := q.Signature; s != nil {
		item.Items = append(item.Items, tree.New("signature", "%s with %s", algorithm(s.Scheme), algorithm(s.Hash)))
	}
	return withValues(item, q.Values)
}

func withValues(item tree.Item, values map[int][]byte) tree.Item {
	for _, i := range slices.Sorted(maps.Keys(values)) {
		item.Items = append(item.Items, tree.New(fmt.Sprintf("pcr%d", i), "%x", values[i]))
	}
	return item
}

func google(g *gce.Attestation) []tree.Item {
	certificate := tree.New("ak_certificate", "none")
	if len(g.AKCertificate) > 0 {
		certificate = endorsed.DER("ak_certificate", g.AKCertificate)
	}
	items := []tree.Item{certificate}
	for _, der := range g.Intermediates {
		items = append(items, endorsed.DER("intermediate", der))
	}
	if g.Instance != nil {
		items = append(items, endorsed.Instance("instance_info", g.Instance))
	}
	for i := range g.Quotes {
		q := &g.Quotes[i]
		if q.Bank == tpm.AlgSHA1 || q.Bank == tpm.AlgSHA512 {
			items = append(items, withValues(tree.New("quote_not_used", "%s", algorithm(q.Bank)), q.Values))
		}
	}
	return items
}
