package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// call is a meeting of any members in a world, for scenarios.
type call struct {
	lab     *lab
	world   *world
	members []*member
	invite  string // the creator's
	id      string // of the meeting
	allowed []netip.Addr
	moves   []time.Time // when somebody went from one network to another
	ends    []func()
}

// newCall begins an empty one. With keep, the captures keep the packets.
func (l *lab) newCall(keep bool) (*call, error) {
	w, err := newWorld(l.dir, keep, l.logf)
	if err != nil {
		return nil, err
	}
	return &call{lab: l, world: w}, nil
}

// end has everybody leave, and ends the world. It may be called twice.
func (c *call) end() {
	var leaving sync.WaitGroup
	for _, m := range c.members {
		leaving.Go(m.end)
	}
	leaving.Wait()
	for _, end := range c.ends {
		end()
	}
	c.members, c.ends = nil, nil
	if c.world != nil {
		c.world.close()
	}
	c.world = nil
}

// create has somebody create the meeting, letting in whoever has the link.
func (c *call) create(ctx context.Context, h *host, name string, args ...string) (*member, error) {
	m, err := c.start(h, name, "create", append([]string{"--admit", "auto"}, args...)...)
	if err != nil {
		return nil, err
	}
	e, err := m.within(ctx, joinTimeout, "ready", isEvent("ready"))
	c.invite, c.id = e.Invite, e.Meeting
	return m, err
}

// join has somebody join, and waits until they are in.
func (c *call) join(ctx context.Context, h *host, name string, args ...string) (*member, error) {
	m, err := c.start(h, name, "join", append(args, c.invite)...)
	if err != nil {
		return nil, err
	}
	_, err = m.within(ctx, joinTimeout, "ready", isEvent("ready"))
	return m, err
}

// play are the flags of who sends the n-th file.
func (c *call) play(n int) []string { return []string{"--play", c.lab.speech[n], "--loop"} }

func (c *call) start(h *host, name, mode string, args ...string) (*member, error) {
	m, err := c.lab.start(h, name, mode, append(append([]string(nil), listenAnywhere...), args...)...)
	if err != nil {
		return nil, err
	}
	c.members = append(c.members, m)
	c.allowed = append(c.allowed, h.addresses()...)
	return m, nil
}

// audit says what anybody sent to addresses that are nobody's here.
func (c *call) audit(r *result) {
	for _, m := range c.members {
		for _, s := range destinations(m.name, m.host.capture.snapshot(), c.allowed) {
			r.breach("%s", s)
		}
	}
	for _, s := range c.world.wan.strayPackets() {
		if c.onTheMove(s) {
			r.note("packet to nowhere in the moment of a change: %v", s)
			continue
		}
		r.breach("packet to nowhere %v", s)
	}
}

// moveFor is how long who is on another network may go on dialling what was on the last one's subnet: routes are looked at
// five times a second, by a program that may have to wait for its turn.
const moveFor = time.Second

// onTheMove tells whether a packet is for a private address of a member's, and the moment that of a change of networks.
func (c *call) onTheMove(s stray) bool {
	return s.flow.dst.Addr().IsPrivate() && contains(c.allowed, s.flow.dst.Addr()) && slices.ContainsFunc(c.moves, func(at time.Time) bool {
		return s.at.After(at) && s.at.Sub(at) < moveFor
	})
}

// hear waits until each of some members has heard another one, and returns the longest time from a moment on.
func hear(ctx context.Context, since time.Time, pairs ...[2]*member) (time.Duration, error) {
	var longest time.Duration
	for _, p := range pairs {
		e, err := p[0].within(ctx, mediaTimeout, "media of "+p[1].name, hears(p[1].name))
		if err != nil {
			return 0, err
		}
		longest = max(longest, e.Time.Sub(since))
	}
	return longest, nil
}

// packetsOf is how many packets a member has opened of another.
func (m *member) packetsOf(ctx context.Context, other string) (uint64, time.Time, error) {
	e, err := m.ask(ctx, "stats")
	var sum uint64
	for _, t := range e.Tracks {
		if t.Member == other {
			sum += t.Packets
		}
	}
	return sum, e.Time, err
}

// resumed waits until packets of somebody come at the rate of media, and returns how long after a moment that began.
func (m *member) resumed(ctx context.Context, other string, since time.Time, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	const look = 100 * time.Millisecond
	// What was under way arrives within a round trip: that isn't media come back.
	pause(ctx, time.Until(since.Add(look)))
	last, at, err := m.packetsOf(ctx, other)
	for err == nil {
		pause(ctx, look)
		var n uint64
		var now time.Time
		if n, now, err = m.packetsOf(ctx, other); err != nil {
			break
		}
		if float64(n-last) >= mediaRate*now.Sub(at).Seconds() && n > last+1 {
			return now.Sub(since), nil
		}
		last, at = n, now
	}
	return 0, fmt.Errorf("%s: no media of %s within %v: %w", m.name, other, limit, err)
}

// chats counts how often a member was shown a text.
func (m *member) chats(text string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, e := range m.events {
		if e.Event == "chat" && e.Text == text {
			n++
		}
	}
	return n
}

// said is the event that a text was shown.
func said(text string) func(event) bool {
	return func(e event) bool { return e.Event == "chat" && e.Text == text }
}
