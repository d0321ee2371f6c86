package meet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestUnthankful covers MSG-10: who never acknowledges what it gets, and comes by a new connection again and again, is
// sent it ever more rarely. In the twin it is sent up to 64 messages every two seconds and with each connection, for ever.
func TestUnthankful(t *testing.T) {
	t.Parallel()
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			var sent counter
			config.Policy = open().Policy
			author := must[*meettest.Member](t)(w.Create(ctx, "author", config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", author, meet.OnPair(meet.With(meet.Config{}, "unthankful"), func(_ crypto.MeetingKey, msg meet.PairMessage) {
				if msg.Resend != nil {
					sent.add("again")
				}
			})))
			connected(t, ctx, author, bad)
			for i := range 64 {
				ok(t, author.Say(ctx, fmt.Sprint("line ", i)))
			}
			w.Advance(2 * time.Minute)
			n := sent.of("again") // after 0, 2, 6, 14, 30, 62 s
			if few := n <= 7*64; few != protected {
				t.Errorf("in 2 minutes it was sent %d", n)
			}
			for range 15 {
				bad.HangUp(author.Incarnation().Key())
				w.Advance(3 * time.Second)
			}
			n = sent.of("again") - n
			if few := n <= 14*64; few != protected {
				t.Errorf("with 15 connections it was sent %d", n)
			}
		})
	})
}

// TestMuchMissed: who has missed as much as an author keeps, and may be shown it only little by little (MSG-8), has all of
// it as soon as that allows, once.
//
// Checks: MSG-10.
func TestMuchMissed(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		author := must[*meettest.Member](t)(w.Create(ctx, "author", open()))
		reader := must[*meettest.Member](t)(w.Join(ctx, "reader", author, meet.Config{}))
		connected(t, ctx, author, reader)
		say := func(n int) {
			for i := range n {
				ok(t, author.Say(ctx, fmt.Sprint("line ", i)))
				w.Advance(10 * time.Millisecond)
			}
		}
		say(256)
		w.Advance(time.Second)
		w.Network.Partition([]string{"author"}, []string{"reader"})
		say(256)
		w.Advance(10 * time.Second)
		w.Network.Heal()
		w.Advance(40 * time.Second)
		if n := len(events[meet.Chat](reader)); n != 512 {
			t.Errorf("%d of 512 were shown", n)
		}
		if held := must[meet.Held](t)(author.Held(ctx)); held.Outbox != 0 {
			t.Errorf("%d are kept", held.Outbox)
		}
	})
}
