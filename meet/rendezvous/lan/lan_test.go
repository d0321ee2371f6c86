package lan

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/huisclos/huisclos/meet"
	"github.com/huisclos/huisclos/meet/rendezvous/internal/sealed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ meet.LocalRendezvous = (*Rendezvous)(nil)

// air is a local network in memory: everything said to the group is heard by all, and kept.
type air struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort][]*ear
	said    []datagram
}

type datagram struct {
	from, to netip.AddrPort
	data     []byte
}

type ear struct {
	air  *air
	at   netip.AddrPort
	in   chan datagram
	done chan struct{}
}

// station is a machine on it.
type station struct {
	air     *air
	ip      netip.Addr
	off     bool
	foreign bool // sees others as on another network
	mu      sync.Mutex
	port    uint16
}

func newAir() *air { return &air{sockets: map[netip.AddrPort][]*ear{}} }

func (a *air) station(ip string) *station {
	return &station{air: a, ip: netip.MustParseAddr(ip), port: 40000}
}

func (s *station) open(port uint16) ([]socket, error) {
	if s.off {
		return nil, errNoNetwork
	}
	e := &ear{air: s.air, at: netip.AddrPortFrom(s.ip, port), in: make(chan datagram, 64), done: make(chan struct{})}
	s.air.mu.Lock()
	defer s.air.mu.Unlock()
	s.air.sockets[e.at] = append(s.air.sockets[e.at], e)
	return []socket{e}, nil
}

func (s *station) join() ([]socket, error)   { return s.open(port) }
func (s *station) neighbour(netip.Addr) bool { return !s.foreign }
func (s *station) ask() ([]socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.port++
	return s.open(s.port)
}

func (e *ear) group(b []byte) error {
	return e.send(b, netip.AddrPortFrom(netip.MustParseAddr("224.0.0.251"), port))
}

func (e *ear) to(b []byte, addr netip.AddrPort) error { return e.send(b, addr) }

func (e *ear) send(b []byte, to netip.AddrPort) error {
	e.air.mu.Lock()
	defer e.air.mu.Unlock()
	d := datagram{e.at, to, bytes.Clone(b)}
	e.air.said = append(e.air.said, d)
	for at, ears := range e.air.sockets {
		if at == to || to.Addr().IsMulticast() && at.Port() == port {
			for _, other := range ears {
				select {
				case other.in <- d:
				default:
				}
			}
		}
	}
	return nil
}

func (e *ear) receive(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-e.in:
		return copy(b, d.data), d.from, nil
	case <-e.done:
		return 0, netip.AddrPort{}, errors.New("closed")
	}
}

func (e *ear) close() {
	close(e.done)
	e.air.mu.Lock()
	defer e.air.mu.Unlock()
	e.air.sockets[e.at] = slices.DeleteFunc(e.air.sockets[e.at], func(o *ear) bool { return o == e })
	if len(e.air.sockets[e.at]) == 0 {
		delete(e.air.sockets, e.at)
	}
}

const somebody = "/p2p/12D3KooWKRyzVWW6ChFjQjK4miCty85Niy49tpPV95XdKu1BcvMA"

var addresses = []ma.Multiaddr{ma.StringCast("/ip4/192.168.7.9/udp/4001/quic-v1" + somebody), ma.StringCast("/ip4/192.168.7.9/tcp/4001" + somebody)}

func topic(n byte) [32]byte { return [32]byte{n} }

// bubble runs f with a context that ends before the bubble does.
func bubble(t *testing.T, f func(ctx context.Context, a *air)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		a := newAir()
		f(ctx, a)
		cancel()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(a.sockets); n > 0 {
			t.Errorf("%d sockets are open", n)
		}
	})
}

func first(ctx context.Context, r *Rendezvous, topic [32]byte, wait time.Duration) []ma.Multiaddr {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return <-r.Find(ctx, topic)
}

// TestFind: what one announces the other finds, at once, and only under that topic.
func TestFind(t *testing.T) {
	bubble(t, func(ctx context.Context, a *air) {
		one, two := newOn(a.station("192.168.7.9")), newOn(a.station("192.168.7.10"))
		go func() { _ = one.Announce(ctx, topic(1), addresses) }()
		go func() { _ = one.Announce(ctx, topic(2), addresses[:1]) }()
		synctest.Wait()
		if len(a.said) > 0 {
			t.Error("something was said unasked")
		}
		begun := time.Now()
		if got := first(ctx, two, topic(1), time.Minute); !slices.EqualFunc(got, addresses, ma.Multiaddr.Equal) || time.Since(begun) > 0 {
			t.Errorf("found %v after %v", got, time.Since(begun))
		}
		if got := first(ctx, two, topic(2), time.Minute); len(got) != 1 {
			t.Errorf("found %v", got)
		}
		if got := first(ctx, two, topic(3), time.Minute); got != nil {
			t.Errorf("found %v, which nobody announced", got)
		}
	})
}

// TestFindLater: who comes first finds who comes later; who has gone isn't found.
func TestFindLater(t *testing.T) {
	bubble(t, func(ctx context.Context, a *air) {
		one, two := newOn(a.station("192.168.7.9")), newOn(a.station("192.168.7.10"))
		found := two.Find(ctx, topic(1))
		time.Sleep(20 * time.Second)
		inner, cancel := context.WithCancel(ctx)
		ended := make(chan error)
		go func() { ended <- one.Announce(inner, topic(1), addresses) }()
		if got := <-found; len(got) != 2 {
			t.Errorf("found %v", got)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := first(ctx, two, topic(1), time.Minute); got != nil {
			t.Errorf("found %v, who has gone", got)
		}
	})
}

// TestWhatIsSeen: nothing on the network names anybody, any address or a topic, two topics share nothing, and answers have
// one length.
//
// Checks: RDV-1.
func TestWhatIsSeen(t *testing.T) {
	bubble(t, func(ctx context.Context, a *air) {
		one, two := newOn(a.station("192.168.7.9")), newOn(a.station("192.168.7.10"))
		sizes, names := map[int]bool{}, map[string]int{}
		for n, addrs := range [][]ma.Multiaddr{addresses, addresses[:1]} {
			go func() { _ = one.Announce(ctx, topic(byte(n)), addrs) }()
			synctest.Wait()
			first(ctx, two, topic(byte(n)), time.Minute)
		}
		synctest.Wait() // what still answers has said it
		for _, d := range a.said {
			for _, secret := range [][]byte{addresses[0].Bytes()[:5], []byte("12D3"), addresses[0][3].RawValue(), make([]byte, 16)} {
				if bytes.Contains(d.data, secret) {
					t.Errorf("%x shows %x", d.data, secret)
				}
			}
			if asked, _ := questions(d.data); len(asked) > 0 {
				names[asked[0]]++
			} else if d.to.Addr().IsMulticast() {
				sizes[len(d.data)] = true
			}
		}
		if len(names) != 2 || len(sizes) != 1 {
			t.Errorf("names %v, sizes %v", names, sizes)
		}
		for name := range names {
			if len(name) != 26 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz234567") != "" {
				t.Errorf("the name %q", name)
			}
		}
	})
}

// TestFlooded: who asks without end is answered seldom, and nobody outside the own subnets is answered at all but by the
// group.
func TestFlooded(t *testing.T) {
	bubble(t, func(ctx context.Context, a *air) {
		s := a.station("192.168.7.9")
		s.foreign = true
		one := newOn(s)
		go func() { _ = one.Announce(ctx, topic(1), addresses) }()
		synctest.Wait()
		e, _ := a.station("192.168.7.66").ask()
		question, _ := newSubject(topic(1)).question()
		for range 1000 {
			_ = e[0].group(question)
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		e[0].close()
		answers := 0
		for _, d := range a.said {
			if d.from.Addr() != s.ip {
				continue
			}
			if answers++; !d.to.Addr().IsMulticast() {
				t.Fatalf("sent to %v", d.to)
			}
		}
		if answers < 20 || answers > answerBurst+10*answerRate+1 {
			t.Errorf("%d answers in 10 s", answers)
		}
	})
}

// TestLies: garbage, another topic's answer, and one changed on the way are passed over; what was recorded in the same
// hour says what it said.
func TestLies(t *testing.T) {
	bubble(t, func(ctx context.Context, a *air) {
		two := newOn(a.station("192.168.7.10"))
		found := two.Find(ctx, topic(1))
		liar, _ := a.station("192.168.7.66").join()
		good, err := newSubject(topic(1)).answer(addresses, 0, false)
		if err != nil {
			t.Fatal(err)
		}
		other, _ := newSubject(topic(2)).answer(addresses, 0, false)
		changed := bytes.Clone(good)
		changed[len(changed)-1] ^= 1
		noise := make([]byte, 700)
		_, _ = rand.Read(noise)
		for _, lie := range [][]byte{nil, noise, good[:60], other, changed} {
			_ = liar[0].group(lie)
		}
		synctest.Wait()
		select {
		case got := <-found:
			t.Errorf("found %v", got)
		default:
		}
		_ = liar[0].group(good)
		if got := <-found; len(got) != 2 {
			t.Errorf("found %v", got)
		}
		liar[0].close()
	})
}

// TestNoNetwork: where there is none, both say so at once.
func TestNoNetwork(t *testing.T) {
	s := newAir().station("192.168.7.9")
	s.off = true
	r := newOn(s)
	if err := r.Announce(t.Context(), topic(1), addresses); !errors.Is(err, errNoNetwork) {
		t.Error(err)
	}
	if got, ok := <-r.Find(t.Context(), topic(1)); ok {
		t.Errorf("found %v", got)
	}
	if err := newOn(newAir().station("192.168.7.9")).Announce(t.Context(), topic(1), nil); err == nil {
		t.Error("nothing was announced")
	}
}

func FuzzMessage(f *testing.F) {
	s := newSubject(topic(1))
	question, _ := s.question()
	answer, _ := s.answer(addresses, 7, true)
	f.Add(question)
	f.Add(answer)
	f.Fuzz(func(t *testing.T, b []byte) {
		names, _ := questions(b)
		if len(names) > maxRecords {
			t.Error("too many")
		}
		if addrs, err := s.open(b); err == nil && len(addrs) > sealed.MaxAddresses {
			t.Error("too many")
		}
	})
}
