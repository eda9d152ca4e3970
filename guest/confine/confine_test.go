package confine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// probe is the program confinetest/probe, built once as the appliance is:
// without cgo.
type probe struct {
	role Role
	args []string // after argument 0
	keep string   // privileges that it does not give up
}

var buildProbe = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "probe")
	build := exec.Command("go", "build", "-o", path, "./confinetest/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the probe: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	if path, err := buildProbe(); err == nil {
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			fmt.Fprintln(os.Stderr, err) //nolint:errcheck // the last words
			status = 1
		}
	}
	os.Exit(status)
}

// command gives a process of the probe that will do the action.
func (p probe) command(t *testing.T, action string, files ...*os.File) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("these tests take privileges away, so they need to have them: run them as root")
	}
	path, err := buildProbe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = append([]string{string(p.role)}, p.args...)
	cmd.Env = []string{"PROBE=" + action, "PROBE_KEEP=" + p.keep, "GODEBUG=containermaxprocs=0,updatemaxprocs=0", "TZ=UTC"} // as spawn does
	out := &bytes.Buffer{}
	cmd.Stdout = out
	cmd.Stderr = out
	cmd.ExtraFiles = files
	return cmd, out
}

// says gives the last words of the probe after an action, or the signal that
// ended it.
func (p probe) says(t *testing.T, action string, files ...*os.File) string {
	t.Helper()
	cmd, out := p.command(t, action, files...)
	err := cmd.Run()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal().String()
	}
	if err != nil {
		t.Fatalf("probe: %v\n%s", err, out)
	}
	return out.String()
}

func roles() []Role { return []Role{Keeper, API, Worker} }

// TestApplyRefuses: each privilege that PID 1 should have taken away and did
// not is a reason not to start.
func TestApplyRefuses(t *testing.T) {
	for keep, want := range map[string]string{
		"no_new_privs": "no_new_privs: got 0, want 1",
		"bounding":     "capability 0: got bounding 1, ambient 0, want neither",
		"groups":       "got supplementary groups [1], want none",
		"root":         "got uids 0 0 0 and gids 0 0 0, want all 65533",
		"uid":          "got uids 65534 65534 65534 and gids 65534 65534 65534, want all 65533",
	} {
		if got := (probe{role: API, keep: keep}).says(t, "work"); got != "confining api: "+want {
			t.Errorf("%s: got %q, want %q", keep, got, want)
		}
	}
	if err := Apply("init"); err == nil || !strings.Contains(err.Error(), `got role "init"`) {
		t.Errorf("role init: got %v", err)
	}
	if err := Check("init"); err == nil || !strings.Contains(err.Error(), `got role "init"`) {
		t.Errorf("checking role init: got %v", err)
	}
}

// TestCheckOfUnconfined: without privileges but not confined is not confined.
func TestCheckOfUnconfined(t *testing.T) {
	for _, r := range roles() {
		want := fmt.Sprintf("checking confinement of %s: ", r)
		if got := (probe{role: r}).says(t, "check"); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAllThreads: threads from before Apply are filtered as well.
func TestAllThreads(t *testing.T) {
	for _, r := range roles() {
		if got := (probe{role: r}).says(t, "threads"); got != "fine" {
			t.Errorf("%s: got %q", r, got)
		}
	}
}

// hostile lists calls by name with the number of x86-64 (Linux
// arch/x86/entry/syscalls/syscall_64.tbl) and arguments; "p" is a pointer to
// zeroes. Without a filter none of them ends the process.
func hostile() map[string]string {
	return map[string]string{
		"execve": "59 p 0 0", "execveat": "322 -100 p 0 0 0", "fork": "57", "vfork": "58", "clone3": "435 p 88",
		"clone of a process": "56 17 0", "clone with namespaces": "56 0x50d0f00 0", "ptrace": "101 16 1",
		"process_vm_readv": "310 1 p 1 p 1 0", "process_vm_writev": "311 1 p 1 p 1 0", "kcmp": "312 1 1 0 0 0",
		"pidfd_open": "434 1 0", "pidfd_getfd": "438 0 0 0", "pidfd_send_signal": "424 0 0 0 0",
		"mount": "165 p p p 0 0", "umount2": "166 p 0", "pivot_root": "155 p p", "chroot": "161 p",
		"move_mount": "429 -1 p -1 p 0", "open_tree": "428 -1 p 0", "fsopen": "430 p 0", "fsconfig": "431 0 0 0 0 0",
		"fsmount": "432 0 0 0", "fspick": "433 -1 p 0", "mount_setattr": "442 -1 p 0 0 0",
		"unshare": "272 0x10000000", "setns": "308 0 0", "open_by_handle_at": "304 0 p 0", "name_to_handle_at": "303 -1 p p p 0",
		"bpf": "321 0 p 128", "perf_event_open": "298 p 0 -1 -1 0", "userfaultfd": "323 0",
		"io_uring_setup": "425 1 p", "io_uring_enter": "426 0 0 0 0 0 0", "io_uring_register": "427 0 0 0 0",
		"init_module": "175 p 0 p", "finit_module": "313 0 p 0", "delete_module": "176 p 0",
		"kexec_load": "246 0 0 0 0", "kexec_file_load": "320 0 0 0 p 0", "reboot": "169 0 0 0 0",
		"swapon": "167 p 0", "swapoff": "168 p",
		"add_key": "248 p p p 0 0", "request_key": "249 p p p 0", "keyctl": "250 0 0 0 0 0",
		"iopl": "172 3", "ioperm": "173 0 1 1", "modify_ldt": "154 0 0 0", "personality": "135 0x400000",
		"getpid of x32": "0x40000027", "number past the end": "0x7fffffff",
	}
}

// TestKilled: what only an attacker asks for ends the process at once.
func TestKilled(t *testing.T) {
	for name, arguments := range hostile() {
		for _, r := range roles() {
			if got := (probe{role: r}).says(t, "call "+arguments); got != unix.SIGSYS.String() {
				t.Errorf("%s: %s: got %q, want %q", r, name, got, unix.SIGSYS)
			}
		}
	}
	for name, arguments := range map[string]string{
		"socket": "41 2 1 0", "unix socket": "41 1 1 0", "netlink": "41 16 3 0", "packet": "41 17 3 0", "vsock": "41 40 1 0",
		"socketpair": "53 1 1 0 p", "connect": "42 0 p 16", "bind": "49 0 p 16", "listen": "50 0 1", "accept4": "288 0 0 0 0",
	} {
		for _, r := range []Role{Keeper, Worker} {
			if got := (probe{role: r}).says(t, "call "+arguments); got != unix.SIGSYS.String() {
				t.Errorf("%s: %s: got %q, want %q", r, name, got, unix.SIGSYS)
			}
		}
	}
	for _, r := range roles() {
		if got := (probe{role: r}).says(t, "int80"); got != unix.SIGSYS.String() {
			t.Errorf("%s: 32-bit call: got %q, want %q", r, got, unix.SIGSYS)
		}
	}
}

// TestInit: PID 1 loses the same calls but those that it starts processes and
// powers off with.
func TestInit(t *testing.T) {
	p := probe{role: "init", keep: "root"}
	keeps := map[string]string{
		"execve": "call: no such file or directory", "reboot": "call: invalid argument",
		"pidfd_open": "returned", "pidfd_send_signal": "call: bad file descriptor",
	}
	for name, arguments := range hostile() {
		want, kept := keeps[name]
		switch {
		case name == "clone of a process", name == "clone with namespaces", name == "clone3":
			continue // they would make one: see the action below
		case !kept:
			want = unix.SIGSYS.String()
		}
		if got := p.says(t, "call "+arguments); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, action := range []string{"start", "work"} {
		if got := p.says(t, action); got != "fine" {
			t.Errorf("%s: got %q", action, got)
		}
	}
	const none = "operation not permitted"
	if got, want := p.says(t, "protect"), "protect: mmap rx: "+none+", mprotect rwx: "+none+", x: "+none+", rx: allowed, by key: "+none; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRefused: what has no use here, but may be tried by honest code, fails.
// Most of these would succeed or fail in another way without a filter.
func TestRefused(t *testing.T) {
	refused := map[string]string{
		"open": "2 p 0 0", "openat": "257 -100 p 0 0", "openat2": "437 -100 p p 24", "stat": "4 p p", "newfstatat": "262 -100 p p 0",
		"readlink": "89 p p 1", "unlink": "87 p", "mkdir": "83 p 0", "chdir": "80 p", "getdents64": "217 0 p 1", "ioctl": "16 0 0x5401 p",
		"memfd_create": "319 p 0", "dup": "32 0", "dup3": "292 0 7 0", "setuid": "105 0", "setresgid": "119 0 0 0", "capset": "126 p p",
		"prctl no_new_privs": "157 38 1 0 0 0", "prctl dumpable": "157 4 1 0 0 0", "prctl seccomp": "157 22 2 p 0 0",
		"seccomp": "317 1 0 p", "setrlimit": "160 7 p", "prlimit64 setting": "302 0 7 p 0", "sysinfo": "99 p", "times": "100 p",
		"shmget": "29 0 4096 0x3ff", "mremap": "25 p 4096 4096 0", "remap_file_pages": "216 p 4096 0 0 0",
		"kill": "62 1 0", "tkill": "200 1 0", "rt_sigqueueinfo": "129 1 0 p", "fcntl F_SETOWN": "72 0 8 1", "setsid": "112",
		"timer_create": "222 0 0 p", "sched_setaffinity": "203 0 1 p", "landlock_create_ruleset": "444 0 0 1", "a call to come": "999",
	}
	for name, arguments := range refused {
		for _, r := range roles() {
			if got := (probe{role: r}).says(t, "call "+arguments); got != "call: operation not permitted" {
				t.Errorf("%s: %s: got %q", r, name, got)
			}
		}
	}
	for name, arguments := range map[string]string{
		"socket": "41 2 1 0", "unix socket": "41 1 1 0", "socketpair": "53 1 1 0 p", "connect": "42 0 p 16", "bind": "49 0 p 16",
	} {
		if got := (probe{role: API}).says(t, "call "+arguments); got != "call: operation not permitted" {
			t.Errorf("api: %s: got %q", name, got)
		}
	}
	// Connections and sockets are read and written as files. Only the keeper
	// takes a message, the one that brings it a worker's socket.
	messages := map[string]string{"sendto": "44 0 p 1 0 0 0", "recvfrom": "45 0 p 1 0 0 0", "sendmsg": "46 0 p 0", "sendmmsg": "307 0 p 1 0", "recvmmsg": "299 0 p 1 0 0"}
	for name, arguments := range messages {
		for _, r := range roles() {
			if got := (probe{role: r}).says(t, "call "+arguments); got != "call: operation not permitted" {
				t.Errorf("%s: %s: got %q", r, name, got)
			}
		}
	}
	for r, want := range map[Role]string{Keeper: "call: socket operation on non-socket", API: "call: operation not permitted", Worker: "call: operation not permitted"} {
		if got := (probe{role: r}).says(t, "call 47 0 p 0"); got != want {
			t.Errorf("%s: recvmsg: got %q, want %q", r, got, want)
		}
	}
	for _, r := range roles() {
		const want = "kill: kill parent: operation not permitted, kill all: operation not permitted, tgkill parent: operation not permitted, tgkill self: allowed"
		if got := (probe{role: r}).says(t, "kill"); got != want {
			t.Errorf("%s: got %q", r, got)
		}
	}
}

// TestExecutableMemory: only a compiling worker turns written memory into
// code; nobody has both at once, and no other role has either.
func TestExecutableMemory(t *testing.T) {
	const (
		none = "operation not permitted"
		form = "protect: mmap rx: " + none + ", mprotect rwx: " + none + ", x: " + none + ", rx: %s, by key: " + none
	)
	for _, tt := range []struct {
		p    probe
		want string
	}{
		{probe{role: Keeper}, none},
		{probe{role: API}, none},
		{probe{role: Worker}, none},
		{probe{role: Worker, args: []string{"interpreter"}}, none},
		{probe{role: Worker, args: []string{"compiler"}}, "allowed"},
		{probe{role: Worker, args: []string{"compiler", "x"}}, none},
		{probe{role: Keeper, args: []string{"compiler"}}, none},
		{probe{role: API, args: []string{"compiler"}}, none},
	} {
		if got := tt.p.says(t, "protect"); got != fmt.Sprintf(form, tt.want) {
			t.Errorf("%s %v: got %q", tt.p.role, tt.p.args, got)
		}
	}
}
