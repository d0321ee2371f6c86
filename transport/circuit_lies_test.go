package transport_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestRelayNamesVictim: a relay says that it sees a member at a victim's address, which the member then names to others as
// where it may be. These send the victim nothing but checks, at most ten in any second and a hundred for each offer, which
// meet limits in turn (MST-4); after there is a path, nothing. Nobody else sends it anything. The twin checks without limits.
//
// Checks: TRA-1, RLY-9.
func TestRelayNamesVictim(t *testing.T) {
	for _, tt := range []struct {
		name   string
		a      transporttest.HostOptions
		path   transport.PathKind
		offers int
		unsafe transport.Unsafe
	}{
		{"no path", strict, transport.PathRelay, 3, transport.Unsafe{}},
		{"a path", public, transport.PathUDP, 1, transport.Unsafe{}},
		{"twin", strict, transport.PathRelay, 1, transport.Unsafe{AnyChecks: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVictim(t, tt.a, tt.unsafe)
				for range tt.offers {
					v.a.offer(v.b)
					time.Sleep(20 * time.Second)
				}
				synctest.Wait()
				v.world.SetTap(nil)
				if p := v.a.Path(v.b.Key()); p.Kind != tt.path {
					t.Errorf("path %v", p)
				}
				if o := v.b.Observed(); !slices.Equal(o, []netip.AddrPort{v.at}) {
					t.Errorf("observed %v: the lie wasn't believed, so the test shows nothing", o)
				}
				most := 0
				for i, d := range v.sent {
					n := i
					for n < len(v.sent) && v.sent[n].At.Sub(d.At) < time.Second {
						n++
					}
					most = max(most, n-i)
					if len(d.Data) > 200 || len(d.Data) < 20 || d.Data[0] > 3 { // STUN (RFC 9443)
						t.Errorf("%d bytes that begin with %d: no check", len(d.Data), d.Data[0])
					}
				}
				t.Logf("%d datagrams, %d a second at most", len(v.sent), most)
				switch limited := len(v.sent) <= 100*tt.offers && most <= 11; {
				case tt.unsafe.AnyChecks && limited:
					t.Error("the twin keeps to the limits: the test shows nothing")
				case !tt.unsafe.AnyChecks && !limited:
					t.Errorf("%d datagrams in %d offers, %d a second at most", len(v.sent), tt.offers, most)
				case tt.path == transport.PathRelay && len(v.sent) == 0:
					t.Error("no check: the test shows nothing")
				case tt.path == transport.PathUDP && len(v.sent) > 10:
					t.Errorf("%d datagrams though there is a path", len(v.sent))
				}
			})
		})
	}
}

// ofVictim is two members, of whom b is told by its relay that it is at a victim's, and what goes there.
type ofVictim struct {
	world *transporttest.World
	a, b  *node
	at    netip.AddrPort
	sent  []transporttest.Datagram
}

func newVictim(t *testing.T, o transporttest.HostOptions, u transport.Unsafe) *ofVictim {
	t.Helper()
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	v := &ofVictim{world: w}
	var hosts []*transporttest.Host
	for _, name := range []string{"relay", "victim"} {
		h, err := w.Host(name, public)
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	prefixes, err := hosts[1].Addresses()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(prefixes, func(p netip.Prefix) bool { return !p.Addr().IsLoopback() })
	v.at = netip.AddrPortFrom(prefixes[i].Addr(), 53)
	lie := string(append([]byte{0}, transport.AddrPortBytes(v.at)...))
	relay := relayServing(t, hosts[0], 77, transport.Unsafe{}, func([]byte) string { return lie })
	keys := sortedKeys(2)
	v.a = simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, u), o)
	v.b = simNodeConfig(t, w, "b", transport.Config{Key: keys[1],
		Relays: []transport.Relay{{Address: relay.RelayAddress(), Ticket: []byte("ticket")}}}, strict)
	v.b.waitReserved(true, time.Second)
	w.SetTap(func(d transporttest.Datagram) {
		if d.To.Addr() == v.at.Addr() {
			d.Data = bytes.Clone(d.Data)
			v.sent = append(v.sent, d)
		}
	})
	befriend(v.a, v.b)
	addrs := v.b.Addresses()
	if err := v.a.Connect(t.Context(), v.b.Key(), addrs[len(addrs)-1:]); err != nil { // the circuit
		t.Fatal(err)
	}
	v.a.waitUp(v.b)
	v.b.waitUp(v.a)
	return v
}
