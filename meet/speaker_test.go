package meet_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// talk publishes a microphone whose level is what the caller sets, in -dBov, until the meeting is over.
func talk(t *testing.T, ctx context.Context, m *meettest.Member) (*atomic.Int32, *meet.Publication) {
	t.Helper()
	track := must[*webrtc.TrackLocalStaticRTP](t)(webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "voice", m.Host))
	pub := must[*meet.Publication](t)(m.Publish(ctx, track, meet.PublishOptions{}))
	level := &atomic.Int32{}
	level.Store(127)
	go func() {
		p := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, 60)}
		for i := int32(0); ; i++ {
			p.Header = rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(i) * 960}
			v := level.Load()
			if v < 127 && i%50 < 10 { // a pause, as voices have
				v = 60
			}
			_ = p.SetExtension(meet.AudioLevelExtension, []byte{byte(v) | 0x80})
			_ = track.WriteRTP(p)
			select {
			case <-time.After(20 * time.Millisecond):
			case <-m.Context().Done():
				return
			}
		}
	}()
	return level, pub
}

// TestActiveSpeaker covers LEV-2 in a whole meeting: all see the same speaker, once each time it changes, also those who
// come later; a mute ends it.
func TestActiveSpeaker(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		a, _ := talk(t, ctx, all[0])
		b, mic := talk(t, ctx, all[1])
		w.Advance(3 * time.Second)
		for _, m := range all {
			if n := len(events[meet.ActiveSpeaker](m)); n != 0 {
				t.Errorf("%s: %d while nobody speaks", m.Host, n)
			}
		}
		says := func(what, name string, n int) {
			t.Helper()
			for _, m := range all {
				v, ok, err := m.ActiveSpeaker(ctx)
				if err != nil || v.Name != name || ok != (name != "") {
					t.Errorf("%s: %s sees %q, %v, %v", what, m.Host, v.Name, ok, err)
				}
				told := events[meet.ActiveSpeaker](m)
				if len(told) != n || told[n-1].Member.Name != name || told[n-1].OK != ok {
					t.Errorf("%s: %s was told %+v", what, m.Host, told)
				}
			}
		}
		a.Store(25)
		w.Advance(5 * time.Second)
		says("one speaks", "member0", 1)
		for _, track := range must[meet.Stats](t)(all[2].Stats(ctx)).Tracks {
			if v, ok := track.Track.AudioLevel(); !ok || track.Member.Name == "member0" && v < -60 || track.Member.Name == "member1" && v > -100 {
				t.Errorf("%s's level is %d, %v", track.Member.Name, v, ok)
			}
		}
		a.Store(127)
		b.Store(25)
		w.Advance(5 * time.Second)
		says("the other", "member1", 2)
		for e := range all[2].Events() {
			if s, ok := e.(meet.Snapshot); !ok || s.ActiveSpeaker != all[1].Incarnation().Key() {
				t.Errorf("the snapshot says %v", s.ActiveSpeaker)
			}
			break
		}
		mic.Mute(true)
		w.Advance(time.Second)
		says("muted", "", 3)
		mic.Mute(false)
		w.Advance(2 * time.Second)
		says("again", "member1", 4)
		ok(t, all[1].Leave(ctx))
		all = []*meettest.Member{all[0], all[2]}
		w.Advance(time.Second)
		says("gone", "", 5)
	})
}
