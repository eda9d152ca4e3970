// Package registers holds what platforms share whose registers are extended by
// events: going through the registers asked for, values into which not all events
// went, and what a log shows.
package registers

import (
	"errors"

	"safebox/measure/explain"
)

// Each explains each register that is reported, which is not nil, and differs. If
// nothing differs, the error is an explain.EqualError for all, the name of the
// registers together.
func Each(all string, reported [][]byte, one func(index int) (*explain.Result, error)) ([]*explain.Result, error) {
	var list []*explain.Result
	for i, value := range reported {
		if value == nil {
			continue
		}
		r, err := one(i)
		var equal *explain.EqualError
		if errors.As(err, &equal) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	if list == nil {
		return nil, &explain.EqualError{Value: all}
	}
	return list, nil
}
