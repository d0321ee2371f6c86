package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// linksData are the media links with the others.
type linksData struct {
	Links []linkData `json:"links"`
}

// linkData is one of them; rtt_ms is absent where it isn't known.
type linkData struct {
	Member   string  `json:"member"`
	Key      string  `json:"key"`
	Up       bool    `json:"up"`
	RTT      float64 `json:"rtt_ms,omitempty"`
	Sent     uint64  `json:"sent"`     // media packets
	Received uint64  `json:"received"` // media packets
}

func (d linksData) String() string {
	if len(d.Links) == 0 {
		return "nobody else is here"
	}
	list := make([]string, len(d.Links))
	for i, l := range d.Links {
		state := "down"
		if l.Up {
			state = fmt.Sprintf("up, %.1f ms", l.RTT)
		}
		list[i] = fmt.Sprintf("%s: %s, %d packets sent, %d received", l.Member, state, l.Sent, l.Received)
	}
	return strings.Join(list, "; ")
}

func (p *participant) showLinks(ctx context.Context) error {
	s, err := p.m.Stats(ctx)
	if err != nil {
		return err
	}
	d := linksData{Links: make([]linkData, len(s.Links))}
	for i, l := range s.Links {
		d.Links[i] = linkData{
			Member: l.Member.Name, Key: hexKey(l.Member.Identity), Up: l.Up, RTT: float64(l.RTT.Microseconds()) / 1000,
			Sent: l.PacketsSent, Received: l.PacketsReceived,
		}
	}
	p.out.event("links", d, "%v", d)
	return nil
}

// firstPacketData is a track whose first packet was opened.
type firstPacketData struct {
	trackData
	After float64 `json:"after_ms"` // since this program began to create or join the meeting
}

// firstPacketEvery is how often a new track is looked at: it can be read by one reader only, which is the recorder.
const firstPacketEvery = 2 * time.Millisecond

// awaitFirst reports when the first packet of a track was opened.
func (p *participant) awaitFirst(t *meet.RemoteTrack, d trackData) {
	tick := time.NewTicker(firstPacketEvery)
	defer tick.Stop()
	for t.Stats().Packets == 0 {
		select {
		case <-tick.C:
		case <-p.m.Context().Done():
			return
		}
		if p.tracks.isOver(t) {
			return
		}
	}
	after := float64(time.Since(p.began).Microseconds()) / 1000
	p.out.event("first_packet", firstPacketData{d, after}, "the first %s of %s is here, %.0f ms after we began", d.Kind, d.Member, after)
}

// isOver tells whether a track has ended.
func (t *tracks) isOver(track *meet.RemoteTrack) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.all {
		if r.track == track {
			return r.over
		}
	}
	return true
}
