package eif

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Metadata says how the image was made (EIF specification,
// "EifSectionMetadata"). It is not measured, but it is in the file's hash: of
// equal inputs it has to be equal.
type Metadata struct {
	ImageName        string
	ImageVersion     string
	Epoch            int64 // SOURCE_DATE_EPOCH, seconds since 1970; becomes BuildTime
	BuildTool        string
	BuildToolVersion string
	OperatingSystem  string
	KernelVersion    string
}

// ReleaseMetadata is that of our images. It names no version of the tool: an
// image does not change because its builder did.
func ReleaseMetadata(epoch int64, kernelRelease string) Metadata {
	return Metadata{
		ImageName: "safebox", ImageVersion: "1", Epoch: epoch,
		BuildTool: "safebox", BuildToolVersion: "1",
		OperatingSystem: "Linux", KernelVersion: kernelRelease,
	}
}

// maxEpoch is the last second of the year 9999, the last that RFC 3339 can say.
const maxEpoch = 253402300799

// timeLayout is RFC 3339 as AWS's tools write it: an offset for UTC, no "Z".
const timeLayout = "2006-01-02T15:04:05-07:00"

// encode gives the JSON in the form in which AWS's tools write it: one line, its
// names in the order of EifIdentityInfo in AWS's src/defs/mod.rs, null for what
// is not there.
func (m Metadata) encode() ([]byte, error) {
	type build struct {
		BuildTime, BuildTool, BuildToolVersion, OperatingSystem, KernelVersion string
	}
	if m.Epoch < 0 || m.Epoch > maxEpoch {
		return nil, fmt.Errorf("epoch: got %d, want 0 to %d seconds", m.Epoch, int64(maxEpoch))
	}
	for _, f := range []struct{ name, value string }{
		{"ImageName", m.ImageName},
		{"ImageVersion", m.ImageVersion},
		{"BuildTool", m.BuildTool},
		{"BuildToolVersion", m.BuildToolVersion},
		{"OperatingSystem", m.OperatingSystem},
		{"KernelVersion", m.KernelVersion},
	} {
		if err := checkText([]byte(f.value)); err != nil {
			return nil, fmt.Errorf("member %s: %w", f.name, err)
		}
		if f.value == "" {
			return nil, fmt.Errorf("member %s: got no text, want some", f.name)
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // AWS's serializer does not
	err := e.Encode(struct {
		ImageName, ImageVersion    string
		BuildMetadata              build
		DockerInfo, CustomMetadata *struct{}
	}{
		ImageName: m.ImageName, ImageVersion: m.ImageVersion,
		BuildMetadata: build{
			BuildTime: time.Unix(m.Epoch, 0).UTC().Format(timeLayout),
			BuildTool: m.BuildTool, BuildToolVersion: m.BuildToolVersion,
			OperatingSystem: m.OperatingSystem, KernelVersion: m.KernelVersion,
		},
	})
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// checkText refuses all but printable ASCII: what else there is, encoders write
// in more than one way, and kernels and people read in more than one.
func checkText(b []byte) error {
	for i, c := range b {
		if c < ' ' || c > '~' {
			return fmt.Errorf("byte %d: got %#02x, want printable ASCII", i, c)
		}
	}
	return nil
}
