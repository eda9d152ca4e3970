package endorsed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"

	"safebox/image/inspect/tree"
	"safebox/verifier/chain"
	"safebox/verifier/snp"
	"safebox/verifier/tdx/pcs"
	"safebox/verifier/tpm/gce"
)

// DER describes one certificate. What is none is said in the value.
func DER(name string, der []byte) tree.Item {
	c, err := chain.ParseCertificate(der)
	if err != nil {
		return tree.New(name, "%d bytes: %v", len(der), err)
	}
	return certificate(name, c)
}

func certificate(name string, c *x509.Certificate) tree.Item {
	item := tree.New(name, "%q", c.Subject.String())
	item.Items = []tree.Item{
		tree.New("issuer", "%q", c.Issuer.String()),
		tree.New("serial", "%x", c.SerialNumber),
		tree.New("not_before", "%s", tree.Time(c.NotBefore)),
		tree.New("not_after", "%s", tree.Time(c.NotAfter)),
		tree.New("key", "%s", Key(c.PublicKey)),
		tree.New("key_sha256", "%s", tree.SHA256(c.RawSubjectPublicKeyInfo)),
		tree.New("signature_algorithm", "%v", c.SignatureAlgorithm),
		tree.New("authority", "%s", authority(c)),
		tree.New("key_usage", "%s", usage(c.KeyUsage)),
		tree.New("sha256", "%s", tree.SHA256(c.Raw)),
	}
	item.Items = append(item.Items, vendor(c)...)
	return item
}

// Key names a public key's kind and size.
func Key(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unknown"
}

func authority(c *x509.Certificate) string {
	switch {
	case !c.BasicConstraintsValid || !c.IsCA:
		return "no"
	case c.MaxPathLen > 0 || c.MaxPathLenZero:
		return fmt.Sprintf("yes, path length %d", c.MaxPathLen)
	}
	return "yes"
}

// usage names the bits (RFC 5280, section 4.2.1.3), lowest first.
func usage(u x509.KeyUsage) string {
	var names []string
	for i, name := range [...]string{
		"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
	} {
		if u&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "not said"
	}
	return strings.Join(names, ", ")
}

// amd is 1.3.6.1.4.1.3704.1, under which AMD's extensions are (AMD 57230,
// section 3).
func amd() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3704, 1} }

// vendor describes the extensions by which AMD, Intel and Google say which
// machine a certificate is for.
func vendor(c *x509.Certificate) []tree.Item {
	var items []tree.Item
	var byAMD, byIntel bool
	for _, e := range c.Extensions {
		byAMD = byAMD || len(e.Id) > len(amd()) && e.Id[:len(amd())].Equal(amd())
		byIntel = byIntel || e.Id.Equal(pcs.ExtensionOID())
	}
	if byAMD {
		items = append(items, chip(c))
	}
	if byIntel {
		items = append(items, pck(c))
	}
	switch i, err := gce.CertificateInstance(c); {
	case err != nil:
		items = append(items, tree.New("gce_instance", "does not read: %v", err))
	case i != nil:
		items = append(items, Instance("gce_instance", i))
	}
	return items
}

// chip describes a VCEK's or a VLEK's certificate.
func chip(c *x509.Certificate) tree.Item {
	l, err := snp.ParseLeaf(c)
	if err != nil {
		return tree.New("amd", "does not read: %v", err)
	}
	item := tree.New("amd", "VCEK of one chip")
	owner := tree.New("hwid", "%x", l.HWID)
	if l.HWID == nil {
		item.Value = "VLEK of a provider"
		owner = tree.New("csp_id", "%q", l.CSPID)
	}
	tcb := tree.New("tcb", "%v", l.TCB)
	tcb.Items = []tree.Item{tree.New("raw", "%x", l.TCB.Raw)}
	item.Items = []tree.Item{
		tree.New("struct_version", "%d", l.StructVersion), tree.New("product", "%v", l.Product),
		tree.New("product_name", "%q", l.ProductName), tcb, owner,
	}
	return item
}

// pck describes a PCK certificate's SGX extension.
func pck(c *x509.Certificate) tree.Item {
	p, err := pcs.ParseSGXExtension(c)
	if err != nil {
		return tree.New("intel_pck", "does not read: %v", err)
	}
	ca := "unknown"
	for _, name := range []string{"Platform", "Processor"} {
		if strings.Contains(c.Issuer.CommonName, "PCK "+name+" CA") {
			ca = name
		}
	}
	items := []tree.Item{
		tree.New("ca", "%s", ca),
		tree.New("fmspc", "%X", p.FMSPC),
		tree.New("pceid", "%X", p.PCEID),
		tree.New("ppid", "%x", p.PPID),
		tree.New("tcb_components", "%v", p.Components),
		tree.New("pcesvn", "%d", p.PCESVN),
		tree.New("cpusvn", "%x", p.CPUSVN),
		tree.New("sgx_type", "%v", p.Type),
	}
	if p.PIID != nil {
		items = append(items, tree.New("piid", "%x", *p.PIID))
	}
	if f := p.Configuration; f != nil {
		items = append(items, tree.New("configuration", "dynamic platform %t, cached keys %t, SMT %t", f.DynamicPlatform, f.CachedKeys, f.SMTEnabled))
	}
	return tree.Group("intel_pck", items...)
}

// Instance describes a machine of Google Compute Engine.
func Instance(name string, i *gce.Instance) tree.Item {
	return tree.Group(name,
		tree.New("project", "%q, number %d", i.Project, i.ProjectNumber),
		tree.New("zone", "%q", i.Zone),
		tree.New("instance", "%q, number %d", i.Name, i.ID),
		tree.New("production", "%t", i.Production),
	)
}
