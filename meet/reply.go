package meet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// replyBurst codes are taken at once, and then replyRate a second (RPL-3).
	replyBurst, replyRate = 4, 1.0 / 15
	// routerWait is how long Invite and Join wait for the router's answer.
	routerWait = 2 * time.Second
)

// ReplyReason is why a reply code wasn't followed.
type ReplyReason uint8

// The reasons.
const (
	ReplyUnreadable  ReplyReason = 1 // it isn't a whole reply code
	ReplyForeign     ReplyReason = 2 // it isn't an answer to a link of this meeting that this member knows
	ReplyExpired     ReplyReason = 3 // its link has expired, or died by a removal
	ReplyUnreachable ReplyReason = 4 // nobody answers at its addresses, or none may be dialled
)

// ReplyError says why a reply code wasn't followed.
type ReplyError struct {
	Reason ReplyReason
	Err    error // what it failed with; may be nil
}

// Error is one sentence for the person who has the code.
func (e *ReplyError) Error() string {
	switch e.Reason {
	case ReplyForeign:
		return "this reply code is not for a link of this meeting: check that you took the right one"
	case ReplyExpired:
		return "the link that this reply code answers no longer works: send a new one, or, if it should still be good, check this computer's date and time" // CLK-4
	case ReplyUnreachable:
		return "nobody answers at the addresses in this reply code: is their program still waiting? If so, use a relay"
	}
	if e.Err != nil {
		return e.Err.Error()
	}
	return crypto.ErrReplyMalformed.Error()
}

// Unwrap returns what it failed with.
func (e *ReplyError) Unwrap() error { return e.Err }

// Reply follows a reply code: this member's host dials somebody who has a link of this meeting, can't reach anybody in it
// and waits to be dialled (Config.OnReply). It returns when there is a connection; the joiner knocks on it then, as at any
// door. It shows this member's address to whoever made the code, which who has the link can.
//
// The errors are *ReplyError, ErrTooOften, and ctx's.
func (m *Meeting) Reply(ctx context.Context, code string) error {
	c, err := crypto.ParseReply(code)
	if err != nil {
		return &ReplyError{ReplyUnreadable, err}
	}
	joiner, err := call(ctx, m, func() (crypto.Door, error) { return m.openReply(c, time.Now()) })
	if err != nil {
		return err
	}
	addrs := multiaddrs(joiner.Addresses)
	if !m.config.hooks.anyReplyAddress {
		addrs = replyAddresses(addrs)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	stop := context.AfterFunc(m.ctx, cancel)
	defer stop()
	if err := m.host.ConnectStranger(ctx, peerKey(joiner.Key), addrs); err != nil {
		if m.ctx.Err() != nil {
			return context.Cause(m.ctx)
		}
		return &ReplyError{ReplyUnreachable, err}
	}
	return nil
}

// openReply says where the joiner is, if the code answers a living link of this meeting.
func (m *Meeting) openReply(c crypto.ReplyCode, now time.Time) (crypto.Door, error) {
	if !m.replies.allow(now, replyBurst, replyRate) && !m.config.hooks.noLimits { // RPL-3
		return crypto.Door{}, ErrTooOften
	}
	i := m.door.invites[c.Invite]
	if i == nil { // RPL-1
		return crypto.Door{}, &ReplyError{Reason: ReplyForeign}
	}
	joiner, err := c.Open(i.shared.Invite.Secret, m.id)
	switch {
	case err != nil: // RPL-1
		return joiner, &ReplyError{ReplyForeign, err}
	case m.config.hooks.anyReply:
	case m.roster.DeadInvite(i.shared.Operation), m.expired(i.shared.Operation, now): // RPL-1
		return joiner, &ReplyError{Reason: ReplyExpired}
	}
	return joiner, nil
}

// replyAddresses are those of a code that are dialled (RPL-2), beside the transport's own filter (TRA-1): in private
// networks only by QUIC, whose first packets mean nothing to a printer or a router's web page.
func replyAddresses(all []ma.Multiaddr) (some []ma.Multiaddr) {
	for _, a := range all {
		ip, ok := addressOf(a)
		if !ok || len(a) < 2 {
			continue
		}
		if a[1].Code() == ma.P_UDP || ReachOf(ip) == ReachEverywhere {
			some = append(some, a)
		}
	}
	return some
}

// awaitDial is what a joiner does who reaches nobody: it says where it can be reached itself, sealed to the link, and
// knocks at the door of whoever dials (RPL-4). When that connection is lost before anybody has decided, it says so again:
// the host has to dial anew. Where nobody could dial, it returns why it is unreachable.
func (g *guest) awaitDial(ctx context.Context, lost *UnreachableError) error {
	if g.config.AskRouter {
		g.host.MapPorts()
		mapped(ctx, g.host)
	}
	if over(ctx) != nil {
		return over(ctx)
	}
	own := doorOf(g.self.Key(), g.host.Addresses())
	if reachOfDoor(own) < ReachEverywhere && !g.nearby() {
		lost.Neither = named(g.link) && Invite{link: g.link}.Reach() < ReachEverywhere
		return lost
	}
	if g.config.OnReply == nil {
		return lost
	}
	strangers := g.host.Strangers()
	for code := ""; ; own = doorOf(g.self.Key(), g.host.Addresses()) {
		if code == "" || !slices.EqualFunc(own.Addresses, g.reply, bytes.Equal) && len(own.Addresses) > 0 {
			sealed, err := crypto.SealReply(g.link.Secret, g.link.Meeting, own)
			if err != nil {
				return lost
			}
			code, g.reply = sealed.String(), own.Addresses
			g.replied = append(g.replied, own.Addresses...)
		}
		g.waiting = false
		g.config.OnReply(code)
		err := g.dialled(ctx, strangers)
		var again *lostError
		if !errors.As(err, &again) {
			return err
		}
	}
}

// dialled knocks on whoever dials until one of them decides. A lostError is that of a door where this joiner waited
// already; others are none of its business.
func (g *guest) dialled(ctx context.Context, strangers <-chan transport.PeerKey) error {
	for {
		select {
		case key := <-strangers:
			err := g.patiently(ctx, func() error { return g.knockOn(ctx, crypto.MeetingKey(key)) })
			var again *lostError
			if !errors.As(err, &again) {
				return err
			}
			if err := over(ctx); err != nil {
				return err
			}
			if g.waiting {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// knockOn opens the door of somebody who dialled. A stranger is not let know who knocks, and ends nothing (DOR-2, RPL-4).
func (g *guest) knockOn(ctx context.Context, key crypto.MeetingKey) error {
	opening, cancel := context.WithTimeout(ctx, doorHandshake)
	defer cancel()
	stream, err := g.host.OpenDoor(opening, peerKey(key), nil)
	if err != nil {
		return &lostError{err}
	}
	defer stream.Close()
	err = g.through(ctx, stream, key)
	var impostor *ImpostorError
	if errors.As(err, &impostor) && errors.Is(err, crypto.ErrDoorRefused) && !g.config.hooks.anyDialler {
		return &lostError{err}
	}
	return err
}

// nearby says whether the link leads to this machine's own network, where addresses that others can't reach serve.
func (g *guest) nearby() bool {
	for _, d := range g.link.Doors {
		for _, a := range multiaddrs(d.Addresses) {
			if ip, ok := addressOf(a); ok && ReachOf(ip) < ReachEverywhere && g.host.MayDial([]ma.Multiaddr{a}) {
				return true
			}
		}
	}
	return false
}

// mapped returns what became of asking the router, if it was asked, and waits a little for that.
func mapped(ctx context.Context, host *transport.Host) transport.Router {
	ctx, cancel := context.WithTimeout(ctx, routerWait)
	defer cancel()
	return host.Mapped(ctx)
}
