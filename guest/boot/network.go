package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
)

// Bounds of the network step.
const (
	linkWait  = 5 * time.Second  // for the card to appear and for its carrier
	leaseWait = 20 * time.Second // for the whole exchange
	dhcpWait  = 2 * time.Second  // for one answer
	dhcpTries = 8
)

// configureNetwork brings up loopback and the one network card, by DHCP.
// Address and route are hints of an untrusted host: they decide whom packets
// reach, never whom the appliance believes. The lease is not renewed; a host
// that hands an address to somebody else denies its own service. No name
// server is taken: the appliance resolves no names.
func (b *machine) configureNetwork() (string, error) {
	if err := linkUp("lo"); err != nil {
		return "", err
	}
	card, err := awaitCard(linkWait)
	if err != nil {
		return "", err
	}
	if err := linkUp(card.Attrs().Name); err != nil {
		return "", err
	}
	l, err := requestLease(card.Attrs().Name)
	if err != nil {
		return "", fmt.Errorf("DHCP on %s: %w", card.Attrs().Name, err)
	}
	if err := l.apply(card); err != nil {
		return "", fmt.Errorf("configuring %s: %w", card.Attrs().Name, err)
	}
	return fmt.Sprintf("%s %s, %s", card.Attrs().Name, &l.address, l.router()), nil
}

func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bringing up %s: %w", name, err)
	}
	return nil
}

// awaitCard waits for the one link that is not loopback. More than one is an
// error: which of them the host meant is not for PID 1 to guess.
func awaitCard(limit time.Duration) (netlink.Link, error) {
	for end := sinceKernelStart() + limit; ; time.Sleep(10 * time.Millisecond) {
		links, err := netlink.LinkList()
		if err != nil {
			return nil, fmt.Errorf("listing links: %w", err)
		}
		var cards []netlink.Link
		for _, l := range links {
			if l.Attrs().Flags&net.FlagLoopback == 0 {
				cards = append(cards, l)
			}
		}
		switch {
		case len(cards) == 1:
			return cards[0], nil
		case len(cards) > 1:
			return nil, fmt.Errorf("%d network cards, want 1", len(cards))
		case sinceKernelStart() > end:
			return nil, errors.New("no network card")
		}
	}
}

// lease is what the appliance takes from a DHCP server's answer.
type lease struct {
	address net.IPNet
	gateway net.IP // nil if the server named none
}

func requestLease(card string) (l lease, err error) {
	client, err := nclient4.New(card, nclient4.WithTimeout(dhcpWait), nclient4.WithRetry(dhcpTries))
	if err != nil {
		return lease{}, err
	}
	defer func() {
		if cerr := client.Close(); err == nil {
			err = cerr
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), leaseWait)
	defer cancel()
	answer, err := client.Request(ctx)
	if err != nil {
		return lease{}, err
	}
	ack := answer.ACK
	return newLease(ack.YourIPAddr, ack.SubnetMask(), ack.Router())
}

// newLease checks what the server said.
func newLease(address net.IP, mask net.IPMask, routers []net.IP) (lease, error) {
	ip := address.To4()
	ones, bits := mask.Size()
	switch {
	case ip == nil || !ip.IsGlobalUnicast():
		return lease{}, fmt.Errorf("server gave address %v, want a unicast IPv4 address", address)
	case bits != 32 || ones < 1 || ones > 31:
		return lease{}, fmt.Errorf("server gave mask %v, want /1 to /31", mask)
	}
	l := lease{address: net.IPNet{IP: ip, Mask: mask}}
	if len(routers) > 0 {
		l.gateway = routers[0].To4()
		if l.gateway == nil || !l.address.Contains(l.gateway) {
			return lease{}, fmt.Errorf("server gave router %v, want one inside %v", routers[0], &l.address)
		}
	}
	return l, nil
}

func (l lease) router() string {
	if l.gateway == nil {
		return "no router"
	}
	return "router " + l.gateway.String()
}

func (l lease) apply(card netlink.Link) error {
	if err := netlink.AddrReplace(card, &netlink.Addr{IPNet: &l.address}); err != nil {
		return fmt.Errorf("setting address %v: %w", &l.address, err)
	}
	if l.gateway == nil {
		return nil
	}
	route := &netlink.Route{LinkIndex: card.Attrs().Index, Gw: l.gateway}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("setting default route by %v: %w", l.gateway, err)
	}
	return nil
}
