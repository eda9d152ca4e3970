package spawn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"safebox/guest/confine"

	"golang.org/x/sys/unix"
)

// Server is PID 1's side: it starts the workers that the keeper asks for, one
// at a time, and says how they ended.
type Server struct {
	conn   *net.UnixConn
	path   string
	reaper *Reaper
	groups Groups
	watch  func(pid int)

	mu      sync.Mutex
	last    uint32
	current *running
	failed  chan error // of what goes on beside the loop
}

// running is the worker of the moment.
type running struct {
	number uint32
	child  *Child
	group  Group
	wall   atomic.Bool // killed for its wall limit
}

// NewServer takes over PID 1's end of the socket pair and closes f. Workers
// run the program at path; watch is told of each.
func NewServer(f *os.File, path string, r *Reaper, g Groups, watch func(pid int)) (*Server, error) {
	taken, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("taking over the spawn socket: %w", err)
	}
	conn, ok := taken.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("taking over the spawn socket: got a %T", taken), taken.Close())
	}
	return &Server{conn: conn, path: path, reaper: r, groups: g, watch: watch, failed: make(chan error, 1)}, nil
}

// Serve answers the keeper until something fails. What the keeper may not ask
// is refused by message; what it would never send ends the service.
func (s *Server) Serve() error {
	requests := make(chan error, 1)
	go func() { requests <- s.receive() }()
	var err error
	select {
	case err = <-requests:
	case err = <-s.failed:
	}
	return errors.Join(err, s.conn.Close())
}

func (s *Server) receive() error {
	b := make([]byte, maxMessage+1)
	for {
		n, err := s.conn.Read(b)
		if err != nil {
			return fmt.Errorf("reading from the keeper: %w", err)
		}
		m, err := decodeMessage(b[:n])
		if err != nil {
			return err
		}
		switch m.op {
		case opStart:
			err = s.start(m)
		case opKill:
			err = s.kill(m.worker)
		default:
			err = fmt.Errorf("message %d of the keeper: not expected", m.op)
		}
		if err != nil {
			return err
		}
	}
}

// start starts a worker, or sends why not. An error is one of the socket.
func (s *Server) start(m message) error {
	w, conn, err := s.launch(m)
	if err != nil {
		return s.send(message{op: opRefused, worker: m.worker, text: err.Error()})
	}
	sent := s.sendStarted(m.worker, conn)
	if err := errors.Join(sent, unix.Close(conn)); err != nil {
		return err
	}
	timer := time.AfterFunc(m.limits.Wall, func() { s.expire(w) })
	go func() {
		ending := w.child.Ending()
		timer.Stop()
		if err := s.ended(w, ending); err != nil {
			s.fail(err)
		}
	}()
	return nil
}

// launch gives the worker and the keeper's end of its socket.
func (s *Server) launch(m message) (w *running, conn int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := m.limits.check(); err != nil {
		return nil, 0, err
	}
	if s.current != nil {
		return nil, 0, fmt.Errorf("worker %d still runs", s.current.number)
	}
	if m.worker <= s.last {
		return nil, 0, fmt.Errorf("worker number: got %d after %d", m.worker, s.last)
	}
	s.last = m.worker
	group, err := s.groups.New("worker-"+strconv.FormatUint(uint64(m.worker), 10), confine.Worker.Threads(), m.limits.Memory)
	if err != nil {
		return nil, 0, err
	}
	child, conn, err := s.fork(group, m.limits.Engine)
	if err != nil {
		return nil, 0, errors.Join(err, group.Remove())
	}
	s.watch(child.PID)
	w = &running{number: m.worker, child: child, group: group}
	s.current = w
	return w, conn, nil
}

// fork starts the process with one end of a new socket pair. The other end
// does not block, so that the keeper can set deadlines.
func (s *Server) fork(group Group, engine string) (child *Child, conn int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "worker")
	err = unix.SetNonblock(pair[0], true)
	if err == nil {
		child, err = s.reaper.Start(Process{
			Path: s.path, Role: confine.Worker, Args: []string{engine}, Files: []*os.File{theirs}, Group: group,
		})
	}
	if err = errors.Join(err, theirs.Close()); err != nil {
		return nil, 0, errors.Join(err, unix.Close(pair[0]))
	}
	return child, pair[0], nil
}

// expire kills a worker whose time is up.
func (s *Server) expire(w *running) {
	w.wall.Store(true) // before the end can be seen
	killed, err := w.child.Kill()
	if !killed {
		w.wall.Store(false)
	}
	if err != nil {
		s.fail(err)
	}
}

func (s *Server) kill(number uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.number != number {
		return nil // has ended; the message about it is on its way
	}
	_, err := s.current.child.Kill()
	return err
}

// ended clears up after a worker and tells the keeper.
func (s *Server) ended(w *running, e Ending) error {
	oom, err := w.group.OOMKilled()
	if err = errors.Join(err, w.group.Remove()); err != nil {
		return err
	}
	e.OOM, e.Wall = oom, w.wall.Load() && e.Signal == int(unix.SIGKILL)
	s.mu.Lock()
	s.current = nil // before the keeper knows, who may ask for the next
	s.mu.Unlock()
	return s.send(message{op: opEnded, worker: w.number, ending: e})
}

func (s *Server) send(m message) error {
	if _, err := s.conn.Write(m.encode()); err != nil {
		return fmt.Errorf("writing to the keeper: %w", err)
	}
	return nil
}

func (s *Server) sendStarted(number uint32, conn int) error {
	if _, _, err := s.conn.WriteMsgUnix(message{op: opStarted, worker: number}.encode(), unix.UnixRights(conn), nil); err != nil {
		return fmt.Errorf("writing to the keeper: %w", err)
	}
	return nil
}

// fail ends Serve; the first error counts.
func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}
