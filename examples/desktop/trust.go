package main

import (
	"context"
	"slices"

	"github.com/huisclos/huisclos/crypto"
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

// words computes and shows the words of those who are in when it returns: the same twice.
func (s *session) words(ctx context.Context) (any, error) {
	var v crypto.Verification
	for {
		next, err := s.meeting.Words(ctx)
		if err != nil {
			return nil, err
		}
		if next == v {
			break
		}
		v = next
	}
	shown := wordsOf(v)
	s.agent.update(func(st *state) {
		if s.agent.session == s {
			st.Words = &shown
		}
	}, "words")
	return wordsShown{shown}, nil
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

// verified takes what the person says about words they compared.
func (s *session) verified(ctx context.Context, r verifiedSay) (any, error) {
	a := s.agent
	all := []crypto.IdentityKey{}
	a.mu.Lock()
	if r.Member == "" {
		if a.state.Words == nil && r.Match {
			a.mu.Unlock()
			return nil, fail(notAgreed)
		}
		for _, m := range s.members {
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
