package meet_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

// TestForgedGossip covers GOS-1: whoever passes messages on can make none up in another's name. Control: what it passes
// on unchanged arrives.
func TestForgedGossip(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		a := must[*meettest.Member](t)(w.Join(ctx, "a", host, meet.With(meet.Config{}, "noGossip")))
		bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
		connected(t, ctx, host, a, bad)
		w.Advance(6 * time.Second)
		before := self(t, ctx, host)
		key, meeting := a.Incarnation().Key(), host.ID()
		signed := must[[]byte](t)(crypto.SignMessage(bad.Incarnation(), crypto.StreamChat, crypto.NewMessageID(), time.Now(), []byte("forged")))
		keys := must[*crypto.SenderKeys](t)(crypto.NewSenderKeys(bad.Incarnation(), 4))
		must[crypto.Epoch](t)(keys.Rotate(time.Now(), crypto.Hash{}, nil, nil))
		keys.Switch()
		announce := must[crypto.KeyAnnounce](t)(keys.Announce())
		announce.Author = key
		sealed := must[[]byte](t)(keys.Stream(crypto.StreamChat).SealMessage(signed))
		beat := []byte{0xa0}
		ops := must[[][]byte](t)(host.Operations(ctx))
		op := append([]byte(nil), ops[len(ops)-1]...)
		op[len(op)-1] ^= 1 // of the signature
		for _, g := range []meet.GossipMessage{
			{Operation: op}, {Announce: announce.Encode()}, {Sealed: sealed}, {Heartbeat: &meet.GossipBeat{Author: key, Heartbeat: beat}},
		} {
			ok(t, bad.InjectGossip(meet.Encode(g)))
		}
		// By pair session, as if it had been missed.
		ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Resend: &meet.ResentMessage{Stream: crypto.StreamChat, Signed: must[[]byte](t)(crypto.SignMessage(a.Incarnation(), crypto.StreamChat, crypto.NewMessageID(), time.Now(), []byte("a's own, resent by another")))}}))
		w.Advance(8 * time.Second)
		if n := len(events[meet.Chat](host)); n != 0 {
			t.Errorf("%d forged messages were shown", n)
		}
		if after := self(t, ctx, host); !reflect.DeepEqual(after, before) {
			t.Errorf("%+v became %+v", before, after)
		}
		if n := len(must[[][]byte](t)(host.Operations(ctx))); n != len(ops) {
			t.Errorf("%d operations were %d", n, len(ops))
		}
		// Control: passed on by bad, since a publishes nothing itself.
		again := must[[]byte](t)(crypto.SignMessage(bad.Incarnation(), crypto.StreamChat, crypto.NewMessageID(), time.Now(), []byte("its own")))
		ok(t, bad.InjectMessage(ctx, host.Incarnation().Key(), meet.PairMessage{Resend: &meet.ResentMessage{Stream: crypto.StreamChat, Signed: again}}))
		w.Advance(time.Second)
		if n := events[meet.Chat](host); len(n) != 1 || n[0].From.Name != "bad" {
			t.Errorf("control: %v of %v", n, meeting)
		}
	})
}

// TestRemovalWithoutGossip covers GOS-2: a removal reaches everybody at once although nobody passes any gossip on.
func TestRemovalWithoutGossip(t *testing.T) {
	t.Parallel()
	twin(t, "gossipOnly", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			config = meet.With(config, "noGossip")
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			all := []*meettest.Member{host}
			for _, name := range []string{"b", "c", "d"} {
				all = append(all, must[*meettest.Member](t)(w.Join(ctx, name, host, meet.With(meet.Config{}, "noGossip"))))
				connected(t, ctx, all...)
			}
			w.Advance(2 * time.Second)
			ok(t, host.Remove(ctx, self(t, ctx, all[3]).Identity, false))
			w.Advance(50 * time.Millisecond)
			for _, m := range all[1:3] {
				if gone := len(events[meet.MemberLeft](m)) == 1; gone != protected {
					t.Errorf("after 50 ms %s knows of the removal: %v", m.Host, gone)
				}
			}
		})
	})
}

// TestWordsWait covers VER-2: there are no words to compare as long as those present don't all see the same.
func TestWordsWait(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long: not with -short")
	}
	twin(t, "anyTime", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			alone := must[crypto.Verification](t)(host.Words(ctx))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.Config{}))
			if _, err := host.Words(ctx); protected != errors.Is(err, meet.ErrNotAgreed) {
				t.Errorf("before b is heard: %v", err)
			}
			connected(t, ctx, host, b)
			w.Advance(12 * time.Second)
			v := must[crypto.Verification](t)(host.Words(ctx))
			if v != must[crypto.Verification](t)(b.Words(ctx)) || v == alone {
				t.Error("the words differ, or don't change with the people")
			}
			w.Network.Partition([]string{"host"}, []string{"b"})
			ok(t, host.Lock(ctx)) // the roster as b can't see it
			if _, err := host.Words(ctx); protected != errors.Is(err, meet.ErrNotAgreed) {
				t.Errorf("while b sees another roster: %v", err)
			}
			w.Network.Heal()
			w.Advance(12 * time.Second)
			must[crypto.Verification](t)(host.Words(ctx))
		})
	})
}

// TestForgedInvites covers INV-5: a member can neither fill another's door with links nobody made, nor give it another
// door key for a real one.
func TestForgedInvites(t *testing.T) {
	twin(t, "anyInvite", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.Config{}))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", host, config))
			connected(t, ctx, host, bad, victim)
			// Viewers aren't told of links, so that the victim knows none of this one.
			ok(t, host.SetRole(ctx, self(t, ctx, victim).Identity, meet.Viewer))
			w.Advance(time.Second)
			invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			w.Advance(time.Second)
			before := must[meet.Held](t)(victim.Held(ctx)).Invites
			var forged []meet.SharedInvite
			for _, s := range must[[]meet.SharedInvite](t)(bad.SharedInvites(ctx)) {
				s.Invite.Door = crypto.NewInvite().Door // a real link, another door
				forged = append(forged, s, meet.SharedInvite{Invite: crypto.NewInvite(), Operation: s.Operation})
			}
			for range 30 {
				forged = append(forged, meet.SharedInvite{Invite: crypto.NewInvite(), Operation: crypto.HashOf("identity", []byte{byte(len(forged))})})
			}
			ok(t, bad.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Invites: forged}))
			w.Advance(time.Second)
			held := must[meet.Held](t)(victim.Held(ctx))
			if grown := held.Invites - before; protected != (grown == 0) {
				t.Errorf("the victim keeps %d forged links", grown)
			}
			// With the wrong door key the victim plays an impostor to whoever comes to its door.
			_, err := w.JoinBy(ctx, "joiner", meet.Through(invite, victim.Meeting), meet.Config{})
			var impostor *meet.ImpostorError
			if errors.As(err, &impostor) == protected {
				t.Errorf("at the victim's door: %v", err)
			}
			// As a host it gets the real ones, and its door works.
			if !protected {
				return
			}
			ok(t, host.SetRole(ctx, self(t, ctx, victim).Identity, meet.Host))
			w.Advance(time.Second)
			must[*meettest.Member](t)(w.JoinBy(ctx, "joiner", meet.Through(invite, victim.Meeting), meet.Config{}))
		})
	})
}

// TestLobbyEmptied covers DOR-9: a removal turns out whoever waits with a link that it kills.
func TestLobbyEmptied(t *testing.T) {
	twin(t, "keepLobby", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			id := crypto.GenerateIdentity()
			first := knock(ctx, w, "first", invite, meet.Config{Identity: id})
			ok(t, host.Admit(ctx, id.Public()))
			<-first.done
			waits, leave := context.WithCancel(ctx)
			waiting := knock(waits, w, "waiting", invite, meet.Config{})
			ok(t, host.Remove(ctx, id.Public(), false))
			w.Advance(5 * time.Second)
			if n := len(must[[]meet.Knock](t)(host.Knocks(ctx))); protected != (n == 0) {
				t.Errorf("%d still wait", n)
			}
			leave()
			<-waiting.done
			if protected {
				denied(t, "who waited", waiting.err, meet.DeniedLink)
			}
		})
	})
}

// TestPutOutWhileCutOff covers DOR-10: whoever was removed while cut off learns it, and by whom, when it is back, though
// nobody talks to it any more. Twin: who doesn't ask never learns it.
func TestPutOutWhileCutOff(t *testing.T) {
	t.Parallel()
	twin(t, "noAsking", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			all := party(t, ctx, w, 3)
			c := must[*meettest.Member](t)(w.Join(ctx, "member3", all[0], config))
			connected(t, ctx, append(all, c)...)
			w.Network.Partition([]string{"member0", "member1", "member2"}, []string{"member3"})
			w.Advance(time.Second)
			ok(t, all[0].Remove(ctx, self(t, ctx, c).Identity, false))
			w.Advance(30 * time.Second)
			if c.Context().Err() != nil {
				t.Fatal("it ended while it could know nothing")
			}
			w.Network.Heal()
			learnt := true
			select {
			case <-c.Context().Done():
			case <-time.After(40 * time.Second):
				learnt = false
			}
			if learnt != protected {
				t.Fatalf("it learns it: %v", learnt)
			}
			var removed *meet.RemovedError
			if err := context.Cause(c.Context()); protected && (!errors.As(err, &removed) || removed.ByName != "member0") {
				t.Errorf("it ended with %v", err)
			}
		})
	})
}

// TestRemovedStays covers TRA-7 and TRA-16 in whole meetings: a removed member whose client goes on, and keeps its
// connections as long as it can, is given nothing more. Without the protection it is.
func TestRemovedStays(t *testing.T) {
	t.Parallel()
	twin(t, "keepPeers", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			var got seen
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			b := must[*meettest.Member](t)(w.Join(ctx, "b", host, config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, meet.With(meet.Config{Tap: got.tap}, "ignoreEnding")))
			connected(t, ctx, host, b, bad)
			for _, m := range []*meettest.Member{host, b} {
				tone := must[*meettest.Tone](t)(m.PublishTone(ctx, 60))
				defer tone.Stop()
			}
			w.Advance(3 * time.Second)
			ok(t, host.Remove(ctx, self(t, ctx, bad).Identity, false))
			w.Advance(300 * time.Millisecond)
			got.reset()
			for range 30 {
				ok(t, host.Say(ctx, "entre nous"))
				w.Advance(time.Second)
			}
			n := [3]int{got.count(transport.TapGossip), got.count(transport.TapPair), got.count(transport.TapMedia)}
			if protected && n != [3]int{} {
				t.Errorf("removed, it received gossip, pair packets, media: %v", n)
			}
			if !protected && n[0] == 0 {
				t.Errorf("twin: it received gossip, pair packets, media: %v", n)
			}
		})
	})
}

// TestStreamsCoalesced covers STR-3 on the sender's side: however often a track changes, at most eight announcements a
// second go out, and the last says how it is.
func TestStreamsCoalesced(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		var got counter
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", host, meet.OnPair(meet.Config{}, func(_ crypto.MeetingKey, msg meet.PairMessage) {
			if msg.State != nil {
				got.add("streams")
			}
		})))
		connected(t, ctx, host, b)
		if _, err := host.Publish(ctx, nil, meet.PublishOptions{}); !errors.Is(err, meet.ErrUnsupportedTrack) {
			t.Errorf("a track that is none: %v", err)
		}
		tone := must[*meettest.Tone](t)(host.PublishTone(ctx, 60))
		defer tone.Stop()
		w.Advance(time.Second)
		before := got.of("streams")
		for i := range 201 {
			tone.Publication.Mute(i%2 == 0)
			w.Advance(5 * time.Millisecond)
		}
		w.Advance(time.Second)
		if n := got.of("streams") - before; n < 5 || n > 10 {
			t.Errorf("201 changes in a second made %d announcements", n)
		}
		tracks := must[meet.Stats](t)(b.Stats(ctx)).Tracks
		if len(tracks) != 1 || !tracks[0].Track.Muted() {
			t.Errorf("the last change didn't arrive: %+v", tracks)
		}
	})
}

// TestTwoStories has a member tell two others different things: both find out from what they echo to each other.
//
// Checks: PRE-7.
func TestTwoStories(t *testing.T) {
	t.Parallel()
	twin(t, "noEchoes", func(t *testing.T, protected bool, config meet.Config) {
		alarmed(t, ms20, func(ctx context.Context, w *meettest.World) {
			config.Policy = open().Policy
			host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
			good := must[*meettest.Member](t)(w.Join(ctx, "good", host, config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", host, config))
			connected(t, ctx, host, good, bad)
			inc, meeting, key := bad.Incarnation(), host.ID(), bad.Incarnation().Key()
			for i, to := range []*meettest.Member{host, good} {
				b := roster.Heartbeat{Number: 1000, Announce: &crypto.Hash{byte(i)}}
				sig := inc.Sign("heartbeat", meeting[:], key[:], meet.Encode(&b))
				b.Signature = &sig
				ok(t, bad.InjectMessage(ctx, to.Incarnation().Key(), meet.PairMessage{Heartbeat: meet.Encode(&b)}))
			}
			w.Advance(12 * time.Second)
			for _, m := range []*meettest.Member{host, good} {
				n := slices.DeleteFunc(warnings(m), func(w meet.Warning) bool { return w.Kind != meet.Equivocation })
				if found := len(n) == 1 && n[0].Member.Name == "bad"; found != protected {
					t.Errorf("%s was shown %+v", m.Host, n)
				}
			}
		})
	})
}
