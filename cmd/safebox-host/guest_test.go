package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"safebox/verifier/canon"
	"safebox/verifier/challenge"
	"safebox/verifier/evidence"
	"safebox/verifier/guestapi"
	"safebox/verifier/transcript"
)

// fakeGuest stands in for an appliance: it speaks on its console, serves an
// API and asks for one shard on the channel that the host opens.
func fakeGuest(mode string, args []string) int {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	port := regexp.MustCompile(`hostfwd=tcp:127\.0\.0\.1:([0-9]+)-:8080`).FindStringSubmatch(strings.Join(args, " "))
	ln, err := net.Listen("tcp", "127.0.0.1:"+port[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "qemu-system-x86_64: %v\n", err)
		return 1
	}
	g := &fakeAPI{mode: mode}
	go func() { fmt.Fprintln(os.Stderr, http.Serve(ln, g)) }()
	fmt.Print("\x1b[2Jfirmware\r\nsafebox: [   0.000100] ok mounts 0.000010s six of them\r\nsafebox: [   0.000200] ready\r\n")
	switch mode {
	case "flood":
		for range 10000 {
			fmt.Print("safebox: [   0.000300] ok again 0.000010s\r\n")
		}
	case "short":
		time.Sleep(500 * time.Millisecond)
		fmt.Print("safebox: [   1.000000] power-off keeper: it died\r\n")
		return 0
	}
	<-ended
	fmt.Fprintln(os.Stderr, "qemu-system-x86_64: terminating on signal 15 from pid 1 (agent)")
	return 0
}

// fakeAPI is the guest's API as far as the agent and its commands ask.
type fakeAPI struct{ mode string }

func (g *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	switch r.Method + " " + r.RequestURI {
	case "GET " + guestapi.HealthPath:
		if g.mode == "sick" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		g.say(w, []byte(`{"status":"ok"}`))
	case "POST " + guestapi.ConfigurationPath:
		if g.mode == "late" {
			g.refuse(w, "config-late", "quoted already")
			return
		}
		fmt.Printf("configured with %s\r\n", body)
	case "GET " + guestapi.IdentityPath:
		id := guestapi.Identity{Type: guestapi.IdentityType, AK: []byte("the AK"), EKs: []guestapi.EK{
			{Kind: challenge.RSA2048, Public: []byte("the EK"), Certificate: []byte("its certificate")},
		}}
		b, err := id.Encode()
		g.say(w, b, err)
	case "POST " + guestapi.EvidencePath:
		g.answerChallenge(w, body)
	case "GET " + guestapi.ShardChannelPath:
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		askForShard(conn, rw)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (g *fakeAPI) say(w http.ResponseWriter, b []byte, errs ...error) {
	for _, err := range errs {
		if err != nil {
			panic(err)
		}
	}
	if _, err := w.Write(b); err != nil {
		panic(err)
	}
}

func (g *fakeAPI) refuse(w http.ResponseWriter, id, detail string) {
	b, err := guestapi.EncodeProblem(&guestapi.Problem{ID: id, Detail: detail})
	w.WriteHeader(http.StatusUnprocessableEntity)
	g.say(w, b, err)
}

// answerChallenge gives evidence of a platform that needs little of it.
func (g *fakeAPI) answerChallenge(w http.ResponseWriter, body []byte) {
	c, err := challenge.Decode(body)
	switch {
	case err != nil || g.mode == "full":
		g.refuse(w, "challenge-full", "16 are open")
		return
	case g.mode == "liar":
		g.say(w, []byte("trust me"))
		return
	}
	e := evidence.Evidence{
		Type: evidence.Type, Platform: transcript.SNP, SNP: &evidence.SNP{Report: []byte("report")}, Nonce: c.Nonce, Audience: transcript.Audience(c.Audience), Release: c.Release,
		KEM: append(binary.BigEndian.AppendUint16(nil, transcript.KEMID), make([]byte, transcript.KEMPublicSize)...),
	}
	b, err := e.Encode()
	g.say(w, b, err)
}

// shardRoot is what the guest asks for. The script's shard has another root:
// the host must look at the name alone, since it proves nothing.
var shardRoot = canon.Octets32{0xab}

// askForShard takes the connection over and asks once.
func askForShard(conn net.Conn, rw *bufio.ReadWriter) {
	request := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + guestapi.ShardProtocol + "\r\n\r\n" +
		"GET " + guestapi.ShardPath + shardRoot.String() + " HTTP/1.1\r\nHost: safebox\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		panic(err)
	}
	a, err := http.ReadResponse(rw.Reader, nil)
	if err != nil {
		fmt.Printf("shard channel: %v\r\n", err)
		return
	}
	b, err := io.ReadAll(a.Body)
	fmt.Printf("shard: %d %q %v\r\n", a.StatusCode, bytes.TrimSpace(b), err)
}
