package gce

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Instance says which machine of Compute Engine something is about.
type Instance struct {
	Project       string
	ProjectNumber int64
	Zone          string
	Name          string
	ID            int64

	// Production is Google's mark of a machine that is no test of its own. Only
	// a certificate has it.
	Production bool
}

// decodeInstance reads an attest.GCEInstanceInfo: 1 zone, 2 project_id, 3
// project_number, 4 instance_name, 5 instance_id.
func decodeInstance(b []byte) (*Instance, error) {
	i := &Instance{}
	err := fields(b, func(f field) error {
		text, number := (*string)(nil), (*int64)(nil)
		switch f.number {
		case 1:
			text = &i.Zone
		case 2:
			text = &i.Project
		case 3:
			number = &i.ProjectNumber
		case 4:
			text = &i.Name
		case 5:
			number = &i.ID
		}
		switch {
		case text != nil && f.wire == wireBytes && len(f.bytes) <= maxName && utf8.Valid(f.bytes):
			*text = string(f.bytes)
		case number != nil && f.wire == wireVarint && f.value <= math.MaxInt64:
			*number = int64(f.value)
		default:
			return fmt.Errorf("instance: field %d of wire type %d: unknown or out of range", f.number, f.wire)
		}
		return nil
	})
	return i, err
}

// instanceInfo is the number of Google's extension with the machine that a key
// is for (go-tpm-tools, server/verify.go: cloudComputeInstanceIdentifierOID).
func instanceInfo() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 21}
}

// information is the extension's value (go-tpm-tools, server/verify.go:
// gceInstanceInfo).
type information struct {
	Zone          string `asn1:"utf8"`
	ProjectNumber int64
	ProjectID     string `asn1:"utf8"`
	InstanceID    int64
	InstanceName  string        `asn1:"utf8"`
	Properties    asn1.RawValue `asn1:"optional"` // [0] EXPLICIT properties
}

// properties is what Google's certificates have there. Only the first two are
// named in public; the others are read so that nothing unknown is passed over.
type properties struct {
	SecurityVersion int64 `asn1:"explicit,tag:0"`
	IsProduction    bool  `asn1:"explicit,tag:1"`
	Unnamed2        bool  `asn1:"explicit,tag:2"`
	Unnamed3        bool  `asn1:"explicit,tag:3"`
	Unnamed4        bool  `asn1:"explicit,tag:4"`
	Unnamed5        bool  `asn1:"explicit,tag:5"`
}

// CertificateInstance reads which machine a certificate is for. It is nil if
// the certificate does not say.
func CertificateInstance(c *x509.Certificate) (*Instance, error) {
	var found *Instance
	for _, e := range c.Extensions {
		if !e.Id.Equal(instanceInfo()) {
			continue
		}
		if found != nil {
			return nil, errors.New("instance information comes twice")
		}
		i, err := parseInformation(e.Value)
		if err != nil {
			return nil, fmt.Errorf("instance information: %w", err)
		}
		found = i
	}
	return found, nil
}

func parseInformation(b []byte) (*Instance, error) {
	var info information
	if err := whole(b, &info); err != nil {
		return nil, err
	}
	i := &Instance{
		Project: info.ProjectID, ProjectNumber: info.ProjectNumber, Zone: info.Zone, Name: info.InstanceName, ID: info.InstanceID,
	}
	if info.ProjectNumber < 0 || info.InstanceID < 0 {
		return nil, fmt.Errorf("project %d, instance %d: want no negative numbers", info.ProjectNumber, info.InstanceID)
	}
	raw := info.Properties
	if len(raw.FullBytes) == 0 {
		return i, nil
	}
	if raw.Class != asn1.ClassContextSpecific || raw.Tag != 0 || !raw.IsCompound {
		return nil, fmt.Errorf("security properties: got class %d, tag %d, want [0]", raw.Class, raw.Tag)
	}
	var p properties
	if err := whole(raw.Bytes, &p); err != nil {
		return nil, fmt.Errorf("security properties: %w", err)
	}
	i.Production = p.IsProduction
	return i, nil
}

// whole parses DER and refuses what encoding/asn1 would pass over: bytes and
// elements that follow, and other encodings of the same value.
func whole[T any](b []byte, v *T) error {
	rest, err := asn1.Unmarshal(b, v)
	if err != nil {
		return err
	}
	again, err := asn1.Marshal(*v)
	if err != nil {
		return err
	}
	if len(rest) != 0 || !bytes.Equal(again, b) {
		return errors.New("got more than is known of it, or not in DER")
	}
	return nil
}
