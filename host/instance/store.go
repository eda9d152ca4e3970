// Package instance keeps the running guests of one user in a folder: who they
// are, what they said, and what must go when they end.
//
//	DIR/lock                 held while folders come and go
//	DIR/ID/lock              held by the agent for as long as it lives
//	DIR/ID/instance.json     Info
//	DIR/ID/console.log       kept after the end
//	DIR/ID/run/              TPM state and variables; removed at the end
//
// Whether an agent lives is asked from the kernel, by flock(2) on its lock: the
// kernel drops it at the agent's end, however it comes. A process number is
// used only to send a signal, and only while the lock shows that it is still
// the agent's.
package instance

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"safebox/host/hint"
	"safebox/host/lockfile"
)

// Names below the store and below an instance.
const (
	lockName    = "lock"
	infoName    = "instance.json"
	consoleName = "console.log"
	runName     = "run"
	tempSuffix  = ".new" // of a description that is being written
)

// Type is the value of Info.Type.
const Type = "safebox/instance/v1"

// maxInfo bounds an instance.json.
const maxInfo = 64 << 10

// keptEnded is how many ended instances keep their console log; older ones go
// at the next launch.
const keptEnded = 16

// Info describes an instance.
type Info struct {
	Type     string     `json:"type"`
	ID       string     `json:"id"`
	State    State      `json:"state"`
	Platform string     `json:"platform"`
	Boot     string     `json:"boot"`
	Accel    string     `json:"accel"` // empty until settled
	VCPUs    int        `json:"vcpus"`
	Memory   int64      `json:"memory"` // bytes
	URL      string     `json:"url"`    // of the relay
	Release  string     `json:"release"`
	Console  string     `json:"console"`  // path of the console log
	TPMRoot  string     `json:"tpm_root"` // path of the TPM's root certificate, PEM; made after the start
	PID      int        `json:"pid"`      // of the agent
	PIDSpace string     `json:"pid_namespace"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended"`  // null while it runs, and after an agent was killed
	Reason   string     `json:"reason"` // of the end
}

// State is where an instance stands.
type State string

// The states. Killed is never written: it is an agent that has gone without
// writing Ended.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Ended    State = "ended"
	Killed   State = "killed"
)

// Running tells whether the agent lives.
func (i *Info) Running() bool { return i.State == Starting || i.State == Ready }

// Store is the folder with all instances.
type Store struct{ dir string }

// DefaultDir is $XDG_STATE_HOME/safebox/instances, or its default below the
// home folder (XDG Base Directory Specification 0.8).
func DefaultDir(env func(string) string) (string, error) {
	if d := env("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "safebox", "instances"), nil
	}
	if h := env("HOME"); filepath.IsAbs(h) {
		return filepath.Join(h, ".local", "state", "safebox", "instances"), nil
	}
	return "", hint.New(errors.New("no folder for the instances: neither XDG_STATE_HOME nor HOME is set"), "name one with --state DIR")
}

// Open opens the store in dir, which is made if it is missing: the folder is
// for its owner alone, since a TPM's state lies there.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening instances: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("opening instances: %w", err)
	}
	return &Store{dir: abs}, nil
}

// NewID is a random name for an instance.
func NewID() string { return strings.ToLower(rand.Text()[:8]) }

// maxID bounds an instance's name.
const maxID = 32

// CheckID accepts a-z, 0-9 and, inside, '-'.
func CheckID(id string) error {
	ok := id != "" && len(id) <= maxID && id[0] != '-' && id[len(id)-1] != '-'
	for _, c := range []byte(id) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return fmt.Errorf("instance name %q: want 1 to %d of a-z, 0-9 and, inside, -", id, maxID)
	}
	return nil
}

// Path is the folder of an instance, whether it exists or not.
func (s *Store) Path(id string) string { return filepath.Join(s.dir, id) }

// RunDir is the folder for what must not outlive the instance.
func (s *Store) RunDir(id string) string { return filepath.Join(s.Path(id), runName) }

// List gives all instances, oldest first, and removes what killed agents left.
func (s *Store) List() ([]Info, error) {
	var all []Info
	err := s.locked(func() error {
		var err error
		all, err = s.sweep()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing instances: %w", err)
	}
	return all, nil
}

// Find gives one instance.
func (s *Store) Find(id string) (Info, error) {
	all, err := s.List()
	if err != nil {
		return Info{}, err
	}
	for _, i := range all {
		if i.ID == id {
			return i, nil
		}
	}
	return Info{}, hint.New(fmt.Errorf("no instance %q", id), "safebox-host ls --all shows the instances")
}

// locked runs f while no other process changes the store.
func (s *Store) locked(f func() error) error {
	l, err := lockfile.Wait(filepath.Join(s.dir, lockName))
	if err != nil {
		return err
	}
	return errors.Join(f(), l.Close())
}

// sweep reads every instance, removes the temporary state of those whose agent
// is gone, and gives them oldest first. What is left of a launch that never was
// goes altogether; any other folder without a description is somebody else's.
func (s *Store) sweep() ([]Info, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, e := range entries {
		if !e.IsDir() || CheckID(e.Name()) != nil {
			continue
		}
		i, err := s.look(e.Name())
		if err != nil {
			return nil, err
		}
		if i != nil {
			all = append(all, *i)
		}
	}
	slices.SortFunc(all, func(a, b Info) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

// look reads one instance and cleans up after it; nil if nothing is left.
func (s *Store) look(id string) (*Info, error) {
	dir := s.Path(id)
	alive, err := lockfile.Held(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	i, err := readInfo(filepath.Join(dir, infoName))
	if alive {
		if err != nil || i.ID != id {
			return nil, fmt.Errorf("instance %q runs and has no readable description: %w", id, err)
		}
		return i, nil
	}
	if err != nil || i.ID != id {
		return nil, removeUnborn(dir)
	}
	if i.State != Ended {
		i.State = Killed
	}
	return i, removeAbandoned(filepath.Join(dir, runName))
}

// Processes of a killed agent get SIGKILL with it, but may make a last file
// before they are gone.
const (
	abandonedTime  = 5 * time.Second
	abandonedPause = 20 * time.Millisecond
)

// removeAbandoned removes a folder whose owner was killed a moment ago.
func removeAbandoned(dir string) error {
	for deadline := time.Now().Add(abandonedTime); ; time.Sleep(abandonedPause) {
		err := os.RemoveAll(dir)
		if !errors.Is(err, syscall.ENOTEMPTY) || time.Now().After(deadline) {
			return err
		}
	}
}

// removeUnborn removes the folder of an agent that was killed before it had
// written its description. --state may name any folder of the user's, so what
// does not look like that, name for name, is left alone.
func removeUnborn(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	locked := false
	for _, e := range entries {
		switch e.Name() {
		case lockName: // the first thing that create makes
			locked = e.Type().IsRegular()
		case runName, consoleName, infoName + tempSuffix:
		default:
			return nil
		}
	}
	if !locked {
		return nil
	}
	return os.RemoveAll(dir)
}

func readInfo(path string) (*Info, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxInfo {
		return nil, fmt.Errorf("%s: %d bytes, want at most %d", path, fi.Size(), maxInfo)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var i Info
	if err := json.Unmarshal(b, &i); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if i.Type != Type {
		return nil, fmt.Errorf("%s: type %q, want %q", path, i.Type, Type)
	}
	return &i, nil
}

// writeInfo writes the description, whole or not at all.
func writeInfo(path string, i *Info) error {
	b, err := json.Marshal(i)
	if err != nil {
		return err
	}
	temp := path + tempSuffix
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return errors.Join(err, removeIfThere(temp))
	}
	return os.Rename(temp, path)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
