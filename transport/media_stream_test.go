package transport_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/transport"
	"github.com/huisclos/huisclos/transport/transporttest"
)

// streamPair is two members who are connected over QUIC, and never offer each other ICE.
func streamPair(t *testing.T, w *transporttest.World, u transport.Unsafe) (a, b *node) {
	t.Helper()
	keys := sortedKeys(2)
	a = simNodeConfig(t, w, "a", transport.Without(transport.Config{Key: keys[0]}, u), transporttest.HostOptions{})
	b = simNodeConfig(t, w, "b", transport.Without(transport.Config{Key: keys[1]}, u), transporttest.HostOptions{})
	befriend(a, b)
	a.connect(b)
	a.waitUp(b)
	b.waitUp(a)
	return a, b
}

func (n *node) waitStream(peer *node, limit time.Duration) {
	n.t.Helper()
	n.wait("media stream to "+peer.name, limit, func() bool {
		st := n.media[peer.Key()]
		return st.Up && st.Stream
	})
}

// numbered is a packet that says which it is, and when it was sent.
func numbered(n uint32, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint32(b, n)
	binary.BigEndian.PutUint64(b[4:], uint64(time.Now().UnixNano()))
	return b
}

// call sends voice (64 kbit/s in packets of 20 ms) and a picture of so many bit/s, in frames of 33 ms, for a while.
func (n *node) call(peer *node, video int, length time.Duration) (voices uint32) {
	link := n.Media(peer.Key())
	var pictures uint32
	begun := time.Now()
	frame := begun
	for ; time.Since(begun) < length; voices++ {
		_ = link.WritePacket(transport.Audio, numbered(voices, 160))
		for ; video > 0 && !frame.After(time.Now()); frame = frame.Add(33 * time.Millisecond) {
			for left := video / 30 / 8; left > 0; left -= 1200 {
				_ = link.WritePacket(transport.Video, numbered(pictures, max(16, min(left, 1200))))
				pictures++
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return voices
}

// heard is what arrived of one kind: how often each, in order of arrival, the delays in order of size, and the longest
// pause between two.
type heard struct {
	count  map[uint32]int
	twice  int
	delays []time.Duration
	pause  time.Duration
	bytes  int
}

func (n *node) heard(kind transport.Kind) heard {
	h := heard{count: map[uint32]int{}}
	packets, _, _ := n.received()
	var last time.Time
	for _, p := range packets {
		if p.kind != kind {
			continue
		}
		id := binary.BigEndian.Uint32(p.payload)
		if h.count[id]++; h.count[id] > 1 {
			h.twice++
		}
		h.delays = append(h.delays, p.at.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(p.payload[4:])))))
		if !last.IsZero() {
			h.pause = max(h.pause, p.at.Sub(last))
		}
		last = p.at
		h.bytes += len(p.payload)
	}
	slices.Sort(h.delays)
	return h
}

func (h heard) at(share float64) time.Duration {
	if len(h.delays) == 0 {
		return 0
	}
	return h.delays[min(len(h.delays)-1, int(share*float64(len(h.delays))))]
}

// TestMediaStream: without ICE media goes by streams, both ways, within a second of the connection (MST-4).
func TestMediaStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := streamPair(t, w, transport.Unsafe{})
		a.waitStream(b, time.Second)
		b.waitStream(a, time.Second)
		mediaFlows(t, a, b, "x", 100*time.Millisecond)
		mediaFlows(t, b, a, "y", 100*time.Millisecond)
		if st := a.Media(b.Key()).Stats(); !st.Up || !st.Stream || st.Path.Kind != transport.PathUDP || st.RTT < 40*time.Millisecond ||
			st.RTT > 80*time.Millisecond || st.PacketsSent == 0 || st.PacketsReceived == 0 {
			t.Errorf("%+v", st)
		}
	})
}

// TestMediaStreamThin covers MST-3: over a path that carries a third of what is offered, voice comes in time and whole,
// and the picture is what is dropped. Twin: without limits everything waits for everything.
func TestMediaStreamThin(t *testing.T) {
	for name, bounded := range map[string]bool{"bounded": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				a, b := streamPair(t, w, transport.Unsafe{AnyDelay: !bounded})
				a.waitStream(b, time.Second)
				if err := w.SetUplink("a", 500_000, 2*time.Second); err != nil {
					t.Fatal(err)
				}
				sent := a.call(b, 1_500_000, 30*time.Second)
				time.Sleep(time.Second)
				voice, picture, st := b.heard(transport.Audio), b.heard(transport.Video), a.Media(b.Key()).Stats()
				t.Logf("%d of %d voice packets, p50 %v p99 %v, longest pause %v; video %d kbit/s, p99 %v, %d dropped; target %d",
					len(voice.count), sent, voice.at(0.5), voice.at(0.99), voice.pause, picture.bytes*8/30/1000, picture.at(0.99), st.VideoDropped, st.TargetBitrate)
				good := voice.at(0.99) < 20*time.Millisecond+250*time.Millisecond && st.AudioDropped == 0 && len(voice.count) == int(sent)
				if good != bounded {
					t.Errorf("bounded: %v, %+v", bounded, st)
				}
				if bounded && (st.VideoDropped == 0 || picture.bytes*8/30 < 250_000 || st.TargetBitrate < 200_000 || st.TargetBitrate > 600_000) {
					t.Errorf("video %d bit/s, %+v", picture.bytes*8/30, st)
				}
			})
		})
	}
}

// TestMediaStreamLoss: a loss of 2 % under the stream delays what comes after it by no more than its repair (MST-3).
func TestMediaStreamLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond, Seed: 3})
		a, b := streamPair(t, w, transport.Unsafe{})
		a.waitStream(b, time.Second)
		w.SetLoss(0.02)
		sent := a.call(b, 600_000, 30*time.Second)
		time.Sleep(time.Second)
		voice, st := b.heard(transport.Audio), a.Media(b.Key()).Stats()
		t.Logf("%d of %d voice packets, p50 %v p99 %v max %v; video dropped %d; target %d", len(voice.count), sent, voice.at(0.5), voice.at(0.99), voice.at(1), st.VideoDropped, st.TargetBitrate)
		if voice.at(0.99) > 20*time.Millisecond+250*time.Millisecond || st.AudioDropped != 0 || len(voice.count) != int(sent) {
			t.Errorf("%+v", st)
		}
	})
}

// TestMediaStreamEnd covers MST-4: when ICE has a path media goes there at once, in both directions, and the streams
// end; when the path is lost it goes by streams again. Nothing is delivered twice, and nothing is lost to the change
// to ICE.
func TestMediaStreamEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
		a, b := streamPair(t, w, transport.Unsafe{})
		a.waitStream(b, time.Second)
		b.waitStream(a, time.Second)
		var calls sync.WaitGroup
		var sent [2]uint32
		for i, n := range [][2]*node{{a, b}, {b, a}} {
			calls.Go(func() { sent[i] = n[0].call(n[1], 300_000, 20*time.Second) })
		}
		time.Sleep(3 * time.Second)
		a.offer(b)
		a.waitMedia(b, true, time.Second)
		b.waitMedia(a, true, time.Second)
		time.Sleep(5 * time.Second)
		for _, n := range [][2]*node{{a, b}, {b, a}} {
			voice := n[1].heard(transport.Audio)
			t.Logf("to ICE: longest pause %v", voice.pause)
			if st := n[0].Media(n[1].Key()).Stats(); voice.twice != 0 || voice.pause > 60*time.Millisecond || st.Stream || !st.Up {
				t.Errorf("%d twice, pause %v, %+v", voice.twice, voice.pause, st)
			}
		}
		w.SetFilter(func(d transporttest.Datagram) bool { return !transport.IsMedia(d.Data) })
		time.Sleep(2 * time.Second)
		for _, n := range [][2]*node{{a, b}, {b, a}} {
			if st := n[0].Media(n[1].Key()).Stats(); !st.Stream || !st.Up {
				t.Errorf("2 s after ICE's path is lost: %+v", st)
			}
		}
		calls.Wait()
		time.Sleep(time.Second)
		for i, n := range [][2]*node{{a, b}, {b, a}} {
			voice := n[1].heard(transport.Audio)
			lost := time.Duration(int(sent[i])-len(voice.count)) * 20 * time.Millisecond
			t.Logf("from ICE: longest pause %v, lost %v", voice.pause, lost)
			if voice.twice != 0 || voice.pause > 1500*time.Millisecond || lost > 1500*time.Millisecond {
				t.Errorf("%d twice, longest pause %v, lost %v", voice.twice, voice.pause, lost)
			}
		}
		w.SetFilter(nil)
	})
}

// TestMediaStreamRevoked covers MST-5: when Dismiss or Revoke returns, nothing more of the peer's streams is delivered,
// though its connection may last a little. Twin: it is.
func TestMediaStreamRevoked(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
				a, b := streamPair(t, w, transport.Unsafe{KeepStreams: !protected})
				b.waitStream(a, time.Second)
				s, err := b.OpenMedia(a.Key()) // as a client that goes on whatever it is told
				if err != nil {
					t.Fatal(err)
				}
				defer s.Reset()
				go func() {
					for {
						if _, err := s.Write([]byte{0x00, 0x01, 'x'}); err != nil {
							return
						}
						time.Sleep(5 * time.Millisecond)
					}
				}()
				time.Sleep(time.Second)
				a.Dismiss(b.Key(), [][]byte{[]byte("you are out")})
				before, _, _ := a.count()
				if before == 0 {
					t.Fatal("nothing was delivered: the test shows nothing")
				}
				time.Sleep(time.Second)
				if after, _, _ := a.count(); (after == before) != protected {
					t.Errorf("%d packets after Dismiss, protected: %v", after-before, protected)
				}
				if protected && a.Media(b.Key()) != nil {
					t.Error("there is a link to a stranger")
				}
			})
		})
	}
}

// TestMediaStreamLimits covers MST-1 and TRA-3: a bad frame ends the stream, a peer has few streams, a stranger none. Twin:
// garbage goes on, on as many streams as one likes. (That no more than 4 frames are held, and none is read before the last
// was taken, has no twin: it is the size of an array, and one goroutine that does both.)
func TestMediaStreamLimits(t *testing.T) {
	for name, protected := range map[string]bool{"protected": true, "twin": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { mediaStreamLimits(t, protected) })
		})
	}
}

func mediaStreamLimits(t *testing.T, protected bool) {
	w := newWorld(t, transporttest.Options{Latency: 20 * time.Millisecond})
	a, b := streamPair(t, w, transport.Unsafe{AnyFrames: !protected})
	b.waitStream(a, time.Second)
	alive := func(write []byte) bool {
		s, err := b.OpenMedia(a.Key())
		if err != nil {
			return false
		}
		t.Cleanup(func() { _ = s.Reset() })
		_, _ = s.Write(write)
		_ = s.SetReadDeadline(time.Now().Add(time.Second))
		var ack [16]byte // the welcome, and then another
		for got := 0; got < len(ack); {
			n, err := s.Read(ack[got:])
			if got += n; err != nil {
				return false
			}
		}
		return true
	}
	for name, bad := range map[string][]byte{"no length": {0, 0, 1}, "too long": {0x05, 0x01, 1}, "unknown kind": {0x20, 0x01, 1}} {
		if alive(bad) == protected {
			t.Errorf("%s: accepted: %v", name, !protected)
		}
		time.Sleep(time.Second) // the refused stream is gone
	}
	open := 0
	for range 10 {
		if alive([]byte{0, 1, 'x'}) {
			open++
		}
	}
	if want := map[bool]int{true: 3, false: 10}[protected]; open != want { // and its own
		t.Errorf("%d streams of one peer besides its own", open)
	}
	a.Revoke(b.Key())
	before, _, _ := a.count()
	if err := b.Connect(t.Context(), a.Key(), a.Addresses()); err == nil && alive([]byte{0, 1, 'x'}) {
		t.Error("a stranger's stream was taken")
	}
	if after, _, _ := a.count(); after != before {
		t.Error("a stranger's packet was delivered")
	}
}

// deafNetwork is the operating system's network with UDP blocked, in and out.
type deafNetwork struct{ transport.Network }

type deafConn struct{ net.PacketConn }

func (n deafNetwork) ListenUDP(a netip.AddrPort) (net.PacketConn, error) {
	c, err := n.Network.ListenUDP(a)
	return deafConn{c}, err
}

func (c deafConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if n, _, err := c.PacketConn.ReadFrom(b); err != nil {
			return n, nil, err
		}
	}
}

func (c deafConn) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }

// TestMediaWithoutUDP covers MST-4: where UDP is blocked in both directions, members connect over TCP, and media goes
// both ways within 3 s, though ICE is tried.
func TestMediaWithoutUDP(t *testing.T) {
	keys := sortedKeys(2)
	var n [2]*node
	for i := range n {
		os, err := transport.OSNetwork()
		if err != nil {
			t.Fatal(err)
		}
		n[i] = newNode(t, string(rune('a'+i)), transport.Config{Key: keys[i], Network: deafNetwork{os},
			Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	}
	a, b := n[0], n[1]
	befriend(a, b)
	begun := time.Now()
	a.connect(b)
	a.waitUp(b)
	b.waitUp(a)
	connected := time.Now()
	a.offer(b)
	mediaFlows(t, a, b, "x", 3*time.Second)
	mediaFlows(t, b, a, "y", 3*time.Second)
	t.Logf("connected after %v, media both ways %v later", connected.Sub(begun), time.Since(connected))
	if time.Since(connected) > 3*time.Second {
		t.Errorf("media after %v", time.Since(connected))
	}
	for _, pair := range [][2]*node{{a, b}, {b, a}} {
		if st := pair[0].Media(pair[1].Key()).Stats(); !st.Stream || st.Path.Kind != transport.PathTCP {
			t.Errorf("%+v", st)
		}
	}
}
