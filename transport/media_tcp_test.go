package transport_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/huisclos/huisclos/transport"
)

// thinLine takes one TCP connection and passes it on, in one direction with so many bytes a second. The kernel's
// buffers on both sides of it hold as much as they like. It returns its address.
func thinLine(t *testing.T, to string, bytesPerSecond int) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	done := make(chan struct{})
	running.Go(func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer out.Close()
		running.Go(func() { _, _ = io.Copy(in, out); _ = in.Close() })
		running.Go(func() { <-done; _ = in.Close(); _ = out.Close() })
		part := make([]byte, bytesPerSecond/100)
		for free := time.Now(); ; {
			n, err := in.Read(part)
			if err != nil {
				return
			}
			if now := time.Now(); free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(n) * time.Second / time.Duration(bytesPerSecond))
			time.Sleep(time.Until(free))
			if _, err := out.Write(part[:n]); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() { close(done); _ = l.Close(); running.Wait() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// TestMediaThinTCP covers MST-3 with the kernel's own buffers: they would take seconds of video, and voice would wait
// behind it. Twin: it does.
func TestMediaThinTCP(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of real time")
	}
	for name, bounded := range map[string]bool{"bounded": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := sortedKeys(2)
			var n [2]*node
			for i := range n {
				os, err := transport.OSNetwork()
				if err != nil {
					t.Fatal(err)
				}
				n[i] = newNode(t, string(rune('a'+i)), transport.Without(transport.Config{Key: keys[i], Network: deafNetwork{os},
					Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}, transport.Unsafe{AnyDelay: !bounded}))
			}
			a, b := n[0], n[1]
			befriend(a, b)
			var own netip.AddrPort
			for _, addr := range b.Addresses() {
				if port, err := addr.ValueForProtocol(ma.P_TCP); err == nil {
					own = netip.MustParseAddrPort("127.0.0.1:" + port)
				}
			}
			line := thinLine(t, own.String(), 60_000)
			thin := ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", line.Port()))
			if err := a.Connect(t.Context(), b.Key(), []ma.Multiaddr{thin}); err != nil {
				t.Fatal(err)
			}
			a.waitStream(b, 5*time.Second)
			sent := a.call(b, 1_500_000, 5*time.Second)
			time.Sleep(500 * time.Millisecond)
			voice, picture, st := b.heard(transport.Audio), b.heard(transport.Video), a.Media(b.Key()).Stats()
			t.Logf("%d of %d voice packets, p50 %v p99 %v; video %d kbit/s, p99 %v; target %d", len(voice.count), sent,
				voice.at(0.5), voice.at(0.99), picture.bytes*8/5/1000, picture.at(0.99), st.TargetBitrate)
			late := voice.at(0.9) > 500*time.Millisecond || len(voice.count) < int(sent)*9/10
			if late == bounded {
				t.Errorf("bounded: %v, %+v", bounded, st)
			}
			if bounded && picture.bytes == 0 {
				t.Error("no picture came: the test shows nothing")
			}
		})
	}
}
