package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"safebox/verifier/tlog"
)

// sigsumWitness is Debian's sigsum-witness (package sigsum-go), an
// implementation of the same protocol by other people.
type sigsumWitness struct {
	url  string
	vkey string // 0x04, by sigsum-key
}

// tool runs a program of sigsum-go.
func tool(t testing.TB, stdin, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: run ci/setup", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, &stderr)
	}
	return string(out)
}

// startSigsum runs a witness for one log, whose origin must be the one that
// sigsum derives from its key.
func startSigsum(t testing.TB, logVkey string) *sigsumWitness {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	tool(t, "", "sigsum-key", "generate", "-o", at("witness"))
	tool(t, logVkey+"\n", "sigsum-key", "from-vkey", "-o", at("log.pub"))
	public, err := hex.DecodeString(strings.TrimSpace(tool(t, "", "sigsum-key", "to-hex", "-k", at("witness.pub"))))
	must(t, err)
	// The name in its lines: the SHA-256 of its key, as its origin is of a log's.
	name := fmt.Sprintf("sigsum.org/v1/witness/%x", sha256.Sum256(public))
	vkey := tool(t, "", "sigsum-key", "to-vkey", "-k", at("witness.pub"), "-n", name, "-t", "cosignature/v1")
	addr := freeAddress(t)
	cmd := exec.Command("sigsum-witness", "-k", at("witness"), "--log-key", at("log.pub"), "--state-file", at("state"), addr)
	// Debian builds it without modules, so that it gets the request router of Go
	// 1.21, which does not know the patterns that it uses: all is 404.
	cmd.Env = append(os.Environ(), "GODEBUG=httpmuxgo121=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		must(t, cmd.Process.Kill())
		if err := <-ended; err == nil {
			t.Error("sigsum-witness ended by itself")
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			must(t, c.Close())
			return &sigsumWitness{url: "http://" + addr, vkey: strings.TrimSpace(vkey)}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("sigsum-witness ended: %v\n%s", err, &stderr)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("sigsum-witness does not listen")
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, ln.Close())
	return ln.Addr().String()
}

// sigsumLogKey makes a log key whose origin is the one of sigsum.
func sigsumLogKey(t testing.TB) (skey, vkey string) {
	t.Helper()
	seed := bytes.Repeat([]byte{9}, ed25519.SeedSize)
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	origin := fmt.Sprintf("sigsum.org/v1/tree/%x", sha256.Sum256(public))
	skey, vkey, err := tlog.GenerateLogKey(origin, bytes.NewReader(seed))
	must(t, err)
	return skey, vkey
}

// TestSigsumCosignsOurLog: checkpoints, proofs and requests by verifier/tlog
// convince sigsum-witness, and its cosignatures convince verifier/tlog.
func TestSigsumCosignsOurLog(t *testing.T) {
	skey, vkey := sigsumLogKey(t)
	signer, err := tlog.NewLogSigner(skey)
	must(t, err)
	w := startSigsum(t, vkey)
	policy, err := tlog.ParsePolicy([]byte("log " + vkey + "\nwitness debian " + w.vkey + "\nquorum debian\n"))
	must(t, err)
	var leaves [][32]byte
	old := int64(0)
	for _, size := range []int64{1, 2, 3, 7, 8, 9, 100, 100, 1000} {
		for int64(len(leaves)) < size {
			leaves = append(leaves, tlog.LeafHash(fmt.Appendf(nil, "entry %d", len(leaves))))
		}
		signed, err := signer.SignCheckpoint(&tlog.Checkpoint{Origin: signer.Name(), Size: size, Root: tlog.RootHash(leaves)})
		must(t, err)
		r := tlog.AddCheckpoint{Old: old, Checkpoint: signed}
		if old > 0 && old < size {
			r.Proof = tlog.Consistency(leaves, old)
		}
		began := time.Now().Unix()
		status, answer, err := submit(w.url, r.Encode())
		must(t, err)
		if status != http.StatusOK {
			t.Fatalf("from %d to %d: got %d %q", old, size, status, answer)
		}
		lines, err := tlog.DecodeSignatures([]byte(answer))
		must(t, err)
		opened, err := policy.Open(append(signed, answer...))
		must(t, err)
		at, ok := policy.Quorum(opened.Cosignatures)
		if len(lines) != 1 || !ok || opened.Checkpoint.Size != size || at < began || at > time.Now().Unix() {
			t.Errorf("size %d: got %d lines, quorum %v at %d, size %d", size, len(lines), ok, at, opened.Checkpoint.Size)
		}
		old = size
	}
}

// sigsumDiffers says where sigsum-witness 0.11.1 gives another refusal. It
// looks at the number of hashes before the origin and the signature, and it
// says 422 of a fork of equal size, where C2SP tlog-witness wants 409.
func sigsumDiffers(ours answer, theirs int, reason string) bool {
	number := strings.Contains(reason, "expected empty consistency proof") || strings.Contains(reason, "consistency proof missing")
	return theirs == 400 && number && (ours.Status == 403 || ours.Status == 404 || ours.Status == 422) ||
		theirs == 422 && ours.Status == 409 && strings.HasPrefix(ours.Body, "fork: ")
}

// TestSameAnswersAsSigsum sends one stream of requests, good and bad, to our
// witness and to sigsum-witness: the statuses agree but for what sigsumDiffers
// says, and so do the sizes told.
func TestSameAnswersAsSigsum(t *testing.T) {
	skey, vkey := sigsumLogKey(t)
	signer, err := note.NewSigner(skey)
	must(t, err)
	b := newBench(t)
	b.log = &testLog{signer: signer, vkey: vkey}
	b.opts.Logs = []string{vkey}
	_, err = Add(b.dir, vkey)
	must(t, err)
	b.reopen(t)
	b.log.grow(t, 60, "main")
	fork := forked(t, b.log)
	fork.grow(t, 60, "other")
	w := startSigsum(t, vkey)
	random := rand.New(rand.NewPCG(3, 3))
	held := int64(0)
	count := map[int]int{}
	for i := range 600 {
		body := anyRequest(t, random, b.log, fork, held)
		status, theirs, err := submit(w.url, body)
		must(t, err)
		ours := b.post(t, body)
		if ours.Status != status && !sigsumDiffers(ours, status, theirs) {
			t.Errorf("request %d: got %d %q, sigsum-witness says %d %q\n%s", i, ours.Status, ours.Body, status, theirs, body)
		}
		if ours.Type == sizeType && ours.Body != theirs {
			t.Errorf("request %d: got size %q, sigsum-witness says %q", i, ours.Body, theirs)
		}
		count[ours.Status]++
		if status == http.StatusOK {
			_, rest, _ := strings.Cut(string(body), "\n\n")
			_, err := fmt.Sscanf(strings.Split(rest, "\n")[1], "%d", &held)
			must(t, err)
		}
	}
	t.Logf("statuses %v", count)
	for _, status := range []int{200, 400, 403, 404, 409, 422} {
		if count[status] < 5 {
			t.Errorf("status %d came %d times, want 5 at least", status, count[status])
		}
	}
}

// anyRequest is a request of a log that is mostly right.
func anyRequest(t testing.TB, random *rand.Rand, main, fork *testLog, held int64) []byte {
	t.Helper()
	old, size := held, min(held+random.Int64N(3), main.size)
	switch random.IntN(10) {
	case 0:
		old = random.Int64N(main.size)
		size = old + random.Int64N(main.size-old)
	case 1:
		size = max(held, 1)
		return fork.step(t, max(held, 1), size)
	case 2:
		return fork.step(t, held, size)
	case 3:
		return request(size+1, nil, main.checkpoint(t, size))
	case 4:
		other := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(size + 1)}, 32))
		return bytes.Replace(main.step(t, old, size), []byte("\n\n"+main.signer.Name()), []byte("\n"+other+"\n\n"+main.signer.Name()), 1)
	case 5:
		return bytes.ReplaceAll(main.step(t, old, size), []byte("sigsum.org"), []byte("sigsum.net"))
	case 6:
		return bytes.Replace(main.step(t, old, size), []byte("\n\n"+main.signer.Name()+"\n"), []byte("\n\n"+main.signer.Name()+"\n1"), 1)
	case 7:
		return bytes.Replace(main.step(t, old, size), []byte("old "), []byte("old x"), 1)
	}
	return main.step(t, old, size)
}
