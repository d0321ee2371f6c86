package roster

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/huisclos/huisclos/crypto"
)

// Limits of an attendance record (ATT-3).
const (
	// MaxAttendanceSize is the most bytes of a record that VerifyAttendance looks at.
	MaxAttendanceSize = 64 << 20

	maxAttendanceOperations = MaxOperations + creatorReserve
	// The number changes with any sentence or rule that a file follows from, or older files would be refused (ATT-2).
	attendanceFormat = "huisclos attendance 1"
	attendanceTime   = "2006-01-02T15:04:05.000Z"
)

// attendanceText is the file. Its order is the JSON's; all but Genesis and Operations follows from those (ATT-2).
type attendanceText struct {
	Format     string         `json:"format"`
	Warning    string         `json:"warning"`
	Meeting    string         `json:"meeting"`
	Creator    personText     `json:"creator"`
	Began      string         `json:"began"`
	Ended      string         `json:"ended,omitempty"`
	EndedBy    *personText    `json:"ended_by,omitempty"`
	People     []attendeeText `json:"people"`
	Remarks    []remarkText   `json:"remarks,omitempty"`
	Genesis    string         `json:"genesis"`
	Operations []string       `json:"operations"`
}

type personText struct {
	Name     string `json:"name,omitempty"`
	Identity string `json:"identity"`
}

type attendeeText struct {
	Names       []string         `json:"names"`
	Identity    string           `json:"identity"`
	Role        string           `json:"role"`
	Periods     []periodText     `json:"periods"`
	Roles       []roleChangeText `json:"roles,omitempty"`
	Resumed     []string         `json:"resumed,omitempty"`
	Seconds     int64            `json:"seconds"`
	Present     bool             `json:"present,omitempty"`
	Signed      int              `json:"signed"`
	Equivocated bool             `json:"equivocated,omitempty"`
}

type periodText struct {
	From    string      `json:"from"`
	Entry   string      `json:"entry"`
	By      personText  `json:"by"`
	To      string      `json:"to,omitempty"`
	Exit    string      `json:"exit,omitempty"`
	OutBy   *personText `json:"out_by,omitempty"`
	Seconds int64       `json:"seconds,omitempty"`
}

type roleChangeText struct {
	At   string     `json:"at"`
	Role string     `json:"role"`
	By   personText `json:"by"`
}

type remarkText struct {
	Kind    RemarkKind  `json:"kind"`
	Who     personText  `json:"who"`
	Other   *personText `json:"other,omitempty"`
	Seconds int64       `json:"seconds,omitempty"`
	Reason  Void        `json:"reason,omitempty"`
	Text    string      `json:"text"`
}

// operationsText is the operations in base64. It refuses to be more than a meeting has before it makes room for them.
type operationsText struct {
	all []string
	off protections
}

// UnmarshalJSON refuses too many (ATT-3).
func (o *operationsText) UnmarshalJSON(raw []byte) error {
	if bytes.Count(raw, []byte{'"'}) > 2*maxAttendanceOperations && !o.off.recordSize {
		return &AttendanceError{Reason: "it has more operations than a meeting can have"}
	}
	return json.Unmarshal(raw, &o.all)
}

// AttendanceError says why something isn't a genuine attendance record.
type AttendanceError struct {
	Reason string // one sentence without a full stop
	Err    error  // the reason's reason, or nil
}

// Error is one sentence for the person who has the file.
func (e *AttendanceError) Error() string {
	if e.Err != nil {
		return "this is no genuine attendance record: " + e.Reason + ": " + e.Err.Error()
	}
	return "this is no genuine attendance record: " + e.Reason
}

// Unwrap returns the reason's reason.
func (e *AttendanceError) Unwrap() error { return e.Err }

// Name is what a person of the record called themselves last, or empty.
func (a *Attendance) Name(who crypto.IdentityKey) string {
	for i := range a.People {
		if a.People[i].Identity == who && len(a.People[i].Names) > 0 {
			return a.People[i].Names[len(a.People[i].Names)-1]
		}
	}
	return ""
}

// Encode returns the record as one self-contained file: JSON, readable, with the signed operations it follows from. All
// who have the same operations get the same bytes. What the exported fields say now doesn't matter. It is empty for an
// Attendance that is neither a Roster's nor verified.
func (a *Attendance) Encode() []byte {
	if a.genesis == nil {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(a.text); err != nil {
		panic("roster: " + err.Error()) // it holds nothing but text and numbers
	}
	return b.Bytes()
}

// VerifyAttendance reads a record and checks it, offline and without knowing anybody: that its operations are those of
// the meeting it names, each signed by its author, that none they build on is missing, and that everything readable in
// it follows from them (ATT-1 to ATT-3). The error is an *AttendanceError.
//
// What it can't say: whose the keys are; whether the clocks were right; whether whoever made the record left out the
// last operations, on which nothing builds; and what anybody heard or saw.
func VerifyAttendance(data []byte) (Attendance, error) {
	return verifyAttendance(data, protections{}, false)
}

// verifyAttendance lets tests switch protections off.
func verifyAttendance(data []byte, off protections, trusting bool) (Attendance, error) {
	fail := func(reason string, err error) (Attendance, error) {
		return Attendance{}, &AttendanceError{Reason: reason, Err: err}
	}
	if len(data) > MaxAttendanceSize && !off.recordSize { // ATT-3
		return fail("it is too long", nil)
	}
	var t struct { // the rest is compared as a whole
		Format     string         `json:"format"`
		Meeting    string         `json:"meeting"`
		Genesis    string         `json:"genesis"`
		Operations operationsText `json:"operations"`
	}
	t.Operations.off = off
	var many *AttendanceError
	if err := json.Unmarshal(data, &t); errors.As(err, &many) {
		return Attendance{}, many
	} else if err != nil {
		return fail("it isn't such a file, or was cut", nil)
	}
	if t.Format != attendanceFormat {
		return fail("it is of another format or version", nil)
	}
	var meeting crypto.MeetingID
	if raw, err := hex.DecodeString(t.Meeting); err != nil || copy(meeting[:], raw) != len(meeting) || len(raw) != len(meeting) {
		return fail("its meeting ID isn't one", nil)
	}
	genesis, err := base64.StdEncoding.DecodeString(t.Genesis)
	if err != nil {
		return fail("its genesis isn't base64", nil)
	}
	set, err := NewSet(genesis, meeting) // ATT-1
	if err != nil {
		return fail("it doesn't begin as its meeting did", err)
	}
	set.archive, set.trusting = true, trusting
	if err := set.fill(t.Operations.all); err != nil {
		return Attendance{}, err
	}
	a := set.Roster().Attendance()
	if !sameJSON(data, a.Encode()) && !off.recordText { // ATT-2
		return fail("what it says isn't what was signed", nil)
	}
	return a, nil
}

// fill adds the operations of a record, which are all there, each once, parents first (ATT-1).
func (s *Set) fill(operations []string) error {
	for i, text := range operations {
		raw, err := base64.StdEncoding.DecodeString(text)
		out := Outcome(0)
		if err == nil {
			out, err = s.Add(raw)
		}
		switch {
		case err != nil:
			return &AttendanceError{Reason: fmt.Sprintf("its operation %d is wrong", i+1), Err: err}
		case out != Added:
			return &AttendanceError{Reason: fmt.Sprintf("its operation %d builds on one that is missing, or is there twice", i+1)}
		}
	}
	if len(operations) == 0 {
		return &AttendanceError{Reason: "nothing happened in it"}
	}
	return nil
}

// sameJSON compares two texts but for white space between tokens, which mail and editors change.
func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// write makes the file's content.
func (a *Attendance) write() attendanceText {
	names := map[crypto.IdentityKey]string{}
	for i := range a.People {
		if n := a.People[i].Names; len(n) > 0 {
			names[a.People[i].Identity] = n[len(n)-1]
		}
	}
	who := func(id crypto.IdentityKey) personText { return personText{names[id], hex.EncodeToString(id[:])} }
	maybe := func(id crypto.IdentityKey) *personText {
		if id.IsZero() {
			return nil
		}
		p := who(id)
		return &p
	}
	t := attendanceText{
		Format: attendanceFormat, Warning: a.Warning, Meeting: hex.EncodeToString(a.Meeting[:]), Creator: who(a.Creator),
		Began: timeText(a.Began), Ended: timeText(a.Ended), EndedBy: maybe(a.EndedBy),
		Genesis: base64.StdEncoding.EncodeToString(a.genesis), People: []attendeeText{}, Operations: []string{},
	}
	for _, p := range a.People {
		v := attendeeText{
			Names: slices.Clone(p.Names), Identity: hex.EncodeToString(p.Identity[:]), Role: p.Role.String(), Present: p.Present,
			Signed: p.Signed, Equivocated: p.Equivocated, Seconds: int64(p.Duration / time.Second), Periods: []periodText{},
		}
		for _, d := range p.Periods {
			v.Periods = append(v.Periods, periodText{
				timeText(d.From), d.Entry, who(d.By), timeText(d.To), d.Exit, maybe(d.OutBy), int64(d.Duration() / time.Second),
			})
		}
		for _, r := range p.Roles {
			v.Roles = append(v.Roles, roleChangeText{timeText(r.At), r.Role.String(), who(r.By)})
		}
		for _, at := range p.Resumed {
			v.Resumed = append(v.Resumed, timeText(at))
		}
		t.People = append(t.People, v)
	}
	for _, r := range a.Remarks {
		v := remarkText{Kind: r.Kind, Who: who(r.Who), Other: maybe(r.Other), Seconds: int64(r.By / time.Second), Reason: r.Reason}
		if r.Name != "" {
			v.Who.Name = r.Name
		}
		v.Text = v.sentence()
		t.Remarks = append(t.Remarks, v)
	}
	for _, raw := range a.raws {
		t.Operations = append(t.Operations, base64.StdEncoding.EncodeToString(raw))
	}
	return t
}

func (r *remarkText) sentence() string {
	other := ""
	if r.Other != nil {
		other = strconv.Quote(r.Other.Name)
	}
	who := strconv.Quote(r.Who.Name)
	switch r.Kind {
	case RemarkClocks:
		return fmt.Sprintf("the clocks of %s and %s disagree by at least %d seconds", who, other, r.Seconds)
	case RemarkVoidAdmission:
		return fmt.Sprintf("%s's admission by %s has no effect: %s", who, other, r.Reason)
	}
	return who + " signed two histories that exclude each other"
}

// timeText is empty for the zero time. All times are in UTC, with milliseconds, as they were signed.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(attendanceTime)
}

// WriteCSV writes one line for each period, for a spreadsheet: a plain export that proves nothing. It is RFC 4180 in UTF-8
// without a byte order mark, times in UTC. A text that a spreadsheet would take for a formula gets an apostrophe before
// it (ATT-6).
func (a *Attendance) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write([]string{"name", "identity", "role", "from", "entry", "by", "by_identity", "to", "exit", "out_by", "out_by_identity", "seconds", "meeting"})
	for i := range a.text.People {
		p := &a.text.People[i]
		for _, d := range p.Periods {
			seconds, outBy := "", personText{}
			if d.To != "" {
				seconds = strconv.FormatInt(d.Seconds, 10)
			}
			if d.OutBy != nil {
				outBy = *d.OutBy
			}
			row := []string{strings.Join(p.Names, " / "), p.Identity, p.Role, d.From, d.Entry, d.By.Name, d.By.Identity, d.To, d.Exit, outBy.Name, outBy.Identity, seconds, a.text.Meeting}
			for j := range row {
				if !a.off.formulas {
					row[j] = csvCell(row[j])
				}
			}
			_ = out.Write(row)
		}
	}
	out.Flush()
	return out.Error()
}

// csvCell makes a text harmless to spreadsheets (ATT-6): they take what begins with one of these for a formula, and some
// pass over white space and invisible characters before it. The wide forms count as well.
func csvCell(s string) string {
	rest := strings.TrimLeftFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.IsMark(r) })
	if rest != "" && strings.ContainsRune("=+-@|%＝＋－＠﹦﹢﹣﹫−", []rune(rest)[0]) {
		return "'" + s
	}
	return s
}
