package main

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// profile is what the line between a port of the WAN and its subscriber does to packets, in each direction.
type profile struct {
	delay time.Duration // one way
	loss  float64       // 0 to 1
	rate  int           // bits a second; 0: any
}

// wanQueue is how many packets wait for one port; the rest is dropped, as a router does.
const wanQueue = 4096

// maxStrays is how many packets to nowhere are remembered.
const maxStrays = 64

// wan is the Internet: it forwards IP packets between its ports, by the prefixes that these announce, and to nowhere
// else.
type wan struct {
	mu     sync.Mutex
	rng    *rand.Rand
	ports  []*port
	cuts   map[[2]*port]bool
	strays []stray
	taps   []func(at time.Time, packet []byte)
	lost   int // by loss, cuts and full queues

	retired []netip.Prefix // that a port had before
}

// stray is a packet to an address that nobody has.
type stray struct {
	port *port
	flow flow
	at   time.Time
}

func (s stray) String() string { return fmt.Sprintf("from %s: %v", s.port.name, s.flow) }

func newWAN() *wan { return &wan{rng: rand.New(rand.NewPCG(1, 2)), cuts: map[[2]*port]bool{}} }

// port is where one host or site is attached.
type port struct {
	wan      *wan
	name     string
	device   io.ReadWriteCloser // one packet each Read and Write
	prefixes []netip.Prefix
	profile  profile
	free     [2]time.Time // when the line is free again: up, down

	mu    sync.Mutex
	queue packetHeap
	wake  chan struct{} // has room for one
	over  chan struct{}
	tasks sync.WaitGroup
}

// attach adds a port and begins to forward.
func (w *wan) attach(name string, device io.ReadWriteCloser, p profile, prefixes ...netip.Prefix) *port {
	t := &port{wan: w, name: name, device: device, prefixes: prefixes, profile: p, wake: make(chan struct{}, 1), over: make(chan struct{})}
	w.mu.Lock()
	w.ports = append(w.ports, t)
	w.mu.Unlock()
	t.tasks.Add(2)
	go t.read()
	go t.write()
	return t
}

// close detaches all ports and waits for them.
func (w *wan) close() {
	w.mu.Lock()
	ports := w.ports
	w.ports = nil
	w.mu.Unlock()
	for _, p := range ports {
		close(p.over)
		_ = p.device.Close()
	}
	for _, p := range ports {
		p.tasks.Wait()
	}
}

// tap has every packet shown to f before it is forwarded, lost ones and strays included. f must not keep it.
func (w *wan) tap(f func(at time.Time, packet []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taps = append(w.taps, f)
}

// cut stops, or with false resumes, all traffic between two ports.
func (w *wan) cut(a, b *port, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts[[2]*port{a, b}], w.cuts[[2]*port{b, a}] = cut, cut
}

// lose has a port's line lose a share of its packets, in each direction.
func (w *wan) lose(p *port, share float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.profile.loss = share
}

// losses is how many packets were lost so far.
func (w *wan) losses() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// renumber has a port announce other prefixes. What still comes for the old ones is lost.
func (w *wan) renumber(p *port, prefixes ...netip.Prefix) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retired = append(w.retired, p.prefixes...)
	p.prefixes = prefixes
}

// had tells whether somebody had an address before. wan.mu is held.
func (w *wan) had(a netip.Addr) bool {
	return slices.ContainsFunc(w.retired, func(p netip.Prefix) bool { return p.Contains(a) })
}

// strayPackets are those to nowhere, the first of them.
func (w *wan) strayPackets() []stray {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]stray(nil), w.strays...)
}

func (p *port) read() {
	defer p.tasks.Done()
	buffer := make([]byte, 1<<16)
	for {
		n, err := p.device.Read(buffer)
		if err != nil {
			return
		}
		p.wan.forward(p, buffer[:n], time.Now())
	}
}

// forward decides what becomes of a packet from a port.
func (w *wan) forward(from *port, packet []byte, now time.Time) {
	f, _, ok := parsePacket(packet)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tap := range w.taps {
		tap(now, packet)
	}
	to := w.portOf(f.dst.Addr())
	switch {
	case to == nil && w.had(f.dst.Addr()):
		w.lost++
		return
	case to == nil:
		// What is meant for the neighbours isn't routed; if a member says it, its own capture shows it. Nor does it count
		// what a closing world still says.
		if a := f.dst.Addr(); len(w.ports) > 0 && !a.IsMulticast() && !a.IsLinkLocalUnicast() && len(w.strays) < maxStrays {
			w.strays = append(w.strays, stray{from, f, now})
		}
		return
	case to == from, w.cuts[[2]*port{from, to}], w.rng.Float64() < from.profile.loss, w.rng.Float64() < to.profile.loss, !hop(packet):
		w.lost++
		return
	}
	due := from.line(0, len(packet), now).Add(from.profile.delay)
	due = to.line(1, len(packet), due).Add(to.profile.delay)
	if !to.enqueue(delayed{due, append([]byte(nil), packet...)}) {
		w.lost++
	}
}

func (w *wan) portOf(a netip.Addr) *port {
	for _, p := range w.ports {
		for _, prefix := range p.prefixes {
			if prefix.Contains(a) {
				return p
			}
		}
	}
	return nil
}

// line is when a packet that comes to the subscriber's line at a time is through it. wan.mu is held.
func (p *port) line(direction, size int, at time.Time) time.Time {
	if p.profile.rate == 0 {
		return at
	}
	if p.free[direction].After(at) {
		at = p.free[direction]
	}
	at = at.Add(time.Duration(float64(size*8) / float64(p.profile.rate) * float64(time.Second)))
	p.free[direction] = at
	return at
}

// delayed is a packet on its way.
type delayed struct {
	due    time.Time
	packet []byte
}

type packetHeap []delayed

func (h packetHeap) Len() int           { return len(h) }
func (h packetHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h packetHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *packetHeap) Push(x any)        { *h = append(*h, x.(delayed)) }
func (h *packetHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

func (p *port) enqueue(d delayed) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= wanQueue {
		return false
	}
	heap.Push(&p.queue, d)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return true
}

// next is the packet that is due, or else how long to wait.
func (p *port) next(now time.Time) (packet []byte, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil, time.Hour
	}
	if wait := p.queue[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&p.queue).(delayed).packet, 0
}

func (p *port) write() {
	defer p.tasks.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		packet, wait := p.next(time.Now())
		if packet != nil {
			_, _ = p.device.Write(packet) // a device that is down loses it
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-p.over:
			return
		}
	}
}
