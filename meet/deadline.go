package meet

import (
	"sync"
	"time"
)

// deadline is a time after which a channel is closed.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{}
}

func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

// set replaces the time. Who waits for the channel already waits for the new time.
func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() || isClosed(d.over) {
		d.over = make(chan struct{}) // the old one is closed, or about to be
	}
	d.timer = nil
	over := d.over
	if left := time.Until(at); at.IsZero() {
		return
	} else if left > 0 {
		d.timer = time.AfterFunc(left, func() { close(over) })
	} else {
		close(over)
	}
}
