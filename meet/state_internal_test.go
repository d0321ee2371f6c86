package meet

import "testing"

// TestStateLimits covers STA-1. The twin takes what is out of its limits.
func TestStateLimits(t *testing.T) {
	consents := func(n int) (all []consent) {
		for i := range n {
			all = append(all, consent{ID: RecordingID{byte(i + 1)}})
		}
		return all
	}
	for name, c := range map[string]struct {
		state stateAnnounce
		good  bool
	}{
		"all there is":      {stateAnnounce{Hand: 1<<53 - 1, Consents: consents(8), Recording: &recordingState{ID: RecordingID{1}, Since: 1<<53 - 1, Running: true}}, true},
		"asked":             {stateAnnounce{Recording: &recordingState{ID: RecordingID{1}}}, true},
		"late hand":         {stateAnnounce{Hand: 1 << 53}, false},
		"many consents":     {stateAnnounce{Consents: consents(9)}, false},
		"answers":           {stateAnnounce{Consents: consents(8)[:4], Refusals: consents(8)[4:]}, true},
		"many refusals":     {stateAnnounce{Refusals: consents(9)}, false},
		"refused twice":     {stateAnnounce{Refusals: append(consents(2), consents(1)...)}, false},
		"both":              {stateAnnounce{Consents: consents(2), Refusals: consents(1)}, false},
		"one twice":         {stateAnnounce{Consents: append(consents(2), consents(1)...)}, false},
		"recording unnamed": {stateAnnounce{Recording: &recordingState{}}, false},
		"late recording":    {stateAnnounce{Recording: &recordingState{ID: RecordingID{1}, Since: 1 << 53}}, false},
		"running, never":    {stateAnnounce{Recording: &recordingState{ID: RecordingID{1}, Running: true}}, false},
	} {
		for _, off := range []bool{false, true} {
			s := newStage(t)
			a, b := s.actor(), s.actor()
			b.off.limits = off
			a.sendTo(b)
			an := c.state
			an.Number = 1
			an.sign(a.incarn)
			if _, _, _, err := b.acceptState(a.key, &an); (err == nil) != (c.good || off) || err != nil && err != errStateMalformed {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
