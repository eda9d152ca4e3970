package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"safebox/host/hint"
	"safebox/host/lockfile"
)

// Instance is this process's own instance.
type Instance struct {
	dir  string
	lock *os.File
	log  *os.File
	mu   sync.Mutex // guards info: the relay reads it
	info Info
}

// Create makes the instance that info names and removes what killed agents
// left. An ended instance of the same name is replaced.
func (s *Store) Create(info Info) (*Instance, error) {
	if err := CheckID(info.ID); err != nil {
		return nil, err
	}
	var inst *Instance
	err := s.locked(func() error {
		all, err := s.sweep()
		if err != nil {
			return err
		}
		if err := s.makeRoom(all, info.ID); err != nil {
			return err
		}
		inst, err = s.create(info)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("creating instance %q: %w", info.ID, err)
	}
	return inst, nil
}

// makeRoom removes an ended instance of the same name, and of the others the
// oldest beyond what is kept.
func (s *Store) makeRoom(all []Info, id string) error {
	var ended []string
	for _, i := range all {
		switch {
		case i.ID == id && i.Running():
			return hint.New(errors.New("an instance of that name runs"), "choose another --name, or end it with safebox-host stop "+id)
		case i.ID == id:
			if err := os.RemoveAll(s.Path(id)); err != nil {
				return err
			}
		case !i.Running():
			ended = append(ended, i.ID)
		}
	}
	for _, id := range ended[:max(0, len(ended)-keptEnded+1)] {
		if err := os.RemoveAll(s.Path(id)); err != nil {
			return err
		}
	}
	return nil
}

// create makes the folder; all of it or nothing.
func (s *Store) create(info Info) (inst *Instance, err error) {
	dir := s.Path(info.ID)
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	inst = &Instance{dir: dir, info: info}
	defer func() {
		if err != nil {
			err = errors.Join(err, inst.closeFiles(), os.RemoveAll(dir))
		}
	}()
	if inst.lock, err = lockfile.Wait(filepath.Join(dir, lockName)); err != nil {
		return nil, err
	}
	if err = os.Mkdir(inst.RunDir(), 0o700); err != nil {
		return nil, err
	}
	inst.log, err = os.OpenFile(filepath.Join(dir, consoleName), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	space, err := pidSpace()
	if err != nil {
		return nil, err
	}
	inst.info.Type = Type
	inst.info.State = Starting
	inst.info.Console = inst.log.Name()
	inst.info.PID = os.Getpid()
	inst.info.PIDSpace = space
	inst.info.Started = time.Now().UTC().Truncate(time.Millisecond)
	if err = inst.write(); err != nil {
		return nil, err
	}
	return inst, nil
}

// makeFolder makes the folder anew. An empty one is what an agent leaves that
// was killed before its next step.
func makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) && syscall.Rmdir(dir) == nil {
		err = os.Mkdir(dir, 0o700)
	}
	return err
}

// pidSpace names the space in which our process number means something.
func pidSpace() (string, error) { return os.Readlink("/proc/self/ns/pid") }

// Info describes the instance as it stands.
func (i *Instance) Info() Info {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.info
}

// Update changes the description.
func (i *Instance) Update(change func(*Info)) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(&i.info)
	return i.write()
}

func (i *Instance) write() error { return writeInfo(filepath.Join(i.dir, infoName), &i.info) }

// RunDir is the folder for what must not outlive the instance.
func (i *Instance) RunDir() string { return filepath.Join(i.dir, runName) }

// Console is the console log, open for writing.
func (i *Instance) Console() *os.File { return i.log }

// End removes the temporary state, notes the reason and lets go of the
// instance. The temporary state goes in any case.
func (i *Instance) End(reason string) error {
	err := os.RemoveAll(i.RunDir())
	err = errors.Join(err, i.Update(func(info *Info) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		info.State, info.Ended, info.Reason = Ended, &now, reason
	}))
	if err = errors.Join(err, i.closeFiles()); err != nil {
		return fmt.Errorf("ending instance: %w", err)
	}
	return nil
}

func (i *Instance) closeFiles() error {
	var err error
	for _, f := range []*os.File{i.log, i.lock} { // the lock last: the instance runs until all is done
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
