// Package release is the format of release.json: what an appliance release is
// made of and what each platform will report when it boots
// (docs/format-release.md). The digest of the canonical file is the identity
// of the release (specs/protocol.md, section 8).
package release

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"

	"safebox/measure/tpm/golden"
	"safebox/verifier/canon"
)

// Type is the value of Release.Type.
const Type = "safebox/release/v1"

// FileName is the name of the file in a release folder.
const FileName = "release.json"

// Limits of a release file.
const (
	MaxSize    = 1 << 20 // bytes
	maxEntries = 1024    // of any list
	maxText    = 4096    // bytes of any string
)

// Release is release.json.
type Release struct {
	Type         string        `json:"type"`
	Toolchain    Toolchain     `json:"toolchain"`
	Epoch        int64         `json:"epoch"`       // SOURCE_DATE_EPOCH, seconds
	LockSHA256   string        `json:"lock_sha256"` // of the lock file's bytes
	Kernel       string        `json:"kernel"`      // "distro" or "source"
	Inputs       []Input       `json:"inputs"`
	Artifacts    []Artifact    `json:"artifacts"` // sorted by name
	CommandLines []CommandLine `json:"command_lines"`
	Measurements []Measurement `json:"measurements"`
	Launches     []Launch      `json:"launches,omitempty"` // sorted by platform
}

// Toolchain is the Go toolchain that compiled the init.
type Toolchain struct {
	Go     string `json:"go"`     // "1.26.8"
	Module string `json:"module"` // module path and version
	Sum    string `json:"sum"`    // its hash in the checksum database
}

// Input is a pinned package.
type Input struct {
	Package      string `json:"package"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	SHA256       string `json:"sha256"`
}

// Artifact is a file of the release.
type Artifact struct {
	Name   string `json:"name"` // path below the release folder, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	SHA384 string `json:"sha384"`
}

// CommandLine is one kernel command line that the init accepts.
type CommandLine struct {
	Platform string `json:"platform"`
	Form     string `json:"form"`
	Text     string `json:"text"`
}

// Measurement is what one way of booting on one platform reports.
type Measurement struct {
	Platform  string     `json:"platform"` // "vtpm"
	Boot      string     `json:"boot"`     // "esp", "kernel"
	Bank      string     `json:"bank"`     // "sha256", "sha384"
	Registers []Register `json:"registers"`
}

// Register is the expectation for one register.
type Register struct {
	Name  string `json:"name"`  // "pcr4"
	Rule  string `json:"rule"`  // one of the Rule constants
	Value string `json:"value"` // lower-case hex; empty under RuleAny

	// Events are the digests that extend the register, in order, in hex: they
	// lead from zero to the value. Absent if they are not all known.
	Events []string `json:"events,omitempty"`
}

// The rules (specs/protocol.md, section 4).
const (
	RuleExact         = "exact"         // must equal the value
	RuleZero          = "zero"          // must be zero, which the value says
	RuleFixedDisk     = "fixed-disk"    // must equal the value on a disk that nobody resizes
	RuleConfiguration = "configuration" // the value until the guest measures its configuration
	RuleAny           = "any"           // the host decides: not compared
)

// Encode gives the canonical bytes.
func (r *Release) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("encoding release: %w", err)
	}
	for _, m := range r.Measurements {
		for _, reg := range m.Registers {
			if err := reg.CheckEvents(); err != nil {
				return nil, fmt.Errorf("encoding release: measurement %s %s %s: %w", m.Platform, m.Boot, m.Bank, err)
			}
		}
	}
	return canon.Marshal(r)
}

// Decode parses a release strictly.
func Decode(b []byte) (*Release, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("decoding release: %d bytes, want at most %d", len(b), MaxSize)
	}
	var r Release
	if err := canon.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("decoding release: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("decoding release: %w", err)
	}
	return &r, nil
}

// Digest is the identity of a release: SHA-256 of its canonical bytes.
func Digest(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// Artifact finds a file by its name.
func (r *Release) Artifact(name string) (Artifact, bool) {
	for _, a := range r.Artifacts {
		if a.Name == name {
			return a, true
		}
	}
	return Artifact{}, false
}

// Measurement finds what one boot reports in one bank.
func (r *Release) Measurement(platform, boot, bank string) (Measurement, bool) {
	for _, m := range r.Measurements {
		if m.Platform == platform && m.Boot == boot && m.Bank == bank {
			return m, true
		}
	}
	return Measurement{}, false
}

// Check compares a file's content with its entry: size, then both digests.
func (a Artifact) Check(content []byte) error {
	if int64(len(content)) != a.Size {
		return fmt.Errorf("size: got %d bytes, want %d", len(content), a.Size)
	}
	sha256sum, sha384sum := sha256.Sum256(content), sha512.Sum384(content)
	if got := hex.EncodeToString(sha256sum[:]); got != a.SHA256 {
		return fmt.Errorf("SHA-256: got %s, want %s", got, a.SHA256)
	}
	if got := hex.EncodeToString(sha384sum[:]); got != a.SHA384 {
		return fmt.Errorf("SHA-384: got %s, want %s", got, a.SHA384)
	}
	return nil
}

func (r *Release) check() error {
	if r.Type != Type {
		return fmt.Errorf("type %q, want %q", r.Type, Type)
	}
	if r.Kernel != "distro" && r.Kernel != "source" {
		return fmt.Errorf("kernel %q, want distro or source", r.Kernel)
	}
	if r.Epoch < 0 {
		return fmt.Errorf("epoch %d, want a time after 1970", r.Epoch)
	}
	if err := checkHex("lock_sha256", r.LockSHA256, 32); err != nil {
		return err
	}
	for _, n := range []int{len(r.Inputs), len(r.Artifacts), len(r.CommandLines), len(r.Measurements)} {
		if n == 0 || n > maxEntries {
			return fmt.Errorf("list of %d entries, want 1 to %d", n, maxEntries)
		}
	}
	for _, in := range r.Inputs {
		if err := checkHex("input "+in.Package, in.SHA256, 32); err != nil {
			return err
		}
	}
	if err := r.checkArtifacts(); err != nil {
		return err
	}
	for _, c := range r.CommandLines {
		if c.Platform != PlatformVTPM || c.Form == "" || c.Text == "" || len(c.Text) > maxText {
			return fmt.Errorf("command line %q of platform %q: form %q, %d bytes, want platform vtpm, a form, 1 to %d bytes",
				c.Text[:min(len(c.Text), 40)], c.Platform, c.Form, len(c.Text), maxText)
		}
	}
	if err := r.checkMeasurements(); err != nil {
		return err
	}
	return r.checkLaunches()
}

func (r *Release) checkArtifacts() error {
	for i, a := range r.Artifacts {
		if !validName(a.Name) {
			return fmt.Errorf("artifact name %q: want a clean relative path", a.Name)
		}
		if a.Name == FileName {
			return fmt.Errorf("artifact %s: it can't describe itself", a.Name)
		}
		if i > 0 && r.Artifacts[i-1].Name >= a.Name {
			return fmt.Errorf("artifact %s after %s: want each name once, sorted", a.Name, r.Artifacts[i-1].Name)
		}
		if a.Size < 0 {
			return fmt.Errorf("artifact %s: size %d", a.Name, a.Size)
		}
		if err := checkHex("artifact "+a.Name, a.SHA256, 32); err != nil {
			return err
		}
		if err := checkHex("artifact "+a.Name, a.SHA384, 48); err != nil {
			return err
		}
	}
	return nil
}

// validName accepts slash-separated parts of letters, digits and "._-+" that
// do not start with a point, so that a name can never leave its folder.
func validName(name string) bool {
	if len(name) > 255 {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' {
			return false
		}
		for _, c := range []byte(part) {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+", rune(c)) {
				return false
			}
		}
	}
	return true
}

func (reg Register) check(size int) error {
	switch reg.Rule {
	case RuleExact, RuleFixedDisk, RuleConfiguration:
	case RuleZero:
		if strings.Trim(reg.Value, "0") != "" {
			return fmt.Errorf("register %s: rule zero with value %s", reg.Name, reg.Value)
		}
	case RuleAny, RuleShape:
		if reg.Value != "" || len(reg.Events) > 0 {
			return fmt.Errorf("register %s: rule %s with value %q and %d events", reg.Name, reg.Rule, reg.Value, len(reg.Events))
		}
		return nil
	default:
		return fmt.Errorf("register %s: unknown rule %q", reg.Name, reg.Rule)
	}
	if err := checkHex("register "+reg.Name, reg.Value, size); err != nil {
		return err
	}
	return reg.checkEvents(size)
}

// checkEvents looks at the form alone. That the events lead to the value is
// asked of who writes a release, and of who shows them (CheckEvents): a verdict
// rests on the value.
func (reg Register) checkEvents(size int) error {
	if len(reg.Events) > maxEntries {
		return fmt.Errorf("register %s: %d events, want at most %d", reg.Name, len(reg.Events), maxEntries)
	}
	for i, e := range reg.Events {
		if len(e) != 2*size || strings.Trim(e, "0123456789abcdef") != "" {
			return checkHex(fmt.Sprintf("register %s: event %d", reg.Name, i), e, size)
		}
	}
	return nil
}

// CheckEvents replays the events, if there are any: they must lead from zero to
// the value.
func (reg Register) CheckEvents() error {
	if len(reg.Events) == 0 {
		return nil
	}
	bank := golden.SHA256
	if len(reg.Value) == 2*sha512.Size384 {
		bank = golden.SHA384
	}
	value := bank.Zero()
	for i, e := range reg.Events {
		digest, err := hex.DecodeString(e)
		if err != nil {
			return fmt.Errorf("register %s: event %d: %w", reg.Name, i, err)
		}
		value = bank.Extend(value, digest)
	}
	if got := value.String(); got != reg.Value {
		return fmt.Errorf("register %s: events lead to %s, want the value %s", reg.Name, got, reg.Value)
	}
	return nil
}

func checkHex(what, s string, size int) error {
	if len(s) != 2*size || strings.Trim(s, "0123456789abcdef") != "" {
		return fmt.Errorf("%s: %.200q, want %d bytes of lower-case hex", what, s, size)
	}
	return nil
}
