package lock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Patience with a server.
const (
	connectTimeout = 15 * time.Second
	headerTimeout  = 30 * time.Second
	stallTimeout   = 60 * time.Second // without a byte of the body
	maxRedirects   = 5
)

// servers lists the base URLs in the order in which they are asked.
func (r *Resolver) servers(ctx context.Context) ([]string, error) {
	if r.FindMirrors != nil {
		r.find.Do(func() { r.found, r.notFound = r.FindMirrors(ctx) })
		if r.notFound != nil {
			return nil, r.notFound
		}
	}
	list := slices.Concat(r.Mirrors, r.found)
	if r.Snapshot != "" {
		list = append(list, r.Snapshot)
	}
	return list, nil
}

// fromServer downloads a package into the cache. It returns "" when it did,
// and the reason when this server cannot help but another one may: it does not
// have the file, or the transfer failed. Other bytes than those pinned are an
// error.
func (r *Resolver) fromServer(ctx context.Context, cache store, p Package, base string) (reason string, err error) {
	u, err := join(base, p.Pool)
	if err != nil {
		return "", err
	}
	err = r.get(ctx, u, func(body io.Reader, length int64) error {
		if length >= 0 && length != p.Size {
			return p.pinned().check(u.Redacted(), hintMirror, length, p.SHA256)
		}
		src := r.observe(body, p.base(), p.Size)
		return cache.write(ctx, p.pinned(), src, u.Redacted(), hintMirror)
	})
	var gone *unavailableError
	if errors.As(err, &gone) && ctx.Err() == nil {
		return gone.Error(), nil
	}
	return "", err
}

// join makes the URL of a path below a base. "+" is escaped as apt does it:
// some stores take it for a blank.
func join(base, path string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(base, "/") + "/" + path)
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	if err := checkScheme(u); err != nil {
		return nil, fmt.Errorf("mirror %s: %w", u.Redacted(), err)
	}
	u.RawPath = strings.ReplaceAll(u.EscapedPath(), "+", "%2B")
	return u, nil
}

func checkScheme(u *url.URL) error {
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("scheme: got %q, want http or https and a host", u.Scheme)
	}
	return nil
}

// unavailableError is a server that cannot help.
type unavailableError struct {
	place string
	why   error
}

func (e *unavailableError) Error() string { return e.place + ": " + e.why.Error() }
func (e *unavailableError) Unwrap() error { return e.why }

// get calls use with the body of a 200 answer and its length, or -1. Failures
// of the server and of the connection are an *unavailableError; those of use
// are returned as they are.
func (r *Resolver) get(ctx context.Context, u *url.URL, use func(body io.Reader, length int64) error) (err error) {
	if r.Offline {
		return errors.New("offline: no connection is opened")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("requesting %s: %w", u.Redacted(), err)
	}
	// Without this a server may answer with an encoded body, and its length
	// would say nothing about the file's.
	req.Header.Set("Accept-Encoding", "identity")
	client, done := r.client()
	defer done()
	resp, err := client.Do(req)
	if err != nil {
		return &unavailableError{place: u.Redacted(), why: unwrapURL(err)}
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return &unavailableError{place: u.Redacted(), why: errors.New(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))}
	}
	body := &stallReader{r: resp.Body, timer: time.AfterFunc(stallTimeout, func() {
		cancel(fmt.Errorf("no data for %s", stallTimeout))
	})}
	defer body.timer.Stop()
	err = use(body, resp.ContentLength)
	var failed *sourceError
	if errors.As(err, &failed) {
		if cause := context.Cause(ctx); cause != nil {
			failed.err = cause
		}
		return &unavailableError{place: u.Redacted(), why: failed}
	}
	return err
}

// unwrapURL drops the method and URL that the HTTP client puts in front.
func unwrapURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// client returns an HTTP client and what releases its connections.
func (r *Resolver) client() (*http.Client, func()) {
	c := &http.Client{CheckRedirect: checkRedirect, Transport: r.transport}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			ResponseHeaderTimeout: headerTimeout,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true,
		}
	}
	return c, c.CloseIdleConnections
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	if err := checkScheme(req.URL); err != nil {
		return fmt.Errorf("redirect to %s: %w", req.URL.Redacted(), err)
	}
	return nil
}

// stallReader ends a transfer that has stopped moving.
type stallReader struct {
	r     io.Reader
	timer *time.Timer
}

func (s *stallReader) Read(p []byte) (int, error) {
	s.timer.Reset(stallTimeout)
	return s.r.Read(p)
}

// observe reports what is read to Progress.
func (r *Resolver) observe(src io.Reader, name string, total int64) io.Reader {
	if r.Progress == nil {
		return src
	}
	return &observer{r: src, report: func(done int64) { r.Progress(name, done, total) }}
}

type observer struct {
	r      io.Reader
	done   int64
	report func(int64)
}

func (o *observer) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	o.done += int64(n)
	if n > 0 {
		o.report(o.done)
	}
	return n, err
}
