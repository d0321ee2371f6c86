package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// What members tell and ask each other: private chat, reactions, raised hands, requests to mute, recordings.

type chatData struct {
	From    string `json:"from"`
	Key     string `json:"key"`
	Text    string `json:"text"`
	Private bool   `json:"private"` // said to us alone
}

type reactionData struct {
	From string `json:"from"`
	Key  string `json:"key"`
	Text string `json:"text"`
}

type handData struct {
	Name   string `json:"name"`
	Key    string `json:"key"`
	Raised bool   `json:"raised"`
	Since  string `json:"since,omitempty"`
}

type muteRequestedData struct {
	By     string `json:"by"`
	ByKey  string `json:"by_key"`
	Source string `json:"source"`
}

type recordingData struct {
	By        string   `json:"by"`
	ByKey     string   `json:"by_key"`
	ID        string   `json:"id"`
	State     string   `json:"state"`           // asked, running, paused, over
	Consented []string `json:"consented"`       // keys
	Lacking   []string `json:"lacking"`         // keys
	Refused   []string `json:"refused"`         // keys, of those in lacking
	Since     string   `json:"since,omitempty"` // when it first ran
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(timeFormat)
}

func (p *participant) chat(e meet.Chat) {
	d := chatData{e.From.Name, hexKey(e.From.Identity), e.Text, e.Private}
	if e.Private {
		p.out.event("chat", d, "%s, to you alone: %s", d.From, d.Text)
		return
	}
	p.out.event("chat", d, "%s: %s", d.From, d.Text)
}

func (p *participant) reaction(e meet.Reaction) {
	d := reactionData{e.From.Name, hexKey(e.From.Identity), e.Text}
	p.out.event("reaction", d, "%s: %s", d.From, d.Text)
}

// hand reports a hand that went up or down since the member was last seen.
func (p *participant) hand(m meet.Member) {
	before := p.members[m.Key].HandRaised
	if before.Equal(m.HandRaised) {
		return
	}
	d := handData{m.Name, hexKey(m.Identity), !m.HandRaised.IsZero(), stamp(m.HandRaised)}
	if d.Raised {
		p.out.event("hand", d, "%s raises a hand", d.Name)
		return
	}
	p.out.event("hand", d, "%s lowers the hand", d.Name)
}

func (p *participant) muteRequested(e meet.MuteRequested) {
	d := muteRequestedData{e.By.Name, hexKey(e.By.Identity), e.Source.String()}
	p.out.event("mute_requested", d, "the host %s asks you to mute your %s", d.By, d.Source)
}

func (p *participant) recording(r meet.Recording) {
	d := recordingData{
		By: r.By.Name, ByKey: hexKey(r.By.Identity), ID: hexBytes(r.ID[:]), State: string(r.State),
		Consented: keysOf(r.Consented), Lacking: keysOf(r.Lacking), Refused: keysOf(r.Refused), Since: stamp(r.Since),
	}
	p.asked.Store(r.By.Identity, r)
	text := recordingText(r)
	if names := p.namesOf(r.Refused); names != "" && r.State != meet.RecordingOver {
		text += "; refused by " + names
	}
	p.out.event("recording", d, "%s", text)
}

func recordingText(r meet.Recording) string {
	switch r.State {
	case meet.RecordingAsked:
		return r.By.Name + " asks to record the meeting: record consent?"
	case meet.RecordingRunning:
		return r.By.Name + " records the meeting"
	case meet.RecordingPaused:
		return r.By.Name + " paused recording: somebody's consent lacks"
	}
	return r.By.Name + " no longer records"
}

// namesOf are the names of members, in one line.
func (p *participant) namesOf(all []crypto.IdentityKey) string {
	var names []string
	for _, m := range p.members {
		if slices.Contains(all, m.Identity) {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

func keysOf(all []crypto.IdentityKey) []string {
	list := make([]string, len(all))
	for i, k := range all {
		list[i] = hexKey(k)
	}
	return list
}

// tell says something to one person. Names may have spaces, so the text begins after the longest name that is
// somebody's; if a shorter one is somebody else's the command is refused, lest the wrong one hears it.
func (p *participant) tell(ctx context.Context, argument string) error {
	members, err := p.m.Members(ctx)
	if err != nil {
		return err
	}
	to, text, err := addressee(argument, people(members))
	if err != nil {
		return err
	}
	return p.m.SayTo(ctx, to.key, text)
}

func addressee(argument string, among []person) (to person, text string, err error) {
	found := false
	for i, r := range argument {
		if r != ' ' {
			continue
		}
		who, said := argument[:i], strings.TrimSpace(argument[i:])
		if !anybody(who, among) || said == "" {
			continue
		}
		p, err := find(who, among)
		if err != nil {
			return person{}, "", err
		}
		if found && p != to {
			return person{}, "", errors.New("this may be for " + to.name + " or for " + p.name + ": say whom by the beginning of the key")
		}
		found, to, text = true, p, said
	}
	if !found {
		return person{}, "", errors.New("say to whom and what: tell WHO TEXT, to somebody who is here")
	}
	return to, text, nil
}

func (p *participant) react(ctx context.Context, text string) error { return p.m.React(ctx, text) }

func (p *participant) raiseHand(ctx context.Context, argument string) error {
	if argument != "up" && argument != "down" {
		return errors.New("say hand up or hand down")
	}
	return p.m.RaiseHand(ctx, argument == "up")
}

func (p *participant) askMute(ctx context.Context, who string) error {
	m, err := p.somebody(ctx, who)
	if err != nil {
		return err
	}
	return p.m.RequestMute(ctx, m.key, meet.SourceMicrophone)
}

func (p *participant) record(ctx context.Context, argument string) error {
	what, who, _ := strings.Cut(argument, " ")
	who = strings.TrimSpace(who)
	switch what {
	case "ask":
		return bare(p.m.AskToRecord)(ctx, who)
	case "stop":
		return bare(p.m.StopRecording)(ctx, who)
	case "consent", "refuse", "withdraw":
		m, err := p.somebody(ctx, who)
		if err != nil {
			return err
		}
		asked, _ := p.asked.Load(m.key) // what was last reported, so that the answer is to that (REC-6)
		r, _ := asked.(meet.Recording)
		return p.m.ConsentToRecording(ctx, r, what == "consent")
	}
	return errors.New("say record ask, record consent WHO, record refuse WHO, record withdraw WHO or record stop")
}
