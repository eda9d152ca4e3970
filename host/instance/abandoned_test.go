package instance

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRemoveAbandoned: processes of a killed agent may still write for a
// moment; what they leave goes too.
func TestRemoveAbandoned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	written := make(chan int)
	go func() { // a process that has not heard yet that it is dead
		n := 0
		for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); n++ {
			if os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600) != nil {
				break
			}
		}
		written <- n
	}()
	time.Sleep(10 * time.Millisecond)
	if err := removeAbandoned(dir); err != nil {
		t.Error(err)
	}
	if n := <-written; n == 0 {
		t.Error("nothing was written: the test shows nothing")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}
