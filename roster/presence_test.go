package roster

import (
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// watch is two members' presence in one meeting.
func watch(t *testing.T) (c *cast, a, b *actor, pa, pb *Presence) {
	c = newCast(t, DefaultPolicy())
	a = c.people[0]
	b = c.join(a, "b")
	pa, pb = NewPresence(a.inc), NewPresence(b.inc)
	pa.Follow(c.set.Roster(), clock)
	pb.Follow(c.set.Roster(), clock)
	return
}

func beat(t *testing.T, c *cast, p *Presence, at time.Time) []byte {
	t.Helper()
	raw, err := p.Beat(c.set.Roster(), c.set.Heads(), crypto.Hash{}, at)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestHeartbeats covers PRE-1, PRE-3 to PRE-5 and VER-2.
func TestHeartbeats(t *testing.T) {
	c, a, b, pa, pb := watch(t)
	r := c.set.Roster()
	ka, kb := a.inc.Key(), b.inc.Key()
	check(t, "agreed before anything was heard", pa.Agreed(r, clock), false)
	now := clock
	for range 3 {
		now = now.Add(5 * time.Second)
		if _, err := pb.Hear(ka, beat(t, c, pa, now), now); err != nil {
			t.Fatal(err)
		}
		if _, err := pa.Hear(kb, beat(t, c, pb, now), now); err != nil {
			t.Fatal(err)
		}
	}
	check(t, "fresh", pa.Fresh(r, kb, now), true)
	if by := pa.HeardBy(r, kb); len(by) != 1 || by[0].Bundle.MeetingKey != ka {
		t.Errorf("b hears %v", by)
	}
	check(t, "agreed", pa.Agreed(r, now), true)
	check(t, "away", pa.Away(r, kb, now), false)

	raw := beat(t, c, pb, now)
	bad := append([]byte(nil), raw...)
	bad[len(bad)-1] ^= 1
	if _, err := pa.Hear(kb, bad, now); err == nil {
		t.Error("a wrong signature was taken")
	}
	if _, err := pa.Hear(ka, raw, now); err == nil {
		t.Error("another member's heartbeat was taken as one's own")
	}
	if _, err := pa.Hear(kb, raw, now); err != nil {
		t.Error(err)
	}
	if _, err := pa.Hear(kb, raw, now); err == nil {
		t.Error("a replay was taken")
	}
	check(t, "equivocates", pa.Equivocates(kb), false)
	pb.number--
	if _, err := pa.Hear(kb, beat(t, c, pb, now.Add(1)), now); err == nil {
		t.Error("a second heartbeat of one number was taken")
	}
	check(t, "equivocates after two of one number", pa.Equivocates(kb), true)

	// b goes on hearing nothing of a: alive, but not fresh.
	later := now.Add(14 * time.Second)
	pb.number++
	if _, err := pa.Hear(kb, beat(t, c, pb, later), later); err != nil {
		t.Fatal(err)
	}
	later = later.Add(2 * time.Second)
	check(t, "away", pa.Away(r, kb, later), false)
	check(t, "fresh after 16 s without an echo", pa.Fresh(r, kb, later), false)
	if d := pa.Unechoed(kb, later); d < 15*time.Second || d > 25*time.Second {
		t.Errorf("unechoed for %v", d)
	}
	check(t, "agreed", pa.Agreed(r, later), false)
	for range crossed + 1 {
		beat(t, c, pa, later)
	}
	check(t, "b says it hears a", len(pa.HeardBy(r, kb)) > 0, false)
	check(t, "to be warned of", pa.Unechoed(kb, later) >= WarnAfter, false)
	check(t, "to be warned of, after 30 s", pa.Unechoed(kb, now.Add(WarnAfter)) >= WarnAfter, true)
	check(t, "to stop sending", pa.Unechoed(kb, now.Add(StopAfter-6*time.Second)) >= StopAfter, false)
	check(t, "to stop sending, after 100 s", pa.Unechoed(kb, now.Add(StopAfter)) >= StopAfter, true)
	check(t, "away after 15 s of silence", pa.Away(r, kb, later.Add(13*time.Second)), true)
	pa.Alive(kb, later.Add(13*time.Second))
	check(t, "away after another sign of life", pa.Away(r, kb, later.Add(13*time.Second)), false)
	// Words are shown among those who are there.
	check(t, "agreed while b is away", pa.Agreed(r, later.Add(time.Minute)), true)
}

// TestDisagreement covers VER-2: another roster hash is no agreement.
func TestDisagreement(t *testing.T) {
	c, a, b, pa, pb := watch(t)
	now := clock
	old := c.set.Roster()
	for range 2 {
		now = now.Add(time.Second)
		rawA, errA := pa.Beat(old, nil, crypto.Hash{1}, now)
		rawB, errB := pb.Beat(old, nil, crypto.Hash{}, now)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		_, e1 := pb.Hear(a.inc.Key(), rawA, now)
		_, e2 := pa.Hear(b.inc.Key(), rawB, now)
		if e1 != nil || e2 != nil {
			t.Fatal(e1, e2)
		}
	}
	check(t, "agreed on the old roster", pa.Agreed(old, now), true)
	c.do(a, policy(Locked))
	check(t, "agreed on the new one", pa.Agreed(c.set.Roster(), now), false)
	if h := pa.Latest(b.inc.Key()); h == nil || h.RosterHash != old.Hash || h.Announce != nil {
		t.Error("the last heartbeat isn't kept")
	}
}

// TestHostPresent covers PRE-6, and PRE-2's intervals.
func TestHostPresent(t *testing.T) {
	c, a, _, pa, pb := watch(t)
	r := c.set.Roster()
	check(t, "a host sees itself", pa.HostPresent(r, clock.Add(time.Hour)), true)
	check(t, "b sees the host", pb.HostPresent(r, clock.Add(time.Second)), true)
	check(t, "b sees none after 15 s", pb.HostPresent(r, clock.Add(15*time.Second)), false)
	c.resume(a)
	pb.Follow(c.set.Roster(), clock.Add(time.Minute))
	check(t, "b sees the host that resumed", pb.HostPresent(c.set.Roster(), clock.Add(time.Minute)), true)
	if Interval(RoleHost, 300) != 5*time.Second || Interval(RoleMember, 20) != 5*time.Second || Interval(RoleMember, 100) != 10*time.Second {
		t.Error("intervals")
	}
}

// TestLargeHeartbeat checks that a meeting of a thousand still hears each other, and that there is a limit.
func TestLargeHeartbeat(t *testing.T) {
	c, a, b, pa, pb := watch(t)
	large := *c.set.Roster()
	for i := range 2100 {
		k := crypto.MeetingKey(fakeHash('k', uint64(i)))
		large.Members = append(large.Members, Member{Bundle: crypto.Bundle{MeetingKey: k}})
		pa.members[k] = &heard{number: 100_000}
		if i != 1000 && i != 2099 {
			continue
		}
		raw, err := pa.Beat(&large, c.set.Heads(), crypto.Hash{}, clock)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pb.Hear(a.inc.Key(), raw, clock); (err == nil) != (len(raw) <= maxHeartbeat) || i == 1000 && err != nil {
			t.Errorf("%d bytes: %v", len(raw), err)
		}
	}
	_ = b
}
