package witness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"safebox/verifier/tlog"
)

// childVariable makes this test binary a witness: folder, log key, signer key.
const childVariable = "SAFEBOX_TEST_WITNESS"

func TestMain(m *testing.M) {
	if args := os.Getenv(childVariable); args != "" {
		fmt.Fprintln(os.Stderr, child(strings.Fields(args)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child serves until it is killed.
func child(args []string) error {
	k, err := tlog.NewCosigner(args[2])
	if err != nil {
		return err
	}
	w, err := Open(args[0], Options{
		Cosigners: []*tlog.Cosigner{k}, Logs: []string{args[1]}, Now: time.Now, Say: func(string, ...any) {},
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	return w.Server().Serve(ln)
}

// ledger is what was ever cosigned, as its clients saw it.
type ledger struct {
	mu        sync.Mutex
	roots     map[int64][32]byte // by size
	largest   int64
	cosigned  int
	refused   int
	cut       int // requests without an answer
	violation []string
}

// largestSeen is the largest size that somebody has a cosignature of.
func (l *ledger) largestSeen() int64 { l.mu.Lock(); defer l.mu.Unlock(); return l.largest }

// record enters a cosignature that was asked for when size before was the
// largest that anybody had.
func (l *ledger) record(size int64, root [32]byte, before int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cosigned++
	if other, ok := l.roots[size]; ok && other != root {
		l.violation = append(l.violation, fmt.Sprintf("two roots of size %d: %x and %x", size, other, root))
	}
	if size < before {
		l.violation = append(l.violation, fmt.Sprintf("size %d after size %d", size, before))
	}
	l.roots[size] = root
	l.largest = max(l.largest, size)
}

// TestKilled: a witness that is killed with SIGKILL 20 times, while a log of
// two branches sends it the checkpoints of both, never cosigns two roots of
// one size and never a smaller tree after a larger one.
func TestKilled(t *testing.T) {
	const kills = 20
	main := newTestLog(t, testOrigin)
	main.grow(t, 40, "main")
	fork := main.fork()
	main.grow(t, 3000, "main")
	fork.grow(t, 3000, "fork")
	skey, vkey := witnessKey(t, "witness.example/w1", 0, tlog.CosignatureEd25519)
	dir := t.TempDir()
	if _, err := Add(dir, main.vkey); err != nil {
		t.Fatal(err)
	}
	book := &ledger{roots: map[int64][32]byte{}}
	random := rand.New(rand.NewPCG(7, 7))
	for range kills {
		c := startChild(t, dir, main.vkey, skey)
		var wg sync.WaitGroup
		for _, l := range []*testLog{main, fork} {
			seed := random.Uint64()
			wg.Go(func() { stream(t, c.url, vkey, l, book, rand.New(rand.NewPCG(seed, 1))) })
		}
		time.Sleep(time.Duration(5+random.IntN(60)) * time.Millisecond)
		c.kill(t)
		wg.Wait()
	}
	for _, v := range book.violation {
		t.Error(v)
	}
	consistent(t, book, main, fork)
	t.Logf("%d cosigned, %d refused, %d cut off, largest tree %d", book.cosigned, book.refused, book.cut, book.largest)
	if book.cosigned < kills || book.refused < kills || book.cut < kills/2 {
		t.Errorf("too few to mean something: %d cosigned, %d refused, %d cut off", book.cosigned, book.refused, book.cut)
	}
}

// consistent demands that all cosigned trees are of one branch.
func consistent(t *testing.T, book *ledger, branches ...*testLog) {
	t.Helper()
	for _, l := range branches {
		same := true
		for size, root := range book.roots {
			same = same && root == [32]byte(l.root(t, size))
		}
		if same {
			return
		}
	}
	t.Error("trees of both branches were cosigned")
}

// stream sends checkpoints of a log until the witness is gone: mostly steps
// from the size it holds, and now and then rollbacks and repetitions.
func stream(t *testing.T, url, vkey string, l *testLog, book *ledger, random *rand.Rand) {
	held := int64(0)
	for {
		old, size := held, min(held+1+random.Int64N(3), l.size)
		switch random.IntN(5) {
		case 0:
			size = held
		case 1:
			old, size = random.Int64N(held+1), random.Int64N(held+1)
			old = min(old, size)
		}
		before := book.largestSeen()
		status, answer, err := submit(url, l.step(t, old, size))
		if err != nil {
			book.mu.Lock()
			book.cut++
			book.mu.Unlock()
			return
		}
		switch status {
		case http.StatusOK:
			cosignatureTimes(t, l.checkpoint(t, size), answer, []string{vkey})
			book.record(size, [32]byte(l.root(t, size)), before)
			held = size
			continue
		case http.StatusConflict:
			if _, err := fmt.Sscanf(answer, "%d\n", &held); err != nil {
				held = min(held+1, l.size) // a fork of this size: try beyond
			}
		case http.StatusUnprocessableEntity:
		default:
			t.Errorf("got status %d %q", status, answer)
			return
		}
		book.mu.Lock()
		book.refused++
		book.mu.Unlock()
	}
}

func submit(url string, body []byte) (status int, answer string, err error) {
	r, err := http.Post(url+"/add-checkpoint", "", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), errors.Join(err, r.Body.Close())
}

// process is a witness in a process of its own.
type process struct {
	cmd *exec.Cmd
	url string
}

func startChild(t testing.TB, dir, vkey, skey string) *process {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	c := &process{cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{dir, vkey, skey}, " "))
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	t.Cleanup(func() { c.cmd.Process.Kill() }) //nolint:errcheck // mostly it is gone by then
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the witness did not start: %v", err)
	}
	c.url = "http://" + strings.TrimSpace(line)
	return c
}

// kill ends the process with SIGKILL.
func (c *process) kill(t testing.TB) {
	t.Helper()
	must(t, c.cmd.Process.Kill())
	if err := c.cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("the witness ended with %v, want signal: killed", err)
	}
}
