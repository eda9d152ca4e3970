package object

import (
	"bytes"
	"strings"
	"testing"
)

func TestManifestRefuses(t *testing.T) {
	good := vectors(t)["manifest"]
	replace := func(old, with string) string {
		t.Helper()
		if strings.Count(good, old) != 1 {
			t.Fatalf("%q is in the manifest %d times", old, strings.Count(good, old))
		}
		return strings.Replace(good, old, with, 1)
	}
	cid := vectors(t)["cid"]
	for name, tt := range map[string]struct{ manifest, want string }{
		"empty":            {"", "EOF"},
		"trailing newline": {good + "\n", "one form"},
		"trailing value":   {good + "{}", "one form"},
		"leading space":    {" " + good, "one form"},
		"space":            {replace(`"k":4`, `"k": 4`), "one form"},
		"order":            {replace(`"k":4,"m":2`, `"m":2,"k":4`), "one form"},
		"duplicate":        {replace(`"k":4`, `"k":4,"k":4`), "one form"},
		"case":             {replace(`"suite"`, `"Suite"`), "one form"},
		"unknown":          {replace(`"k":4`, `"k":4,"x":1`), "unknown field"},
		"missing prev":     {replace(`,"prev":null`, ``), "one form"},
		"exponent":         {replace(`1700000000`, `17e8`), "time"},
		"float":            {replace(`"suite":1`, `"suite":1.0`), "suite"},
		"minus zero":       {replace(`"time":1700000000`, `"time":-0`), "one form"},
		"escape":           {replace(`"none"`, `"n\u006fne"`), "one form"},
		"type":             {replace(`manifest/v1`, `manifest/v2`), "type: got"},
		"suite":            {replace(`"suite":1`, `"suite":2`), "suite: got 2, want 1"},
		"padme":            {replace(`"none"`, `"padme"`), `pad: got "padme"`},
		"chunk":            {replace(`"chunk":1048560`, `"chunk":1048576`), "chunk: got"},
		"chunks":           {replace(`"chunks":2`, `"chunks":3`), "chunks: got 3, want 2"},
		"size":             {replace(`"size":1048660`, `"size":1048560`), "chunks: got 2, want 1"},
		"negative size":    {replace(`"size":1048660`, `"size":-1`), "size: got -1"},
		"huge size":        {replace(`"size":1048660`, `"size":9223372036854775807`), "size: got"},
		"k":                {replace(`"k":4`, `"k":5`), "k and m: got 5 and 2"},
		"m":                {replace(`"m":2`, `"m":0`), "k and m: got 4 and 0"},
		"depth":            {replace(`"depth":32`, `"depth":31`), "depth: got 31"},
		"time":             {replace(`1700000000`, `-1`), "time: got -1"},
		"late time":        {replace(`1700000000`, `253402300800`), "time: got"},
		"short oid":        {replace(`"oid":"ICEi`, `"oid":"`), "32 bytes of base64"},
		"oid bits":         {replace(`Pj8="`, `Pj9="`), "32 bytes of base64"},
		"prev":             {replace(`"prev":null`, `"prev":"b123"`), "prev: parsing object identifier"},
		"too long":         {good + strings.Repeat(" ", MaxManifest), "at most 16384"},
		"null":             {"null", "type: got"},
	} {
		_, err := DecodeManifest([]byte(tt.manifest))
		if err == nil || !strings.HasPrefix(err.Error(), "decoding manifest: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v, want one about %q", name, err, tt.want)
		}
	}
	if _, err := DecodeManifest([]byte(replace(`"prev":null`, `"prev":"`+cid+`"`))); err != nil {
		t.Errorf("with a version before: %v", err)
	}
}

func TestManifestEncode(t *testing.T) {
	good := vectors(t)["manifest"]
	m, err := DecodeManifest([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Encode(); err != nil || string(got) != good {
		t.Errorf("got %s, %v, want %s", got, err, good)
	}
	m.Depth = 0
	if got, err := m.Encode(); err == nil {
		t.Errorf("wrote %s", got)
	}
}

func TestParseCIDRefuses(t *testing.T) {
	good := vectors(t)["cid"]
	if _, err := ParseCID(good); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty":        "",
		"no multibase": good[1:],
		"base":         "z" + good[1:],
		"upper case":   strings.ToUpper(good),
		"short":        good[:len(good)-1],
		"long":         good + "a",
		"padded":       good + "=",
		"spare bits":   good[:len(good)-1] + "b",
		"version":      "bbe" + good[3:],
		"raw codec":    strings.Replace(good, "bagaaiera", "bafkreigh", 1),
		"line feed":    good[:30] + "\n" + good[31:],
	} {
		if _, err := ParseCID(bad); err == nil || !strings.HasPrefix(err.Error(), "parsing object identifier") {
			t.Errorf("%s: %q: got error %v", name, bad, err)
		}
	}
}

func TestLeavesRefuses(t *testing.T) {
	v := vectors(t)
	data, parity := octets(t, v, "leaf0"), octets(t, v, "leaf2")
	change := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	for name, bad := range map[string][]byte{
		"empty":             {},
		"short":             data[:68],
		"trailing":          append(bytes.Clone(data), 0),
		"type 0":            change(data, 0, 0),
		"type 3":            change(data, 0, 3),
		"length 2^20+1":     change(data, 4, 1),
		"length 0":          change(data, 2, 0),
		"parity commitment": change(parity, 20, 1),
		"data as parity":    change(data, 0, 2),
		"too long":          make([]byte, MaxLeafTable+1),
	} {
		if _, err := DecodeLeaves(bad); err == nil || !strings.HasPrefix(err.Error(), "decoding leaf table: ") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// TestTooLarge: by its size alone, before anything is read.
func TestTooLarge(t *testing.T) {
	leaf := octets(t, vectors(t), "leaf0")
	if _, err := DecodeLeaves(bytes.Repeat(leaf, MaxLeafTable/LeafSize)); err != nil {
		t.Errorf("largest leaf table: %v", err)
	}
	for name, err := range map[string]error{
		"leaf table": second(DecodeLeaves(bytes.Repeat(leaf, MaxLeafTable/LeafSize+1))),
		"keys":       second(DecodeKeys(make([]byte, MaxKeys+1))),
		"manifest":   second(DecodeManifest(make([]byte, MaxManifest+1))),
	} {
		if err == nil || !strings.Contains(err.Error(), "want at most") {
			t.Errorf("%s: got %v, want its size refused", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestKeysRefuses(t *testing.T) {
	v := vectors(t)
	good := `{"fs":"` + v["fs"] + `","oid":"` + v["oid"] + `","root_cid":"` + v["cid"] +
		`","type":"safebox/object-keys/v1","writer_seed":"` + v["writer_seed"] + `"}`
	k, err := DecodeKeys([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Root(), RootNode(k.FS, k.OID, 1); got != want {
		t.Errorf("root: got %v, want %v", got, want)
	}
	if again, err := k.Encode(); err != nil || string(again) != good {
		t.Errorf("got %s, %v, want %s", again, err, good)
	}
	for name, bad := range map[string]string{
		"type":        strings.Replace(good, "keys/v1", "keys/v2", 1),
		"fs":          strings.Replace(good, v["fs"], v["fs"][2:], 1),
		"identifier":  strings.Replace(good, v["cid"], "b", 1),
		"no seed":     strings.Replace(good, `,"writer_seed":"`+v["writer_seed"]+`"`, "", 1),
		"unknown":     strings.Replace(good, `{"fs"`, `{"a":1,"fs"`, 1),
		"line feed":   good + "\n",
		"too long":    good + strings.Repeat(" ", MaxKeys),
		"other file":  v["manifest"],
		"upper digit": strings.Replace(good, "0a0b", "0A0b", 1),
	} {
		if _, err := DecodeKeys([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "decoding object keys: ") {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
