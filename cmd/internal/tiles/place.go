package tiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// place is where the files of a log lie. read gives a file of at most limit
// bytes, or an error that is fs.ErrNotExist when there is none of that name.
type place interface {
	read(ctx context.Context, name string, limit int64) ([]byte, error)
	String() string
}

// How often, and for how long, a server is asked for one file.
const (
	attempts    = 3
	firstPause  = 200 * time.Millisecond // doubled each time
	requestTime = 30 * time.Second
)

// openPlace tells a server from a folder.
func openPlace(where string) (place, error) {
	if !strings.Contains(where, "://") {
		info, err := os.Stat(where)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s: got %v, want a folder or a URL", where, info.Mode().Type())
		}
		return folder(where), err
	}
	u, err := url.Parse(where)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%q: want http://HOST/PATH or https://HOST/PATH", where)
	}
	// What a log says is checked against its root, so that neither TLS nor
	// the server is trusted; but what was named is what is asked.
	return &server{
		base: strings.TrimSuffix(where, "/"),
		client: &http.Client{
			Timeout:       requestTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		pause: firstPause,
	}, nil
}

// folder is a folder with a log's files, as a static file server has it.
type folder string

func (dir folder) String() string { return string(dir) }

func (dir folder) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// A pipe that somebody put there is not waited for.
	path := filepath.Join(string(dir), filepath.FromSlash(name))
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("got %v, want a regular file", info.Mode().Type())
	}
	var b []byte
	if err == nil {
		b, err = readAll(f, limit)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// cause is what went wrong with a file or a URL, without their name: whoever
// reads it knows which log.
func cause(err error) error {
	var file *fs.PathError
	var request *url.Error
	switch {
	case errors.As(err, &file):
		return file.Err
	case errors.As(err, &request):
		return request.Err
	}
	return err
}

// server is a server of the files below base.
type server struct {
	base   string
	client *http.Client
	pause  time.Duration
}

func (s *server) String() string { return s.base }

// passingError is one that may be gone at the next attempt.
type passingError struct{ error }

func (e passingError) Unwrap() error { return e.error }

func (s *server) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	where, pause := s.base+"/"+name, s.pause
	for attempt := 1; ; attempt++ {
		b, err := s.get(ctx, where, limit)
		if err == nil {
			return b, nil
		}
		var passing passingError
		if !errors.As(err, &passing) || ctx.Err() != nil || attempt == attempts {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", name, ctx.Err())
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (s *server) get(ctx context.Context, where string, limit int64) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, where, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(q)
	if err != nil {
		return nil, passingError{cause(err)}
	}
	var b []byte
	switch {
	case resp.StatusCode == http.StatusOK:
		b, err = readAll(resp.Body, limit)
		var long *LimitError
		if err != nil && !errors.As(err, &long) {
			err = passingError{err}
		}
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		err = fmt.Errorf("status %d: %w", resp.StatusCode, fs.ErrNotExist)
	case resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests:
		err = passingError{fmt.Errorf("status %d, want 200", resp.StatusCode)}
	default:
		err = fmt.Errorf("status %d, want 200", resp.StatusCode)
	}
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return b, nil
}

// LimitError says that a file or a log is larger than what is read of one.
type LimitError struct {
	Limit int64
	Unit  string // "bytes" or "entries"
}

// Error implements error.
func (e *LimitError) Error() string { return fmt.Sprintf("more than %d %s", e.Limit, e.Unit) }

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = &LimitError{limit, "bytes"}
	}
	return b, err
}
