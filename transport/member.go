package transport

import (
	"context"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Allow makes a peer a member here: from now on it may use every protocol, and an
// existing connection serves. (But for one on which the peer was dismissed: it is closed, and PeerDisconnected follows.)
func (h *Host) Allow(key PeerKey) {
	id, err := idOfKey(key)
	if err != nil || key == h.key {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	p := h.peerLocked(id)
	if p.allowed {
		return
	}
	p.allowed = true
	h.contacts.know(key)
	for _, c := range h.libp2p.swarm.ConnsToPeer(id) { // there was perhaps no room for a stranger's
		h.contacts.noteDial(id, c.RemoteMultiaddr())
	}
	if p.expiry != nil {
		p.expiry.Stop()
		p.expiry = nil
	}
	switch {
	case p.pair != nil:
		// It was dismissed just now. GossipSub would not greet it again on this connection.
		h.stopPairLocked(p)
		h.streams.Add(1)
		go func() {
			defer h.streams.Done()
			_ = h.libp2p.swarm.ClosePeer(id)
		}()
	case p.conns > 0:
		h.startPairLocked(p)
		h.events.post(PeerConnected{key})
		h.tellPathLocked(p)
	}
}

// Allowed tells whether a peer is a member here.
func (h *Host) Allowed(key PeerKey) bool {
	id, err := idOfKey(key)
	return err == nil && h.allowed(id)
}

func (h *Host) allowed(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	return p != nil && p.allowed
}

// Revoke makes a peer a stranger: when it returns, nothing more is sent to it and
// nothing more from it is delivered, and every connection and its media link is closed (TRA-7).
func (h *Host) Revoke(key PeerKey) {
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
	p.allowed, p.path = false, Path{}
	link, connected := p.link, p.conns > 0
	p.link = nil
	h.stopPairLocked(p)
	files := h.stopFilesLocked(p)
	if connected {
		h.events.post(PeerDisconnected{key})
	}
	h.mu.Unlock()
	files.reset()
	if link != nil {
		link.close(ErrNotAllowed)
	}
	h.room.revoke(id)
	_ = h.libp2p.swarm.ClosePeer(id)
	h.mu.Lock()
	h.forgetLocked(p)
	h.mu.Unlock()
}

// Connect opens a connection to an allowed peer, at the first of at most MaxAddresses
// addresses that answers, or returns at once if there is one. Names are not resolved,
// addresses that could be a third party's (multicast, others' private networks) are
// not dialled. Failed dials leave no back-off: the caller decides when to try again. If
// the media link is up, its path is tried too: ICE has opened the NATs on the way, and
// QUIC uses the same port.
//
// Circuits are tried a little after direct addresses: those through relays, and those through members this host is
// connected to. A circuit doesn't end the attempts at a direct connection, and is closed soon after that is up. Where
// there is but a circuit, Connect tries the direct addresses again and returns what became of that.
//
// A peer that accepts more than 16 connections at one moment turns further ones away
// after Connect has returned: PeerDisconnected follows, and the caller connects again.
func (h *Host) Connect(ctx context.Context, key PeerKey, addrs []ma.Multiaddr) error {
	id, err := idOfKey(key)
	if err != nil {
		return err
	}
	if !h.allowed(id) {
		return ErrNotAllowed
	}
	if l := h.media.get(key); l != nil {
		if s := l.active.Load(); s != nil {
			if a, ok := s.remoteAddress(); ok {
				addrs = append([]ma.Multiaddr{quicMultiaddr(a)}, addrs...)
			}
		}
	}
	return h.libp2p.connect(ctx, id, addrs)
}

// Disconnect closes every connection to a peer. Its media link stays.
func (h *Host) Disconnect(key PeerKey) {
	if id, err := idOfKey(key); err == nil {
		_ = h.libp2p.swarm.ClosePeer(id)
	}
}

// connected and disconnected are libp2p's notifications. They must not wait.
func (h *Host) connected(_ network.Network, c network.Conn) {
	h.routes.connected(c) // a system call, so not under the lock
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.contacts.noteDial(c.RemotePeer(), c.RemoteMultiaddr())
	p := h.peerLocked(c.RemotePeer())
	p.conns++
	if isCircuit(c) {
		h.viaLocked(c, 1)
	} else {
		p.direct++
		h.libp2p.abandonDials(p.id)
	}
	if p.allowed && c.Stat().Direction == network.DirInbound {
		h.supersedeLocked(p, c)
	}
	switch {
	case h.config.unsafe.openGate && !p.allowed:
		h.startPairLocked(p)
	case !p.allowed:
		h.expireLocked(p)
		if c.Stat().Direction == network.DirInbound {
			h.strangerLocked(p.key)
		}
	case p.conns == 1:
		h.startPairLocked(p)
		h.events.post(PeerConnected{p.key})
	case p.link != nil:
		p.link.nudge() // it may be a better way
	}
	if p.relay != nil {
		p.relay.signal()
	}
	if p.pair != nil {
		p.pair.wakeUp() // from a circuit to a direct connection
	}
	h.tellPathLocked(p)
	h.retireLocked(p)
}

// tellAgain reports that something under way to a connected member may be lost. In its place it must not hide that the
// connection itself is gone meanwhile: the owner would wait for it for ever.
func (h *Host) tellAgain(p *peerState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.conns > 0 && !h.closed && (p.allowed || h.config.unsafe.openGate) {
		h.events.post(PeerConnected{p.key})
	}
}

func (h *Host) disconnected(_ network.Network, c network.Conn) {
	h.routes.disconnected(c)
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[c.RemotePeer()]
	if p == nil || p.conns == 0 {
		return
	}
	p.conns--
	if isCircuit(c) {
		h.viaLocked(c, -1)
	} else {
		p.direct--
	}
	if p.relay != nil {
		p.relay.signal()
	}
	h.tellPathLocked(p)
	if p.direct == 0 {
		p.sees = netip.AddrPort{}
	}
	if p.conns == 0 {
		if p.link != nil {
			p.link.doubt() // it may be on another network when it is back
		}
		h.stopPairLocked(p)
		h.stopFilesLocked(p) // dead with the connection: no reset
		if p.allowed && !h.closed {
			h.events.post(PeerDisconnected{p.key})
		}
		h.forgetLocked(p)
	}
}
