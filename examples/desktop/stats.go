package main

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// lastStats is what the counters were a second ago.
type lastStats struct {
	at     time.Time
	links  map[crypto.IdentityKey]meet.LinkStats
	tracks map[string]meet.TrackStats
	sent   map[string]meet.PublicationStats
	limits map[string]uint64
	layers map[string][]meet.LayerStats
}

// everySecond adapts the browser's encoder, sends statistics, and ends what is over by time.
func (a *agent) everySecond() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for seconds := 0; ; seconds++ {
		select {
		case <-tick.C:
		case <-a.context.Done():
			return
		}
		a.mu.Lock()
		if seconds%3600 == 0 {
			a.expire(time.Now())
		}
		a.uploadsLost(time.Now())
		a.mu.Unlock()
		s, err := a.inMeeting()
		if err != nil {
			continue
		}
		raw, err := s.meeting.Stats(a.context)
		if err != nil {
			continue
		}
		relays, err := s.meeting.Relays(a.context)
		if err != nil {
			continue
		}
		a.mu.Lock()
		s.relays = relays
		s.adapt(raw)
		shown := s.statistics(raw, time.Now())
		if a.stats {
			a.sendLocked(statsEvent{"stats", shown})
		}
		a.mu.Unlock()
	}
}

// statistics makes rates of counters. agent.mu is held.
func (s *session) statistics(raw meet.Stats, at time.Time) stats {
	before := s.last
	passed := at.Sub(before.at).Seconds()
	s.last.at, s.last.links, s.last.tracks, s.last.sent = at, map[crypto.IdentityKey]meet.LinkStats{}, map[string]meet.TrackStats{}, map[string]meet.PublicationStats{}
	rate := func(now, then uint64) float64 {
		if before.at.IsZero() || now < then || passed <= 0 {
			return 0
		}
		return float64(now-then) / passed
	}
	layers := s.last.layers
	s.last.layers = map[string][]meet.LayerStats{}
	out := stats{At: at.UnixMilli(), Links: []linkStats{}, Tracks: []trackStats{}, Sent: []sentStats{}}
	for _, l := range raw.Links {
		was := before.links[l.Member.Identity]
		s.last.links[l.Member.Identity] = l
		shown := linkStats{
			Member: hexKey(l.Member.Identity), Path: "none", RTT: inMilliseconds(l.RTT), Target: int64(l.TargetBitrate),
			BitrateIn: int64(8 * rate(l.BytesReceived, was.BytesReceived)), BitrateOut: int64(8 * rate(l.BytesSent, was.BytesSent)),
			Loss: share(rate(l.Retransmitted, was.Retransmitted), rate(l.PacketsSent, was.PacketsSent)),
		}
		shown.Path, shown.Through = s.pathOf(l)
		for _, id := range l.Hears {
			shown.Others = append(shown.Others, hexKey(id))
		}
		out.Links = append(out.Links, shown)
	}
	for _, t := range raw.Tracks {
		was := before.tracks[t.Track.ID()]
		s.last.tracks[t.Track.ID()] = t.TrackStats
		lost := rate(t.Lost, was.Lost)
		out.Tracks = append(out.Tracks, trackStats{
			Track: t.Track.ID(), Bitrate: int64(8 * rate(t.Bytes, was.Bytes)), Frames: rate(t.Frames, was.Frames),
			Loss: share(lost, lost+rate(t.Packets, was.Packets)), Undecryptable: t.Undecryptable, RTT: inMilliseconds(t.RTT),
			Layers: t.Layers, Layer: t.Layer,
		})
	}
	for _, name := range slices.Sorted(maps.Keys(s.publications)) {
		now := s.publications[name].Stats()
		was := before.sent[name]
		s.last.sent[name] = now
		frames := 0.0 // of the layer with the most: all show the same picture
		s.last.layers[name] = s.publications[name].Layers()
		for i, l := range s.last.layers[name] {
			var then uint64
			if i < len(layers[name]) {
				then = layers[name][i].Frames
			}
			frames = max(frames, rate(l.Frames, then))
		}
		out.Sent = append(out.Sent, sentStats{
			Source: name, Bitrate: int64(8 * rate(now.Bytes, was.Bytes)), Frames: frames, Limit: int64(s.last.limits[name]),
			Layers: membersByLayer(s.last.layers[name]),
		})
	}
	return out
}

// pathOf is the way to a member, and through whom: that of media, or, while there is none, of what is said. agent.mu is
// held.
func (s *session) pathOf(l meet.LinkStats) (kind, through string) {
	path := l.Path
	if !l.Up {
		path = l.Member.Path
	}
	switch path.Kind {
	case meet.PathUDP:
		return "direct", ""
	case meet.PathTCP:
		return "tcp", ""
	case meet.PathMember:
		return "member", s.idOf(path.Via)
	case meet.PathRelay:
		return "relay", s.relayOf(path.Name)
	}
	return "none", ""
}

// idOf is the id of the member with a key, empty if there is none.
func (s *session) idOf(key crypto.MeetingKey) string {
	for _, m := range s.members {
		if m.Key == key {
			return hexKey(m.Identity)
		}
	}
	return ""
}

// relayOf is an own relay's address, or the id of the member who named the relay. agent.mu is held.
func (s *session) relayOf(fingerprint string) string {
	for _, r := range s.relays {
		switch {
		case r.Fingerprint != fingerprint:
		case r.NamedBy != crypto.MeetingKey{}:
			return s.idOf(r.NamedBy)
		}
	}
	for _, r := range s.agent.state.Network.Relays {
		if r.ID == fingerprint && len(r.Addresses) > 0 {
			return r.Addresses[0]
		}
	}
	return ""
}

// membersByLayer is how many members get each layer; none if there is one encoding.
func membersByLayer(layers []meet.LayerStats) []int {
	n := []int{}
	for _, l := range layers {
		if len(layers) > 1 {
			n = append(n, l.Members)
		}
	}
	return n
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return math.Min(1, part/whole)
}

// The limits of what the browser's encoders may make, in bit/s.
const (
	leastVideo  = 100_000
	mostVideo   = 2_500_000
	mostUplink  = 8_000_000 // of all copies together, while nothing is known of the uplink
	startVideo  = 1_200_000
	soundBudget = 64_000 // taken off before pictures get theirs
	safety      = 0.9    // of what is estimated
)

// What a camera in layers is allowed: what its lowest layer takes, at least, and as many times what the fastest member
// can receive that there is always a layer more to try.
const (
	lowestLayer = 150_000
	leastLayers = 700_000
	layersAhead = 3
)

// encoderLimits says how much the browser may make of each picture: what the slowest present member can receive,
// shared among our pictures, the screen first. Targets are the estimates by member, 0 where there is none. Layers says
// that the camera has layers: then each member gets what it can receive, and the slowest holds back nobody.
func encoderLimits(targets []int, pictures []string, layers bool) map[string]uint64 {
	if len(pictures) == 0 {
		return nil
	}
	if i := slices.Index(pictures, "camera"); i >= 0 && layers {
		fastest := slices.Max(append([]int{0}, targets...))
		others := slices.Delete(slices.Clone(pictures), i, i+1)
		left := slices.Clone(targets)
		for j, t := range targets {
			if t > 0 {
				left[j] = max(1, t-lowestLayer)
			}
		}
		out := encoderLimits(left, others, false)
		if out == nil {
			out = map[string]uint64{}
		}
		out["camera"] = mostVideo
		if fastest > 0 {
			out["camera"] = uint64(min(mostVideo, max(leastLayers, layersAhead*fastest)))
		}
		return out
	}
	total := float64(startVideo * len(pictures))
	if n := len(targets); n > 0 {
		total = math.Min(total, mostUplink/float64(n))
	}
	least := math.Inf(1)
	for _, t := range targets {
		if t > 0 {
			least = math.Min(least, float64(t))
		}
	}
	if !math.IsInf(least, 1) {
		total = least*safety - soundBudget
	}
	out := map[string]uint64{}
	parts := float64(len(pictures))
	if slices.Contains(pictures, "screen") {
		parts++ // what is shared counts twice
	}
	for _, name := range pictures {
		part := total / parts
		if name == "screen" {
			part *= 2
		}
		out[name] = uint64(math.Max(leastVideo, math.Min(mostVideo, part)))
	}
	return out
}

// adapt limits the browser's encoders to what members can receive. agent.mu is held.
func (s *session) adapt(raw meet.Stats) {
	var targets []int
	for _, l := range raw.Links {
		if l.Up && !l.Member.Away {
			targets = append(targets, l.TargetBitrate)
		}
	}
	var pictures []string
	for _, name := range []string{"camera", "screen"} {
		if s.wanted[name] == "on" {
			pictures = append(pictures, name)
		}
	}
	camera := s.published["camera"]
	limits := encoderLimits(targets, pictures, camera != nil && len(camera.Tracks()) > 1)
	for name, limit := range limits {
		before := s.last.limits[name]
		s.agent.bridge.Limit(name, limit)
		if before == 0 || limit > before+before/10 || limit < before-before/10 {
			s.agent.sendLocked(encoderEvent{Event: "encoder", Source: name, MaxBitrate: int(limit), MaxHeight: heightFor(limit)})
		} else {
			limits[name] = before
		}
	}
	s.last.limits = limits
}

// heightFor is how high a camera's picture can be for it to look well.
func heightFor(limit uint64) int {
	switch {
	case limit < 250_000:
		return 240
	case limit < 600_000:
		return 360
	case limit < 1_500_000:
		return 720
	}
	return 1080
}
