package nitro

import (
	"bytes"
	"crypto/sha512"
	"io"
	"io/fs"
	"testing"

	"safebox/measure/eif"
)

// FuzzPredict: the registers of any accepted image are those that the rule
// gives when it is carried out on whole contents.
func FuzzPredict(f *testing.F) {
	names, err := fs.Glob(testdata(), folder+"*.eif")
	if err != nil || len(names) == 0 {
		f.Fatalf("no image in testdata: %v", err)
	}
	for _, n := range names {
		f.Add(readFile(f, n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = fixCRC(bytes.Clone(b))
		file, err := eif.OpenOlder(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		want := naive(t, file)
		p, err := Predict(Input{Image: file, Sections: true})
		if err != nil {
			if file.Signature == nil {
				t.Errorf("an image without a signature: %v", err)
			}
			return
		}
		for i, w := range want {
			if p.PCRs[i].Value != w {
				t.Errorf("PCR%d: got %v, want %v", i, p.PCRs[i].Value, w)
			}
		}
	})
}

// naive hashes each register's content by itself.
func naive(t *testing.T, f *eif.File) (registers [3]Digest) {
	t.Helper()
	var content [3][]byte
	ramdisks := 0
	for _, s := range f.Sections {
		data, err := io.ReadAll(s.Data())
		if err != nil {
			t.Fatal(err)
		}
		first := s.Type == eif.KernelSection || s.Type == eif.CommandLineSection
		if s.Type == eif.RamdiskSection {
			ramdisks++
			first = ramdisks == 1
			if !first {
				content[2] = append(content[2], data...)
			}
		}
		if first {
			content[1] = append(content[1], data...)
		}
		if first || s.Type == eif.RamdiskSection {
			content[0] = append(content[0], data...)
		}
	}
	for i := range registers {
		digest := sha512.Sum384(content[i])
		registers[i] = extend(digest[:])
	}
	return registers
}
