package meet

import (
	"iter"
	"slices"
	"sync"
)

// EventBuffer is how many events a reader of Events may be behind before it is told that it lagged.
const EventBuffer = 1024

// broadcaster hands events to any number of readers, each at its own pace. Publishing never waits for any of them.
//
//	publish(event, snapshot that includes it) ──▶ queue of each reader, at most EventBuffer ──▶ its iterator
//	                                                          full: count, then Lagged and the newest snapshot
//
// Events and the snapshot that includes them are published under one lock, and a reader takes its snapshot under the
// same lock, so between its snapshot and what follows nothing is lost and nothing comes twice.
type broadcaster struct {
	mu       sync.Mutex
	snapshot Snapshot
	ended    *Ended
	readers  map[*eventReader]struct{}
}

// eventReader is one reader's place. All fields but wake are guarded by broadcaster.mu.
type eventReader struct {
	queue   []Event
	dropped int           // since queue was full
	over    bool          // Ended was taken
	wake    chan struct{} // has room for one: something came
}

// newBroadcaster makes one without readers. Before the first publish its snapshot is empty: see set.
func newBroadcaster() *broadcaster {
	return &broadcaster{readers: map[*eventReader]struct{}{}}
}

// set replaces the snapshot without an event, for instance before the meeting starts.
func (b *broadcaster) set(s Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		b.snapshot = s
	}
}

// publish tells every reader of e; s is the state with e in it, and must not be changed afterwards. An Ended is the
// last event: what is published after it is dropped.
func (b *broadcaster) publish(e Event, s Snapshot) { b.publishAll([]Event{e}, s) }

// publishAll is publish for events that go together: nobody's snapshot falls between them.
func (b *broadcaster) publishAll(events []Event, s Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended != nil {
		return
	}
	b.snapshot = s
	for _, e := range events {
		if end, ok := e.(Ended); ok {
			b.end(end)
			return
		}
		for r := range b.readers {
			r.add(e)
		}
	}
}

// close ends the sequences of all readers, if no Ended was published, with an empty one.
func (b *broadcaster) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		b.end(Ended{})
	}
}

func (b *broadcaster) end(e Ended) {
	b.ended = &e
	for r := range b.readers {
		r.ring()
	}
}

func (r *eventReader) add(e Event) {
	if r.dropped > 0 || len(r.queue) >= EventBuffer {
		r.dropped++ // the snapshot that follows will have it
	} else {
		r.queue = append(r.queue, e)
	}
	r.ring()
}

func (r *eventReader) ring() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// subscribe returns a sequence that begins, each time it is ranged over, with a Snapshot.
func (b *broadcaster) subscribe() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		r := b.join()
		defer b.leave(r)
		for {
			e, ok := b.next(r)
			if !ok || !yield(e) {
				return
			}
		}
	}
}

func (b *broadcaster) join() *eventReader {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &eventReader{wake: make(chan struct{}, 1)}
	r.queue = append(r.queue, b.copySnapshot())
	b.readers[r] = struct{}{}
	return r
}

func (b *broadcaster) leave(r *eventReader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.readers, r)
}

// next waits for the reader's next event; false is the end.
func (b *broadcaster) next(r *eventReader) (Event, bool) {
	for {
		e, state := b.take(r)
		switch state {
		case taken:
			return e, true
		case finished:
			return nil, false
		}
		<-r.wake // the end rings as well
	}
}

// The outcomes of take.
const (
	nothingYet = iota
	taken
	finished
)

func (b *broadcaster) take(r *eventReader) (Event, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case len(r.queue) > 0:
		e := r.queue[0]
		r.queue[0] = nil
		if r.queue = r.queue[1:]; len(r.queue) == 0 {
			r.queue = nil // the memory of a long queue goes
		}
		return e, taken
	case r.dropped > 0:
		// Both at once: what is published from here on comes after this snapshot.
		e := Lagged{Dropped: r.dropped}
		r.dropped = 0
		r.queue = append(r.queue, b.copySnapshot())
		return e, taken
	case b.ended != nil && !r.over:
		r.over = true
		return *b.ended, taken
	case b.ended != nil:
		return nil, finished
	}
	return nil, nothingYet
}

// copySnapshot gives each reader slices of its own to keep.
func (b *broadcaster) copySnapshot() Snapshot {
	s := b.snapshot
	s.Members = slices.Clone(s.Members)
	s.Knocks = slices.Clone(s.Knocks)
	s.Tracks = slices.Clone(s.Tracks)
	s.Recordings = slices.Clone(s.Recordings)
	return s
}
