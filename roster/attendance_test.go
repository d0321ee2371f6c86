package roster

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

var updateRecord = flag.Bool("update-attendance", false, "write testdata/attendance.json anew")

// doAt is do at a time of the author's.
func (c *cast) doAt(minutes int, by *actor, body Body, parents ...crypto.Hash) crypto.Hash {
	c.t.Helper()
	o, err := DecodeOperation(c.sign(by, body, parents...))
	if err != nil {
		c.t.Fatal(err)
	}
	o.Time = uint64(clock.Add(time.Duration(minutes) * time.Minute).UnixMilli())
	raw := must[[]byte](c.t)(o.sign(c.meeting, by.inc))
	must[Outcome](c.t)(c.set.Add(raw))
	return HashOperation(raw)
}

// admitAt admits somebody, again if they were in before.
func (c *cast) admitAt(minutes int, by, who *actor, l link) {
	c.t.Helper()
	who.inc = must[*crypto.Incarnation](c.t)(who.identity.NewIncarnation(c.meeting))
	who.intro = c.doAt(minutes, by, l.admit(by, who))
}

// hearing is a meeting with everything in it that a record can tell.
func hearing(t testing.TB) (*cast, []*actor, link) {
	c := newCast(t, DefaultPolicy())
	creator := c.people[0]
	paul, client, guest := c.stranger("Maître Paul"), c.stranger("=HYPERLINK(\"x\")"), c.stranger("Guest")
	l := c.invite(creator)
	c.admitAt(1, creator, paul, l)
	c.doAt(2, creator, setRole(paul, RoleHost))
	c.admitAt(3, paul, client, l)
	c.admitAt(4, paul, guest, l)
	c.doAt(10, paul, remove(guest))
	again := c.invite(creator) // at 0 by a clock that is late by ten minutes
	c.admitAt(15, creator, guest, again)
	paul.name, paul.inc = "Paul", must[*crypto.Incarnation](t)(paul.identity.NewIncarnation(c.meeting))
	paul.intro = c.doAt(20, paul, Body{Resume: &Resume{Bundle: paul.inc.Bundle(), Name: paul.name}})
	c.doAt(25, client, Body{Leave: &Leave{}})
	c.doAt(26, paul, setRole(guest, RoleViewer))
	c.doAt(30, paul, ban(guest))
	c.doAt(60, creator, Body{End: &End{}})
	return c, []*actor{creator, paul, client, guest}, again
}

// TestAttendance: what happened is told as it was signed, and survives the file (ATT-1, ATT-2).
func TestAttendance(t *testing.T) {
	c, people, _ := hearing(t)
	a := c.set.Roster().Attendance()
	id := func(i int) crypto.IdentityKey { return people[i].identity.Public() }
	at := func(m int) time.Time { return clock.Add(time.Duration(m) * time.Minute).Local() }
	period := func(from int, entry string, by, to int, exit string, out int) AttendancePeriod {
		return AttendancePeriod{From: at(from), Entry: entry, By: id(by), To: at(to), Exit: exit, OutBy: id(out)}
	}
	want := []Attendee{
		{Identity: id(0), Names: []string{"creator"}, Creator: true, Role: RoleHost, Signed: 7, Duration: time.Hour,
			Periods: []AttendancePeriod{period(0, EntryCreated, 0, 60, ExitEnded, 0)}},
		{Identity: id(1), Names: []string{"Maître Paul", "Paul"}, Role: RoleHost, Signed: 6, Duration: 59 * time.Minute,
			Periods: []AttendancePeriod{period(1, EntryAdmitted, 0, 60, ExitEnded, 0)}, Resumed: []time.Time{at(20)},
			Roles: []RoleChange{{At: at(2), Role: RoleHost, By: id(0)}}},
		{Identity: id(2), Names: []string{"=HYPERLINK(\"x\")"}, Role: RoleMember, Signed: 1, Duration: 22 * time.Minute,
			Periods: []AttendancePeriod{period(3, EntryAdmitted, 1, 25, ExitLeft, 2)}},
		{Identity: id(3), Names: []string{"Guest"}, Role: RoleViewer, Duration: 21 * time.Minute,
			Periods: []AttendancePeriod{period(4, EntryAdmitted, 1, 10, ExitRemoved, 1), period(15, EntryAdmitted, 0, 30, ExitBanned, 1)},
			Roles:   []RoleChange{{At: at(26), Role: RoleViewer, By: id(1)}}},
	}
	if len(a.People) != len(want) {
		t.Fatalf("%+v", a.People)
	}
	for i := range want {
		got, _ := json.Marshal(a.People[i])
		if expect, _ := json.Marshal(want[i]); !bytes.Equal(got, expect) {
			t.Errorf("%s\nwant %s", got, expect)
		}
	}
	if a.Began != at(0) || a.Ended != at(60) || a.EndedBy != id(0) || a.Meeting != c.meeting || a.Creator != id(0) {
		t.Errorf("%+v", a)
	}
	if len(a.Remarks) != 1 || a.Remarks[0] != (AttendanceRemark{Kind: RemarkClocks, Who: id(0), Other: id(1), By: 10 * time.Minute}) {
		t.Errorf("%+v", a.Remarks)
	}
	// Another member, to whom it all came in another order, has the same file.
	other := must[*Set](t)(NewSet(c.genesis, c.meeting))
	for _, n := range slices.Backward(c.set.nodes) {
		_, _ = other.Add(n.raw)
	}
	b := other.Roster().Attendance()
	file := a.Encode()
	if other.Len() != c.set.Len() || !bytes.Equal(file, b.Encode()) {
		t.Error("the same operations gave another file")
	}
	back, err := VerifyAttendance(file)
	if err != nil || !bytes.Equal(back.Encode(), file) {
		t.Errorf("it doesn't come back: %v", err)
	}
	// Mail and editors change white space.
	mailed := append(bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")), "\n\n"...)
	must[Attendance](t)(VerifyAttendance(mailed))
	if (&Attendance{}).Encode() != nil {
		t.Error("a record of nothing is encoded")
	}
	if *updateRecord {
		if err := os.WriteFile("testdata/attendance.json", file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAttendanceGolden: records of earlier versions remain valid, byte for byte.
func TestAttendanceGolden(t *testing.T) {
	data, err := os.ReadFile("testdata/attendance.json")
	if err != nil {
		t.Fatal(err)
	}
	if a := must[Attendance](t)(VerifyAttendance(data)); len(a.People) != 4 || !bytes.Equal(a.Encode(), data) {
		t.Errorf("%+v", a.People)
	}
}

// TestAttendanceIsTheRoster: in whatever a set holds, back-dated and forked, whoever the fold says is in, and nobody
// else, is present by the record; and the order of arrival changes nothing.
func TestAttendanceIsTheRoster(t *testing.T) {
	sets := 1200
	if testing.Short() {
		sets = 300
	}
	present, periods := 0, 0
	for seed := range sets {
		h := newHistory(newRand(uint64(7000 + seed)))
		h.grow(10+seed%50, nil, true)
		r := h.set.Roster()
		a := r.Attendance()
		in := map[crypto.IdentityKey]bool{}
		for _, p := range a.People {
			in[p.Identity] = p.Present
			for i := range p.Periods {
				periods++
				if last := i == len(p.Periods)-1; (p.Periods[i].Exit == "") != (p.Present && last) {
					t.Fatalf("set %d: %+v", seed, p)
				}
			}
		}
		for _, p := range r.fold.people {
			is := r.fold.current(p) != nil && !r.Ended
			if m := r.Member(p.id); is && m == nil {
				is = false // another has the same meeting key
			}
			if in[p.id] != is {
				t.Fatalf("set %d: the roster has %v: %v, the record %v", seed, p.id, is, in[p.id])
			}
			if is {
				present++
			}
		}
		if seed%10 == 0 {
			s := trustingSet()
			root := h.set.nodes[0]
			if err := s.insert(root.op, root.raw, root.hash); err != nil {
				t.Fatal(err)
			}
			for _, n := range slices.Backward(h.set.nodes[1:]) {
				_, _ = s.Add(n.raw)
			}
			if b := s.Roster().Attendance(); !bytes.Equal(a.Encode(), b.Encode()) {
				t.Fatalf("set %d: another record by another order of arrival", seed)
			}
		}
	}
	t.Logf("%d present, %d periods", present, periods)
	if present < sets/2 || periods < 3*sets/2 {
		t.Error("the histories are too dull to show anything")
	}
}

// TestAttendanceForged covers ATT-1, ATT-2 and ATT-4: a record that was changed anywhere is refused. The twins, without the
// check, take it.
func TestAttendanceForged(t *testing.T) {
	c, _, l := hearing(t)
	a := c.set.Roster().Attendance()
	file := a.Encode()
	replace := func(from, to string) func() []byte {
		return func() []byte {
			if !bytes.Contains(file, []byte(from)) {
				t.Fatalf("%q isn't in the file", from)
			}
			return bytes.Replace(file, []byte(from), []byte(to), 1)
		}
	}
	operations := func(f func([]string) []string) func() []byte {
		return func() []byte {
			text := a.text
			text.Operations = f(slices.Clone(text.Operations))
			return must[[]byte](t)(json.Marshal(text))
		}
	}
	last := len(a.text.Operations) - 1
	readable, unsigned := protections{recordText: true}, true
	for name, tt := range map[string]struct {
		forge func() []byte
		off   *protections // the twin's
		trust bool         // the twin checks no signature
	}{
		"a name":      {replace(`"Guest"`, `"Judge"`), &readable, false},
		"a time":      {replace(`"to": "2026-01-02T10:25`, `"to": "2026-01-02T11:25`), &readable, false},
		"the warning": {replace("proves to anyone", "proves to nobody"), &readable, false},
		"a person less": {func() []byte {
			text := a.text
			text.People = slices.Clone(text.People)[:3]
			return must[[]byte](t)(json.Marshal(text))
		}, &readable, false},
		"a field more":      {replace(`"creator":`, `"judge": "yes", "creator":`), &readable, false},
		"a field twice":     {replace(`"began":`, `"began": "1999", "began":`), &readable, false},
		"another case":      {replace(`"began":`, `"Began":`), &readable, false},
		"an escape":         {replace(`"Guest"`, `"\u0047uest"`), &readable, false},
		"another format":    {replace("attendance 1", "attendance 2"), nil, false},
		"another meeting":   {replace(`"meeting": "`, `"meeting": "00`), nil, false},
		"a bit of genesis":  {replace(`"genesis": "p`, `"genesis": "q`), nil, false},
		"what comes after":  {func() []byte { return append(slices.Clone(file), "{}"...) }, nil, false},
		"nothing":           {func() []byte { return nil }, nil, false},
		"no operations":     {operations(func([]string) []string { return nil }), nil, false},
		"one missing":       {operations(func(o []string) []string { return slices.Delete(o, 3, 4) }), nil, false},
		"one twice":         {operations(func(o []string) []string { return append(o, o[last]) }), nil, false},
		"another order":     {operations(func(o []string) []string { o[last], o[last-1] = o[last-1], o[last]; return o }), nil, false},
		"one that is none":  {operations(func(o []string) []string { o[2] = "AAAA"; return o }), nil, false},
		"one not in base64": {operations(func(o []string) []string { o[2] = "!"; return o }), nil, false},
		"too many":          {operations(func(o []string) []string { return make([]string, maxAttendanceOperations+1) }), nil, false},
		"a wrong signature": {operations(func(o []string) []string {
			raw := must[[]byte](t)(base64.StdEncoding.DecodeString(o[last]))
			raw[len(raw)-1] ^= 1
			o[last] = base64.StdEncoding.EncodeToString(raw)
			return o
		}), &readable, unsigned},
		"the end left out": {operations(func(o []string) []string { return o[:last] }), &readable, false}, // the table says when it ended
	} {
		forged := tt.forge()
		_, err := VerifyAttendance(forged)
		var bad *AttendanceError
		if !errors.As(err, &bad) || strings.Contains(bad.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if tt.off != nil {
			if _, err := verifyAttendance(forged, *tt.off, tt.trust); err != nil {
				t.Errorf("%s: the twin refuses it: %v", name, err)
			}
		}
	}
	// ATT-4: nothing by which anybody enters or is reached. (Control: the invite's public key is there.)
	key := l.invite.Secret.Key()
	secret := must[[]byte](t)(l.invite.Secret.MarshalCBOR())[2:]
	for what, tt := range map[string]struct {
		b    []byte
		want bool
	}{"the invite's key": {key[:], true}, "the secret": {secret, false}} {
		found := slices.ContainsFunc(a.raws, func(raw []byte) bool { return bytes.Contains(raw, tt.b) })
		check(t, what, found, tt.want)
	}
}

// TestAttendanceLimits covers ATT-3: what is too long isn't read, though only white space makes it so, and of too many
// operations none is looked at. Twin: it is read, and they are.
func TestAttendanceLimits(t *testing.T) {
	c := newCast(t, DefaultPolicy())
	a := c.set.Roster().Attendance()
	long := append(a.Encode(), bytes.Repeat([]byte(" "), MaxAttendanceSize)...)
	text := a.text
	text.Operations = make([]string, maxAttendanceOperations+1)
	many := must[[]byte](t)(json.Marshal(text))
	for name, tt := range map[string]struct {
		record        []byte
		refused, twin string
	}{
		"too long": {long, "it is too long", ""},
		"too many": {many, "more operations than a meeting can have", "its operation 1 is wrong"},
	} {
		for reason, off := range map[string]protections{tt.refused: {}, tt.twin: {recordSize: true}} {
			_, err := verifyAttendance(tt.record, off, false)
			if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
				t.Errorf("%s, twin %v: %v", name, off.recordSize, err)
			}
		}
	}
}

// TestAttendanceDoubts covers ATT-5: clocks that contradict each other, void admissions and forks are remarked, and
// nothing is made of them. Twin: nobody learns that the creator back-dated by an hour.
func TestAttendanceDoubts(t *testing.T) {
	c := newCast(t, DefaultPolicy())
	creator, plain, puppet := c.people[0], c.stranger("plain"), c.stranger("puppet")
	l := c.invite(creator)
	c.admitAt(60, creator, plain, l)
	in := c.set.Heads()
	c.doAt(56, plain, Body{SetRole: &SetRole{Introduction: plain.intro, Role: RoleHost}}) // void: counts for nothing
	c.doAt(55, creator, policy(Ask), in...)                                               // within the tolerance
	c.doAt(30, plain, l.admit(plain, puppet))                                             // no right to
	c.doAt(54, creator, policy(Open))                                                     // six minutes before 60
	c.doAt(10, creator, policy(Ask))
	c.doAt(70, plain, Body{Leave: &Leave{}}, in...) // beside its own: a fork
	a := c.set.Roster().Attendance()
	id := func(x *actor) crypto.IdentityKey { return x.identity.Public() }
	want := []AttendanceRemark{
		{Kind: RemarkVoidAdmission, Who: id(puppet), Name: "puppet", Other: id(plain), Reason: VoidNoRight},
		{Kind: RemarkClocks, Who: id(creator), Other: id(creator), By: 50 * time.Minute},
		{Kind: RemarkEquivocation, Who: id(plain)},
	}
	if len(a.People) != 2 || !slices.Equal(a.Remarks, want) {
		t.Errorf("%+v, want %+v", a.Remarks, want)
	}
	if !a.People[1].Equivocated || a.People[1].Duration != 10*time.Minute {
		t.Errorf("%+v", a.People[1])
	}
	twin := c.set.foldWithout(protections{clocks: true}).Attendance()
	if want := slices.Delete(slices.Clone(want), 1, 2); !slices.Equal(twin.Remarks, want) {
		t.Errorf("twin: %+v", twin.Remarks)
	}
	back := must[Attendance](t)(VerifyAttendance(a.Encode()))
	if !slices.Equal(back.Remarks, want) {
		t.Errorf("after the file: %+v", back.Remarks)
	}
}

// TestAttendanceCSV covers ATT-6. Twin: a spreadsheet would run what somebody is called.
func TestAttendanceCSV(t *testing.T) {
	c, _, _ := hearing(t)
	a := c.set.Roster().Attendance()
	a.People = nil // the file is what was signed, whatever the fields say now
	var b bytes.Buffer
	if err := a.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows := must[[][]string](t)(csv.NewReader(&b).ReadAll())
	if len(rows) != 6 || rows[1][0] != "creator" || rows[2][0] != "Maître Paul / Paul" || rows[3][0] != `'=HYPERLINK("x")` {
		t.Fatalf("%q", rows)
	}
	if got := strings.Join(rows[3][2:5], " ") + " " + rows[3][5] + " " + rows[3][11]; got != "member 2026-01-02T10:03:00.000Z admitted Paul 1320" {
		t.Error(got)
	}
	b.Reset()
	twin := c.set.foldWithout(protections{formulas: true}).Attendance()
	if err := twin.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	if rows := must[[][]string](t)(csv.NewReader(&b).ReadAll()); rows[3][0] != `=HYPERLINK("x")` {
		t.Errorf("twin: %q", rows[3])
	}
	for in, want := range map[string]string{
		"Paul": "Paul", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@SUM(1)": "'@SUM(1)", "|x": "'|x", "%x": "'%x",
		"  =1": "'  =1", "\u200b=1": "'\u200b=1", "\u00a0＝1": "'\u00a0＝1", "a=1": "a=1", "": "", "  ": "  ", "−1": "'−1",
	} {
		if got := csvCell(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// FuzzAttendance: nothing makes the reader fail otherwise than by an error, and what it takes comes back the same.
func FuzzAttendance(f *testing.F) {
	c := newCast(f, DefaultPolicy())
	c.do(c.people[0], policy(Locked))
	a := c.set.Roster().Attendance()
	f.Add(a.Encode())
	f.Add(must[[]byte](f)(json.Marshal(a.text)))
	f.Add([]byte(`{"format":"huisclos attendance 1","operations":[""]}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := VerifyAttendance(data)
		if err == nil && !sameJSON(a.Encode(), data) {
			t.Fatal("read and written it differs")
		}
	})
}

// BenchmarkVerifyAttendance is the check of a record of 200 admissions, beside its signatures alone.
func BenchmarkVerifyAttendance(b *testing.B) {
	c := newCast(b, DefaultPolicy())
	for range 200 {
		c.join(c.people[0], "x")
	}
	a := c.set.Roster().Attendance()
	file := a.Encode()
	b.Run("record", func(b *testing.B) {
		b.SetBytes(int64(len(file)))
		for b.Loop() {
			if _, err := VerifyAttendance(file); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("set alone", func(b *testing.B) {
		for b.Loop() {
			s, _ := NewSet(c.genesis, c.meeting)
			for _, n := range c.set.nodes {
				if _, err := s.Add(n.raw); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
