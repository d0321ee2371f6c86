package relay

import (
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/huisclos/huisclos/transport/relayauth"
)

// silent holds n TCP connections to a relay from one address, begins each with these bytes and says nothing more, and
// opens another for each that is closed. It returns when each was tried once.
func silent(t *testing.T, r *Relay, n int, says string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}, Timeout: time.Second}
	done, tried := make(chan struct{}), make(chan struct{}, n)
	var group sync.WaitGroup
	t.Cleanup(func() { close(done); group.Wait() })
	hold := func() {
		c, err := d.Dial("tcp", r.Addresses()[0].String())
		if err != nil {
			return
		}
		_, _ = c.Write([]byte(says))
		over := make(chan struct{})
		group.Go(func() {
			select {
			case <-done:
			case <-over:
			}
			_ = c.Close()
		})
		for buffer := make([]byte, 64); err == nil; {
			_, err = c.Read(buffer)
		}
		close(over)
	}
	for range n {
		group.Go(func() {
			for first := true; ; first = false {
				if first {
					time.AfterFunc(50*time.Millisecond, func() { tried <- struct{}{} })
				}
				hold()
				select {
				case <-done:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	for range n {
		<-tried
	}
}

// TestSilentConnections: who opens connections from one address and says nothing on them, or no more than a beginning,
// keeps nobody else out. Checks: RLY-5.
func TestSilentConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs several loopback addresses")
	}
	for _, c := range []struct {
		name, says string
		unsafe     unsafeSwitches
		in         bool
	}{
		{"nothing", "", unsafeSwitches{}, true},
		{"Noise", "\x13/multistream/1.0.0\n", unsafeSwitches{}, true},
		{"HTTP", "GET / HTTP/1.1\r\n", unsafeSwitches{}, true},
		{"TLS", "\x16\x03\x01", unsafeSwitches{}, true},
		{"unprotected", "", unsafeSwitches{anyHalfOpen: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRelay(t, Config{unsafe: c.unsafe})
			silent(t, r, 200, c.says)
			var dials sync.WaitGroup // side by side, since those of the unprotected time out
			for _, kind := range []relayauth.AddressKind{relayauth.KindTCP, relayauth.KindWebSocketTLS} {
				p, ctx := newPeer(t), ctxFor(t, 2*time.Second)
				dials.Go(func() {
					if err := p.Connect(ctx, r.info(kind)); (err == nil) != c.in {
						t.Errorf("kind %d: %v", kind, err)
					}
				})
			}
			dials.Wait()
		})
	}
}
