package meet

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/relayauth"
	ma "github.com/multiformats/go-multiaddr"
)

// ledger notes what decides who could observe what, as it happens: see Exposure. It belongs to the meeting's goroutine
// and grows only with the roster and with the addresses the transport knows. What a member was given counts, not what
// the settings would have given it (EXP-3).
type ledger struct {
	since   time.Time
	members map[crypto.IdentityKey]*memberFacts
	order   []crypto.IdentityKey                     // as they came
	keys    map[crypto.MeetingKey]crypto.IdentityKey // whose each incarnation was

	relays            map[crypto.MeetingKey]bool // that packets went to
	sought, announced bool                       // by a rendezvous

	record                                         bool // ours had an address in it
	invited, inviteIP                              bool // an invite was made, with an address in it
	replied, replyIP                               bool // a reply code was, with one in it
	said, saidPrivately, offered, published, spoke bool
	announcedStreams                               bool
}

// maxLedger is how many people are remembered: more than a meeting has.
const maxLedger = 4096

func newLedger(now time.Time) ledger {
	return ledger{since: now, members: map[crypto.IdentityKey]*memberFacts{}, keys: map[crypto.MeetingKey]crypto.IdentityKey{}, relays: map[crypto.MeetingKey]bool{}}
}

// of returns what is noted of a member.
func (l *ledger) of(r *roster.Member) *memberFacts {
	f := l.members[r.Identity()]
	if f == nil {
		f = &memberFacts{identity: r.Identity()}
		if len(l.order) < maxLedger {
			l.members[f.identity] = f
			l.order = append(l.order, f.identity)
		}
	}
	f.name = r.Name
	return f
}

// came notes a member, and whose an incarnation is.
func (l *ledger) came(r *roster.Member) {
	l.of(r)
	if len(l.keys) < maxLedger {
		l.keys[r.Bundle.MeetingKey] = r.Identity()
	}
}

// invite notes an invite that was made.
func (l *ledger) invite(i Invite) {
	l.invited = true
	for _, d := range i.link.Doors {
		l.inviteIP = l.inviteIP || namesAddress(d.Addresses)
	}
}

// reply notes the addresses in a reply code that was handed out, if one was.
func (l *ledger) reply(raws [][]byte) {
	l.replied, l.replyIP = len(raws) > 0, namesAddress(raws)
}

// relay notes a relay that packets went to, or were to.
func (l *ledger) relay(key crypto.MeetingKey) {
	if len(l.relays) < maxLedger {
		l.relays[key] = true
	}
}

// through notes who was in the middle of a path.
func (l *ledger) through(by *roster.Member, path transport.Path) {
	switch {
	case path.Kind == transport.PathRelay:
		l.relay(crypto.MeetingKey(path.Via))
	case path.Kind == transport.PathMember && by != nil:
		l.of(by).bridge = true
	}
}

// messageTo notes a message that was sealed for a member, or for all who are in.
func (m *Meeting) messageTo(stream uint8, readers map[crypto.IdentityKey]bool, private bool) {
	l := &m.ledger
	file := isFileStream(stream)
	l.offered = l.offered || file
	l.saidPrivately = l.saidPrivately || private && !file
	l.said = l.said || !private && !file
	for id := range readers {
		r := m.roster.Member(id)
		if r == nil {
			continue
		}
		f := l.of(r)
		f.files = f.files || file
		f.private = f.private || private && !file
		f.chat = f.chat || !private && !file
	}
}

// stateTo notes the state that a member is sent: what of it is said to all, and which sound and pictures there are, sent or
// not.
func (m *Meeting) stateTo(p *peer, a *stateAnnounce) {
	r := m.roster.ByMeetingKey(p.key)
	if r == nil {
		return
	}
	l, f := &m.ledger, m.ledger.of(r)
	if a.Hand != 0 || a.Recording != nil || len(a.Consents) > 0 || len(a.Refusals) > 0 {
		l.said, f.chat = true, true
	}
	if len(a.Streams) > 0 {
		l.announcedStreams, f.streams = true, true
	}
}

// muteTo notes that a member was asked to mute.
func (m *Meeting) muteTo(r *roster.Member) {
	m.ledger.saidPrivately, m.ledger.of(r).private = true, true
}

// leaves notes what is only known while a member is in. It is to be called before the transport forgets the member.
func (m *Meeting) leaves(p *peer) {
	if r := m.roster.ByMeetingKey(p.key); r != nil {
		m.noteLink(p, m.ledger.of(r))
		return
	}
	if f := m.ledger.members[p.session.Peer().Identity]; f != nil {
		m.noteLink(p, f)
	}
}

// noteLink notes what went over the media link with a member, by the transport's counters.
func (m *Meeting) noteLink(p *peer, f *memberFacts) {
	link := m.host.Media(peerKey(p.key))
	if link == nil {
		return
	}
	st := link.Stats()
	f.media = f.media || st.PacketsSent > 0
	f.speech = f.speech || st.AudioSent > 0
	f.invite = f.invite || len(p.knows) > 0
	m.ledger.published = m.ledger.published || f.media
	m.ledger.spoke = m.ledger.spoke || f.speech
}

// exposureFacts are what is noted, with what the transport did.
func (m *Meeting) exposureFacts(now time.Time) exposureFacts {
	l := &m.ledger
	keys := map[transport.PeerKey]crypto.IdentityKey{}
	for k, id := range l.keys {
		keys[peerKey(k)] = id
	}
	for _, p := range m.peers {
		if r := m.roster.ByMeetingKey(p.key); r != nil && m.ctx.Err() == nil {
			m.noteLink(p, l.of(r))
		}
	}
	f := exposureFacts{
		hidden: m.config.RelayOnly,
		now:    now, since: l.since, said: l.said, saidPrivately: l.saidPrivately, offered: l.offered, published: l.published, spoke: l.spoke,
		announcedStreams: l.announcedStreams,
		invited:          l.invited, inviteIP: l.inviteIP, replied: l.replied, replyIP: l.replyIP,
	}
	uses := map[transport.PeerKey]transport.CircuitUse{}
	for _, c := range m.host.Circuits() { // also those that came to nothing, and were over before anybody looked (EXP-4)
		uses[c.Via] = c
		if id, member := keys[c.Via]; !member {
			l.relay(crypto.MeetingKey(c.Via))
		} else if by := l.members[id]; by != nil {
			by.bridge = true
		}
	}
	contacts := map[crypto.IdentityKey][]netip.Addr{}
	relayed := map[transport.PeerKey][]netip.Addr{}
	for _, c := range m.host.Contacts() {
		id, member := keys[c.Peer]
		switch {
		case member && !slices.Contains(contacts[id], c.Address):
			contacts[id] = append(contacts[id], c.Address)
		case !member && l.relays[crypto.MeetingKey(c.Peer)]:
			relayed[c.Peer] = append(relayed[c.Peer], c.Address)
		case !member && !slices.Contains(f.others, c.Address):
			f.others = append(f.others, c.Address)
		}
	}
	for key := range l.relays {
		use := uses[peerKey(key)]
		f.relays = append(f.relays, relayFacts{name: relayauth.Key(key).Fingerprint(), contacts: relayed[peerKey(key)], carried: use.Carried, limited: use.Limited})
	}
	slices.SortFunc(f.relays, func(a, b relayFacts) int { return strings.Compare(a.name, b.name) })
	for _, u := range m.host.Proxies() { // sorted by name
		if n := len(f.proxies); n == 0 || f.proxies[n-1].name != u.Name {
			f.proxies = append(f.proxies, proxyFacts{name: u.Name})
		}
		p := &f.proxies[len(f.proxies)-1]
		p.asked, p.carried, p.open = p.asked || u.Asked, p.carried || u.Carried, p.open || u.Open
		if !slices.Contains(p.contacts, u.Address) {
			p.contacts = append(p.contacts, u.Address)
		}
	}
	if m.host.RouterAsked() {
		f.router = []netip.Addr{}
	}
	for _, r := range m.config.Rendezvous {
		if _, local := r.(LocalRendezvous); !l.sought && len(m.topics) == 0 && !l.announced {
			continue
		} else if local {
			f.lan = true
		} else {
			f.dht = []netip.Addr{}
		}
	}
	for _, id := range l.order {
		if id == m.self.Identity() {
			continue
		}
		facts := *l.members[id]
		facts.contacts, facts.gone, facts.record = contacts[id], m.roster.Member(id) == nil, l.record
		f.members = append(f.members, facts)
	}
	return f
}

// namesAddress tells whether an address record has an IP address of this member in it, and not those of bridges and
// relays alone.
func namesAddress(raws [][]byte) bool {
	return slices.ContainsFunc(multiaddrs(raws), func(a ma.Multiaddr) bool {
		_, err := a.ValueForProtocol(ma.P_CIRCUIT)
		return err != nil
	})
}
