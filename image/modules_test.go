package image

import (
	"strings"
	"testing"

	"safebox/initrd"
	"safebox/initrd/layout"
)

// TestCheckModules: a list that PID 1 would refuse is not packed. The names are
// those that `modinfo -F depends` gives for the pinned kernel's virtio_net, in
// load order (initrd/testdata/README.md).
func TestCheckModules(t *testing.T) {
	list := func(names string) (m []initrd.Module) {
		for name := range strings.FieldsSeq(names) {
			m = append(m, initrd.Module{Name: name})
		}
		return m
	}
	if err := checkModules(layout.Distro, list("failover net_failover virtio_net")); err != nil {
		t.Error(err)
	}
	for _, names := range []string{
		"", "failover net_failover", "net_failover failover virtio_net", "failover net_failover virtio_net vsock",
	} {
		if err := checkModules(layout.Distro, list(names)); err == nil {
			t.Errorf("%q: accepted", names)
		}
	}
}
