package explain

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"safebox/measure/eif"
	"safebox/measure/nitro"
)

// Nitro is an enclave whose PCRs were expected, and what else the caller has at
// hand. Input.Image is required: the search reads an image more than once.
type Nitro struct {
	Input nitro.Input

	// Inputs of other releases and hosts, to be tried in place of the expected ones.
	Images       []Named[*eif.File]
	CommandLines []Named[string]
	Certificates []Named[*x509.Certificate]
	RoleARNs     []string
	InstanceIDs  []string
}

// nitroBytes bounds what is hashed in a search: 2 s on one core of today.
const nitroBytes = 1 << 30

// Explain searches for each register that is reported, predicted and differs.
// Reported values have the index of their PCR, nil for one that is not known. If
// nothing differs, the error is an EqualError.
func (in Nitro) Explain(reported [nitro.Registers][]byte) ([]*Result, error) {
	if in.Input.Image == nil {
		return nil, errors.New("explaining PCRs: image: got none, want the enclave image file")
	}
	expected, err := nitro.Predict(in.Input)
	if err != nil {
		return nil, fmt.Errorf("explaining PCRs: %w", err)
	}
	lab := newNitroLab(&in)
	var list []*Result
	for i, register := range expected.PCRs {
		if reported[i] == nil {
			continue
		}
		r, err := lab.explain(i, register, reported)
		var equal *EqualError
		if errors.As(err, &equal) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	if list == nil {
		return nil, &EqualError{Value: "PCRs"}
	}
	return list, nil
}

// explain searches for one register.
func (l *nitroLab) explain(index int, expected nitro.Register, all [nitro.Registers][]byte) (*Result, error) {
	reported := all[index]
	if len(reported) != len(nitro.Digest{}) {
		return nil, fmt.Errorf("explaining PCR %d: got %d bytes, want %d", index, len(reported), len(nitro.Digest{}))
	}
	var want []byte
	if expected.Rule != nitro.Missing {
		want = expected.Value[:]
	}
	r, err := newResult(fmt.Sprintf("pcr%d", index), want, reported)
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
	s := search[nitroState]{start: start, axes: l.axes(index, all), most: nitroProbes}
	s.probe = func(s nitroState) (bool, []Change, int, error) { return l.probe(index, s, reported) }
	s.run()
	s.report(r, "this enclave")
	if l.hashed >= nitroBytes {
		r.note("the search ended after hashing %d MiB", l.hashed>>20)
	}
	l.notes(r, index, all)
	return r, nil
}

// notes says what one register tells about another.
func (l *nitroLab) notes(r *Result, index int, all [nitro.Registers][]byte) {
	if index == 1 {
		if text := nitro.DescribePCR1(nitro.Digest(all[1])); text != "" {
			r.note("the reported PCR 1 is known: %s", text)
		}
	}
	if len(r.Findings) > 0 {
		return
	}
	switch index {
	case 1, 2:
		zero, err := l.value(0, l.start)
		if err == nil && bytes.Equal(zero, all[0]) {
			r.note("PCR 0 is as expected, so kernel, command line and ramdisks are the same bytes in the same order: " +
				"the border between the first ramdisk and the others lies elsewhere")
		}
	case 3:
		r.note("PCR 3 is the parent instance's IAM role: give the ARN to have it tried")
	case 4:
		r.note("PCR 4 is the parent instance's ID: give it to have it tried")
	case 8:
		r.note("PCR 8 is the certificate that the image is signed with: give it to have it tried")
	}
}

// pemOf is a certificate as text, which some hash in place of its DER.
func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
