package collateral

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"safebox/verifier/endorse"
)

// Limits of one fetch.
const (
	attempts     = 5
	firstPause   = time.Second
	longestPause = 2 * time.Minute // asked for by Retry-After; a longer one ends the fetch
	timeLimit    = time.Minute     // of one request, with the default client
)

// again is a failure after which the request may be repeated.
type again struct {
	err   error
	pause time.Duration // what the server asked for; 0 if it did not
}

func (a *again) Error() string { return a.err.Error() }
func (a *again) Unwrap() error { return a.err }

// fetch asks the vendor, several times if it has to.
func (f *Fetcher) fetch(ctx context.Context, i item) (*copied, error) {
	u, err := url.Parse(i.url)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("got address %q, want https", i.url)
	}
	pause := firstPause
	for n := 1; ; n++ {
		f.say("%s: asking %s, attempt %d", i.what, u.Host, n)
		got, err := f.ask(ctx, i)
		if err == nil {
			return got, nil
		}
		var retry *again
		if !errors.As(err, &retry) || ctx.Err() != nil {
			return nil, err
		}
		if n == attempts {
			return nil, fmt.Errorf("gave up after %d attempts: %w", attempts, err)
		}
		wait := max(pause, retry.pause)
		if wait > longestPause {
			return nil, fmt.Errorf("server asks to wait %v, longer than %v: %w", wait, longestPause, err)
		}
		f.say("%s: %v; waiting %v", i.what, err, wait)
		if err := f.wait(ctx, wait); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

func (f *Fetcher) wait(ctx context.Context, d time.Duration) error {
	if f.Wait != nil {
		return f.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// client is the caller's, without its redirects and its cookies.
func (f *Fetcher) client() *http.Client {
	c := http.Client{Timeout: timeLimit}
	if f.Client != nil {
		c = *f.Client
	}
	c.Jar = nil
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// ask makes one request.
func (f *Fetcher) ask(ctx context.Context, i item) (_ *copied, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, i.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := f.client().Do(request)
	if err != nil {
		return nil, &again{err: err}
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if err := f.status(response); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(i.most)+1))
	if err != nil {
		return nil, &again{err: fmt.Errorf("reading response: %w", err)}
	}
	if len(body) > i.most {
		return nil, fmt.Errorf("response: got more than %d bytes", i.most)
	}
	c := &copied{Type: copyType, URL: i.url, Fetched: f.Now().Unix(), Body: body}
	if i.header != "" {
		if c.Issuers, err = unescapeChain(response.Header.Get(i.header)); err != nil {
			return nil, fmt.Errorf("header %s: %w", i.header, err)
		}
	}
	if err := c.check(i); err != nil {
		return nil, err
	}
	return c, nil
}

// status tells what may be asked for again from what may not.
func (f *Fetcher) status(r *http.Response) error {
	if r.StatusCode == http.StatusOK {
		return nil
	}
	err := fmt.Errorf("got HTTP status %d, want 200", r.StatusCode)
	switch {
	case r.StatusCode == http.StatusTooManyRequests || r.StatusCode >= 500:
		return &again{err: err, pause: f.retryAfter(r.Header.Get("Retry-After"))}
	case r.StatusCode >= 300 && r.StatusCode < 400:
		return fmt.Errorf("%w: redirects are not followed", err)
	case r.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: the vendor knows no such chip, TCB or platform", err)
	}
	return err
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3). What is
// neither is passed over.
func (f *Fetcher) retryAfter(header string) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then the greatest number
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(f.Now()), 0)
	}
	return 0
}

// addTo adds what a copy holds to a set.
func (c *copied) addTo(s *endorse.Set) {
	s.Add(c.URL, c.Body)
	if c.Issuers != "" {
		s.Add(c.URL+" (issuers)", []byte(c.Issuers))
	}
}

// check refuses a response that is not what was asked for, such as the page of
// a proxy: it would be kept and given again. It says nothing about trust.
func (c *copied) check(i item) error {
	var s endorse.Set
	c.addTo(&s)
	for _, file := range s.Files {
		if file.Why != "" {
			return fmt.Errorf("response is no %s: %s", i.what, file.Why)
		}
	}
	if !i.want(&s) {
		return fmt.Errorf("response is no %s with its issuers", i.what)
	}
	return nil
}
