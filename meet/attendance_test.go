package meet_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestAttendance covers ATT-4 in a whole meeting: the record can be taken while it goes on and after its end, is the same for all who
// know the same, verifies offline, and holds no address, no secret and nothing anybody observed.
func TestAttendance(t *testing.T) {
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		begin := time.Now()
		host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		a := must[*meettest.Member](t)(w.JoinBy(ctx, "a", invite, meet.Config{Name: "Maître A"}))
		b := must[*meettest.Member](t)(w.JoinBy(ctx, "b", invite, meet.Config{}))
		connected(t, ctx, host, a, b)
		w.Advance(time.Minute)
		who := self(t, ctx, a).Identity
		ok(t, host.Remove(ctx, self(t, ctx, b).Identity, false))
		<-b.Context().Done()
		w.Advance(time.Second)
		ips := [][]byte{a.IP().AsSlice(), host.IP().AsSlice()}
		during := must[meet.AttendanceRecord](t)(host.Attendance(ctx))
		theirs := must[meet.AttendanceRecord](t)(a.Attendance(ctx))
		if !bytes.Equal(during.Encode(), theirs.Encode()) {
			t.Error("two members who know the same have different records")
		}
		if len(during.People) != 3 || !during.Ended.IsZero() || during.Meeting != host.ID() || !during.People[1].Present ||
			during.People[1].Names[0] != "Maître A" || during.People[1].Identity != who || during.Began.Sub(begin).Abs() > time.Second {
			t.Errorf("%+v", during.People)
		}
		if p := during.People[2]; p.Present || p.Periods[0].Exit != meet.ExitRemoved || p.Duration.Round(10*time.Second) != time.Minute {
			t.Errorf("%+v", p)
		}
		must[meet.AttendanceRecord](t)(b.Attendance(ctx)) // removed, it still has what it knew
		ok(t, host.End(ctx))
		<-a.Context().Done()
		after := must[meet.AttendanceRecord](t)(a.Attendance(ctx))
		file := after.Encode()
		back := must[meet.AttendanceRecord](t)(meet.VerifyAttendance(file))
		if back.Ended.IsZero() || back.People[1].Present || back.People[1].Periods[0].Exit != meet.ExitEnded || len(back.Remarks) != 0 {
			t.Errorf("%+v", back)
		}
		operations := must[[][]byte](t)(host.OperationsAfterEnd(ctx))
		for what, secret := range map[string][]byte{"a's address": ips[0], "the host's": ips[1], "the link": []byte(invite.String())} {
			for _, op := range append(operations, file) {
				if len(secret) == 0 || bytes.Contains(op, secret) {
					t.Errorf("the record holds %s", what)
				}
			}
		}
		link := must[crypto.Link](t)(crypto.ParseLink(invite.String(), time.Now()))
		secret := must[[]byte](t)(link.Secret.MarshalCBOR())[2:]
		for _, op := range operations {
			if bytes.Contains(op, secret) {
				t.Error("the record holds the invite's secret")
			}
		}
		var table strings.Builder
		ok(t, after.WriteCSV(&table))
		if n := strings.Count(table.String(), "\r\n"); n != 4 {
			t.Errorf("%d lines: %s", n, table.String())
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := host.Attendance(over); err != nil && over.Err() == nil {
			t.Error(err)
		}
	})
}

// TestAttendanceWhile: asking again and again, beside whatever happens, disturbs nothing, before and after the end.
func TestAttendanceWhile(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 2)
		asked := make(chan int)
		for range 2 {
			go func() {
				n := 0
				for all[0].Context().Err() == nil {
					if a, err := all[0].Attendance(ctx); err != nil || len(a.People) == 0 {
						t.Errorf("%v %+v", err, a)
					}
					n++
					time.Sleep(5 * time.Millisecond)
				}
				if a, err := all[0].Attendance(ctx); err != nil || a.Ended.IsZero() {
					t.Errorf("after the end: %v", err)
				}
				asked <- n
			}()
		}
		for range 4 {
			m := must[*meettest.Member](t)(w.Join(ctx, "x", all[0], meet.Config{}))
			ok(t, all[0].Remove(ctx, self(t, ctx, m).Identity, false))
			<-m.Context().Done()
		}
		ok(t, all[0].End(ctx))
		if n := <-asked + <-asked; n < 20 {
			t.Errorf("only asked %d times", n)
		}
	})
}
