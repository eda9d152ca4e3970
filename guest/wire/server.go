package wire

import (
	"errors"
	"fmt"
	"io"

	"safebox/verifier/guestapi"
)

// Internal is the ID of a problem whose cause is no fault of the request.
const Internal = "internal"

// Handler answers one request. The body is its own to keep or to wipe. An
// error that is a *guestapi.Problem goes to the caller as it is; of any other
// the caller gets the text, under the ID Internal.
type Handler func(op uint8, body []byte) ([]byte, error)

// Serve answers the requests of one connection, one after the other, until the
// other end closes it, which is no error. It takes requests of at most limit
// bytes: one of the MaxRequest constants.
func Serve(rw io.ReadWriter, limit int, h Handler) error {
	for {
		op, body, err := readFrame(rw, limit)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading request: %w", err)
		}
		if err := answer(rw, h, op, body); err != nil {
			return fmt.Errorf("answering %#02x: %w", op, err)
		}
	}
}

func answer(w io.Writer, h Handler, op uint8, body []byte) error {
	out, err := h(op, body)
	if err == nil {
		return writeFrame(w, statusOK, out)
	}
	var problem *guestapi.Problem
	if !errors.As(err, &problem) {
		problem = &guestapi.Problem{ID: Internal, Detail: err.Error()}
	}
	encoded, err := guestapi.EncodeProblem(problem)
	if err != nil {
		return err
	}
	return writeFrame(w, statusError, encoded)
}
