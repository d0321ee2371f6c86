package meet_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/crypto/sframe"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
)

// hostile is a member's client that keeps everything: every sender key it was ever given, with all that follow from
// it, and, from a tap on every link, every sealed packet that anybody received.
type hostile struct {
	mu      sync.Mutex
	keys    map[transport.PeerKey][]senderKey
	packets []tapped
}

type senderKey struct {
	generation uint64
	step       uint8
	key        []byte
}

type tapped struct {
	at     time.Time
	from   transport.PeerKey
	packet []byte
}

func newHostile() *hostile { return &hostile{keys: map[transport.PeerKey][]senderKey{}} }

// keep is given every wrap that the hostile member's client decrypted.
func (h *hostile) keep(from crypto.MeetingKey, raw []byte) {
	var w struct {
		_          struct{} `cbor:",toarray"`
		Generation uint64
		Step       uint8
		Key        []byte
		View       [16]byte
		Signature  crypto.Signature
	}
	if codec.Unmarshal(raw, 512, &w) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[transport.PeerKey(from)] = append(h.keys[transport.PeerKey(from)], senderKey{w.Generation, w.Step, bytes.Clone(w.Key)})
}

// tap is on every link: it sees what the link's end sees after DTLS-SRTP.
func (h *hostile) tap(at transport.TapPoint, from transport.PeerKey, data []byte) {
	if at != transport.TapMedia {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.packets = append(h.packets, tapped{time.Now(), from, bytes.Clone(data)})
}

// opens says whether any key it kept, or any that follows by the ratchet, opens a packet.
func (h *hostile) opens(meeting crypto.MeetingID, p tapped) bool {
	header, err := crypto.InspectMedia(p.packet)
	if err != nil {
		return false
	}
	context := crypto.HashOf("stream", meeting[:], p.from[:], []byte{header.Stream})
	metadata := append(bytes.Clone(context[:16]), p.packet[0])
	for _, k := range h.keys[p.from] {
		// By the rules only the generation it names can open it; a hostile client tries all.
		base := k.key
		for step := k.step; step <= crypto.MaxStep; step++ {
			kid := header.Epoch.Generation<<12 | uint64(header.Stream)<<4 | uint64(header.Epoch.Step)
			if key, err := sframe.NewKey(sframe.AES128GCM, kid, base); err == nil {
				if _, _, err := key.Open(nil, metadata, p.packet[1:]); err == nil {
					return true
				}
			}
			if base, err = sframe.Ratchet(sframe.AES128GCM, base); err != nil {
				break
			}
		}
	}
	return false
}

// fraction is how many of the packets sent in a span of time it opens.
func (h *hostile) fraction(meeting crypto.MeetingID, from, to time.Time) (opened, all int) {
	for _, p := range h.packets {
		if p.at.Before(from) || !p.at.Before(to) {
			continue
		}
		all++
		if h.opens(meeting, p) {
			opened++
		}
	}
	return opened, all
}

// removal runs a meeting of n in which the last member, hostile, is removed while all others send, and returns what
// it opened before, and after the switch was due: one way, 200 ms and a margin for what is under way.
func removal(t *testing.T, n int, config func(meet.Config) meet.Config) (before, allBefore, after, allAfter int) {
	world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		h := newHostile()
		honest := func(c meet.Config) meet.Config { c.Tap = h.tap; return config(c) }
		creator, err := w.Create(ctx, "creator", honest(open()))
		if err != nil {
			t.Fatal(err)
		}
		all := []*meettest.Member{creator}
		for i := 1; i < n-1; i++ {
			m, err := w.Join(ctx, fmt.Sprint("member", i), creator, honest(meet.Config{}))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
		}
		bad, err := w.Join(ctx, "hostile", creator, meet.RecordWraps(honest(meet.Config{}), h.keep))
		if err != nil {
			t.Fatal(err)
		}
		connected(t, ctx, append(all, bad)...)
		var tones []*meettest.Tone
		for _, m := range all {
			tone, err := m.PublishTone(ctx, 80)
			if err != nil {
				t.Fatal(err)
			}
			tones = append(tones, tone)
		}
		w.Advance(3 * time.Second)
		start := time.Now()
		w.Advance(5 * time.Second)
		self, err := bad.Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		removed := time.Now()
		if err := creator.Remove(ctx, self.Identity, false); err != nil {
			t.Fatal(err)
		}
		w.Advance(5 * time.Second)
		for _, tone := range tones {
			tone.Stop()
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		before, allBefore = h.fraction(creator.ID(), start, removed)
		// The switch: one way to hear of it, 200 ms, one way for the last packet to arrive.
		after, allAfter = h.fraction(creator.ID(), removed.Add(240*time.Millisecond), removed.Add(5*time.Second))
	})
	return
}

// TestRemovedIsBlind covers KEY-6: a hostile member that keeps all memory and taps every link opens nothing that was
// sealed after the switch; while it was in it opened everything. Its twin has senders that keep their keys.
func TestRemovedIsBlind(t *testing.T) {
	t.Parallel()
	before, allBefore, after, allAfter := removal(t, 5, func(c meet.Config) meet.Config { return c })
	t.Logf("in: opened %d of %d; after the switch: %d of %d", before, allBefore, after, allAfter)
	if allBefore == 0 || float64(before) < 0.99*float64(allBefore) {
		t.Errorf("control: as a member it opened %d of %d", before, allBefore)
	}
	if allAfter < 500 {
		t.Errorf("only %d packets after the switch", allAfter)
	}
	if after != 0 {
		t.Errorf("removed, it opened %d of %d", after, allAfter)
	}
}

// TestRemovedIsNotBlindWithoutRotation is the twin.
func TestRemovedIsNotBlindWithoutRotation(t *testing.T) {
	_, _, after, allAfter := removal(t, 3, func(c meet.Config) meet.Config { return meet.KeepKeys(c) })
	if allAfter == 0 || float64(after) < 0.99*float64(allAfter) {
		t.Errorf("twin: without fresh keys it must open everything, and opened %d of %d", after, allAfter)
	}
}
