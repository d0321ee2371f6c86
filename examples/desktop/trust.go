package main

import (
	"context"
	"slices"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

func wordsOf(v crypto.Verification) words {
	fr, en := v.Words(crypto.French), v.Words(crypto.English)
	return words{FR: fr[:], EN: en[:], Digits: v.Digits()}
}

// wantWords has the words computed. It doesn't wait.
func (s *session) wantWords() {
	select {
	case s.wordsWanted <- struct{}{}:
	default: // they will be
	}
}

// showWords computes the words each time they can be compared. It takes half a second, so it has a goroutine.
func (s *session) showWords() {
	for {
		select {
		case <-s.wordsWanted:
		case <-s.meeting.Context().Done():
			return
		}
		_, _ = s.words(s.meeting.Context()) // not agreed: WordsAvailable follows
	}
}

// words computes the words and shows them, if those who are in when it returns are whom they were computed for. Alone
// there is nobody to compare with.
func (s *session) words(ctx context.Context) (any, error) {
	a := s.agent
	for {
		before, err := s.meeting.Members(ctx)
		if err != nil {
			return nil, err
		}
		if len(before) < 2 {
			return nil, fail(notAgreed)
		}
		v, err := s.meeting.Words(ctx)
		if err != nil {
			return nil, err
		}
		after, err := s.meeting.Members(ctx)
		if err != nil {
			return nil, err
		}
		if !samePeople(before, after) {
			continue
		}
		shown := wordsOf(v)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.session != s || !samePeople(after, s.members) { // an event is on its way here, and WordsAvailable after it
			return nil, fail(notAgreed)
		}
		a.state.Words, s.wordsFor = &shown, after
		a.changed("words")
		return wordsShown{shown}, nil
	}
}

// samePeople reports whether these are the same members, in whatever order.
func samePeople(x, y []meet.Member) bool {
	return len(x) == len(y) && !slices.ContainsFunc(x, func(m meet.Member) bool { return !among(y, m) })
}

// among reports whether somebody is one of all, by the same key.
func among(all []meet.Member, m meet.Member) bool {
	return slices.ContainsFunc(all, func(o meet.Member) bool { return o.Identity == m.Identity && o.Key == m.Key })
}

func (s *session) verify(ctx context.Context, r verify) (any, error) {
	who, err := parseMember(r.Member)
	if err != nil {
		return nil, err
	}
	v, err := s.meeting.Verify(ctx, who)
	if err != nil {
		return nil, err
	}
	s.agent.mu.Lock()
	defer s.agent.mu.Unlock()
	s.compare(who, v, false)
	return wordsShown{wordsOf(v)}, nil
}

// compare shows a comparison with one member. agent.mu is held.
func (s *session) compare(who crypto.IdentityKey, v crypto.Verification, asked bool) {
	st := &s.agent.state
	s.compared(hexKey(who))
	st.Verifications = append(st.Verifications, verification{Member: hexKey(who), Asked: asked, Words: wordsOf(v)})
	s.agent.changed("verifications")
}

// compared ends a comparison. agent.mu is held.
func (s *session) compared(id string) {
	st := &s.agent.state
	st.Verifications = slices.DeleteFunc(st.Verifications, func(v verification) bool { return v.Member == id })
}

// verified takes what the person says about words they compared. Whoever wasn't there when those were computed isn't
// marked, nor is anybody by words that aren't those shown any more: nobody compared with them.
func (s *session) verified(ctx context.Context, r verifiedSay) (any, error) {
	a := s.agent
	all := []crypto.IdentityKey{}
	a.mu.Lock()
	if r.Match && !s.shows(r) {
		a.mu.Unlock()
		return nil, fail(wordsChanged)
	}
	if r.Member == "" {
		for _, m := range s.wordsFor {
			if !m.Self {
				all = append(all, m.Identity)
			}
		}
	} else if who, err := parseMember(r.Member); err == nil {
		all = append(all, who)
		s.compared(r.Member)
		a.changed("verifications")
	}
	a.mu.Unlock()
	if len(all) == 0 && r.Member != "" {
		return nil, fail(noSuchMember)
	}
	if !r.Match {
		return nil, nil
	}
	for _, who := range all {
		if err := s.meeting.MarkVerified(ctx, who); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// shows reports whether the words that the person compared are those shown now. agent.mu is held.
func (s *session) shows(r verifiedSay) bool {
	st := &s.agent.state
	if r.Member == "" {
		return st.Words != nil && st.Words.Digits == r.Digits
	}
	return slices.ContainsFunc(st.Verifications, func(v verification) bool { return v.Member == r.Member && v.Words.Digits == r.Digits })
}
