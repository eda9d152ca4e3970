package boot

import (
	"errors"
	"fmt"
	"os"

	"safebox/guest/confine"
	"safebox/guest/keeper"
	"safebox/guest/spawn"
	"safebox/initrd/layout"

	"golang.org/x/sys/unix"
)

// startKeeper starts the process that holds keys. It gets the socket by which
// it asks PID 1 for workers, two to the API, the TPM and the event log; it has
// no network and no file system.
func (b *machine) startKeeper() (detail string, err error) {
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()

	serve, ask, err := pair(unix.SOCK_SEQPACKET)
	if err != nil {
		return "", err
	}
	open.add(ask)
	if err := b.serveWorkers(serve); err != nil {
		return "", err
	}
	fromAPI, toKeeper, err := pair(unix.SOCK_STREAM)
	if err != nil {
		return "", err
	}
	open.add(fromAPI)
	b.toKeeper = toKeeper
	toAPI, fromKeeper, err := pair(unix.SOCK_STREAM)
	if err != nil {
		return "", err
	}
	open.add(toAPI)
	b.toAPI = fromKeeper
	tpm, err := os.OpenFile(tpmDevice, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	open.add(tpm)
	log, err := sealedFile("event-log", b.report.EventLog)
	if err != nil {
		return "", err
	}
	open.add(log)
	b.starting, err = b.start(confine.Keeper, ask, fromAPI, toAPI, tpm, log)
	if err != nil {
		return "", err
	}
	b.keeper = b.starting.Child
	return fmt.Sprintf("pid %d", b.keeper.PID), nil
}

// awaitKeeper waits until the keeper has made its keys in the TPM.
func (b *machine) awaitKeeper() (string, error) { return "", b.starting.await(keeper.ReadyReply) }

// serveWorkers answers the keeper, whose end of the socket is elsewhere, from
// now on.
func (b *machine) serveWorkers(socket *os.File) error {
	watch := func(pid int) { b.watch(string(confine.Worker), pid) }
	s, err := spawn.NewServer(socket, "/"+layout.Init, b.reaper, b.groups, watch)
	if err != nil {
		return err
	}
	b.workers = make(chan error, 1)
	go func() { b.workers <- s.Serve() }()
	return nil
}

// pair gives two connected sockets.
func pair(kind int) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}
