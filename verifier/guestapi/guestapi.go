// Package guestapi is what the guest, the relay and the client agree on over
// HTTP: paths, the answer that refuses, and the two binary containers of a
// job (docs/format-job.md).
//
// Nothing here is trusted for having arrived: a job's grant, manifest, leaf
// table, parameters and module are each checked against digests that an
// owner signed, and a result's outputs are sealed to their recipients.
package guestapi

import (
	"fmt"

	"safebox/verifier/canon"
)

// Port is the TCP port on which the guest serves its API.
const Port = 8080

// Paths of the guest's API. The relay serves the same.
const (
	HealthPath        = "/v1/health"
	ReportPath        = "/v1/boot-report"
	IdentityPath      = "/v1/identity"
	ConfigurationPath = "/v1/configuration"
	EvidencePath      = "/v1/evidence"
	JobsPath          = "/v1/jobs"
	ShardChannelPath  = "/v1/shard-channel"
	ShardPath         = "/v1/sh/" // followed by a shard's root in lower-case hex
)

// ShardProtocol is the Upgrade token of the connection over which the guest
// asks the host for shards.
const ShardProtocol = "safebox-shards/1"

// JobPath is where the status of a job is.
func JobPath(id string) string { return JobsPath + "/" + id }

// ResultPath is where the result of a job is.
func ResultPath(id string) string { return JobsPath + "/" + id + "/result" }

// ParseJobID reads a job's identifier: 32 digits of lower-case hex.
func ParseJobID(s string) (canon.Octets16, error) {
	var id canon.Octets16
	if err := id.UnmarshalText([]byte(s)); err != nil {
		return canon.Octets16{}, fmt.Errorf("parsing job identifier: %w", err)
	}
	return id, nil
}
