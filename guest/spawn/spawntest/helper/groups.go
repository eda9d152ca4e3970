package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"safebox/guest/spawn"

	"golang.org/x/sys/unix"
)

// groups makes real groups of cgroup v2 but sets no limit in them: a machine
// that runs tests may have its controllers elsewhere. The limits themselves are
// tested in a booted guest. It is the beginning of their paths.
type groups string

// New implements spawn.Groups.
func (g groups) New(name string, threads int, memory int64) (spawn.Group, error) {
	if threads != 64 || memory%4096 != 0 {
		return nil, fmt.Errorf("got %d threads and %d bytes", threads, memory)
	}
	path := string(g) + name
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, err
	}
	folder, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &group{path, folder}, nil
}

type group struct {
	path   string
	folder *os.File
}

// Folder implements spawn.Group.
func (g *group) Folder() *os.File { return g.folder }

// OOMKilled implements spawn.Group: the test says so by a file.
func (g *group) OOMKilled() (bool, error) {
	_, err := os.Stat(os.Getenv("OOM"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Remove implements spawn.Group.
func (g *group) Remove() error {
	err := g.folder.Close()
	for end := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		removed := os.Remove(g.path)
		if !errors.Is(removed, unix.EBUSY) || time.Now().After(end) {
			return errors.Join(err, removed)
		}
	}
}
