package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safebox/guest/object"
	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
)

// fetchTime bounds one shard, a MiB, from a server.
const fetchTime = 60 * time.Second

// newFetcher gets shards from a folder or from a server.
func newFetcher(place string) (object.Fetcher, error) {
	if !strings.Contains(place, "://") {
		info, err := os.Stat(place)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a folder", place)
		}
		return folderFetcher(place), err
	}
	u, err := url.Parse(place)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q: want http://HOST or https://HOST", place)
	}
	return &serverFetcher{
		base: strings.TrimSuffix(place, "/") + guestapi.ShardPath,
		client: &http.Client{
			Timeout:       fetchTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// folderFetcher is a folder with a file for each shard.
type folderFetcher string

// Fetch implements object.Fetcher.
func (dir folderFetcher) Fetch(ctx context.Context, root [32]byte, limit int) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Whoever keeps the folder may put there anything at any time: what is
	// looked at is what was opened, and a pipe is not waited for.
	path := filepath.Join(string(dir), canon.Octets32(root).String())
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	b, err := readShard(f, limit)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

func readShard(f *os.File, limit int) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("got %v, want a regular file", info.Mode().Type())
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	return b, err
}

// serverFetcher is a server of guestapi.ShardPath.
type serverFetcher struct {
	base   string
	client *http.Client
}

// Fetch implements object.Fetcher.
func (s *serverFetcher) Fetch(ctx context.Context, root [32]byte, limit int) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+canon.Octets32(root).String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(q)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d, want 200", resp.StatusCode)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("answer is longer than %d bytes", limit)
	}
	return b, nil
}
