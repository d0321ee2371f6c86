package meet

import (
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// Who speaks (LEV-2). Times hold whatever the interval between samples.
const (
	speakerInterval = 150 * time.Millisecond
	speakerTakes    = 300 * time.Millisecond  // to dominate for so long, before one is the speaker
	speakerKeeps    = time.Second             // that somebody is it, whoever else speaks
	speakerHolds    = 1500 * time.Millisecond // that somebody is it who is silent, if nobody else speaks

	speakerLoudest = -20 // dBov; whatever is louder counts as this
	speakerQuiet   = -50 // nobody speaks more softly
	speakerMargin  = 3   // dB by which somebody else has to be louder

	// A voice goes up and down. What stays within floorMargin of its own softest moment, which is forgotten at floorRise a
	// second, is a noise, or a claim.
	floorMargin = 6   // dB
	floorRise   = 1   // dB a second
	floorLowest = -60 // dBov
)

// speaker decides who speaks, from what members say of how loud they are. It has no clock. Its zero value begins.
//
//	levels ──cap, floor──▶ who speaks ──loudest──▶ challenger ──dominates for 300 ms──▶ current ──silent for 1.5 s──▶ nobody
type speaker struct {
	current    crypto.MeetingKey // zero: nobody
	since      time.Time         // current is it
	spoke      time.Time         // current did last
	challenger crypto.MeetingKey // zero: nobody
	dominates  time.Time         // since when
	floors     map[crypto.MeetingKey]*floor
	sampled    time.Time
	heard      bool // any level was known

	off struct{ floor, cap bool } // for twins
}

type floor struct {
	level float64
	at    time.Time // last seen
}

// sample takes the levels of a moment, each member once, and says whether another member speaks now, or nobody.
func (s *speaker) sample(now time.Time, voices []voiceLevel) (changed bool) {
	if s.floors == nil {
		s.floors = map[crypto.MeetingKey]*floor{}
	}
	elapsed := now.Sub(s.sampled)
	s.sampled, s.heard = now, false
	best, own := voiceLevel{level: silence}, voiceLevel{level: silence}
	there := false
	for _, v := range voices {
		speaks := s.speaks(&v, now, elapsed)
		s.heard = s.heard || v.known
		if v.member == s.current {
			there = true
			if speaks {
				own, s.spoke = v, now
			}
		} else if speaks && (v.level > best.level || v.level == best.level && v.member.Compare(best.member) < 0) {
			best = v
		}
	}
	for k, f := range s.floors {
		if f.at != now {
			delete(s.floors, k)
		}
	}
	before := s.current
	if !there {
		s.current = crypto.MeetingKey{} // gone or muted: nothing is held
	}
	s.challenge(best, own, now)
	if !s.current.IsZero() && now.Sub(s.spoke) >= speakerHolds {
		s.current = crypto.MeetingKey{}
	}
	return s.current != before
}

// challenge lets the loudest of the others take over, when it has dominated for long enough.
func (s *speaker) challenge(best, own voiceLevel, now time.Time) {
	if best.member.IsZero() || !own.member.IsZero() && best.level < own.level+speakerMargin {
		s.challenger = crypto.MeetingKey{}
		return
	}
	if best.member != s.challenger {
		s.challenger, s.dominates = best.member, now
	}
	if now.Sub(s.dominates) >= speakerTakes && (s.current.IsZero() || now.Sub(s.since) >= speakerKeeps) {
		s.current, s.since, s.spoke, s.challenger = best.member, now, now, crypto.MeetingKey{}
	}
}

// speaks says whether a level is that of somebody who speaks, and caps it, so that nobody is heard before others for
// claiming more (LEV-2).
func (s *speaker) speaks(v *voiceLevel, now time.Time, elapsed time.Duration) bool {
	if v.level > speakerLoudest && !s.off.cap {
		v.level = speakerLoudest
	}
	f := s.floors[v.member]
	if f == nil {
		f = &floor{level: floorLowest}
		s.floors[v.member] = f
	} else {
		f.level += floorRise * elapsed.Seconds()
	}
	f.at = now
	f.level = max(floorLowest, min(f.level, v.level))
	return v.known && v.level > speakerQuiet && (v.level > f.level+floorMargin || s.off.floor)
}

// busy says whether there is anything to sample for.
func (s *speaker) busy() bool { return s.heard || !s.current.IsZero() }
