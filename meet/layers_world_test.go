package meet_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/pion/rtp"
)

// viewer reads a track and sees whether its picture goes on.
type viewer struct {
	mu     sync.Mutex
	track  *meet.RemoteTrack
	layers []byte // one after the other
	gaps   int
	broken int // changes of layer without a key frame, and a beginning without
	n      int
	last   *rtp.Packet
	done   chan struct{}
}

func watch(track *meet.RemoteTrack) *viewer {
	v := &viewer{track: track, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			v.take(p)
		}
	}()
	return v
}

func (v *viewer) take(p *rtp.Packet) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.n++
	layer, key := p.Payload[2], p.Payload[0] == 0x10 && p.Payload[1] == 0
	if (len(v.layers) == 0 || v.layers[len(v.layers)-1] != layer) && !key {
		v.broken++
	}
	if len(v.layers) == 0 || v.layers[len(v.layers)-1] != layer {
		v.layers = append(v.layers, layer)
	}
	if v.last != nil && p.SequenceNumber != v.last.SequenceNumber+1 {
		v.gaps++
	}
	v.last = p
}

// TestLayersByLink is a camera in three layers for two members, one of whose links is thin for a while: that one gets
// the lowest layer then, and the highest again after, while the other keeps the highest throughout. Each sees one picture
// that goes on. So it is by ICE's path, by streams, and by streams that took over from it, where little of the voice is dropped.
// Checks: LAY-2, LAY-3, LAY-5.
func TestLayersByLink(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"ICE", "streams", "ICE, then streams"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			layersByLink(t, by)
		})
	}
}

func layersByLink(t *testing.T, by string) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		if by == "streams" {
			w.Network.SetFilter(withoutMedia)
		}
		config := open()
		config.EstimateBandwidth = true
		a := must[*meettest.Member](t)(w.Create(ctx, "a", config))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
		c := must[*meettest.Member](t)(w.Join(ctx, "c", a, meet.Config{}))
		connected(t, ctx, a, b, c)
		voice := must[*meettest.Tone](t)(a.PublishTone(ctx, 80))
		defer voice.Stop()
		camera := must[*meettest.Camera](t)(a.PublishCamera(ctx, 100_000, 300_000, 900_000))
		defer camera.Stop()
		views := map[*meettest.Member]*viewer{}
		for _, m := range []*meettest.Member{b, c} {
			for n := 0; views[m] == nil && n < 100; n++ {
				w.Advance(20 * time.Millisecond)
				for _, r := range must[meet.Stats](t)(m.Stats(ctx)).Tracks {
					if r.Track.Source() == meet.SourceCamera {
						views[m] = watch(r.Track)
					}
				}
			}
		}
		layer := func(m *meettest.Member) int { return views[m].track.Stats().Layer }
		reach := func(m *meettest.Member, want int, most time.Duration) {
			t.Helper()
			begun := time.Now()
			for layer(m) != want {
				if w.Advance(50 * time.Millisecond); time.Since(begun) > most {
					t.Fatalf("%s gets layer %d after %v, not %d: %+v, links %+v", m.Host, layer(m), most, want, camera.Publication.Layers(), must[meet.Stats](t)(a.Stats(ctx)).Links)
				}
			}
			t.Logf("%s gets layer %d after %v", m.Host, want, time.Since(begun))
		}
		reach(b, 3, 20*time.Second)
		reach(c, 3, 20*time.Second)
		if by == "ICE, then streams" {
			w.Network.SetFilter(withoutMedia)
			w.Advance(5 * time.Second)
			reach(b, 3, 20*time.Second)
			reach(c, 3, 20*time.Second)
		}
		ok(t, w.Network.SetDownlink("b", 300_000, 300*time.Millisecond))
		reach(b, 1, 10*time.Second)
		w.Advance(20 * time.Second)
		reach(c, 3, 0)
		ok(t, w.Network.SetDownlink("b", 0, 0))
		reach(b, 3, 90*time.Second)
		for _, l := range must[meet.Stats](t)(a.Stats(ctx)).Links {
			t.Logf("%s: %+v", l.Member.Name, l.LinkStats)
			most := map[string]uint64{"b": 50}[l.Member.Name] // when it turns thin: a second's, of at least 40
			if l.Stream != (by != "ICE") || l.AudioDropped > most || l.VideoDropped > 5*most {
				t.Errorf("%s: %+v", l.Member.Name, l.LinkStats)
			}
		}
		gaps := 0
		if by == "ICE, then streams" { // one, and the layer below for a moment, when the path is lost
			gaps = 1
		}
		for m, v := range views {
			v.mu.Lock()
			t.Logf("%s: %d packets, %d gaps, layers %v, %+v", m.Host, v.n, v.gaps, v.layers, v.track.Stats())
			if v.broken > 0 || v.n < 1000 || m == c && (v.gaps > gaps || len(v.layers) > 3+2*gaps || slices.Max(v.layers) != 2) {
				t.Errorf("%s: %d times without a key frame, %d gaps, layers %v", m.Host, v.broken, v.gaps, v.layers)
			}
			v.mu.Unlock()
		}
		for i := range camera.KeyFrames {
			t.Logf("layer %d: %d key frames", i, camera.KeyFrames[i].Load())
			if n := camera.KeyFrames[i].Load(); n > 15 {
				t.Errorf("%d key frames of layer %d", n, i)
			}
		}
	})
}
