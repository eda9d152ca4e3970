//go:build wasip1

// Package sdk is what programs for the sandbox are written with, in Go:
//
//	GOOS=wasip1 GOARCH=wasm go build
//
// It wraps the imports of safebox_v1 (specs/runtime.md A5). It avoids packages
// that would make programs large.
package sdk

import (
	"io"
	"strconv"
	"unsafe"
)

//go:wasmimport safebox_v1 in_count
func inCount() uint32

//go:wasmimport safebox_v1 in_info
func inInfo(handle uint32, p unsafe.Pointer, n uint32) int64

//go:wasmimport safebox_v1 in_read
func inRead(handle uint32, offset int64, p unsafe.Pointer, n uint32) int64

//go:wasmimport safebox_v1 in_release
func inRelease(handle, chunk uint32) int64

//go:wasmimport safebox_v1 ev_get
func evGet(p unsafe.Pointer, n uint32) int64

//go:wasmimport safebox_v1 out_open
func outOpen(kind uint32, p unsafe.Pointer, n uint32) int64

//go:wasmimport safebox_v1 out_write
func outWrite(handle uint32, p unsafe.Pointer, n uint32) int64

//go:wasmimport safebox_v1 out_close
func outClose(handle uint32) int64

//go:wasmimport safebox_v1 now
func now() int64

//go:wasmimport safebox_v1 abort
func abort(code uint32)

//go:wasmimport safebox_v1 log
func log(level uint32, p unsafe.Pointer, n uint32) int64

// Errno is a Linux error number that a call returned.
type Errno int

// Errors of the interface.
const (
	EIO    Errno = 5
	EBADF  Errno = 9
	EACCES Errno = 13 // a chunk that was not granted
	EFAULT Errno = 14
	EINVAL Errno = 22
	EMFILE Errno = 24
	ENOSPC Errno = 28 // more output than the job may have
)

// Error names the number.
func (e Errno) Error() string { return "errno " + strconv.Itoa(int(e)) }

// result splits what a call returned.
func result(r int64) (int, error) {
	if r < 0 {
		return 0, Errno(-r)
	}
	return int(r), nil
}

// Inputs is the number of granted objects.
func Inputs() int { return int(inCount()) }

// Input is a granted object, by its number. Bytes outside the granted chunks
// are there and can't be read.
type Input uint32

// Info is the description of the input as JSON: chunk_size, chunks, ranges
// (pairs of chunk numbers, half-open), root and size.
func (in Input) Info() ([]byte, error) {
	return sized(func(p unsafe.Pointer, n uint32) int64 { return inInfo(uint32(in), p, n) })
}

// ReadAt implements io.ReaderAt over the object's plaintext. It returns io.EOF
// at the end of the object, and EACCES at a chunk that was not granted, both
// with the bytes before that.
func (in Input) ReadAt(b []byte, offset int64) (int, error) {
	done := 0
	for done < len(b) {
		rest := b[done:]
		n, err := result(inRead(uint32(in), offset+int64(done), unsafe.Pointer(unsafe.SliceData(rest)), uint32(len(rest))))
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n // at most to the end of a chunk
	}
	return done, nil
}

// Release wipes a chunk early.
func (in Input) Release(chunk uint32) error {
	_, err := result(inRelease(uint32(in), chunk))
	return err
}

// Params is the job's parameters.
func Params() ([]byte, error) { return sized(evGet) }

// sized asks for the size, then for the bytes.
func sized(call func(p unsafe.Pointer, n uint32) int64) ([]byte, error) {
	var none byte
	n, err := result(call(unsafe.Pointer(&none), 0))
	if err != nil || n == 0 {
		return nil, err
	}
	b := make([]byte, n)
	_, err = result(call(unsafe.Pointer(&b[0]), uint32(n)))
	return b, err
}

// Output is a result that leaves sealed to the recipients, once it is closed.
type Output uint32

// NewOutput opens the next slot, from 0 on.
func NewOutput() (Output, error) {
	var none byte
	n, err := result(outOpen(0, unsafe.Pointer(&none), 0))
	return Output(n), err
}

// Write implements io.Writer.
func (o Output) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return result(outWrite(uint32(o), unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))))
}

// Close commits the output.
func (o Output) Close() error {
	_, err := result(outClose(uint32(o)))
	return err
}

// Now is the job's logical time in milliseconds since 1970. It stands still.
func Now() int64 { return now() }

// Log says something to nobody: logs don't leave the guest.
func Log(s string) {
	if s != "" {
		log(0, unsafe.Pointer(unsafe.StringData(s)), uint32(len(s)))
	}
}

// Abort ends the program with a code, which the receipt shows.
func Abort(code uint8) { abort(uint32(code)) }
