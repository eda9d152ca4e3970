// Package wire is how the processes of the guest talk to each other over a
// socketpair (specs/protocol.md 7): one request, one reply, in frames.
//
//	request  u32be length || u8 op     || body    length counts op and body
//	reply    u32be length || u8 status || body    status 0: the answer
//	                                              status 1: a guestapi.Problem
//
// The two ends don't trust each other: the keeper reads frames of the API,
// which parses what the network sends, and of workers, which run strangers'
// programs. So each end has a limit for what it reads, memory follows the
// bytes that arrive and not the length that was announced, and whoever breaks
// the framing loses the connection.
//
// Sizes and numbers are big endian; LP(x) is u32be length || bytes, as in
// specs/protocol.md.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"safebox/verifier/guestapi"
)

// Calls of the API to the keeper.
const (
	// OpIdentity: empty body; answer is a guestapi.Identity.
	OpIdentity = 0x01
	// OpConfigure: body is a configuration document; empty answer.
	OpConfigure = 0x02
	// OpEvidence: body is a challenge; answer is an evidence document.
	OpEvidence = 0x03
	// OpSubmit: body is a guestapi.Job; answer is a guestapi.Status, as the
	// job runs on.
	OpSubmit = 0x04
	// OpStatus: body is a job's identifier, 16 bytes; answer is a
	// guestapi.Status.
	OpStatus = 0x05
	// OpResult: body is a job's identifier, 16 bytes; answer is a
	// guestapi.Result.
	OpResult = 0x06
)

// OpFetch is the keeper's call to the API: body is a shard's root (32 bytes)
// and u32be, how many bytes it may have; answer is the shard. See Fetch.
const OpFetch = 0x10

// Calls of a worker to the keeper.
const (
	// OpJob: empty body; answer is what to run. See Job.
	OpJob = 0x20
	// OpChunk: body is u32be input || u32be chunk; answer is the chunk's
	// plaintext. See Chunk.
	OpChunk = 0x21
	// OpOutput: body is one output, whole: each slot once. See Output. Empty
	// answer.
	OpOutput = 0x22
	// OpDone: body is how the run ended, the worker's last call. See Done.
	// Empty answer.
	OpDone = 0x23
	// OpLog: body is u8 level || text. See Log. Empty answer.
	OpLog = 0x24
)

// Limits of frames, in bytes of op or status and body together, one for each
// direction of a connection. What a reader gets beyond its limit ends the
// connection.
const (
	MaxRequestKeeper      = guestapi.MaxJob + 1    // API to keeper
	MaxReplyKeeper        = guestapi.MaxResult + 1 // keeper to API
	MaxRequestFetch       = 1 + 32 + 4             // keeper to API
	MaxReplyFetch         = 1 + maxShard           // API to keeper
	MaxRequestWorker      = 1 + maxOutputFrame     // worker to keeper
	MaxReplyWorker        = 1 + maxJobFrame        // keeper to worker
	maxShard              = 1 << 20                // verifier/object.ShardSize
	maxOutputFrame        = 65 << 20               // configuration lets a run put out 64 MiB
	maxJobFrame           = 33 << 20               // a module is 32 MiB at most, parameters 64 KiB
	eager                 = 64 << 10               // bytes allocated before any of them arrived
	statusOK         byte = 0
	statusError      byte = 1
)

// ErrFrame says that the other end broke the framing: the connection is of no
// use any more.
var ErrFrame = errors.New("broken frame")

// readFrame reads one frame: its first byte, op or status, and the body.
func readFrame(r io.Reader, limit int) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return 0, nil, err // io.EOF: between two frames, an orderly end
	}
	n := binary.BigEndian.Uint32(head[:4])
	switch {
	case n == 0:
		return 0, nil, fmt.Errorf("%w: length 0, want at least 1", ErrFrame)
	case int64(n) > int64(limit):
		return 0, nil, fmt.Errorf("%w: length %d, want at most %d", ErrFrame, n, limit)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return 0, nil, cut(err)
	}
	body, err = readBody(r, int(n)-1)
	return head[4], body, err
}

// readBody reads n bytes. Memory doubles as they arrive: a length alone, sent
// by an end that was taken over, allocates little.
func readBody(r io.Reader, n int) ([]byte, error) {
	body := make([]byte, min(n, eager))
	for filled := 0; ; {
		if _, err := io.ReadFull(r, body[filled:]); err != nil {
			return nil, cut(err)
		}
		if filled = len(body); filled == n {
			return body, nil
		}
		grown := make([]byte, min(n, 2*filled))
		copy(grown, body)
		clear(body) // it may hold plaintext on its way to a worker
		body = grown
	}
}

// cut turns the end of the stream inside a frame into what it is.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// writeFrame writes one frame. Head and body go separately: a copy of the body
// would be one more place that holds it.
func writeFrame(w io.Writer, kind byte, body []byte) error {
	if uint64(len(body))+1 > math.MaxUint32 {
		return fmt.Errorf("frame of %d bytes, want less than 4 GiB", len(body)+1)
	}
	var head [5]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(body)+1))
	head[4] = kind
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	if len(body) == 0 {
		return nil
	}
	_, err := w.Write(body)
	return err
}
