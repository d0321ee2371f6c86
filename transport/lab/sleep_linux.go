package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

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
	flags := []string{"--identity", filepath.Join(t.world.dir, "dave.identity")}
	dave, err := t.join(ctx, site.hosts[0], "Dave", flags...)
	if err != nil {
		return err
	}
	if _, err := t.bob.within(ctx, joinTimeout, "member Dave", joined("Dave")); err != nil {
		return err
	}
	n, err := t.nap(ctx, r, dave, flags, link)
	if err != nil {
		return err
	}
	t.bob.tell("say awake again")
	t.back(ctx, r, "waking", n.awake, wakeWithin)
	t.caughtUp(ctx, r, n.awake, n.texts)
	known, err := t.bob.within(ctx, stillListenTo, "end of Dave", left("Dave"))
	if err != nil {
		r.breach("Bob doesn't hear that Dave is out: %v", err)
		return nil
	}
	r.note("Bob hears that Dave is out %v after waking", known.Time.Sub(n.awake).Round(time.Millisecond))
	pause(ctx, time.Until(known.Time.Add(blindWithin)))
	if err := t.stayedOut(ctx, r, n, known.Time); err != nil { // and meanwhile there may be doubles
		return err
	}
	for _, text := range append(n.texts, "awake again") {
		for _, m := range []*member{t.alice, t.bob, t.carol} {
			if n := m.chats(text); n > 1 {
				r.breach("%s was shown %q %d times", m.name, text, n)
			}
		}
	}
	t.audit(r)
	return nil
}

// nap is what happened while Bob slept.
type nap struct {
	texts          []string  // what Alice wrote
	removed, awake time.Time // when Dave was out for sure; when Bob woke
	again          []*member // Dave, by a link of Bob's
}

// nap has Bob sleep, and Dave knock at his door as he wakes.
func (t *threesome) nap(ctx context.Context, r *result, dave *member, flags []string, link string) (n nap, err error) {
	if err := t.bob.signal(unix.SIGSTOP); err != nil {
		return n, err
	}
	asleep := time.Now()
	for i := range 5 {
		n.texts = append(n.texts, fmt.Sprintf("while you slept, %d", i))
		t.alice.tell("say " + n.texts[i])
		if i == 2 {
			t.carol.tell("remove Dave")
		}
		pause(ctx, sleepFor/6)
	}
	if _, err := dave.within(ctx, time.Second, "end", isEvent("ended")); err != nil {
		r.breach("Dave wasn't put out: %v", err)
	}
	n.removed = time.Now()
	pause(ctx, time.Until(asleep.Add(sleepFor-time.Second)))
	for i := range 2 { // what the first sends waits for Bob; the second comes when he is just awake
		if i == 1 {
			pause(ctx, time.Until(asleep.Add(sleepFor)))
			if err := t.bob.signal(unix.SIGCONT); err != nil {
				return n, err
			}
		}
		m, err := t.start(dave.host, "Dave", "join", append(flags, link)...)
		if err != nil {
			return n, err
		}
		n.again = append(n.again, m)
	}
	n.awake = n.again[1].began
	return n, nil
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
func (t *threesome) stayedOut(ctx context.Context, r *result, n nap, known time.Time) error {
	var early []uint64
	for _, d := range n.again {
		opened, _, _ := d.packetsOf(ctx, t.bob.name) // none from who has ended
		early = append(early, opened)
	}
	pause(ctx, 5*time.Second)
	for _, m := range []*member{t.alice, t.bob, t.carol} {
		if e, err := m.ask(ctx, "members"); err != nil {
			return err
		} else if e.lists("Dave") {
			r.breach("%s still has Dave on the list", m.name)
		}
		from := n.removed
		if m == t.bob {
			from = known
		}
		if _, has := m.find(func(e event) bool { return e.Time.After(from) && (joined("Dave")(e) || e.lists("Dave")) }); has {
			r.breach("%s had Dave on the list again", m.name)
		}
	}
	in := 0
	for i, d := range n.again {
		for _, e := range d.all() {
			if e.Event == "chat" || e.Event == "first_packet" && e.Member != t.bob.name {
				r.breach("Dave was shown the %s of %s%s: %s", e.Event, e.From, e.Member, e.Text)
			}
		}
		if opened, _, _ := d.packetsOf(ctx, t.bob.name); opened > early[i] {
			r.breach("Dave opened %d packets of Bob, who knew that he is out", opened-early[i])
		}
		if _, ok := d.find(isEvent("ready")); ok {
			in++
		}
	}
	r.note("who was put out and knocked at the sleeper's door, %d times, %d times with an answer, is on nobody's list and was shown nothing", len(n.again), in)
	return nil
}
