//go:build wasip1

// Command probe does what its parameters say, a word, and puts what it saw into
// output slot 0.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"safebox/guest/sandbox/sdk"
)

var seen bytes.Buffer

func say(format string, args ...any) { fmt.Fprintf(&seen, format+"\n", args...) }

func main() {
	word, err := sdk.Params()
	if err != nil {
		panic(err)
	}
	probes := map[string]func(){
		"nothing": func() {},
		"panic":   func() { panic("of a program") },
		"nil":     func() { var p *[4]int; p[len(word)-3]++ },
		"exit":    func() { os.Exit(7) },
		"abort":   func() { sdk.Abort(9) },
		"sleep":   sleep,
		"stress":  stress,
		"outside": outside,
		"chance":  chance,
		"inputs":  inputs,
		"outputs": outputs,
		"full":    full,
		"many":    many,
		"chatter": chatter,
		"grow":    grow,
		"recurse": func() { say("%d", depth(1<<40)) },
		"calls": func() {
			for {
				runtime.Gosched()
				time.Now()
			}
		},
		"work": work,
	}
	out, err := sdk.NewOutput()
	if err != nil {
		panic(err)
	}
	probes[string(word)]()
	if _, err := out.Write(seen.Bytes()); err != nil {
		panic(err)
	}
	if err := out.Close(); err != nil {
		panic(err)
	}
}

// sleep waits in each way that Go has.
func sleep() {
	began := time.Now()
	time.Sleep(time.Hour)
	say("slept %d h", int(time.Since(began).Hours()))
	<-time.After(30 * time.Minute)
	ticker := time.NewTicker(10 * time.Minute)
	<-ticker.C
	<-ticker.C
	ticker.Stop()
	select {
	case <-make(chan int):
	case <-time.After(10 * time.Minute):
	}
	say("waited %d h", int(time.Since(began).Hours()))
	for end := time.Now().Add(time.Millisecond); time.Now().Before(end); {
		continue
	}
	say("spun")
}

// stress has many goroutines talk while memory is collected.
func stress() {
	numbers, sums := make(chan []byte), make(chan int)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			n := 0
			for b := range numbers {
				n += len(b)
				if n%1000 == 0 {
					time.Sleep(time.Second)
				}
			}
			sums <- n
		})
	}
	go func() {
		for i := range 20_000 {
			numbers <- make([]byte, i%100)
			if i%5000 == 0 {
				runtime.GC()
			}
		}
		close(numbers)
	}()
	total := 0
	for range 50 {
		total += <-sums
	}
	wg.Wait()
	say("%d", total)
}

// outside tries everything that is not there.
func outside() {
	_, err := os.Open("/etc/passwd")
	say("open: %t", err != nil)
	_, err = os.ReadDir("/")
	say("read folder: %t", err != nil)
	say("write: %t", os.WriteFile("x", nil, 0o600) != nil)
	say("make folder: %t", os.Mkdir("x", 0o700) != nil)
	_, err = net.Dial("tcp", "127.0.0.1:80")
	say("dial: %t", err != nil)
	_, err = net.LookupHost("localhost.localdomain")
	say("look up: %t", err != nil)
	_, err = os.Hostname()
	say("environment: %d, arguments: %d", len(os.Environ()), len(os.Args))
	b, err := io.ReadAll(os.Stdin)
	say("input: %d %v", len(b), err)
	_, err = os.StartProcess("/bin/true", nil, &os.ProcAttr{})
	say("process: %t", err != nil)
}

// chance shows everything that differs between runs elsewhere.
func chance() {
	b := make([]byte, 100)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	say("%x", b)
	say("%s", time.Now().UTC().Format(time.RFC3339Nano))
	say("%d", sdk.Now())
	words := map[string]int{}
	for i := range 100 {
		words[fmt.Sprint(i)] = i
	}
	for w := range words {
		say("%s", w)
	}
	order := make(chan int, 100)
	for i := range 100 {
		go func() { runtime.Gosched(); order <- i }()
	}
	for range 100 {
		say("%d", <-order)
	}
	select {
	case <-time.After(time.Second):
		say("one")
	case <-time.After(time.Second):
		say("two")
	}
}

func read(in sdk.Input, n int, offset int64) {
	b := make([]byte, n)
	n, err := in.ReadAt(b, offset)
	say("%d at %d: %q %v", n, offset, b[:n], err)
}

// inputs reads within the grant and beside it: chunks of 10 bytes.
func inputs() {
	say("inputs: %d", sdk.Inputs())
	for _, offset := range []int64{0, 9, 10, 15, 19, 20, 29, 30, 34, 35, 36, 1 << 40, 1<<63 - 1, -1, -1 << 63} {
		read(0, 1, offset)
	}
	read(0, 100, 10)
	read(0, 0, 10)
	read(1, 1, 0)
	read(1<<32-1, 1, 0)
	say("release: %v %v %v", sdk.Input(0).Release(1), sdk.Input(0).Release(99), sdk.Input(1).Release(0))
	_, err := sdk.Input(1).Info()
	say("info: %v", err)
	g, err := sdk.Input(0).Granted()
	say("granted: %v %v", *g, err)
}

// outputs: slot 0 is open already.
func outputs() {
	lost, err := sdk.NewOutput()
	say("slot %d %v", lost, err)
	_, err = lost.Write([]byte("never closed"))
	say("write: %v", err)
	kept, err := sdk.NewOutput()
	say("slot %d %v", kept, err)
	for _, text := range []string{"one, ", "", "two"} {
		_, err = kept.Write([]byte(text))
		say("write: %v", err)
	}
	say("close: %v", kept.Close())
	say("close: %v", kept.Close())
	_, err = kept.Write([]byte("late"))
	say("write: %v", err)
	say("close: %v", sdk.Output(3).Close())
}

// full writes until there is no room, and closes what did fit.
func full() {
	out, err := sdk.NewOutput()
	block, total := make([]byte, 1000), 0
	for err == nil {
		var n int
		n, err = out.Write(block)
		total += n
	}
	say("%d %v", total, err)
	say("close: %v", out.Close())
}

func many() {
	n := 1
	for {
		if _, err := sdk.NewOutput(); err != nil {
			say("%d %v", n, err)
			return
		}
		n++
	}
}

func chatter() {
	for range 2000 {
		fmt.Println("standard output")
		fmt.Fprintln(os.Stderr, "standard error")
		sdk.Log("log")
		sdk.Log(strings.Repeat("\u00e4\xff", 5000))
	}
}

func grow() {
	var all [][]byte
	for {
		all = append(all, make([]byte, 1<<20))
	}
}

//go:noinline
func depth(n int) int {
	if n == 0 {
		return 0
	}
	return depth(n-1) + 1
}

// work is what takes time: hashing, sorting through maps, errors.
func work() {
	sum := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), 4096))
	say("%x %t", sum, errors.Is(fmt.Errorf("%w", io.EOF), io.EOF))
}
