package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/meet"
)

// actor is one member of the demo, with everything that happened to them.
type actor struct {
	name     string
	m        *meet.Meeting
	key      crypto.MeetingKey
	identity crypto.IdentityKey
	tasks    sync.WaitGroup

	mu     sync.Mutex
	events []meet.Event
	more   chan struct{} // closed and made anew with each event
}

func newActor(name string, m *meet.Meeting) *actor {
	a := &actor{name: name, m: m, more: make(chan struct{})}
	if self, err := m.Self(context.Background()); err == nil {
		a.key, a.identity = self.Key, self.Identity
	}
	a.tasks.Go(func() {
		for e := range m.Events() {
			a.mu.Lock()
			a.events = append(a.events, e)
			close(a.more)
			a.more = make(chan struct{})
			a.mu.Unlock()
		}
	})
	return a
}

func (a *actor) close() {
	_ = a.m.Close()
	a.tasks.Wait()
}

// play sends files without end.
func (a *actor) play(files []playable) {
	a.tasks.Go(func() { play(a.m.Context(), a.m, files, true, newOutput(io.Discard, false)) })
}

// await returns when something happened, now or earlier, that is wanted.
func (a *actor) await(ctx context.Context, what string, wanted func(meet.Event) bool) error {
	for next := 0; ; {
		a.mu.Lock()
		events, more := a.events[next:], a.more
		next = len(a.events)
		a.mu.Unlock()
		for _, e := range events {
			if wanted(e) {
				return nil
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		}
	}
}

// words waits until they can be compared.
func (a *actor) words(ctx context.Context) (crypto.Verification, error) {
	for {
		a.mu.Lock()
		more := a.more
		a.mu.Unlock()
		v, err := a.m.Words(ctx)
		if !errors.Is(err, meet.ErrNotAgreed) {
			return v, err
		}
		select {
		case <-more: // perhaps WordsAvailable
		case <-ctx.Done():
			return v, fmt.Errorf("waited in vain for %s's words", a.name)
		}
	}
}

// tracks are the remote tracks there were.
func (a *actor) tracks() (all []*meet.RemoteTrack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		switch e := e.(type) {
		case meet.Snapshot:
			all = append(all, e.Tracks...)
		case meet.TrackAdded:
			all = append(all, e.Track)
		}
	}
	return all
}

// packets counts what was opened.
func (a *actor) packets() (n uint64) {
	for _, t := range a.tracks() {
		n += t.Stats().Packets
	}
	return n
}

// generation is that of the member's own key, as last reported.
func (a *actor) generation() (g uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		switch e := e.(type) {
		case meet.Snapshot:
			g = max(g, e.Generation)
		case meet.RosterChanged:
			g = max(g, e.Generation)
		}
	}
	return g
}
