package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
)

// joinBy has a page join by a link and the host admit it.
func joinBy(t *testing.T, host *testPage, name, link string) *testPage {
	t.Helper()
	p := openPage(t, startAgent(t, nil))
	p.name(name)
	p.must("join", map[string]any{"link": link})
	host.until("knock of "+name, func() bool { return len(part[[]knock](host, "knocks")) == 1 })
	host.must("admit", map[string]any{"member": get[[]knock](host, "knocks")[0].ID})
	p.untilPhase("meeting")
	return p
}

// named is a member by name. In until only.
func named(p *testPage, name string) member {
	for _, m := range part[[]member](p, "members") {
		if m.Name == name {
			return m
		}
	}
	return member{}
}

// TestTalk: what three people say and show to each other, and who may do what.
func TestTalk(t *testing.T) {
	t.Parallel()
	host, ada := meetTwo(t, nil)
	blaise := joinBy(t, host, "Blaise", get[*invitation](host, "invite").Link)
	all := []*testPage{host, ada, blaise}
	for _, p := range all {
		p.until("three members", func() bool { return len(connected(part[[]member](p, "members"))) == 3 })
	}
	id := func(p *testPage) string { return get[*meeting](p, "meeting").Self }

	ada.must("say", map[string]any{"text": "between us", "to": id(host)})
	ada.must("say", map[string]any{"text": "for all"})
	if m := event[chattedEvent](host, "chatted").Message; m.Text != "between us" || m.To != id(ada) || m.From != id(ada) || m.Self {
		t.Errorf("%+v", m)
	}
	if m := event[chattedEvent](ada, "chatted").Message; m.To != id(host) || !m.Self {
		t.Errorf("%+v", m)
	}
	if m := event[chattedEvent](blaise, "chatted").Message; m.Text != "for all" || m.To != "" {
		t.Errorf("a third sees %+v", m)
	}

	ada.must("react", map[string]any{"reaction": "👏"})
	for _, p := range all {
		if e := event[reactionEvent](p, "reaction"); e.Member != id(ada) || e.Reaction != "👏" {
			t.Errorf("%+v", e)
		}
	}

	ada.must("hand", map[string]any{"up": true})
	for _, p := range all {
		p.until("hand", func() bool { return named(p, "Ada").Hand > 0 })
	}
	if _, refused := blaise.ask("hand", map[string]any{"up": false, "member": id(ada)}); refused != notPermitted {
		t.Error("a participant lowers another's hand:", refused)
	}
	host.must("hand", map[string]any{"up": false, "member": id(ada)})
	for _, p := range all {
		p.until("no hand", func() bool { return named(p, "Ada").Hand == 0 })
	}

	host.must("mute-ask", map[string]any{"member": id(ada), "source": "microphone"})
	if e := event[muteWantedEvent](ada, "mute-wanted"); e.By != id(host) || e.Source != "microphone" {
		t.Errorf("%+v", e)
	}
	if _, refused := ada.ask("mute-ask", map[string]any{"member": id(host), "source": "microphone"}); refused != notPermitted {
		t.Error("a participant asks the host to mute:", refused)
	}

	host.must("role", map[string]any{"member": id(ada), "role": "host"})
	ada.until("who is below", func() bool { return named(ada, "Blaise").Below && !named(ada, "Maître Dupont").Below })
	host.must("stats", map[string]any{"on": true})
	for { // the picture of the mesh: whom each says it hears
		s := event[statsEvent](host, "stats").Stats
		if len(s.Links) == 2 && slices.Contains(s.Links[0].Others, s.Links[1].Member) && slices.Contains(s.Links[1].Others, s.Links[0].Member) {
			break
		}
	}
}

// TestLowerHand: only a host's word lowers a hand, and only the raising that it is about.
func TestLowerHand(t *testing.T) {
	t.Parallel()
	raised := time.UnixMilli(1000)
	for name, tt := range map[string]struct {
		role meet.Role
		up   time.Time
		data string
		want int
	}{
		"a host":             {meet.Host, raised, `{"lower-hand":{"member":"me","since":1000}}`, 1},
		"a participant":      {meet.Participant, raised, `{"lower-hand":{"member":"me","since":1000}}`, 0},
		"of another":         {meet.Host, raised, `{"lower-hand":{"member":"you","since":1000}}`, 0},
		"an earlier raising": {meet.Host, raised, `{"lower-hand":{"member":"me","since":999}}`, 0},
		"it isn't up":        {meet.Host, time.Time{}, `{"lower-hand":{"member":"me","since":1000}}`, 0},
		"another message":    {meet.Host, raised, `{}`, 0},
		"no message":         {meet.Host, raised, strings.Repeat("[", 8000), 0},
	} {
		a := &agent{queue: newQueue()}
		s := &session{agent: a, self: "me", members: []meet.Member{{Self: true, HandRaised: tt.up}}}
		s.told(meet.Data{From: meet.Member{Role: tt.role}, Data: []byte(tt.data)})
		if len(a.queue.jobs) != tt.want {
			t.Errorf("%s: %d", name, len(a.queue.jobs))
		}
	}
}

// TestOthersDoor: who knocks at one host's door is seen by another, who may decide.
func TestOthersDoor(t *testing.T) {
	t.Parallel()
	host, ada := meetTwo(t, nil)
	host.must("role", map[string]any{"member": other(host).ID, "role": "host"})
	ada.until("the right to invite", func() bool { return part[*meeting](ada, "meeting").Can.Invite })
	ada.must("invite", nil)
	ada.until("invitation", func() bool { return part[*invitation](ada, "invite") != nil })
	blaise := joinBy(t, host, "Blaise", get[*invitation](ada, "invite").Link)
	for _, p := range []*testPage{host, ada} {
		p.until("nobody at the door", func() bool { return len(part[[]knock](p, "knocks")) == 0 && len(part[[]member](p, "members")) == 3 })
	}
	blaise.must("leave", nil)
}

// TestKnocksOnce: who waits at two doors is shown once, until nobody waits at either.
func TestKnocksOnce(t *testing.T) {
	t.Parallel()
	a := &agent{state: firstState(options{})}
	s := &session{agent: a}
	one, two := meet.Knock{Name: "Ada", Identity: [32]byte{1}}, meet.Knock{Name: "Ada", Identity: [32]byte{1}, Door: [32]byte{9}}
	s.knocks = []meet.Knock{one, two}
	s.showKnocks()
	if len(a.state.Knocks) != 1 {
		t.Errorf("%+v", a.state.Knocks)
	}
	s.knockGone(meet.KnockGone{Identity: one.Identity})
	if len(a.state.Knocks) != 1 {
		t.Errorf("gone from one door, and from both: %+v", a.state.Knocks)
	}
	s.knockGone(meet.KnockGone{Identity: one.Identity, Door: two.Door})
	if len(a.state.Knocks) != 0 {
		t.Errorf("%+v", a.state.Knocks)
	}
}
