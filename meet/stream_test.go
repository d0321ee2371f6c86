package meet_test

import (
	"context"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// withoutMedia drops ICE's, DTLS's and SRTP's datagrams, and leaves QUIC's (RFC 9443).
func withoutMedia(d transporttest.Datagram) bool {
	return d.Data[0] >= 64 && d.Data[0] < 128 || d.Data[0] >= 192
}

// TestMediaByStream covers MST-4: a meeting in which ICE finds no path is heard by streams; when there is a path media
// goes there, and back to streams when it is lost; nothing is delivered twice. Twin: without streams nobody is heard.
func TestMediaByStream(t *testing.T) {
	t.Parallel()
	for name, protected := range map[string]bool{"streams": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			world(t, ms20, func(ctx context.Context, w *meettest.World) {
				config := func(c meet.Config) meet.Config {
					if !protected {
						c = meet.With(c, "noStreams")
					}
					return c
				}
				w.Network.SetFilter(withoutMedia)
				a := must[*meettest.Member](t)(w.Create(ctx, "a", config(open())))
				b := must[*meettest.Member](t)(w.Join(ctx, "b", a, config(meet.Config{})))
				connected(t, ctx, a, b)
				both := []*meettest.Member{a, b}
				for _, m := range both {
					tone := must[*meettest.Tone](t)(m.PublishTone(ctx, 100))
					defer tone.Stop()
				}
				check := func(when string, stream bool, mostLost uint64) {
					t.Helper()
					for _, m := range both {
						s := must[meet.Stats](t)(m.Stats(ctx))
						if len(s.Links) != 1 || !s.Links[0].Up || s.Links[0].Stream != stream {
							t.Errorf("%s: %s: %+v", when, m.Host, s.Links)
						}
						if len(s.Tracks) != 1 || s.Tracks[0].Packets < 100 || s.Tracks[0].Lost > mostLost || s.Tracks[0].Repeated > 0 || s.Tracks[0].Undecryptable > 0 {
							t.Errorf("%s: %s: %+v", when, m.Host, s.Tracks)
						}
					}
				}
				w.Advance(5 * time.Second)
				if !protected {
					for _, m := range both {
						for _, track := range must[meet.Stats](t)(m.Stats(ctx)).Tracks {
							if track.Packets > 0 {
								t.Errorf("%s hears: %+v", m.Host, track)
							}
						}
					}
					return
				}
				check("ICE without a path", true, 0)
				w.Advance(time.Minute)
				w.Network.SetFilter(nil)
				w.Advance(25 * time.Second) // by when it is tried again
				check("ICE with a path", false, 0)
				w.Network.SetFilter(withoutMedia)
				w.Advance(2 * time.Second)
				check("the path lost", true, 75)
				w.Advance(10 * time.Second)
				w.Network.SetFilter(nil)
				w.Advance(25 * time.Second)
				check("the path found again", false, 75)
			})
		})
	}
}

// TestMediaByThinStream covers MST-3: over a stream that carries a quarter of what is sent, every packet of the voice
// comes, and of the picture what can be decoded: where something was dropped, the source is asked for a key frame.
func TestMediaByThinStream(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		w.Network.SetFilter(withoutMedia)
		a := must[*meettest.Member](t)(w.Create(ctx, "a", open()))
		b := must[*meettest.Member](t)(w.Join(ctx, "b", a, meet.Config{}))
		connected(t, ctx, a, b)
		w.Advance(2 * time.Second)
		ok(t, w.Network.SetUplink("a", 400_000, time.Second))
		picture, voice := must[*camera](t)(newCamera()), must[*meettest.Tone](t)(a.PublishTone(ctx, 100))
		defer voice.Stop()
		pub := must[*meet.Publication](t)(a.Publish(ctx, picture, meet.PublishOptions{}))
		running, stop := context.WithCancel(ctx)
		defer stop()
		go picture.run(running)
		w.Advance(20 * time.Second)
		keyFrames := uint64(0)
		for _, track := range must[meet.Stats](t)(b.Stats(ctx)).Tracks {
			t.Logf("%v: %+v", track.Track.Source(), track.TrackStats)
			if track.Track.Source() == meet.SourceMicrophone && (track.Lost > 0 || track.Packets < 990) {
				t.Errorf("voice: %+v", track.TrackStats)
			}
			keyFrames += track.KeyFrames
		}
		link := must[meet.Stats](t)(a.Stats(ctx)).Links[0]
		t.Logf("%+v, %+v", link.LinkStats, pub.Stats())
		if n := pub.Stats().KeyFramesWanted; n < 5 || n > 25 || keyFrames < 5 {
			t.Errorf("%d key frames came, %d were asked for", keyFrames, n)
		}
		if link.VideoDropped == 0 || link.AudioDropped > 0 || link.TargetBitrate < 100_000 || link.TargetBitrate > 450_000 {
			t.Errorf("%+v", link.LinkStats)
		}
	})
}
