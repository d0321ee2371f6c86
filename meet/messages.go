package meet

import (
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
)

// message handles what a pair session carried. What doesn't decode is dropped; it came from a member who is authentic
// but may be hostile.
func (m *Meeting) message(p *peer, raw []byte, now time.Time) {
	var msg pairMessage
	if err := decodeOne(raw, maxPairMessage, &msg); err != nil {
		m.log.Debug("pair message refused", "error", err)
		return
	}
	if f := m.config.hooks.pair; f != nil {
		f(p.key, msg)
	}
	switch {
	case msg.Wrap != nil:
		m.wrapped(p, msg.Wrap, now)
	case msg.Ack != nil:
		m.acknowledged(p, *msg.Ack)
	case msg.Heartbeat != nil:
		if p.limit.beats.allow(now, beatBurst, beatRate) || m.config.hooks.noLimits { // PRE-8
			m.heard(p.key, msg.Heartbeat, now)
		}
	case msg.Sync != nil:
		m.synced(p, *msg.Sync, now)
	case msg.Have != nil:
		m.compared(p, *msg.Have, now)
	case msg.Want != nil:
		m.wanted(p, msg.Want, now)
	case msg.Operations != nil:
		m.operations(msg.Operations, p)
	case msg.Addresses != nil:
		m.addresses(msg.Addresses, p, now)
	case msg.Offer != nil:
		m.answer(p, msg.Offer, now)
	case msg.Answer != nil:
		m.accept(p, msg.Answer)
	case msg.State != nil:
		m.stateOf(p, msg.State)
	case msg.KeyFrame != nil:
		m.plane.wantKeyFrame(p.key, msg.KeyFrame.Stream)
	case msg.Invites != nil:
		m.invitesTold(p, msg.Invites)
	case msg.Received != nil:
		m.received(p, msg.Received)
	case msg.Resend != nil:
		m.resent(p, msg.Resend, now)
	case msg.Announce != nil:
		m.keyAnnounced(*msg.Announce, now)
	case msg.Waiting != nil:
		m.knocksTold(p, msg.Waiting, now)
	case msg.Decision != nil:
		m.knockDecided(p, *msg.Decision, now)
	case msg.Contradiction != nil:
		m.contradicted(p, *msg.Contradiction, now)
	case msg.Mute != nil:
		m.muteAsked(p, msg.Mute, now)
	case msg.Relays != nil:
		m.relaysTold(p, msg.Relays, now)
	case msg.FileRefused != nil:
		m.fileRefused(p, *msg.FileRefused)
	default:
		m.comparing(p, msg, now)
	}
}

// gossip handles what the room carried. Whoever passed it on is trusted with nothing: each kind is signed by its author
// (GOS-1).
func (m *Meeting) gossip(g transport.Gossip) {
	var msg gossipMessage
	if err := decodeOne(g.Data, maxGossip, &msg); err != nil {
		m.log.Debug("gossip refused", "error", err)
		return
	}
	if f := m.config.hooks.opened; f != nil {
		f("room", g.Data)
	}
	now := time.Now()
	switch {
	case msg.Operation != nil:
		m.operations([][]byte{msg.Operation}, m.peers[crypto.MeetingKey(g.From)])
	case msg.Announce != nil:
		if a, err := crypto.ParseKeyAnnounce(msg.Announce); err == nil {
			m.keyAnnounced(a, now)
		}
	case msg.Sealed != nil:
		m.sealed(msg.Sealed, now)
	case msg.Heartbeat != nil:
		m.heard(msg.Heartbeat.Author, msg.Heartbeat.Heartbeat, now)
	}
}
