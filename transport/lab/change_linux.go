package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
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
	if err := bob.ip("link set wan down", "link set eth1 addrgenmode none up", "addr add 192.168.1.50/24 dev eth1", "route add default via 192.168.1.1"); err != nil {
		return err
	}
	t.back(ctx, r, "the change from Ethernet to telephone", time.Now(), roamWithin)
	pause(ctx, 2*time.Second)
	if err := bob.ip("link set eth1 down", "link set wan up", "route add default dev wan", "addr replace "+wan6(3).Addr().String()+"/128 dev wan nodad", "route add ::/0 dev wan"); err != nil {
		return err
	}
	t.back(ctx, r, "the change back", time.Now(), roamWithin)
	t.audit(r)
	return nil
}

// sleep: the machine of Bob, a host, sleeps for a minute. Meanwhile Alice writes and Carol puts Dave out, who has a link of
// Bob's, and knocks with it at the moment of waking: at the one door where nobody has heard of that yet.
func (l *lab) sleep(ctx context.Context, r *result) error {
	t, err := l.threesome(ctx, kindRestricted, kindPublic)
	if err != nil {
		return err
	}
	defer t.end()
	site, err := t.world.site(kindPublic, "dave", 5, 1)
	if err != nil {
		return err
	}
	link, err := t.linkOf(ctx, t.bob)
	if err != nil {
		return err
	}
	identity := filepath.Join(t.world.dir, "dave.identity")
	dave, err := t.join(ctx, site.hosts[0], "Dave", "--identity", identity)
	if err != nil {
		return err
	}
	if _, err := t.bob.within(ctx, joinTimeout, "member Dave", joined("Dave")); err != nil {
		return err
	}
	if err := t.bob.signal(unix.SIGSTOP); err != nil {
		return err
	}
	asleep := time.Now()
	var texts []string
	for i := range 5 {
		texts = append(texts, fmt.Sprintf("while you slept, %d", i))
		t.alice.tell("say " + texts[i])
		if i == 2 {
			t.carol.tell("remove Dave")
		}
		pause(ctx, sleepFor/6)
	}
	if _, err := dave.within(ctx, time.Second, "end", isEvent("ended")); err != nil {
		r.breach("Dave wasn't put out: %v", err)
	}
	removed := time.Now()
	pause(ctx, time.Until(asleep.Add(sleepFor-time.Second)))
	var again []*member
	for i := range 2 { // what the first sends waits for Bob; the second comes when he is just awake
		if i == 1 {
			pause(ctx, time.Until(asleep.Add(sleepFor)))
			if err := t.bob.signal(unix.SIGCONT); err != nil {
				return err
			}
		}
		m, err := t.start(site.hosts[0], "Dave", "join", "--identity", identity, link)
		if err != nil {
			return err
		}
		again = append(again, m)
	}
	awake := again[1].began
	t.bob.tell("say awake again")
	t.back(ctx, r, "waking", awake, wakeWithin)
	t.caughtUp(ctx, r, awake, texts)
	known, err := t.bob.within(ctx, stillListenTo, "end of Dave", left("Dave"))
	if err != nil {
		return err
	}
	r.note("Bob hears that Dave is out %v after waking", known.Time.Sub(awake).Round(time.Millisecond))
	pause(ctx, time.Until(known.Time.Add(blindWithin)))
	if err := t.stayedOut(ctx, r, again, removed, known.Time); err != nil { // and meanwhile there may be doubles
		return err
	}
	for _, text := range append(texts, "awake again") {
		for _, m := range []*member{t.alice, t.bob, t.carol} {
			if n := m.chats(text); n > 1 {
				r.breach("%s was shown %q %d times", m.name, text, n)
			}
		}
	}
	t.audit(r)
	return nil
}

// linkOf makes somebody a host, and returns a link of theirs.
func (t *threesome) linkOf(ctx context.Context, m *member) (string, error) {
	at := m.now()
	t.carol.tell("role " + m.name + " host")
	for {
		if _, err := m.await(ctx, at, "role of host", isEvent("roster")); err != nil {
			return "", err
		}
		at = m.now()
		m.tell("invite")
		e, err := m.await(ctx, at, "link", func(e event) bool { return e.Event == "invite" || e.Event == "error" })
		if err != nil || e.Event == "invite" {
			return e.Invite, err
		}
	}
}

// caughtUp fails for what a sleeper wasn't shown in time, or the others of what it wrote on waking.
func (t *threesome) caughtUp(ctx context.Context, r *result, awake time.Time, texts []string) {
	for _, text := range texts {
		e, err := t.bob.within(ctx, stillListenTo, "chat", said(text))
		switch late := e.Time.Sub(awake); {
		case err != nil:
			r.breach("lost: %q: %v", text, err)
		case late > wakeWithin:
			r.fail("%q came %v after waking", text, late.Round(time.Millisecond))
		}
	}
	for _, m := range []*member{t.alice, t.carol} {
		if _, err := m.within(ctx, stillListenTo, "chat", said("awake again")); err != nil {
			r.breach("what Bob wrote on waking is lost: %v", err)
		}
	}
}

// stayedOut checks that who was put out is on nobody's list but the sleeper's, as long as that didn't know, and is shown
// nothing: of the others at no time, of the sleeper after it knew. On waking that lets in whom it last had on its list
// , so his program says that it is in until it hears otherwise.
func (t *threesome) stayedOut(ctx context.Context, r *result, again []*member, removed, known time.Time) error {
	var early []uint64
	for _, d := range again {
		n, _, _ := d.packetsOf(ctx, t.bob.name) // none from who has ended
		early = append(early, n)
	}
	pause(ctx, 5*time.Second)
	for _, m := range []*member{t.alice, t.bob, t.carol} {
		if e, err := m.ask(ctx, "members"); err != nil {
			return err
		} else if e.lists("Dave") {
			r.breach("%s still has Dave on the list", m.name)
		}
		from := removed
		if m == t.bob {
			from = known
		}
		if _, has := m.find(func(e event) bool { return e.Time.After(from) && (joined("Dave")(e) || e.lists("Dave")) }); has {
			r.breach("%s had Dave on the list again", m.name)
		}
	}
	in := 0
	for i, d := range again {
		for _, e := range d.all() {
			if e.Event == "chat" || e.Event == "first_packet" && e.Member != t.bob.name {
				r.breach("Dave was shown the %s of %s%s: %s", e.Event, e.From, e.Member, e.Text)
			}
		}
		if n, _, _ := d.packetsOf(ctx, t.bob.name); n > early[i] {
			r.breach("Dave opened %d packets of Bob, who knew that he is out", n-early[i])
		}
		if _, ok := d.find(isEvent("ready")); ok {
			in++
		}
	}
	r.note("who was put out and knocked at the sleeper's door, %d times, %d times with an answer, is on nobody's list and was shown nothing", len(again), in)
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
