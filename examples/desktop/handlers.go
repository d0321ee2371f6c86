package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// handler does one kind of request.
type handler func(a *agent, ctx context.Context, raw []byte) (any, error)

// on makes a handler of a function that takes the request's type.
func on[T any](f func(a *agent, ctx context.Context, r T) (any, error)) handler {
	return func(a *agent, ctx context.Context, raw []byte) (any, error) {
		var r T
		if json.Unmarshal(raw, &r) != nil {
			return nil, fail(badRequest)
		}
		return f(a, ctx, r)
	}
}

// in is on for what needs a meeting.
func in[T any](f func(s *session, ctx context.Context, r T) (any, error)) handler {
	return on(func(a *agent, ctx context.Context, r T) (any, error) {
		s, err := a.inMeeting()
		if err != nil {
			return nil, err
		}
		return f(s, ctx, r)
	})
}

// about is in for what is done to a member.
func about[T interface{ member() string }](f func(s *session, ctx context.Context, who crypto.IdentityKey, r T) error) handler {
	return in(func(s *session, ctx context.Context, r T) (any, error) {
		who, err := parseMember(r.member())
		if err != nil {
			return nil, err
		}
		return nil, f(s, ctx, who, r)
	})
}

func (r admit) member() string  { return r.Member }
func (r deny) member() string   { return r.Member }
func (r role) member() string   { return r.Member }
func (r remove) member() string { return r.Member }
func (r verify) member() string { return r.Member }

func parseMember(text string) (who crypto.IdentityKey, err error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(who) {
		copy(who[:], raw)
		return who, nil
	}
	return who, fail(noSuchMember)
}

// handlers are all kinds of requests.
var handlers map[string]handler

func init() {
	for name, h := range map[string]handler{
		"settings-set": on(func(a *agent, _ context.Context, r settingsSet) (any, error) { return nil, a.setSettings(r.Settings) }),
		"create":       on((*agent).create),
		"link-check":   on(checkLink),
		"join":         on((*agent).join),
		"alone":        on((*agent).tryAlone),
		"cancel":       on((*agent).cancelEntering),
		"leave":        on((*agent).leaveMeeting),
		"end":          in(func(s *session, ctx context.Context, _ end) (any, error) { return nil, s.meeting.End(ctx) }),
		"done":         on((*agent).done),
		"quit": on(func(a *agent, _ context.Context, _ quit) (any, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if err := a.wouldLose(); err != nil {
				return nil, err
			}
			time.AfterFunc(quitAfter, func() { a.end(errQuit) })
			return nil, nil
		}),
		"invite": in((*session).invite),
		"reply": in(func(s *session, ctx context.Context, r replyFollow) (any, error) {
			return nil, s.meeting.Reply(ctx, r.Code)
		}),
		"reach-ask-router": in((*session).askRouter),
		"admit": about(func(s *session, ctx context.Context, who crypto.IdentityKey, _ admit) error {
			return s.meeting.Admit(ctx, who)
		}),
		"deny": about(func(s *session, ctx context.Context, who crypto.IdentityKey, _ deny) error {
			return s.meeting.Deny(ctx, who)
		}),
		"lock": in(func(s *session, ctx context.Context, r lock) (any, error) {
			if r.Locked {
				return nil, s.meeting.Lock(ctx)
			}
			return nil, s.meeting.Unlock(ctx)
		}),
		"policy-set": in(func(s *session, ctx context.Context, r policySet) (any, error) {
			p, err := r.Policy.parse()
			if err != nil {
				return nil, err
			}
			return nil, s.meeting.SetPolicy(ctx, p)
		}),
		"role": about(func(s *session, ctx context.Context, who crypto.IdentityKey, r role) error {
			to, ok := rolesByName[r.Role]
			if !ok {
				return fail(badRequest)
			}
			return s.meeting.SetRole(ctx, who, to)
		}),
		"remove": about(func(s *session, ctx context.Context, who crypto.IdentityKey, r remove) error {
			return s.remove(ctx, who, r.Ban)
		}),
		"keep-sending": in(func(s *session, ctx context.Context, r keepSending) (any, error) {
			return nil, s.keepSending(ctx, r.Keep)
		}),
		"media-offer": on((*agent).mediaOffer),
		"media-send":  in((*session).mediaSend),
		"media-watch": on(func(a *agent, _ context.Context, r mediaWatch) (any, error) {
			a.bridge.Watch(r.Tracks)
			return nil, nil
		}),
		"key-frame": in((*session).keyFrame),
		"words":     in(func(s *session, ctx context.Context, _ wordsAsk) (any, error) { return s.words(ctx) }),
		"verify":    in((*session).verify),
		"verified":  in((*session).verified),
		"stats": on(func(a *agent, _ context.Context, r statsAsk) (any, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.stats = r.On
			return nil, nil
		}),
		"exposure": on(func(a *agent, ctx context.Context, _ exposureAsk) (any, error) {
			e, err := a.whoSees(ctx)
			return exposureShown{e}, err
		}),
	} {
		add(name, h)
	}
	for name, h := range keeperHandlers {
		add(name, h)
	}
}

// add adds a handler. The map is made by whichever init comes first.
func add(name string, h handler) {
	if handlers == nil {
		handlers = map[string]handler{}
	}
	handlers[name] = h
}

// quitAfter lets the reply to quit go out first.
const quitAfter = 100 * time.Millisecond

// The limits of settings.
const (
	maxPageEntries = 64
	maxPageBytes   = 8 << 10
	maxDevice      = 512
)

func (a *agent) setSettings(s settings) error {
	if s.Page == nil {
		s.Page = map[string]string{}
	}
	size := 0
	for k, v := range s.Page {
		size += len(k) + len(v)
	}
	for _, d := range []device{s.Microphone, s.Camera, s.Speaker} {
		if len(d.ID)+len(d.Label) > maxDevice {
			return failAbout(tooLong, maxDevice)
		}
	}
	switch {
	case len(s.Page) > maxPageEntries || size > maxPageBytes:
		return failAbout(tooLong, maxPageBytes)
	case s.Language != "fr" && s.Language != "en", s.Theme != "system" && s.Theme != "light" && s.Theme != "dark":
		return fail(badRequest)
	case s.Name != "" && (crypto.CheckName(s.Name) != nil || cleanName(s.Name) != s.Name):
		return failAbout(badName, maxName)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.Settings = s
	a.changed("settings")
	a.remember()
	return nil
}

func checkLink(_ *agent, _ context.Context, r linkCheck) (any, error) {
	link, err := meet.ParseInvite(r.Link)
	if err != nil {
		return nil, err
	}
	id := link.Meeting()
	return linkChecked{Meeting: hex.EncodeToString(id[:]), Expires: milliseconds(link.Expiry())}, nil
}
