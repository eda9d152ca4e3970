package snp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"safebox/verifier/policy/snppolicy"
)

// identity: SNP-D1, SNP-M1 to SNP-M4: whose report it is and what runs.
func (v *verification) identity() {
	v.freshness()
	v.measurement()
	v.hostData()
	v.idBlock()
	v.migration()
}

// expectation is a field and what it may hold.
type expectation struct {
	field  string // in words
	key    string // of the policy
	got    []byte
	accept snppolicy.Values
	word   string   // of the policy that stands for what the caller gave
	given  [][]byte // by the caller
	source string   // of what was given
}

// check says whether the field holds one of the accepted values, in words for
// the verdict.
func (v *verification) check(e expectation) (ok bool, want, got string) {
	var list [][]byte
	from := "the policy"
	switch e.accept.Word {
	case snppolicy.Any:
		v.log.Waive(e.field, "snp."+e.key+" = \"any\" in the policy")
		return true, "any: the policy asks for none", hex.EncodeToString(e.got)
	case snppolicy.Zero:
		list = [][]byte{make([]byte, len(e.got))}
	case "":
		list = e.accept.List
	case e.word:
		list, from = e.given, e.source
	}
	want = listed(list, from)
	got = hex.EncodeToString(e.got)
	if len(list) == 0 {
		got = fmt.Sprintf("%s, and nothing to compare it with", got)
	}
	return slices.ContainsFunc(list, func(b []byte) bool { return bytes.Equal(b, e.got) }), want, got
}

// listed names accepted values, a few of them in full.
func listed(list [][]byte, from string) string {
	const shown = 3
	if len(list) == 0 {
		return "a value from " + from + ", which gives none"
	}
	var s strings.Builder
	if len(list) == 1 {
		s.WriteString("the value from " + from + ": ")
	} else {
		fmt.Fprintf(&s, "one of %d values from %s: ", len(list), from)
	}
	for i, b := range list[:min(len(list), shown)] {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(hex.EncodeToString(b))
	}
	if len(list) > shown {
		s.WriteString(", ...")
	}
	return s.String()
}

// freshness: SNP-D1, all 64 bytes. Zero is no hash: an expectation that nobody
// has computed.
func (v *verification) freshness() {
	e := expectation{field: "report data", key: "report_data", got: v.report.ReportData[:], accept: v.policy.ReportData, word: snppolicy.Transcript, source: "the transcript"}
	if sum := v.in.Expected.ReportData; sum != nil && *sum != [64]byte{} {
		e.given = [][]byte{sum[:]}
	}
	ok, want, got := v.check(e)
	v.log.Record("SNP-D1", ok, want, got)
}

// measurement: SNP-M1.
func (v *verification) measurement() {
	e := expectation{field: "launch measurement", key: "measurements", got: v.report.Measurement[:], accept: v.policy.Measurements, word: snppolicy.Release, source: "the release"}
	for i := range v.in.Expected.Measurements {
		if m := v.in.Expected.Measurements[i]; m != [48]byte{} {
			e.given = append(e.given, m[:])
		}
	}
	ok, want, got := v.check(e)
	v.log.Record("SNP-M1", ok, want, got)
}

// hostData: SNP-M2, with the fields that an ID block sets.
func (v *verification) hostData() {
	const id = "SNP-M2"
	e := expectation{field: "host data", key: "host_data", got: v.report.HostData[:], accept: v.policy.HostData, word: snppolicy.Configuration, source: "the configuration"}
	if sum := v.in.Expected.HostData; sum != nil {
		e.given = [][]byte{sum[:]}
	}
	ok, want, got := v.check(e)
	v.log.Record(id, ok, "host data: "+want, got)
	if !v.hasIDBlock() {
		return // SNP-M3 says whether one must be there
	}
	for _, e := range []expectation{
		{field: "family ID", key: "family_ids", got: v.report.FamilyID[:], accept: v.policy.FamilyIDs},
		{field: "image ID", key: "image_ids", got: v.report.ImageID[:], accept: v.policy.ImageIDs},
	} {
		if ok, want, got := v.check(e); !ok {
			v.log.Fail(id, e.field+": "+want, got)
		}
	}
	switch {
	case v.policy.AnyGuestSVN:
		v.log.Waive("guest SVN", "snp.guest_svn = \"any\" in the policy")
	case v.report.GuestSVN < v.policy.GuestSVN:
		v.log.Fail(id, fmt.Sprintf("guest SVN of %d at least", v.policy.GuestSVN), fmt.Sprint(v.report.GuestSVN))
	}
}

// hasIDBlock reports whether the guest was launched with an ID block: the
// firmware then writes the digest of the key that signed it.
func (v *verification) hasIDBlock() bool { return v.report.IDKeyDigest != [48]byte{} }

// idBlock: SNP-M3. The firmware verified the block's signatures at launch; what
// is left to compare is whose they are.
func (v *verification) idBlock() {
	const id = "SNP-M3"
	r, p := v.report, v.policy
	if author := r.AuthorKeyDigest != [48]byte{}; author != r.Signer.AuthorKey() {
		v.log.Fail(id, "an author key's digest if and only if AUTHOR_KEY_EN", fmt.Sprintf("digest there: %t, AUTHOR_KEY_EN: %t", author, r.Signer.AuthorKey()))
		return
	}
	if !v.hasIDBlock() {
		v.withoutIDBlock()
		return
	}
	keys := hex.EncodeToString(r.IDKeyDigest[:])
	if p.IDBlock != snppolicy.Require && p.IDBlock != snppolicy.Any {
		v.log.Fail(id, "no ID block", "one signed by the key "+keys)
		return
	}
	ok, want, got := v.check(expectation{field: "ID key", key: "id_keys", got: r.IDKeyDigest[:], accept: p.IDKeys})
	v.log.Record(id, ok, "ID key: "+want, got)
	v.authorKey()
}

func (v *verification) authorKey() {
	r, p := v.report, v.policy
	if p.AuthorKeys.Word == snppolicy.None {
		v.log.Record("SNP-M3", !r.Signer.AuthorKey(), "no author key", hex.EncodeToString(r.AuthorKeyDigest[:]))
		return
	}
	if p.AuthorKeys.Word != snppolicy.Any && !r.Signer.AuthorKey() {
		v.log.Fail("SNP-M3", "an author key of the policy", "none")
		return
	}
	if ok, want, got := v.check(expectation{field: "author key", key: "author_keys", got: r.AuthorKeyDigest[:], accept: p.AuthorKeys}); !ok {
		v.log.Fail("SNP-M3", "author key: "+want, got)
	}
}

// withoutIDBlock: the fields that only a block sets must be zero.
func (v *verification) withoutIDBlock() {
	const id = "SNP-M3"
	r := v.report
	if r.Signer.AuthorKey() || r.FamilyID != [16]byte{} || r.ImageID != [16]byte{} || r.GuestSVN != 0 {
		v.log.Fail(id, "no author key, family ID, image ID and guest SVN without an ID block",
			fmt.Sprintf("family ID %x, image ID %x, guest SVN %d, author key %t", r.FamilyID, r.ImageID, r.GuestSVN, r.Signer.AuthorKey()))
		return
	}
	switch v.policy.IDBlock {
	case snppolicy.Any:
		v.log.Waive("ID block", "snp.id_block = \"any\" in the policy")
		v.log.Pass(id, "any: with or without an ID block", "none")
	case snppolicy.Forbid:
		v.log.Pass(id, "no ID block", "none")
	default:
		v.log.Fail(id, "an ID block that a key of the policy has signed", "none")
	}
}

// migration: SNP-M4. All ones say that no migration agent is bound.
func (v *verification) migration() {
	ok := !slices.ContainsFunc(v.report.ReportIDMA[:], func(b byte) bool { return b != 0xff })
	v.log.Record("SNP-M4", ok, "no migration agent: report ID of it is all ones", hex.EncodeToString(v.report.ReportIDMA[:]))
}
