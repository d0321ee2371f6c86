package meet_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/transport"
)

// TestClocksApart: who knocks by a link that has expired by the host's clock alone is told that the clocks differ, and by
// how much; who waits until it expires by both, that it has expired; who knocks by one that is dead, that and no more.
//
// Checks: CLK-3.
func TestClocksApart(t *testing.T) {
	world(t, meettest.Options{Latency: 10 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		host := must[*meettest.Member](t)(w.Create(ctx, "host", meet.Config{}))
		expiry := time.Now().Add(time.Minute).Truncate(time.Second)
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{Expiry: expiry}))
		late := knock(ctx, w, "late", invite, meet.Config{})
		w.Advance(61 * time.Second)
		<-late.done
		for _, tt := range []struct {
			behind time.Duration // by how much the joiner's clock is
			apart  bool
		}{{25 * time.Hour, true}, {time.Hour, true}, {10 * time.Second, false}} {
			_, err := w.JoinBy(ctx, "behind", meet.WithExpiry(invite, expiry.Add(tt.behind)), meet.Config{})
			denied(t, fmt.Sprint(tt.behind), err, meet.DeniedExpired)
			var d *meet.DeniedError
			if errors.As(err, &d) && ((d.Apart > 0) != tt.apart || d.Apart > tt.behind || tt.apart && d.Apart < tt.behind-2*time.Minute) {
				t.Errorf("%v behind: said to be %v", tt.behind, d.Apart)
			}
			if says := strings.Contains(err.Error(), "check date and time on both computers"); says != tt.apart {
				t.Errorf("%v behind: %v", tt.behind, err)
			}
		}
		var d *meet.DeniedError
		if denied(t, "who waited", late.err, meet.DeniedExpired); errors.As(late.err, &d) && d.Apart != 0 {
			t.Errorf("who waited: %v", d.Apart)
		}
		remover := must[*meettest.Member](t)(w.Create(ctx, "remover", open()))
		guest := must[*meettest.Member](t)(w.Join(ctx, "guest", remover, meet.Config{}))
		invite = must[meet.Invite](t)(remover.Invite(ctx, meet.InviteOptions{Expiry: time.Now().Add(time.Hour)}))
		ok(t, remover.Remove(ctx, self(t, ctx, guest).Identity, false))
		_, err := w.JoinBy(ctx, "dead", invite, meet.Config{})
		if denied(t, "a dead link", err, meet.DeniedLink); errors.As(err, &d) && d.Apart != 0 {
			t.Errorf("a dead link: %v", d.Apart)
		}
	})
}

// TestClockSentences: where it can't be known whose clock is wrong, the sentence says that one may be.
//
// Checks: CLK-4.
func TestClockSentences(t *testing.T) {
	for _, err := range []error{&meet.InviteExpiredError{}, &meet.UnreachableError{Err: meet.ErrNotFound}, &meet.ReplyError{Reason: meet.ReplyExpired},
		crypto.ErrLinkExpired, meet.ErrRelayClock, transport.ErrRelayClock} {
		if text := strings.ToLower(err.Error()); !strings.Contains(text, "date and time") || !strings.Contains(text, "check") {
			t.Errorf("%T: %v", err, err)
		}
	}
}
