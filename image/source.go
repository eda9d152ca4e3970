package image

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"safebox/guest/boot/cmdline"
	"safebox/image/kernel"
)

// CheckSource refuses a source of which this program is not: what is compiled
// into it, the command line, and the kernel's configuration and patches, goes
// into the same release as the init that is compiled from the source.
func CheckSource(dir string) error {
	files, err := kernel.Files()
	if err != nil {
		return err
	}
	name, content := cmdline.File()
	for _, f := range append(files, kernel.File{Name: name, Content: content}) {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if err != nil {
			return fmt.Errorf("this program is of another source: %w", err)
		}
		if !bytes.Equal(got, f.Content) {
			return fmt.Errorf("this program is of another source: %s is not the file that is compiled into it", f.Name)
		}
	}
	return nil
}
