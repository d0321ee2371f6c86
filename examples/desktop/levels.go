package main

import (
	"math"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// levelEvery is how often levels are sent.
const levelEvery = 100 * time.Millisecond

// everyLevel tells who is heard, and how loud.
func (a *agent) everyLevel() {
	tick := time.NewTicker(levelEvery)
	defer tick.Stop()
	silent := true
	for {
		select {
		case <-tick.C:
		case <-a.context.Done():
			return
		}
		a.mu.Lock()
		if a.session != nil && a.session.meeting != nil && a.page != nil {
			levels := a.session.levels()
			if len(levels) > 0 || !silent {
				a.sendLocked(levelsEvent{"levels", levels, a.session.speaker})
			}
			silent = len(levels) == 0
		}
		a.mu.Unlock()
	}
}

const (
	softest    = -60  // dBov; what is softer is silence
	levelFloor = 0.05 // below isn't worth telling
)

// loudness is a level in dBov as 0 to 1, in hundredths.
func loudness(dBov int) float64 {
	return math.Round(100*(1-math.Max(softest, math.Min(0, float64(dBov)))/softest)) / 100
}

// levels are those of the microphones that are heard, by member. agent.mu is held.
func (s *session) levels() map[string]float64 {
	out := map[string]float64{}
	put := func(id string, dBov int, ok bool) {
		if l := loudness(dBov); ok && l >= levelFloor {
			out[id] = max(out[id], l)
		}
	}
	for _, t := range s.tracks {
		if t.Source() != meet.SourceMicrophone {
			continue
		}
		if who := s.identityOf(t.MemberKey()); !who.IsZero() {
			dBov, ok := t.AudioLevel()
			put(hexKey(who), dBov, ok)
		}
	}
	if p := s.publications["microphone"]; p != nil {
		dBov, ok := p.AudioLevel()
		put(s.self, dBov, ok)
	}
	return out
}

// identityOf is whose incarnation this is, zero if nobody's who is in.
func (s *session) identityOf(key crypto.MeetingKey) crypto.IdentityKey {
	for _, m := range s.members {
		if m.Key == key && !key.IsZero() {
			return m.Identity
		}
	}
	return crypto.IdentityKey{}
}

// speaks makes somebody the active speaker, who stays it in silence. agent.mu is held.
func (s *session) speaks(who crypto.IdentityKey) {
	if id := hexKey(who); !who.IsZero() && id != s.speaker {
		s.speaker = id
		s.agent.sendLocked(levelsEvent{"levels", s.levels(), id})
	}
}
