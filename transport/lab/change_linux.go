package main

import (
	"context"
	"net/netip"
	"time"
)

// What happens during a meeting: addresses change, members sleep, the network falls apart, the relay is restarted.

// The limits of the acceptance.
const (
	roamWithin    = 2 * time.Second
	wakeWithin    = 3 * time.Second
	blindWithin   = time.Second // after a sender learnt who is out
	relayWithin   = 5 * time.Second
	healWithin    = 20 * time.Second
	sleepFor      = 60 * time.Second
	partitionFor  = 5 * time.Minute
	stillListenTo = 30 * time.Second // how long to wait for what came too late, to tell how late
)

// threesome is Alice and Bob who talk, in two networks, and the public Carol who created the meeting.
type threesome struct {
	*call
	sites             []*site
	carol, alice, bob *member
}

func (l *lab) threesome(ctx context.Context, a, b kind, flags ...string) (*threesome, error) {
	c, err := l.newCall(false)
	if err != nil {
		return nil, err
	}
	t := &threesome{call: c}
	if err := t.begin(ctx, a, b, flags); err != nil {
		c.end()
		return nil, err
	}
	return t, nil
}

func (t *threesome) begin(ctx context.Context, a, b kind, flags []string) (err error) {
	if t.sites, err = t.call.sites(kindPublic, a, b); err != nil {
		return err
	}
	if t.carol, err = t.create(ctx, t.sites[0].hosts[0], "Carol", flags...); err != nil {
		return err
	}
	if t.alice, err = t.join(ctx, t.sites[1].hosts[0], "Alice", append(t.play(0), flags...)...); err != nil {
		return err
	}
	if t.bob, err = t.join(ctx, t.sites[2].hosts[0], "Bob", append(t.play(1), flags...)...); err != nil {
		return err
	}
	_, err = hear(ctx, time.Now(), [2]*member{t.alice, t.bob}, [2]*member{t.bob, t.alice})
	return err
}

// back waits until the two hear each other again, and holds it to a limit.
func (t *threesome) back(ctx context.Context, r *result, what string, since time.Time, limit time.Duration) {
	for _, p := range [][2]*member{{t.bob, t.alice}, {t.alice, t.bob}} {
		took, err := p[0].resumed(ctx, p[1].name, since, limit+stillListenTo)
		switch {
		case err != nil:
			r.fail("%s: %v", what, err)
		case took > limit:
			r.fail("%s: %s hears %s after %v, the limit is %v", what, p[0].name, p[1].name, took.Round(time.Millisecond), limit)
		default:
			r.note("%s hears %s %v after %s", p[0].name, p[1].name, took.Round(time.Millisecond), what)
		}
	}
}

// roaming: Bob goes from one network to another during the call, and back.
func (l *lab) roaming(ctx context.Context, r *result) error {
	t, err := l.threesome(ctx, kindRestricted, kindPublic)
	if err != nil {
		return err
	}
	defer t.end()
	phone, err := t.world.site(kindRestricted, "phone", 5, 0)
	if err != nil {
		return err
	}
	bob := t.bob.host.ns
	if err := veth(phone.router, "bob", bob, "eth1"); err != nil {
		return err
	}
	if err := phone.router.ip("link set bob master lan up"); err != nil {
		return err
	}
	t.allowed = append(t.allowed, wan4(5).Addr(), netip.MustParseAddr("192.168.1.50"))
	pause(ctx, 2*time.Second)
	t.moves = append(t.moves, time.Now())
	if err := bob.ip("link set wan down", "link set eth1 addrgenmode none up", "addr add 192.168.1.50/24 dev eth1", "route add default via 192.168.1.1"); err != nil {
		return err
	}
	t.back(ctx, r, "the change from Ethernet to telephone", time.Now(), roamWithin)
	pause(ctx, 2*time.Second)
	t.moves = append(t.moves, time.Now())
	if err := bob.ip("link set eth1 down", "link set wan up", "route add default dev wan", "addr replace "+wan6(3).Addr().String()+"/128 dev wan nodad", "route add ::/0 dev wan"); err != nil {
		return err
	}
	t.back(ctx, r, "the change back", time.Now(), roamWithin)
	t.audit(r)
	return nil
}

// partition: Alice is cut off from the others for long; then the network is whole again, and nobody presses anything.
func (l *lab) partition(ctx context.Context, r *result) error {
	t, err := l.threesome(ctx, kindRestricted, kindRestricted)
	if err != nil {
		return err
	}
	defer t.end()
	cut := func(yes bool) {
		for _, s := range []*site{t.sites[0], t.sites[2]} {
			t.world.wan.cut(t.sites[1].port, s.port, yes)
		}
	}
	cut(true)
	t.alice.tell("say from here")
	t.bob.tell("say from there")
	pause(ctx, partitionFor)
	cut(false)
	healed := time.Now()
	t.back(ctx, r, "healing", healed, healWithin)
	for _, x := range []struct {
		m    *member
		text string
	}{{t.bob, "from here"}, {t.carol, "from here"}, {t.alice, "from there"}} {
		if _, err := x.m.within(ctx, stillListenTo, "chat", said(x.text)); err != nil {
			r.breach("%q is lost: %v", x.text, err)
		} else if n := x.m.chats(x.text); n != 1 {
			r.breach("%s was shown %q %d times", x.m.name, x.text, n)
		}
	}
	t.audit(r)
	return nil
}

// relayRestart: two who reach each other by the relay alone, which is restarted, or crashes and is started again.
func (l *lab) relayRestart(again func(*relay, context.Context) error) func(context.Context, *result) error {
	return func(ctx context.Context, r *result) error { return l.relayAgain(ctx, r, again) }
}

func (l *lab) relayAgain(ctx context.Context, r *result, again func(*relay, context.Context) error) error {
	c, err := l.newCall(false)
	if err != nil {
		return err
	}
	t := &threesome{call: c}
	defer t.end()
	relay, err := l.startRelay(ctx, c.world, 9)
	if err != nil {
		return err
	}
	c.ends = append(c.ends, func() { relay.end() })
	if err := t.begin(ctx, kindOnly443, kindOnly443, []string{"--relay", relay.uri}); err != nil {
		return err
	}
	pause(ctx, 2*time.Second)
	restarted := time.Now()
	if err := again(relay, ctx); err != nil {
		return err
	}
	t.back(ctx, r, "the restart of the relay", restarted, relayWithin)
	c.allowed = append(c.allowed, relay.host.addresses()...)
	t.audit(r)
	return nil
}
