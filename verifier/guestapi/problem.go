package guestapi

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"safebox/verifier/canon"
)

// Limits of a problem, in bytes.
const (
	MaxProblem = 8 << 10 // encoded: a detail of quotation marks doubles
	maxDetail  = 1 << 10
	maxID      = 64
)

// Problem is why the guest or the relay refuses: the body of every answer
// from 400 on, as {"error":{"detail":..,"id":..}}.
type Problem struct {
	ID     string `json:"id"`     // stable name such as "grant-time": lower-case letters, digits and "-"
	Detail string `json:"detail"` // for people: one line, at most 1 KiB
}

type problemBody struct {
	Error Problem `json:"error"`
}

// Error implements error.
func (p *Problem) Error() string { return p.ID + ": " + p.Detail }

// EncodeProblem gives the canonical bytes. A detail that is too long is cut;
// what would not print on one line, such as a terminal's control characters,
// becomes a space. An ID in another form is an error.
func EncodeProblem(p *Problem) ([]byte, error) {
	whole := problemBody{Problem{ID: p.ID, Detail: tidy(p.Detail)}}
	if err := whole.Error.check(); err != nil {
		return nil, fmt.Errorf("encoding problem: %w", err)
	}
	b, err := canon.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("encoding problem: %w", err)
	}
	return b, nil
}

// DecodeProblem parses a problem strictly.
func DecodeProblem(b []byte) (*Problem, error) {
	if len(b) > MaxProblem {
		return nil, fmt.Errorf("decoding problem: %d bytes, want at most %d", len(b), MaxProblem)
	}
	var body problemBody
	if err := canon.Unmarshal(b, &body); err != nil {
		return nil, fmt.Errorf("decoding problem: %w", err)
	}
	if err := body.Error.check(); err != nil {
		return nil, fmt.Errorf("decoding problem: %w", err)
	}
	return &body.Error, nil
}

// tidy makes a detail that check accepts.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if len(s) <= maxDetail {
		return s
	}
	end := maxDetail
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

func (p *Problem) check() error {
	if p.ID == "" || len(p.ID) > maxID {
		return fmt.Errorf("id: got %d bytes, want 1 to %d", len(p.ID), maxID)
	}
	for _, c := range []byte(p.ID) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("id: got %q, want lower-case letters, digits and \"-\"", p.ID)
		}
	}
	if len(p.Detail) > maxDetail {
		return fmt.Errorf("detail: got %d bytes, want at most %d", len(p.Detail), maxDetail)
	}
	if tidy(p.Detail) != p.Detail {
		return errors.New("detail: has characters that do not print")
	}
	return nil
}
