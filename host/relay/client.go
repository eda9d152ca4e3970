package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
)

// Limits of what a guest answers, in bytes, and of the time that it may take.
const (
	maxHealth  = 4 << 10
	maxHeader  = 16 << 10
	dialTime   = 2 * time.Second
	memoryTime = 15 * time.Second // for what the guest has in memory
	// A quote takes seconds of a processor that is emulated, the first one
	// makes the attestation key as well, and the keeper answers one at a time.
	keeperTime   = 120 * time.Second
	transferBase = 10 * time.Second // for a body or an answer, and
	transferRate = 1 << 20          // one second more for each MiB
)

// transferTime is how long a body or an answer of that many bytes may take.
func transferTime(size int64) time.Duration {
	return transferBase + time.Duration(size/transferRate)*time.Second
}

// Client asks a guest, directly or through a relay. It believes nothing that
// it hears: sizes and times are bounded, and answers are for others to check.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a client of the guest or relay at base, such as
// "http://127.0.0.1:8080".
func NewClient(base string) *Client {
	return &Client{
		base: strings.TrimSuffix(base, "/"),
		http: &http.Client{
			// The zero Proxy: no environment variable leads elsewhere.
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeader,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// question is one request.
type question struct {
	method, path string
	body         io.Reader // nil for none
	size         int64     // of the body
	limit        int64     // of the answer
	time         time.Duration
}

// reply is an answer under way. Only one that says yes (200) or names a
// failure (4xx, 5xx) is one.
type reply struct {
	*http.Response
	cancel context.CancelFunc
}

// close ends the request.
func (r *reply) close() error {
	r.cancel()
	return r.Body.Close()
}

// open sends the question and reads the answer's header.
func (c *Client) open(ctx context.Context, q question) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, q.time)
	out, err := http.NewRequestWithContext(ctx, q.method, c.base+q.path, q.body)
	if err != nil {
		cancel()
		return nil, err
	}
	out.ContentLength = q.size
	resp, err := c.http.Do(out) //nolint:bodyclose // by reply.close
	if err != nil {
		cancel()
		return nil, err
	}
	r := &reply{Response: resp, cancel: cancel}
	if s := resp.StatusCode; s != http.StatusOK && (s < 400 || s > 599) {
		return nil, errors.Join(fmt.Errorf("status %d, want 200 or a failure", s), r.close())
	}
	return r, nil
}

// ask gives the answer: all of it, or an error.
func (c *Client) ask(ctx context.Context, q question) (status int, body []byte, err error) {
	r, err := c.open(ctx, q)
	if err != nil {
		return 0, nil, err
	}
	limit := q.limit
	if r.StatusCode != http.StatusOK {
		limit = guestapi.MaxProblem
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err = errors.Join(err, r.close()); err != nil {
		return 0, nil, err
	}
	if int64(len(body)) > limit {
		return 0, nil, fmt.Errorf("answer is longer than %d bytes", limit)
	}
	return r.StatusCode, body, nil
}

// want gives the body of an answer that says yes; a problem that the guest or
// the relay names is a *guestapi.Problem.
func (c *Client) want(ctx context.Context, q question) ([]byte, error) {
	status, body, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	if status == http.StatusOK {
		return body, nil
	}
	p, err := guestapi.DecodeProblem(body)
	if err != nil {
		return nil, fmt.Errorf("status %d, and no problem named: %w", status, err)
	}
	return nil, p
}

// Healthy asks for the guest's health once.
func (c *Client) Healthy(ctx context.Context) error {
	status, _, err := c.ask(ctx, question{method: http.MethodGet, path: guestapi.HealthPath, limit: maxHealth, time: memoryTime})
	if err != nil {
		return fmt.Errorf("asking the guest for its health: %w", err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("asking the guest for its health: status %d, want 200", status)
	}
	return nil
}

// Configure gives the guest its configuration document.
func (c *Client) Configure(ctx context.Context, document []byte) error {
	_, err := c.want(ctx, question{
		method: http.MethodPost, path: guestapi.ConfigurationPath, body: bytes.NewReader(document), size: int64(len(document)), time: keeperTime,
	})
	if err != nil {
		return fmt.Errorf("configuring the guest: %w", err)
	}
	return nil
}

// Identity asks for the guest's attestation and endorsement keys.
func (c *Client) Identity(ctx context.Context) (*guestapi.Identity, error) {
	b, err := c.want(ctx, question{method: http.MethodGet, path: guestapi.IdentityPath, limit: guestapi.MaxIdentity, time: keeperTime})
	if err != nil {
		return nil, fmt.Errorf("asking the guest for its identity: %w", err)
	}
	return guestapi.DecodeIdentity(b)
}

// Evidence hands the guest a challenge and gives its evidence, which is for
// `safebox verify` to judge: here it is only known to be evidence in form.
func (c *Client) Evidence(ctx context.Context, challenge []byte) ([]byte, error) {
	b, err := c.want(ctx, question{
		method: http.MethodPost, path: guestapi.EvidencePath, body: bytes.NewReader(challenge), size: int64(len(challenge)),
		limit: evidence.MaxSize, time: keeperTime,
	})
	if err != nil {
		return nil, fmt.Errorf("asking the guest for evidence: %w", err)
	}
	if _, err := evidence.Decode(b); err != nil {
		return nil, fmt.Errorf("asking the guest for evidence: %w", err)
	}
	return b, nil
}
