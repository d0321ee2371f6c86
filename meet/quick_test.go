package meet_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
)

// TestEndAtOnce: who has just come, before any pair session, and ends the meeting or leaves, is heard all the same.
func TestEndAtOnce(t *testing.T) {
	world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		config := open()
		a, err := w.Create(ctx, "a", config)
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.Join(ctx, "b", a, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		connected(t, ctx, a, b)
		c, err := w.Join(ctx, "c", a, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*meettest.Member{a, b} {
			gone, err := meettest.AwaitEvent[meet.MemberLeft](ctx, m)
			if err != nil || gone.Reason != meet.Left {
				t.Fatalf("%v %+v", err, gone)
			}
		}
		d, err := w.Join(ctx, "d", a, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.End(ctx); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*meettest.Member{b, d} {
			select {
			case <-m.Context().Done():
			case <-time.After(time.Second):
				t.Fatalf("%s wasn't told", m.Host)
			}
			var ended *meet.EndedError
			if err := context.Cause(m.Context()); !errors.As(err, &ended) {
				t.Errorf("%s: %v", m.Host, err)
			}
		}
	})
}
