package boot

import (
	"net"
	"strings"
	"testing"
)

func TestNewLease(t *testing.T) {
	ip := func(s string) net.IP { return net.ParseIP(s) }
	mask := func(ones int) net.IPMask { return net.CIDRMask(ones, 32) }
	tests := []struct {
		name    string
		address net.IP
		mask    net.IPMask
		routers []net.IP
		want    string // "address, router", or part of the error
	}{
		// The first is what QEMU's user network gives.
		{"slirp", ip("10.0.2.15"), mask(24), []net.IP{ip("10.0.2.2")}, "10.0.2.15/24, router 10.0.2.2"},
		{"no router", ip("192.168.7.9"), mask(16), nil, "192.168.7.9/16, no router"},
		{"several routers", ip("10.1.1.5"), mask(8), []net.IP{ip("10.0.0.1"), ip("9.9.9.9")}, "10.1.1.5/8, router 10.0.0.1"},
		{"no address", nil, mask(24), nil, "unicast"},
		{"zero", net.IPv4zero, mask(24), nil, "unicast"},
		{"broadcast", net.IPv4bcast, mask(24), nil, "unicast"},
		{"multicast", ip("224.0.0.1"), mask(24), nil, "unicast"},
		{"loopback", ip("127.0.0.1"), mask(8), nil, "unicast"},
		{"link-local", ip("169.254.169.254"), mask(16), nil, "unicast"},
		{"IPv6", ip("2001:db8::1"), mask(24), nil, "unicast"},
		{"no mask", ip("10.0.2.15"), nil, nil, "mask"},
		{"mask with holes", ip("10.0.2.15"), net.IPv4Mask(255, 0, 255, 0), nil, "mask"},
		{"mask of all", ip("10.0.2.15"), mask(0), nil, "mask"},
		{"mask of one", ip("10.0.2.15"), mask(32), nil, "mask"},
		{"mask of IPv6", ip("10.0.2.15"), net.CIDRMask(24, 128), nil, "mask"},
		{"router elsewhere", ip("10.0.2.15"), mask(24), []net.IP{ip("10.0.3.1")}, "server gave router"},
		{"router of IPv6", ip("10.0.2.15"), mask(24), []net.IP{ip("2001:db8::1")}, "server gave router"},
		{"router empty", ip("10.0.2.15"), mask(24), []net.IP{nil}, "server gave router"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := newLease(tt.address, tt.mask, tt.routers)
			got := l.address.String() + ", " + l.router()
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
