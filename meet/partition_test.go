package meet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestPartitions covers ROS-20 and SYN-1 in whole meetings: two sides that each change the roster (admit, remove,
// promote, lock, invite), apart for 3, 60 and 300 seconds, have byte-identical rosters within 3 s of contact, and media
// flows 2 s later.
func TestPartitions(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{3 * time.Second, time.Minute, 5 * time.Minute} {
		t.Run(fmt.Sprint(apart), func(t *testing.T) {
			if testing.Short() && apart > 3*time.Second {
				t.Skip("takes long: not with -short")
			}
			world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) { partition(t, ctx, w, apart) })
		})
	}
}

func partition(t *testing.T, ctx context.Context, w *meettest.World, apart time.Duration) {
	all := party(t, ctx, w, 6)
	creator, host := all[0], all[1]
	identity := func(m *meettest.Member) crypto.IdentityKey {
		s, err := m.Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return s.Identity
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(creator.SetRole(ctx, identity(host), meet.Host))
	w.Advance(time.Second)
	invite := func(m *meettest.Member) meet.Invite {
		i, err := m.Invite(ctx, meet.InviteOptions{})
		do(err)
		return i
	}
	left, right := invite(creator), invite(host)
	w.Advance(time.Second)
	var tones []*meettest.Tone
	for _, m := range all[:4] {
		tone, err := m.PublishTone(ctx, 60)
		do(err)
		tones = append(tones, tone)
	}
	w.Advance(time.Second)
	// Left: creator, 2, 4 and whoever joins them. Right: host, 3, 5.
	w.Network.Partition([]string{"member0", "member2", "member4", "newleft"}, []string{"member1", "member3", "member5", "newright"})
	id2, id3, id5 := identity(all[2]), identity(all[3]), identity(all[5])
	newLeft, err := w.JoinBy(ctx, "newleft", left, meet.Config{})
	do(err)
	newRight, err := w.JoinBy(ctx, "newright", right, meet.Config{})
	do(err)
	do(creator.SetRole(ctx, id2, meet.Host))
	do(host.Remove(ctx, id5, false))
	do(host.SetRole(ctx, id3, meet.Viewer))
	_ = invite(creator)
	do(creator.Lock(ctx))
	p, err := host.Policy(ctx)
	do(err)
	p.Viewers = 0
	do(host.SetPolicy(ctx, p))
	w.Advance(apart)
	w.Network.Heal()
	healed := time.Now()

	// The lock of the creator's voids the host's concurrent admission: newright is back in the lobby (ROS-15).
	together := []*meettest.Member{all[0], all[1], all[2], all[3], all[4], newLeft}
	hashes := func() map[crypto.Hash]bool {
		set := map[crypto.Hash]bool{}
		for _, m := range together {
			for e := range m.Events() {
				set[e.(meet.Snapshot).RosterHash] = true
				break
			}
		}
		return set
	}
	contact := time.Time{}
	for len(hashes()) > 1 {
		if contact.IsZero() && someContact(ctx, creator, "member1") {
			contact = time.Now()
		}
		if time.Since(healed) > 30*time.Second {
			t.Fatalf("the rosters still differ after 30 s: %v", hashes())
		}
		w.Advance(50 * time.Millisecond)
	}
	agreed := time.Now()
	if contact.IsZero() {
		contact = agreed
	}
	if d := agreed.Sub(contact); d > 3*time.Second {
		t.Errorf("the rosters agreed %v after contact", d)
	}
	do(crossed(ctx, w, all[0], all[1], 2*time.Second))
	do(crossed(ctx, w, all[1], all[0], 2*time.Second))
	t.Logf("apart %v: contact after %v, one roster %v later", apart, contact.Sub(healed), agreed.Sub(contact))
	if m, err := creator.Members(ctx); err != nil || len(m) != 6 {
		t.Errorf("%d members: %v, %+v", len(m), err, m)
	}
	select {
	case <-newRight.Context().Done():
	case <-time.After(15 * time.Second):
		t.Error("who was admitted beside the lock is still in")
	}
	for _, tone := range tones {
		tone.Stop()
	}
}

func someContact(ctx context.Context, m *meettest.Member, name string) bool {
	members, err := m.Members(ctx)
	if err != nil {
		return false
	}
	for _, v := range members {
		if v.Name == name && v.Connected && !v.Away {
			return true
		}
	}
	return false
}

// crossed waits until media of one member reaches another, for at most d.
func crossed(ctx context.Context, w *meettest.World, from, to *meettest.Member, d time.Duration) error {
	packets := func() (n uint64) {
		s, err := to.Stats(ctx)
		if err != nil {
			return 0
		}
		for _, track := range s.Tracks {
			if track.Member.Name == from.Host {
				n += track.Packets
			}
		}
		return n
	}
	before := packets()
	for until := time.Now().Add(d); time.Now().Before(until); w.Advance(20 * time.Millisecond) {
		if packets() > before {
			return nil
		}
	}
	return fmt.Errorf("no media from %s to %s within %v", from.Host, to.Host, d)
}
