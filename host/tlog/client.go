package tlog

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/guestapi"
	"safebox/verifier/tlog"
)

// maxReceipt bounds a receipt's JSON, in bytes.
const maxReceipt = 256

// Client asks a log. It believes nothing that it hears: sizes and times are
// bounded, and what an answer proves is for Verify.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a client of the log at base, such as "http://127.0.0.1:8080".
func NewClient(base string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("URL of the log: got %q, want http:// or https://, a host, and perhaps a path", base)
	}
	return &Client{
		base: strings.TrimSuffix(base, "/"),
		http: &http.Client{
			Timeout: appendTime + 15*time.Second,
			// The zero Proxy: no environment variable leads elsewhere.
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
				TLSHandshakeTimeout:    5 * time.Second,
				MaxResponseHeaderBytes: maxHeader,
				DisableCompression:     true,
				MaxIdleConnsPerHost:    maxRequests,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Append hands an entry to the log and waits until a published checkpoint
// covers it. What the log refuses is a *guestapi.Problem.
func (c *Client) Append(ctx context.Context, entry []byte) (Receipt, error) {
	status, b, err := c.do(ctx, http.MethodPost, EntriesPath, entry, maxReceipt)
	if err != nil {
		return Receipt{}, fmt.Errorf("appending to the log: %w", err)
	}
	var r Receipt
	if err := canon.Unmarshal(b, &r); err != nil {
		return Receipt{}, fmt.Errorf("appending to the log: receipt: %w", err)
	}
	if r.Index < 0 || r.Size <= r.Index {
		return Receipt{}, fmt.Errorf("appending to the log: receipt: index %d in a tree of %d entries", r.Index, r.Size)
	}
	r.New = status == http.StatusCreated
	return r, nil
}

// Proof asks for the tlog-proof of an entry. It is for Verify.
func (c *Client) Proof(ctx context.Context, entry []byte) ([]byte, error) {
	leaf := tlog.LeafHash(entry)
	_, b, err := c.do(ctx, http.MethodGet, ProofPath+hex.EncodeToString(leaf[:]), nil, tlog.MaxProof)
	if err != nil {
		return nil, fmt.Errorf("asking the log for a proof: %w", err)
	}
	return b, nil
}

// Verify checks a tlog-proof of an entry by a policy: a listed log signed its
// checkpoint, a quorum of the witnesses cosigned it, and the entry is in its
// tree. How old the cosignatures are is not asked: the log made them now. It
// gives the entry's index.
func Verify(proof, entry []byte, p *tlog.Policy) (int64, error) {
	decoded, err := tlog.DecodeProof(proof)
	if err != nil {
		return 0, err
	}
	o, err := p.Open(decoded.Checkpoint)
	if err != nil {
		return 0, err
	}
	if _, ok := p.Quorum(o.Cosignatures); !ok {
		return 0, fmt.Errorf("checkpoint of %d entries: its %d cosignatures are no quorum of the policy", o.Checkpoint.Size, len(o.Cosignatures))
	}
	return decoded.Index, decoded.Check(entry, &o.Checkpoint)
}

// do sends a request and gives the answer if it says yes.
func (c *Client) do(ctx context.Context, method, path string, body []byte, limit int64) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	yes := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated
	if !yes {
		limit = guestapi.MaxProblem
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, nil, err
	}
	if int64(len(answer)) > limit {
		return 0, nil, fmt.Errorf("answer is longer than %d bytes", limit)
	}
	if yes {
		return resp.StatusCode, answer, nil
	}
	p, err := guestapi.DecodeProblem(answer)
	if err != nil {
		return 0, nil, fmt.Errorf("status %d, and no problem named: %w", resp.StatusCode, err)
	}
	return 0, nil, p
}
