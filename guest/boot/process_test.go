package boot

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"safebox/guest/api"
	"safebox/guest/spawn"

	"golang.org/x/sys/unix"
)

func TestSealedFile(t *testing.T) {
	f, err := sealedFile("x", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := f.WriteAt([]byte("X"), 0); err == nil {
		t.Error("written after sealing")
	}
	if err := f.Truncate(1); err == nil {
		t.Error("shrunk after sealing")
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, 0); err == nil {
		t.Error("seals can still be added")
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "content" {
		t.Errorf("reads %q, %v", got, err)
	}
}

func TestAwaitReady(t *testing.T) {
	tests := []struct{ reply, want string }{
		{api.ReadyReply, ""},
		{"", `it says ""`},
		{"uid 0, gid 0, want neither to be 0", "uid 0"},
		{"ready\n", `"ready\n"`},
		{"readyready", "readyready"},
		{strings.Repeat("x", 1<<16), "xxx"},
	}
	for _, tt := range tests {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := io.WriteString(w, tt.reply)
			if cerr := w.Close(); err == nil && cerr != nil {
				t.Error(cerr)
			}
		}()
		err = awaitReady(api.ReadyReply, r)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.20q: got %.200v, want %q", tt.reply, err, tt.want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// reaper is the one that this process has: two would reap each other's
// children.
var reaper = sync.OnceValue(spawn.NewReaper) //nolint:gochecknoglobals // see above

// child is a process of the test's own that ends as told, once a line comes.
func child(t *testing.T, r *spawn.Reaper, script string) (*spawn.Child, func()) {
	t.Helper()
	in, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Begin(func() (int, error) {
		p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "read x; " + script}, &os.ProcAttr{Files: []*os.File{in, nil, nil}})
		if err != nil {
			return 0, err
		}
		pid := p.Pid
		return pid, p.Release()
	})
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	return c, func() {
		if err := tell.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAwaitEnd: whichever of the two ends first gives the reason its name,
// though the other follows.
func TestAwaitEnd(t *testing.T) {
	const stays = "sleep 2; exit 0"
	tests := []struct {
		name        string
		keeper, api string // how they end
		id, detail  string
	}{
		{"keeper killed, API follows", "kill -9 $$", "sleep 0.05; exit 1", "keeper-exited", "of the keeper killed by signal 9"},
		{"keeper fails, API follows", "exit 1", "exit 1", "keeper-exited", "of the keeper ended with status 1"},
		{"keeper ends alone", "exit 0", stays, "keeper-exited", "of the keeper ended with status 0"},
		{"API killed, keeper follows", "sleep 0.05; exit 0", "kill -9 $$", "api-exited", "of the API killed by signal 9"},
		{"API fails, keeper follows at once", "exit 0", "exit 1", "api-exited", "of the API ended with status 1"},
		{"API ends alone", stays, "exit 1", "api-exited", "of the API ended with status 1"},
	}
	for _, tt := range tests {
		r := reaper()
		keeper, endKeeper := child(t, r, tt.keeper)
		api, endAPI := child(t, r, tt.api)
		b := &machine{reaper: r, keeper: keeper, api: api, workers: make(chan error, 1)}
		endKeeper()
		endAPI()
		_, err := b.awaitEnd()
		var f failure
		if !errors.As(err, &f) || f.id != tt.id || !strings.Contains(err.Error(), tt.detail) {
			t.Errorf("%s: got %v, want %s: %s", tt.name, err, tt.id, tt.detail)
		}
		keeper.Ending()
		api.Ending()
	}
}

// TestServiceOfWorkersEnds: a keeper that breaks the protocol is a reason of
// its own; one that ends, and so closes its socket, is not.
func TestServiceOfWorkersEnds(t *testing.T) {
	for _, tt := range []struct{ keeper, id string }{
		{"sleep 1", "workers"},
		{"exit 2", "keeper-exited"},
	} {
		r := reaper()
		keeper, endKeeper := child(t, r, tt.keeper)
		api, endAPI := child(t, r, "sleep 1")
		b := &machine{reaper: r, keeper: keeper, api: api, workers: make(chan error, 1)}
		endKeeper()
		endAPI()
		b.workers <- errors.New("broken")
		_, err := b.awaitEnd()
		var f failure
		if !errors.As(err, &f) || f.id != tt.id {
			t.Errorf("got %v, want %s", err, tt.id)
		}
		keeper.Ending()
		api.Ending()
	}
}
