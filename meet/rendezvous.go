package meet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
	ma "github.com/multiformats/go-multiaddr"
)

// Rendezvous is a place where the doors of a link are announced and looked for by others than its addresses: the local
// network (package meet/rendezvous/lan), a DHT (meet/rendezvous/dht). It is told topics, which change every hour and
// which nobody can tie to a meeting without its link, and addresses. It can lie: that costs time, nothing else (SPEC
// §4.2). Its methods are called from any goroutine and return soon after ctx is done.
//
//	who is in   ── Announce(topic, addresses) ─▶ Rendezvous ─▶ Find(topic) ── addresses ─▶ who has the link
type Rendezvous interface {
	// Announce has whoever finds the topic told addrs, until ctx is done; an error before that is a failure, after
	// which it is called again half a minute later. Each address ends in /p2p/ and the ID of whose it is. That may be
	// kept back, or shown only to who knows the topic: then only doors that the link names can be found.
	Announce(ctx context.Context, topic [32]byte, addrs []ma.Multiaddr) error
	// Find looks for a topic until ctx is done. What it sends are the addresses of one announcer each, as announced; it
	// may send one again. It closes the channel when there is nothing more to come.
	Find(ctx context.Context, topic [32]byte) <-chan []ma.Multiaddr
}

// LocalRendezvous is a Rendezvous that sends no packet beyond the local network: the only kind that Config.LANOnly takes.
type LocalRendezvous interface {
	Rendezvous
	// LocalNetwork only says that it is one.
	LocalNetwork()
}

// Times and limits of SPEC §4.2.
const (
	topicSlot     = time.Hour
	topicOverlap  = 10 * time.Minute // how wrong a joiner's clock may be, and how long before its hour a topic is announced
	maxAnnounced  = 32               // links that are announced at a time, the newest first
	announceRetry = 30 * time.Second
)

// slotAt is the number of the hour.
func slotAt(t time.Time) uint64 { return uint64(max(0, t.Unix())) / uint64(topicSlot/time.Second) }

// topicKey is a link in an hour.
type topicKey struct {
	invite crypto.InviteID
	slot   uint64
}

// announcement is one under way, by all ways there are.
type announcement struct {
	cancel context.CancelFunc
	addrs  [][]byte
	punch  transport.PunchKey
}

// announce keeps announced what should be, and nothing else (RDV-1, RDV-2).
func (m *Meeting) announce(now time.Time) {
	if len(m.config.Rendezvous) == 0 {
		return
	}
	addrs := doorOf(m.self.Key(), m.host.Addresses()).Addresses // RDV-5: as in a link
	var punch [][]byte
	for _, a := range m.host.PunchAddresses() {
		punch = append(punch, a.Bytes())
	}
	if m.config.hooks.announceAll {
		addrs = m.ownRecord().Addresses
	}
	wanted := map[topicKey]crypto.InviteSecret{}
	if !m.ending && !m.roster.Ended && len(addrs) > 0 {
		for _, i := range m.announced(now) {
			for _, at := range []time.Time{now.Add(-topicOverlap), now.Add(topicOverlap)} {
				secret := i.shared.Invite.Secret
				wanted[topicKey{secret.ID(), m.slot(at)}] = secret
			}
		}
	}
	m.holdLimited(len(wanted) > 0, multiaddrs(addrs), now)
	for key, a := range m.topics {
		if _, ok := wanted[key]; !ok || !slices.EqualFunc(a.addrs, slices.Concat(addrs, punch), bytes.Equal) {
			a.cancel()
			delete(m.topics, key)
		}
	}
	for key, secret := range wanted {
		if m.topics[key] == nil {
			m.startAnnouncing(key, secret.Topic(key.slot), addrs, punch)
		}
	}
	var keys []transport.PunchKey
	for _, a := range m.topics {
		keys = append(keys, a.punch)
	}
	m.host.SetPunchKeys(keys)
}

func (m *Meeting) slot(at time.Time) uint64 {
	if m.config.hooks.oneTopic {
		return 0
	}
	return slotAt(at)
}

// announced are the living links this member announces: those it made and, as a host, the others whose doors it answers.
func (m *Meeting) announced(now time.Time) []*openInvite {
	self := m.roster.Member(m.self.Identity())
	if self == nil || self.Role == Viewer {
		return nil
	}
	var all []*openInvite
	for _, i := range m.door.invites {
		op := i.shared.Operation
		dead := (m.roster.DeadInvite(op) || m.expired(op, now)) && !m.config.hooks.keepTopics
		if !dead && (self.Role == roster.RoleHost || i.author == m.self.Identity()) {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b *openInvite) int { return b.at.Compare(a.at) })
	return all[:min(len(all), maxAnnounced)]
}

func (m *Meeting) startAnnouncing(key topicKey, topic [32]byte, own, punch [][]byte) {
	whole := func(raw [][]byte) (addrs []ma.Multiaddr) {
		for _, a := range multiaddrs(raw) {
			if whole, err := transport.WithPeer(a, m.host.Key()); err == nil {
				addrs = append(addrs, whole)
			}
		}
		return addrs
	}
	m.ledger.announced = true
	ctx, cancel := context.WithCancel(m.ctx)
	m.topics[key] = &announcement{cancel: cancel, addrs: slices.Concat(own, punch), punch: punchKey(topic)}
	for _, r := range m.config.Rendezvous {
		m.spawn(func() { m.keepAnnouncing(ctx, r, topic, announcedBy(r, whole(own), whole(punch))) })
	}
}

func (m *Meeting) keepAnnouncing(ctx context.Context, r Rendezvous, topic [32]byte, addrs []ma.Multiaddr) {
	for ctx.Err() == nil {
		err := r.Announce(ctx, topic, slices.Clone(addrs))
		if ctx.Err() != nil {
			return
		}
		m.log.Debug("an announcement failed", "error", err)
		select {
		case <-time.After(announceRetry):
		case <-ctx.Done():
		}
	}
}

// checkRendezvous refuses ways that show what another setting promises to hide.
func (c Config) checkRendezvous() error {
	for _, r := range c.Rendezvous {
		if r == nil {
			return errors.New("meet: Config.Rendezvous holds nil")
		}
		if c.RelayOnly {
			return ErrRendezvousShows
		}
		if _, local := r.(LocalRendezvous); c.LANOnly && !local {
			return ErrRendezvousOutside
		}
	}
	return nil
}
