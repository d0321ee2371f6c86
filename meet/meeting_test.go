package meet_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/meettest"
	"github.com/huisclos/huisclos/roster"
)

// world runs f in a simulated world, in which nothing happens that a user would have to be warned of.
func world(t *testing.T, o meettest.Options, f func(ctx context.Context, w *meettest.World)) {
	t.Helper()
	alarmed(t, o, func(ctx context.Context, w *meettest.World) {
		f(ctx, w)
		for _, m := range w.Members() {
			for _, warning := range warnings(m) {
				t.Errorf("a false alarm: %s was warned: %+v", m.Host, warning)
			}
		}
	})
}

// warnings are those a member was shown.
func warnings(m *meettest.Member, kinds ...meet.WarningKind) (all []meet.Warning) {
	for _, e := range m.Log() {
		if w, ok := e.(meet.Warning); ok && (len(kinds) == 0 || slices.Contains(kinds, w.Kind)) {
			all = append(all, w)
		}
	}
	return all
}

// alarmed runs f in a simulated world in which there may be warnings.
func alarmed(t *testing.T, o meettest.Options, f func(ctx context.Context, w *meettest.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := meettest.NewWorld(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		defer func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(ctx, w)
	})
}

func open() meet.Config {
	p := meet.DefaultPolicy()
	p.Entry = roster.Open
	return meet.Config{Policy: p}
}

// party is a meeting of n members who are all connected; the first is the creator.
func party(t *testing.T, ctx context.Context, w *meettest.World, n int) []*meettest.Member {
	t.Helper()
	creator, err := w.Create(ctx, "member0", open())
	if err != nil {
		t.Fatal(err)
	}
	all := []*meettest.Member{creator}
	for i := 1; i < n; i++ {
		m, err := w.Join(ctx, fmt.Sprintf("member%d", i), creator, meet.Config{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	connected(t, ctx, all...)
	return all
}

func connected(t *testing.T, ctx context.Context, all ...*meettest.Member) {
	t.Helper()
	for _, m := range all {
		c, cancel := context.WithTimeout(ctx, 30*time.Second)
		if err := await(c, m, len(all)); err != nil {
			members, _ := m.Members(ctx)
			t.Fatalf("%s doesn't see %d members: %v: %+v", m.Host, len(all), err, members)
		}
		cancel()
	}
}

func await(ctx context.Context, m *meettest.Member, n int) error {
	for {
		members, err := m.Members(ctx)
		if err != nil {
			return err
		}
		c := 0
		for _, v := range members {
			if v.Self || v.Connected {
				c++
			}
		}
		if len(members) == n && c == n {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestThreeMeet is a whole meeting: three members, chat, tracks, words, a removal, the end.
func TestThreeMeet(t *testing.T) {
	t.Parallel()
	world(t, meettest.Options{Latency: 20 * time.Millisecond}, func(ctx context.Context, w *meettest.World) {
		all := party(t, ctx, w, 3)
		a, b, c := all[0], all[1], all[2]
		tone, err := a.PublishTone(ctx, 80)
		if err != nil {
			t.Fatal(err)
		}
		defer tone.Stop()
		for _, m := range []*meettest.Member{b, c} {
			e, err := meettest.AwaitEvent[meet.TrackAdded](ctx, m)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				p, err := e.Track.ReadRTPContext(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if len(p.Payload) != 80 {
					t.Fatalf("a payload of %d bytes", len(p.Payload))
				}
			}
		}
		if err := b.Say(ctx, "bonjour"); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*meettest.Member{a, c} {
			e, err := meettest.AwaitEvent[meet.Chat](ctx, m)
			if err != nil || e.Text != "bonjour" || e.From.Name != "member1" {
				t.Fatalf("%v %+v", err, e)
			}
		}
		if _, err := meettest.AwaitEvent[meet.WordsAvailable](ctx, a); err != nil {
			t.Fatal(err)
		}
		w.Advance(6 * time.Second)
		var words [3]string
		for i, m := range all {
			v, err := m.Words(ctx)
			if err != nil {
				t.Fatal(err)
			}
			words[i] = v.Digits()
		}
		if words[0] != words[1] || words[1] != words[2] {
			t.Fatalf("words differ: %v", words)
		}
		self, err := c.Self(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Remove(ctx, self.Identity, false); err != nil {
			t.Fatal(err)
		}
		<-c.Context().Done()
		var removed *meet.RemovedError
		if err := context.Cause(c.Context()); !errors.As(err, &removed) || removed.ByName != "member0" {
			t.Fatalf("the removed member ended with %v", err)
		}
		gone, err := meettest.AwaitEvent[meet.MemberLeft](ctx, b)
		if err != nil || gone.Reason != meet.Removed || gone.Member.Name != "member2" {
			t.Fatalf("%v %+v", err, gone)
		}
		if err := b.Leave(ctx); err != nil {
			t.Fatal(err)
		}
		gone, err = meettest.AwaitEvent[meet.MemberLeft](ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.End(ctx); err != nil {
			t.Fatal(err)
		}
	})
}
