package snp_test

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"safebox/verifier/check"
	"safebox/verifier/snp"
	"safebox/verifier/snp/snptest"
)

// TestLists: of several lists the newest good one counts, and its number is
// noted for the rollback memory. One that revokes counts however old it is.
func TestLists(t *testing.T) {
	a := snptest.New(t)
	build := snptest.Build{Product: snp.Genoa, Report: snptest.Genoa()}
	older := build
	older.CRL = func(l *x509.RevocationList) { l.ThisUpdate, l.Number = l.ThisUpdate.AddDate(0, 0, -5), big.NewInt(6) }
	revoking := build
	revoking.CRL = func(l *x509.RevocationList) {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: snptest.IntermediateTemplate(t, snp.Genoa, snp.VCEK).SerialNumber, RevocationTime: snptest.At()}}
	}
	revokingBut := func(change func(l *x509.RevocationList)) *x509.RevocationList {
		b := revoking
		b.CRL = func(l *x509.RevocationList) {
			revoking.CRL(l)
			change(l)
		}
		return a.Make(t, b).CRL
	}
	e := a.Make(t, build)
	p := snptest.ReadPolicy(t, "cloud")
	old, bad := a.Make(t, older).CRL, a.Make(t, revoking).CRL
	oldest := revokingBut(func(l *x509.RevocationList) { l.ThisUpdate = snptest.At().AddDate(0, 0, -60) })
	ended := revokingBut(func(l *x509.RevocationList) {
		l.ThisUpdate, l.NextUpdate = snptest.At().AddDate(0, 0, -2), snptest.At().Add(-time.Second)
	})
	later := revokingBut(func(l *x509.RevocationList) { l.ThisUpdate = snptest.At().Add(time.Second) })
	for _, c := range []struct {
		name  string
		lists []*x509.RevocationList
		ok    bool
	}{
		{"older first", []*x509.RevocationList{old, e.CRL}, true},
		{"newer revokes, older first", []*x509.RevocationList{old, bad}, false},
		{"newer revokes", []*x509.RevocationList{bad, old}, false},
		{"another of the same second revokes", []*x509.RevocationList{e.CRL, bad}, false},
		{"older revokes, too old to count", []*x509.RevocationList{e.CRL, oldest}, false},
		{"newer revokes, ended already", []*x509.RevocationList{e.CRL, ended}, false},
		{"newer revokes, not begun", []*x509.RevocationList{e.CRL, later}, true},
		{"revokes, and is broken", []*x509.RevocationList{e.CRL, spoiledList(t, bad)}, true},
		{"newest is broken", []*x509.RevocationList{spoiledList(t, e.CRL), e.CRL}, true},
		{"older last", []*x509.RevocationList{e.CRL, old}, true},
		{"list that is none", []*x509.RevocationList{nil, e.CRL}, true},
	} {
		in := snptest.Input(&build.Report, e, p)
		in.Endorsements.CRLs = c.lists
		log := check.New()
		snp.Verify(in, log)
		v := log.Verdict(snp.Definitions())
		if v.OK != c.ok {
			t.Errorf("%s: ok %t:\n%s", c.name, v.OK, v.Text())
		}
		if seen := log.Observations(); c.ok && (len(seen) < 2 || seen[0].Value != 7 || !strings.HasPrefix(seen[0].Key, "crl/")) {
			t.Errorf("%s: observations %v", c.name, seen)
		}
	}
}

// TestKeptListOfAnotherRoot: a list that was verified under one root counts as
// verified under no other, were its name and its bytes the same.
func TestKeptListOfAnotherRoot(t *testing.T) {
	a := snptest.New(t)
	build := snptest.Build{Product: snp.Genoa, Report: snptest.Genoa()}
	one := a.Make(t, build)
	build.RootKey = "other"
	two := a.Make(t, build)
	p := snptest.ReadPolicy(t, "cloud")
	kept, err := snp.OpenChain(snptest.Input(&build.Report, one, p))
	if err != nil {
		t.Fatal(err)
	}
	in := snptest.Input(&build.Report, two, p)
	in.Endorsements.CRLs, in.Chain = []*x509.RevocationList{one.CRL}, kept
	_, v := verify(in)
	if failed := v.Failed(); len(failed) == 0 || failed[0].ID != "SNP-C5" {
		t.Errorf("want SNP-C5 to fail first:\n%s", v.Text())
	}
}

// TestOtherRoots: whose root it is instead is told, but not looked for among
// hundreds, whose keys a stranger can make slow to verify by.
func TestOtherRoots(t *testing.T) {
	a := snptest.New(t)
	build := snptest.Build{Product: snp.Genoa, Report: snptest.Genoa(), RootKey: "other"}
	e := a.Make(t, build)
	build.RootKey = "weak"
	for decoys, want := range map[int]string{0: "SNP-C1", 3: "SNP-C1", 4: "SNP-C2", 40: "SNP-C2"} {
		in := snptest.Input(&build.Report, e, snptest.ReadPolicy(t, "cloud"))
		in.Roots = snp.PinnedRoots()
		decoy := a.Make(t, build).Root
		for range decoys {
			in.Endorsements.Certificates = append(in.Endorsements.Certificates, decoy)
		}
		in.Endorsements.Certificates = append(in.Endorsements.Certificates, e.Root)
		_, v := verify(in)
		if failed := v.Failed(); len(failed) == 0 || failed[0].ID != want {
			t.Errorf("%d decoys: want %s to fail first:\n%s", decoys, want, v.Text())
		}
	}
}

// TestGrace: an expired list within the grace is accepted and said so.
func TestGrace(t *testing.T) {
	build := snptest.Build{Product: snp.Genoa, Report: snptest.Genoa(), CRL: func(l *x509.RevocationList) { l.NextUpdate = snptest.At().Add(-time.Hour) }}
	e := snptest.New(t).Make(t, build)
	in := snptest.Input(&build.Report, e, snptest.ReadPolicy(t, "cloud"))
	in.Rules.Grace = 2 * time.Hour
	_, v := verify(in)
	if !v.OK || !waives(v, "age of the revocation list") {
		t.Errorf("%s\n%v", v.Text(), v.Waived)
	}
}
