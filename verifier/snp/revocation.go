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
	want := fmt.Sprintf("revocation list of ARK-%v that counts at %s, and none that names %s or the root", v.product, moment(v.in.Rules.At), v.intermediateName())
	lists, err := v.signedLists()
	if named := v.named(lists); named != "" {
		v.log.Fail(id, want, named)
		return false
	}
	crl, err := v.current(lists, err)
	if err != nil {
		if v.policy.AnyCRL {
			v.log.Waive("revocation of "+v.intermediateName(), "snp.crl = \"any\" in the policy, and "+err.Error())
			v.log.Pass(id, "any: the policy asks for no list", err.Error())
			return true
		}
		v.log.Fail(id, want, err.Error())
		return false
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

// signedLists gives the lists that the root's key signed, the newest first. The
// error is about the newest that it did not.
func (v *verification) signedLists() ([]*chain.CRL, error) {
	var lists []*x509.RevocationList
	for _, l := range v.in.Endorsements.CRLs {
		if l != nil && bytes.Equal(l.RawIssuer, v.found.root.RawSubject) {
			lists = append(lists, l)
		}
	}
	slices.SortStableFunc(lists, func(a, b *x509.RevocationList) int { return b.ThisUpdate.Compare(a.ThisUpdate) })
	var signed []*chain.CRL
	var first error
	for _, l := range lists {
		crl, err := v.signedList(l)
		if err == nil {
			signed = append(signed, crl)
		} else if first == nil {
			first = err
		}
	}
	return signed, first
}

// signedList opens a list, without its signature if that was verified before.
func (v *verification) signedList(l *x509.RevocationList) (*chain.CRL, error) {
	if k := v.in.Chain; k != nil && k.crl != nil && same(k.root, v.found.root) && bytes.Equal(k.crl.Raw, l.Raw) {
		return k.crl, nil
	}
	return chain.SignedList(l, v.found.root)
}

// named says which certificate of the chain a list names, empty if none does.
// Every list that had begun counts here, were it ended or too old: whoever
// chooses among lists can leave the one out that ends soonest, but AMD takes no
// revocation back.
func (v *verification) named(lists []*chain.CRL) string {
	for _, l := range lists {
		if l.ThisUpdate.After(v.in.Rules.At) {
			continue
		}
		for _, c := range []*x509.Certificate{v.found.intermediate, v.found.root} {
			if l.Revoked(c.SerialNumber) {
				return fmt.Sprintf("%s, serial number %v, is revoked by list %d of %s", c.Subject.CommonName, c.SerialNumber, l.Number, moment(l.ThisUpdate))
			}
		}
	}
	return ""
}

// current gives the newest list that counts now. An error is about the newest
// that is signed, or else the one given.
func (v *verification) current(lists []*chain.CRL, unsigned error) (*chain.CRL, error) {
	first := unsigned
	for i, l := range lists {
		crl, err := l.Current(v.in.Rules, chain.AgeCRL)
		if err == nil {
			return crl, nil
		}
		if i == 0 {
			first = err
		}
	}
	if first == nil {
		first = errors.New("no revocation list of it among the endorsements")
	}
	return nil, first
}
