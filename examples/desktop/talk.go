package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// talkHandlers do what people say and show to each other: chat, reactions, hands, requests to mute.
var talkHandlers = map[string]handler{
	"say": in((*session).say), "react": in((*session).react), "hand": in((*session).hand), "mute-ask": about((*session).muteAsk),
}

func init() {
	for name, h := range talkHandlers {
		add(name, h)
	}
}

func (r muteAsk) member() string { return r.Member }

func (s *session) say(ctx context.Context, r say) (any, error) {
	if len(r.Text) > maxChat {
		return nil, failAbout(tooLong, maxChat)
	}
	var err error
	if r.To == "" {
		err = s.meeting.Say(ctx, r.Text)
	} else {
		var who crypto.IdentityKey
		if who, err = parseMember(r.To); err == nil {
			err = s.meeting.SayTo(ctx, who, r.Text)
		}
	}
	if err != nil {
		return nil, err
	}
	a := s.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	// The author gets no event, and needs no ID of the meeting's.
	m := message{
		ID: crypto.NewMessageID().String(), From: s.self, Name: a.state.Settings.Name, To: r.To, Time: now(), Text: cleanText(r.Text),
		Self: true, State: "sent",
	}
	s.showMessage(m)
	return said{m.ID}, nil
}

// chatted shows what another member said. agent.mu is held.
func (s *session) chatted(e meet.Chat) {
	from := hexKey(e.From.Identity)
	m := message{
		ID: from[:16] + "-" + e.ID.String(), From: from, Name: cleanName(e.From.Name), Time: milliseconds(e.Time), Text: cleanText(e.Text),
	}
	if e.Private {
		m.To = from
	}
	s.showMessage(m)
}

func (s *session) showMessage(m message) {
	a := s.agent
	s.messages++
	s.said.add(m)
	a.state.Chat = append(a.state.Chat, m)
	if over := len(a.state.Chat) - shownMessages; over > 0 {
		a.state.Chat = slices.Delete(a.state.Chat, 0, over)
	}
	a.sendLocked(chattedEvent{"chatted", m})
}

func (s *session) react(ctx context.Context, r react) (any, error) {
	if !slices.Contains(reactions, r.Reaction) {
		return nil, fail(badRequest)
	}
	if err := s.meeting.React(ctx, r.Reaction); err != nil {
		return nil, err
	}
	s.agent.send(reactionEvent{"reaction", s.self, r.Reaction}) // the author gets no event
	return nil, nil
}

// reacted shows another's reaction, if it is one of those there are. agent.mu is held.
func (s *session) reacted(e meet.Reaction) {
	if slices.Contains(reactions, e.Text) {
		s.agent.sendLocked(reactionEvent{"reaction", hexKey(e.From.Identity), e.Text})
	}
}

// hand raises or lowers one's own hand; a host's asks another's client to lower theirs.
func (s *session) hand(ctx context.Context, r hand) (any, error) {
	if r.Member == "" || r.Member == s.self {
		return nil, s.meeting.RaiseHand(ctx, r.Up)
	}
	who, err := parseMember(r.Member)
	if err != nil || r.Up {
		return nil, fail(badRequest)
	}
	a := s.agent
	a.mu.Lock()
	self, _ := s.own()
	i := slices.IndexFunc(s.members, func(m meet.Member) bool { return m.Identity == who })
	var since time.Time
	if i >= 0 {
		since = s.members[i].HandRaised
	}
	a.mu.Unlock()
	switch {
	case self.Role != meet.Host:
		return nil, fail(notPermitted)
	case i < 0:
		return nil, fail(noSuchMember)
	case since.IsZero():
		return nil, nil
	}
	return nil, s.meeting.SendData(ctx, encode(appMessage{&lowerHand{r.Member, since.UnixMilli()}}))
}

// appMessage is what clients of this kind tell each other beside what the library has messages for. It travels as
// meet.Data, to all.
type appMessage struct {
	LowerHand *lowerHand `json:"lower-hand,omitempty"`
}

// lowerHand is a host's word that somebody's turn has come. Since says which raising it is about, so that one that
// comes late doesn't lower a hand raised anew.
type lowerHand struct {
	Member string `json:"member"`
	Since  int64  `json:"since"`
}

// told does what another client asks for, if it may. agent.mu is held.
func (s *session) told(e meet.Data) {
	var m appMessage
	if json.Unmarshal(e.Data, &m) != nil || m.LowerHand == nil {
		return
	}
	self, _ := s.own()
	if e.From.Role != meet.Host || m.LowerHand.Member != s.self || self.HandRaised.IsZero() || self.HandRaised.UnixMilli() != m.LowerHand.Since {
		return
	}
	s.agent.later(func() { _ = s.meeting.RaiseHand(s.meeting.Context(), false) })
}

func (s *session) muteAsk(ctx context.Context, who crypto.IdentityKey, r muteAsk) error {
	source, ok := sources[r.Source]
	if !ok {
		return fail(badRequest)
	}
	return s.meeting.RequestMute(ctx, who, source)
}

// muteWanted tells the person, who alone decides. agent.mu is held.
func (s *session) muteWanted(e meet.MuteRequested) {
	s.agent.sendLocked(muteWantedEvent{"mute-wanted", hexKey(e.By.Identity), sourceNames[e.Source]})
}
