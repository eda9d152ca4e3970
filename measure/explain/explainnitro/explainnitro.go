// Package explainnitro says why PCRs of an AWS Nitro enclave are not the expected
// ones. Its axes are what tools settle in different ways within the Nitro Enclaves
// image format.
package explainnitro

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"safebox/measure/eif"
	"safebox/measure/explain"
	"safebox/measure/explain/internal/registers"
	"safebox/measure/explain/internal/search"
	"safebox/measure/nitro"
)

// Enclave is an enclave whose PCRs were expected, and what else the caller has at
// hand. Input.Image is required: the search reads an image more than once.
type Enclave struct {
	Input nitro.Input

	// Inputs of other releases and hosts, to be tried in place of the expected ones.
	Images       []explain.Named[*eif.File]
	CommandLines []explain.Named[string]
	Certificates []explain.Named[*x509.Certificate]
	RoleARNs     []string
	InstanceIDs  []string
}

// maxHashed bounds what is hashed in a search: 2 s on one core of today.
const maxHashed = 1 << 30

// Explain searches for each register that is reported, predicted and differs.
// Reported values have the index of their PCR, nil for one that is not known. If
// nothing differs, the error is an explain.EqualError.
func (in Enclave) Explain(reported [nitro.Registers][]byte) ([]*explain.Result, error) {
	if in.Input.Image == nil {
		return nil, errors.New("explaining PCRs: image: got none, want the enclave image file")
	}
	expected, err := nitro.Predict(in.Input)
	if err != nil {
		return nil, fmt.Errorf("explaining PCRs: %w", err)
	}
	l := newLab(&in)
	return registers.Each("PCRs", reported[:], func(i int) (*explain.Result, error) {
		return l.explain(i, expected.PCRs[i], reported)
	})
}

// explain searches for one register.
func (l *lab) explain(index int, expected nitro.Register, all [nitro.Registers][]byte) (*explain.Result, error) {
	reported := all[index]
	if len(reported) != len(nitro.Digest{}) {
		return nil, fmt.Errorf("explaining PCR %d: got %d bytes, want %d", index, len(reported), len(nitro.Digest{}))
	}
	var want []byte
	if expected.Rule != nitro.Missing {
		want = expected.Value[:]
	}
	r, err := explain.New(fmt.Sprintf("pcr%d", index), want, reported)
	if err != nil {
		return nil, err
	}
	start := l.start
	switch index {
	case 3:
		start.text, start.none = l.in.Input.RoleARN, l.in.Input.NoRole
	case 4:
		start.text = l.in.Input.InstanceID
	}
	s := search.Space[state]{Start: start, Axes: l.axes(index, all), Most: probes}
	s.Probe = func(s state) (bool, []search.Change, int, error) { return l.probe(index, s, reported) }
	s.Search()
	s.Report(r, "this enclave")
	if l.hashed >= maxHashed {
		r.Note("the search ended after hashing %d MiB", l.hashed>>20)
	}
	l.notes(r, index, all)
	return r, nil
}

// notes says what one register tells about another.
func (l *lab) notes(r *explain.Result, index int, all [nitro.Registers][]byte) {
	if index == 1 {
		if text := nitro.DescribePCR1(nitro.Digest(all[1])); text != "" {
			r.Note("the reported PCR 1 is known: %s", text)
		}
	}
	if len(r.Findings) > 0 {
		return
	}
	switch index {
	case 1, 2:
		zero, err := l.value(0, l.start)
		if err == nil && bytes.Equal(zero, all[0]) {
			r.Note("PCR 0 is as expected, so kernel, command line and ramdisks are the same bytes in the same order: " +
				"the border between the first ramdisk and the others lies elsewhere")
		}
	case 3:
		r.Note("PCR 3 is the parent instance's IAM role: give the ARN to have it tried")
	case 4:
		r.Note("PCR 4 is the parent instance's ID: give it to have it tried")
	case 8:
		r.Note("PCR 8 is the certificate that the image is signed with: give it to have it tried")
	}
}

// pemOf is a certificate as text, which some hash in place of its DER.
func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
