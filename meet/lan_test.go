package meet_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// sited is a host in a place of its own choosing: what a world gives, seen as given here.
type sited struct {
	transport.Network
	own []netip.Prefix
}

func (s sited) Addresses() ([]netip.Prefix, error) {
	if s.own != nil {
		return s.own, nil
	}
	return s.Network.Addresses()
}

// at puts a member's host somewhere; it overrides the world's choice.
func at(t *testing.T, w *meettest.World, name string, o transporttest.HostOptions, c meet.Config) meet.Config {
	t.Helper()
	h, err := w.Network.Host(name, o)
	if err != nil {
		t.Fatal(err)
	}
	c.Network, c.Name = h, name
	return c
}

var courtroom = transporttest.HostOptions{NAT: transporttest.PortRestricted, LAN: "courtroom"}

// TestLANOnlyMeeting: with no internet at all a meeting comes about on a local network, and its
// links reach that far.
// Checks: MOD-2.
func TestLANOnlyMeeting(t *testing.T) {
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		w.Network.SetFilter(func(transporttest.Datagram) bool { return false })
		c := open()
		c.LANOnly = true
		a := create(t, ctx, at(t, w, "a", courtroom, c))
		defer a.Close()
		link := invite(t, ctx, a, meet.InviteOptions{})
		if link.Reach() != meet.ReachNetwork {
			t.Errorf("reach %v", link.Reach())
		}
		for _, ip := range link.Addresses() {
			if !ip.IsPrivate() {
				t.Errorf("the link names %v", ip)
			}
		}
		b, err := meet.Join(ctx, link, at(t, w, "b", courtroom, meet.Config{LANOnly: true}))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		tellEachOther(t, ctx, a, b)
	})
}

// TestOutsideLAN: each misunderstanding gives its one sentence.
// Checks: MOD-2.
func TestOutsideLAN(t *testing.T) {
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		a := create(t, ctx, at(t, w, "a", transporttest.HostOptions{}, open()))
		defer a.Close()
		link := invite(t, ctx, a, meet.InviteOptions{})
		begun := time.Now()
		if m, err := meet.Join(ctx, link, at(t, w, "b", courtroom, meet.Config{LANOnly: true})); !errors.Is(err, meet.ErrOutsideLAN) {
			t.Errorf("joined from a LAN: %v %v", m, err)
		}
		if d := time.Since(begun); d > 3*time.Second {
			t.Errorf("it took %v to say so", d)
		}
		if m, err := meet.Join(ctx, link, at(t, w, "c", courtroom, meet.Config{})); err != nil { // the twin
			t.Errorf("the same link without the limit: %v", err)
		} else {
			_ = m.Close()
		}
		c := at(t, w, "d", courtroom, open())
		c.LANOnly, c.Network = true, sited{c.Network, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}
		d := create(t, ctx, c)
		defer d.Close()
		if _, err := d.Invite(ctx, meet.InviteOptions{}); !errors.Is(err, meet.ErrNoLAN) {
			t.Errorf("a link without a network: %v", err)
		}
	})
}

// TestPublicLAN: on a local network of public addresses a link reaches no further than it.
// Checks: MOD-2.
func TestPublicLAN(t *testing.T) {
	world(t, meettest.Options{}, func(ctx context.Context, w *meettest.World) {
		for lan, want := range map[bool]meet.Reach{true: meet.ReachNetwork, false: meet.ReachEverywhere} {
			c := open()
			c.LANOnly = lan
			m := create(t, ctx, at(t, w, want.String(), transporttest.HostOptions{}, c))
			if r := invite(t, ctx, m, meet.InviteOptions{}).Reach(); r != want {
				t.Errorf("LAN only %v: reach %v", lan, r)
			}
			_ = m.Close()
		}
	})
}

func create(t *testing.T, ctx context.Context, c meet.Config) *meet.Meeting {
	t.Helper()
	m, err := meet.Create(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func invite(t *testing.T, ctx context.Context, m *meet.Meeting, o meet.InviteOptions) meet.Invite {
	t.Helper()
	link, err := m.Invite(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// tellEachOther has a chat message arrive each way.
func tellEachOther(t *testing.T, ctx context.Context, a, b *meet.Meeting) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, way := range [][2]*meet.Meeting{{a, b}, {b, a}} {
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			for e := range way[1].Events() {
				if c, ok := e.(meet.Chat); ok && c.Text == "bonjour" {
					return
				}
			}
		}()
		for said := false; !said; {
			if err := way[0].Say(ctx, "bonjour"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-heard:
				said = true
			case <-time.After(time.Second):
			case <-ctx.Done():
				t.Fatal("nobody heard")
			}
		}
	}
}
