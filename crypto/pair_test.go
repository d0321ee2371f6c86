package crypto

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// pairOf returns the two ends of a session, the initiator first.
func pairOf(t testing.TB) (initiator, responder *PairSession) {
	t.Helper()
	return pairBetween(t, member(1), member(2))
}

func pairBetween(t testing.TB, a, b *Incarnation) (initiator, responder *PairSession) {
	t.Helper()
	p := must(NewPairSession(a, b.Bundle()))
	q := must(NewPairSession(b, a.Bundle()))
	if p.Initiator() == q.Initiator() {
		t.Fatal("both or none initiate")
	}
	if !p.Initiator() {
		p, q = q, p
	}
	return p, q
}

// connect makes a session at epoch0.
func connect(t testing.TB, a, b *PairSession) { connectAt(t, epoch0, a, b) }

func connectAt(t testing.TB, now time.Time, a, b *PairSession) {
	t.Helper()
	initiation := must(a.Initiate(now, nil))
	if e := must(b.Receive(now, initiation)); !e.Respond {
		t.Fatal("no initiation")
	}
	e := must(a.Receive(now, must(b.Respond(now, nil))))
	if !e.Installed || e.Reply == nil {
		t.Fatal("initiator did not install")
	}
	if e := must(b.Receive(now, e.Reply)); !e.Installed || len(e.Data) != 0 {
		t.Fatal("responder did not install")
	}
}

// exchange sends one message each way.
func exchange(t testing.TB, now time.Time, a, b *PairSession) {
	t.Helper()
	for _, ends := range [][2]*PairSession{{a, b}, {b, a}} {
		e, err := ends[1].Receive(now, must(ends[0].Seal(now, []byte("hello"))))
		if err != nil || string(e.Data) != "hello" {
			t.Fatalf("data: %q, %v", e.Data, err)
		}
	}
}

// TestPairSession: a handshake with early data both ways, then data both ways.
func TestPairSession(t *testing.T) {
	a, b := pairOf(t)
	if _, err := b.Initiate(epoch0, nil); !errors.Is(err, ErrNoSession) {
		t.Errorf("responder initiates: %v", err)
	}
	if _, err := a.Seal(epoch0, nil); !errors.Is(err, ErrNoSession) {
		t.Errorf("seal without a session: %v", err)
	}
	if _, err := b.Respond(epoch0, nil); !errors.Is(err, ErrNoSession) {
		t.Errorf("answer to nothing: %v", err)
	}
	e := must(b.Receive(epoch0, must(a.Initiate(epoch0, []byte("offer")))))
	if !e.Respond || string(e.Hint) != "offer" {
		t.Fatalf("initiation: %+v", e)
	}
	e = must(a.Receive(epoch0, must(b.Respond(epoch0, []byte("answer")))))
	if !e.Installed || string(e.Early) != "answer" {
		t.Fatalf("response: %+v", e)
	}
	if b.Ready(epoch0) {
		t.Fatal("responder is ready before a data packet came")
	}
	must(b.Receive(epoch0, e.Reply))
	exchange(t, epoch0, a, b)
}

// TestPairTick: the calls to Tick alone bring a session about, keep it fresh for hours
// and mend it after losses, with one packet in three lost.
//
// Checks: PAI-4.
func TestPairTick(t *testing.T) {
	a, b := pairOf(t)
	random := rand.New(seeded(3))
	now, sessions := epoch0, 0
	send := func(to, from *PairSession, packet []byte) {
		for packet != nil && random.IntN(3) > 0 {
			e, err := to.Receive(now, packet)
			if err != nil {
				return
			}
			if e.Installed {
				sessions++
			}
			packet = e.Reply
			if e.Respond {
				packet = must(to.Respond(now, nil))
			}
			if e.Initiate {
				packet = must(to.Initiate(now, nil))
			}
			to, from = from, to
		}
	}
	down := 0
	for range 3 * 3600 {
		now = now.Add(time.Second)
		send(b, a, a.Tick(now))
		send(a, b, b.Tick(now))
		if p, err := a.Seal(now, []byte("x")); err == nil {
			send(b, a, p)
		}
		if !a.Ready(now) || !b.Ready(now) {
			down++
		}
	}
	if down > 20 || sessions < 2*17 || sessions > 2*40 {
		t.Fatalf("%d s without a session, %d installations", down, sessions)
	}
}

// TestPairNudge: a member that needs a session and may not initiate asks for one, and
// is heard once a second.
//
// Checks: PAI-5.
func TestPairNudge(t *testing.T) {
	a, b := pairOf(t)
	nudge := b.Tick(epoch0)
	if !bytes.Equal(nudge, []byte{0x04, 0}) || b.Tick(epoch0) != nil {
		t.Fatalf("nudge: %x", nudge)
	}
	for i, want := range []bool{true, false, false, true, false} {
		e, err := a.Receive(epoch0.Add(time.Duration(i)*350*time.Millisecond), nudge)
		if e.Initiate != want || (err == nil) != want {
			t.Errorf("nudge %d: %+v, %v", i, e, err)
		}
	}
	if _, err := b.Receive(epoch0, nudge); !errors.Is(err, ErrRefused) {
		t.Errorf("responder nudged: %v", err)
	}
	a.off.answerLimit = true // the twin
	for range 10 {
		if e := must(a.Receive(epoch0.Add(time.Hour), nudge)); !e.Initiate {
			t.Fatal("the twin should have acted")
		}
	}
}

// TestPairLifetime: no sealing after 15 minutes or 2^40 packets; the session before is
// accepted for 30 s after the newer. The twins go on.
//
// Checks: PAI-4.
func TestPairLifetime(t *testing.T) {
	a, b := pairOf(t)
	connect(t, a, b)
	if a.Tick(epoch0.Add(pairFresh-1)) != nil {
		t.Error("initiates before ten minutes")
	}
	if p := a.Tick(epoch0.Add(pairFresh)); len(p) == 0 || p[0] != pairInitiation {
		t.Error("does not initiate after ten minutes")
	}
	over := epoch0.Add(pairSealLimit)
	late := must(a.Seal(over.Add(-1), []byte("late")))
	if _, err := a.Seal(over, nil); !errors.Is(err, ErrNoSession) {
		t.Errorf("seals after 15 minutes: %v", err)
	}
	if _, err := b.Receive(over.Add(pairGrace), late); !errors.Is(err, ErrRefused) {
		t.Errorf("opens after 15 minutes and 30 s: %v", err)
	}
	connectAt(t, over, a, b)
	a.current.next = pairMaxCount - 1
	must(a.Seal(over, nil))
	if _, err := a.Seal(over, nil); !errors.Is(err, ErrNoSession) {
		t.Errorf("seals after 2^40 packets: %v", err)
	}

	a, b = pairOf(t)
	connect(t, a, b)
	first, second := must(a.Seal(epoch0, []byte("1"))), must(a.Seal(epoch0, []byte("2")))
	connectAt(t, epoch0.Add(time.Minute), a, b)
	if _, err := b.Receive(epoch0.Add(time.Minute+pairGrace-1), first); err != nil {
		t.Errorf("session before, within 30 s: %v", err)
	}
	if _, err := b.Receive(epoch0.Add(time.Minute+pairGrace), second); !errors.Is(err, ErrRefused) {
		t.Errorf("session before, after 30 s: %v", err)
	}

	a, b = pairOf(t) // the twin
	a.off.pairLifetime, b.off.pairLifetime = true, true
	connect(t, a, b)
	exchange(t, epoch0.Add(24*time.Hour), a, b)
}

// TestPairSizes: a packet holds at most 65,535 bytes, in and out.
//
// Checks: PAI-7.
func TestPairSizes(t *testing.T) {
	a, b := pairOf(t)
	connect(t, a, b)
	packet := must(a.Seal(epoch0, make([]byte, MaxPairData)))
	if len(packet) != MaxPairPacket {
		t.Errorf("the largest packet has %d bytes", len(packet))
	}
	if e := must(b.Receive(epoch0, packet)); len(e.Data) != MaxPairData {
		t.Error("largest packet not opened")
	}
	if _, err := a.Seal(epoch0, make([]byte, MaxPairData+1)); !errors.Is(err, ErrFrameTooLarge) {
		t.Errorf("Seal: %v", err)
	}
	if _, err := a.Initiate(epoch0, make([]byte, MaxEarlyData+1)); !errors.Is(err, ErrFrameTooLarge) {
		t.Errorf("Initiate: %v", err)
	}
	must(b.Receive(epoch0, must(a.Initiate(epoch0, make([]byte, MaxEarlyData)))))
	if _, err := b.Respond(epoch0, make([]byte, MaxEarlyData+1)); !errors.Is(err, ErrFrameTooLarge) {
		t.Errorf("Respond: %v", err)
	}
	for _, packet := range [][]byte{nil, {3}, {5, 0}, {3, 0}, {4, 1}, {4, 0, 0}, make([]byte, MaxPairPacket+1)} {
		if _, err := b.Receive(epoch0, packet); !errors.Is(err, ErrMalformed) {
			t.Errorf("packet of %d bytes: %v", len(packet), err)
		}
	}
}

// TestPairOverhead: what a packet takes beside its content.
func TestPairOverhead(t *testing.T) {
	a, b := pairOf(t)
	connect(t, a, b)
	for n := range 100 {
		packet := must(a.Seal(epoch0, make([]byte, n)))
		if len(packet) != n+24 {
			t.Fatalf("overhead of %d bytes", len(packet)-n)
		}
	}
	if len(must(a.Initiate(epoch0, nil))) != 2+32+1184+16 {
		t.Error("initiation has another size")
	}
}
