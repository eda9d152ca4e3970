// Package confinetest does to a TEST-ONLY process what PID 1 does to the
// processes that it starts, so that their roles can be tested on any machine.
package confinetest

import (
	"errors"
	"syscall"

	"safebox/guest/confine"
)

// GiveUp leaves nothing that confine.Apply would not accept of a process of
// the role.
func GiveUp(r confine.Role) error {
	if err := confine.ForbidNewPrivileges(); err != nil {
		return err
	}
	if _, err := confine.EmptyBoundingSet(); err != nil {
		return err
	}
	uid := r.UID()
	return errors.Join(syscall.Setgroups([]int{}), syscall.Setresgid(uid, uid, uid), syscall.Setresuid(uid, uid, uid))
}

// Run gives up what a process of the role has not, and becomes it. A process
// that is to keep its privileges, for a test of what happens then, is started
// with the argument "root".
func Run(args []string, r confine.Role, become func() int) (status int, err error) {
	if len(args) == 2 && args[1] == "root" {
		return become(), nil
	}
	if err := GiveUp(r); err != nil {
		return 2, err
	}
	return become(), nil
}
