package snp

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"safebox/verifier/chain"
)

// revocation: SNP-C5. Serial numbers of VCEK and VLEK are always zero, so that a
// list can name only the intermediate and the root.
func (v *verification) revocation() bool {
	const id = "SNP-C5"
	want := fmt.Sprintf("revocation list of ARK-%v that counts at %s and names neither %s nor the root", v.product, moment(v.in.Rules.At), v.intermediateName())
	crl, err := v.openCRL()
	if err != nil {
		if v.policy.AnyCRL {
			v.log.Waive("revocation of "+v.intermediateName(), "snp.crl = \"any\" in the policy, and "+err.Error())
			v.log.Pass(id, "any: the policy asks for no list", err.Error())
			return true
		}
		v.log.Fail(id, want, err.Error())
		return false
	}
	for _, c := range []*x509.Certificate{v.found.intermediate, v.found.root} {
		if crl.Revoked(c.SerialNumber) {
			v.log.Fail(id, want, fmt.Sprintf("%s, serial number %v, is revoked by list %d of %s",
				c.Subject.CommonName, c.SerialNumber, crl.Number, moment(crl.ThisUpdate)))
			return false
		}
	}
	v.found.crl = crl
	if crl.Grace > 0 {
		v.log.Waive("age of the revocation list of ARK-"+v.product.String(), fmt.Sprintf("it ended %v ago, within the grace of %v", crl.Grace, v.in.Rules.Grace))
	}
	for _, o := range crl.Observations() {
		v.log.Observe(o.Key, o.Value)
	}
	v.log.Pass(id, want, fmt.Sprintf("list %d of %s, next %s", crl.Number, moment(crl.ThisUpdate), moment(crl.NextUpdate)))
	return true
}

// openCRL opens the newest of the root's lists that its key signed and that
// counts now. An error is about the newest of all.
func (v *verification) openCRL() (*chain.CRL, error) {
	var lists []*x509.RevocationList
	for _, l := range v.in.Endorsements.CRLs {
		if l != nil && bytes.Equal(l.RawIssuer, v.found.root.RawSubject) {
			lists = append(lists, l)
		}
	}
	slices.SortStableFunc(lists, func(a, b *x509.RevocationList) int { return b.ThisUpdate.Compare(a.ThisUpdate) })
	var first error
	for _, l := range lists {
		crl, err := v.openList(l)
		if err == nil {
			return crl, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = errors.New("no revocation list of it among the endorsements")
	}
	return nil, first
}

// openList opens a list, without its signature if that was verified before.
func (v *verification) openList(l *x509.RevocationList) (*chain.CRL, error) {
	k := v.in.Chain
	if k == nil || k.crl == nil || !same(k.root, v.found.root) || !bytes.Equal(k.crl.Raw, l.Raw) {
		return chain.OpenList(l, v.found.root, v.in.Rules, chain.AgeCRL)
	}
	grace, err := v.in.Rules.Document(k.list, l.ThisUpdate, l.NextUpdate, chain.AgeCRL)
	if err != nil {
		return nil, err
	}
	again := *k.crl
	again.Grace = grace
	return &again, nil
}
