package meet

import (
	"fmt"
	"iter"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/crypto"
)

// numbered is an event with a number, and the snapshot that includes all numbers up to it.
func numbered(n int) (Event, Snapshot) {
	return Data{Data: []byte(fmt.Sprint(n))}, Snapshot{Generation: uint64(n)}
}

func number(t *testing.T, e Event) int {
	t.Helper()
	var n int
	d, ok := e.(Data)
	if !ok {
		t.Fatalf("got %T, want Data", e)
	}
	fmt.Sscan(string(d.Data), &n)
	return n
}

func publishNumbers(b *broadcaster, from, to int) {
	for n := from; n <= to; n++ {
		b.publish(numbered(n))
	}
}

func TestEventsBeginWithSnapshot(t *testing.T) {
	b := newBroadcaster()
	b.set(Snapshot{Generation: 7})
	next, stop := iter.Pull(b.subscribe())
	defer stop()
	if e, _ := next(); !reflect.DeepEqual(e, Snapshot{Generation: 7}) {
		t.Fatalf("first event is %v", e)
	}
	publishNumbers(b, 8, 9)
	for want := 8; want <= 9; want++ {
		if e, _ := next(); number(t, e) != want {
			t.Fatalf("got %v, want %d", e, want)
		}
	}
}

func TestEventsSlowReader(t *testing.T) {
	b := newBroadcaster()
	next, stop := iter.Pull(b.subscribe())
	defer stop()
	next() // the snapshot
	publishNumbers(b, 1, EventBuffer+10)
	for want := 1; want <= EventBuffer; want++ {
		if e, _ := next(); number(t, e) != want {
			t.Fatalf("got %v, want %d", e, want)
		}
	}
	if e, _ := next(); e != (Lagged{Dropped: 10}) {
		t.Fatalf("got %v, want Lagged by 10", e)
	}
	publishNumbers(b, EventBuffer+11, EventBuffer+11) // after the snapshot was taken: must follow it
	if e, _ := next(); e.(Snapshot).Generation != EventBuffer+10 {
		t.Fatalf("got %v, want the newest snapshot", e)
	}
	if e, _ := next(); number(t, e) != EventBuffer+11 {
		t.Fatalf("got %v, want %d", e, EventBuffer+11)
	}
}

func TestEventsEnd(t *testing.T) {
	b := newBroadcaster()
	early, stop := iter.Pull(b.subscribe())
	defer stop()
	lagging, stopLagging := iter.Pull(b.subscribe())
	defer stopLagging()
	early()
	lagging()
	publishNumbers(b, 1, EventBuffer+1)
	b.publish(Ended{Err: ErrLeft}, Snapshot{})
	b.close()
	b.publish(numbered(99))
	for range EventBuffer {
		lagging()
	}
	want := []Event{Lagged{Dropped: 1}, Snapshot{}, Ended{Err: ErrLeft}}
	for _, w := range want {
		if e, ok := lagging(); !ok || !reflect.DeepEqual(e, w) {
			t.Fatalf("got %v, want %v", e, w)
		}
	}
	if e, ok := lagging(); ok {
		t.Fatalf("%v after the end", e)
	}
	var late []Event
	for e := range b.subscribe() {
		late = append(late, e)
	}
	if !reflect.DeepEqual(late, []Event{Snapshot{}, Ended{Err: ErrLeft}}) {
		t.Fatalf("a late reader got %v", late)
	}
}

func TestEventsClosedWithoutEnded(t *testing.T) {
	b := newBroadcaster()
	b.close()
	b.set(Snapshot{Generation: 1})
	var all []Event
	for e := range b.subscribe() {
		all = append(all, e)
	}
	if !reflect.DeepEqual(all, []Event{Snapshot{}, Ended{}}) {
		t.Fatalf("got %v", all)
	}
}

func TestEventsBreakUnsubscribes(t *testing.T) {
	b := newBroadcaster()
	for range b.subscribe() {
		if len(b.readers) != 1 {
			t.Fatalf("%d readers inside", len(b.readers))
		}
		break
	}
	if len(b.readers) != 0 {
		t.Fatal("the reader stayed after it left")
	}
}

func TestEventsSnapshotsAreTheReadersOwn(t *testing.T) {
	b := newBroadcaster()
	b.set(Snapshot{Members: []Member{{Name: "Ada"}}})
	for e := range b.subscribe() {
		e.(Snapshot).Members[0].Name = "changed"
		break
	}
	for e := range b.subscribe() {
		if got := e.(Snapshot).Members[0].Name; got != "Ada" {
			t.Fatalf("another reader sees %q", got)
		}
		break
	}
}

// TestEventsManyReaders: whoever joins when, what follows a snapshot goes on exactly where it stopped.
func TestEventsManyReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroadcaster()
		const last = 5000
		var readers sync.WaitGroup
		for i := range 10 {
			readers.Add(1)
			go func() {
				defer readers.Done()
				time.Sleep(time.Duration(i) * time.Millisecond)
				at, over := -1, false
				for e := range b.subscribe() {
					switch e := e.(type) {
					case Snapshot:
						if at >= int(e.Generation) && at > 0 {
							t.Errorf("reader %d went back from %d to %d", i, at, e.Generation)
						}
						at = int(e.Generation)
					case Lagged:
					case Ended:
						over = true
					default:
						if n := number(t, e); n != at+1 {
							t.Errorf("reader %d: %d follows %d", i, n, at)
						}
						at++
						if i%3 == 0 && at%100 == 0 {
							time.Sleep(500 * time.Microsecond) // a slow one
						}
					}
				}
				if at != last || !over {
					t.Errorf("reader %d ended at %d", i, at)
				}
			}()
		}
		for n := 1; n <= last; n++ {
			b.publish(numbered(n))
			if n%50 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
		b.publish(Ended{}, Snapshot{Generation: last})
		readers.Wait()
	})
}

func TestEventsTogether(t *testing.T) {
	b := newBroadcaster()
	next, stop := iter.Pull(b.subscribe())
	defer stop()
	next()
	b.publishAll([]Event{KnockGone{}, WordsAvailable{}}, Snapshot{RosterHash: crypto.Hash{1}})
	if e, _ := next(); e != (KnockGone{}) {
		t.Fatalf("got %v", e)
	}
	for e := range b.subscribe() {
		if e.(Snapshot).RosterHash != (crypto.Hash{1}) {
			t.Fatal("the snapshot lacks what was published")
		}
		break
	}
}
