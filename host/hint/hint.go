// Package hint carries advice for people beside an error: what to do about it,
// in one sentence. The command prints it as its own line (docs/cli.md).
package hint

// Error is an error with advice.
type Error struct {
	err  error
	hint string
}

// New adds advice to err, which must not be nil.
func New(err error, hint string) error { return &Error{err: err, hint: hint} }

// Error is the message, in one line.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap gives the error without the advice.
func (e *Error) Unwrap() error { return e.err }

// Hint is the advice.
func (e *Error) Hint() string { return e.hint }
