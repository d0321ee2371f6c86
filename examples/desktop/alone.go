package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	bundled "github.com/huisclos/huisclos/examples/internal/media"
	"github.com/huisclos/huisclos/examples/internal/mediafile"
	"github.com/huisclos/huisclos/meet"
	"github.com/pion/webrtc/v4"
)

// synthetic are the participants of try-it-alone, their media, and what they say.
var synthetic = []struct {
	name, speech, picture string
	says                  map[string]string
}{
	{"Ada", "speech-1.ogg", "picture-1.ivf", map[string]string{
		"fr": "Bonjour ! Je suis un programme : vous pouvez tout essayer sans déranger personne.",
		"en": "Hello! I am a program: you can try everything without disturbing anybody.",
	}},
	{"Blaise", "speech-2.ogg", "picture-2.ivf", map[string]string{
		"fr": "Moi aussi. Cette réunion ne quitte pas votre ordinateur.",
		"en": "So am I. This meeting doesn't leave your computer.",
	}},
}

var loopback = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)}

// tryAlone begins a meeting on this machine, with two synthetic participants in the same process.
func (a *agent) tryAlone(context.Context, alone) (any, error) {
	s, err := a.begin("creating", true)
	if err != nil {
		return nil, err
	}
	c := a.plain()
	c.Policy = meet.DefaultPolicy()
	c.Policy.Entry = meet.EntryOpen
	c.Contacts = nil // nobody is recognised, or resembles them
	if a.options.network == nil {
		c.Listen = loopback
	}
	network := c.Network
	a.tasks.Go(func() {
		m, err := meet.Create(s.context, c)
		var link meet.Invite
		if err == nil {
			if link, err = m.Invite(s.context, meet.InviteOptions{}); err != nil {
				err = errors.Join(err, m.Close())
			}
		}
		if s.entered(m, err); err != nil {
			return
		}
		for i := range synthetic {
			b := meet.Config{Name: synthetic[i].name, Listen: c.Listen, Network: network}
			a.tasks.Go(func() { a.bot(s, m.Context(), link, b, i) })
		}
	})
	return nil, nil
}

// bot is one synthetic participant, until the meeting is over.
func (a *agent) bot(s *session, over context.Context, link meet.Invite, c meet.Config, i int) {
	m, err := meet.Join(over, link, c)
	if err != nil {
		return // the meeting ended meanwhile, or shows one participant less
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
		defer cancel()
		if m.Leave(ctx) != nil {
			_ = m.Close()
		}
	}()
	ctx, cancel := context.WithCancel(over)
	defer cancel()
	defer context.AfterFunc(m.Context(), cancel)()
	done := make(chan error, 2)
	for _, name := range []string{synthetic[i].speech, synthetic[i].picture} {
		go func() { done <- play(ctx, m, name) }()
	}
	a.mu.Lock()
	language := a.state.Settings.Language
	a.mu.Unlock()
	if wait(ctx, time.Duration(i+1)*2*time.Second) {
		_ = m.Say(ctx, synthetic[i].says[language])
	}
	<-ctx.Done()
	<-done
	<-done
}

// play publishes a bundled file, again and again.
func play(ctx context.Context, m *meet.Meeting, name string) error {
	source, err := mediafile.OpenFS(bundled.FS, name)
	if err != nil {
		return err
	}
	track, err := webrtc.NewTrackLocalStaticRTP(source.Codec(), name, "alone")
	if err != nil {
		return err
	}
	pub, err := m.Publish(ctx, track, meet.PublishOptions{})
	if err != nil {
		return err
	}
	for start := time.Now(); ; {
		packets, at, err := source.NextPackets()
		if errors.Is(err, io.EOF) {
			source.Rewind()
			continue
		}
		if err != nil || !wait(ctx, time.Until(start.Add(at))) {
			return errors.Join(err, pub.Close())
		}
		for _, p := range packets {
			if err := track.WriteRTP(p); err != nil {
				return errors.Join(err, pub.Close())
			}
		}
	}
}

// wait reports whether the time passed before the context was done.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
