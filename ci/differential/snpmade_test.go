package differential

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"safebox/measure/snp/idblock"
	"safebox/verifier/policy/snppolicy"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
)

// madeSNP is evidence of a Genoa machine under a test authority, and the policy:
// profile cloud, with a revocation list. The machine's firmware does not set bit
// 6 of PLATFORM_INFO, which the library refuses.
type madeSNP struct {
	build  snptest.Build
	policy *snppolicy.Policy
	input  func(e *snptest.Evidence, in *snp.Input)
}

func newMadeSNP(t testing.TB) *madeSNP {
	t.Helper()
	m := &madeSNP{build: snptest.Build{Product: snp.Genoa, Report: snptest.Genoa()}}
	m.build.Report.Platform &^= snp.PlatformIOMMUSafe
	m.policy = snptest.ReadPolicy(t, "cloud", `csps = "none"`, `csps = ["`+snptest.CSP+`"]`)
	return m
}

// madeChange is one thing that is changed before the evidence is made.
type madeChange struct {
	name   string
	change func(m *madeSNP)
}

// snpMadePairs compares on evidence of a test authority.
func snpMadePairs(t *testing.T) []pair {
	t.Helper()
	a := snptest.New(t)
	var pairs []pair
	for _, list := range [][]madeChange{{{"unchanged", func(*madeSNP) {}}}, madeLeaf(), madeCRL(t), madeBinding(), madeGuest(), madePlatform(), madeTCB(), madeFirmware()} {
		for _, c := range list {
			m := newMadeSNP(t)
			c.change(m)
			e := a.Make(t, m.build)
			in := snptest.Input(&m.build.Report, e, m.policy)
			if m.input != nil {
				m.input(e, &in)
			}
			p := pair{name: "made/" + c.name, ours: ourSNP(in)}
			// Without a time the library asks the clock.
			atClock(t, snptest.At(), func() { p.theirs = theirSNP(in) })
			pairs = append(pairs, p)
		}
	}
	return pairs
}

func reportOf(name string, f func(r *snp.Report)) madeChange {
	return madeChange{name, func(m *madeSNP) { f(&m.build.Report) }}
}

// vlek makes the report one that a provider's key signed.
func vlek(m *madeSNP) {
	snptest.VLEK(&m.build.Report)
	m.build.Report.ChipID = [64]byte{}
}

// madeLeaf is about certificates: SNP-C1 to SNP-C4.
func madeLeaf() []madeChange {
	leaf := func(name string, f func(c *x509.Certificate)) madeChange {
		return madeChange{name, func(m *madeSNP) { m.build.Leaf = f }}
	}
	extension := func(name string, arcs []int, value []byte) madeChange {
		return leaf(name, func(c *x509.Certificate) {
			for i := range c.ExtraExtensions {
				if c.ExtraExtensions[i].Id.Equal(snptest.OID(arcs...)) {
					c.ExtraExtensions[i].Value = value
					return
				}
			}
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: snptest.OID(arcs...), Value: value})
		})
	}
	intermediate := func(name string, f func(c *x509.Certificate)) madeChange {
		return madeChange{name, func(m *madeSNP) { m.build.Intermediate = f }}
	}
	return []madeChange{
		{"another root of the same name", func(m *madeSNP) {
			m.build.RootKey = "other"
			m.input = func(e *snptest.Evidence, in *snp.Input) {
				in.Endorsements.Certificates = append(in.Endorsements.Certificates, e.Root)
				in.Roots = snp.PinnedRoots()
			}
		}},
		{"root of 2048 bits", func(m *madeSNP) { m.build.RootKey = "weak" }},
		{"ASK of 2048 bits", func(m *madeSNP) { m.build.IntermediateKey = "weak" }},
		intermediate("ASK that is no authority", func(c *x509.Certificate) { c.IsCA, c.MaxPathLenZero, c.MaxPathLen = false, false, -1 }),
		intermediate("ASK that may not sign certificates", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }),
		intermediate("ASK signed by PKCS #1 v1.5", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }),
		intermediate("ASK not yet valid", func(c *x509.Certificate) { c.NotBefore = snptest.At().Add(time.Second) }),
		intermediate("ASK no longer valid", func(c *x509.Certificate) { c.NotAfter = snptest.At().Add(-time.Second) }),
		{"ARK not yet valid", func(m *madeSNP) {
			m.build.Root = func(c *x509.Certificate) { c.NotBefore = snptest.At().Add(time.Second) }
		}},
		{"ARK no longer valid", func(m *madeSNP) {
			m.build.Root = func(c *x509.Certificate) { c.NotAfter = snptest.At().Add(-time.Second) }
		}},
		leaf("VCEK that is an authority", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid, c.MaxPathLen = true, true, -1 }),
		leaf("VCEK that may only sign certificates", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }),
		leaf("VCEK signed by PKCS #1 v1.5", func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSA }),
		leaf("VCEK with a critical extension", func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = true }),
		leaf("VCEK without HWID", func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[:len(c.ExtraExtensions)-1] }),
		extension("VCEK of structVersion 1", []int{1}, snptest.Integer(1)),
		extension("VCEK of structVersion 2", []int{1}, snptest.Integer(2)),
		extension("VCEK of another product", []int{2}, snptest.Text("Milan-B1")),
		extension("VCEK of an unknown product", []int{2}, snptest.Text("Venice")),
		extension("VCEK with a reserved component", []int{3, 4}, snptest.Integer(1)),
		extension("VCEK with FMC", []int{3, 9}, snptest.Integer(0)),
		extension("VCEK with an unknown extension of AMD", []int{6}, snptest.Integer(0)),
		extension("VCEK with HWID and CSP_ID", []int{5}, snptest.Text(snptest.CSP)),
		extension("VCEK with HWID in an OCTET STRING", []int{4}, func() []byte {
			chip := snptest.Genoa().ChipID
			return append([]byte{4, 64}, chip[:]...)
		}()),
		extension("VCEK of a shorter HWID", []int{4}, make([]byte, 63)),
		{"report signed by another key", func(m *madeSNP) { m.build.SigningKey = "other" }},
		{"no time", func(m *madeSNP) {
			m.input = func(_ *snptest.Evidence, in *snp.Input) { in.Rules.At = time.Time{} }
		}},
	}
}

// madeCRL is about revocation lists: SNP-C5.
func madeCRL(t testing.TB) []madeChange {
	t.Helper()
	list := func(name string, f func(l *x509.RevocationList)) madeChange {
		return madeChange{name, func(m *madeSNP) { m.build.CRL = f }}
	}
	revoke := func(serial *big.Int) func(l *x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: serial, RevocationTime: l.ThisUpdate}}
		}
	}
	return []madeChange{
		list("ASK revoked", revoke(snptest.IntermediateTemplate(t, snp.Genoa, snp.VCEK).SerialNumber)),
		list("ARK revoked", revoke(snptest.RootTemplate(t, snp.Genoa).SerialNumber)),
		list("some other certificate revoked", revoke(big.NewInt(0x7fffffff))),
		list("list of in a second", func(l *x509.RevocationList) { l.ThisUpdate = snptest.At().Add(time.Second) }),
		list("list that ended a second ago", func(l *x509.RevocationList) { l.NextUpdate = snptest.At().Add(-time.Second) }),
		list("list older than the policy allows", func(l *x509.RevocationList) { l.ThisUpdate = snptest.At().Add(-31 * 24 * time.Hour) }),
		list("list with an unknown critical extension", func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: snptest.OID(99), Critical: true, Value: snptest.Integer(1)}}
		}),
		{"list signed by another key", func(m *madeSNP) { m.build.ListKey = "other" }},
		{"no list", func(m *madeSNP) {
			m.input = func(_ *snptest.Evidence, in *snp.Input) { in.Endorsements.CRLs = nil }
		}},
		{"VLEK with a list", vlek},
		{"VLEK without a list", func(m *madeSNP) {
			vlek(m)
			m.input = func(_ *snptest.Evidence, in *snp.Input) { in.Endorsements.CRLs = nil }
		}},
	}
}

// madeBinding is about what the certificate and the report say of the machine:
// SNP-F3, SNP-B1 to SNP-B4, SNP-I1.
func madeBinding() []madeChange {
	vlekWithoutList := func(m *madeSNP) {
		vlek(m)
		m.policy.AnyCRL = true
	}
	return []madeChange{
		{"VLEK", vlekWithoutList},
		{"VLEK of a provider that is not listed", func(m *madeSNP) {
			vlekWithoutList(m)
			m.policy.CSPs = snppolicy.Values{List: [][]byte{[]byte("CN=another.example")}}
		}},
		{"VLEK of another product", func(m *madeSNP) {
			vlekWithoutList(m)
			m.build.Leaf = func(c *x509.Certificate) { c.ExtraExtensions[1].Value = snptest.Text("Milan") }
		}},
		{"report for a key that the host has forbidden", func(m *madeSNP) {
			m.build.Bytes = func(b []byte) { b[0x48] = 2 }
		}},
		{"report by no key", func(m *madeSNP) { m.build.Bytes = func(b []byte) { b[0x48] = 7 << 2 } }},
		{"report by algorithm 2", func(m *madeSNP) { m.build.Bytes = func(b []byte) { b[0x34] = 2 } }},
		{"report of version 1", func(m *madeSNP) { m.build.Bytes = func(b []byte) { b[0] = 1 } }},
		{"report of version 6", func(m *madeSNP) { m.build.Bytes = func(b []byte) { b[0] = 6 } }},
		{"report of version 3 with mitigation vectors", func(m *madeSNP) { m.build.Bytes = func(b []byte) { b[0] = 3 } }},
		reportOf("chip ID masked", func(r *snp.Report) { r.ChipID = [64]byte{} }),
		{"chip ID masked, and accepted", func(m *madeSNP) {
			m.build.Report.ChipID = [64]byte{}
			m.policy.MaskedChip = true
		}},
		reportOf("unknown model", func(r *snp.Report) { r.CPUID.Model = 0x20 }),
		reportOf("Bergamo or Siena, without floors", func(r *snp.Report) { r.CPUID.Model = 0xa0 }),
		reportOf("asked for by the host", func(r *snp.Report) { r.VMPL = 1<<32 - 1 }),
		{"machine that is not listed", func(m *madeSNP) { m.policy.Chips = snppolicy.Values{List: [][]byte{make([]byte, 64)}} }},
		{"machine that is listed", func(m *madeSNP) {
			m.policy.Chips = snppolicy.Values{List: [][]byte{make([]byte, 64), m.build.Report.ChipID[:]}}
		}},
	}
}

// madeGuest is about the guest: SNP-D1, SNP-M1 to SNP-M4, SNP-P1.
func madeGuest() []madeChange {
	bit := func(name string, b idblock.Policy) madeChange {
		return reportOf("guest policy: "+name, func(r *snp.Report) { r.Policy |= b })
	}
	block := func(m *madeSNP) {
		r, p := &m.build.Report, m.policy
		r.IDKeyDigest, r.AuthorKeyDigest, r.Signer = [48]byte{1}, [48]byte{2}, 1
		p.IDBlock = snppolicy.Require
		p.IDKeys, p.AuthorKeys = snppolicy.Values{List: [][]byte{{47: 0}, r.IDKeyDigest[:]}}, snppolicy.Values{List: [][]byte{r.AuthorKeyDigest[:]}}
	}
	blocked := func(name string, f func(m *madeSNP)) madeChange {
		return madeChange{"ID block: " + name, func(m *madeSNP) {
			block(m)
			f(m)
		}}
	}
	return []madeChange{
		reportOf("another migration agent", func(r *snp.Report) { r.ReportIDMA[31] = 0 }),
		reportOf("ID block that is forbidden", func(r *snp.Report) { r.IDKeyDigest = [48]byte{1} }),
		reportOf("author key without an ID block", func(r *snp.Report) { r.AuthorKeyDigest, r.Signer = [48]byte{1}, 1 }),
		blocked("unchanged", func(*madeSNP) {}),
		blocked("another ID key, by the author", func(m *madeSNP) { m.build.Report.IDKeyDigest = [48]byte{9} }),
		blocked("another author key", func(m *madeSNP) { m.build.Report.AuthorKeyDigest = [48]byte{9} }),
		blocked("no author key", func(m *madeSNP) { m.build.Report.AuthorKeyDigest, m.build.Report.Signer = [48]byte{}, 0 }),
		blocked("image ID", func(m *madeSNP) { m.build.Report.ImageID[0] = 1 }),
		blocked("guest SVN too low", func(m *madeSNP) { m.policy.GuestSVN = 1 }),
		blocked("author key where none is accepted", func(m *madeSNP) { m.policy.AuthorKeys = snppolicy.Values{Word: snppolicy.None} }),
		bit("debugging", idblock.Debug),
		bit("migration", idblock.MigrateMA),
		bit("CXL", idblock.CXLAllow),
		bit("SMT, which is accepted", idblock.SMT),
		bit("bit 26", 1<<26),
		{"guest policy: SMT", func(m *madeSNP) {
			m.build.Report.Policy |= idblock.SMT
			m.policy.SMT = false
		}},
		reportOf("guest policy: bit 17 zero", func(r *snp.Report) { r.Policy &^= 1 << 17 }),
		{"guest policy: ABI too low", func(m *madeSNP) { m.policy.AnyABI, m.policy.ABI = false, snppolicy.Version{Minor: 1} }},
		{"report data of another challenge", func(m *madeSNP) {
			m.input = func(_ *snptest.Evidence, in *snp.Input) { in.Expected.ReportData[63] ^= 1 }
		}},
		{"report data that nobody gave", func(m *madeSNP) {
			m.input = func(_ *snptest.Evidence, in *snp.Input) { in.Expected.ReportData = nil }
		}},
		reportOf("report data of zeros that is expected", func(r *snp.Report) { r.ReportData = [64]byte{} }),
		reportOf("measurement of zeros that is expected", func(r *snp.Report) { r.Measurement = [48]byte{} }),
		{"measurement of another release", func(m *madeSNP) {
			m.input = func(_ *snptest.Evidence, in *snp.Input) { in.Expected.Measurements[1][0] ^= 1 }
		}},
		{"host data of another configuration", func(m *madeSNP) {
			m.input = func(_ *snptest.Evidence, in *snp.Input) { in.Expected.HostData[0] ^= 1 }
		}},
	}
}

// madePlatform is about PLATFORM_INFO: SNP-P2.
func madePlatform() []madeChange {
	set := func(name string, b snp.PlatformInfo) madeChange {
		return reportOf("platform: "+name, func(r *snp.Report) { r.Platform |= b })
	}
	without := func(name string, b snp.PlatformInfo) madeChange {
		return reportOf("platform: "+name, func(r *snp.Report) { r.Platform &^= b })
	}
	return []madeChange{
		set("bit 6", snp.PlatformIOMMUSafe),
		set("bit 8", 1<<8),
		set("bit 63", 1<<63),
		set("trusted I/O", snp.PlatformTIO),
		set("SMT that the guest policy forbids", snp.PlatformSMT),
		set("TSME", snp.PlatformTSME),
		set("RAPL off", snp.PlatformRAPLDisabled),
		without("no alias check", snp.PlatformAliasCheckComplete),
		without("no error correction", snp.PlatformECC),
		reportOf("platform: RAPL that the guest policy forbids", func(r *snp.Report) { r.Policy |= idblock.RAPLDisabled }),
		reportOf("platform: ciphertext that the guest policy hides", func(r *snp.Report) { r.Policy |= idblock.CiphertextHidingDRAM }),
		{"platform: SMT, in policy and on the machine", func(m *madeSNP) {
			m.build.Report.Policy |= idblock.SMT
			m.build.Report.Platform |= snp.PlatformSMT
		}},
	}
}

// madeTCB is about the TCBs: SNP-B1, SNP-T1, SNP-T2. The components of Genoa are
// at 0 (boot loader), 1 (TEE), 6 (SNP) and 7 (microcode).
func madeTCB() []madeChange {
	list := []madeChange{
		reportOf("TCB: stepping without floors", func(r *snp.Report) { r.CPUID.Stepping = 3 }),
		reportOf("TCB: reserved byte", func(r *snp.Report) { snptest.SetTCB(r, [8]byte{10, 0, 1, 0, 0, 0, 0x1b, 0x56}) }),
		{"TCB: provisional, where it is not accepted", func(m *madeSNP) {
			m.build.Report.Current.Raw[7]++
			m.policy.Provisional = false
		}},
		{"TCB: certificate of newer microcode", func(m *madeSNP) {
			m.build.Leaf = func(c *x509.Certificate) {
				for i := range c.ExtraExtensions {
					if c.ExtraExtensions[i].Id.Equal(snptest.OID(3, 8)) {
						c.ExtraExtensions[i].Value = snptest.Integer(0x57)
					}
				}
			}
		}},
	}
	for at, name := range map[int]string{0: "boot loader", 6: "SNP", 7: "microcode"} {
		list = append(list,
			reportOf("TCB: reported too low: "+name, func(r *snp.Report) { r.Reported.Raw[at]-- }),
			reportOf("TCB: reported and committed too low: "+name, func(r *snp.Report) {
				r.Reported.Raw[at]--
				r.Committed.Raw[at]--
			}),
			reportOf("TCB: launch too low: "+name, func(r *snp.Report) { r.Launch.Raw[at]-- }),
			reportOf("TCB: committed below reported: "+name, func(r *snp.Report) { r.Committed.Raw[at]-- }),
			reportOf("TCB: reported above current: "+name, func(r *snp.Report) { r.Reported.Raw[at]++ }),
			reportOf("TCB: committed above current: "+name, func(r *snp.Report) { r.Committed.Raw[at]++ }),
			reportOf("TCB: provisional: "+name, func(r *snp.Report) { r.Current.Raw[at]++ }),
		)
	}
	return list
}

// madeFirmware is about firmware and mitigations: SNP-T3, SNP-T4.
func madeFirmware() []madeChange {
	both := func(name string, v snppolicy.Version) madeChange {
		return reportOf("firmware: "+name, func(r *snp.Report) { r.CurrentFirmware, r.CommittedFirmware = v, v })
	}
	mitigations := func(name string, f func(r *snp.Report)) madeChange {
		return madeChange{"mitigations: " + name, func(m *madeSNP) {
			for i := range m.policy.CPUs {
				m.policy.CPUs[i].AnyMitigations, m.policy.CPUs[i].Mitigations = false, 0x12 // without bit 2, which asks for bit 6 of the platform
			}
			f(&m.build.Report)
		}}
	}
	return []madeChange{
		both("build too low", snppolicy.Version{Major: 1, Minor: 55, Build: 37}),
		both("minor too low", snppolicy.Version{Major: 1, Minor: 54, Build: 200}),
		both("higher minor with a lower build", snppolicy.Version{Major: 1, Minor: 56, Build: 1}),
		both("higher major with lower others", snppolicy.Version{Major: 2, Minor: 0, Build: 0}),
		reportOf("firmware: committed too low", func(r *snp.Report) { r.CommittedFirmware.Build = 37 }),
		reportOf("firmware: committed above current", func(r *snp.Report) { r.CommittedFirmware.Build = 39 }),
		reportOf("firmware: provisional", func(r *snp.Report) { r.CurrentFirmware.Build = 39 }),
		{"firmware: provisional, where it is not accepted", func(m *madeSNP) {
			m.build.Report.CurrentFirmware.Build = 39
			m.policy.Provisional = false
		}},
		mitigations("all there", func(*snp.Report) {}),
		mitigations("launch without bit 4", func(r *snp.Report) { r.LaunchMitigations &^= 1 << 4 }),
		mitigations("current without bit 1", func(r *snp.Report) { r.CurrentMitigations &^= 1 << 1 }),
		mitigations("version 4, which has none", func(r *snp.Report) { r.Version, r.LaunchMitigations, r.CurrentMitigations = 4, 0, 0 }),
	}
}
