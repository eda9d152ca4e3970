package bundle

import (
	"errors"
	"fmt"
	"strings"

	"safebox/verifier/tlog"
)

// Names of the entries of the tar (docs/format-bundle.md, "Entries").
const (
	nameRecord       = "release.dsse"
	nameProof        = "release.tlog-proof"
	rebuildFolder    = "rebuild/"
	recordSuffix     = ".dsse"
	proofSuffix      = ".tlog-proof"
	collateralFolder = "collateral/"
)

// tileWidth is the number of entries of a full entry bundle (C2SP tlog-tiles,
// "Log Entries").
const tileWidth = 256

// maxTile bounds an entry bundle, in bytes: each entry has a length of two bytes.
const maxTile = tileWidth * (2 + 1<<16 - 1)

// rebuildName counts from 001.
func rebuildName(i int, suffix string) string {
	return fmt.Sprintf("%s%03d%s", rebuildFolder, i+1, suffix)
}

// tiles is the number of entry bundles of so many entries.
func tiles(entries int) int { return (entries + tileWidth - 1) / tileWidth }

// tileName is the path of an entry bundle (C2SP tlog-tiles, "Log Entries").
func tileName(n, width int) (string, error) { return tlog.EntryBundlePath(int64(n), width) }

// checkName checks the name of a file of collateral.
func checkName(name string) error {
	if len(name) == 0 || len(name) > MaxName {
		return fmt.Errorf("name: got %d bytes, want 1 to %d", len(name), MaxName)
	}
	if name[0] == '.' {
		return errors.New("name: begins with a dot")
	}
	if strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
	}) {
		return fmt.Errorf("name: got %q, want letters, digits, '.', '_' and '-'", name)
	}
	return nil
}
