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
		_ = in.(*net.TCPConn).SetReadBuffer(16 << 10)
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

// thinPair is two members whom such a line connects, with UDP blocked.
func thinPair(t *testing.T, bytesPerSecond int, u transport.Unsafe) (a, b *node) {
	t.Helper()
	keys := sortedKeys(2)
	var n [2]*node
	for i := range n {
		os, err := transport.OSNetwork()
		if err != nil {
			t.Fatal(err)
		}
		n[i] = newNode(t, string(rune('a'+i)), transport.Without(transport.Config{Key: keys[i], Network: deafNetwork{os},
			Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}, u))
	}
	a, b = n[0], n[1]
	befriend(a, b)
	var own string
	for _, addr := range b.Addresses() {
		if port, err := addr.ValueForProtocol(ma.P_TCP); err == nil {
			own = "127.0.0.1:" + port
		}
	}
	line := thinLine(t, own, bytesPerSecond)
	if err := a.Connect(t.Context(), b.Key(), []ma.Multiaddr{ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", line.Port()))}); err != nil {
		t.Fatal(err)
	}
	a.waitStream(b, 5*time.Second)
	return a, b
}

// TestDismissJammed covers MST-5: whoever has stopped to read, so that everything underneath is full, is put out all the
// same, and at once. Twin: who puts it out waits for it.
func TestDismissJammed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of real time")
	}
	t.Run("twin", func(t *testing.T) {
		jammed(t, func(a, b *node, _ []*transport.FileStream) { a.Dismiss(b.Key(), [][]byte{[]byte("you are out")}) })
	})
	a, b := thinPair(t, 30_000, transport.Unsafe{})
	jam(t, a, b)
	frame := make([]byte, transport.MaxPacket)
	stop := make(chan struct{})
	defer close(stop)
	go func() { // media that waits, too
		for link := a.Media(b.Key()); ; {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = link.WritePacket(transport.Video, frame)
			}
		}
	}()
	time.Sleep(100 * time.Millisecond)
	begun := time.Now()
	a.Dismiss(b.Key(), [][]byte{[]byte("you are out")})
	took := time.Since(begun)
	t.Logf("Dismiss took %v", took)
	if took > 2*time.Second {
		t.Errorf("Dismiss took %v", took)
	}
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
			a, b := thinPair(t, 60_000, transport.Unsafe{AnyDelay: !bounded})
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
