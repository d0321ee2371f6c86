package main

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// maxKeptAttendance is the longest record that the history takes, in bytes. One of a hundred people has a tenth of it.
const maxKeptAttendance = 4 << 20

func init() { add("attendance", on((*agent).attendance)) }

func (a *agent) attendance(ctx context.Context, r attendance) (any, error) {
	record, err := a.attendanceOf(ctx, r.Meeting)
	if err != nil {
		return nil, err
	}
	switch r.Format {
	case "show":
		return attendanceTable(&record), nil
	case "json":
		return a.offerDownload("huisclos-attendance.json", "application/json", record.Encode())
	case "csv":
		var b bytes.Buffer
		if err := record.WriteCSV(&b); err != nil {
			return nil, err
		}
		return a.offerDownload("huisclos-attendance.csv", "text/csv; charset=utf-8", b.Bytes())
	}
	return nil, fail(badRequest)
}

// attendanceOf is the record of the meeting that is on, or was last, or of one in the history.
func (a *agent) attendanceOf(ctx context.Context, kept string) (meet.AttendanceRecord, error) {
	if kept != "" {
		return a.keptAttendance(kept)
	}
	a.mu.Lock()
	m := a.last
	if a.session != nil {
		m = a.session.meeting
	}
	a.mu.Unlock()
	if m == nil {
		return meet.AttendanceRecord{}, fail(notInMeeting)
	}
	return m.Attendance(ctx)
}

func (a *agent) keptAttendance(id string) (none meet.AttendanceRecord, _ error) {
	a.mu.Lock()
	c := a.keep.contents
	var d *keptData
	if c != nil {
		for _, m := range c.History.Meetings {
			if m.ID == id {
				d = &keptData{}
				_ = json.Unmarshal(m.Data, d)
			}
		}
	}
	a.mu.Unlock()
	switch {
	case c == nil:
		return none, fail(storeLocked)
	case d == nil:
		return none, fail(badRequest)
	case d.Attendance == "": // it was too long, or kept by an older version
		return none, fail(unavailable)
	}
	record, err := meet.VerifyAttendance([]byte(d.Attendance))
	if err != nil {
		return none, fail(storeDamaged)
	}
	return record, nil
}

// attendanceText is the record of a meeting that is over, for the history; empty if it is too long.
func attendanceText(m *meet.Meeting) string {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	record, err := m.Attendance(ctx)
	if err != nil {
		return ""
	}
	if raw := record.Encode(); len(raw) <= maxKeptAttendance {
		return string(raw)
	}
	return ""
}

var exits = map[string]string{
	"": "in", meet.ExitLeft: "left", meet.ExitRemoved: "removed", meet.ExitBanned: "banned", meet.ExitEnded: "ended", meet.ExitVoid: "left",
}

// attendanceTable is a record to be shown and printed: a line for each time somebody was in.
func attendanceTable(r *meet.AttendanceRecord) attendanceShown {
	milliseconds := func(t time.Time) int64 { return max(0, milliseconds(t)) } // their clocks, and anything
	out := attendanceShown{Meeting: hexOf(r.Meeting[:]), Began: milliseconds(r.Began), Ended: milliseconds(r.Ended), Rows: []attendanceLine{}}
	for _, p := range r.People {
		name := cleanName(r.Name(p.Identity))
		for _, in := range p.Periods {
			line := attendanceLine{
				ID: hexKey(p.Identity), Name: name, Role: roleNames[p.Role], Joined: milliseconds(in.From), Left: milliseconds(in.To),
				How: exits[in.Exit], Signed: p.Signed > 0,
			}
			if in.OutBy != (crypto.IdentityKey{}) && in.OutBy != p.Identity {
				line.By = cleanName(r.Name(in.OutBy))
			}
			if in.By != (crypto.IdentityKey{}) && in.By != p.Identity {
				line.AdmittedBy = cleanName(r.Name(in.By))
			}
			out.Rows = append(out.Rows, line)
		}
	}
	return out
}
