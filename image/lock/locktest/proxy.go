package locktest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// WriteModule adds a module of one file besides its go.mod to a folder in the
// layout of a module proxy: Go Modules Reference, "GOPROXY protocol". Path and
// version must be such that they need no escapes.
func WriteModule(proxy, path, version, name, content string) error {
	dir := filepath.Join(proxy, path, "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mod := "module " + path + "\n"
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for _, f := range [][2]string{{"go.mod", mod}, {name, content}} {
		w, err := archive.Create(path + "@" + version + "/" + f[0])
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	for suffix, b := range map[string][]byte{
		".info": fmt.Appendf(nil, `{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, version),
		".mod":  []byte(mod),
		".zip":  packed.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, version+suffix), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
