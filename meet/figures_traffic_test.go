package meet_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// traffic is what datagrams crossed a network.
type traffic struct {
	datagrams int
	bytes     int // of UDP payload
	media     int // of them STUN, DTLS, RTP and RTCP; the rest is QUIC (RFC 9443)
}

// trafficCounter counts everything that crosses a network.
type trafficCounter struct {
	mu  sync.Mutex
	sum traffic
}

func (c *trafficCounter) count(d transporttest.Datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.datagrams++
	c.sum.bytes += len(d.Data)
	if b := d.Data[0]; b < 64 || b >= 128 && b < 192 {
		c.sum.media += len(d.Data)
	}
}

func (c *trafficCounter) total() traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// during returns what f causes, with what else happens meanwhile.
func (c *trafficCounter) during(f func()) traffic {
	before := c.total()
	f()
	after := c.total()
	return traffic{after.datagrams - before.datagrams, after.bytes - before.bytes, after.media - before.media}
}

// trafficWindow is a whole number of all heartbeats' intervals at up to 100 members.
const trafficWindow = 10 * time.Second

// TestTraffic counts all UDP bytes of one leave and one join, less those of an idle window as long, in the meeting as
// it is afterwards. All members publish a muted voice, so that all have keys and all rotate. FIGURES=1 does it with
// 32 and 100 members as well.
func TestTraffic(t *testing.T) {
	t.Parallel()
	sizes := []int{8}
	if testing.Short() {
		sizes = []int{4}
	}
	if full() {
		sizes = []int{8, 32, 100}
	}
	for _, n := range sizes {
		world(t, meettest.Options{Latency: roundTrip / 2}, func(ctx context.Context, w *meettest.World) { countTraffic(t, ctx, w, n) })
	}
}

func countTraffic(t *testing.T, ctx context.Context, w *meettest.World, n int) {
	all := party(t, ctx, w, n)
	for _, m := range all {
		publishMuted(t, ctx, m)
	}
	w.Advance(trafficWindow)
	invite, err := all[0].Invite(ctx, meet.InviteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Advance(trafficWindow)
	var c trafficCounter
	w.Network.SetTap(c.count)
	idle := func() { w.Advance(trafficWindow) }
	before := c.during(idle)
	leave := c.during(func() {
		began := time.Now()
		if err := all[n-1].Leave(ctx); err != nil {
			t.Fatal(err)
		}
		w.Advance(trafficWindow - time.Since(began))
	})
	between := c.during(idle)
	var joiner *meettest.Member
	join := c.during(func() {
		began := time.Now()
		if joiner, err = w.JoinBy(ctx, "joiner", invite, meet.Config{}); err != nil {
			t.Fatal(err)
		}
		publishMuted(t, ctx, joiner)
		w.Advance(trafficWindow - time.Since(began))
	})
	connected(t, ctx, append(all[:n-1:n-1], joiner)...)
	after := c.during(idle)
	report := func(what string, event, idle traffic) int {
		bytes := event.bytes - idle.bytes
		t.Logf("n = %d, %s: %d bytes in %d datagrams; of these ICE, DTLS and RTP %d, QUIC %d", n, what, bytes,
			event.datagrams-idle.datagrams, event.media-idle.media, bytes-(event.media-idle.media))
		return bytes
	}
	seconds := int(trafficWindow / time.Second)
	t.Logf("n = %d, idle: %d bytes/s in all, %d per member", n, before.bytes/seconds, before.bytes/seconds/n)
	left, joined := report("one leave", leave, between), report("one join", join, after)
	if n > 8 {
		return
	}
	// Sane: each pair exchanges keys, and what everybody must see costs a few copies a member.
	if least, most := 100*(n-1)*(n-2), 10_000*(n-1)*(n-2); left < least || left > most {
		t.Errorf("n = %d: a leave of %d bytes, not %d to %d", n, left, least, most)
	}
	if least, most := 5_000*(n-1), 100_000*(n-1); joined < least || joined > most {
		t.Errorf("n = %d: a join of %d bytes, not %d to %d", n, joined, least, most)
	}
}

func publishMuted(t *testing.T, ctx context.Context, m *meettest.Member) {
	t.Helper()
	track, err := newVoice()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Publish(ctx, track, meet.PublishOptions{Muted: true}); err != nil {
		t.Fatal(err)
	}
}
