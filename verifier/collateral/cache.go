package collateral

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/chain"
)

// copyType is the type of the document that a kept copy is.
const copyType = "safebox/collateral-copy/v1"

// maxCopy bounds a kept copy: the body in base64, and the rest.
const maxCopy = chain.MaxCRL*3/2 + 64<<10

// copied is one response as it was received, as canonical JSON on disk. The
// file is named by the SHA-256 of its URL.
type copied struct {
	Type    string         `json:"type"`
	URL     string         `json:"url"`
	Fetched int64          `json:"fetched"` // Unix seconds
	Body    []byte         `json:"body"`
	Issuers string         `json:"issuers"` // PEM from the header; "" if there was none
	SHA256  canon.Octets32 `json:"sha256"`  // of the body, then the issuers: finds damage, proves nothing
}

func (c *copied) digest() canon.Octets32 {
	h := sha256.New()
	h.Write(c.Body)
	h.Write([]byte(c.Issuers))
	return canon.Octets32(h.Sum(nil))
}

func (c *copied) when() string { return time.Unix(c.Fetched, 0).UTC().Format(time.RFC3339) }

func (f *Fetcher) path(url string) string {
	name := sha256.Sum256([]byte(url))
	return filepath.Join(f.Cache, hex.EncodeToString(name[:])+".json")
}

// load reads a kept copy. A copy that is damaged is as good as none: it is said,
// and fetched again.
func (f *Fetcher) load(i item) (*copied, error) {
	if f.Cache == "" {
		return nil, errors.New("no folder for kept copies")
	}
	c, err := f.read(i)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.say("%s: kept copy is not used: %v", i.what, err)
	}
	return c, err
}

func (f *Fetcher) read(i item) (*copied, error) {
	info, err := os.Stat(f.path(i.url))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxCopy {
		return nil, fmt.Errorf("got %v of %d bytes, want a file of at most %d", info.Mode(), info.Size(), maxCopy)
	}
	b, err := os.ReadFile(f.path(i.url))
	if err != nil {
		return nil, err
	}
	c := &copied{}
	if err := canon.Unmarshal(b, c); err != nil {
		return nil, err
	}
	if c.Type != copyType || c.URL != i.url || c.SHA256 != c.digest() {
		return nil, errors.New("it is a copy of something else, or damaged")
	}
	if err := c.check(i); err != nil {
		return nil, err
	}
	return c, nil
}

// store keeps a copy, whole or not at all.
func (f *Fetcher) store(c *copied) (err error) {
	if f.Cache == "" {
		return nil
	}
	c.SHA256 = c.digest()
	b, err := canon.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.Cache, 0o755); err != nil {
		return fmt.Errorf("keeping copy: %w", err)
	}
	file, err := os.CreateTemp(f.Cache, ".new-*")
	if err != nil {
		return fmt.Errorf("keeping copy: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, writeErr := file.Write(b)
	if err := errors.Join(writeErr, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("keeping copy: %w", err)
	}
	if err := os.Rename(file.Name(), f.path(c.URL)); err != nil {
		return fmt.Errorf("keeping copy: %w", err)
	}
	return nil
}
