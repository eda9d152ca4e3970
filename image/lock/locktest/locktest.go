// Package locktest finds the pinned inputs for tests, which take them from
// wherever `safebox build` would and from two more folders. It has no way to
// give up: a test that needs the inputs and gets none must fail.
package locktest

import (
	"fmt"
	"os"
	"path/filepath"

	"safebox/image/lock"
)

// Resolver resolves the lock file of the source at root: from the cache, the
// folder that the environment variable SAFEBOX_INPUTS names, a folder
// shared/inputs beside the checkout, and apt's mirrors.
func Resolver(root string) (*lock.Resolver, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding inputs for tests: %w", err)
	}
	r := &lock.Resolver{CacheDir: filepath.Join(cache, "safebox"), FindMirrors: lock.AptMirrors}
	for _, dir := range []string{os.Getenv("SAFEBOX_INPUTS"), filepath.Join(root, "..", "shared", "inputs")} {
		if st, err := os.Stat(dir); dir != "" && err == nil && st.IsDir() {
			r.Inputs = append(r.Inputs, dir)
		}
	}
	return r, nil
}
