package endorse

import "errors"

// Decode reads a collateral bundle.
func Decode([]byte) (*Set, error) { return nil, errors.New("decoding collateral bundle: not yet written") }

// Encode writes a collateral bundle.
func (s *Set) Encode() ([]byte, error) {
	return nil, errors.New("encoding collateral bundle: not yet written")
}
