package meet

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/relayauth"
	ma "github.com/multiformats/go-multiaddr"
)

// Members bridge for each other where two find no direct path (SPEC §10.5). Each decides alone where to be reached: it
// reserves at members it is directly connected to, and says so in its signed addresses. The others dial by that; ICE then
// finds a direct path where there is one, and the circuit ends.

const (
	// maxBridges is how many members one reserves at.
	maxBridges = 3
	// apartAfter is how long somebody who can be reached from everywhere waits for a direct connection.
	apartAfter = 750 * time.Millisecond
	// bridgesKept is how long reservations are kept without a need.
	bridgesKept = 30 * time.Second
	// reserveTimeout bounds a reservation, reservePause is how long a member that refused isn't asked again.
	reserveTimeout = 5 * time.Second
	reservePause   = 10 * time.Second
	// directEvery is how often a direct path is sought where there is but a circuit.
	directEvery = 30 * time.Second
	// Of one author's records with us as its bridge, so many are passed on at once, and so many a second (BRI-2).
	passBurst, passRate = 4, 0.2
)

// PathKind is a way by which what members say reaches each other.
type PathKind = transport.PathKind

// The ways.
const (
	PathNone   = transport.PathNone   // there is none
	PathUDP    = transport.PathUDP    // direct
	PathTCP    = transport.PathTCP    // direct, where UDP is blocked
	PathMember = transport.PathMember // through another member
	PathRelay  = transport.PathRelay  // through a relay
)

// Path is the way between this member and another. Whoever is in the middle sees who talks to whom, when and how much,
// never what.
type Path struct {
	Kind PathKind
	Via  crypto.MeetingKey // the member or relay in the middle; zero if direct
	Name string            // of that member; the fingerprint of that relay
}

// String says it in English: "direct", "direct, over TCP", "through Ada", "through a relay", or "none".
func (p Path) String() string {
	switch p.Kind {
	case PathUDP:
		return "direct"
	case PathTCP:
		return "direct, over TCP"
	case PathMember:
		return "through " + p.Name
	case PathRelay:
		return "through a relay"
	}
	return "none"
}

func (m *Meeting) namedPath(p transport.Path) Path {
	path := Path{Kind: p.Kind, Via: crypto.MeetingKey(p.Via)}
	switch path.Kind {
	case PathRelay:
		path.Name = relayauth.Key(path.Via).Fingerprint()
	case PathMember:
		if by := m.roster.ByMeetingKey(path.Via); by != nil {
			path.Name = by.Name
		}
	}
	return path
}

// direct says whether there is a direct connection.
func (p *peer) direct() bool { return p.path.Kind == PathUDP || p.path.Kind == PathTCP }

// bridges are the members who bridge for this one.
type bridges struct {
	held     map[crypto.MeetingKey]*reservation
	neededAt time.Time // when there was a need last
	changed  bool      // the record is to be told anew
	tells    limiter
}

type reservation struct {
	asking bool
	until  time.Time // zero: not granted (yet)
	failed time.Time
}

// pathChanged follows the transport.
func (m *Meeting) pathChanged(p *peer, now time.Time) {
	was := p.path
	p.path = m.host.Path(peerKey(p.key))
	if p.path == was {
		return
	}
	m.ledger.through(m.roster.ByMeetingKey(crypto.MeetingKey(p.path.Via)), p.path)
	if p.direct() {
		p.apartSince = time.Time{}
	} else if p.apartSince.IsZero() {
		p.apart(now)
	}
	if !p.direct() && m.bridges.held[p.key] != nil { // it bridges no more
		delete(m.bridges.held, p.key)
		m.bridges.changed = true
	}
	if p.direct() {
		m.dialThrough(p.key, now)
	}
	m.changed(p)
	m.bridge(now)
}

func (p *peer) apart(now time.Time) { p.apartSince, p.directAt = now, now.Add(directEvery) }

// bridgeSoon looks again when whoever is new has had time to connect.
func (m *Meeting) bridgeSoon() {
	if !m.started {
		return
	}
	m.bridge(time.Now())
	m.after(apartAfter, func() { m.bridge(time.Now()) })
}

// bridge (BRI-1) reserves at other members if somebody may need that to reach this one, and gives up what nobody needs.
func (m *Meeting) bridge(now time.Time) {
	if m.ending || m.config.hooks.noBridges {
		return
	}
	if m.needsBridge(now) {
		m.bridges.neededAt = now
	} else if len(m.bridges.held) > 0 && now.Sub(m.bridges.neededAt) > bridgesKept {
		clear(m.bridges.held) // the others needn't know: their next dial is direct
		return
	}
	for key, r := range m.bridges.held {
		if !r.asking && !r.until.IsZero() && now.Add(time.Minute).After(r.until) {
			m.reserve(key, r) // prolonged
		}
	}
	if m.bridges.neededAt != now {
		return
	}
	for _, key := range m.bridgeCandidates(now) {
		if m.bridgesHeld() >= maxBridges {
			return
		}
		r := &reservation{}
		m.bridges.held[key] = r
		m.reserve(key, r)
	}
}

func (m *Meeting) bridgesHeld() (n int) {
	for _, r := range m.bridges.held {
		if r.failed.IsZero() {
			n++
		}
	}
	return n
}

// needsBridge says whether somebody present has no direct connection: at once for who can't be reached from everywhere,
// else after a while.
func (m *Meeting) needsBridge(now time.Time) bool {
	everywhere := slices.ContainsFunc(m.host.Addresses(), reachable)
	for _, p := range m.peers {
		if !p.away && !p.direct() && (!everywhere || now.Sub(p.apartSince) >= apartAfter) {
			return true
		}
	}
	return false
}

func reachable(a ma.Multiaddr) bool {
	ip, ok := addressOf(a)
	return ok && ReachOf(ip) == ReachEverywhere && !viaCircuit(a)
}

// bridgeCandidates are the members to reserve at, the best first: those whom everybody can connect to, and then in an
// order of this member's own, so that not all burden the same.
func (m *Meeting) bridgeCandidates(now time.Time) []crypto.MeetingKey {
	type candidate struct {
		key     crypto.MeetingKey
		private bool
		order   crypto.Hash
	}
	var all []candidate
	self := m.self.Key()
	for _, p := range m.peers {
		if r := m.bridges.held[p.key]; r != nil && !r.failed.IsZero() && now.Sub(r.failed) > reservePause {
			delete(m.bridges.held, p.key)
		}
		if !p.direct() || p.away || !p.connected || m.bridges.held[p.key] != nil {
			continue
		}
		c := candidate{key: p.key, private: true, order: crypto.HashOf("bridge", self[:], p.key[:])}
		if r := m.records[p.key]; r != nil {
			c.private = !slices.ContainsFunc(multiaddrs(r.Addresses), reachable)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if a.private != b.private {
			if b.private {
				return -1
			}
			return 1
		}
		return bytes.Compare(a.order[:], b.order[:])
	})
	keys := make([]crypto.MeetingKey, len(all))
	for i, c := range all {
		keys[i] = c.key
	}
	return keys
}

// reserve asks a member to bridge, and tells the others when it does.
func (m *Meeting) reserve(key crypto.MeetingKey, r *reservation) {
	r.asking = true
	m.spawn(func() {
		ctx, cancel := context.WithTimeout(m.ctx, reserveTimeout)
		defer cancel()
		until, err := m.host.Reserve(ctx, peerKey(key))
		m.post(func() {
			r.asking = false
			if m.bridges.held[key] != r {
				return
			}
			if err != nil {
				m.log.Debug("a member doesn't bridge", "error", err)
				r.failed, r.until = time.Now(), time.Time{}
				m.bridges.changed = true
				return
			}
			first := r.until.IsZero()
			if r.until = until; first {
				m.bridges.changed = true
				if m.granted() == 1 { // others wait for it; further ones are told by the tick
					m.tellRecord()
				}
			}
		})
	})
}

func (m *Meeting) granted() (n int) {
	for _, r := range m.bridges.held {
		if !r.until.IsZero() {
			n++
		}
	}
	return n
}

// bridgeAddresses are those by which this member can be reached through others.
func (m *Meeting) bridgeAddresses() (all []ma.Multiaddr) {
	for key, r := range m.bridges.held {
		if r.until.IsZero() {
			continue
		}
		if a, err := transport.CircuitAddress(peerKey(key)); err == nil {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b ma.Multiaddr) int { return bytes.Compare(a.Bytes(), b.Bytes()) })
	return all
}

// tellRecord tells everybody where this member can be reached now; if that changed too often for them, with the next tick.
func (m *Meeting) tellRecord() {
	r := m.ownRecord() // whoever greets somebody meanwhile signs it anew, and tells that one alone
	// ADR-1: others take recordBurst, of which one may come with a greeting. What they don't take they never know.
	m.bridges.changed = r != m.told && !m.bridges.tells.allow(time.Now(), recordBurst-1, 1)
	if r != m.told && !m.bridges.changed {
		m.told = r
		m.sendAll(pairMessage{Addresses: [][]byte{encode(r)}})
	}
}

// bridgesTick does what time brings.
func (m *Meeting) bridgesTick(now time.Time) {
	m.bridge(now)
	if m.bridges.changed {
		m.tellRecord()
	}
	for _, p := range m.peers {
		if p.connected && !p.direct() && now.After(p.directAt) && !m.config.hooks.noSeeking { // BRI-3
			m.seekDirect(p, now)
		}
	}
}

// seekDirect tries the direct addresses of somebody there is but a circuit to.
func (m *Meeting) seekDirect(p *peer, now time.Time) {
	p.directAt = now.Add(directEvery)
	record := m.records[p.key]
	if record == nil || m.ending {
		return
	}
	addrs := multiaddrs(record.Addresses)
	m.spawn(func() {
		ctx, cancel := context.WithTimeout(m.ctx, dialTimeout)
		defer cancel()
		_ = m.host.Connect(ctx, peerKey(p.key), addrs)
	})
}

// dialThrough (BRI-3) dials those who can be reached through a member there is a new direct connection to.
func (m *Meeting) dialThrough(bridge crypto.MeetingKey, now time.Time) {
	for _, p := range m.peers {
		if r := m.records[p.key]; !p.connected && r != nil && r.names(bridge) {
			m.dialAnew(p, now)
		}
	}
}

// names says whether a record has a circuit through a member.
func (r *addressRecord) names(bridge crypto.MeetingKey) bool {
	a, err := transport.CircuitAddress(peerKey(bridge))
	return err == nil && slices.ContainsFunc(r.Addresses, func(raw []byte) bool { return bytes.Equal(raw, a.Bytes()) })
}

func viaCircuit(a ma.Multiaddr) bool {
	return slices.ContainsFunc(a, func(c ma.Component) bool { return c.Code() == ma.P_CIRCUIT })
}

// passOn tells everybody connected where somebody can be reached through this member: they may have no other way to
// learn of it (BRI-2).
func (m *Meeting) passOn(r *addressRecord, from *peer, now time.Time) bool {
	if from == nil || from.key != r.Author || !r.names(m.self.Key()) {
		return false
	}
	if !from.limit.passes.allow(now, passBurst, passRate) && !m.config.hooks.noLimits {
		return true
	}
	raw := encode(r)
	for _, p := range m.peers {
		if p.key != r.Author {
			m.send(p, pairMessage{Addresses: [][]byte{raw}})
		}
	}
	return true
}

// mixAddresses takes as many addresses as a record or door has room for: direct ones first, but room for circuits.
func mixAddresses(all []ma.Multiaddr) (raw [][]byte) {
	var direct, circuits []ma.Multiaddr
	for _, a := range all {
		if viaCircuit(a) {
			circuits = append(circuits, a)
		} else {
			direct = append(direct, a)
		}
	}
	circuits = circuits[:min(len(circuits), crypto.MaxDoorAddresses/2)]
	direct = direct[:min(len(direct), crypto.MaxDoorAddresses-len(circuits))]
	for _, a := range append(direct, circuits...) {
		raw = append(raw, a.Bytes())
	}
	return raw
}
