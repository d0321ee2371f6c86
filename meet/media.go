package meet

import (
	"context"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	"github.com/pion/webrtc/v4"
)

// Publish sends a track to everybody in the meeting, sealed, until the publication is closed. Any pion TrackLocal
// will do. The errors are ErrNotPermitted, ErrTooManyTracks and ErrUnsupportedTrack.
func (m *Meeting) Publish(ctx context.Context, track webrtc.TrackLocal, o PublishOptions) (*Publication, error) {
	return m.PublishLayers(ctx, []webrtc.TrackLocal{track}, o)
}

// PublishLayers publishes several encodings of one picture, the lowest first: at most MaxLayers tracks of one video codec
// (VP8, VP9, AV1 or H.264), encoded from the same frames, as simulcast makes them. Each member gets one at a time, the
// highest that this member's link with it carries, and the highest of all where that isn't known: see
// Config.EstimateBandwidth. It changes at key frames, for which the tracks are asked; who receives it sees one RemoteTrack.
// A layer that nobody gets isn't sealed. One track is published as Publish does. The errors are Publish's.
func (m *Meeting) PublishLayers(ctx context.Context, layers []webrtc.TrackLocal, o PublishOptions) (*Publication, error) {
	source, err := o.check(layers)
	if err != nil {
		return nil, err
	}
	err = command(ctx, m, func() error {
		self := m.roster.ByMeetingKey(m.self.Key())
		if m.ending {
			return m.reason
		}
		if (self == nil || m.roster.Policy.Allows(self.Role)&source.permission() == 0) && !m.config.hooks.unpermitted {
			return ErrNotPermitted
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	pub, err := m.plane.publish(layers, o)
	if err == nil && len(layers) > 1 {
		m.post(func() { m.startChoosing(time.Now()) })
	}
	return pub, err
}

// linked are the members whose media link is up and who may read what we send.
func (m *Meeting) linked() []transport.PeerKey {
	var keys []transport.PeerKey
	for _, p := range m.peers {
		if r := m.roster.ByMeetingKey(p.key); p.mediaUp && r != nil && !r.Equivocated {
			keys = append(keys, peerKey(p.key))
		}
	}
	return keys
}

// openWaiting opens the messages that waited for a key which is there now.
func (m *Meeting) openWaiting(p *peer, now time.Time) {
	for _, packet := range m.plane.waitingMessages(p.key) {
		m.openMessage(p, packet, now)
	}
}

// Stats is the state of a meeting's media.
type Stats struct {
	Tracks []RemoteStats // one for each remote track
	Links  []LinkStats   // one for each other member
}

// RemoteStats is the state of one remote track.
type RemoteStats struct {
	Track  *RemoteTrack
	Member Member
	TrackStats
	// RTT is the round trip to the sender, 0 if unknown.
	RTT time.Duration
}

// LinkStats is the state of the link with one member.
type LinkStats struct {
	Member Member
	// Hears are the others this member says it hears, by its last heartbeat (SPEC §6.6): its side of the picture of who
	// reaches whom. Nobody but itself vouches for it.
	Hears []crypto.IdentityKey
	// Path is the way media takes to this member; its own choice may be another.
	Path Path
	transport.LinkStats
}

// Stats returns counters since the beginning; rates are differences over time.
func (m *Meeting) Stats(ctx context.Context) (Stats, error) {
	return call(ctx, m, func() (Stats, error) {
		var s Stats
		rtt := map[crypto.MeetingKey]time.Duration{}
		for i := range m.roster.Members {
			key := m.roster.Members[i].Bundle.MeetingKey
			if l := m.host.Media(peerKey(key)); l != nil && m.peers[key] != nil {
				v := LinkStats{Member: m.memberOf(&m.roster.Members[i]), LinkStats: l.Stats()}
				v.Path = m.namedPath(v.LinkStats.Path)
				for _, other := range m.presence.HeardBy(m.roster, key) {
					v.Hears = append(v.Hears, other.Identity())
				}
				rtt[key] = v.RTT
				s.Links = append(s.Links, v)
			}
		}
		for _, t := range m.plane.tracks() {
			member, _ := m.memberByKey(t.MemberKey())
			s.Tracks = append(s.Tracks, RemoteStats{Track: t, Member: member, TrackStats: t.Stats(), RTT: rtt[t.MemberKey()]})
		}
		return s, nil
	})
}
