package meet_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// nodeBoard is a board that knows nodes which relay for anybody.
type nodeBoard struct {
	*board
	nodes []ma.Multiaddr
}

var _ meet.RelayRendezvous = nodeBoard{}

func (b nodeBoard) Relays(ctx context.Context) <-chan ma.Multiaddr {
	return transporttest.Offer(b.nodes...)(ctx)
}

// nodes starts public nodes with libp2p's relay service and its usual limits.
func nodes(t *testing.T, w *meettest.World, n int) (hosts *relayNodes, at []ma.Multiaddr) {
	t.Helper()
	hosts = &relayNodes{asked: map[[2]peer.ID]bool{}}
	for i := range n {
		name := fmt.Sprint("node", i)
		machine := must[*transporttest.Host](t)(w.Network.Host(name, transporttest.HostOptions{}))
		seed := make([]byte, 32)
		seed[0] = byte(i + 1)
		h, a, err := transporttest.Node(machine, ed25519.NewKeyFromSeed(seed), libp2p.EnableRelayService())
		if err != nil {
			t.Fatal(err)
		}
		h.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
			hosts.mu.Lock()
			defer hosts.mu.Unlock()
			hosts.asked[[2]peer.ID{c.LocalPeer(), c.RemotePeer()}] = true
		}})
		hosts.all, at = append(hosts.all, h), append(at, a)
	}
	return hosts, at
}

// unreachable places two behind routers that give each connection the same port, creator and guest, of whom the first
// creates a meeting that is found by so many nodes.
func unreachable(t *testing.T, ctx context.Context, w *meettest.World, n int) (hosts *relayNodes, b nodeBoard, creator *meettest.Member) {
	t.Helper()
	hosts, at := nodes(t, w, n)
	b = nodeBoard{newBoard(), at}
	narrow := transporttest.HostOptions{NAT: transporttest.PortRestricted}
	w.Place("creator", narrow)
	w.Place("guest", narrow)
	return hosts, b, must[*meettest.Member](t)(w.Create(ctx, "creator", found(b)))
}

// relayNodes note who connects to them.
type relayNodes struct {
	all   []host.Host
	mu    sync.Mutex
	asked map[[2]peer.ID]bool
}

func (n *relayNodes) close() {
	for _, h := range n.all {
		_ = h.Close()
	}
}

// asks is how many were asked, by how many, ever.
func (n *relayNodes) asks() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked)
}

// TestPunchedMeeting: two whom nobody can reach, behind routers that give each connection the same port, meet by a link and
// a DHT whose nodes relay with libp2p's usual limits: directly. Nothing of the meeting passes the nodes, and the page says
// what they saw. Cut off from each other, the two come together again in the same way.
//
// Checks: TRA-26, RDV-5, EXP-5.
func TestPunchedMeeting(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		hosts, b, creator := unreachable(t, ctx, w, 3)
		defer hosts.close()
		w.Advance(10 * time.Second)
		if n := hosts.asks(); n > 0 {
			t.Errorf("%d nodes were asked without a link", n)
		}
		link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{}))
		w.Advance(10 * time.Second)
		if n := hosts.asks(); n != 2 {
			t.Errorf("reserved at %d nodes", n)
		}
		begun := time.Now()
		guest := must[*meettest.Member](t)(w.JoinBy(ctx, "guest", link, found(b)))
		t.Logf("joined after %v", time.Since(begun))
		awaitPath(t, ctx, w, creator, guest, time.Second, meet.PathUDP)
		tone, err := creator.PublishTone(ctx, 60)
		if err != nil {
			t.Fatal(err)
		}
		defer tone.Stop()
		ok(t, crossed(ctx, w, creator, guest, 3*time.Second))
		said(t, ctx, creator, guest, "hello")
		for _, m := range []*meettest.Member{creator, guest} {
			limited := 0
			for _, p := range must[meet.Exposure](t)(m.Exposure(ctx)).Parties {
				if p.Party.Kind != meet.PartyRelay {
					continue
				}
				limited++
				for datum, want := range map[meet.Datum]meet.Seen{meet.DatumAddress: meet.SeenClear, meet.DatumMeetingKey: meet.SeenClear,
					meet.DatumTimes: meet.SeenClear, meet.DatumCounterpart: meet.SeenClear, meet.DatumVolume: meet.SeenPart, meet.DatumSpeaking: meet.SeenNot, meet.DatumChat: meet.SeenNot} {
					i := slices.IndexFunc(p.Observations, func(o meet.Observation) bool { return o.Datum == datum })
					if got := p.Observations[i].Seen; got != want || !p.Party.Limited || len(p.Party.Addresses) != 1 {
						t.Errorf("%s: %s at %+v: %s, want %s", m.Host, datum, p.Party, got, want)
					}
				}
			}
			if limited != 2 {
				t.Errorf("%s: %d limited relays on the page", m.Host, limited)
			}
		}
	})
}

// said waits until what one says reaches the other.
func said(t *testing.T, ctx context.Context, from, to *meettest.Member, text string) {
	t.Helper()
	ok(t, from.Say(ctx, text))
	c, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := meettest.AwaitEvent[meet.Chat](c, to); err != nil {
		t.Error("no chat:", err)
	}
}

// TestPunchedAgain: two who came together by hole punching, and whose connection is lost for some minutes, come together
// again.
func TestPunchedAgain(t *testing.T) {
	alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
		hosts, b, creator := unreachable(t, ctx, w, 2)
		defer hosts.close()
		link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{}))
		w.Advance(10 * time.Second)
		guest := must[*meettest.Member](t)(w.JoinBy(ctx, "guest", link, found(b)))
		w.Network.Partition([]string{"creator"}, []string{"guest"}, []string{"node0", "node1"})
		w.Advance(3 * time.Minute)
		if p := pathTo(t, ctx, creator, guest); p.Kind != meet.PathNone {
			t.Fatalf("path %v", p)
		}
		w.Network.Heal()
		t.Logf("together again after %v", awaitPath(t, ctx, w, creator, guest, 3*time.Minute, meet.PathUDP))
	})
}

// TestUnpunched: where routers give each connection another port, whoever comes is told so in one sentence, and nothing
// goes by the nodes instead; who looks in a place that knows no nodes, or reads of such addresses on the local network, asks
// none; nor does anybody by default, on its network alone, or who can be reached. Twin: TestPunchedMeeting.
//
// Checks: TRA-26, RDV-5.
func TestUnpunched(t *testing.T) {
	symmetric, narrow := transporttest.HostOptions{NAT: transporttest.Symmetric}, transporttest.HostOptions{NAT: transporttest.PortRestricted}
	for name, tt := range map[string]struct {
		place            transporttest.HostOptions
		creator, guest   func(nodeBoard) meet.Config
		creators, guests int // nodes each asks
		err              error
	}{
		"symmetric":                   {symmetric, func(b nodeBoard) meet.Config { return found(b) }, func(b nodeBoard) meet.Config { return found(b) }, 2, 2, meet.ErrNotPunched},
		"by default":                  {narrow, func(nodeBoard) meet.Config { return open() }, func(nodeBoard) meet.Config { return open() }, 0, 0, nil},
		"another place":               {narrow, func(b nodeBoard) meet.Config { return found(b) }, func(b nodeBoard) meet.Config { return found(b.board) }, 2, 0, nil},
		"a place that knows no nodes": {narrow, func(b nodeBoard) meet.Config { return found(b.board) }, func(b nodeBoard) meet.Config { return found(b) }, 0, 0, nil},
		"its network alone":           {narrow, func(b nodeBoard) meet.Config { c := found(b); c.LANOnly = true; return c }, func(b nodeBoard) meet.Config { return found(b) }, 0, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
				hosts, at := nodes(t, w, 2)
				defer hosts.close()
				b := nodeBoard{newBoard(), at}
				w.Place("creator", tt.place)
				w.Place("guest", tt.place)
				creator := must[*meettest.Member](t)(w.Create(ctx, "creator", tt.creator(b)))
				link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{}))
				w.Advance(10 * time.Second)
				if n := hosts.asks(); n != tt.creators {
					t.Errorf("%d nodes were asked", n)
				}
				_, err := w.JoinBy(ctx, "guest", link, tt.guest(b))
				var lost *meet.UnreachableError
				if !errors.As(err, &lost) || tt.err != nil && (!errors.Is(err, tt.err) || err.Error() != tt.err.Error()) {
					t.Errorf("joined: %v", err)
				}
				if n := hosts.asks(); n != tt.creators+tt.guests {
					t.Errorf("%d nodes were asked by both", n)
				}
			})
		})
	}
}

// TestReachableAsksNoNode: who can be reached asks no node, though the place it is announced in knows some.
func TestReachableAsksNoNode(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		hosts, at := nodes(t, w, 2)
		defer hosts.close()
		creator := must[*meettest.Member](t)(w.Create(ctx, "creator", found(nodeBoard{newBoard(), at})))
		_ = must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{}))
		w.Advance(time.Minute)
		if n := hosts.asks(); n > 0 {
			t.Errorf("%d nodes were asked", n)
		}
	})
}
