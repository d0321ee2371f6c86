package meet_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// announced are the lists that a board has under a topic.
func (b *board) announced(topic [32]byte) (all [][]ma.Multiaddr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, addrs := range b.now[topic] {
		all = append(all, addrs)
	}
	return all
}

func ipOf(t *testing.T, addrs []ma.Multiaddr) netip.Addr {
	t.Helper()
	for _, a := range addrs {
		if ip, err := manet.ToIP(a); err == nil {
			return must[netip.Addr](t)(netip.ParseAddr(ip.String()))
		}
	}
	t.Fatalf("no address in %v", addrs)
	return netip.Addr{}
}

// TestRecordedAnnouncement: a rendezvous that goes on naming where a host of this very meeting was, some minutes ago or
// yesterday, has a joiner dial there, three times at most, however often it says so; beside an honest one it delays
// nobody. The twin goes on dialling.
//
// Checks: RDV-3, RDV-4.
func TestRecordedAnnouncement(t *testing.T) {
	for name, tt := range map[string]struct{ alone, twin bool }{"beside an honest one": {false, false}, "alone": {true, false}, "twin": {true, true}} {
		t.Run(name, func(t *testing.T) {
			alarmed(t, ms20, func(ctx context.Context, w *meettest.World) { recordedAnnouncement(t, ctx, w, tt.alone, tt.twin) })
		})
	}
}

func recordedAnnouncement(t *testing.T, ctx context.Context, w *meettest.World, alone, twin bool) {
	old, later := newBoard(), newBoard()
	creator := must[*meettest.Member](t)(w.Create(ctx, "creator", found(old)))
	link := must[meet.Invite](t)(creator.Invite(ctx, meet.InviteOptions{NoAddresses: true}))
	second := must[*meettest.Member](t)(w.JoinBy(ctx, "second", link, meet.Config{Rendezvous: []meet.Rendezvous{old, later}}))
	lists := old.announced(meet.TopicAt(link, time.Now()))
	if len(lists) != 1 {
		t.Fatalf("%d announcements", len(lists))
	}
	gone := ipOf(t, lists[0])
	ok(t, creator.SetRole(ctx, self(t, ctx, second).Identity, meet.Host))
	w.Advance(5 * time.Second)
	here := later.announced(meet.TopicAt(link, time.Now()))
	if len(here) != 1 || ipOf(t, here[0]) == gone {
		t.Fatalf("the second announces %v", here)
	}
	w.Network.Crash("creator")
	var mu sync.Mutex
	var sent []time.Time
	w.Network.SetTap(func(d transporttest.Datagram) {
		mu.Lock()
		defer mu.Unlock()
		if d.To.Addr() == gone && d.From.Addr() != ipOf(t, here[0]) {
			sent = append(sent, d.At)
		}
	})
	c := found(&liar{lies: func() [][]ma.Multiaddr { return lists }})
	if !alone {
		c.Rendezvous = append(c.Rendezvous, later)
	}
	if twin {
		c = meet.With(c, "keepTrying")
	}
	begun := time.Now()
	_, err := w.JoinBy(ctx, "guest", link, c)
	took := time.Since(begun)
	mu.Lock()
	dialled := slices.Clone(sent)
	mu.Unlock()
	if len(dialled) == 0 {
		t.Fatalf("after %v: %v; the lie was never tried", took, err)
	}
	last := dialled[len(dialled)-1].Sub(begun)
	t.Logf("after %v: %v; %d datagrams to where nobody is, the last after %v", took, err, len(dialled), last)
	if alone != errors.Is(err, meet.ErrNotFound) || !alone && (err != nil || took > time.Second) || took > time.Minute {
		t.Errorf("after %v: %v", took, err)
	}
	if limited := len(dialled) <= 40 && last < 20*time.Second; limited == twin { // 3 tries of 5 s
		t.Errorf("%d datagrams to where nobody is, the last after %v", len(dialled), last)
	}
}
