package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// meetTwo makes a meeting of a host and an admitted guest.
func meetTwo(t *testing.T, change func(*options)) (host, guest *testPage) {
	t.Helper()
	host, guest = openPage(t, startAgent(t, change)), openPage(t, startAgent(t, change))
	host.name("Maître Dupont")
	guest.name("Ada")
	host.must("create", nil)
	host.until("invitation", func() bool { return part[*invitation](host, "invite") != nil })
	guest.must("join", map[string]any{"link": get[*invitation](host, "invite").Link})
	guest.untilPhase("waiting")
	host.until("knock", func() bool { return len(part[[]knock](host, "knocks")) == 1 })
	host.must("admit", map[string]any{"member": get[[]knock](host, "knocks")[0].ID})
	guest.untilPhase("meeting")
	for _, p := range []*testPage{host, guest} {
		p.until("two members", func() bool { return len(connected(part[[]member](p, "members"))) == 2 })
	}
	return host, guest
}

func connected(all []member) (out []member) {
	for _, m := range all {
		if m.Self || m.Connected {
			out = append(out, m)
		}
	}
	return out
}

func other(p *testPage) member {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := otherNow(p)
	if m.ID == "" {
		p.t.Fatal("nobody else is in")
	}
	return m
}

// otherNow is other in until.
func otherNow(p *testPage) member {
	for _, m := range part[[]member](p, "members") {
		if !m.Self {
			return m
		}
	}
	return member{}
}

// TestMeeting: two people, from the door to the end, as their pages see it.
func TestMeeting(t *testing.T) { // alone: it computes the words, which takes all there is of the machine
	host, guest := meetTwo(t, func(o *options) { o.wordless = false })
	if m := other(host); m.Name != "Ada" || m.Contact != "stranger" || m.Role != "participant" || !m.Below || m.Microphone != "off" {
		t.Errorf("%+v", m)
	}
	if m := other(guest); m.Name != "Maître Dupont" || m.Role != "host" || !m.Creator || m.Below {
		t.Errorf("%+v", m)
	}
	if can := get[*meeting](guest, "meeting").Can; can.Admit || can.Manage || len(can.Send) != 5 {
		t.Errorf("%+v", can)
	}
	event[joinedEvent](host, "joined")
	i := get[*invitation](host, "invite")
	if i.Reach.Scope != "machine" || len(i.Reach.Addresses) == 0 || !strings.Contains(i.Text["fr"].Body, i.Link) || !strings.Contains(i.Text["en"].Body, "Maître Dupont") {
		t.Errorf("%+v", i)
	}

	hostile := "<img src=x onerror=alert(1)>\u202egnp.exe\x00"
	guest.must("say", map[string]any{"text": hostile})
	if m := event[chattedEvent](host, "chatted").Message; m.Text != "<img src=x onerror=alert(1)>gnp.exe" || m.Name != "Ada" || m.Self {
		t.Errorf("%+v", m)
	}
	if m := event[chattedEvent](guest, "chatted").Message; !m.Self || m.State != "sent" {
		t.Errorf("%+v", m)
	}

	host.until("words", func() bool { return part[*words](host, "words") != nil })
	guest.until("words", func() bool { return part[*words](guest, "words") != nil })
	if h, g := get[*words](host, "words"), get[*words](guest, "words"); h.Digits != g.Digits || strings.Join(h.FR, " ") != strings.Join(g.FR, " ") || len(h.EN) != 6 {
		t.Errorf("%+v, %+v", h, g)
	}
	host.must("verify", map[string]any{"member": other(host).ID})
	guest.until("comparison", func() bool { return len(part[[]verification](guest, "verifications")) == 1 })
	v := get[[]verification](guest, "verifications")[0]
	if h := get[[]verification](host, "verifications"); len(h) != 1 || h[0].Words.Digits != v.Words.Digits || !v.Asked || h[0].Asked {
		t.Errorf("%+v, %+v", h, v)
	}
	host.must("verified", map[string]any{"member": other(host).ID, "match": true, "digits": v.Words.Digits})
	host.until("verified contact", func() bool {
		c := part[[]contact](host, "contacts")
		return len(c) == 1 && c[0].Verified && c[0].Name == "Ada"
	})
	if m := other(host); m.Contact != "verified" {
		t.Errorf("%+v", m)
	}

	host.must("stats", map[string]any{"on": true})
	if s := event[statsEvent](host, "stats").Stats; len(s.Links) != 1 || s.Links[0].Member != other(host).ID {
		t.Errorf("%+v", s)
	}
	var shown exposureShown
	if err := json.Unmarshal(host.must("exposure", nil)["exposure"], &shown.Exposure); err != nil || len(shown.Exposure.Rows) < 10 {
		t.Error(err, shown)
	}

	p := get[*policy](host, "policy")
	own := func() map[string]string { return part[media](guest, "media").Own }
	guest.must("media-send", map[string]any{"own": map[string]string{"microphone": "on", "camera": "on", "screen": "on"}})
	guest.until("all wanted", func() bool { return own()["microphone"] == "on" && own()["camera"] == "on" && own()["screen"] == "on" })
	p.Members = []string{}
	host.must("policy-set", map[string]any{"policy": p})
	off := func() bool {
		return own()["microphone"] == "muted" && own()["camera"] == "off" && own()["screen"] == "off"
	}
	guest.until("nothing sent that isn't permitted", off)
	if _, refused := guest.ask("media-send", map[string]any{"own": map[string]string{"camera": "on"}}); refused != notPermitted {
		t.Error("camera without permission:", refused)
	}
	p.Members = []string{"audio"}
	host.must("policy-set", map[string]any{"policy": p})
	guest.until("less rights", func() bool { return len(part[*meeting](guest, "meeting").Can.Send) == 1 })
	guest.must("media-send", map[string]any{"own": map[string]string{}}) // what follows rights is done
	guest.until("nothing went on by itself", off)
	if _, refused := guest.ask("say", map[string]any{"text": "x"}); refused != notPermitted {
		t.Error("chat without permission:", refused)
	}
	if _, refused := guest.ask("lock", map[string]any{"locked": true}); refused != notPermitted {
		t.Error("a guest locks:", refused)
	}
	host.must("lock", map[string]any{"locked": true})
	guest.until("lock", func() bool { return part[*policy](guest, "policy").Entry == "locked" })
	host.must("role", map[string]any{"member": other(host).ID, "role": "viewer"})
	guest.until("role", func() bool {
		for _, m := range part[[]member](guest, "members") {
			if m.Self && m.Role == "viewer" {
				return true
			}
		}
		return false
	})

	host.must("remove", map[string]any{"member": other(host).ID, "ban": true})
	guest.untilPhase("ended")
	if e := get[phase](guest, "phase"); e.Error == nil || e.Error.Code != banned || e.Error.By != "Maître Dupont" || e.Ended.People != 2 || e.Ended.Kept {
		t.Errorf("%+v", e)
	}
	host.until("dead link", func() bool { return part[*invitation](host, "invite").Dead })
	if l := event[leftEvent](host, "left"); l.Reason != "banned" || l.By != "Maître Dupont" {
		t.Errorf("%+v", l)
	}
	guest.must("done", nil)
	guest.untilPhase("start")
	guest.must("join", map[string]any{"link": i.Link})
	guest.until("refusal", func() bool {
		e := part[phase](guest, "phase").Error
		return e != nil && (e.Code == deniedBanned || e.Code == deniedLink || e.Code == deniedRemoved)
	})
	host.must("leave", nil)
	host.untilPhase("ended")
	if e := get[phase](host, "phase").Error; e == nil || e.Code != left {
		t.Errorf("%+v", e)
	}
}

// TestRefusals: what the page gets for what can't be.
func TestRefusals(t *testing.T) {
	t.Parallel()
	p := openPage(t, startAgent(t, nil))
	p.name("")
	long := strings.Repeat("x", maxChat)
	for _, tt := range []struct {
		do     string
		fields map[string]any
		want   code
	}{
		{"nonsense", nil, badRequest},
		{"leave", nil, notInMeeting},
		{"say", map[string]any{"text": "x"}, notInMeeting},
		{"say", map[string]any{"text": 7}, badRequest},
		{"create", map[string]any{"entry": "wide"}, badRequest},
		{"create", nil, badName},
		{"join", map[string]any{"link": "https://example.org"}, badLink},
		{"link-check", map[string]any{"link": "huisclos:1-AAAA"}, badLink},
		{"react", map[string]any{"reaction": "👍"}, notInMeeting},
		{"attendance", map[string]any{"format": "show"}, notInMeeting},
		{"attendance", map[string]any{"format": "show", "meeting": "x"}, storeLocked},
		{"settings-set", map[string]any{"settings": map[string]any{"name": "x\u202ey", "language": "fr", "theme": "dark"}}, badName},
		{"settings-set", map[string]any{"settings": map[string]any{"name": "x", "language": "de", "theme": "dark"}}, badRequest},
		{"settings-set", map[string]any{"settings": map[string]any{"language": "fr", "theme": "dark", "page": map[string]any{"x": long + long + long}}}, tooLong},
		{"media-offer", map[string]any{"sdp": "v=0", "sources": map[string]string{"0": "keyboard"}}, badRequest},
		{"contact-set", map[string]any{"contact": "zz", "name": "x"}, noSuchContact},
		{"store-unlock", map[string]any{"passphrase": "0123456789"}, noStore},
		{"store-history", map[string]any{"on": true}, storeLocked},
		{"backup", nil, noStore},
	} {
		if _, refused := p.ask(tt.do, tt.fields); refused != tt.want {
			t.Errorf("%s %.60v: %q, want %q", tt.do, tt.fields, refused, tt.want)
		}
	}
	p.name("Ada")
	p.must("create", nil)
	p.untilPhase("meeting")
	for _, tt := range []struct {
		do     string
		fields map[string]any
		want   code
	}{
		{"create", nil, alreadyInMeeting},
		{"words", nil, notAgreed},
		{"say", map[string]any{"text": long + "x"}, tooLong},
		{"say", map[string]any{"text": ""}, notText},
		{"admit", map[string]any{"member": strings.Repeat("0", 64)}, nobodyKnocks},
		{"remove", map[string]any{"member": strings.Repeat("0", 64)}, noSuchMember},
		{"remove", map[string]any{"member": "zz"}, noSuchMember},
		{"role", map[string]any{"member": strings.Repeat("0", 64), "role": "king"}, badRequest},
		{"media-send", map[string]any{"own": map[string]string{"camera": "sideways"}}, badRequest},
		{"store-unlock", map[string]any{"passphrase": "0123456789"}, alreadyInMeeting},
		{"say", map[string]any{"text": "x", "to": strings.Repeat("0", 64)}, noSuchMember},
		{"say", map[string]any{"text": "x", "to": "zz"}, noSuchMember},
		{"say", map[string]any{"text": "x", "to": get[*meeting](p, "meeting").Self}, noSuchMember},
		{"react", map[string]any{"reaction": "🐍"}, badRequest},
		{"hand", map[string]any{"up": true, "member": strings.Repeat("0", 64)}, badRequest},
		{"hand", map[string]any{"up": false, "member": strings.Repeat("0", 64)}, noSuchMember},
		{"mute-ask", map[string]any{"member": strings.Repeat("0", 64), "source": "microphone"}, noSuchMember},
		{"mute-ask", map[string]any{"member": strings.Repeat("0", 64), "source": "keyboard"}, badRequest},
		{"attendance", map[string]any{"format": "xls"}, badRequest},
	} {
		if _, refused := p.ask(tt.do, tt.fields); refused != tt.want {
			t.Errorf("%s %.60v: %q, want %q", tt.do, tt.fields, refused, tt.want)
		}
	}
}

// TestTwoPages: the newer page takes over and sees the meeting; the older is told and doesn't come back by itself.
func TestTwoPages(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	first := openPage(t, a)
	first.name("Ada")
	first.must("create", nil)
	first.untilPhase("meeting")
	a.mu.Lock()
	older := a.page
	a.mu.Unlock()
	second := openPage(t, a)
	event[plainEvent](first, "superseded")
	first.until("end", func() bool { return websocket.IsCloseError(first.closed, 4001) })
	if get[phase](second, "phase").Name != "meeting" {
		t.Error("the second page doesn't see the meeting")
	}
	// What the first one asked of its own picture and sound and comes late doesn't touch those of the second.
	newPionBrowser(t, second).negotiate(t)
	for _, late := range []string{
		`{"id": 1, "do": "media-offer", "sdp": "v=0", "sources": {}, "restart": true}`, `{"id": 2, "do": "media-watch", "tracks": {"x": 0}}`,
		`{"id": 3, "do": "stats", "on": true}`,
	} {
		var r request
		_ = json.Unmarshal([]byte(late), &r)
		a.answer(older, r, []byte(late))
	}
	second.must("media-send", map[string]any{"own": map[string]string{}})
	a.mu.Lock()
	if a.stats || a.state.Media.Connection != "connected" {
		t.Errorf("a page that was superseded has a say: figures %v, connection %s", a.stats, a.state.Media.Connection)
	}
	a.mu.Unlock()
	again := connectPage(t, a, first.session) // the person asks for it
	event[plainEvent](second, "superseded")
	again.must("leave", nil)
}

// TestTabClosed: a meeting outlives its page for the grace, no longer; a page that is back in time finds it.
func TestTabClosed(t *testing.T) {
	t.Parallel()
	a := startAgent(t, func(o *options) { o.grace = 300 * time.Millisecond })
	p := openPage(t, a)
	p.name("Ada")
	p.must("create", nil)
	p.untilPhase("meeting")
	id := get[*meeting](p, "meeting").ID
	_ = p.socket.Close()
	p = connectPage(t, a, p.session)
	if m := get[*meeting](p, "meeting"); get[phase](p, "phase").Name != "meeting" || m.ID != id {
		t.Fatal("the meeting didn't wait")
	}
	_ = p.socket.Close()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		a.mu.Lock()
		over := a.state.Phase.Name == "ended"
		a.mu.Unlock()
		if over {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the meeting goes on without a page")
		}
	}
	p = connectPage(t, a, p.session)
	if e := get[phase](p, "phase"); e.Error == nil || e.Error.Code != pageGone {
		t.Errorf("%+v", e)
	}
}

func TestQuit(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	p := openPage(t, a)
	p.name("Ada")
	p.must("create", nil)
	p.untilPhase("meeting")
	p.must("quit", nil)
	event[plainEvent](p, "bye")
	p.until("end", func() bool { return websocket.IsCloseError(p.closed, 4002) })
	<-a.over
	idle := startAgent(t, func(o *options) { o.idle = 50 * time.Millisecond })
	select {
	case <-idle.over:
	case <-time.After(patience):
		t.Error("an agent without page and meeting doesn't end")
	}
}

// TestAlone: a newcomer sees a working meeting within ten seconds.
func TestAlone(t *testing.T) {
	t.Parallel()
	p := openPage(t, startAgent(t, nil))
	p.name("Ada L.")
	start := time.Now()
	p.must("alone", nil)
	p.until("two participants with sound and pictures", func() bool { return len(part[[]track](p, "tracks")) == 4 })
	t.Logf("after %v", time.Since(start).Round(time.Millisecond))
	p.until("who sends", func() bool {
		n := 0
		for _, m := range part[[]member](p, "members") {
			if m.Synthetic && m.Camera == "on" && m.Microphone == "on" {
				n++
			}
		}
		return n == 2
	})
	event[chattedEvent](p, "chatted")
	if shown := p.must("exposure", nil)["exposure"]; bytes.Contains(shown, []byte(`"carrier"`)) {
		t.Errorf("somebody carried its link: %s", shown)
	}
	p.must("leave", nil)
	p.untilPhase("ended")
	if !get[phase](p, "phase").Alone {
		t.Error("the end doesn't say that it was alone")
	}
}
