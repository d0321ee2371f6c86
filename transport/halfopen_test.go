package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
)

// silent holds n TCP connections from each of three addresses to another, says nothing on them, and opens another for each that is
// closed. It returns when each was tried once.
func silent(t *testing.T, to string, n int) {
	t.Helper()
	done, tried := make(chan struct{}), make(chan struct{}, 3*n)
	var group sync.WaitGroup
	t.Cleanup(func() { close(done); group.Wait() })
	was := func() {
		select {
		case tried <- struct{}{}:
		case <-done: // nobody counts any more
		}
	}
	hold := func(from byte) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}, Timeout: time.Second}
		c, err := d.Dial("tcp", to)
		if err != nil {
			was()
			return
		}
		over := make(chan struct{})
		group.Go(func() {
			select {
			case <-done:
			case <-over:
			}
			_ = c.Close()
		})
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // refused at once, or held
		_, err = c.Read(make([]byte, 64))
		was()
		_ = c.SetReadDeadline(time.Time{})
		for buffer := make([]byte, 64); err == nil || isTimeout(err); {
			_, err = c.Read(buffer)
		}
		close(over)
	}
	for i := range 3 * n {
		group.Go(func() {
			for {
				hold(byte(9 + i%3))
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	for range 3 * n {
		<-tried
	}
	go func() { // further tries
		for {
			select {
			case <-tried:
			case <-done:
				return
			}
		}
	}()
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestHalfOpen: who opens connections from a few addresses and says nothing on them keeps no member out, by TCP nor by QUIC.
// Checks: TRA-5.
func TestHalfOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs several loopback addresses")
	}
	for _, c := range []struct {
		name   string
		unsafe transport.Unsafe
		code   int
		in     bool
	}{
		{"QUIC", transport.Unsafe{}, ma.P_UDP, true},
		{"TCP", transport.Unsafe{}, ma.P_TCP, true},
		{"TCP unprotected", transport.Unsafe{AnyHalfOpen: true}, ma.P_TCP, false},
		{"QUIC unprotected", transport.Unsafe{AnyHalfOpen: true}, ma.P_UDP, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys := sortedKeys(2)
			listen := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
			a := newNode(t, "a", transport.Without(transport.Config{Key: keys[0], Listen: listen}, c.unsafe))
			b := newNode(t, "b", transport.Config{Key: keys[1], Listen: listen})
			befriend(a, b)
			var at []ma.Multiaddr
			for _, m := range a.Addresses() {
				if m[1].Code() == c.code {
					at = append(at, m)
				}
				if m[1].Code() == ma.P_TCP {
					silent(t, "127.0.0.1:"+m[1].Value(), 250)
				}
			}
			for end := time.Now().Add(10 * time.Second); !c.in && a.HalfOpen() < 512 && time.Now().Before(end); {
				time.Sleep(time.Millisecond) // the system has accepted them before the host does
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err := b.Connect(ctx, a.Key(), at)
			if c.in && err == nil { // the handshake ends at the one end before the other
				a.wait("connection", 5*time.Second, func() bool { return a.up[b.Key()] == 1 })
			} else if err == nil {
				time.Sleep(300 * time.Millisecond)
			}
			if in := a.has(func() bool { return a.up[b.Key()] == 1 }); in != c.in {
				t.Errorf("connected: %v, want %v (%v)", in, c.in, err)
			}
		})
	}
}

// deaf is a socket that hears nothing but QUIC's Retry: it proves its address, and ends no handshake.
type deaf struct{ *net.UDPConn }

func (d deaf) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.UDPConn.ReadFrom(b)
		if err != nil || n > 0 && b[0]&0xf0 == 0xf0 {
			return n, from, err
		}
	}
}

// quicAccepted is how many QUIC connections that others began there are in this process.
func quicAccepted() (n int) {
	var profile bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 2)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, "quic-go.(*Conn).run") && strings.Contains(stack, "created by github.com/quic-go/quic-go.(*baseServer)") {
			n++
		}
	}
	return n
}

// TestQUICHalfOpen: who begins QUIC handshakes and ends none has few of them under way.
//
// Checks: TRA-5.
func TestQUICHalfOpen(t *testing.T) {
	for _, protected := range []bool{true, false} {
		a := newNode(t, "a", transport.Without(transport.Config{Key: testKey(1), Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}},
			transport.Unsafe{AnyHalfOpen: !protected}))
		at := a.Addresses()[slices.IndexFunc(a.Addresses(), func(m ma.Multiaddr) bool { return m[1].Code() == ma.P_UDP })]
		reuse, err := quicreuse.NewConnManager([32]byte{}, [32]byte{}, quicreuse.OverrideListenUDP(func(network string, u *net.UDPAddr) (net.PacketConn, error) {
			c, err := net.ListenUDP(network, u)
			return deaf{c}, err
		}))
		if err != nil {
			t.Fatal(err)
		}
		wait := 2 * time.Second
		if !protected {
			wait = 20 * time.Second // it takes the machine's time, and ends when there are enough
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		var group sync.WaitGroup
		for range 400 {
			group.Go(func() {
				_, _ = reuse.DialQUIC(ctx, at, &tls.Config{NextProtos: []string{"libp2p"}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, nil)
			})
		}
		most := 0
		for most <= 100 && ctx.Err() == nil { // while the diallers wait
			most = max(most, quicAccepted())
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		if t.Logf("%d handshakes under way at most", most); (most <= 100) != protected {
			t.Errorf("protected %v: %d handshakes are under way", protected, most)
		}
		cancel()
		group.Wait()
		_ = reuse.Close()
		a.close()
	}
}
