package meet

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	ma "github.com/multiformats/go-multiaddr"
)

// Where neither side can be reached, a rendezvous that knows nodes which relay for anybody, for some minutes and bytes, has
// the two open the NATs between them (SPEC §10.5, TRA-26). Nothing but signals for that passes these nodes:
//
//	announcing, unreachable ── reserves at two nodes ─▶ announces them, sealed ─▶ who looks asks one for a circuit
//	           └───────────────────────── direct connection: the door, and all else ──────────────┘

// RelayRendezvous is a Rendezvous that knows nodes which offer libp2p's circuit relay to anybody, such as those of a DHT.
type RelayRendezvous interface {
	Rendezvous
	// Relays looks for such nodes until ctx is done, in no order that others choose. Each address is a node's over QUIC,
	// and ends in /p2p/ and its ID. It closes the channel when there is nothing more to come.
	Relays(ctx context.Context) <-chan ma.Multiaddr
}

const (
	// limitedAfter is how long a router has for its answer, and relays for theirs, before nodes are asked.
	limitedAfter = 3 * time.Second
	// maxOwnAnnounced is how many of the own addresses stand before those for hole punching, which there must be room for.
	maxOwnAnnounced = 4
	// punchHead is the head start of the addresses of somebody who was found over hole punching, of which nodes learn.
	punchHead = 500 * time.Millisecond
	// foundPunched is what a door has that is reached by hole punching, to connect (RDV-3).
	foundPunched = 15 * time.Second
)

// limitedUse is what becomes of reserving at limited relays.
type limitedUse struct {
	since  time.Time // that there is a need; zero: there is none
	cancel context.CancelFunc
}

// holdLimited reserves at limited relays while there is a link to announce and this member can't be reached by IPv4:
// firewalls let nothing in by IPv6 either, unless they are asked, and not everybody has it.
func (m *Meeting) holdLimited(needed bool, own []ma.Multiaddr, now time.Time) {
	u := &m.limited
	relays := slices.ContainsFunc(m.config.Rendezvous, func(r Rendezvous) bool { _, ok := r.(RelayRendezvous); return ok })
	if needed = needed && relays && !slices.ContainsFunc(own, reachedByAll); !needed {
		u.since = time.Time{}
		if u.cancel != nil {
			u.cancel()
			u.cancel = nil
		}
		return
	}
	if u.since.IsZero() {
		u.since = now
	}
	if u.cancel != nil || now.Sub(u.since) < limitedAfter {
		return
	}
	ctx, cancel := context.WithCancel(m.ctx)
	u.cancel = cancel
	m.ledger.announced = true // the DHT is asked
	m.spawn(func() { m.host.HoldLimited(ctx, m.config.findRelays) })
}

// reachedByAll tells whether everybody reaches an address, a relay's or one by IPv4.
func reachedByAll(a ma.Multiaddr) bool {
	ip, _ := addressOf(a)
	return reachOf(a) == ReachEverywhere && (isCircuit(a) || ip.Is4())
}

// findRelays asks one rendezvous after the other for nodes.
func (c Config) findRelays(ctx context.Context) <-chan ma.Multiaddr {
	found := make(chan ma.Multiaddr)
	go func() {
		defer close(found)
		for _, r := range c.Rendezvous {
			finder, ok := r.(RelayRendezvous)
			if !ok {
				continue
			}
			for a := range finder.Relays(ctx) {
				select {
				case found <- a:
				case <-ctx.Done(): // it closes its channel
				}
			}
		}
	}()
	return found
}

// announcedBy is what one rendezvous is told: addresses as in a link, and for hole punching only where that is looked for
// (RDV-5).
func announcedBy(r Rendezvous, own, punch []ma.Multiaddr) []ma.Multiaddr {
	if _, ok := r.(RelayRendezvous); !ok {
		return slices.Clone(own)
	}
	first := min(len(own), maxOwnAnnounced)
	return slices.Concat(own[:first], punch, own[first:])
}

// withoutPunch leaves out what has others speak to nodes that nobody named.
func withoutPunch(addrs []ma.Multiaddr) []ma.Multiaddr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a ma.Multiaddr) bool {
		rest, _, _ := transport.SplitPeer(a)
		return transport.IsPunch(rest)
	})
}

// punchKey is what who looks under a topic and who announces there know, and no node (TRA-28).
func punchKey(topic [32]byte) transport.PunchKey {
	k, err := hkdf.Key(sha256.New, topic[:], nil, "huisclos punch v1", sha256.Size)
	if err != nil {
		panic(err) // only if it were too long
	}
	return transport.PunchKey(k)
}

// openFound opens the door of a member that was found: at its addresses, or, where these don't answer, by hole punching,
// which begins beside.
func (g *guest) openFound(ctx context.Context, key crypto.MeetingKey, addrs []ma.Multiaddr, topic [32]byte) (*transport.DoorStream, error) {
	opening, cancel := context.WithTimeout(ctx, foundDoor)
	defer cancel()
	if !slices.ContainsFunc(addrs, transport.IsPunch) {
		return g.host.OpenDoor(opening, peerKey(key), addrs)
	}
	punching, stop := context.WithTimeout(ctx, foundPunched)
	punched := make(chan error, 1)
	failed := make(chan struct{})
	go func() {
		select {
		case <-time.After(punchHead):
		case <-failed:
		case <-punching.Done():
		}
		punched <- g.host.Punch(punching, peerKey(key), addrs, punchKey(topic))
	}()
	stream, err := g.host.OpenDoor(opening, peerKey(key), addrs)
	close(failed)
	if err == nil {
		stop() // perhaps it opened by hole punching, which is over then too
		<-punched
		return stream, nil
	}
	defer stop()
	if err := <-punched; err != nil {
		return nil, err
	}
	again, cancel := context.WithTimeout(ctx, foundDoor)
	defer cancel()
	return g.host.OpenDoor(again, peerKey(key), nil)
}

// unpunched notes that a door was found, and that there is no way to it.
func (f *finding) unpunched(err error) {
	if errors.Is(err, transport.ErrNotPunched) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.shut = true
	}
}
