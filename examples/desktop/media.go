package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/huisclos/huisclos/examples/desktop/internal/bridge"
	"github.com/huisclos/huisclos/meet"
)

var sources = map[string]meet.Source{
	"microphone": meet.SourceMicrophone, "camera": meet.SourceCamera, "screen": meet.SourceScreen, "screenAudio": meet.SourceScreenAudio,
}

var sourceNames = inverse(sources)

// rightOf is what one must be allowed, to send a source.
var rightOf = map[string]string{"microphone": "audio", "camera": "video", "screen": "screen", "screenAudio": "screen"}

// maySend reports whether this member may send a source. agent.mu is held.
func (s *session) maySend(name string) bool {
	m := s.agent.state.Meeting
	return m != nil && slices.Contains(m.Can.Send, rightOf[name])
}

// stopUnpermitted turns off what this member may no longer send: else it would go on by itself, without an act of the
// person's, as soon as they may again. agent.mu is held.
func (s *session) stopUnpermitted() {
	for name, wanted := range s.wanted {
		if wanted != "on" || s.maySend(name) {
			continue
		}
		s.wanted[name] = "off"
		if name == "microphone" {
			s.wanted[name] = "muted"
		}
		s.agent.later(func() { _ = s.publish(name) })
	}
}

func (a *agent) mediaOffer(ctx context.Context, r mediaOffer) (any, error) {
	sdp, err := a.bridge.Offer(ctx, r.SDP, r.Sources, r.Restart)
	if err != nil {
		return nil, err
	}
	return mediaAnswer{SDP: sdp}, nil
}

// The bridge calls what follows from goroutines that must not wait: the work is done in others.

func (a *agent) sourceCame(b *bridge.Source) {
	a.later(func() {
		if s, err := a.inMeeting(); err == nil {
			_ = s.publish(b.Name()) // a refusal shows in media.own
		}
	})
}

func (a *agent) slotsChanged() {
	a.later(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.session != nil {
			a.session.showTracks()
		}
	})
}

func (a *agent) grow(audio, video int) {
	a.later(func() { a.send(mediaGrowEvent{"media-grow", audio, video}) })
}

func (a *agent) mediaConnection(to string) {
	a.later(func() { a.update(func(s *state) { s.Media.Connection = to }, "media") })
}

// mediaSend changes what this member sends.
func (s *session) mediaSend(_ context.Context, r mediaSend) (any, error) {
	for name, wanted := range r.Own {
		if _, ok := sources[name]; !ok || wanted != "on" && wanted != "muted" && wanted != "off" {
			return nil, fail(badRequest)
		}
	}
	var failed error
	for name, wanted := range r.Own {
		s.agent.mu.Lock()
		if wanted == "on" && !s.maySend(name) {
			s.agent.mu.Unlock()
			failed = fail(notPermitted)
			continue
		}
		s.wanted[name] = wanted
		s.liveTracks() // what is muted is recorded no more, from now on
		s.agent.mu.Unlock()
		if err := s.publish(name); err != nil {
			failed = err
		}
	}
	return nil, failed
}

// publish makes one source what is wanted of it: published, muted, or not there. What the page doesn't send yet is
// published when it comes.
func (s *session) publish(name string) error {
	a := s.agent
	b := a.bridge.Source(name)
	s.publishing.Lock() // one at a time, so that no source is published twice
	defer s.publishing.Unlock()
	a.mu.Lock()
	pub, published, wanted := s.publications[name], s.published[name], s.wanted[name]
	a.mu.Unlock()
	var err error
	switch {
	case wanted == "off" || wanted == "":
		if pub != nil {
			err = pub.Close()
			pub = nil
		}
	case pub == nil && b != nil:
		pub, err = s.meeting.PublishLayers(s.context, b.Tracks(), meet.PublishOptions{Source: sources[name], Muted: wanted == "muted"})
	case pub != nil:
		pub.Mute(wanted == "muted")
		if b != nil && b != published { // in another codec, or in other layers
			err = pub.ReplaceLayers(b.Tracks())
		}
	}
	if errors.Is(err, meet.ErrUnsupportedTrack) || errors.Is(err, meet.ErrTooManyTracks) {
		b = published // as it was
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	shown := wanted
	if wanted == "" || err != nil && pub == nil {
		shown = "off"
		s.wanted[name] = "off"
	}
	if pub == nil {
		delete(s.publications, name)
		delete(s.published, name)
	} else {
		s.publications[name], s.published[name] = pub, b
	}
	own := map[string]string{}
	for k, v := range a.state.Media.Own {
		own[k] = v
	}
	own[name] = shown
	a.state.Media.Own = own
	s.liveTracks()
	a.changed("media")
	return err
}

func (s *session) keyFrame(_ context.Context, r keyFrame) (any, error) {
	s.agent.mu.Lock()
	t := s.tracks[r.Track]
	s.agent.mu.Unlock()
	if t != nil {
		t.RequestKeyFrame()
	}
	return nil, nil
}

// addTrack takes what another member sends. agent.mu is held.
func (s *session) addTrack(t *meet.RemoteTrack) {
	if _, ok := s.tracks[t.ID()]; ok {
		return
	}
	s.tracks[t.ID()] = t
	a := s.agent
	a.later(func() { a.bridge.Add(t) }) // which calls slotsChanged
}

// showTracks shows the tracks as they are now. agent.mu is held.
func (s *session) showTracks() {
	a := s.agent
	s.liveTracks()
	slots := a.bridge.Slots()
	all := make([]track, 0, len(s.tracks))
	for id, t := range s.tracks {
		who := ""
		for _, m := range s.members {
			if m.Key == t.MemberKey() {
				who = hexKey(m.Identity)
			}
		}
		all = append(all, track{
			ID: id, Member: who, Kind: t.Kind().String(), Source: sourceNames[t.Source()], Codec: t.Codec().MimeType, Muted: t.Muted(),
			Mid: slots[id],
		})
	}
	slices.SortFunc(all, func(x, y track) int { return strings.Compare(x.ID, y.ID) })
	if !slices.Equal(all, a.state.Tracks) {
		a.state.Tracks = all
		a.changed("tracks")
	}
}
