package eif

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const build = `"BuildMetadata":{"BuildTime":"t","BuildTool":"b","BuildToolVersion":"v","OperatingSystem":"o","KernelVersion":"k"}`

// TestMetadata: order and space don't matter, other members are named.
func TestMetadata(t *testing.T) {
	text := ` {"Z":[{"a":1},{"a":"a"}], "DockerInfo":{"Id":"x","Tags":[]}, ` + build + `,
		"ImageVersion":"2","imagename":"other","ImageName":"caf\u00e9"} `
	got, err := decodeMetadata([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &Metadata{
		ImageName: "café", ImageVersion: "2", Docker: []byte(`{"Id":"x","Tags":[]}`), Others: []string{"Z", "imagename"},
		Build: BuildMetadata{Time: "t", Tool: "b", ToolVersion: "v", OperatingSystem: "o", KernelVersion: "k"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefuseMetadata(t *testing.T) {
	const rest = `"ImageVersion":"2","DockerInfo":null,` + build + `}`
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "got no JSON, want an object"},
		"space":         {"  ", "got no JSON, want an object"},
		"array":         {"[]", `member "": got "[]", want an object`},
		"null":          {"null", `member "": got "null", want an object`},
		"cut":           {`{"ImageName":"a",`, "got the end, want the rest of an object"},
		"no JSON":       {"{ImageName}", "byte 1: invalid character 'I'"},
		"second value":  {`{"ImageName":"a",` + rest + "{}", `got "{}", want nothing behind the object`},
		"NUL behind":    {`{"ImageName":"a",` + rest + "\x00", `got "\x00", want nothing behind the object`},
		"twice":         {`{"ImageName":"a","ImageName":"b",` + rest, `name "ImageName": got it twice in one object, want it once`},
		"twice escaped": {`{"ImageName":"a","\u0049mageName":"b",` + rest, `name "ImageName": got it twice`},
		"twice inside":  {`{"ImageName":"a","CustomMetadata":[{"k":{},"k":1}],` + rest, `name "k": got it twice`},
		"Latin-1":       {"{\"ImageName\":\"\xe9\"," + rest, "got other bytes, want UTF-8"},
		"deep":          {strings.Repeat("[", 65), "got more than 64 objects in one another, want fewer"},
		"no name":       {`{` + rest, `member ImageName: got "", want a string`},
		"name a number": {`{"ImageName":1,` + rest, `member ImageName: got "1", want a string`},
		"name null":     {`{"ImageName":null,` + rest, `member ImageName: got "null", want a string`},
		"no Docker":     {`{"ImageName":"a","ImageVersion":"2",` + build + `}`, "member DockerInfo: missing"},
		"no build":      {`{"ImageName":"a","ImageVersion":"2","DockerInfo":{}}`, `member "BuildMetadata": got "", want an object`},
		"build a list":  {`{"ImageName":"a","ImageVersion":"2","DockerInfo":{},"BuildMetadata":[]}`, `member "BuildMetadata": got "[]", want an object`},
		"half a build":  {`{"ImageName":"a","ImageVersion":"2","DockerInfo":{},"BuildMetadata":{"BuildTime":""}}`, `member BuildTool: got "", want a string`},
	} {
		_, err := decodeMetadata([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, c.want)
		}
	}
}
