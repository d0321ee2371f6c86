package transport_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
	ma "github.com/multiformats/go-multiaddr"
)

// TestLANFilter: only the own subnets, whatever the kind of address.
// Checks: MOD-2.
func TestLANFilter(t *testing.T) {
	for name, tt := range map[string]struct {
		own []string
		yes []string
		no  []string
	}{
		"private": {[]string{"192.168.7.5/24", "fe80::1/64", "fd00:1::5/64"},
			[]string{"192.168.7.9", "192.168.7.5", "fd00:1::9", "::ffff:192.168.7.9"},
			[]string{"192.168.7.255", "192.168.8.9", "8.8.8.8", "2606:4700::1", "fd00:2::9", "fe80::9", "127.0.0.1", "::1",
				"224.0.0.251", "255.255.255.255", "0.0.0.0", "169.254.1.1", "64:ff9b::c0a8:709"}},
		"public": {[]string{"9.1.2.3/29", "2606:4700:5::3/64"},
			[]string{"9.1.2.1", "2606:4700:5::4"},
			[]string{"9.1.2.7", "9.1.2.9", "2606:4700:6::4", "192.168.7.9"}},
		"a cable":  {[]string{"169.254.3.4/16"}, []string{"169.254.9.9"}, []string{"192.168.0.1", "8.8.8.8"}},
		"a tunnel": {[]string{"10.8.0.2/32"}, []string{"10.8.0.2"}, []string{"10.8.0.1", "100.64.0.1"}},
		"nothing":  {nil, nil, []string{"192.168.7.9", "8.8.8.8", "127.0.0.1"}},
	} {
		allow := transport.LANFilter(fixedNetwork(tt.own))
		for _, ip := range tt.yes {
			if !allow(netip.MustParseAddr(ip)) {
				t.Errorf("%s: %s is refused", name, ip)
			}
		}
		for _, ip := range tt.no {
			if allow(netip.MustParseAddr(ip)) {
				t.Errorf("%s: %s is let through", name, ip)
			}
		}
	}
}

// smallLAN is a host of the simulated internet whose subnet is a small part of it.
type smallLAN struct{ *transporttest.Host }

func (n smallLAN) Addresses() ([]netip.Prefix, error) {
	own, err := n.Host.Addresses()
	for i, p := range own {
		own[i] = netip.PrefixFrom(p.Addr(), 31)
	}
	return own, err
}

// TestLANOnly: neither a dial, nor a candidate, nor an answer to somebody outside leaves the
// subnet. The twin without the filter sends all three.
// Checks: MOD-1, MOD-2.
func TestLANOnly(t *testing.T) {
	twins(t, transport.Unsafe{AnyAddress: true}, lanOnly)
}

func lanOnly(t *testing.T, u transport.Unsafe) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(2)
	network, err := w.Host("a", transporttest.HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a := newNode(t, "a", transport.Without(transport.Config{Key: keys[0], Network: smallLAN{network}, LANOnly: true}, u))
	if _, err := w.Host("between", transporttest.HostOptions{}); err != nil { // so that evil isn't a's neighbour
		t.Fatal(err)
	}
	evil := simNode(t, w, "evil", keys[1], transporttest.HostOptions{})
	befriend(a, evil)
	outside := evil.Addresses()
	where, _ := netip.ParseAddr(mustIP(t, outside[0]))
	sent := 0
	network.SetTap(func(d transporttest.Datagram) {
		if d.To.Addr() == where {
			sent++
		}
	})
	step := func(what string, f func(ctx context.Context)) {
		sent = 0
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		f(ctx)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if protected := u == (transport.Unsafe{}); sent > 0 == protected {
			t.Errorf("%s: %d datagrams went out, protected: %v", what, sent, protected)
		}
	}
	step("dial", func(ctx context.Context) { _ = a.Connect(ctx, evil.Key(), outside); a.Disconnect(evil.Key()) })
	step("answer", func(ctx context.Context) { _ = evil.Connect(ctx, a.Key(), a.Addresses()); evil.Disconnect(a.Key()) })
	step("candidate", func(context.Context) {
		offer, err := a.MediaOffer(evil.Key())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := evil.MediaAnswer(a.Key(), offer)
		if err == nil {
			answer, err = transport.ReplaceCandidates(answer, outside)
		}
		if err == nil {
			err = a.MediaAccept(evil.Key(), answer)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	network.SetTap(nil)
}

func mustIP(t *testing.T, a ma.Multiaddr) string {
	t.Helper()
	ip, err := a.ValueForProtocol(ma.P_IP4)
	if err != nil {
		t.Fatal(err)
	}
	return ip
}

// TestLANOnlyMeets: two on one subnet, cut off from everything else, meet and see each other's
// packets; nothing either names is outside.
// Checks: MOD-2.
func TestLANOnlyMeets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		w.SetFilter(func(transporttest.Datagram) bool { return false }) // no internet
		keys := sortedKeys(2)
		o := transporttest.HostOptions{NAT: transporttest.PortRestricted, LAN: "courtroom"}
		var nodes []*node
		for i, name := range []string{"a", "b"} {
			nodes = append(nodes, simNodeConfig(t, w, name, transport.Config{Key: keys[i], LANOnly: true}, o))
		}
		befriend(nodes...)
		nodes[0].connect(nodes[1])
		nodes[0].waitUp(nodes[1])
		nodes[0].offer(nodes[1])
		nodes[0].waitMedia(nodes[1], true, 5*time.Second)
		for _, n := range nodes {
			if slices.ContainsFunc(n.Addresses(), func(a ma.Multiaddr) bool {
				ip, _ := netip.ParseAddr(mustIP(t, a))
				return !ip.IsPrivate()
			}) {
				t.Errorf("%s names %v", n.name, n.Addresses())
			}
			if o := n.Observed(); len(o) > 0 {
				t.Errorf("%s was observed at %v", n.name, o)
			}
		}
	})
}
