package meet

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

func TestRemoteOverflow(t *testing.T) {
	_, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeOpus)
	src := &source{t: t, track: track}
	for i := range TrackBuffer + 100 {
		src.write(byte(i))
	}
	if st := remote.Stats(); st.Dropped != 100 || st.Lost != 0 || st.Packets != TrackBuffer+100 {
		t.Fatalf("%+v", st)
	}
	got := drain(t, remote)
	if len(got) != TrackBuffer || got[0].Payload[0] != 100 || got[0].SequenceNumber != 100 {
		t.Fatalf("%d packets, the first is %v", len(got), got[0].SequenceNumber)
	}
	if n := len(remote.queue.free); n > keepFree {
		t.Fatalf("%d buffers are kept", n)
	}
}

func TestRemoteReadsBytes(t *testing.T) {
	_, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeOpus)
	for _, level := range []int{-1, 0x85} {
		p := &rtp.Packet{Header: rtp.Header{
			Version: 2, Marker: level >= 0, SequenceNumber: uint16(500 + level), Timestamp: 7,
		}, Payload: []byte("voice")}
		if level >= 0 {
			if err := p.SetExtension(AudioLevelExtension, []byte{byte(level)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.SetExtension(5, []byte{1, 2, 3}); err != nil { // doesn't travel (MED-1)
			t.Fatal(err)
		}
		for range 2 { // once for each way to read
			if err := track.WriteRTP(p); err != nil {
				t.Fatal(err)
			}
			p.SequenceNumber++
		}
		buf := make([]byte, 1500)
		if _, _, err := remote.Read(buf[:16]); err != io.ErrShortBuffer {
			t.Fatalf("a short buffer: %v", err)
		}
		n, _, err := remote.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		var first rtp.Packet
		if err := first.Unmarshal(buf[:n]); err != nil {
			t.Fatal(err)
		}
		second, _, err := remote.ReadRTP()
		if err != nil {
			t.Fatal(err)
		}
		if second.SequenceNumber != first.SequenceNumber+1 {
			t.Fatalf("%d follows %d", second.SequenceNumber, first.SequenceNumber)
		}
		for _, got := range []*rtp.Packet{&first, second} {
			if string(got.Payload) != "voice" || got.Marker != (level >= 0) || got.Timestamp != 7 ||
				got.SSRC != uint32(remote.SSRC()) || got.PayloadType != 111 || got.GetExtension(5) != nil {
				t.Fatalf("%+v", got)
			}
			if l := got.GetExtension(AudioLevelExtension); level < 0 && l != nil || level >= 0 && (len(l) != 1 || int(l[0]) != level) {
				t.Fatalf("level %v, want %d", l, level)
			}
		}
	}
}

func TestRemoteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := onStage(t)
		track, _, remote := a.show(b, webrtc.MimeTypeOpus)
		src := &source{t: t, track: track}
		begin := time.Now()
		wait := func(want time.Duration) {
			t.Helper()
			if _, _, err := remote.ReadRTP(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			if at := time.Since(begin); at != want {
				t.Fatalf("ended after %v, want %v", at, want)
			}
		}
		remote.SetReadDeadline(begin.Add(time.Second))
		wait(time.Second)
		wait(time.Second) // it stays passed
		src.write(1)
		wait(time.Second) // even if there is a packet
		remote.SetReadDeadline(time.Time{})
		wantPayloads(t, remote, 1)

		// One that waits already is subject to a new deadline: a later one, then an earlier.
		remote.SetReadDeadline(begin.Add(2 * time.Second))
		go func() {
			time.Sleep(500 * time.Millisecond)
			remote.SetReadDeadline(begin.Add(10 * time.Second))
			time.Sleep(2 * time.Second)
			remote.SetReadDeadline(begin.Add(4 * time.Second))
		}()
		wait(4 * time.Second)
		remote.SetReadDeadline(time.Time{})

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := remote.ReadRTPContext(ctx); err != context.DeadlineExceeded {
			t.Fatal(err)
		}
		src.write(2)
		if _, err := remote.ReadRTPContext(ctx); err != context.DeadlineExceeded {
			t.Fatalf("a context that is over: %v", err)
		}
		if p, err := remote.ReadRTPContext(t.Context()); err != nil || p.Payload[0] != 2 {
			t.Fatal(p, err)
		}
	})
}

// TestRemoteManyReaders: each packet goes to one reader, none is left behind, and all end.
func TestRemoteManyReaders(t *testing.T) {
	_, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeOpus)
	var mu sync.Mutex
	var got []uint16
	var readers sync.WaitGroup
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				p, _, err := remote.ReadRTP()
				if err != nil {
					return
				}
				mu.Lock()
				got = append(got, p.SequenceNumber)
				mu.Unlock()
			}
		}()
	}
	src := &source{t: t, track: track}
	for range TrackBuffer {
		src.write(1)
	}
	b.removeSender(a.key)
	readers.Wait()
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != TrackBuffer {
		t.Fatalf("%d packets", len(got))
	}
}

// TestRemoteLost: gaps count, late packets are taken off again, a source that begins anew is no gap.
func TestRemoteLost(t *testing.T) {
	remote := &RemoteTrack{stream: stream{Source: SourceMicrophone}}
	feed := func(want uint64, sequence ...uint16) {
		t.Helper()
		for _, n := range sequence {
			remote.count(&crypto.MediaPacket{SequenceNumber: n}, n, false)
		}
		if got := remote.Stats().Lost; got != want {
			t.Fatalf("after %v: %d lost, want %d", sequence, got, want)
		}
	}
	feed(0, 65530, 65531)
	feed(3, 65535)
	feed(2, 65533)
	feed(2, 0, 1, 2)
	feed(3, 4)
	feed(3, 30_000, 30_001)
	feed(4, 30_003)
}

func TestRemoteUndecryptable(t *testing.T) {
	_, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeOpus)
	src := &source{t: t, track: track}
	a.lose = func(n int) bool { return n == 0 }
	src.write(1)
	genuine := a.sent[0]
	clear := slices.Clone(genuine)
	clear[0] = 0 // not even the clear byte may change
	for _, packet := range [][]byte{clear, genuine[:10], nil, genuine} {
		b.onPacket([32]byte(a.key), 0, packet)
	}
	wantPayloads(t, remote, 1)
	if st := remote.Stats(); st.Packets != 1 || st.Undecryptable != 1 {
		t.Fatalf("%+v", st)
	}
}

// TestRemoteFirstKeyFrame: a new track of video asks for a key frame until one has begun, a few times (STR-5).
func TestRemoteFirstKeyFrame(t *testing.T) {
	s, a, b := onStage(t)
	track, _, remote := a.show(b, webrtc.MimeTypeVP8)
	src := &source{t: t, track: track}
	delta, key := []byte{0x10, 0x01}, []byte{0x10, 0x00}
	if src.write(delta...); len(b.wanted) != 1 || b.wanted[0] != a.key {
		t.Fatalf("asked %d times", len(b.wanted))
	}
	src.write(delta...)
	s.pass(firstKeyFrameEvery)
	if src.write(delta...); len(b.wanted) != 2 {
		t.Fatalf("asked %d times", len(b.wanted))
	}
	src.write(key...)
	s.pass(time.Minute)
	if src.write(delta...); len(b.wanted) != 2 {
		t.Fatalf("asked %d times after the key frame", len(b.wanted))
	}
	for range 10 {
		remote.RequestKeyFrame() // the reader's own, limited too
	}
	if len(b.wanted) != 3 {
		t.Fatalf("asked %d times", len(b.wanted))
	}
	if st := remote.Stats(); st.KeyFrames != 1 || st.Frames != 5 {
		t.Fatalf("%+v", st)
	}

	other, _, unread := a.show(b, "video/AV1") // whose packets say nothing here
	src = &source{t: t, track: other}
	for range 100 {
		s.pass(firstKeyFrameEvery)
		src.write(0xff, 0)
	}
	if len(b.wanted) != 3+firstKeyFrameTries {
		t.Fatalf("asked %d times", len(b.wanted)-3)
	}
	b.removeSender(a.key)
	s.pass(time.Hour)
	if unread.RequestKeyFrame(); len(b.wanted) != 3+firstKeyFrameTries {
		t.Fatal("asked for a track that is over")
	}
}
