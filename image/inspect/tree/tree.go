// Package tree is the form in which file formats are described: named facts
// with facts below them, and how a format is recognised and read.
package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Item is one named fact, with the facts below it.
type Item struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Items []Item `json:"items,omitempty"`
}

// Format is one recognised kind of file.
type Format struct {
	Kind  string                         // such as "UKI"
	Match func(b []byte) bool            // by content, whatever else may be wrong with it
	Items func(b []byte) ([]Item, error) // by the strict reader
}

// New makes a fact without others below it.
func New(name, format string, args ...any) Item {
	return Item{Name: name, Value: fmt.Sprintf(format, args...)}
}

// List makes a fact whose value is how many there are below it.
func List(name string, items []Item) Item {
	return Item{Name: name, Value: strconv.Itoa(len(items)), Items: items}
}

// Group makes a fact that only holds others together.
func Group(name string, items ...Item) Item { return Item{Name: name, Items: items} }

// Unverified is the first fact of everything that claims something: that
// nobody has checked it. by says who would.
func Unverified(by string) Item {
	return Item{Name: "verified", Value: "no: decoded only, not verified: " + by}
}

// Bytes makes a fact of bytes: their number and themselves in hex.
func Bytes(name string, b []byte) Item {
	if len(b) == 0 {
		return Item{Name: name, Value: "none"}
	}
	return New(name, "%d bytes, %x", len(b), b)
}

// Sum makes a fact of bytes that are too many to show: their number and digest.
func Sum(name string, b []byte) Item {
	if len(b) == 0 {
		return Item{Name: name, Value: "none"}
	}
	return New(name, "%d bytes, sha256 %s", len(b), SHA256(b))
}

// SHA256 is the digest in hex.
func SHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Text is a text of a file as it stands, or quoted if a terminal could not show
// all of it.
func Text(s string) string {
	for _, c := range s {
		if !strconv.IsPrint(c) {
			return strconv.Quote(s)
		}
	}
	if !utf8.ValidString(s) {
		return strconv.Quote(s)
	}
	return s
}

// Time is a time in UTC, to the second or, where there are any, its parts.
func Time(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Declares recognises a JSON document of this project by its member "type".
func Declares(b []byte, kind string) bool {
	return bytes.HasPrefix(b, []byte("{")) && bytes.Contains(b, []byte(`"type":"`+kind+`"`))
}

// Inner describes bytes inside a file by the reader of their own format. What
// does not read is said in the value: the rest of the file can be told all the
// same.
func Inner(name string, b []byte, read func([]byte) ([]Item, error)) Item {
	item := Sum(name, b)
	if len(b) == 0 {
		return item
	}
	items, err := read(b)
	if err != nil {
		item.Value += ": " + err.Error()
		return item
	}
	item.Items = items
	return item
}
