package record

import "fmt"

// Kind says which rule of the form an entry breaks. Each is a check ID of its
// own in a verdict.
type Kind int

// The kinds, in the order in which Decode asks.
const (
	Syntax    Kind = iota + 1 // no JSON, a name twice, or too large
	Canonical                 // JSON, but not in its one form
	Predicate                 // a predicate type that is not known
	Fields                    // a member missing, unknown or out of bounds
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Syntax:
		return "syntax"
	case Canonical:
		return "canonical form"
	case Predicate:
		return "predicate type"
	case Fields:
		return "fields"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// FormError says that bytes are no record.
type FormError struct {
	Kind Kind
	Err  error // where, got and want
}

// Error implements error.
func (e *FormError) Error() string { return "record: " + e.Kind.String() + ": " + e.Err.Error() }

// Unwrap gives Err.
func (e *FormError) Unwrap() error { return e.Err }

func formError(k Kind, format string, args ...any) *FormError {
	return &FormError{Kind: k, Err: fmt.Errorf(format, args...)}
}
