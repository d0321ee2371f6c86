package transporttest

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// uplink is a line that sends so many bits a second, with a queue before it as home routers have.
type uplink struct {
	mu    sync.Mutex
	rate  int           // bits a second; 0: no limit
	queue time.Duration // the longest wait; what would wait longer is lost
	free  time.Time     // when the line has sent all it was given
}

// SetUplink makes a host's uplink thin: so many bits a second, and a queue in which a datagram waits for so long at most;
// what would wait longer is lost. A rate of 0 takes the limit away. The error says that there is no such host.
func (w *World) SetUplink(name string, bitsPerSecond int, queue time.Duration) error {
	w.mu.Lock()
	h := w.hosts[name]
	w.mu.Unlock()
	if h == nil {
		return fmt.Errorf("transporttest: there is no host %q", name)
	}
	h.uplink.mu.Lock()
	defer h.uplink.mu.Unlock()
	h.uplink.rate, h.uplink.queue, h.uplink.free = bitsPerSecond, queue, time.Time{}
	return nil
}

// SetDownlink is SetUplink for what is sent to a host, all senders together. The host must be without a NAT.
func (w *World) SetDownlink(name string, bitsPerSecond int, queue time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[name]
	if h == nil || !h.public.IsValid() {
		return fmt.Errorf("transporttest: there is no public host %q", name)
	}
	if w.downlinks == nil {
		w.downlinks = map[netip.Addr]*uplink{}
	}
	w.downlinks[h.public] = &uplink{rate: bitsPerSecond, queue: queue}
	return nil
}

func (w *World) downlink(to net.Addr) *uplink {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.downlinks[addrPort(to).Addr()]
}

// datagramOverhead is what IP and UDP add.
const datagramOverhead = 28

// delay says how long a datagram takes to get onto the line, or that it is lost.
func (u *uplink) delay(size int) (wait time.Duration, lost bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.rate == 0 {
		return 0, false
	}
	now := time.Now()
	if u.free.Before(now) {
		u.free = now
	}
	if u.free.Sub(now) > u.queue {
		return 0, true
	}
	u.free = u.free.Add(time.Duration(float64(size+datagramOverhead) * 8 / float64(u.rate) * float64(time.Second)))
	return u.free.Sub(now), false
}

// writeVia sends a datagram over the uplink.
func (s *socket) writeVia(b []byte, to net.Addr) (int, error) {
	wait, lost := s.host.uplink.delay(len(b))
	if down := s.host.world.downlink(to); down != nil && !lost {
		var more time.Duration
		more, lost = down.delay(len(b))
		wait += more
	}
	switch {
	case lost:
		return len(b), nil
	case wait == 0:
		return s.PacketConn.WriteTo(b, to)
	}
	kept := append([]byte(nil), b...)
	time.AfterFunc(wait, func() { _, _ = s.PacketConn.WriteTo(kept, to) })
	return len(b), nil
}
