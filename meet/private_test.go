package meet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
)

// heard counts what a member was shown as chat, a star before what was private.
func heard(m *meettest.Member) map[string]int {
	said := map[string]int{}
	for _, e := range events[meet.Chat](m) {
		text := e.Text
		if e.Private {
			text = "*" + text
		}
		said[text]++
	}
	return said
}

// TestPrivate covers MSG-4 and MSG-3: what is said to one person reaches that person once, also over a cut and a
// restart, is then forgotten by its author, and nothing of it reaches anybody else's machine. Control: what is said to
// all does, as gossip.
func TestPrivate(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		var sealed counter
		tap := func(at transport.TapPoint, _ transport.PeerKey, data []byte) {
			var g meet.GossipMessage
			if at == transport.TapGossip && codec.Unmarshal(data, 1<<16, &g) == nil && g.Sealed != nil {
				sealed.add("message")
			}
		}
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		author := must[*meettest.Member](t)(w.Join(ctx, "author", host, meet.Config{}))
		id := crypto.GenerateIdentity()
		reader := must[*meettest.Member](t)(w.Join(ctx, "reader", host, meet.Config{Identity: id}))
		other := must[*meettest.Member](t)(w.Join(ctx, "other", host, meet.Config{Tap: tap}))
		connected(t, ctx, host, author, reader, other)
		w.Advance(2 * time.Second)
		who := self(t, ctx, reader).Identity
		ok(t, author.SayTo(ctx, who, "between us"))
		w.Advance(100 * time.Millisecond)
		if got := heard(reader); got["*between us"] != 1 {
			t.Errorf("at once: %v", got)
		}
		w.Advance(5 * time.Second)
		if n := sealed.of("message"); n != 0 {
			t.Errorf("the room carried %d sealed messages", n)
		}
		w.Network.Partition([]string{"host", "author", "other"}, []string{"reader"})
		w.Advance(time.Second)
		ok(t, author.SayTo(ctx, who, "while you were cut off"))
		ok(t, author.Say(ctx, "public"))
		w.Advance(20 * time.Second)
		w.Network.Heal()
		w.Advance(20 * time.Second)
		if got := heard(reader); len(got) != 3 || got["*between us"] != 1 || got["*while you were cut off"] != 1 || got["public"] != 1 {
			t.Errorf("the reader heard %v", got)
		}
		if got := heard(other); len(got) != 1 || got["public"] != 1 {
			t.Errorf("somebody else heard %v", got)
		}
		if e := events[meet.Chat](reader)[0]; e.From.Name != "author" || e.Time.IsZero() {
			t.Errorf("%+v", e)
		}
		w.Crash(reader)
		w.Advance(time.Second)
		ok(t, author.SayTo(ctx, who, "while you were gone"))
		w.Advance(20 * time.Second)
		again := must[*meettest.Member](t)(w.Join(ctx, "reader2", host, meet.Config{Identity: id}))
		w.Advance(5 * time.Second)
		if got := heard(again); len(got) != 1 || got["*while you were gone"] != 1 {
			t.Errorf("started anew, the reader heard %v", got)
		}
		if sealed.of("message") == 0 {
			t.Error("control: what was public wasn't seen in the room")
		}
		if held := must[meet.Held](t)(author.Held(ctx)); held.Outbox != 0 {
			t.Errorf("the author still keeps %d messages", held.Outbox)
		}
	})
}

// TestPrivateRefused: what can't be said to one person.
func TestPrivateRefused(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		config := open()
		config.Policy.Members = 1 // audio
		host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
		mute := must[*meettest.Member](t)(w.Join(ctx, "mute", host, meet.Config{}))
		bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.With(meet.Config{}, "unpermitted")))
		connected(t, ctx, host, mute, bad)
		of := func(m *meettest.Member) crypto.IdentityKey { return self(t, ctx, m).Identity }
		for name, c := range map[string]struct {
			got, want error
		}{
			"not permitted": {mute.SayTo(ctx, of(host), "x"), meet.ErrNotPermitted},
			"to nobody":     {host.SayTo(ctx, crypto.IdentityKey{1}, "x"), meet.ErrNoSuchMember},
			"to oneself":    {host.SayTo(ctx, of(host), "x"), meet.ErrNoSuchMember},
			"nothing":       {host.SayTo(ctx, of(mute), ""), meet.ErrNotText},
			"no text":       {host.SayTo(ctx, of(mute), "\xff"), meet.ErrNotText},
			"too long":      {host.SayTo(ctx, of(mute), strings.Repeat("x", 4097)), meet.ErrTooLong},
			"longest":       {host.SayTo(ctx, of(mute), strings.Repeat("x", 4096)), nil},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v", name, c.got)
			}
		}
		ok(t, bad.SayTo(ctx, of(host), "without leave")) // ROS-22
		w.Advance(5 * time.Second)
		if got := heard(mute); len(got) != 1 {
			t.Errorf("heard %d", len(got))
		}
		if got := heard(host); len(got) != 0 {
			t.Errorf("heard %v", got)
		}
	})
}

// TestPrivateMisdirected covers MSG-5: a message to one person, shown to another, as it is or as public chat, by its
// reader or its author, isn't taken for what it isn't. The twin shows it to whoever gets it.
func TestPrivateMisdirected(t *testing.T) {
	twin(t, "anyRecipient", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			reader := must[*meettest.Member](t)(w.Join(ctx, "reader", host, meet.Config{}))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, reader, victim)
			ok(t, host.Say(ctx, "public")) // so that the host has a key
			w.Advance(5 * time.Second)
			to := self(t, ctx, reader).Identity
			signed := must[[]byte](t)(crypto.SignMessage(host.Incarnation(), crypto.StreamPrivate, crypto.NewMessageID(), time.Now(), append(to[:], "to the reader"...)))
			key := victim.Incarnation().Key()
			for _, stream := range []uint8{crypto.StreamPrivate, crypto.StreamChat} { // its reader passes it on
				ok(t, reader.InjectMessage(ctx, key, meet.PairMessage{Resend: &meet.ResentMessage{Stream: stream, Signed: signed}}))
			}
			ok(t, reader.InjectGossip(must[[]byte](t)(host.Reseal(ctx, crypto.StreamChat, signed))))
			w.Advance(time.Second)
			if got := heard(victim); len(got) != 1 || got["public"] != 1 {
				t.Errorf("passed on, the victim was shown %v", got)
			}
			for range 2 { // its author sends it to somebody else, too
				ok(t, host.InjectMessage(ctx, key, meet.PairMessage{Resend: &meet.ResentMessage{Stream: crypto.StreamPrivate, Signed: signed}}))
			}
			short := must[[]byte](t)(crypto.SignMessage(host.Incarnation(), crypto.StreamPrivate, crypto.NewMessageID(), time.Now(), make([]byte, 31)))
			ok(t, host.InjectMessage(ctx, key, meet.PairMessage{Resend: &meet.ResentMessage{Stream: crypto.StreamPrivate, Signed: short}}))
			w.Advance(time.Second)
			if got := heard(victim); protected && len(got) != 1 || !protected && got["*to the reader"] != 1 {
				t.Errorf("the victim was shown %v", got)
			}
		})
	})
}

// TestChatFlood covers MSG-8: of one author no more is shown than a person can say, privately or not; what is too much
// comes later. Twin: all is shown at once.
func TestChatFlood(t *testing.T) {
	t.Parallel()
	twin(t, "noLimits", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, bad, victim)
			w.Advance(5 * time.Second)
			who, key := self(t, ctx, victim).Identity, victim.Incarnation().Key()
			for i := range 400 {
				stream, body := uint8(crypto.StreamChat), []byte("x")
				if i%2 == 0 {
					stream, body = crypto.StreamPrivate, append(who[:], 'x')
				}
				signed := must[[]byte](t)(crypto.SignMessage(bad.Incarnation(), stream, crypto.NewMessageID(), time.Now(), body))
				ok(t, bad.InjectMessage(ctx, key, meet.PairMessage{Resend: &meet.ResentMessage{Stream: stream, Signed: signed}}))
			}
			w.Advance(time.Second)
			if n := len(events[meet.Chat](victim)); protected && (n < 256 || n > 300) || !protected && n != 400 {
				t.Errorf("%d are shown", n)
			}
			ok(t, bad.SayTo(ctx, who, "later"))
			w.Advance(10 * time.Second)
			if heard(victim)["*later"] != 1 {
				t.Error("what is said afterwards doesn't come")
			}
		})
	})
}
