package grant_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"safebox/verifier/canon"
	"safebox/verifier/dsse"
	"safebox/verifier/grant"
	"safebox/verifier/object"
)

// Each rule of the table in docs/format-grant.md, "Document": Seal does not
// write what breaks it, and Open refuses it though the owner signed it.
func TestDocumentRules(t *testing.T) {
	zero := canon.Octets32{}
	many := func(t *testing.T, n int) [][]byte {
		var keys [][]byte
		for i := range n {
			keys = append(keys, privateKey(t, byte(100+i)).PublicKey().Bytes())
		}
		return keys
	}
	for name, tt := range map[string]struct {
		change     func(d *grant.Document)
		id, detail string
	}{
		"type":               {func(d *grant.Document) { d.Type = "safebox/grant/v2" }, grant.ProblemFormat, `type: got "safebox/grant/v2", want "safebox/grant/v1"`},
		"object":             {func(d *grant.Document) { d.Object = strings.ToUpper(d.Object) }, grant.ProblemFormat, "object: "},
		"object, empty":      {func(d *grant.Document) { d.Object = "" }, grant.ProblemFormat, "object: "},
		"ranges, none":       {func(d *grant.Document) { d.Ranges = object.Ranges{} }, grant.ProblemFormat, "ranges: got no range"},
		"ranges, null":       {func(d *grant.Document) { d.Ranges = nil }, grant.ProblemFormat, "ranges: got no range"},
		"ranges, empty one":  {func(d *grant.Document) { d.Ranges = object.Ranges{{3, 3}} }, grant.ProblemFormat, "ranges: range 0"},
		"ranges, reversed":   {func(d *grant.Document) { d.Ranges = object.Ranges{{3, 2}} }, grant.ProblemFormat, "ranges: range 0"},
		"ranges, order":      {func(d *grant.Document) { d.Ranges = object.Ranges{{8, 9}, {0, 3}} }, grant.ProblemFormat, "ranges: range 1"},
		"ranges, overlap":    {func(d *grant.Document) { d.Ranges = object.Ranges{{0, 3}, {2, 9}} }, grant.ProblemFormat, "ranges: range 1"},
		"ranges, twice":      {func(d *grant.Document) { d.Ranges = object.Ranges{{0, 3}, {0, 3}} }, grant.ProblemFormat, "ranges: range 1"},
		"ranges, touching":   {func(d *grant.Document) { d.Ranges = object.Ranges{{0, 3}, {3, 9}} }, grant.ProblemFormat, "ranges: range 1"},
		"recipients, none":   {func(d *grant.Document) { d.Recipients = [][]byte{} }, grant.ProblemFormat, "recipients: got 0, want 1 to 16"},
		"recipients, null":   {func(d *grant.Document) { d.Recipients = nil }, grant.ProblemFormat, "recipients: got 0, want 1 to 16"},
		"recipients, 17":     {func(d *grant.Document) { d.Recipients = many(t, 17) }, grant.ProblemFormat, "recipients: got 17, want 1 to 16"},
		"recipients, twice":  {func(d *grant.Document) { d.Recipients[1] = d.Recipients[0] }, grant.ProblemFormat, "recipients: entry 1: same key as entry 0"},
		"recipients, short":  {func(d *grant.Document) { d.Recipients[0] = d.Recipients[0][:1215] }, grant.ProblemFormat, "recipients: entry 0: recipient key: got 1215 bytes, want 1216"},
		"recipients, long":   {func(d *grant.Document) { d.Recipients[0] = append(d.Recipients[0], 0) }, grant.ProblemFormat, "recipients: entry 0: recipient key: got 1217 bytes, want 1216"},
		"recipients, no key": {func(d *grant.Document) { d.Recipients[1] = bytes.Repeat([]byte{255}, 1216) }, grant.ProblemFormat, "recipients: entry 1: recipient key: "},
		"module":             {func(d *grant.Document) { d.Module = zero }, grant.ProblemFormat, "module: all zero"},
		"params":             {func(d *grant.Document) { d.Params = zero }, grant.ProblemFormat, "params: all zero"},
		"transcript":         {func(d *grant.Document) { d.Transcript = zero }, grant.ProblemFormat, "transcript: all zero"},
		"evidence":           {func(d *grant.Document) { d.Evidence = zero }, grant.ProblemFormat, "evidence: all zero"},
		"release":            {func(d *grant.Document) { d.Release = zero }, grant.ProblemFormat, "release: all zero"},
		"checkpoint":         {func(d *grant.Document) { d.Checkpoint = &zero }, grant.ProblemProof, "checkpoint: all zero"},
		"checkpoint, none":   {func(d *grant.Document) { d.Checkpoint = nil }, grant.ProblemProof, "checkpoint: got none"},
		"serial":             {func(d *grant.Document) { d.Serial = canon.Octets16{} }, grant.ProblemFormat, "serial: all zero"},
		"life, 3601 s":       {func(d *grant.Document) { d.NotAfter = d.NotBefore + 3601 }, grant.ProblemTime, "notAfter - notBefore: got 3601 s, want 1 to 3600"},
		"life, none":         {func(d *grant.Document) { d.NotAfter = d.NotBefore }, grant.ProblemTime, "notAfter - notBefore: got 0 s, want 1 to 3600"},
		"life, negative":     {func(d *grant.Document) { d.NotAfter = d.NotBefore - 60 }, grant.ProblemTime, "notAfter - notBefore: got -60 s, want 1 to 3600"},
		"before 1970":        {func(d *grant.Document) { d.NotBefore = -1 }, grant.ProblemTime, "notBefore: got -1, want 0 or more"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			p := takeApart(t, s.seal(t))
			tt.change(&s.doc)
			if _, err := grant.Seal(&s.doc, s.owner, s.kem, s.t, s.nodes); err == nil || !strings.Contains(err.Error(), tt.detail) {
				t.Errorf("Seal: got %v, want an error with %q", err, tt.detail)
			}
			payload, err := canon.Marshal(s.doc)
			if err != nil {
				t.Fatal(err)
			}
			p.Envelope = dsse.Sign(dsse.TypeGrant, payload, s.owner)
			_, err = grant.Open(p.join(t), s.expect)
			wantProblem(t, "Open", err, tt.id, tt.detail)
		})
	}
}

// The longest life, and the most recipients and ranges that go into a file.
func TestLargestGrant(t *testing.T) {
	s := newScene(t)
	s.doc.NotAfter = s.doc.NotBefore + grant.MaxLife
	s.doc.Recipients = nil
	for i := range grant.MaxRecipients {
		s.doc.Recipients = append(s.doc.Recipients, privateKey(t, byte(100+i)).PublicKey().Bytes())
	}
	s.doc.Ranges = nil
	for i := range uint32(object.MaxRanges) {
		s.doc.Ranges = append(s.doc.Ranges, [2]uint32{1000 * i, 1000*i + 4})
	}
	s.nodes = s.cover(t, s.doc.Ranges)
	file := s.seal(t)
	o, err := grant.Open(file, s.expect)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Unseal(s.guest, s.t); err != nil {
		t.Error(err)
	}
	for i := range s.doc.Ranges {
		s.doc.Ranges[i][0]++
		s.doc.Ranges[i][1] += 300
	}
	if _, err := grant.Seal(&s.doc, s.owner, s.kem, s.t, s.cover(t, s.doc.Ranges)); err == nil || !strings.Contains(err.Error(), "want at most 65536: fewer recipients or ranges") {
		t.Errorf("grant above 64 KiB: got %v", err)
	}
}

func TestSealRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(s *scene)
		want   string
	}{
		"other transcript":   {func(s *scene) { s.t[0] ^= 1 }, "transcript: got"},
		"KEM identifier":     {func(s *scene) { s.kem[1] ^= 1 }, "identifier: got 0x647b, want 0x647a"},
		"KEM key, short":     {func(s *scene) { s.kem = s.kem[:1217] }, "KEM key: got 1217 bytes, want 1218"},
		"KEM key, no key":    {func(s *scene) { copy(s.kem[2:], bytes.Repeat([]byte{255}, 1216)) }, "KEM key: "},
		"no audience key":    {func(s *scene) { s.owner = nil }, "audience key: got 0 bytes, want 64"},
		"nodes, less":        {func(s *scene) { s.nodes = s.nodes[1:] }, "nodes: "},
		"nodes, more":        {func(s *scene) { s.nodes = append(s.nodes, s.nodes[0]) }, "nodes: "},
		"nodes, none":        {func(s *scene) { s.nodes = nil }, "nodes: "},
		"nodes, other order": {func(s *scene) { slices.Reverse(s.nodes) }, "nodes: "},
	} {
		s := newScene(t)
		tt.change(s)
		if _, err := grant.Seal(&s.doc, s.owner, s.kem, s.t, s.nodes); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, tt.want)
		}
	}
}

// Forms of a file that are not the one form.
func TestFileForm(t *testing.T) {
	s := newScene(t)
	file := string(s.seal(t))
	p := takeApart(t, []byte(file))
	other := p
	other.Type = "safebox/grant-file/v2"
	noEnvelope, noSealed, manifest := p, p, p
	noEnvelope.Envelope = nil
	noSealed.Sealed = nil
	manifest.Envelope = dsse.Sign(dsse.TypeManifest, p.payload(t), s.owner)
	spaced := p
	spaced.Envelope = append(spaced.Envelope, '\n')
	docSpaced := p
	docSpaced.Envelope = dsse.Sign(dsse.TypeGrant, append(p.payload(t), '\n'), s.owner)
	unknown := p
	unknown.Envelope = dsse.Sign(dsse.TypeGrant, bytes.Replace(p.payload(t), []byte(`,"evidence"`), []byte(`,"enclave":1,"evidence"`), 1), s.owner)
	missing := p
	missing.Envelope = dsse.Sign(dsse.TypeGrant, bytes.Replace(p.payload(t), []byte(`"notBefore":1767225600,`), nil, 1), s.owner)
	null := p
	null.Envelope = dsse.Sign(dsse.TypeGrant, bytes.Replace(p.payload(t), []byte(`{"checkpoint":"`+s.doc.Checkpoint.String()+`"`), []byte(`{"checkpoint":null`), 1), s.owner)
	for name, tt := range map[string]struct{ file, detail string }{
		"empty":                  {"", ""},
		"null":                   {"null", ""},
		"newline at end":         {file + "\n", "not in canonical form"},
		"64 KiB and one":         {file + strings.Repeat(" ", grant.MaxFile+1-len(file)), "size: got 65537 bytes, want at most 65536"},
		"other type":             {string(other.join(t)), `type: got "safebox/grant-file/v2"`},
		"no envelope":            {string(noEnvelope.join(t)), "got null"},
		"no sealed part":         {string(noSealed.join(t)), "got null"},
		"manifest for grant":     {string(manifest.join(t)), "payload type: got"},
		"envelope with newline":  {string(spaced.join(t)), "not in canonical form"},
		"document with newline":  {string(docSpaced.join(t)), "not in canonical form"},
		"document, other member": {string(unknown.join(t)), "unknown field"},
		"document, member less":  {string(missing.join(t)), "not in canonical form"},
		"document, null member":  {string(null.join(t)), "not in canonical form"},
		"member twice":           {strings.Replace(file, `{"envelope"`, `{"sealed":"","envelope"`, 1), "not in canonical form"},
		"long name":              {`{"` + strings.Repeat("é", 2000) + `":1}`, "unknown field"},
	} {
		if tt.file == file {
			t.Fatalf("%s: the test changes nothing", name)
		}
		_, err := grant.Open([]byte(tt.file), s.expect)
		wantProblem(t, name, err, grant.ProblemFormat, tt.detail)
		if _, err := grant.Peek([]byte(tt.file)); err == nil {
			t.Errorf("%s: Peek accepts it", name)
		}
	}
}
