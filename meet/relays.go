package meet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/relayauth"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	// MaxRelays is how many relays one member names, and how many a meeting uses at a time.
	MaxRelays = transport.MaxRelays
	// relayRenewal is when a ticket is replaced: long before it ends, for whoever is asleep.
	relayRenewal = relayauth.TicketLifetime / 2
	// relaysBurst lists of relays are taken from a member at once, and then one in 100 s (RLY-11).
	relaysBurst, relaysRate = 4, 0.01
)

// Relay is a relay the user named: through it members reach each other where no direct way exists. It sees who talks to
// whom, when and how much, never what. Whoever takes part gets a ticket to use it as well, and never the right itself.
type Relay struct{ uri relayauth.URI }

// ErrTooManyRelays reports more than MaxRelays in Config.Relays, or one of them twice.
var ErrTooManyRelays = errors.New("meet: at most 4 relays, each once")

// ParseRelay reads what a relay's operator hands out (huisclos-relay:…); white space in it is ignored. The errors are
// relayauth's ErrURI, ErrURIChanged and ErrAddress: sentences for the person who has the text.
func ParseRelay(text string) (Relay, error) {
	uri, err := relayauth.ParseURI(text)
	return Relay{uri}, err
}

// String returns the text that ParseRelay reads. It is a secret: who has it may use the relay.
func (r Relay) String() string { return r.uri.String() }

// Fingerprint names the relay, for people to compare with what its operator says.
func (r Relay) Fingerprint() string { return r.uri.Relay.Fingerprint() }

// Addresses returns where the relay is, host and port, each once. They are no secret.
func (r Relay) Addresses() (all []string) {
	for _, a := range r.uri.Addresses {
		if at := hostPort(a); at != "" && !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	return all
}

// hostPort is the name or IP address, and the port, that an address begins with.
func hostPort(a ma.Multiaddr) string {
	if len(a) < 2 {
		return ""
	}
	return net.JoinHostPort(a[0].Value(), a[1].Value())
}

// LogValue hides the right to use the relay.
func (r Relay) LogValue() slog.Value { return r.uri.LogValue() }

// RelayStatus is how things stand with a relay that is used.
type RelayStatus struct {
	// Fingerprint names it, as Relay.Fingerprint does.
	Fingerprint string
	// NamedBy is the member who named it; zero if the user did, in Config.Relays.
	NamedBy crypto.MeetingKey
	// Connected says whether there is a connection to it, Reserved whether this member can be reached through it.
	Connected, Reserved bool
	// Err says why not; nil when reserved, or not tried yet.
	Err error
}

// Relays returns how things stand with the relays that are used, the user's own first.
func (m *Meeting) Relays(ctx context.Context) ([]RelayStatus, error) {
	return call(ctx, m, func() ([]RelayStatus, error) {
		states := m.host.RelayStates()
		var all []RelayStatus
		for _, r := range m.usedRelays() {
			s := RelayStatus{Fingerprint: r.Key.Fingerprint(), NamedBy: r.by}
			if i := slices.IndexFunc(states, func(t transport.RelayState) bool { return relayauth.Key(t.Relay) == r.Key }); i >= 0 {
				s.Connected, s.Reserved, s.Err = states[i].Connected, states[i].Reserved, states[i].Err
			}
			all = append(all, s)
		}
		return all, nil
	})
}

// relays are this member's own: their tickets and when those were made.
type relays struct {
	own  []sharedRelay
	made time.Time
}

func checkRelays(all []Relay) error {
	for i, r := range all {
		if err := r.uri.Validate(); err != nil {
			return fmt.Errorf("meet: Config.Relays: %w", err)
		}
		if i >= MaxRelays || slices.ContainsFunc(all[:i], func(o Relay) bool { return o.uri.Relay == r.uri.Relay }) {
			return ErrTooManyRelays
		}
	}
	return nil
}

// ticketsFor makes a ticket for each of the user's relays: for this member, or for another (RLY-10).
func ticketsFor(all []Relay, now time.Time) (out []sharedRelay) {
	for _, r := range all {
		s := sharedRelay{Key: r.uri.Relay, Ticket: r.uri.Token.Ticket(now.Add(relayauth.TicketLifetime))}
		for _, a := range r.uri.Addresses {
			s.Addresses = append(s.Addresses, a.Bytes())
		}
		out = append(out, s)
	}
	return out
}

// valid says whether a relay that a member named can be one (RLY-8, RLY-11). Its ticket is the relay's to judge.
func (s *sharedRelay) valid() bool {
	if len(s.Addresses) == 0 || len(s.Addresses) > relayauth.MaxAddresses || len(s.Ticket) != relayauth.TicketSize {
		return false
	}
	if _, err := s.Key.ID(); err != nil {
		return false
	}
	for _, raw := range s.Addresses {
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil || !bytes.Equal(a.Bytes(), raw) || relayauth.CheckAddress(a) != nil {
			return false
		}
	}
	return true
}

// forHost is the relay as the transport wants it.
func (s *sharedRelay) forHost() (out []transport.Relay) {
	id, err := s.Key.ID()
	if err != nil {
		return nil
	}
	for _, raw := range s.Addresses {
		if a, err := ma.NewMultiaddrBytes(raw); err == nil {
			out = append(out, transport.Relay{Address: a.Encapsulate(ma.StringCast("/p2p/" + id.String())), Ticket: s.Ticket})
		}
	}
	return out
}

func relaysForHost(all []sharedRelay) (out []transport.Relay) {
	for i := range all {
		out = append(out, all[i].forHost()...)
	}
	return out
}

// usedRelay is a relay and who named it.
type usedRelay struct {
	sharedRelay
	by crypto.MeetingKey
}

// usedRelays are the user's own, and as many of those that members named as there is room for: of each member the first,
// then of each the second, so that nobody crowds out another's. The order is the same each time.
func (m *Meeting) usedRelays() (all []usedRelay) {
	for _, r := range m.relays.own {
		all = append(all, usedRelay{sharedRelay: r})
	}
	if m.config.RelayOnly { // MOD-3: another's relay could tell that one where we are
		return all
	}
	var peers []*peer
	for _, p := range m.peers {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b *peer) int { return bytes.Compare(a.key[:], b.key[:]) })
	for i := range MaxRelays {
		for _, p := range peers {
			if i >= len(p.relays) {
				continue
			}
			r := p.relays[i]
			known := slices.ContainsFunc(all, func(u usedRelay) bool { return u.Key == r.Key })
			if m.isMember(r.Key) && !m.config.hooks.anyRelay { // RLY-11: dials there would take the place of those to the member
				continue
			}
			if !known && (len(all) < MaxRelays || m.config.hooks.anyRelay) {
				all = append(all, usedRelay{r, p.key})
			}
		}
	}
	return all
}

// isMember says whether what a member calls a relay is this member or another.
func (m *Meeting) isMember(key relayauth.Key) bool {
	k := crypto.MeetingKey(key)
	return k == m.self.Key() || m.peers[k] != nil || m.roster.ByMeetingKey(k) != nil
}

// useRelays has the host reserve at the relays there are now.
func (m *Meeting) useRelays() {
	var all []sharedRelay
	for _, r := range m.usedRelays() {
		all = append(all, r.sharedRelay)
	}
	if err := m.host.SetRelays(relaysForHost(all)); err != nil {
		m.log.Debug("relays refused", "error", err)
	}
}

// shareRelays gives a member a ticket of its own for each of the user's relays, the same until it has to be renewed, for
// what was said before may be lost; viewers, too, have to be reached (RLY-10).
func (m *Meeting) shareRelays(p *peer, now time.Time) {
	if len(m.config.Relays) == 0 || !p.installed {
		return
	}
	if ticketsDue(p.relaysAt, now) {
		p.relaysAt, p.tickets = now, ticketsFor(m.config.Relays, now)
	}
	m.send(p, pairMessage{Relays: p.tickets})
}

// ticketsDue says whether tickets are to be made anew. A machine that slept may only know by the wall clock.
func ticketsDue(made, now time.Time) bool {
	return made.IsZero() || max(now.Sub(made), now.Round(0).Sub(made.Round(0))) >= relayRenewal
}

// relaysTold takes the relays that a member names, in place of those it named before (RLY-11).
func (m *Meeting) relaysTold(p *peer, told []sharedRelay, now time.Time) {
	if !p.limit.relays.allow(now, relaysBurst, relaysRate) && !m.config.hooks.noLimits {
		return
	}
	if !m.config.hooks.anyRelay {
		if len(told) > MaxRelays || slices.ContainsFunc(told, func(s sharedRelay) bool { return !s.valid() }) {
			m.log.Debug("a member names relays that can't be")
			return // no honest member does
		}
	}
	p.relays = told
	m.useRelays()
}

// relaysTick makes tickets anew in time, for this member and the others.
func (m *Meeting) relaysTick(now time.Time) {
	if len(m.config.Relays) == 0 {
		return
	}
	if ticketsDue(m.relays.made, now) {
		m.relays = relays{ticketsFor(m.config.Relays, now), now}
		m.useRelays()
	}
	for _, p := range m.peers {
		if ticketsDue(p.relaysAt, now) {
			m.shareRelays(p, now)
		}
	}
}
