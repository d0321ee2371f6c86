package transport_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// hole is an address where nobody answers.
var hole = ma.StringCast("/ip4/203.0.113.200/udp/4000/quic-v1")

// dialling is a dial under way.
type dialling struct {
	begun time.Time
	took  time.Duration
	err   error
	done  chan struct{}
}

func (n *node) dialling(ctx context.Context, peer *node, addrs ...ma.Multiaddr) *dialling {
	d := &dialling{begun: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.err = n.Connect(ctx, peer.Key(), addrs)
		d.took = time.Since(d.begun)
	}()
	return d
}

// twoFar makes two members on a slow path.
func twoFar(t *testing.T, latency time.Duration) (a, b *node) {
	w := newWorld(t, transporttest.Options{Latency: latency})
	keys := sortedKeys(2)
	a, b = simNode(t, w, "a", keys[0], public), simNode(t, w, "b", keys[1], public)
	befriend(a, b)
	return a, b
}

// TestDialStorm: dials that follow each other sooner than a handshake takes, don't keep each other from its end.
func TestDialStorm(t *testing.T) {
	for name, o := range map[string]transporttest.HostOptions{"direct": public, "circuit": strict} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 200 * time.Millisecond})
				a, b, bridge := trio(t, w, o, o, transport.Unsafe{})
				addrs := append(b.Addresses(), via(t, bridge))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var all []*dialling
				for range 40 {
					all = append(all, a.dialling(ctx, b, addrs...))
					time.Sleep(120 * time.Millisecond)
				}
				time.Sleep(time.Second)
				cancel()
				for i, d := range all {
					if <-d.done; d.err != nil {
						t.Errorf("dial %d, after %v: %v", i, d.took, d.err)
					}
				}
				if n := a.ConnsTo(b.Key()); n != 1 {
					t.Errorf("%d connections, want 1", n)
				}
				t.Logf("the first took %v", all[0].took)
			})
		})
	}
}

// TestDialBeside: a dial to addresses where nobody is, takes from another one neither its time nor its addresses.
func TestDialBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoFar(t, 400*time.Millisecond)
		good := a.dialling(t.Context(), b, b.Addresses()...)
		time.Sleep(100 * time.Millisecond)
		bad := a.dialling(t.Context(), b, hole)
		for _, d := range []*dialling{good, bad} {
			if <-d.done; d.err != nil || d.took > 3*time.Second {
				t.Errorf("after %v: %v", d.took, d.err)
			}
		}
	})
}

// TestDialEnds: a dial where nobody is, ends however many follow it.
func TestDialEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoFar(t, 20*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		all := []*dialling{a.dialling(ctx, b, hole)}
		for range 200 {
			time.Sleep(300 * time.Millisecond)
			all = append(all, a.dialling(ctx, b, hole))
		}
		cancel()
		for _, d := range all {
			<-d.done
			if d.err == nil || d.took > 40*time.Second {
				t.Fatalf("after %v: %v", d.took, d.err)
			}
		}
		t.Logf("the first took %v", all[0].took)
	})
}

// TestDialClosed: Close ends what is being dialled, also where it has not begun again yet.
func TestDialClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoFar(t, 20*time.Millisecond)
		all := []*dialling{a.dialling(t.Context(), b, hole)}
		for range 5 {
			time.Sleep(100 * time.Millisecond)
			all = append(all, a.dialling(t.Context(), b, hole))
		}
		a.close()
		closed := time.Now()
		all = append(all, a.dialling(t.Context(), b, hole))
		for _, d := range all {
			if <-d.done; d.err == nil || time.Since(closed) > 100*time.Millisecond {
				t.Errorf("%v after Close: %v", time.Since(closed), d.err)
			}
		}
	})
}

// TestDialBackOff: what failed while a later dial waited for its turn, is tried by that all the same.
func TestDialBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b, bridge := bridged(t, w, strict, strict, transport.Unsafe{})
		first := a.dialling(t.Context(), b, hole, via(t, bridge)) // the circuit fails after 390 ms: b has not reserved
		time.Sleep(200 * time.Millisecond)
		second := a.dialling(t.Context(), b, hole, via(t, bridge))
		time.Sleep(250 * time.Millisecond)
		if _, err := b.Reserve(t.Context(), bridge.Key()); err != nil {
			t.Fatal(err)
		}
		for _, d := range []*dialling{first, second} {
			if <-d.done; d.err != nil || d.took > 1800*time.Millisecond {
				t.Errorf("after %v: %v", d.took, d.err)
			}
		}
	})
}

// TestDialFailsBeside: a dial that fails at once doesn't end another one that is still at its handshake.
func TestDialFailsBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 130 * time.Millisecond})
		a, b, bridge := trio(t, w, strict, strict, transport.Unsafe{})
		nowhere := ma.StringCast("/ip4/203.0.113.200/tcp/4000") // there is no TCP: it fails at once
		circuit := a.dialling(t.Context(), b, via(t, bridge))
		time.Sleep(50 * time.Millisecond)
		_ = a.DialDirect(t.Context(), b.Key(), nowhere)
		if <-circuit.done; circuit.err != nil {
			t.Errorf("after %v: %v", circuit.took, circuit.err)
		}
	})
}

// TestDialAbandoned: on another network, what was dialled from the old one ends, and the next dial waits for none of it.
func TestDialAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoFar(t, 20*time.Millisecond)
		all := []*dialling{a.dialling(t.Context(), b, hole), a.dialling(t.Context(), b, hole)}
		time.Sleep(100 * time.Millisecond)
		a.FollowRoutes(true)
		next := a.dialling(t.Context(), b, b.Addresses()...)
		if <-next.done; next.err != nil || next.took > 200*time.Millisecond {
			t.Errorf("the next: after %v: %v", next.took, next.err)
		}
		for _, d := range all {
			<-d.done
			if d.took > 100*time.Millisecond {
				t.Errorf("given up after %v", d.took)
			}
		}
	})
}

// TestDialDisorder: whatever dials, gives up, and moves at the same time, every dial ends, with an error or connected, and
// nothing of it remains.
func TestDialDisorder(t *testing.T) {
	for seed := range int64(8) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewSource(seed))
			w := newWorld(t, transporttest.Options{Latency: time.Duration(random.Intn(200)) * time.Millisecond})
			a, b, bridge := trio(t, w, public, public, transport.Unsafe{})
			nowhere := ma.StringCast("/ip4/203.0.113.200/tcp/4000")
			ways := [][]ma.Multiaddr{{hole}, {nowhere}, {hole, nowhere}, b.Addresses(), append(b.Addresses(), hole),
				{via(t, bridge)}, {hole, via(t, bridge)}}
			var all []*dialling
			for range 60 {
				time.Sleep(time.Duration(random.Intn(200)) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+random.Intn(5000))*time.Millisecond)
				defer cancel()
				switch n := random.Intn(12); n {
				case 0:
					a.FollowRoutes(true)
				case 1:
					a.Disconnect(b.Key())
				default:
					all = append(all, a.dialling(ctx, b, ways[n%len(ways)]...))
				}
			}
			for i, d := range all {
				<-d.done
				if d.took > 5100*time.Millisecond {
					t.Errorf("seed %d: dial %d took %v: %v", seed, i, d.took, d.err)
				}
			}
			if n := a.Dials(); n != 0 {
				t.Errorf("seed %d: %d dials remain", seed, n)
			}
		})
	}
}

// TestDialClosedTCP: Close ends a dial to one who takes the connection and says nothing.
func TestDialClosedTCP(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a := newNode(t, "a", transport.Config{Key: testKey(1), Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	a.Allow(testPeer(2))
	dialled := make(chan error, 1)
	to := netip.MustParseAddrPort(silent.Addr().String())
	go func() {
		dialled <- a.Connect(t.Context(), testPeer(2), []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/%v/tcp/%d", to.Addr(), to.Port()))})
	}()
	c, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a.close()
	select {
	case err := <-dialled:
		if !errors.Is(err, transport.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
}
