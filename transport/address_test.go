package transport_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	piontransport "github.com/pion/transport/v4"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

type fixedNetwork []string

func (fixedNetwork) ListenUDP(netip.AddrPort) (net.PacketConn, error) { return nil, errors.New("none") }
func (fixedNetwork) ICE() piontransport.Net                           { return nil }
func (fixedNetwork) TCP() bool                                        { return false }
func (n fixedNetwork) Addresses() (out []netip.Prefix, _ error) {
	for _, s := range n {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out, nil
}

// TestAddressFilter covers TRA-1.
func TestAddressFilter(t *testing.T) {
	own := fixedNetwork{"192.168.7.5/24", "2a01:db8::5/64", "fd00:7::5/64", "127.0.0.1/8"}
	ip, _ := transport.Filter(own, false)
	for text, want := range map[string]bool{
		"8.8.8.8": true, "192.168.7.9": true, "192.168.8.9": false, "10.0.0.1": false, "172.16.0.1": false,
		"169.254.169.254": false, "127.0.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "224.0.0.251": false,
		"255.255.255.255": false, "240.0.0.1": false, "100.64.1.1": false,
		"2a00::1": true, "fd00:7::9": true, "fd00:8::9": false, "fe80::1": false, "::1": false, "::": false,
		"ff02::fb": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true,
		"64:ff9b::a00:1": false, "2002:a00:1::1": false, "2001::1": false, "::7f00:1": false, "fec0::1": false,
		"64:ff9b:1::1": false, "192.168.7.255": false,
	} {
		if got := ip(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if ip(netip.MustParseAddr("fe80::1%eth0")) || ip(netip.MustParseAddr("2a00::1%eth0")) || ip(netip.Addr{}) {
		t.Error("zoned or invalid address passes")
	}
	loopback, _ := transport.Filter(own, true)
	if !loopback(netip.MustParseAddr("127.0.0.1")) {
		t.Error("loopback refused though we listen on it")
	}
	overlay, _ := transport.Filter(fixedNetwork{"100.80.1.2/32"}, false)
	if !overlay(netip.MustParseAddr("100.90.0.1")) {
		t.Error("an overlay network's address is refused")
	}
}

// TestMultiaddrFilter covers TRA-1.
func TestMultiaddrFilter(t *testing.T) {
	_, filter := transport.Filter(fixedNetwork{"192.168.7.5/24"}, false)
	var in []ma.Multiaddr
	for _, s := range []string{
		"/dns4/example.org/udp/4001/quic-v1", "/dnsaddr/example.org", "/ip4/8.8.8.8/udp/4001", "/ip4/8.8.8.8/tcp/443/ws",
		"/ip4/8.8.8.8/udp/4001/quic-v1/webtransport", "/ip4/10.0.0.1/udp/4001/quic-v1", "/ip4/224.0.0.1/udp/4001/quic-v1",
		"/ip4/8.8.8.8/udp/4001/quic-v1/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA/p2p-circuit",
		"/ip6zone/eth0/ip6/fe80::1/udp/1/quic-v1", "/ip4/8.8.8.8/udp/4001/quic-v1", "/ip4/8.8.8.8/udp/4001/quic-v1", "/ip4/192.168.7.9/tcp/4001",
	} {
		in = append(in, ma.StringCast(s))
	}
	if out := filter(in); len(out) != 2 || out[0].String() != "/ip4/8.8.8.8/udp/4001/quic-v1" || out[1].String() != "/ip4/192.168.7.9/tcp/4001" {
		t.Errorf("kept %v", out)
	}
	in = nil
	for i := range 20 {
		in = append(in, ma.StringCast("/ip4/8.8.8."+string(rune('0'+i%10))+"/tcp/"+string(rune('1'+i/10))))
	}
	if out := filter(in); len(out) != transport.MaxAddresses {
		t.Errorf("kept %d", len(out))
	}
}

// TestForeignAddresses: a member's list of others' addresses, in Connect and as ICE
// candidates, sends no datagram to them (TRA-1). The twin, unfiltered, does.
func TestForeignAddresses(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { foreign(t, protected) })
		})
	}
}

func foreign(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	keys := sortedKeys(2)
	// The victim's router lives in the victim's private network, 10.0.0.0/24, as does
	// a's; what is private elsewhere must not be sent to from here.
	a := simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, transport.Unsafe{AnyAddress: !protected}), transporttest.HostOptions{})
	evil := simNode(t, w, "evil", keys[1], transporttest.HostOptions{})
	befriend(a, evil)
	targets := []string{"10.9.9.9", "224.0.0.251", "169.254.169.254", "192.168.1.1"}
	sent := map[string]bool{}
	network := a.network
	network.SetTap(func(d transporttest.Datagram) { sent[d.To.Addr().String()] = true })
	var addrs []ma.Multiaddr
	for _, ip := range targets {
		addrs = append(addrs, ma.StringCast("/ip4/"+ip+"/udp/53/quic-v1"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = a.Connect(ctx, evil.Key(), addrs)
	offer, err := a.MediaOffer(evil.Key())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := evil.MediaAnswer(a.Key(), offer)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err = transport.ReplaceCandidates(answer, addrs); err != nil {
		t.Fatal(err)
	}
	if err := a.MediaAccept(evil.Key(), answer); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	synctest.Wait()
	network.SetTap(nil)
	for _, ip := range targets {
		if sent[ip] == protected {
			t.Errorf("sent to %s: %v, protected: %v", ip, sent[ip], protected)
		}
	}
}
