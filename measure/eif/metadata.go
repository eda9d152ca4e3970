package eif

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"
)

// maxMetadata bounds the metadata. AWS's tools copy the output of "docker image
// inspect" into it and at most 4096 bytes of the user's own.
const maxMetadata = 1 << 20

// Metadata says how the image was made (EIF specification,
// "EifSectionMetadata"). It is not measured: whoever has the file can write
// here what he likes, and the image attests as before.
type Metadata struct {
	ImageName    string
	ImageVersion string
	Build        BuildMetadata
	Docker       json.RawMessage // DockerInfo: any JSON, often null
	Custom       json.RawMessage // CustomMetadata: any JSON, nil if it is not there
	Others       []string        // names of further members, sorted
}

// BuildMetadata is the environment of the build.
type BuildMetadata struct {
	Time            string // RFC 3339 when AWS's tools write it
	Tool            string
	ToolVersion     string
	OperatingSystem string
	KernelVersion   string
}

// decodeMetadata reads the members that the published schema demands. Its
// schema leaves room for others.
func decodeMetadata(b []byte) (*Metadata, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("got other bytes, want UTF-8")
	}
	if err := checkJSON(b); err != nil {
		return nil, err
	}
	top, err := members("", b)
	if err != nil {
		return nil, err
	}
	build, err := members("BuildMetadata", top["BuildMetadata"])
	if err != nil {
		return nil, err
	}
	m := &Metadata{Docker: top["DockerInfo"], Custom: top["CustomMetadata"]}
	if m.Docker == nil {
		return nil, errors.New("member DockerInfo: missing")
	}
	for _, f := range []struct {
		from map[string]json.RawMessage
		name string
		into *string
	}{
		{top, "ImageName", &m.ImageName},
		{top, "ImageVersion", &m.ImageVersion},
		{build, "BuildTime", &m.Build.Time},
		{build, "BuildTool", &m.Build.Tool},
		{build, "BuildToolVersion", &m.Build.ToolVersion},
		{build, "OperatingSystem", &m.Build.OperatingSystem},
		{build, "KernelVersion", &m.Build.KernelVersion},
	} {
		raw := f.from[f.name]
		if !bytes.HasPrefix(raw, []byte(`"`)) {
			return nil, fmt.Errorf("member %s: got %.40q, want a string", f.name, raw)
		}
		if err := json.Unmarshal(raw, f.into); err != nil {
			return nil, fmt.Errorf("member %s: %w", f.name, err)
		}
	}
	known := []string{"ImageName", "ImageVersion", "BuildMetadata", "DockerInfo", "CustomMetadata"}
	m.Others = slices.DeleteFunc(slices.Sorted(maps.Keys(top)), func(s string) bool { return slices.Contains(known, s) })
	return m, nil
}

// members splits an object by its names, as they are spelled: encoding/json
// would take "imagename" for ImageName.
func members(name string, raw []byte) (map[string]json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		return nil, fmt.Errorf("member %q: got %.40q, want an object", name, raw)
	}
	return object, nil
}

// maxDepth bounds the nesting of metadata.
const maxDepth = 64

// checkJSON checks that b is one value with no name twice in one object, so
// that every reader sees the same one.
func checkJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	var open []object // objects and arrays around the token
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && len(open) == 0:
			return errors.New("got no JSON, want an object")
		case errors.Is(err, io.EOF):
			return fmt.Errorf("byte %d: got the end, want the rest of an object", d.InputOffset())
		case err != nil:
			return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
		if open, err = follow(open, token); err != nil {
			return fmt.Errorf("byte %d: %w", d.InputOffset(), err)
		}
		if len(open) == 0 {
			break
		}
	}
	if rest := bytes.TrimSpace(b[d.InputOffset():]); len(rest) != 0 {
		return fmt.Errorf("byte %d: got %.20q, want nothing behind the object", d.InputOffset(), rest)
	}
	return nil
}

// object is an object, or an array if names is nil.
type object struct {
	names map[string]bool
	value bool // what follows is a value, not a name
}

// follow takes the next token.
func follow(open []object, token json.Token) ([]object, error) {
	if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
		return open[:len(open)-1], nil
	}
	if len(open) > 0 {
		top := &open[len(open)-1]
		if name, ok := token.(string); ok && top.names != nil && !top.value {
			if top.names[name] {
				return nil, fmt.Errorf("name %q: got it twice in one object, want it once", name)
			}
			top.names[name], top.value = true, true
			return open, nil
		}
		top.value = false
	}
	switch token {
	case json.Delim('{'):
		open = append(open, object{names: map[string]bool{}})
	case json.Delim('['):
		open = append(open, object{})
	}
	if len(open) > maxDepth {
		return nil, fmt.Errorf("got more than %d objects in one another, want fewer", maxDepth)
	}
	return open, nil
}
