package transporttest_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport/transporttest"
)

// open adds a host and a socket on it, and collects when datagrams arrive there.
func open(t *testing.T, w *transporttest.World, name string, o transporttest.HostOptions) (net.PacketConn, *transporttest.Host, chan time.Time) {
	t.Helper()
	h, err := w.Host(name, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.ListenUDP(netip.MustParseAddrPort("0.0.0.0:4000"))
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan time.Time, 1000)
	go func() {
		buf := make([]byte, 100)
		for {
			if _, _, err := c.ReadFrom(buf); err != nil {
				return
			}
			arrived <- time.Now()
		}
	}()
	t.Cleanup(func() { c.Close() })
	return c, h, arrived
}

func outside(t *testing.T, h *transporttest.Host) net.Addr {
	t.Helper()
	addrs, err := h.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range addrs {
		if !p.Addr().IsLoopback() {
			return net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.Addr(), 4000))
		}
	}
	t.Fatal("no address")
	return nil
}

func TestWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := transporttest.NewWorld(transporttest.Options{Latency: 30 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		a, ha, toA := open(t, w, "a", transporttest.HostOptions{})
		b, hb, toB := open(t, w, "b", transporttest.HostOptions{})
		inside, _, toInside := open(t, w, "inside", transporttest.HostOptions{NAT: transporttest.PortRestricted})
		behindTwo, _, toBehindTwo := open(t, w, "behind two", transporttest.HostOptions{NAT: transporttest.CarrierGrade})
		send := func(from net.PacketConn, to net.Addr, n int) {
			for range n {
				_, _ = from.WriteTo([]byte("x"), to)
			}
			time.Sleep(time.Second)
		}
		expect := func(what string, got chan time.Time, least, most int) {
			t.Helper()
			n := len(got)
			for range n {
				<-got
			}
			if n < least || n > most {
				t.Errorf("%s: %d arrived, want %d to %d", what, n, least, most)
			}
		}
		start := time.Now()
		send(a, outside(t, hb), 1)
		if at := <-toB; at.Sub(start) != 30*time.Millisecond {
			t.Errorf("latency %v", at.Sub(start))
		}
		w.SetLoss(0.5)
		send(a, outside(t, hb), 200)
		expect("loss", toB, 60, 140)
		w.SetLoss(0)
		w.Partition([]string{"a"}, []string{"b"})
		send(a, outside(t, hb), 1)
		expect("partition", toB, 0, 0)
		w.Heal()
		send(a, outside(t, hb), 1)
		expect("healed", toB, 1, 1)

		for _, nat := range []struct {
			name   string
			inside net.PacketConn
			got    chan time.Time
		}{{"the NAT", inside, toInside}, {"two NATs", behindTwo, toBehindTwo}} {
			var seen netip.AddrPort
			w.SetTap(func(d transporttest.Datagram) { seen = d.From })
			send(nat.inside, outside(t, ha), 1)
			expect("out of "+nat.name, toA, 1, 1)
			w.SetTap(nil)
			send(a, net.UDPAddrFromAddrPort(seen), 1)
			expect("back through "+nat.name, nat.got, 1, 1)
			send(b, net.UDPAddrFromAddrPort(seen), 1)
			expect("into "+nat.name+" by another", nat.got, 0, 0)
		}

		w.Crash("b")
		send(a, outside(t, hb), 1)
		expect("to the crashed", toB, 0, 0)
		send(b, outside(t, ha), 1)
		expect("from the crashed", toA, 0, 0)
	})
}

// TestReadDeadline: one that is over ends a read at once, also while a goroutine of the bubble waits for a mutex, in which
// state no time passes: QUIC's connection manager closes its sockets so, under its lock.
func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := transporttest.NewWorld(transporttest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		h, err := w.Host("a", transporttest.HostOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.ListenUDP(netip.MustParseAddrPort("0.0.0.0:4000"))
		if err != nil {
			t.Fatal(err)
		}
		read := func() <-chan error {
			ended := make(chan error, 1)
			go func() { _, _, err := c.ReadFrom(make([]byte, 100)); ended <- err }()
			return ended
		}
		ended := read()
		synctest.Wait()
		var mu sync.Mutex
		mu.Lock()
		go func() { mu.Lock(); defer mu.Unlock() }()
		if err := c.SetReadDeadline(time.Now()); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		mu.Unlock()
		if err := c.SetReadDeadline(time.Time{}); err != nil {
			t.Error(err)
		}
		ended = read()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Error("without a deadline:", err)
		default:
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
}
