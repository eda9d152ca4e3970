package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// aptConfig is where apt keeps its sources: sources.list(5).
const aptConfig = "/etc/apt"

// maxSources bounds one file of sources.
const maxSources = 1 << 20

// AptMirrors returns the mirrors that the machine's package manager uses: http
// and https URLs, each once, in apt's order. They are read with apt-get, which
// knows its own configuration best, or from the files of sources where there
// is none. A machine without apt has no mirrors, and that is no error.
//
// Without --no-release-info apt-get leaves out what it has no index of, and a
// container image has none until somebody runs apt-get update.
func AptMirrors(ctx context.Context) ([]string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return aptSources(aptConfig)
	}
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)")
	cmd.WaitDelay = 5 * time.Second
	out, stderr, err := runTool(cmd)
	if err != nil {
		return nil, fmt.Errorf("reading apt's mirrors: apt-get indextargets: %w: %s", err, stderr)
	}
	return mirrors(strings.Fields(string(out))), nil
}

// mirrors keeps the http and https URLs, each once, without a final slash.
// Others (cdrom:, file:, mirror+file:) are apt's business alone.
func mirrors(uris []string) []string {
	var list []string
	seen := make(map[string]bool)
	for _, s := range uris {
		u, err := url.Parse(s)
		if err != nil || checkScheme(u) != nil {
			continue
		}
		s = strings.TrimRight(s, "/")
		if !seen[s] {
			seen[s] = true
			list = append(list, s)
		}
	}
	return list
}

// aptSources reads sources.list and sources.list.d below dir: sources.list(5).
func aptSources(dir string) ([]string, error) {
	parts := filepath.Join(dir, "sources.list.d")
	names := []string{filepath.Join(dir, "sources.list")}
	entries, err := os.ReadDir(parts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading apt's mirrors: %w", err)
	}
	for _, e := range entries {
		names = append(names, filepath.Join(parts, e.Name()))
	}
	var uris []string
	for _, name := range names {
		parse := parseOneLine
		switch filepath.Ext(name) {
		case ".list":
		case ".sources":
			parse = parseDeb822
		default:
			continue
		}
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading apt's mirrors: %w", err)
		}
		if len(b) > maxSources {
			return nil, fmt.Errorf("reading apt's mirrors: %s has %d bytes, limit is %d", name, len(b), maxSources)
		}
		uris = append(uris, parse(b)...)
	}
	return mirrors(uris), nil
}

// parseOneLine reads the one-line style: deb [options] URI suite component...
func parseOneLine(b []byte) []string {
	var uris []string
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || strings.TrimLeft(rest, " \t") == rest {
			continue // deb-src, or no source line
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		if fields := strings.Fields(rest); len(fields) > 0 {
			uris = append(uris, fields[0])
		}
	}
	return uris
}

// parseDeb822 reads the deb822 style: stanzas with Types, URIs and Enabled.
func parseDeb822(b []byte) []string {
	var uris []string
	stanza := make(map[string]string)
	flush := func() {
		enabled := !strings.EqualFold(strings.TrimSpace(stanza["enabled"]), "no")
		for _, t := range strings.Fields(stanza["types"]) {
			if t == "deb" && enabled {
				uris = append(uris, strings.Fields(stanza["uris"])...)
			}
		}
		clear(stanza)
	}
	var key string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"): // also between the lines of a value
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			stanza[key] += " " + line
		default:
			name, value, _ := strings.Cut(line, ":")
			key = strings.ToLower(name)
			stanza[key] = value
		}
	}
	flush()
	return uris
}
