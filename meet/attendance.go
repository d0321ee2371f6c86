package meet

import (
	"context"

	"github.com/huisclos/huisclos/roster"
)

// The attendance record is the roster's (SPEC §6.7).
type (
	// AttendanceRecord is who was in a meeting, when and by whose word, with the signed operations that prove it.
	// Encode makes a file of it, WriteCSV a plain table.
	AttendanceRecord = roster.Attendance
	// Attendee is one person's part in a meeting.
	Attendee = roster.Attendee
	// AttendancePeriod is from an entry to the exit that follows it.
	AttendancePeriod = roster.AttendancePeriod
	// AttendanceRemark is something in a record that is doubtful.
	AttendanceRemark = roster.AttendanceRemark
	// AttendanceError says why something isn't a genuine attendance record.
	AttendanceError = roster.AttendanceError
)

// The kinds of entry, exit and remark of a record.
const (
	EntryCreated  = roster.EntryCreated
	EntryAdmitted = roster.EntryAdmitted
	EntryResumed  = roster.EntryResumed
	EntryPromoted = roster.EntryPromoted

	ExitLeft    = roster.ExitLeft
	ExitRemoved = roster.ExitRemoved
	ExitBanned  = roster.ExitBanned
	ExitEnded   = roster.ExitEnded
	ExitVoid    = roster.ExitVoid

	RemarkClocks        = roster.RemarkClocks
	RemarkVoidAdmission = roster.RemarkVoidAdmission
	RemarkEquivocation  = roster.RemarkEquivocation
)

// MaxAttendanceSize is the most bytes of a record that VerifyAttendance looks at.
const MaxAttendanceSize = roster.MaxAttendanceSize

// Attendance returns the attendance record as far as this member knows it: at any time, and also after the meeting has
// ended here, by whatever way, for as long as the Meeting is kept. It holds what was signed and nothing this member
// observed: no address, no link, and not who was away (ATT-4).
//
// It proves to anyone who has it that these people met. Nothing makes it but this call, and nothing writes it down but
// the caller. The error is ctx's.
func (m *Meeting) Attendance(ctx context.Context) (AttendanceRecord, error) {
	r, err := callAnyTime(ctx, m, m.set.Roster)
	if err != nil {
		return AttendanceRecord{}, err
	}
	return r.Attendance(), nil
}

// VerifyAttendance reads a record and checks it, offline and without knowing anybody: that its operations are those of
// the meeting it names, each signed by its author, that none they build on is missing, and that all that is readable in
// it follows from them (ATT-1 to ATT-3). The error is an *AttendanceError.
//
// What it can't say: whose the keys are; whether the clocks were right; whether whoever made the record left out the
// last operations, on which nothing builds; and what anybody heard or saw.
func VerifyAttendance(data []byte) (AttendanceRecord, error) { return roster.VerifyAttendance(data) }
