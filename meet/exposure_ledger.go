package meet

import (
	"net/netip"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
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

	record                                         bool // ours had an address in it
	invited, inviteIP                              bool // an invite was made, with an address in it
	said, saidPrivately, offered, published, spoke bool
}

// maxLedger is how many people are remembered: more than a meeting has.
const maxLedger = 4096

func newLedger(now time.Time) ledger {
	return ledger{since: now, members: map[crypto.IdentityKey]*memberFacts{}, keys: map[crypto.MeetingKey]crypto.IdentityKey{}}
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
	l.inviteIP = l.inviteIP || len(i.Addresses()) > 0
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
		invited: l.invited, inviteIP: l.inviteIP,
	}
	contacts := map[crypto.IdentityKey][]netip.Addr{}
	for _, c := range m.host.Contacts() {
		if id, ok := keys[c.Peer]; ok {
			if !slices.Contains(contacts[id], c.Address) {
				contacts[id] = append(contacts[id], c.Address)
			}
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
