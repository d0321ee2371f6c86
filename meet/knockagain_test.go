package meet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestTwentyByOneLink: of 20 people who come by one link at once, the door takes 16 (DOR-7), and the others, who are shown
// that they wait, get in soon after; the door's rate holds all the while. In the twin they are turned away.
//
// Checks: DOR-7, DOR-14.
func TestTwentyByOneLink(t *testing.T) {
	if testing.Short() {
		t.Skip("many members")
	}
	t.Parallel()
	twin(t, "knockOnce", func(t *testing.T, protected bool, config meet.Config) {
		world(t, ms20, func(ctx context.Context, w *meettest.World) {
			host := must[*meettest.Member](t)(w.Create(ctx, "host", open()))
			invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
			begun := time.Now()
			var mu sync.Mutex
			var at []time.Duration // that they came in
			waited, busy := 0, 0
			var group sync.WaitGroup
			for i := range 20 {
				group.Go(func() {
					waits := 0
					c := config
					c.OnWaiting = func() { waits++ }
					_, err := w.JoinBy(ctx, fmt.Sprint("m", i), invite, c)
					mu.Lock()
					defer mu.Unlock()
					waited += waits
					var d *meet.DeniedError
					switch {
					case err == nil:
						at = append(at, time.Since(begun))
					case errors.As(err, &d) && d.Reason == meet.DeniedBusy:
						busy++
					default:
						t.Errorf("m%d: %v", i, err)
					}
				})
			}
			group.Wait()
			t.Logf("%d came in, the last after %v; %d waited, %d were denied", len(at), at[len(at)-1], waited, busy)
			if !protected {
				if len(at) != 16 || busy != 4 || waited != 0 {
					t.Error("the twin has the protection")
				}
				return
			}
			if len(at) != 20 || busy != 0 || waited != 4 || at[19] > 2*time.Minute {
				t.Fatalf("%d came in at %v, %d were turned away, %d were shown that they wait", len(at), at, busy, waited)
			}
			for i, d := range at[16:] { // one each 6 s, and no earlier because they knock often
				if d < time.Duration(i+1)*6*time.Second-time.Second {
					t.Errorf("the one of number %d came in after %v", 17+i, d)
				}
			}
		})
	})
}

// TestBusyForEver: at a door that goes on being busy, a joiner knocks 12 times, ever less often, and gives up; or when its
// context ends. Checks: DOR-14.
func TestBusyForEver(t *testing.T) {
	t.Parallel()
	world(t, ms20, func(ctx context.Context, w *meettest.World) {
		var mu sync.Mutex
		var knocks []time.Time
		config := meet.Denying(open(), func(crypto.IdentityKey) (meet.DenyReason, []byte) {
			mu.Lock()
			defer mu.Unlock()
			knocks = append(knocks, time.Now())
			return meet.DeniedBusy, nil
		})
		host := must[*meettest.Member](t)(w.Create(ctx, "host", config))
		invite := must[meet.Invite](t)(host.Invite(ctx, meet.InviteOptions{}))
		waits := 0
		_, err := w.JoinBy(ctx, "a", invite, meet.Config{OnWaiting: func() { waits++ }})
		denied(t, "a busy door", err, meet.DeniedBusy)
		if len(knocks) != 12 || waits != 1 {
			t.Errorf("it knocked %d times, and was said %d times to wait", len(knocks), waits)
		}
		for i := 1; i < len(knocks); i++ {
			least := min(5*time.Second*time.Duration(pow(3, i-1))/time.Duration(pow(2, i-1)), 30*time.Second)
			if d := knocks[i].Sub(knocks[i-1]); d < least || d > 2*least+2*time.Second {
				t.Errorf("%v before knock %d", d, i+1)
			}
		}
		short, cancel := context.WithTimeout(ctx, 12*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err = w.JoinBy(short, "b", invite, meet.Config{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 13*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

func pow(base, n int) int {
	p := 1
	for range n {
		p *= base
	}
	return p
}
