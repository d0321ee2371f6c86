package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

func (p *testPage) attendance(fields map[string]any) (shown attendanceShown) {
	p.t.Helper()
	raw, _ := json.Marshal(p.must("attendance", fields))
	if err := json.Unmarshal(raw, &shown); err != nil {
		p.t.Fatal(err)
	}
	return shown
}

// TestAttendance: the record during the meeting, after it and from the history: as a table, as a file that anyone can
// check, and for a spreadsheet.
func TestAttendance(t *testing.T) {
	t.Parallel()
	host, ada := meetTwo(t, nil)
	id, self := other(host).ID, get[*meeting](host, "meeting").Self
	host.must("store-create", map[string]any{"passphrase": testPassphrase})
	host.must("store-history", map[string]any{"on": true})
	shown := host.attendance(map[string]any{"format": "show"})
	if shown.Meeting != get[*meeting](host, "meeting").ID || shown.Began == 0 || shown.Ended != 0 || len(shown.Rows) != 2 {
		t.Fatalf("%+v", shown)
	}
	if r := shown.Rows[0]; r.ID != self || r.Name != "Maître Dupont" || r.Role != "host" || r.How != "in" || r.Left != 0 || !r.Signed {
		t.Errorf("%+v", r)
	}
	if r := shown.Rows[1]; r.ID != id || r.Name != "Ada" || r.Role != "participant" || r.How != "in" || r.Joined < shown.Began {
		t.Errorf("%+v", r)
	}
	host.must("remove", map[string]any{"member": id})
	ada.untilPhase("ended")
	check := func(p *testPage, fields map[string]any) {
		t.Helper()
		with := func(format string) map[string]any {
			fields["format"] = format
			return fields
		}
		shown := p.attendance(with("show"))
		if len(shown.Rows) != 2 || shown.Rows[1].How != "removed" || shown.Rows[1].By != "Maître Dupont" || shown.Rows[1].Left < shown.Rows[1].Joined {
			t.Errorf("%+v", shown)
		}
		file := p.must("attendance", with("json"))
		raw := p.download(file["url"])
		if record, err := meet.VerifyAttendance(raw); err != nil || len(record.People) != 2 || hexOf(record.Meeting[:]) != shown.Meeting {
			t.Error(err, len(record.People))
		}
		if _, err := meet.VerifyAttendance([]byte(strings.Replace(string(raw), "Ada", "Eve", 1))); err == nil {
			t.Error("a record that was changed is taken")
		}
		if csv := string(p.download(p.must("attendance", with("csv"))["url"])); !strings.Contains(csv, "Ada") || strings.Contains(csv, "127.0.0.1") {
			t.Error(csv)
		}
	}
	check(host, map[string]any{})
	check(ada, map[string]any{})
	host.must("end", nil)
	host.untilPhase("ended")
	for _, p := range []*testPage{host, ada} {
		if e := get[phase](p, "phase").Ended; !e.Attendance || e.Kept != (p == host) {
			t.Errorf("%+v", e)
		}
	}
	check(host, map[string]any{})
	if shown := host.attendance(map[string]any{"format": "show"}); shown.Ended == 0 || shown.Rows[0].How != "ended" {
		t.Errorf("%+v", shown)
	}
	host.must("done", nil)
	if _, refused := host.ask("attendance", map[string]any{"format": "show"}); refused != notInMeeting {
		t.Error("forgotten, and there:", refused)
	}
	host.until("history", func() bool { return len(part[store](host, "store").Kept) == 1 })
	kept := get[store](host, "store").Kept[0].ID
	check(host, map[string]any{"meeting": kept})
	host.must("history-delete", map[string]any{"meeting": kept})
	if _, refused := host.ask("attendance", map[string]any{"format": "show", "meeting": kept}); refused != badRequest {
		t.Error("deleted, and there:", refused)
	}
}

// TestAttendanceTable: whatever a record says is shown harmlessly.
func TestAttendanceTable(t *testing.T) {
	who, by := crypto.IdentityKey{1}, crypto.IdentityKey{2}
	record := meet.AttendanceRecord{Began: time.UnixMilli(5000), People: []meet.Attendee{
		{Identity: who, Names: []string{"A", "<b>\u202eB"}, Role: meet.Viewer, Periods: []meet.AttendancePeriod{
			{From: time.UnixMilli(5000), By: by, To: time.UnixMilli(6000), Exit: meet.ExitLeft, OutBy: who},
			{From: time.UnixMilli(-7), Exit: meet.ExitVoid},
			{From: time.UnixMilli(7000), To: time.UnixMilli(8000), Exit: meet.ExitBanned, OutBy: by},
		}},
		{Identity: by, Names: []string{"Host"}, Role: meet.Host, Signed: 3, Periods: []meet.AttendancePeriod{{From: time.UnixMilli(5000), By: by}}},
	}}
	want := []attendanceLine{
		{ID: hexKey(who), Name: "<b>B", Role: "viewer", Joined: 5000, Left: 6000, How: "left", AdmittedBy: "Host"},
		{ID: hexKey(who), Name: "<b>B", Role: "viewer", How: "left"},
		{ID: hexKey(who), Name: "<b>B", Role: "viewer", Joined: 7000, Left: 8000, How: "banned", By: "Host"},
		{ID: hexKey(by), Name: "Host", Role: "host", Joined: 5000, How: "in", Signed: true},
	}
	got := attendanceTable(&record).Rows
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}
