package shard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"safebox/verifier/guestapi"
	"safebox/verifier/object"
)

// maxRequests is how many requests the handler works on at the same time, and
// so bounds its memory: one shard each.
const maxRequests = 32

// Identifiers in the answers that refuse.
const (
	problemName    = "shard-name"    // the path is no shard's, or the body is not the shard of that name
	problemMissing = "shard-missing" // no such shard
	problemSize    = "shard-size"    // empty, or above one MiB
	problemRange   = "shard-range"   // range not on block boundaries
	problemMethod  = "shard-method"  // method that is not served
	problemBusy    = "shard-busy"    // too many requests at once
	problemStore   = "shard-store"   // the store failed
)

// handler serves a store over HTTP.
type handler struct {
	store *Folder
	slots chan struct{}
}

// Handler serves guestapi.ShardPath and the root in hex, without a query:
//
//	GET   the shard; with Range: bytes=A-B one part of it on block boundaries
//	HEAD  its length
//	PUT   stores it if it is not there: 201, or 200 if it was (412 with
//	      If-None-Match: *)
//
// An answer that refuses has a guestapi.Problem as body. Time limits are the
// server's.
func Handler(f *Folder) http.Handler {
	return &handler{store: f, slots: make(chan struct{}, maxRequests)}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		refuse(w, http.StatusServiceUnavailable, problemBusy, fmt.Sprintf("%d requests are under way already", maxRequests))
		return
	}
	root, err := parsePath(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, problemName, err.Error())
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.get(w, r, root)
	case http.MethodPut:
		h.put(w, r, root)
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT")
		refuse(w, http.StatusMethodNotAllowed, problemMethod, fmt.Sprintf("got %.20q, want GET, HEAD or PUT", r.Method))
	}
}

// parsePath wants the path in its one form, as it stood in the request.
func parsePath(r *http.Request) (Root, error) {
	var root Root
	name, ok := strings.CutPrefix(r.RequestURI, guestapi.ShardPath)
	if !ok {
		return root, fmt.Errorf("path: got %.120q, want %s and a root", r.RequestURI, guestapi.ShardPath)
	}
	if err := root.UnmarshalText([]byte(name)); err != nil {
		return root, fmt.Errorf("path: %w", err)
	}
	return root, nil
}

func (h *handler) get(w http.ResponseWriter, r *http.Request, root Root) {
	file, size, err := h.store.Open(root)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrSize) {
		refuse(w, http.StatusNotFound, problemMissing, "no shard "+root.String())
		return
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, problemStore, "reading the shard failed")
		return
	}
	if err := send(w, r, file, size); errors.Join(err, file.Close()) != nil {
		panic(http.ErrAbortHandler) // the answer is cut short: the caller must see that
	}
}

// send answers with the whole file or the part that was asked for.
func send(w http.ResponseWriter, r *http.Request, file io.ReadSeeker, size int64) error {
	first, length, status := int64(0), size, http.StatusOK
	if text := r.Header.Get("Range"); text != "" {
		var err error
		if first, length, err = parseRange(text, size); err != nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
			refuse(w, http.StatusRequestedRangeNotSatisfiable, problemRange, err.Error())
			return nil
		}
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, size))
	}
	if _, err := file.Seek(first, io.SeekStart); err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Accept-Ranges", "bytes")
	head.Set("Cache-Control", "immutable")
	head.Set("Content-Length", strconv.FormatInt(length, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := io.CopyN(w, file, length)
	return err
}

// parseRange reads "bytes=A-B" (RFC 9110, section 14.1.2), both ends there, A
// at the start of a block and B at the end of one or of the shard.
func parseRange(text string, size int64) (first, length int64, err error) {
	const want = "want bytes=A-B on boundaries of %d bytes within %d"
	spec, ok := strings.CutPrefix(text, "bytes=")
	a, b, both := strings.Cut(spec, "-")
	if !ok || !both {
		return 0, 0, fmt.Errorf("range: got %.60q, "+want, text, object.BlockSize, size)
	}
	first, errA := strconv.ParseInt(a, 10, 32)
	last, errB := strconv.ParseInt(b, 10, 32)
	end := last + 1
	switch {
	case errA != nil, errB != nil, first < 0, first%object.BlockSize != 0, first >= end, end > size,
		end != size && end%object.BlockSize != 0, text != fmt.Sprintf("bytes=%d-%d", first, last):
		return 0, 0, fmt.Errorf("range: got %.60q, "+want, text, object.BlockSize, size)
	}
	return first, end - first, nil
}

func (h *handler) put(w http.ResponseWriter, r *http.Request, root Root) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, object.ShardSize))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, problemSize, ErrSize.Error())
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, problemSize, "the body did not arrive whole")
		return
	}
	created, err := h.store.Put(root, body)
	switch {
	case errors.Is(err, ErrSize):
		refuse(w, http.StatusBadRequest, problemSize, ErrSize.Error())
	case errors.Is(err, ErrName):
		refuse(w, http.StatusBadRequest, problemName, err.Error())
	case err != nil:
		refuse(w, http.StatusInternalServerError, problemStore, "storing the shard failed")
	case created:
		w.WriteHeader(http.StatusCreated)
	case r.Header.Get("If-None-Match") == "*":
		refuse(w, http.StatusPreconditionFailed, problemName, "the shard is there already")
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, status int, id, detail string) {
	b, err := guestapi.EncodeProblem(&guestapi.Problem{ID: id, Detail: detail})
	if err != nil {
		b = nil // the status says it
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	if _, err := w.Write(b); err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
}
