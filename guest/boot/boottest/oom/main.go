// Command oom is a TEST-ONLY PID 1 whose workers confine themselves and then
// use all the memory that they can get, so that a test can see the limit of
// their cgroup. No release holds it.
package main

import (
	"os"
	"time"

	"safebox/guest/boot"
	"safebox/guest/confine"
)

func main() {
	if os.Args[0] == string(confine.Worker) {
		os.Exit(eat())
	}
	os.Exit(boot.Main(boot.Vtpm(), boot.Options{}))
}

// eat touches memory until the kernel ends it, and else ends with a status that
// says otherwise.
func eat() int {
	if err := confine.Apply(confine.Worker); err != nil {
		return 3
	}
	var kept [][]byte
	for range 4 << 10 { // 4 GiB, more than any machine of a test has
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += os.Getpagesize() {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	time.Sleep(time.Hour)
	return len(kept)
}
