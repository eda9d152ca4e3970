package grant

import (
	"errors"
	"fmt"

	"safebox/verifier/canon"
)

// FileType is the type of the file that carries a grant.
const FileType = "safebox/grant-file/v1"

// file is the grant file: the signed document and the sealed keys.
type file struct {
	Type     string `json:"type"`
	Envelope []byte `json:"envelope"` // DSSE of the document
	Sealed   []byte `json:"sealed"`   // HPKE enc || ciphertext of the nodes
}

func (f *file) encode() ([]byte, error) {
	b, err := canon.Marshal(f)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("size: got %d bytes, want at most %d: fewer recipients or ranges", len(b), MaxFile)
	}
	return b, nil
}

func decodeFile(b []byte) (*file, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("size: got %d bytes, want at most %d", len(b), MaxFile)
	}
	var f file
	if err := canon.Unmarshal(b, &f); err != nil {
		return nil, err
	}
	if f.Type != FileType {
		return nil, fmt.Errorf("type: got %.100q, want %q", f.Type, FileType)
	}
	if f.Envelope == nil || f.Sealed == nil {
		return nil, errors.New("envelope and sealed: got null, want base64")
	}
	return &f, nil
}
