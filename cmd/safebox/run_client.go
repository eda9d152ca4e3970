package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"safebox/cmd/internal/cli"
	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
)

// Limits of a conversation with a guest through its relay, which is not
// trusted to be brief.
const (
	sendTime   = 10 * time.Minute // a job of up to 48 MiB
	statusTime = 30 * time.Second
	resultTime = 20 * time.Minute // a result of up to 256 MiB
	dialTime   = 10 * time.Second
	maxHeaders = 16 << 10 // bytes
)

// Time between two questions for a job's state: from firstPause, half as much
// again each time, up to lastPause.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// sayEvery is how often waiting is worth a line.
const sayEvery = 10 * time.Second

// guestClient talks to one guest through the relay at base.
type guestClient struct {
	base   string
	http   *http.Client
	stderr io.Writer
}

func newGuestClient(host string, stderr io.Writer) (*guestClient, error) {
	u, err := url.Parse(host)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--host: %w", err), "")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, cli.Usage(fmt.Errorf("--host: got %q, want http://HOST:PORT", host), "safebox-host launch prints the URL")
	}
	return &guestClient{
		base: strings.TrimSuffix(u.String(), "/"),
		http: &http.Client{
			// The zero Proxy: no environment variable leads elsewhere.
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeaders,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		stderr: stderr,
	}, nil
}

// run sends the job, waits for its end, at most for the given time, and gives
// the result.
func (c *guestClient) run(ctx context.Context, job []byte, most time.Duration) (*guestapi.Result, canon.Octets16, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	cli.Say(c.stderr, "sending the job (%d bytes)", len(job))
	b, err := c.ask(ctx, http.MethodPost, guestapi.JobsPath, job, guestapi.MaxStatus, sendTime)
	if err != nil {
		return nil, canon.Octets16{}, err
	}
	status, err := guestapi.DecodeStatus(b)
	if err != nil {
		return nil, canon.Octets16{}, err
	}
	id := status.Job
	if err := c.wait(ctx, status); err != nil {
		return nil, id, err
	}
	cli.Say(c.stderr, "fetching the result of job %s", id)
	if b, err = c.ask(ctx, http.MethodGet, guestapi.ResultPath(id.String()), nil, guestapi.MaxResult, resultTime); err != nil {
		return nil, id, err
	}
	result, err := guestapi.DecodeResult(b)
	return result, id, err
}

// wait asks for the state of the job until it has ended.
func (c *guestClient) wait(ctx context.Context, status *guestapi.Status) error {
	id, start := status.Job, time.Now()
	next := sayEvery
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		if status.Job != id {
			return fmt.Errorf("asking for the job's state: got job %s, want %s", status.Job, id)
		}
		switch status.State {
		case guestapi.Done:
			return nil
		case guestapi.Failed:
			return status.Problem
		}
		if waited := time.Since(start); waited >= next {
			cli.Say(c.stderr, "job %s is running, %d s so far", id, int(waited.Seconds()))
			next += sayEvery
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("waiting for job %s: %w", id, err)
		}
		b, err := c.ask(ctx, http.MethodGet, guestapi.JobPath(id.String()), nil, guestapi.MaxStatus, statusTime)
		if err != nil {
			return err
		}
		if status, err = guestapi.DecodeStatus(b); err != nil {
			return err
		}
	}
}

// ask gives the body of an answer, or what the guest or the relay refused
// with: a *guestapi.Problem. Who is busy has not looked at the request and is
// asked again.
func (c *guestClient) ask(ctx context.Context, method, path string, body []byte, limit int64, most time.Duration) ([]byte, error) {
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		b, err := c.askOnce(ctx, method, path, body, limit, most)
		var p *guestapi.Problem
		if !errors.As(err, &p) || (p.ID != "http-busy" && p.ID != "relay-busy") {
			return b, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, fmt.Errorf("%w (last answer: %w)", err, p)
		}
	}
}

func (c *guestClient) askOnce(ctx context.Context, method, path string, body []byte, limit int64, most time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the guest: %w", err)
	}
	ok := resp.StatusCode == http.StatusOK
	if !ok {
		limit = guestapi.MaxProblem
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("asking the guest for %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("asking the guest for %s: answer is longer than %d bytes", path, limit)
	}
	if ok {
		return b, nil
	}
	p, err := guestapi.DecodeProblem(b)
	if err != nil || resp.StatusCode < 400 {
		return nil, fmt.Errorf("asking the guest for %s: status %d and no problem in the known form", path, resp.StatusCode)
	}
	return nil, p
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
