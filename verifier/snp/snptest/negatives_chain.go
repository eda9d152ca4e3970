package snptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"

	"safebox/verifier/chain"
	"safebox/verifier/endorse"
	"safebox/verifier/snp"
)

// rootNegatives: SNP-C1.
func rootNegatives() []changed {
	input := func(f func(e *Evidence, in *snp.Input)) func(s *setup) { return func(s *setup) { s.input = f } }
	return []changed{
		{"SNP-C1", "no root is pinned", genoa, input(func(_ *Evidence, in *snp.Input) { in.Roots = snp.Roots{} })},
		{"SNP-C1", "no root of the product is pinned", genoa, input(func(e *Evidence, in *snp.Input) { in.Roots = snp.Roots{Milan: e.Root, Turin: e.Root} })},
		{"SNP-C1", "root of another name is pinned", genoa, func(s *setup) {
			s.build.Root = func(c *x509.Certificate) { c.RawSubject, c.Subject = nil, pkix.Name{CommonName: "ARK-Milan"} }
			s.input = func(e *Evidence, in *snp.Input) { in.Roots = snp.Roots{Genoa: e.Root} }
		}},
		{"SNP-C1", "pinned root has 2048 bits", genoa, func(s *setup) { s.build.RootKey = "weak" }},
		{"SNP-C1", "chain leads to another root of the same name", genoa, func(s *setup) {
			s.build.RootKey = "other"
			s.input = func(e *Evidence, in *snp.Input) {
				in.Endorsements.Certificates = append(in.Endorsements.Certificates, e.Root)
				in.Roots = snp.PinnedRoots()
			}
		}},
	}
}

// pathNegatives: SNP-C2 between leaf and root.
func pathNegatives() []changed {
	without := func(drop func(e *Evidence) *x509.Certificate) func(s *setup) {
		return func(s *setup) {
			s.input = func(e *Evidence, in *snp.Input) {
				set := &endorse.Set{CRLs: in.Endorsements.CRLs}
				for _, c := range in.Endorsements.Certificates {
					if c != drop(e) {
						set.Certificates = append(set.Certificates, c)
					}
				}
				in.Endorsements = set
			}
		}
	}
	intermediate := func(f func(c *x509.Certificate)) func(s *setup) {
		return func(s *setup) { s.build.Intermediate = f }
	}
	return []changed{
		{"SNP-C2", "no endorsements", genoa, func(s *setup) { s.input = func(_ *Evidence, in *snp.Input) { in.Endorsements = nil } }},
		{"SNP-C2", "no VCEK", genoa, without(func(e *Evidence) *x509.Certificate { return e.Leaf })},
		{"SNP-C2", "no ASK", genoa, without(func(e *Evidence) *x509.Certificate { return e.Intermediate })},
		{"SNP-C2", "another root's chain, without that root", genoa, func(s *setup) {
			s.build.RootKey = "other"
			s.input = func(_ *Evidence, in *snp.Input) { in.Roots = snp.PinnedRoots() }
		}},
		{"SNP-C2", "VCEK's signature is broken", genoa, broken(func(e *Evidence) *x509.Certificate { return e.Leaf })},
		{"SNP-C2", "ASK's signature is broken", genoa, broken(func(e *Evidence) *x509.Certificate { return e.Intermediate })},
		{"SNP-C2", "ASK has 2048 bits", genoa, func(s *setup) { s.build.IntermediateKey = "weak" }},
		{"SNP-C2", "ASK is no authority", genoa, intermediate(func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero, c.MaxPathLen = false, false, -1 })},
		{"SNP-C2", "ASK may not sign certificates", genoa, intermediate(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })},
		{"SNP-C2", "ASK's name is the VLEK's", genoa, intermediate(func(c *x509.Certificate) { c.RawSubject, c.Subject = nil, pkix.Name{CommonName: "SEV-VLEK-Genoa"} })},
		{"SNP-C2", "ASK's name is another product's", genoa, intermediate(func(c *x509.Certificate) { c.RawSubject, c.Subject = nil, pkix.Name{CommonName: "SEV-Milan"} })},
		{"SNP-C2", "ASVK's name is the VCEK's", func() setup { return vlek(snp.Genoa, Genoa()) }, intermediate(func(c *x509.Certificate) { c.RawSubject, c.Subject = nil, pkix.Name{CommonName: "SEV-Genoa"} })},
		{"SNP-C2", "ASK has a critical extension", genoa, intermediate(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: OID(99), Critical: true, Value: Integer(1)}}
		})},
		{"SNP-C2", "ASK is signed by PKCS #1 v1.5", genoa, intermediate(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA })},
	}
}

// broken flips a bit of a certificate's signature.
func broken(which func(e *Evidence) *x509.Certificate) func(s *setup) {
	return func(s *setup) {
		s.input = func(e *Evidence, in *snp.Input) {
			old := which(e)
			bad := *old
			bad.Signature = append([]byte{}, old.Signature...)
			bad.Signature[100] ^= 1
			for i, c := range in.Endorsements.Certificates {
				if c == old {
					in.Endorsements.Certificates[i] = &bad
				}
			}
		}
	}
}

// leafKeyNegatives: SNP-C2 about the leaf itself.
func leafKeyNegatives() []changed {
	leaf := func(f func(c *x509.Certificate)) func(s *setup) { return func(s *setup) { s.build.Leaf = f } }
	name := func(text string) func(s *setup) {
		return leaf(func(c *x509.Certificate) { c.RawSubject, c.Subject = nil, pkix.Name{CommonName: text} })
	}
	return []changed{
		{"SNP-C2", "VCEK has the VLEK's name", genoa, name("SEV-VLEK")},
		{"SNP-C2", "VCEK has a short name", genoa, name("VCEK")},
		{"SNP-C2", "VLEK has the VCEK's name", func() setup { return vlek(snp.Genoa, Genoa()) }, name("SEV-VCEK")},
		{"SNP-C2", "VCEK is signed by PKCS #1 v1.5", genoa, leaf(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA })},
		{"SNP-C2", "VCEK is signed over SHA-256", genoa, leaf(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS })},
		{"SNP-C2", "VCEK is an authority", genoa, leaf(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1 })},
		{"SNP-C2", "VCEK may only sign certificates", genoa, leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })},
		{"SNP-C2", "VCEK has a critical extension", genoa, leaf(func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = true })},
		{"SNP-C2", "VCEK's key is RSA", genoa, func(s *setup) { s.build.LeafKey = big4096() }},
		{"SNP-C2", "VCEK's key is on P-256", genoa, func(s *setup) { s.build.LeafKey = p256() }},
	}
}

// big4096 is some RSA key, that of the real Genoa root.
func big4096() any { return snp.PinnedRoots().Genoa.PublicKey }

// p256 is some key on P-256.
func p256() any {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key.Public()
}

// validityNegatives: SNP-C3, each certificate a second out of its time.
func validityNegatives() []changed {
	early := func(c *x509.Certificate) { c.NotBefore = At().Add(time.Second) }
	late := func(c *x509.Certificate) { c.NotAfter = At().Add(-time.Second) }
	return []changed{
		{"SNP-C3", "VCEK is not yet valid", genoa, func(s *setup) { s.build.Leaf = early }},
		{"SNP-C3", "VCEK is no longer valid", genoa, func(s *setup) { s.build.Leaf = late }},
		{"SNP-C3", "VLEK is no longer valid", func() setup { return vlek(snp.Genoa, Genoa()) }, func(s *setup) { s.build.Leaf = late }},
		{"SNP-C3", "ASK is not yet valid", genoa, func(s *setup) { s.build.Intermediate = early }},
		{"SNP-C3", "ASK is no longer valid", genoa, func(s *setup) { s.build.Intermediate = late }},
		{"SNP-C3", "ARK is not yet valid", genoa, func(s *setup) { s.build.Root = early }},
		{"SNP-C3", "ARK is no longer valid", genoa, func(s *setup) { s.build.Root = late }},
		{"SNP-C3", "nobody says what time it is", genoa, func(s *setup) { s.input = func(_ *Evidence, in *snp.Input) { in.Rules = chain.Rules{} } }},
	}
}

// set replaces the value of a leaf's extension, or removes it.
func set(value []byte, arcs ...int) func(s *setup) {
	return func(s *setup) {
		s.build.Leaf = func(c *x509.Certificate) {
			var list []pkix.Extension
			for _, e := range c.ExtraExtensions {
				if e.Id.Equal(OID(arcs...)) {
					if value == nil {
						continue
					}
					e.Value = value
				}
				list = append(list, e)
			}
			c.ExtraExtensions = list
		}
	}
}

func add(id asn1.ObjectIdentifier, value []byte) func(s *setup) {
	return func(s *setup) {
		s.build.Leaf = func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Value: value})
		}
	}
}

// extensionNegatives: SNP-C4, values.
func extensionNegatives() []changed {
	vlekGenoa := func() setup { return vlek(snp.Genoa, Genoa()) }
	return []changed{
		{"SNP-C4", "structVersion 1 for Genoa", genoa, set(Integer(1), 1)},
		{"SNP-C4", "structVersion 0 for Turin", turin, set(Integer(0), 1)},
		{"SNP-C4", "structVersion 2", turin, set(Integer(2), 1)},
		{"SNP-C4", "unknown product", genoa, set(Text("Venice"), 2)},
		{"SNP-C4", "product in lower case", genoa, set(Text("genoa"), 2)},
		{"SNP-C4", "product is a UTF8String", genoa, set(append([]byte{0x0c, 5}, "Genoa"...), 2)},
		{"SNP-C4", "product of the wrong length", genoa, set(append(Text("Genoa"), 0), 2)},
		{"SNP-C4", "product is empty", genoa, set(Text(""), 2)},
		{"SNP-C4", "number not in its shortest form", genoa, set([]byte{2, 2, 0, 10}, 3, 1)},
		{"SNP-C4", "number below zero", genoa, set([]byte{2, 1, 0x8a}, 3, 1)},
		{"SNP-C4", "number above 255", genoa, set([]byte{2, 2, 1, 10}, 3, 1)},
		{"SNP-C4", "bytes after a number", genoa, set([]byte{2, 1, 10, 0}, 3, 1)},
		{"SNP-C4", "number of another type", genoa, set([]byte{10, 1, 10}, 3, 1)},
		{"SNP-C4", "number without bytes", genoa, set([]byte{2, 0}, 3, 1)},
		{"SNP-C4", "HWID of 63 bytes", genoa, set(make([]byte, 63), 4)},
		{"SNP-C4", "HWID within another string", genoa, set(append([]byte{12, 64}, make([]byte, 64)...), 4)},
		{"SNP-C4", "HWID within an OCTET STRING of another length", genoa, set(append([]byte{4, 63}, make([]byte, 64)...), 4)},
		{"SNP-C4", "HWID within an OCTET STRING, and more", genoa, set(append([]byte{4, 64}, make([]byte, 65)...), 4)},
		{"SNP-B2", "HWID of another machine within an OCTET STRING", genoa, set(append([]byte{4, 64}, make([]byte, 64)...), 4)},
		{"SNP-C4", "HWID of 8 bytes for Genoa", genoa, set(make([]byte, 8), 4)},
		{"SNP-C4", "HWID of 64 bytes for Turin", turin, set(make([]byte, 64), 4)},
		{"SNP-C4", "HWID without bytes", genoa, set([]byte{}, 4)},
		{"SNP-C4", "reserved component", genoa, set(Integer(1), 3, 4)},
		{"SNP-C4", "reserved component of Turin", turin, set(Integer(1), 3, 5)},
		{"SNP-C4", "CSP_ID of another type", vlekGenoa, set(append([]byte{0x0c, 4}, "CN=a"...), 5)},
		{"SNP-C4", "CSP_ID with a control character", vlekGenoa, set(Text("CN=\n"), 5)},
	}
}

// other gives a leaf the set of another product, with a name and a size of HWID
// that are its own.
func other(s *setup, of snp.Product, name string, size int) {
	r := s.build.Report
	r.Reported.Raw = [8]byte{}
	s.build.Leaf = func(c *x509.Certificate) {
		list := Extensions(&r, of)
		list[1].Value = Text(name)
		list[len(list)-1].Value = append([]byte{}, r.ChipID[:size]...)
		c.ExtraExtensions = list
	}
}

// extensionSetNegatives: SNP-C4, which there are.
func extensionSetNegatives() []changed {
	vlekGenoa := func() setup { return vlek(snp.Genoa, Genoa()) }
	list := []changed{
		{"SNP-C4", "Genoa with all extensions of Turin's version", genoa, func(s *setup) { other(s, snp.Turin, "Genoa", 64) }},
		{"SNP-C4", "Turin with all extensions of Genoa's version", turin, func(s *setup) { other(s, snp.Genoa, "Turin", 8) }},
		{"SNP-C4", "FMC for Genoa", genoa, add(OID(3, 9), Integer(0))},
		{"SNP-C4", "SPL 4 for Turin", turin, add(OID(3, 4), Integer(0))},
		{"SNP-C4", "FMC is missing for Turin", turin, set(nil, 3, 9)},
		{"SNP-C4", "unknown extension of AMD", genoa, add(OID(6), Integer(0))},
		{"SNP-C4", "unknown SPL", genoa, add(OID(3, 10), Integer(0))},
		{"SNP-C4", "extension below structVersion", genoa, add(OID(1, 1), Integer(0))},
		{"SNP-C4", "extension of somebody else", genoa, add(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3705, 1, 1}, Integer(0))},
		{"SNP-C4", "extension that is AMD's arc itself", genoa, add(OID(), Integer(0))},
		{"SNP-C4", "HWID and CSP_ID", genoa, add(OID(5), Text(CSP))},
		{"SNP-C4", "neither HWID nor CSP_ID", genoa, set(nil, 4)},
		{"SNP-C4", "neither CSP_ID nor HWID", vlekGenoa, set(nil, 5)},
		{"SNP-C4", "VCEK with CSP_ID alone", genoa, func(s *setup) {
			s.build.Leaf = func(c *x509.Certificate) {
				last := &c.ExtraExtensions[len(c.ExtraExtensions)-1]
				last.Id, last.Value = OID(5), Text(CSP)
			}
		}},
		{"SNP-C4", "VLEK with HWID alone", vlekGenoa, func(s *setup) {
			s.build.Leaf = func(c *x509.Certificate) {
				last := &c.ExtraExtensions[len(c.ExtraExtensions)-1]
				last.Id, last.Value = OID(4), make([]byte, 64)
			}
		}},
	}
	for _, arcs := range [][]int{{1}, {2}, {3, 1}, {3, 2}, {3, 3}, {3, 4}, {3, 5}, {3, 6}, {3, 7}, {3, 8}} {
		list = append(list, changed{"SNP-C4", "extension " + OID(arcs...).String() + " is missing", genoa, set(nil, arcs...)})
	}
	return list
}

// revocationNegatives: SNP-C5, what is revoked and when the list counts.
func revocationNegatives() []changed {
	crl := func(f func(l *x509.RevocationList)) func(s *setup) { return func(s *setup) { s.build.CRL = f } }
	revoke := func(n int64) func(s *setup) {
		return crl(func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(n), RevocationTime: At().AddDate(0, -1, 0)}}
		})
	}
	genoaSerial := serial(snp.Genoa)
	return []changed{
		{"SNP-C5", "ASK is revoked", genoa, revoke(genoaSerial + 1)},
		{"SNP-C5", "ARK is revoked", genoa, revoke(genoaSerial)},
		{"SNP-C5", "ASVK is revoked", func() setup { return vlek(snp.Genoa, Genoa()) }, revoke(genoaSerial + 0x101)},
		{"SNP-C5", "ASK is revoked, under a policy that needs no list", func() setup {
			return setup{build: Build{Product: snp.Genoa, Report: Genoa()}, profile: "test"}
		}, revoke(genoaSerial + 1)},
		{"SNP-C5", "list begins a second later", genoa, crl(func(l *x509.RevocationList) { l.ThisUpdate = At().Add(time.Second) })},
		{"SNP-C5", "list ended a second before", genoa, crl(func(l *x509.RevocationList) { l.NextUpdate = At().Add(-time.Second) })},
		{"SNP-C5", "list is a second too old", genoa, crl(func(l *x509.RevocationList) { l.ThisUpdate = At().Add(-30*24*time.Hour - time.Second) })},
	}
}

// listNegatives: SNP-C5, what list it is.
func listNegatives() []changed {
	input := func(f func(in *snp.Input)) func(s *setup) {
		return func(s *setup) { s.input = func(_ *Evidence, in *snp.Input) { f(in) } }
	}
	extension := func(id ...int) func(s *setup) {
		return func(s *setup) {
			s.build.CRL = func(l *x509.RevocationList) {
				l.ExtraExtensions = []pkix.Extension{{Id: id, Critical: true, Value: Integer(1)}}
			}
		}
	}
	return []changed{
		{"SNP-C5", "no list", genoa, input(func(in *snp.Input) { in.Endorsements.CRLs = nil })},
		{"SNP-C5", "list is signed by another key", genoa, func(s *setup) { s.build.ListKey = "other" }},
		{"SNP-C5", "list's signature is broken", genoa, input(func(in *snp.Input) {
			bad := *in.Endorsements.CRLs[0]
			bad.Signature = append([]byte{}, bad.Signature...)
			bad.Signature[9] ^= 1
			in.Endorsements.CRLs[0] = &bad
		})},
		{"SNP-C5", "list of another name", genoa, input(func(in *snp.Input) {
			other := *in.Endorsements.CRLs[0]
			other.RawIssuer = append([]byte{}, other.RawIssuer...)
			other.RawIssuer[len(other.RawIssuer)-1] ^= 1
			in.Endorsements.CRLs[0] = &other
		})},
		{"SNP-C5", "delta list", genoa, extension(2, 5, 29, 27)},
		{"SNP-C5", "list of a part", genoa, extension(2, 5, 29, 28)},
		{"SNP-C5", "list with an unknown critical extension", genoa, extension(2, 5, 29, 99)},
		{"SNP-C5", "root may not sign lists", genoa, func(s *setup) {
			s.build.Root = func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }
		}},
	}
}
