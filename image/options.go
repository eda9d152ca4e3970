package image

import (
	"fmt"
	"slices"
	"strings"

	"safebox/initrd/layout"
	"safebox/verifier/release"
)

// Platforms lists what a build can be asked for, in the order in which they are
// named.
func Platforms() []string {
	return []string{release.PlatformVTPM, release.PlatformSNP, release.PlatformTDX, release.PlatformNitro}
}

// Kernels lists the kernels that a build can be asked for.
func Kernels() []layout.Kernel { return []layout.Kernel{layout.Distro, layout.Source} }

func (o *Options) builds(platform string) bool { return slices.Contains(o.Platforms, platform) }

// RequestError is a wish that no build fulfils.
type RequestError struct{ Reason string }

// Error is the message, in one line.
func (e *RequestError) Error() string { return e.Reason }

// Check finds out whether what is asked for can be built at all.
func (o *Options) Check() error {
	refuse := func(format string, args ...any) error { return &RequestError{fmt.Sprintf(format, args...)} }
	if !slices.Contains(Kernels(), o.Kernel) {
		return refuse("unknown kernel %q, want distro or source", o.Kernel)
	}
	for _, list := range []struct {
		what       string
		got, known []string
	}{
		{"platform", o.Platforms, Platforms()},
		{"disk", o.Disks, Disks()},
	} {
		for i, name := range list.got {
			if !slices.Contains(list.known, name) {
				return refuse("unknown %s %q, want some of %s", list.what, name, strings.Join(list.known, ", "))
			}
			if slices.Contains(list.got[:i], name) {
				return refuse("%s %q is given twice", list.what, name)
			}
		}
	}
	if !o.builds(release.PlatformVTPM) {
		return refuse("platforms %q: want vtpm among them: every release has it", strings.Join(o.Platforms, ","))
	}
	if o.builds(release.PlatformNitro) && o.Kernel != layout.Source {
		return refuse("platform nitro wants the kernel from source: the distribution's finds no devices in an enclave (CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES)")
	}
	if err := o.checkIGVM(); err != nil {
		return &RequestError{err.Error()}
	}
	return nil
}
