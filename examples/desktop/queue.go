package main

import "sync"

// queue does one thing after the other, in a goroutine of its own, for those who must not wait.
type queue struct {
	mu   sync.Mutex
	jobs []func()
	wake chan struct{}
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) add(f func()) {
	q.mu.Lock()
	q.jobs = append(q.jobs, f)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run does what was added until done.
func (q *queue) run(done <-chan struct{}) {
	for {
		select {
		case <-q.wake:
		case <-done:
			return
		}
		q.mu.Lock()
		jobs := q.jobs
		q.jobs = nil
		q.mu.Unlock()
		for _, f := range jobs {
			f()
		}
	}
}
