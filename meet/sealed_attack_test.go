package meet_test

import (
	"context"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/sframe"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// forge seals anything in another's name, as every reader of theirs can who has a key of that generation. It signs as
// itself, since it can't as the author.
func forge(by *crypto.Incarnation, meeting crypto.MeetingID, author crypto.MeetingKey, k senderKey, stream, step uint8, ctr uint64, plaintext []byte) []byte {
	base := k.key
	for s := k.step; s < step; s++ {
		base, _ = sframe.Ratchet(sframe.AES128GCM, base)
	}
	key, err := sframe.NewKey(sframe.AES128GCM, k.generation<<12|uint64(stream)<<4|uint64(step), base)
	if err != nil {
		panic(err)
	}
	name := crypto.HashOf("stream", meeting[:], author[:], []byte{stream})
	sealed, err := key.Seal([]byte{0}, ctr, append(name[:16:16], 0), plaintext)
	if err != nil {
		panic(err)
	}
	m := crypto.SealedMessage{Author: author, Sealed: sealed}
	m.Signature = by.Sign("sealed message", meeting[:], author[:], sealed)
	return meet.Encode(meet.GossipMessage{Sealed: meet.Encode(m)})
}

// sealedAttack has a hostile reader of an author do something, whose victim reads the author too.
func sealedAttack(t *testing.T, f func(ctx context.Context, w *meettest.World, protected bool, author, bad, victim *meettest.Member, key senderKey)) {
	twin(t, "anySealer", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			h := newHostile()
			author := must[*meettest.Member](t)(w.Create(ctx, "author", open()))
			victim := must[*meettest.Member](t)(w.Join(ctx, "victim", author, config))
			bad := must[*meettest.Member](t)(w.Join(ctx, "bad", author, meet.RecordWraps(meet.Config{}, h.keep)))
			connected(t, ctx, author, bad, victim)
			w.Advance(2 * time.Second)
			ok(t, author.Say(ctx, "so that there is a key"))
			w.Advance(2 * time.Second)
			h.mu.Lock()
			keys := h.keys[[32]byte(author.Incarnation().Key())]
			key := keys[len(keys)-1]
			h.mu.Unlock()
			f(ctx, w, protected, author, bad, victim, key)
		})
	})
}

// TestForgedStep covers MSG-9: a reader can ratchet the author's key to its last step. In the twin one message that it
// seals under that has all others throw the author's key away, and what the author sends under it, media too, is lost
// until there is a fresh generation.
func TestForgedStep(t *testing.T) {
	t.Parallel()
	sealedAttack(t, func(ctx context.Context, w *meettest.World, protected bool, author, bad, victim *meettest.Member, key senderKey) {
		tone := must[*meettest.Tone](t)(author.PublishTone(ctx, 60))
		defer tone.Stop()
		ok(t, crossed(ctx, w, author, victim, time.Second))
		ok(t, bad.InjectGossip(forge(bad.Incarnation(), author.ID(), author.Incarnation().Key(), key, crypto.StreamChat, crypto.MaxStep, 1, []byte("x"))))
		w.Advance(3 * time.Second)
		if err := crossed(ctx, w, author, victim, time.Minute); (err == nil) != protected {
			t.Errorf("media afterwards: %v", err)
		}
	})
}

// TestForgedCounter covers MSG-9: in the twin one message with a high counter makes all later ones of the author too old.
func TestForgedCounter(t *testing.T) {
	t.Parallel()
	sealedAttack(t, func(ctx context.Context, w *meettest.World, protected bool, author, bad, victim *meettest.Member, key senderKey) {
		ok(t, bad.InjectGossip(forge(bad.Incarnation(), author.ID(), author.Incarnation().Key(), key, crypto.StreamReaction, key.step, 1<<20, []byte("x"))))
		w.Advance(time.Second)
		ok(t, author.React(ctx, "👍"))
		w.Advance(10 * time.Second)
		if n := len(events[meet.Reaction](victim)); (n == 1) != protected {
			t.Errorf("%d reactions were shown", n)
		}
	})
}

// TestForgedUnknownKeys covers MSG-9: in the twin messages of keys that don't exist take the room of the author's that
// came before its key (KEY-8).
func TestForgedUnknownKeys(t *testing.T) {
	t.Parallel()
	sealedAttack(t, func(ctx context.Context, w *meettest.World, protected bool, author, bad, victim *meettest.Member, key senderKey) {
		unknown := senderKey{generation: 1 << 20, key: make([]byte, 32)}
		for i := range 300 {
			ok(t, bad.InjectGossip(forge(bad.Incarnation(), author.ID(), author.Incarnation().Key(), unknown, crypto.StreamChat, 0, uint64(i), []byte("x"))))
		}
		w.Advance(100 * time.Millisecond)
		// The author's next key, whose wrap comes after what was sealed under it.
		keys := must[*crypto.SenderKeys](t)(crypto.NewSenderKeys(author.Incarnation(), sframe.AES128GCM))
		for range 8 {
			must[crypto.Epoch](t)(keys.Rotate(time.Now(), crypto.Hash{}, nil, nil))
		}
		keys.Switch()
		signed := must[[]byte](t)(crypto.SignMessage(author.Incarnation(), crypto.StreamReaction, crypto.NewMessageID(), time.Now(), []byte("👍")))
		sealed := must[[]byte](t)(keys.Stream(crypto.StreamReaction).SealMessage(signed))
		ok(t, author.InjectGossip(meet.Encode(meet.GossipMessage{Sealed: sealed})))
		w.Advance(100 * time.Millisecond)
		ok(t, author.InjectMessage(ctx, victim.Incarnation().Key(), meet.PairMessage{Wrap: must[[]byte](t)(keys.Wrap())}))
		w.Advance(time.Second)
		if n := len(events[meet.Reaction](victim)); (n == 1) != protected {
			t.Errorf("%d reactions were shown", n)
		}
	})
}
