package tlog

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"
)

// static serves the checkpoint, and tiles and entry bundles of the published
// tree, as they lie in the folder.
func (h *handler) static(w http.ResponseWriter, r *http.Request, path string) {
	name := strings.TrimPrefix(path, "/")
	tile, ok := parseTile(name)
	if !ok && path != "/"+layout.CheckpointPath {
		refuse(w, http.StatusNotFound, problemPath, "no such path")
		return
	}
	if !allowed(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if !ok {
		w.Header().Set("Cache-Control", "no-cache")
		reply(w, http.StatusOK, mediaText, h.log.Checkpoint())
		return
	}
	h.log.mu.Lock()
	size := h.log.published.size
	h.log.mu.Unlock()
	if !tile.within(size) {
		refuse(w, http.StatusNotFound, problemMissing, "not in the published tree of "+strconv.FormatInt(size, 10)+" entries")
		return
	}
	b, err := os.ReadFile(filepath.Join(h.log.o.Dir, filepath.FromSlash(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// tlog-tiles, "Merkle Tree": a partial tile goes when it is full.
		refuse(w, http.StatusNotFound, problemMissing, "no such tile: ask for the full one")
	case err != nil:
		refuse(w, http.StatusInternalServerError, problemMissing, "reading the tile failed")
	default:
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		reply(w, http.StatusOK, mediaOctets, b)
	}
}

const (
	// maxLevel is the highest level that a tree of 2^63-1 entries has a tile at.
	maxLevel = 63 / layout.TileHeight
	// maxIndex is above every tile's index, and keeps its leaves countable.
	maxIndex = 1 << 54
)

// tile names a tile or, at level 0, an entry bundle.
type tile struct {
	level int
	index int64
	width int64 // 1 to 256
}

// parseTile reads a path in the one form that tlog-tiles gives it.
func parseTile(path string) (tile, bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	first, rest, cut := strings.Cut(rest, "/")
	if !ok || !cut {
		return tile{}, false
	}
	var level, index uint64
	var partial uint8
	var err error
	var form string
	if first == "entries" {
		index, partial, err = layout.ParseTileIndexPartial(rest)
		form = layout.EntriesPath(index, partial)
	} else {
		level, index, partial, err = layout.ParseTileLevelIndexPartial(first, rest)
		form = layout.TilePath(level, index, partial)
	}
	if err != nil || form != path || level > maxLevel || index >= maxIndex {
		return tile{}, false
	}
	t := tile{level: int(level), index: int64(index), width: int64(partial)}
	if partial == 0 {
		t.width = layout.TileWidth
	}
	return t, true
}

// within reports whether a tree of that size has the tile.
func (t tile) within(size int64) bool {
	hashes := size >> (layout.TileHeight * t.level) // at the tile's level
	return t.index*layout.TileWidth+t.width <= hashes
}
