package meettest

import (
	"context"
	"sync"

	"github.com/huisclos/huisclos/meet"
)

// eventLog keeps all events of a member.
type eventLog struct {
	mu     sync.Mutex
	events []meet.Event
	more   chan struct{} // closed and replaced when there is something new
	done   chan struct{}
}

func (l *eventLog) follow(m *meet.Meeting) {
	l.more, l.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.done)
		for e := range m.Events() {
			l.mu.Lock()
			l.events = append(l.events, e)
			close(l.more)
			l.more = make(chan struct{})
			l.mu.Unlock()
		}
	}()
}

func (l *eventLog) wait() { <-l.done }

// Log returns all events so far.
func (m *Member) Log() []meet.Event {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	return append([]meet.Event(nil), m.log.events...)
}

// Await returns the first event, past or future, that matches, or ctx's error.
func (m *Member) Await(ctx context.Context, match func(meet.Event) bool) (meet.Event, error) {
	for i := 0; ; {
		m.log.mu.Lock()
		events, more := m.log.events[i:], m.log.more
		i = len(m.log.events)
		m.log.mu.Unlock()
		for _, e := range events {
			if match(e) {
				return e, nil
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// AwaitEvent waits for an event of one type.
func AwaitEvent[E meet.Event](ctx context.Context, m *Member) (E, error) {
	e, err := m.Await(ctx, func(e meet.Event) bool { _, ok := e.(E); return ok })
	if err != nil {
		var zero E
		return zero, err
	}
	return e.(E), nil
}

// AwaitMembers waits until the member sees n members, all of them connected.
func (m *Member) AwaitMembers(ctx context.Context, n int) error {
	for e := range m.Events() {
		_ = e
		members, err := m.Members(ctx)
		if err != nil {
			return err
		}
		connected := 0
		for _, v := range members {
			if v.Self || v.Connected {
				connected++
			}
		}
		if len(members) == n && connected == n {
			return nil
		}
	}
	return context.Cause(m.Context())
}
