// Package differential compares the verifier with Google's libraries for the
// same evidence: go-sev-guest, go-tdx-guest, go-tpm-tools and go-eventlog, each
// with the strictest options that specs/verify.md, sections 1.2, 2.2 and 4,
// recommends, at a stated time and without a network.
//
// It has tests alone. They run genuine evidence of every vendor, systematic
// mutants of it, and evidence of test authorities, and compare who accepts and
// what each decoder reads. differences.txt lists every case in which the two
// differ, with what each says and why; a difference that is not listed fails,
// and so does one that is listed and is none. The libraries are oracles here:
// no program links them.
package differential
