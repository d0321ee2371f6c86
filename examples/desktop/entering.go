package main

import (
	"context"
	"errors"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

var entries = map[string]meet.Entry{"": meet.EntryAsk, "ask": meet.EntryAsk, "open": meet.EntryOpen, "locked": meet.EntryLocked}

// config is how this person takes part in a meeting with others.
func (a *agent) config() (meet.Config, error) {
	c := a.plain()
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.apply(&c)
	return c, err
}

// plain is config without what the person chose of the network.
func (a *agent) plain() meet.Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := meet.Config{
		Identity: a.identity, Name: a.state.Settings.Name, Listen: a.options.listen, EstimateBandwidth: true, Contacts: a.known(),
	}
	if a.options.network != nil {
		c = a.options.network(c)
	}
	return c
}

func (a *agent) create(ctx context.Context, r create) (any, error) {
	entry, ok := entries[r.Entry]
	if !ok {
		return nil, fail(badRequest)
	}
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	s, err := a.begin("creating", false)
	if err != nil {
		return nil, err
	}
	c.Policy = meet.DefaultPolicy()
	c.Policy.Entry = entry
	a.tasks.Go(func() {
		m, err := meet.Create(s.context, c)
		s.entered(m, err)
		if err == nil && r.Entry != "locked" {
			_, _ = s.invite(s.context, invite{}) // the part stays null if it failed, and the page offers to try again
		}
	})
	return nil, nil
}

func (a *agent) join(_ context.Context, r join) (any, error) {
	link, err := meet.ParseInvite(r.Link)
	if err != nil {
		return nil, err
	}
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	s, err := a.begin("joining", false)
	if err != nil {
		return nil, err
	}
	goes := func(to phase) {
		a.update(func(st *state) {
			if a.session == s {
				st.Phase = to
				s.waited = s.waited || to.Name == "waiting"
			}
		}, "phase")
	}
	c.AskRouter = r.AskRouter
	handed := ""
	c.OnReply = func(code string) {
		to := phase{Name: "replying", Since: now(), Reply: code}
		a.mu.Lock()
		waited := s.waited
		a.mu.Unlock()
		switch {
		case handed == code:
			to.Error = &failure{Code: replyLost}
		case waited:
			to.Error = &failure{Code: replyRenewed}
		}
		handed = code
		goes(to)
	}
	c.OnWaiting = func() { goes(phase{Name: "waiting", Since: now()}) }
	a.tasks.Go(func() { s.entered(meet.Join(s.context, link, c)) })
	return nil, nil
}

// begin makes the session of a meeting to come.
func (a *agent) begin(name string, alone bool) (*session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.session != nil:
		return nil, fail(alreadyInMeeting)
	case crypto.CheckName(a.state.Settings.Name) != nil:
		return nil, failAbout(badName, maxName)
	case a.context.Err() != nil:
		return nil, fail(canceled)
	}
	if err := a.wouldLose(); err != nil {
		return nil, err
	}
	a.session, a.last = newSession(a, alone), nil
	a.session.mode, a.session.found = modeNormal, []string{}
	if !alone {
		a.session.mode, a.session.found = a.state.Network.Mode, a.state.Network.ways()
	}
	a.forget()
	a.state.outside()
	a.state.Link = ""
	a.state.Phase = phase{Name: name, Since: now(), Alone: alone}
	a.changed(meetingParts...)
	a.changed("phase", "link")
	return a.session, nil
}

// entered is called when entering has succeeded or failed. The page is told that it is in with the meeting's first snapshot,
// so that it has who is there and what may be done.
func (s *session) entered(m *meet.Meeting, err error) {
	a := s.agent
	a.mu.Lock()
	if err != nil {
		a.session = nil
		a.identityDue()
		a.state.Phase = phase{Name: "start", Since: now(), Error: failureOf(err)}
		var lost *meet.UnreachableError
		if s.waited && errors.As(err, &lost) { // that nobody can be reached at all isn't so
			a.state.Phase.Error = &failure{Code: doorLost}
		}
		if why := context.Cause(s.context); why != nil {
			a.state.Phase.Error = failureOf(why)
			if a.state.Phase.Error.Code == canceled {
				a.state.Phase.Error = nil // the person knows
			}
		}
		s.end(nil)
		a.changed("phase")
		if a.page == nil {
			a.pageGone()
		}
		a.mu.Unlock()
		return
	}
	s.meeting, s.began = m, now()
	id := m.ID()
	a.state.Meeting = &meeting{ID: hexOf(id[:]), Self: s.self, Began: s.began, Can: rights{Send: []string{}}, Mode: s.mode, Found: s.found}
	canceledMeanwhile := s.context.Err() != nil
	a.mu.Unlock()
	a.tasks.Go(s.watch)
	if canceledMeanwhile {
		s.leave(nil)
	}
}

func (a *agent) cancelEntering(context.Context, cancel) (any, error) {
	a.mu.Lock()
	s := a.session
	entered := s != nil && s.meeting != nil
	a.mu.Unlock()
	switch {
	case s == nil:
		return nil, fail(notInMeeting)
	case entered:
		return nil, fail(alreadyInMeeting)
	}
	s.end(fail(canceled))
	return nil, nil
}

func (a *agent) leaveMeeting(context.Context, leave) (any, error) {
	s, err := a.inMeeting()
	if err != nil {
		return nil, err
	}
	s.leave(nil)
	return nil, nil
}

// done forgets the meeting that is over.
func (a *agent) done(context.Context, done) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session != nil {
		return nil, fail(alreadyInMeeting)
	}
	if err := a.wouldLose(); err != nil {
		return nil, err
	}
	a.last = nil
	a.forget()
	a.state.outside()
	a.state.Phase = phase{Name: "start", Since: now()}
	a.changed(meetingParts...)
	a.changed("phase")
	return nil, nil
}

// forget deletes what is here of the last meeting's files and recording. agent.mu is held.
func (a *agent) forget() {
	a.dropFiles()
	a.dropMovie()
	a.recorded = nil
}
