package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// documents compares JSON by value: release.json and the bill of materials.
func documents(a, b []byte) *Difference {
	valueA, errA := decodeJSON(a)
	valueB, errB := decodeJSON(b)
	if errA != nil || errB != nil {
		return firstByte(a, b).refused(errA, errB)
	}
	if d := jsonValues(valueA, valueB); d != nil {
		return d
	}
	d := firstByte(a, b)
	d.Note = "the values are equal, only how they are written differs"
	return d
}

// decodeJSON keeps numbers as they are written.
func decodeJSON(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func jsonValues(a, b any) *Difference {
	switch vb := b.(type) {
	case map[string]any:
		if va, ok := a.(map[string]any); ok {
			return jsonObjects(va, vb)
		}
	case []any:
		if va, ok := a.([]any); ok {
			return jsonLists(va, vb)
		}
	case string:
		if va, ok := a.(string); ok && va != vb {
			d := values(va, vb)
			d.What = ""
			return d
		}
	}
	if textA, textB := jsonText(a), jsonText(b); textA != textB {
		return fact("", textA, textB)
	}
	return nil
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// members orders the names of an object: what a release or a component is made
// from before what follows from it, all others sorted.
func members(a, b map[string]any) []string {
	causes := []string{"type", "kernel", "toolchain", "epoch", "lock_sha256", "inputs", "version", "command_lines"}
	place := func(name string) int {
		if i := slices.Index(causes, name); i >= 0 {
			return i
		}
		return len(causes)
	}
	names := slices.Concat(slices.Collect(maps.Keys(a)), slices.Collect(maps.Keys(b)))
	slices.Sort(names)
	names = slices.Compact(names)
	slices.SortStableFunc(names, func(x, y string) int { return place(x) - place(y) })
	return names
}

func jsonObjects(a, b map[string]any) *Difference {
	for _, name := range members(a, b) {
		va, inA := a[name]
		vb, inB := b[name]
		if !inA || !inB {
			if inA {
				return onOneSide(clip(jsonText(va)), true).in(name)
			}
			return onOneSide(clip(jsonText(vb)), false).in(name)
		}
		if d := jsonValues(va, vb); d != nil {
			return d.in(name)
		}
	}
	return nil
}

func jsonLists(a, b []any) *Difference {
	if namedA, namedB := elements(a), elements(b); namedA != nil && namedB != nil {
		return namedLists(namedA, namedB)
	}
	for i := range min(len(a), len(b)) {
		if d := jsonValues(a[i], b[i]); d != nil {
			return d.in(fmt.Sprintf("[%d]", i))
		}
	}
	if len(a) != len(b) {
		return &Difference{What: "length", A: fmt.Sprint(len(a)), B: fmt.Sprint(len(b))}
	}
	return nil
}
