package main

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Times of a cell.
const (
	joinTimeout  = 20 * time.Second
	mediaTimeout = 20 * time.Second
	settleFor    = 6 * time.Second // for a better path, when there is media
)

// cell runs one: Carol, who is public, creates the meeting; Alice joins from one network, then Bob from the other.
func (l *lab) cell(ctx context.Context, c cell, r *result) error {
	w, err := newWorld(l.dir, false, l.logf)
	if err != nil {
		return err
	}
	defer w.close()
	m, err := l.meeting(ctx, w, c, r)
	if m != nil {
		defer m.end()
	}
	if err != nil {
		return err
	}
	for i, hearer := range []*member{m.bob, m.alice} {
		other := []*member{m.alice, m.bob}[i]
		if err := l.firstMedia(ctx, hearer, other, m.bobBegan, &r.Sides[i]); err != nil {
			r.Sides[i].Path = pathNone
			r.fail("%v", err)
		}
	}
	m.logTimes()
	if len(r.Failures) == 0 {
		m.settle(ctx, r)
		if err := m.measure(ctx, r); err != nil {
			return err
		}
		r.judge(c)
	}
	for _, s := range m.audit() {
		r.breach("%s", s)
	}
	return nil
}

// meeting is one of three members.
type meeting struct {
	world             *world
	alice, bob, carol *member
	relay             *relay
	invite            string
	id                string
	bobBegan          time.Time
	routers           []netip.Addr // that members may ask
}

func (m *meeting) members() []*member {
	var all []*member
	for _, x := range []*member{m.carol, m.alice, m.bob} {
		if x != nil {
			all = append(all, x)
		}
	}
	return all
}

func (m *meeting) end() {
	var leaving sync.WaitGroup
	for _, x := range m.members() {
		leaving.Go(x.end)
	}
	leaving.Wait()
	if m.relay != nil {
		m.relay.end()
	}
}

var listenAnywhere = []string{"--listen", "0.0.0.0:0", "--listen", "[::]:0"}

// meeting brings one about. What is returned is to be ended, also with an error.
func (l *lab) meeting(ctx context.Context, w *world, c cell, r *result) (*meeting, error) {
	m := &meeting{world: w}
	public, err := w.public("carol", 1)
	if err != nil {
		return m, err
	}
	alice, err := w.site(c.a, "alice", 2, 1)
	if err != nil {
		return m, err
	}
	bob, err := w.site(c.b, "bob", 3, 1)
	if err != nil {
		return m, err
	}
	flags := append([]string(nil), listenAnywhere...)
	if c.a.needsRelay() || c.b.needsRelay() {
		if m.relay, err = l.startRelay(ctx, w, 4); err != nil {
			return m, err
		}
		flags = append(flags, "--relay", m.relay.uri)
	}
	if m.carol, err = l.start(public.hosts[0], "Carol", "create", append([]string{"--admit", "auto"}, flags...)...); err != nil {
		return m, err
	}
	ready, err := m.carol.within(ctx, joinTimeout, "ready", isEvent("ready"))
	if err != nil {
		return m, err
	}
	m.invite, m.id = ready.Invite, ready.Meeting
	for i, s := range []*site{alice, bob} {
		name, file := []string{"Alice", "Bob"}[i], l.speech[i]
		args := append(append([]string(nil), flags...), "--play", file, "--loop")
		if extra := s.kind.flags(); extra != nil {
			args = append(args, extra...)
			m.routers = append(m.routers, s.inside) // or the proxy, which runs there
		}
		m.bobBegan = time.Now()
		x, err := l.start(s.hosts[0], name, "join", append(args, m.invite)...)
		if err != nil {
			return m, err
		}
		if i == 0 {
			m.alice = x
		} else {
			m.bob = x
		}
		if _, err := x.within(ctx, joinTimeout, "ready", isEvent("ready")); err != nil {
			r.fail("%v", err)
			return m, nil
		}
	}
	return m, nil
}

// within is await from the beginning, with a time limit.
func (m *member) within(ctx context.Context, d time.Duration, what string, wanted func(event) bool) (event, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return m.await(ctx, 0, what, wanted)
}

// firstMedia waits until one member has opened a packet of another.
func (l *lab) firstMedia(ctx context.Context, hearer, other *member, began time.Time, s *side) error {
	if hearer == nil || other == nil {
		return errors.New("one of the two didn't get in")
	}
	e, err := hearer.within(ctx, mediaTimeout, "media of "+other.name, hears(other.name))
	if err != nil {
		return err
	}
	s.First = e.Time.Sub(began)
	if hearer.name == "Bob" {
		s.First = time.Duration(e.After * float64(time.Millisecond)) // from his Join, without the start of the program
	}
	return nil
}

// settle waits until both directions are on the path that is expected of them, or a better one, but not for ever.
func (m *meeting) settle(ctx context.Context, r *result) {
	const look = 500 * time.Millisecond
	for began := time.Now(); time.Since(began) < settleFor && ctx.Err() == nil; {
		before := m.snapshots()
		pause(ctx, look)
		p := m.paths(before, look)
		if p[0] <= r.Expected && p[1] <= r.Expected {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (m *meeting) snapshots() [2]map[flowAt]counts {
	return [2]map[flowAt]counts{m.bob.host.capture.snapshot(), m.alice.host.capture.snapshot()}
}

// paths reads off the wire on which path the two hear each other.
func (m *meeting) paths(before [2]map[flowAt]counts, during time.Duration) [2]path {
	var out [2]path
	for i, hearer := range []*member{m.bob, m.alice} {
		other := []*member{m.alice, m.bob}[i]
		var relay []netip.Addr
		if m.relay != nil {
			relay = append(m.routers, m.relay.host.own...) // or by the proxy, which runs on the router
		}
		out[i] = pathOf(hearer.host.capture.since(before[i]), during, other.host.addresses(), m.carol.host.addresses(), relay)
	}
	return out
}

// logTimes shows what happened to each when, for who looks into a delay.
func (m *meeting) logTimes() {
	for i, x := range []*member{m.alice, m.bob} {
		if m.alice == nil || m.bob == nil {
			return
		}
		other := []*member{m.bob, m.alice}[i]
		for what, wanted := range map[string]func(event) bool{
			"is in": isEvent("ready"), "reaches " + other.name: reaches(other.name), "hears " + other.name: hears(other.name),
			"knows of the track": func(e event) bool { return e.Event == "track_added" && e.Member == other.name },
		} {
			if e, ok := x.find(wanted); ok {
				m.world.log("%s %s %v after Bob was started", x.name, what, e.Time.Sub(m.bobBegan).Round(time.Millisecond))
			}
		}
	}
}

// logFlows shows what came to each, for who looks into a failure.
func (m *meeting) logFlows(before [2]map[flowAt]counts, during time.Duration) {
	for i, hearer := range []*member{m.bob, m.alice} {
		for f, n := range hearer.host.capture.since(before[i]) {
			if s := during.Seconds(); !f.out {
				m.world.log("%s received %.0f packets/s, %.0f bytes/s: %v", hearer.name, float64(n.packets)/s, float64(n.bytes)/s, f.flow)
			}
		}
	}
}

// addresses are all by which anybody may name a host.
func (h *host) addresses() []netip.Addr {
	return append(append([]netip.Addr(nil), h.own...), h.outside...)
}

// measure takes the figures of both directions.
func (m *meeting) measure(ctx context.Context, r *result) error {
	ctx, cancel := context.WithTimeout(ctx, measureFor+20*time.Second)
	defer cancel()
	pair := [2]*member{m.bob, m.alice}
	var stats [2][2]trackStats
	before := m.snapshots()
	began := time.Now()
	for round := range 2 {
		for i, hearer := range pair {
			e, err := hearer.ask(ctx, "stats")
			if err != nil {
				return err
			}
			for _, t := range e.Tracks {
				if t.Member == pair[1-i].name {
					stats[i][round] = t
				}
			}
		}
		if round == 0 {
			if err := lookAtLinks(ctx, r, pair, measureFor); err != nil {
				return err
			}
		}
	}
	paths := m.paths(before, time.Since(began))
	m.logFlows(before, time.Since(began))
	for i, hearer := range pair {
		s, t := &r.Sides[i], stats[i]
		s.Path, s.received = paths[i], t[1].Packets-t[0].Packets
		lost := float64(t[1].Lost) - float64(t[0].Lost)
		if sum := lost + float64(s.received); sum > 0 {
			s.Loss = max(0, lost/sum)
		}
		s.Direct = directAfter(hearer, pair[1-i])
		if s.Path == pathUDP {
			s.RTT = onWire(ctx, hearer, pair[1-i])
		}
	}
	return nil
}

// lookAtLinks asks both for their round trips until the time is over, and keeps the shortest: on a busy machine the others
// tell of the machine.
func lookAtLinks(ctx context.Context, r *result, pair [2]*member, during time.Duration) error {
	for until := time.Now().Add(during); time.Now().Before(until); pause(ctx, 150*time.Millisecond) {
		for i, hearer := range pair {
			e, err := hearer.ask(ctx, "links")
			if err != nil {
				return err
			}
			for _, link := range e.Links {
				rtt := time.Duration(link.RTT * float64(time.Millisecond))
				if s := &r.Sides[i].RTT; link.Member == pair[1-i].name && rtt > 0 && (*s == 0 || rtt < *s) {
					*s = rtt
				}
			}
		}
	}
	return nil
}

// onWire is the shortest round trip of ICE's checks between two. There is one every 2 s: if the machine was too busy for all
// so far, some more are waited for.
func onWire(ctx context.Context, hearer, other *member) (rtt time.Duration) {
	for range 6 {
		rtt = hearer.host.capture.roundTrip(other.host.addresses())
		if rtt > 0 && rtt <= 2*lineRTT {
			break
		}
		pause(ctx, time.Second)
	}
	return rtt
}

// directAfter is how long after the first path between the two, whatever it was, direct media came.
func directAfter(hearer, other *member) time.Duration {
	open, ok := hearer.find(reaches(other.name))
	if !ok {
		return -1
	}
	first := time.Time{}
	for f, n := range hearer.host.capture.snapshot() {
		if !f.out && f.class == classSRTP && contains(other.host.addresses(), f.src.Addr()) && (first.IsZero() || n.first.Before(first)) {
			first = n.first
		}
	}
	if first.IsZero() {
		return -1
	}
	return max(0, first.Sub(open.Time))
}

// audit says what was sent where it may not be, by anybody in the meeting.
func (m *meeting) audit() []string {
	var allowed []netip.Addr
	for _, x := range m.members() {
		allowed = append(allowed, x.host.addresses()...)
	}
	allowed = append(allowed, m.routers...)
	if m.relay != nil {
		allowed = append(allowed, m.relay.host.addresses()...)
	}
	var out []string
	for _, x := range m.members() {
		out = append(out, destinations(x.name, x.host.capture.snapshot(), allowed)...)
	}
	for _, s := range m.world.wan.strayPackets() {
		out = append(out, "packet to nowhere "+s.String())
	}
	return out
}
