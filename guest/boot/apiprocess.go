package boot

import (
	"errors"
	"fmt"
	"net"
	"os"

	"safebox/guest/api"
	"safebox/guest/confine"
	"safebox/verifier/guestapi"
)

// startAPI starts the process that parses what the network sends. It gets the
// report, the listening socket, which stays in PID 1's network namespace, and
// its two ends to the keeper.
func (b *machine) startAPI() (detail string, err error) {
	encoded, err := b.report.Encode()
	if err != nil {
		return "", err
	}
	open := closers{b.toKeeper, b.toAPI}
	defer func() { err = errors.Join(err, open.close()) }()

	report, err := sealedFile("boot-report", encoded)
	if err != nil {
		return "", err
	}
	open.add(report)
	socket, err := listen()
	if err != nil {
		return "", err
	}
	open.add(socket)
	s, err := b.start(confine.API, report, socket, b.toKeeper, b.toAPI)
	if err != nil {
		return "", err
	}
	b.api = s.Child
	if err := s.await(api.ReadyReply); err != nil {
		return "", err
	}
	return fmt.Sprintf("pid %d, port %d", b.api.PID, guestapi.Port), nil
}

func listen() (*os.File, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: guestapi.Port})
	if err != nil {
		return nil, err
	}
	f, err := l.File()
	return f, errors.Join(err, l.Close())
}
