package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"
)

// span is how long each kind of work goes on.
const span = 2 * time.Second

// file3 is the first file that PID 1 hands over.
func file3() *os.File { return os.NewFile(3, "inherited") }

// work is what every role's process does all the time: allocate, collect,
// block, wake, preempt, read clocks and randomness.
func work() error {
	debug.SetGCPercent(10)
	end := time.Now().Add(span)
	var all sync.WaitGroup
	failed := make(chan error, 64)
	for range 16 {
		all.Go(func() { failed <- churn(end) })
	}
	for range 4 {
		all.Go(func() {
			for n := 0; time.Now().Before(end); n++ { // no call inside: preempted by signal only
				for i := range 1 << 20 {
					n += i
				}
			}
		})
	}
	for range 20 {
		all.Go(func() { // a thread each, which ends with its goroutine
			runtime.LockOSThread()
			time.Sleep(time.Millisecond)
		})
	}
	all.Wait()
	close(failed)
	var err error
	for e := range failed {
		err = errors.Join(err, e)
	}
	debug.FreeOSMemory()
	return err
}

func churn(end time.Time) error {
	var kept [][]byte
	for time.Now().Before(end) {
		b := make([]byte, 64<<10)
		if _, err := rand.Read(b[:64]); err != nil {
			return err
		}
		kept = append(kept, b)
		if len(kept) > 32 {
			kept = kept[16:]
		}
		time.Sleep(50 * time.Microsecond)
		runtime.Gosched()
	}
	runtime.GC()
	return nil
}

// sumModule is, written out by hand after the WebAssembly specification 1.0,
// section 5 (binary format):
//
//	(module (memory 1)
//	  (func (export "sum") (param $n i32) (result i32) (local $s i32)
//	    loop
//	      (local.set $s (i32.add (local.get $s) (local.get $n)))
//	      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))
//	    end
//	    (local.get $s)))
const sumModule = "0061736d01000000" + // magic, version
	"0106016001" + "7f017f" + // types: (i32) -> i32
	"03020100" + // functions: one of type 0
	"0503010001" + // memory: 1 page
	"0707010373756d0000" + // export "sum"
	"0a1b011901017f" + // code: one body of 25 bytes, one local of i32
	"0340" + "200120006a2101" + "200041016b22000d00" + "0b" + "20010b"

// runWASM compiles and runs a module as a worker does, over and over.
func runWASM(engine string) error {
	config := wazero.NewRuntimeConfigInterpreter()
	if engine == "compiler" {
		config = wazero.NewRuntimeConfigCompiler()
	}
	code, err := hex.DecodeString(sumModule)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for end := time.Now().Add(span); time.Now().Before(end); {
		if err := sum(ctx, config, code); err != nil {
			return err
		}
	}
	return nil
}

// sum adds the numbers from 1 to 100000: 5000050000 modulo 2^32 is 705082704.
func sum(ctx context.Context, config wazero.RuntimeConfig, code []byte) (err error) {
	r := wazero.NewRuntimeWithConfig(ctx, config)
	defer func() { err = errors.Join(err, r.Close(ctx)) }()
	module, err := r.Instantiate(ctx, code)
	if err != nil {
		return err
	}
	got, err := module.ExportedFunction("sum").Call(ctx, 100000)
	if err != nil {
		return err
	}
	if len(got) != 1 || got[0] != 705082704 {
		return fmt.Errorf("got %d, want 705082704", got)
	}
	return nil
}

// serveWire echoes on a socket as a role does that was handed one, blocking
// first and then by the poller.
func serveWire() error {
	f := file3()
	b := make([]byte, 1<<16)
	if _, err := io.ReadFull(f, b[:1]); err != nil {
		return err
	}
	c, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		n, err := c.Read(b)
		if errors.Is(err, io.EOF) {
			return c.Close()
		}
		if err != nil {
			return err
		}
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
	}
}

// serveHTTP serves on a listening socket until asked for /end.
func serveHTTP() error {
	f := file3()
	l, err := net.FileListener(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	end := make(chan error, 1)
	s := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body) // whole: the server reads no further once it answers
			if err == nil {
				_, err = w.Write(b)
			}
			if r.URL.Path == "/end" || err != nil {
				end <- err
			}
		}),
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if err := <-end; err != nil {
		return err
	}
	if err := s.Shutdown(context.Background()); err != nil {
		return err
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// lockKeys holds memory as the keeper does, and talks on its pipes.
func lockKeys() error {
	b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	for _, advice := range []int{unix.MADV_DONTDUMP, unix.MADV_WIPEONFORK} {
		if err := unix.Madvise(b, advice); err != nil {
			return err
		}
	}
	if err := unix.Mlock(b); err != nil {
		return err
	}
	copy(b, bytes.Repeat([]byte{1}, len(b)))
	clear(b)
	return errors.Join(unix.Munlock(b), unix.Munmap(b))
}
