package transport

import (
	"context"
	"time"
)

// dismissTime is how long last words have to get out: enough for several retransmissions.
const dismissTime = 2 * time.Second

// Dismiss makes a peer a stranger as Revoke does (TRA-16), but gives it time to learn why: when it returns, the peer is out of
// the room, its media link is closed and nothing from it is delivered; of what was queued for it nothing is sent but
// the given last messages for its pair channel. Its connections are closed when it has read them, within 2 s (TRA-16).
func (h *Host) Dismiss(key PeerKey, last [][]byte) {
	id, err := idOfKey(key)
	if err != nil {
		return
	}
	h.mu.Lock()
	p := h.peers[id]
	if p == nil || !p.allowed {
		h.mu.Unlock()
		return
	}
	if p.pair == nil || len(last) == 0 {
		h.mu.Unlock()
		h.Revoke(key)
		return
	}
	p.allowed, p.path = false, Path{}
	link, sender := p.link, p.pair
	p.link = nil
	if p.inbound != nil {
		p.inbound.cancel()
		p.inbound = nil
	}
	files := h.stopFilesLocked(p)
	sender.replace(last)
	sender.finish()
	h.mu.Unlock()
	files.reset()
	h.cutCircuits(id)
	if link != nil {
		link.close(ErrNotAllowed)
	}
	h.room.revoke(id)
	h.spawn(func() {
		timer := time.NewTimer(dismissTime)
		defer timer.Stop()
		select {
		case <-sender.read:
		case <-timer.C:
		case <-h.ctx.Done():
		}
		h.mu.Lock()
		if p.allowed || p.pair != sender { // allowed again meanwhile
			h.mu.Unlock()
			return
		}
		h.stopPairLocked(p)
		h.mu.Unlock()
		_ = h.libp2p.swarm.ClosePeer(id)
		h.mu.Lock()
		h.forgetLocked(p)
		h.mu.Unlock()
	})
}

// Farewell is for before Close: it has what was sent last arrive. It returns when every connected peer has read what was
// queued for it, dismissed ones included, or with ctx. Nothing more can be sent then.
func (h *Host) Farewell(ctx context.Context) {
	h.mu.Lock()
	var senders []*pairSender
	for _, p := range h.peers {
		if p.pair != nil {
			p.pair.finish()
			senders = append(senders, p.pair)
		}
	}
	h.mu.Unlock()
	for _, s := range senders {
		select {
		case <-s.read:
		case <-ctx.Done():
			return
		}
	}
}

// replace drops what waits and queues other messages.
func (s *pairSender) replace(messages [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.unconfirmed, s.bytes = nil, 0, 0
	for _, data := range messages {
		s.queue = append(s.queue, data)
		s.bytes += len(data)
	}
	s.wakeUp()
}
