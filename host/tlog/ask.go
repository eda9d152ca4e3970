package tlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"safebox/verifier/tlog"
)

const (
	// maxAsk is how often a witness is asked about one checkpoint: what it
	// cosigned last may be news to the log.
	maxAsk = 3
	// mediaSize is the type of an answer that names the size that a witness
	// cosigned last (tlog-witness, "add-checkpoint", status 409).
	mediaSize = "text/x.tlog.size"
	// maxSaid bounds what is quoted of a witness that refuses, in bytes.
	maxSaid = 200
)

// newWitnessClient keeps connections, as tlog-witness wants it. The zero Proxy:
// no environment variable leads elsewhere.
func newWitnessClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: witnessTime}).DialContext,
			TLSHandshakeTimeout:    witnessTime,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
			IdleConnTimeout:        time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask asks one witness, again if it turns out to stand at another size than we
// think.
func (w *witnesses) ask(ctx context.Context, x *witness, c *tlog.Checkpoint, note []byte, t *tree) answer {
	a := answer{from: x, size: min(x.size, c.Size)}
	for range maxAsk {
		proof, err := t.consistency(a.size, c.Size)
		if err != nil {
			a.err = err
			return a
		}
		body := (&tlog.AddCheckpoint{Old: a.size, Proof: proof, Checkpoint: note}).Encode()
		status, kind, reply, err := w.post(ctx, x.url, body)
		switch {
		case err != nil:
			a.err = err
			return a
		case status == http.StatusOK:
			a.got, a.err = x.verify(c, reply)
			a.size = c.Size
			return a
		case status != http.StatusConflict || kind != mediaSize:
			a.err = fmt.Errorf("status %d: %.*q", status, maxSaid, strings.TrimSpace(string(reply)))
			return a
		}
		if a.size, a.err = parseSize(reply, c.Size); a.err != nil {
			return a
		}
	}
	a.err = fmt.Errorf("named another size %d times", maxAsk)
	return a
}

// parseSize reads the size that a witness says it cosigned last.
func parseSize(reply []byte, most int64) (int64, error) {
	text, ok := strings.CutSuffix(string(reply), "\n")
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("size: got %.40q, want a decimal number and a newline", reply)
	}
	if n > most {
		return 0, fmt.Errorf("it has cosigned %d entries, and this log has %d: is the folder an old copy?", n, most)
	}
	return n, nil
}

// verify picks the cosignatures of this witness's keys out of an answer. Those
// of other keys are ignored (tlog-witness, "add-checkpoint").
func (w *witness) verify(c *tlog.Checkpoint, reply []byte) (map[string]tlog.Signature, error) {
	lines, err := tlog.DecodeSignatures(reply)
	if err != nil {
		return nil, err
	}
	got := map[string]tlog.Signature{}
	for name, key := range w.keys {
		for _, s := range lines {
			if s.Name != key.Name || s.ID != key.ID {
				continue
			}
			if _, err := key.VerifyCosignature(c, s); err != nil {
				return nil, err
			}
			got[name] = s
		}
	}
	if len(got) == 0 {
		return nil, errors.New("no cosignature of a key that the policy lists for it")
	}
	return got, nil
}

// post sends one request.
func (w *witnesses) post(ctx context.Context, url string, body []byte) (status int, kind string, reply []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, err
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := w.client.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	reply, err = io.ReadAll(io.LimitReader(resp.Body, tlog.MaxNote+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, "", nil, err
	}
	if len(reply) > tlog.MaxNote {
		return 0, "", nil, fmt.Errorf("answer of more than %d bytes", tlog.MaxNote)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), reply, nil
}
