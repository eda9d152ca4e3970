package guestapi

import (
	"fmt"

	"safebox/verifier/canon"
)

// StatusType is the value of Status.Type.
const StatusType = "safebox/job-status/v1"

// MaxStatus bounds an encoded status, in bytes.
const MaxStatus = MaxProblem + 1<<10

// The states of a job.
const (
	Running = "running"
	Done    = "done"   // the result is there; of a run that trapped too: the receipt says so
	Failed  = "failed" // refused or could not run: Problem says why
)

// Status is the state of a job.
type Status struct {
	Type    string         `json:"type"`
	Job     canon.Octets16 `json:"job"` // what JobPath wants
	State   string         `json:"state"`
	Problem *Problem       `json:"problem"` // of a failed job, else nil
}

// Encode gives the canonical bytes.
func (s *Status) Encode() ([]byte, error) {
	whole := *s
	if s.Problem != nil {
		whole.Problem = &Problem{ID: s.Problem.ID, Detail: tidy(s.Problem.Detail)}
	}
	if err := whole.check(); err != nil {
		return nil, fmt.Errorf("encoding job status: %w", err)
	}
	b, err := canon.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("encoding job status: %w", err)
	}
	return b, nil
}

// DecodeStatus parses a status strictly.
func DecodeStatus(b []byte) (*Status, error) {
	if len(b) > MaxStatus {
		return nil, fmt.Errorf("decoding job status: %d bytes, want at most %d", len(b), MaxStatus)
	}
	var s Status
	if err := canon.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("decoding job status: %w", err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("decoding job status: %w", err)
	}
	return &s, nil
}

func (s *Status) check() error {
	if s.Type != StatusType {
		return fmt.Errorf("type: got %.100q, want %q", s.Type, StatusType)
	}
	switch s.State {
	case Running, Done:
		if s.Problem != nil {
			return fmt.Errorf("problem: got %s, want null in state %q", s.Problem.ID, s.State)
		}
		return nil
	case Failed:
		if s.Problem == nil {
			return fmt.Errorf("problem: got null, want a problem in state %q", s.State)
		}
		if err := s.Problem.check(); err != nil {
			return fmt.Errorf("problem: %w", err)
		}
		return nil
	}
	return fmt.Errorf("state: got %.100q, want %q, %q or %q", s.State, Running, Done, Failed)
}
