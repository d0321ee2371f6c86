package roster

import (
	"math"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// AttendanceWarning is in every attendance record: what whoever keeps or passes one on must know.
const AttendanceWarning = "This record proves to anyone who has it that these people met. Keep it only if you must, and think before you pass it on. " +
	"Times are by the clocks of those who signed. Names are what people called themselves; a key names a person only to those who compared it. " +
	"Operations that nobody built on may have been left out at its end."

// clockTolerance is by how much an operation may be older than what it follows before that is remarked (ATT-5).
const clockTolerance = 5 * time.Minute

// Attendance is who was in a meeting, when, and by whose word: what follows from a set of signed operations (SPEC §6.7).
// It is the same for all who have the same operations. Times are those that the operations' authors signed.
type Attendance struct {
	Meeting crypto.MeetingID
	Creator crypto.IdentityKey
	Began   time.Time // of the meeting's first operation
	// Ended is when somebody ended the meeting for all; zero if nobody had, as far as the operations say.
	Ended   time.Time
	EndedBy crypto.IdentityKey
	People  []Attendee         // in the order in which they first came
	Remarks []AttendanceRemark // what is doubtful
	Warning string             // AttendanceWarning

	genesis []byte
	raws    [][]byte
	text    attendanceText
	off     protections
}

// Attendee is one person's part in a meeting.
type Attendee struct {
	Identity crypto.IdentityKey
	Names    []string // what they called themselves, in order, each once
	Creator  bool
	Role     Role // the last
	Periods  []AttendancePeriod
	Roles    []RoleChange
	// Resumed are the times of restarts during a period, by the person's own clock.
	Resumed []time.Time
	// Duration is the sum of the periods whose end is known.
	Duration time.Duration
	// Present: the last period's end isn't known.
	Present bool
	// Signed is how many of the operations they signed themselves. If 0, only others say that they came: whoever is
	// admitted had knocked with this key, but may have gone again before.
	Signed int
	// Equivocated: they signed two histories (ROS-19).
	Equivocated bool
}

// Entry and exit, in words that stay the same: the file has them.
const (
	EntryCreated  = "created"  // began the meeting
	EntryAdmitted = "admitted" // by somebody at the door
	EntryResumed  = "resumed"  // came back by their own word: the creator, or beside the exit of another device
	EntryPromoted = "promoted" // made host by somebody, which implies admission (ROS-13)

	ExitLeft    = "left"    // by their own word
	ExitRemoved = "removed" // by a host
	ExitBanned  = "banned"  // by a host, for good
	ExitEnded   = "ended"   // with the meeting
	ExitVoid    = "void"    // no operation says so: another member with the same key is in instead (ROS-5)
)

// AttendancePeriod is from an entry to the exit that follows it.
type AttendancePeriod struct {
	From  time.Time // by the clock of By
	Entry string    // one of EntryCreated …
	By    crypto.IdentityKey
	To    time.Time          // by the clock of OutBy; zero if there is none, or none is known
	Exit  string             // one of ExitLeft …; empty if none is known
	OutBy crypto.IdentityKey // who said so; zero if there is none
}

// Duration is from the entry to the exit; 0 if none is known, or the clocks say that it came before.
func (p *AttendancePeriod) Duration() time.Duration {
	if p.To.IsZero() {
		return 0
	}
	return max(0, p.To.Sub(p.From))
}

// RoleChange is an effective SetRole.
type RoleChange struct {
	At   time.Time // by the clock of By
	Role Role
	By   crypto.IdentityKey
}

// RemarkKind is what a remark is about.
type RemarkKind string

// The kinds of remark.
const (
	// RemarkClocks: Who signed an operation By earlier than what it follows, which Other had signed. One clock was wrong.
	RemarkClocks RemarkKind = "clocks"
	// RemarkVoidAdmission: Other admitted Who, and had no right to, for the Reason. It counts for nothing.
	RemarkVoidAdmission RemarkKind = "void admission"
	// RemarkEquivocation: Who signed two histories that exclude each other (ROS-19).
	RemarkEquivocation RemarkKind = "equivocation"
)

// AttendanceRemark is something in a record that is doubtful.
type AttendanceRemark struct {
	Kind   RemarkKind
	Who    crypto.IdentityKey
	Name   string // of Who, where the record's people don't have it
	Other  crypto.IdentityKey
	By     time.Duration
	Reason Void
}

// Attendance derives the record of a fold. It changes nothing, so it may run beside whatever else asks the roster.
func (r *Roster) Attendance() Attendance {
	f := r.fold
	a := Attendance{
		Meeting: f.set.meeting, Creator: f.set.genesis.Creator, Warning: AttendanceWarning, genesis: f.set.raw, off: f.off,
		raws: make([][]byte, 0, len(f.order)),
	}
	var people []*person
	listed := map[*person]bool{}
	for _, n := range f.order {
		a.raws = append(a.raws, n.raw)
		if a.Began.IsZero() && n.brings != nil && f.void[n.index] == NotVoid {
			a.Began = n.op.At()
		}
		if n.brings == nil {
			continue
		}
		if p := f.people[n.brings.Identity]; p.counts(n) && !listed[p] {
			listed[p] = true
			people = append(people, p)
		}
	}
	var end *node
	if len(f.endings) > 0 {
		end = f.endings[0]
		a.Ended, a.EndedBy = end.op.At(), end.person
	}
	for _, p := range people {
		a.People = append(a.People, r.attendee(p, end))
	}
	a.Remarks = r.remarks()
	a.text = a.write()
	return a
}

// attendee is what the record says of one person.
func (r *Roster) attendee(p *person, end *node) Attendee {
	f := r.fold
	w := attendanceWalk{fold: f, person: p, gone: map[crypto.Hash]bool{}}
	w.a = Attendee{
		Identity: p.id, Creator: p.id == f.set.genesis.Creator, Signed: len(p.authored), Equivocated: len(f.forks(p)) > 0,
		Role: f.plainRole(p, nil),
	}
	for _, n := range p.history(f) {
		w.step(n)
	}
	switch open := w.open(); {
	case open == nil:
	case end != nil:
		w.exit(ExitEnded, end)
	case r.Member(p.id) == nil:
		open.Exit, w.live = ExitVoid, nil
	default:
		w.a.Present = true
	}
	for i := range w.a.Periods {
		w.a.Duration += min(w.a.Periods[i].Duration(), math.MaxInt64-w.a.Duration)
	}
	if i := len(w.a.Roles); i > 0 {
		w.a.Role = w.a.Roles[i-1].Role
	}
	if m := r.Member(p.id); m != nil {
		w.a.Role = m.Role
	} else if w.a.Creator {
		w.a.Role = RoleHost
	}
	return w.a
}

// counts says whether an introduction of the person, nil if nothing is known of them, has effect, by itself or by a
// promotion.
func (p *person) counts(n *node) bool {
	if p == nil {
		return false
	}
	_, there := slices.BinarySearchFunc(p.intros, n, compareNodes)
	return there
}

// history is what is about a person's being in, in order: parents come first.
func (p *person) history(f *fold) []*node {
	all := slices.Concat(p.intros, p.removes, p.roles)
	for _, n := range p.authored {
		if n.op.Body.Leave != nil {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, compareNodes)
	return all
}

// attendanceWalk goes through a person's history as the fold judged it. At its end somebody is in exactly if the fold
// says so; what it adds is when.
type attendanceWalk struct {
	fold   *fold
	person *person
	a      Attendee
	seen   []*node              // introductions that count so far
	live   []*node              // those of them that brought in somebody who is in
	gone   map[crypto.Hash]bool // bundles whose incarnations left
}

func (w *attendanceWalk) step(n *node) {
	b := &n.op.Body
	switch {
	case n.brings != nil:
		if w.fold.void[n.index] == NotVoid { // else a promotion made it count, which comes later
			w.enter(n, n)
		}
	case b.Leave != nil:
		w.gone[n.op.Author] = true
		was := len(w.live)
		w.live = slices.DeleteFunc(w.live, func(i *node) bool { return i.bringsHash == n.op.Author })
		if was > 0 && len(w.live) == 0 {
			w.exit(ExitLeft, n)
		}
	case b.Remove != nil:
		kind := ExitRemoved
		if b.Remove.Ban {
			kind = ExitBanned
		}
		if len(w.live) > 0 {
			w.live = nil
			w.exit(kind, n)
		}
	case b.SetRole != nil:
		w.a.Roles = append(w.a.Roles, RoleChange{At: n.op.At(), Role: b.SetRole.Role, By: n.person})
		follows := func(i *node) bool { return i != n.names && before(n.names, i) }
		if b.SetRole.Role == RoleHost && !slices.ContainsFunc(w.seen, follows) {
			w.enter(n.names, n)
		}
	}
}

// enter makes an introduction count from the operation by on, which is itself or a promotion.
func (w *attendanceWalk) enter(i, by *node) {
	_, name := i.op.Body.introduces()
	if !slices.Contains(w.a.Names, name) {
		w.a.Names = append(w.a.Names, name)
	}
	if !slices.Contains(w.seen, i) {
		w.seen = append(w.seen, i)
	}
	if w.gone[i.bringsHash] || slices.Contains(w.live, i) {
		return
	}
	was := len(w.live)
	w.live = append(slices.DeleteFunc(w.live, func(j *node) bool { return before(j, i) }), i)
	if was > 0 {
		if by.op.Body.Resume != nil {
			w.a.Resumed = append(w.a.Resumed, by.op.At())
		}
		return
	}
	kind := EntryAdmitted
	switch {
	case by != i:
		kind = EntryPromoted
	case i.op.Body.Resume != nil && len(i.parent) == 0:
		kind = EntryCreated
	case i.op.Body.Resume != nil:
		kind = EntryResumed
	}
	w.a.Periods = append(w.a.Periods, AttendancePeriod{From: by.op.At(), Entry: kind, By: by.person})
}

// open is the period that goes on, or nil.
func (w *attendanceWalk) open() *AttendancePeriod {
	if len(w.live) == 0 {
		return nil
	}
	return &w.a.Periods[len(w.a.Periods)-1]
}

func (w *attendanceWalk) exit(kind string, by *node) {
	p := &w.a.Periods[len(w.a.Periods)-1]
	p.Exit, p.To, p.OutBy = kind, by.op.At(), by.person
}

// remarks says what is doubtful, in the order in which it happened. Of two people's clocks the worst is remarked.
func (r *Roster) remarks() []AttendanceRemark {
	f := r.fold
	var all []AttendanceRemark
	pairs := map[[2]crypto.IdentityKey]int{}
	latest := make([]*node, len(f.order)) // by index: the operation of its past with the latest time
	for _, n := range f.order {
		l := latestOf(f, n, latest)
		latest[n.index] = l
		if f.void[n.index] != NotVoid {
			a := n.op.Body.Admit
			if a != nil && !f.people[a.Bundle.Identity].counts(n) {
				all = append(all, AttendanceRemark{Kind: RemarkVoidAdmission, Who: a.Bundle.Identity, Name: a.Name, Other: n.person, Reason: f.void[n.index]})
			}
			continue
		}
		if l == nil {
			continue
		}
		by := l.op.At().Sub(n.op.At())
		if by <= clockTolerance || f.off.clocks { // ATT-5
			continue
		}
		pair := [2]crypto.IdentityKey{n.person, l.person}
		i, known := pairs[pair]
		if !known {
			i = len(all)
			pairs[pair] = i
			all = append(all, AttendanceRemark{Kind: RemarkClocks, Who: n.person, Other: l.person})
		}
		all[i].By = max(all[i].By, by)
	}
	forked := map[crypto.IdentityKey]bool{}
	for _, n := range f.order {
		if p := f.author[n.index]; !forked[p.id] {
			forked[p.id] = true
			if len(f.forks(p)) > 0 {
				all = append(all, AttendanceRemark{Kind: RemarkEquivocation, Who: p.id})
			}
		}
	}
	return all
}

// latestOf is the effective operation with the latest time among n's parents and their pasts, or nil.
func latestOf(f *fold, n *node, latest []*node) *node {
	var best *node
	for _, p := range n.parent {
		for _, c := range []*node{latest[p.index], p} {
			if c != nil && f.void[c.index] == NotVoid && (best == nil || c.op.Time > best.op.Time) {
				best = c
			}
		}
	}
	return best
}
