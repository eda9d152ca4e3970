package record

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"safebox/verifier/canon"
)

// maxDepth bounds the nesting of what is explained, as package canon does.
const maxDepth = 32

// explainEnvelope finds the kind of the error with which an envelope was
// refused. It is no second way to accept one.
func explainEnvelope(b []byte, err error) *FormError {
	tree, explained := explain("envelope", b)
	if explained != nil {
		return explained
	}
	envelope, _ := tree.(map[string]any) // of another type it has no members
	for _, s := range base64Of(envelope) {
		if sloppy(s) {
			return formError(Canonical, "envelope: base64 not in its one form: %w", err)
		}
	}
	return formError(Fields, "envelope: %w", err)
}

// explainStatement does it for a statement.
func explainStatement(b []byte, err error) *FormError {
	tree, explained := explain("statement", b)
	if explained != nil {
		return explained
	}
	s, ok := tree.(map[string]any)
	if !ok {
		return formError(Fields, "statement: got no object")
	}
	known := []string{TypeRelease, TypeRebuild, TypeRevoke}
	predicateType, ok := s["predicateType"].(string)
	if !ok {
		return formError(Fields, "statement: predicateType: got none, want one of %q", known)
	}
	if !slices.Contains(known, predicateType) {
		return formError(Predicate, "statement: got %.100q, want one of %q", predicateType, known)
	}
	return formError(Fields, "statement: %w", err)
}

// explain reads any JSON and says whether it is JSON in the sense of RFC 7493
// (I-JSON: UTF-8, no name twice) and whether it is canonical.
func explain(what string, b []byte) (any, *FormError) {
	if err := checkSyntax(b); err != nil {
		return nil, formError(Syntax, "%s: %w", what, err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, formError(Syntax, "%s: %w", what, err)
	}
	again, err := canon.Marshal(tree)
	if err != nil {
		return nil, formError(Canonical, "%s: %w", what, err)
	}
	if !bytes.Equal(again, b) {
		return nil, formError(Canonical, "%s: bytes are not those of canonical JSON", what)
	}
	return tree, nil
}

// checkSyntax wants one JSON value with nothing behind it, in UTF-8, and no
// name twice in an object, however it is escaped.
func checkSyntax(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("trailing data after byte %d", d.InputOffset())
	}
	return nil
}

// checkValue reads one value of any kind.
func checkValue(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("byte %d: nested deeper than %d", d.InputOffset(), maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	object := token == json.Delim('{')
	if !object && token != json.Delim('[') {
		return nil // Token gives no closing one here: it checks the grammar
	}
	names := map[string]bool{}
	for d.More() {
		if object {
			if err := checkName(d, names); err != nil {
				return err
			}
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	return nil
}

// checkName reads the name of a member.
func checkName(d *json.Decoder, names map[string]bool) error {
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	name, ok := token.(string)
	if !ok {
		return fmt.Errorf("byte %d: got %v, want a name", d.InputOffset(), token)
	}
	if names[name] {
		return fmt.Errorf("byte %d: name %.100q twice", d.InputOffset(), name)
	}
	names[name] = true
	return nil
}

// base64Of lists what an envelope has in base64, as far as it is there.
func base64Of(envelope map[string]any) []string {
	payload, _ := envelope["payload"].(string)
	list := []string{payload}
	signatures, _ := envelope["signatures"].([]any)
	for _, e := range signatures {
		s, _ := e.(map[string]any)
		sig, _ := s["sig"].(string)
		list = append(list, sig)
	}
	return list
}

// sloppy reports base64 that some reader of DSSE takes (standard or URL-safe
// alphabet, with or without padding, line breaks, bits behind the last byte),
// but that is not the standard form.
func sloppy(s string) bool {
	plain := strings.NewReplacer("-", "+", "_", "/", "\r", "", "\n", "", "=", "").Replace(s)
	b, err := base64.RawStdEncoding.DecodeString(plain)
	return err == nil && base64.StdEncoding.EncodeToString(b) != s
}
