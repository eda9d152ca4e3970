package spawn

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cgroups is the root of a cgroup v2 hierarchy (Linux
// Documentation/admin-guide/cgroup-v2.rst), which PID 1 mounts and nobody else
// can write to.
type Cgroups string

// controllers that the processes of the guest need.
func controllers() []string { return []string{"memory", "pids"} }

// Enable hands the controllers to the groups below the root. A kernel without
// them is an error: a worker's limit would be none.
func (c Cgroups) Enable() error {
	control := filepath.Join(string(c), "cgroup.subtree_control")
	for _, name := range controllers() {
		if err := writeFile(control, "+"+name); err != nil {
			return fmt.Errorf("enabling cgroup controller %s: %w", name, err)
		}
	}
	text, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	got := strings.Fields(string(text))
	if len(got) != len(controllers()) {
		return fmt.Errorf("enabling cgroup controllers: got %v, want %v", got, controllers())
	}
	return nil
}

// cgroup is one group, which holds one process.
type cgroup struct {
	path   string
	folder *os.File
}

// New makes a group of at most so many threads and, unless memory is 0, so
// many bytes, of which none can be swapped out. When the memory is used up,
// all of the group is killed.
func (c Cgroups) New(name string, threads int, memory int64) (Group, error) {
	path := filepath.Join(string(c), name)
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fmt.Errorf("making cgroup: %w", err)
	}
	g := &cgroup{path: path}
	var err error
	for _, setting := range settings(threads, memory) {
		err = errors.Join(err, g.limit(setting.file, setting.value))
	}
	if err == nil {
		g.folder, err = os.Open(path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making cgroup %s: %w", name, err), os.Remove(path))
	}
	return g, nil
}

// setting is one file of a group and what it gets.
type setting struct{ file, value string }

// settings bound a group.
func settings(threads int, memory int64) []setting {
	all := []setting{{"pids.max", strconv.Itoa(threads)}}
	if memory > 0 {
		whole := memory &^ (int64(os.Getpagesize()) - 1) // as the kernel rounds
		all = append(all, setting{"memory.max", strconv.FormatInt(whole, 10)}, setting{"memory.swap.max", "0"}, setting{"memory.oom.group", "1"})
	}
	return all
}

// limit writes a setting and reads it back.
func (g *cgroup) limit(file, value string) error {
	path := filepath.Join(g.path, file)
	if err := writeFile(path, value); err != nil {
		return err
	}
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if text := string(bytes.TrimSuffix(got, []byte("\n"))); text != value {
		return fmt.Errorf("setting %s: reads back %q, want %q", file, text, value)
	}
	return nil
}

// Folder implements Group.
func (g *cgroup) Folder() *os.File { return g.folder }

// OOMKilled implements Group.
func (g *cgroup) OOMKilled() (bool, error) {
	text, err := os.ReadFile(filepath.Join(g.path, "memory.events"))
	if err != nil {
		return false, err
	}
	return parseOOM(text)
}

// parseOOM reads the line "oom_kill N" of memory.events.
func parseOOM(events []byte) (bool, error) {
	for line := range strings.Lines(string(events)) {
		text, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "oom_kill ")
		if !found {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return false, fmt.Errorf("parsing memory.events: %w", err)
		}
		return n > 0, nil
	}
	return false, errors.New("parsing memory.events: no oom_kill")
}

// Remove implements Group. The kernel may need a moment after the last process
// is reaped.
func (g *cgroup) Remove() error {
	err := g.folder.Close()
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		removed := os.Remove(g.path)
		if removed == nil || errors.Is(removed, fs.ErrNotExist) {
			return err
		}
		if !errors.Is(removed, unix.EBUSY) || time.Now().After(end) {
			return errors.Join(err, fmt.Errorf("removing cgroup: %w", removed))
		}
	}
}

// writeFile writes to a file that is there: the kernel's, or none.
func writeFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
