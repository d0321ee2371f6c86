package meet

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
)

// Invite is a link to a meeting. Whoever has it may knock; it shows the inviter's addresses to whoever carries it.
// Every removal kills all links made before it.
type Invite struct {
	link   crypto.Link
	router Router           // of a link made here
	routed []netip.AddrPort // which of the addresses are the router's
	asked  string           // how the router was asked for them
	lan    bool             // made by somebody who takes nothing from outside their network
}

// InviteOptions says how a link is limited.
type InviteOptions struct {
	// Expiry is when the link stops working. Zero is never.
	Expiry time.Time
	// NoAddresses keeps this member's addresses out of the link, so that whoever carries it doesn't learn them. It is for
	// who has a Config.Rendezvous in common with this member; without one the error is ErrNoRendezvous.
	NoAddresses bool
}

// ParseInvite reads a link; white space in it is ignored. The errors are *InviteError and *InviteExpiredError.
func ParseInvite(text string) (Invite, error) {
	link, err := crypto.ParseLink(text, time.Now())
	if errors.Is(err, crypto.ErrLinkExpired) {
		return Invite{}, &InviteExpiredError{}
	}
	if err != nil {
		return Invite{}, &InviteError{Err: err}
	}
	return Invite{link: link}, nil
}

// String returns the link to send. It is a secret.
func (i Invite) String() string { return i.link.String() }

// Meeting returns the ID of the meeting it leads to.
func (i Invite) Meeting() crypto.MeetingID { return i.link.Meeting }

// Expiry returns when the link stops working, zero for never.
func (i Invite) Expiry() time.Time { return i.link.Expiry }

// Invite makes a link. It needs the right to admit; a roster.VoidError says if it is missing. With Config.AskRouter the
// first call waits up to 2 s for the router, or until ctx is done; so it does for relays. The link leads to this member; and to other hosts who
// can be reached from everywhere, if this one can't: Reaches tells. ErrNoLAN: only the local network is allowed, and there
// is none.
func (m *Meeting) Invite(ctx context.Context, o InviteOptions) (Invite, error) {
	if m.config.AskRouter {
		m.host.MapPorts()
	}
	asked := mapped(ctx, m.host)
	settleRelays(ctx, m.host)
	return call(ctx, m, func() (Invite, error) {
		secret := crypto.NewInvite()
		body := roster.Invite{Key: secret.Secret.Key()}
		if !o.Expiry.IsZero() {
			body.Expiry = uint64(o.Expiry.Unix())
		}
		if m.ending {
			return Invite{}, m.reason
		}
		if o.NoAddresses && len(m.config.Rendezvous) == 0 {
			return Invite{}, ErrNoRendezvous
		}
		if m.config.LANOnly && len(m.host.Addresses()) == 0 {
			return Invite{}, ErrNoLAN
		}
		raw, hash, err := m.set.Author(m.self, time.Now(), roster.Body{Invite: &body})
		if err != nil {
			return Invite{}, err
		}
		shared := sharedInvite{Invite: secret, Operation: hash}
		shared.Signature = m.self.Sign(labelSharedInvite, shared.signed(m.id)...)
		m.learnInvite(shared, time.Now())
		m.spread(raw)
		m.follow()
		for _, p := range m.peers {
			m.shareInvites(p)
		}
		link := crypto.Link{Meeting: m.id, Secret: secret.Secret, DoorKey: secret.Door.Public(), Expiry: o.Expiry}
		link.Doors = m.doors()
		if o.NoAddresses {
			for i := range link.Doors {
				link.Doors[i].Addresses = nil
			}
		}
		for len(link.Doors) > 1 && link.Validate() != nil {
			link.Doors = link.Doors[:len(link.Doors)-1] // too long
		}
		m.ledger.invite(Invite{link: link})
		// A copy, since the end of the meeting overwrites its own secrets, and the link is the caller's.
		own, err := crypto.ParseLink(link.String(), time.Time{})
		return Invite{link: own, router: Router(asked.Outcome), routed: routed(asked), asked: protocolOf(asked), lan: m.config.LANOnly}, err
	})
}

// AskRouter has the user's own router asked to let peers in, whatever Config.AskRouter says, and returns what became of
// it: RouterNotAsked if it hasn't answered when ctx is done. Links made later lead through it. It does nothing more the
// second time.
func (m *Meeting) AskRouter(ctx context.Context) (Router, error) {
	if m.ctx.Err() != nil {
		return RouterNotAsked, context.Cause(m.ctx)
	}
	m.host.MapPorts()
	return Router(m.host.Mapped(ctx).Outcome), context.Cause(ctx)
}

// labelSharedInvite is the label of the signature by which an Invite's author vouches for its door key.
const labelSharedInvite = "shared invite"

func (s *sharedInvite) signed(id crypto.MeetingID) [][]byte {
	door := s.Invite.Door.Public()
	return [][]byte{id[:], s.Operation[:], door[:]}
}

// invitesTold takes what a member shares of links. What nobody made is refused; what may come with operations that are
// on their way waits for them.
func (m *Meeting) invitesTold(p *peer, shared []sharedInvite) {
	now := time.Now()
	if len(shared) > maxSharedInvite {
		return
	}
	for _, s := range shared {
		switch op, _ := m.set.Operation(s.Operation); {
		case m.door.invites[s.Invite.Secret.ID()] != nil: // nothing new, and a check costs a signature
		case op == nil && !m.config.hooks.anyInvite:
			if len(p.unverified) < maxSharedInvite {
				p.unverified = append(p.unverified, s)
			}
		case m.genuine(s, op):
			m.learnInvite(s, now)
		default:
			m.log.Debug("a shared invite isn't its author's")
			return // no honest member passes it on
		}
	}
}

// recheckInvites looks again at those whose Invite wasn't known.
func (m *Meeting) recheckInvites() {
	for _, p := range m.peers {
		if waiting := p.unverified; len(waiting) > 0 {
			p.unverified = nil
			m.invitesTold(p, waiting)
		}
	}
}

// genuine says whether a shared invite is that of the Invite it names, with the door key of its author (INV-5).
func (m *Meeting) genuine(s sharedInvite, op *roster.Operation) bool {
	if m.config.hooks.anyInvite {
		return true
	}
	author := m.set.AuthorBundle(op)
	return op.Body.Invite != nil && op.Body.Invite.Key == s.Invite.Secret.Key() && author != nil &&
		author.MeetingKey.Verify(labelSharedInvite, s.Signature, s.signed(m.id)...)
}

// learnInvite keeps what it takes to answer the door for a link.
func (m *Meeting) learnInvite(s sharedInvite, now time.Time) {
	id := s.Invite.Secret.ID()
	if m.door.invites[id] != nil {
		return
	}
	open := &openInvite{shared: s, at: now}
	if op, _ := m.set.Operation(s.Operation); op != nil {
		open.author = m.roster.Author(op)
		m.namedBy(op, open.author)
	}
	m.door.invites[id] = open
	if len(m.door.invites) > maxSharedInvite {
		m.forgetInvite(open)
	}
}

// namedBy notes that a link of another's may lead to this member (see doors): who carries it observes that (EXP-3).
func (m *Meeting) namedBy(op *roster.Operation, author crypto.IdentityKey) {
	own := doorOf(m.self.Key(), m.host.Addresses())
	by := m.roster.Member(author)
	if author == m.self.Identity() || by == nil || !m.roster.MayAdmit(m.self.Identity()) || reachOfDoor(own) < ReachEverywhere ||
		op.At().Before(m.ledger.since.Add(-topicOverlap)) { // before this member came
		return
	}
	if r := m.records[by.Bundle.MeetingKey]; r == nil || reachOfDoor(doorOf(r.Author, multiaddrs(r.Addresses))) < ReachEverywhere {
		m.ledger.invited, m.ledger.inviteIP = true, m.ledger.inviteIP || namesAddress(own.Addresses)
	}
}

// forgetInvite makes room for a new one: a dead link goes first, though those on the roster may still come back by it;
// else the oldest of whoever has most. So nobody crowds out another's.
func (m *Meeting) forgetInvite(newest *openInvite) {
	count := map[crypto.IdentityKey]int{}
	for _, i := range m.door.invites {
		count[i.author]++
	}
	var victim crypto.InviteID
	var worst *openInvite
	worse := func(a, b *openInvite) bool {
		if x, y := m.roster.DeadInvite(a.shared.Operation), m.roster.DeadInvite(b.shared.Operation); x != y {
			return x
		}
		if x, y := count[a.author], count[b.author]; x != y {
			return x > y
		}
		return a.at.Before(b.at)
	}
	for id, i := range m.door.invites {
		if i != newest && (worst == nil || worse(i, worst)) {
			victim, worst = id, i
		}
	}
	worst.shared.Invite.Wipe()
	delete(m.door.invites, victim)
}

// shareInvites gives a member what it takes to answer the door, so that a link works where its author is gone and
// those on the roster can come back. Viewers don't answer doors.
func (m *Meeting) shareInvites(p *peer) {
	r := m.roster.ByMeetingKey(p.key)
	if r == nil || r.Role == Viewer || !p.installed {
		return
	}
	var all []sharedInvite
	for id, i := range m.door.invites {
		if !p.knows[id] && len(p.knows) < 4*maxSharedInvite {
			all = append(all, i.shared)
			if p.knows == nil {
				p.knows = map[crypto.InviteID]bool{}
			}
			p.knows[id] = true
		}
	}
	if len(all) > 0 {
		m.ledger.of(r).invite = true // EXP-3: though the connection, and p.knows with it, may soon be gone
	}
	for part := range slices.Chunk(all, 32) {
		m.send(p, pairMessage{Invites: part})
	}
}
