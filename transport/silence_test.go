package transport_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// TestSilence: during a call, a connection on which nothing comes through any more ends a second after the last packet, so
// that its owner connects again; not for a gap, not where ICE's path alone is lost, not where the connection was just made,
// and not where nobody speaks. Twin: QUIC waits for 8 s.
//
// Checks: MST-6.
func TestSilence(t *testing.T) {
	all := func(transporttest.Datagram) bool { return false }
	ice := func(d transporttest.Datagram) bool { return !transport.IsMedia(d.Data) }
	for name, tt := range map[string]struct {
		twin      bool
		young     bool
		mute      bool
		lost      func(transporttest.Datagram) bool // what still comes through
		gap       time.Duration
		ends      bool
		stillUp   time.Duration
		endsAfter time.Duration
	}{
		"nothing comes through":        {lost: all, ends: true, stillUp: 900 * time.Millisecond, endsAfter: 1200 * time.Millisecond},
		"twin":                         {lost: all, twin: true, ends: true, stillUp: 6 * time.Second, endsAfter: 10 * time.Second},
		"a gap":                        {lost: all, gap: 800 * time.Millisecond},
		"ICE's path alone":             {lost: ice},
		"the connection is young":      {lost: all, young: true, ends: true, stillUp: 4 * time.Second, endsAfter: 10 * time.Second},
		"nothing is sent all the time": {lost: all, mute: true, ends: true, stillUp: 2 * time.Second, endsAfter: 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				a, b := streamPair(t, w, transport.Unsafe{TrustSilence: tt.twin})
				a.offer(b)
				a.waitMedia(b, true, time.Second)
				b.waitMedia(a, true, time.Second)
				var calls sync.WaitGroup
				if !tt.mute {
					for _, n := range [][2]*node{{a, b}, {b, a}} {
						calls.Go(func() { n[0].call(n[1], 300_000, 25*time.Second) })
					}
				}
				defer calls.Wait()
				if !tt.young {
					time.Sleep(6 * time.Second)
				}
				w.SetFilter(tt.lost)
				defer w.SetFilter(nil)
				since := time.Now()
				if tt.gap > 0 {
					time.Sleep(tt.gap)
					w.SetFilter(nil)
				}
				if !tt.ends {
					time.Sleep(12 * time.Second)
					if a.ConnsTo(b.Key()) != 1 || b.ConnsTo(a.Key()) != 1 {
						t.Error("the connection has ended")
					}
					if s := a.Media(b.Key()).Stats(); !s.Up {
						t.Errorf("no media: %+v", s)
					}
					return
				}
				time.Sleep(tt.stillUp)
				if a.ConnsTo(b.Key()) == 0 || b.ConnsTo(a.Key()) == 0 {
					t.Errorf("ended within %v", tt.stillUp)
				}
				for _, n := range [][2]*node{{a, b}, {b, a}} {
					n[0].wait("the end", tt.endsAfter-time.Since(since), func() bool { return n[0].up[n[1].Key()] == 0 })
				}
				t.Logf("ended after %v", time.Since(since))
			})
		})
	}
}
