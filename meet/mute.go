package meet

import (
	"context"
	"fmt"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

// Limits on one member's requests to mute: so many at once, and so many a second (MUT-2).
const muteBurst, muteRate = 4, 0.2

// RequestMute asks a person to mute what they send; they get MuteRequested, and decide. Nobody can mute or unmute
// somebody else. Only hosts can ask. The errors are ErrNotPermitted, ErrNoSuchMember (also for oneself), ErrNotConnected
// and ErrTooOften.
func (m *Meeting) RequestMute(ctx context.Context, who crypto.IdentityKey, source Source) error {
	if source.permission() == 0 {
		return fmt.Errorf("%w: %v is no source", ErrUnsupportedTrack, source)
	}
	return command(ctx, m, func() error {
		self, r := m.roster.ByMeetingKey(m.self.Key()), m.roster.Member(who)
		switch {
		case m.ending:
			return m.reason
		case (self == nil || self.Role != roster.RoleHost) && !m.config.hooks.unpermitted:
			return ErrNotPermitted
		case r == nil || m.peers[r.Bundle.MeetingKey] == nil:
			return ErrNoSuchMember
		}
		p := m.peers[r.Bundle.MeetingKey]
		if !p.connected || !p.installed {
			return ErrNotConnected
		}
		if !p.limit.mutesSent.allow(time.Now(), muteBurst, muteRate) {
			return ErrTooOften
		}
		m.muteTo(r)
		m.send(p, pairMessage{Mute: &muteRequest{Source: source}})
		return nil
	})
}

// muteAsked reports what a host asks for. Nothing else happens.
func (m *Meeting) muteAsked(p *peer, r *muteRequest, now time.Time) {
	by, ok := m.memberByKey(p.key)
	if !ok || r.Source.permission() == 0 {
		return
	}
	if by.Role != roster.RoleHost && !m.config.hooks.anyAsker { // MUT-1
		m.log.Debug("a request to mute refused: only hosts can")
		return
	}
	if !p.limit.mutes.allow(now, muteBurst, muteRate) && !m.config.hooks.noLimits {
		return
	}
	m.emit(MuteRequested{By: by, Source: r.Source})
}
