package main

import (
	"maps"
	"slices"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// maxRecorded is how many recordings of a meeting Who sees what tells apart; the oldest go first.
const maxRecorded = 100

// recorded is a recording that ran: who therefore has it, and who agreed. agent.mu guards it.
type recorded struct {
	key       recordingKey
	by        string // name
	movie     *movie // of an own one
	own       bool
	running   bool
	consented map[crypto.IdentityKey]string // names, of all who were seen to agree while it ran
}

// noteRecording takes what Who sees what says of a recording: nothing, unless it ran. agent.mu is held.
func (s *session) noteRecording(rec meet.Recording) {
	a := s.agent
	i := slices.IndexFunc(a.recorded, func(r *recorded) bool { return r.key == keyOf(rec) })
	if rec.State != meet.RecordingRunning {
		if i >= 0 {
			a.recorded[i].running = false
		}
		return
	}
	if i < 0 {
		if len(a.recorded) >= maxRecorded {
			a.recorded = slices.Delete(a.recorded, 0, 1)
		}
		i = len(a.recorded)
		a.recorded = append(a.recorded, &recorded{
			key: keyOf(rec), by: cleanName(rec.By.Name), own: rec.By.Self, consented: map[crypto.IdentityKey]string{},
		})
	}
	r := a.recorded[i]
	r.running = true
	if r.own && a.movie != nil && !a.movie.over {
		r.movie = a.movie
	}
	for _, who := range rec.Consented {
		r.consented[who] = s.names[who]
		if hexKey(who) == s.self {
			r.consented[who] = ""
		}
	}
}

// how is what became of a recording, for whoever made it.
func (r *recorded) how(now *movie) string {
	switch {
	case r.running:
		return "recording"
	case r.own && (r.movie == nil || r.movie != now && !r.movie.saved):
		return "discarded"
	}
	return "recorded"
}

// recordings has the row about recordings say what there was of them in the meeting. Movie is this person's, as long as the
// program has it.
func (e *exposure) recordings(all []*recorded, movie *movie) {
	i := slices.IndexFunc(e.Rows, func(r exposureRow) bool { return r.Datum == "recording" })
	row := &e.Rows[i]
	row.Seen, row.Where, row.Kept = nil, nil, "not-kept"
	for _, r := range all {
		how := r.how(movie)
		switch {
		case !r.own:
			row.see("members", how, r.by)
			row.lies("members-machines")
			row.Kept = "members"
		case how == "discarded":
			row.see("self", how, "")
		default:
			row.see("self", how, "")
			row.lies("this-machine")
			switch saved := r.movie != nil && r.movie.saved; {
			case saved:
				row.see("same-user", "possible", "")
				if row.Kept != "members" {
					row.Kept = "downloads"
				}
			case row.Kept == "not-kept":
				row.Kept = "memory"
			}
		}
	}
	for _, r := range all {
		for _, who := range slices.Sorted(maps.Values(r.consented)) {
			if who == "" {
				row.see("self", "consented", "")
			} else {
				row.see("members", "consented", who)
			}
		}
	}
	if len(row.Seen) == 0 {
		row.Seen, row.Where = []exposureParty{{Party: "nobody", How: "clear", Why: string(meet.CauseNothing)}}, []string{"nowhere"}
	}
	if len(row.Where) == 0 {
		row.Where = []string{"nowhere"}
	}
}

// see adds somebody to a row; who alike, together.
func (r *exposureRow) see(party, how, name string) {
	i := slices.IndexFunc(r.Seen, func(p exposureParty) bool { return p.Party == party && p.How == how })
	if i < 0 {
		i, r.Seen = len(r.Seen), append(r.Seen, exposureParty{Party: party, How: how})
	}
	if name != "" && !slices.Contains(r.Seen[i].Names, name) {
		r.Seen[i].Names = append(r.Seen[i].Names, name)
	}
}

// lies adds a place to a row.
func (r *exposureRow) lies(where string) {
	if !slices.Contains(r.Where, where) {
		r.Where = append(r.Where, where)
	}
}
