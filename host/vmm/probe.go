package vmm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"safebox/host/hint"
)

// probeTime bounds one probe; it takes about 0.1 s where the accelerator works.
const probeTime = 5 * time.Second

// probeExit is the exit status that only a running guest can cause: QEMU's
// isa-debug-exit ends it with 2 * value + 1.
const (
	probePort  = 0x501 // isa-debug-exit's usual port
	probeValue = 0x2a
	probeExit  = 2*probeValue + 1
)

// probeSize is the least size that QEMU takes for -bios, 64 KiB.
const probeSize = 64 << 10

// probeFirmware is a firmware that ends the machine with its first
// instructions. A processor starts in real mode 16 bytes below the end of the
// firmware (Intel SDM volume 3, section 10.1.4, First Instruction Executed).
func probeFirmware() []byte {
	code := []byte{
		0xba, probePort & 0xff, probePort >> 8, // mov dx, probePort
		0xb0, probeValue, // mov al, probeValue
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp hlt
	}
	b := make([]byte, probeSize)
	copy(b[probeSize-16:], code)
	return b
}

// Probe runs a guest of a few instructions under the accelerator. That
// /dev/kvm opens says little: in nested machines guests can still fail at
// their first step.
func Probe(ctx context.Context, p *Parent, t Tools, a Accel) (err error) {
	accel, err := accelArgs(a)
	if err != nil {
		return fmt.Errorf("probing: %w", err)
	}
	firmware, err := memoryFile("probe", probeFirmware())
	if err != nil {
		return fmt.Errorf("probing %s: %w", a, err)
	}
	defer func() { err = errors.Join(err, firmware.Close()) }()
	args := append([]string{"-nodefaults", "-no-user-config", "-display", "none"}, sandboxArgs()...)
	args = append(args, accel...)
	args = append(args,
		"-machine", "q35,"+absentDevices, "-m", "size=16M", "-no-reboot",
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", probePort),
		"-bios", "/proc/self/fd/3",
	)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.QEMU, args...)
	cmd.ExtraFiles = []*os.File{firmware}
	var stderr tail
	cmd.Stderr = &stderr
	c, err := p.Start(cmd)
	if err != nil {
		return fmt.Errorf("probing %s: %w", a, err)
	}
	code := c.ExitCode()
	switch {
	case code == probeExit:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("probing %s: the guest ran no instruction within %s", a, probeTime)
	}
	return fmt.Errorf("probing %s: the guest ran no instruction: %w", a, explain(c.Wait(), stderr.firstError()))
}

// Choose settles Auto and checks KVM by probing it. When Auto comes out as
// TCG, why says what is wrong with KVM.
func Choose(ctx context.Context, p *Parent, t Tools, want Accel) (a Accel, why string, err error) {
	if want == TCG {
		return TCG, "", nil
	}
	err = Probe(ctx, p, t, KVM)
	switch {
	case err == nil:
		return KVM, "", nil
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case want == KVM:
		return "", "", hint.New(fmt.Errorf("KVM is not usable: %w", err), "use --accel tcg, or auto to let the agent choose")
	}
	return TCG, err.Error(), nil
}

// memoryFile is a nameless file in memory with the given content.
func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
