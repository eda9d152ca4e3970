package confine

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// checkPrivileges checks what PID 1 means to have taken away: the process has
// its own uid, no capability in any set, and can't gain any.
func checkPrivileges(r Role) error {
	want := r.UID()
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	for _, id := range []int{ruid, euid, suid, rgid, egid, sgid} {
		if id != want {
			return fmt.Errorf("got uids %d %d %d and gids %d %d %d, want all %d", ruid, euid, suid, rgid, egid, sgid, want)
		}
	}
	groups, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("asking for groups: %w", err)
	}
	if len(groups) != 0 {
		return fmt.Errorf("got supplementary groups %v, want none", groups)
	}
	if err := wantPrctl(unix.PR_GET_NO_NEW_PRIVS, 1, "no_new_privs"); err != nil {
		return err
	}
	return checkCapabilities()
}

// checkCapabilities wants all five sets of capabilities(7) empty.
func checkCapabilities() error {
	var header unix.CapUserHeader
	header.Version = unix.LINUX_CAPABILITY_VERSION_3
	var caps [2]unix.CapUserData // 64 bits in two halves (capget(2))
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return fmt.Errorf("asking for capabilities: %w", err)
	}
	for i, c := range caps {
		if c.Effective|c.Permitted|c.Inheritable != 0 {
			return fmt.Errorf("capabilities %d: got effective %#x, permitted %#x, inheritable %#x, want none", i, c.Effective, c.Permitted, c.Inheritable)
		}
	}
	for n := uintptr(0); ; n++ {
		bound, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, n, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) && n > unix.CAP_SETPCAP {
			return nil // past the last capability that this kernel knows
		}
		if err != nil {
			return fmt.Errorf("asking for capability %d of the bounding set: %w", n, err)
		}
		ambient, err := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, n, 0, 0)
		if err != nil {
			return fmt.Errorf("asking for ambient capability %d: %w", n, err)
		}
		if bound != 0 || ambient != 0 {
			return fmt.Errorf("capability %d: got bounding %d, ambient %d, want neither", n, bound, ambient)
		}
	}
}

func wantPrctl(option, want int, name string) error {
	got, err := unix.PrctlRetInt(option, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", name, err)
	}
	if got != want {
		return fmt.Errorf("%s: got %d, want %d", name, got, want)
	}
	return nil
}
