package crypto

import (
	"bytes"
	stdcrypto "crypto"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/flynn/noise"
)

// TestPairRecording: who recorded a session and later breaks X25519 altogether (here:
// is given every X25519 private key of the initiator's) still opens nothing. In the
// twin, where ML-KEM is left out of the data keys, it opens the recording.
//
// Checks: PAI-1.
func TestPairRecording(t *testing.T) {
	for _, twin := range []bool{false, true} {
		a, b := pairOf(t)
		a.off.hybrid, b.off.hybrid = twin, twin
		initiation := must(a.Initiate(epoch0, nil))
		broken := a.attempt.noise.LocalEphemeral().Private
		must(b.Receive(epoch0, initiation))
		response := must(b.Respond(epoch0, nil))
		must(a.Receive(epoch0, response))
		recording := must(a.Seal(epoch0, []byte("privileged")))

		// Years later: the same Noise handshake again, with the broken keys.
		hs := must(noise.NewHandshakeState(noise.Config{
			CipherSuite: noiseSuite, Random: bytes.NewReader(broken), Pattern: noise.HandshakeKK, Initiator: true,
			Prologue: a.prologue, StaticKeypair: a.inc.noiseKey(), PeerStatic: a.peer.Static[:],
		}))
		reader := must(noise.NewHandshakeState(noise.Config{
			CipherSuite: noiseSuite, Pattern: noise.HandshakeKK,
			Prologue: b.prologue, StaticKeypair: b.inc.noiseKey(), PeerStatic: b.peer.Static[:],
		}))
		payload, _, _, err := reader.ReadMessage(nil, initiation[2:])
		if err != nil {
			t.Fatal(err)
		}
		again, _, _, err := hs.WriteMessage(nil, payload)
		if err != nil || !bytes.Equal(again, initiation[2:]) {
			t.Fatal("the attacker's replay is not the same message 1")
		}
		_, k1, k2, err := hs.ReadMessage(nil, response[2:])
		if err != nil {
			t.Fatal("the attacker with all X25519 keys should read message 2")
		}
		x, y := k1.UnsafeKey(), k2.UnsafeKey()
		keys := pairDataKeys(hs.ChannelBinding(), x[:], y[:], nil)
		var nonce [12]byte
		binary.BigEndian.PutUint64(nonce[4:], 1)
		plain, err := newGCM(keys[:32]).Open(nil, nonce[:], recording[pairHeaderSize:], recording[:pairHeaderSize])
		if opened := err == nil && string(plain) == "privileged"; opened != twin {
			t.Errorf("twin %v: opened %v", twin, opened)
		}
	}
	k := pairDataKeys([]byte("h"), []byte("k1"), []byte("k2"), []byte("s"))
	if bytes.Equal(k, pairDataKeys([]byte("h"), []byte("kX"), []byte("k2"), []byte("s"))) || bytes.Equal(k[:32], k[32:]) {
		t.Error("data keys do not depend on Noise")
	}
}

// TestPairReplayedInitiation: message 1, sent again later, displaces nothing. In the
// twin, which installs at message 1, the two ends lose each other.
//
// Checks: PAI-2.
func TestPairReplayedInitiation(t *testing.T) {
	for _, twin := range []bool{false, true} {
		a, b := pairOf(t)
		b.off.installEarly = twin
		recorded := must(a.Initiate(epoch0, []byte("hint")))
		must(b.Receive(epoch0, recorded))
		e := must(a.Receive(epoch0, must(b.Respond(epoch0, nil))))
		must(b.Receive(epoch0, e.Reply))
		now := epoch0
		for range 2 { // so that the recorded one belongs to no session that is remembered
			now = now.Add(pairFresh)
			connectOrTwin(t, now, a, b)
		}
		exchange(t, now, a, b)
		for range 10 {
			now = now.Add(pairInterval)
			e, err := b.Receive(now, recorded)
			if err == nil && e.Respond {
				must(b.Respond(now, nil))
			}
		}
		// Well after the 30 s in which a twin accepts what it forgot.
		now = now.Add(pairGrace)
		packet := must(b.Seal(now, []byte("to a")))
		_, err := a.Receive(now, packet)
		if lost := err != nil; lost != twin {
			t.Errorf("twin %v: lost %v", twin, lost)
		}
		if !twin {
			exchange(t, now, a, b)
		}
	}
}

// connectOrTwin is connectAt for a responder that may install early.
func connectOrTwin(t *testing.T, now time.Time, a, b *PairSession) {
	t.Helper()
	must(b.Receive(now, must(a.Initiate(now, nil))))
	e := must(a.Receive(now, must(b.Respond(now, nil))))
	must(b.Receive(now, e.Reply))
}

// TestPairResentInitiation: an initiation that comes again, because its answer was
// lost, gets the very same answer, before and after the session is installed.
//
// Checks: PAI-2.
func TestPairResentInitiation(t *testing.T) {
	a, b := pairOf(t)
	initiation := must(a.Initiate(epoch0, nil))
	must(b.Receive(epoch0, initiation))
	if _, err := b.Receive(epoch0, initiation); !errors.Is(err, ErrRefused) {
		t.Errorf("again before Respond: %v", err)
	}
	response := must(b.Respond(epoch0, nil))
	if e := must(b.Receive(epoch0, initiation)); !bytes.Equal(e.Reply, response) || e.Respond {
		t.Error("another answer before the session")
	}
	e := must(a.Receive(epoch0, response))
	must(b.Receive(epoch0, e.Reply))
	if e := must(b.Receive(epoch0, initiation)); !bytes.Equal(e.Reply, response) || e.Respond {
		t.Error("another answer after the session")
	}
	if _, err := a.Receive(epoch0, response); !errors.Is(err, ErrRefused) {
		t.Errorf("response again: %v", err)
	}
	exchange(t, epoch0, a, b)
}

// TestPairPending: of answered initiations four wait to be confirmed, the newest, for
// 30 s; the confirmation of one ends those before it.
//
// Checks: PAI-2.
func TestPairPending(t *testing.T) {
	a, b := pairOf(t)
	now := epoch0
	begin := func() *pairAttempt {
		now = now.Add(pairInterval)
		must(b.Receive(now, must(a.Initiate(now, nil))))
		must(b.Respond(now, nil))
		return a.attempt
	}
	first := begin()
	for range 2 {
		begin()
	}
	if len(b.pending) != 3 {
		t.Fatalf("%d wait", len(b.pending))
	}
	for range 3 {
		begin()
	}
	if len(b.pending) != pairPending || b.pending[3].id != a.attempt.id || b.pending[0].id == first.id {
		t.Fatalf("%d wait, or the wrong ones", len(b.pending))
	}
	e := must(a.Receive(now, b.pending[3].response))
	if e := must(b.Receive(now, e.Reply)); !e.Installed || len(b.pending) != 0 {
		t.Fatalf("%d wait after the newest was confirmed", len(b.pending))
	}
	exchange(t, now, a, b)
	begin()
	b.Expire(now.Add(pairGrace - 1))
	if len(b.pending) != 1 {
		t.Error("forgotten too soon")
	}
	b.Expire(now.Add(pairGrace))
	if len(b.pending) != 0 {
		t.Error("waits after 30 s")
	}
}

// TestPairReplay: no packet twice, none 1,024 behind the newest, and a forged counter
// moves nothing. The twin takes a packet again.
//
// Checks: PAI-3.
func TestPairReplay(t *testing.T) {
	a, b := pairOf(t)
	connect(t, a, b)
	var packets [][]byte
	for range 1030 {
		packets = append(packets, must(a.Seal(epoch0, []byte("x"))))
	}
	seen := map[string]bool{}
	for _, p := range packets {
		if seen[string(p[:pairHeaderSize])] {
			t.Fatal("a counter came twice")
		}
		seen[string(p[:pairHeaderSize])] = true
	}
	forged := bytes.Clone(packets[0])
	binary.BigEndian.PutUint32(forged[4:], 1<<20)
	if _, err := b.Receive(epoch0, forged); !errors.Is(err, ErrRefused) {
		t.Fatalf("forged counter: %v", err)
	}
	must(b.Receive(epoch0, packets[1029]))
	must(b.Receive(epoch0, packets[1029-1023]))
	if _, err := b.Receive(epoch0, packets[1029-1024]); !errors.Is(err, ErrRefused) {
		t.Errorf("1,024 behind: %v", err)
	}
	for _, i := range []int{1029, 6} {
		if _, err := b.Receive(epoch0, packets[i]); !errors.Is(err, ErrRefused) {
			t.Errorf("packet %d again: %v", i, err)
		}
	}
	b.off.pairReplay = true
	if e, err := b.Receive(epoch0, packets[6]); err != nil || string(e.Data) != "x" {
		t.Errorf("the twin should have taken it again: %v", err)
	}
}

// TestPairInitiationFlood: four initiations at once are worked on, then one a second,
// genuine or not. The twin works on all.
//
// Checks: PAI-5.
func TestPairInitiationFlood(t *testing.T) {
	for _, twin := range []bool{false, true} {
		a, b := pairOf(t)
		b.off.answerLimit = twin
		answered := func(now time.Time, n int) (count int) {
			for range n {
				if e, err := b.Receive(now, must(a.Initiate(now, nil))); err == nil && e.Respond {
					count++
				}
			}
			return count
		}
		for i, want := range []int{4, 1, 3, 4} {
			at := epoch0.Add([]time.Duration{0, 1, 4, 60}[i] * time.Second)
			if twin {
				want = 8
			}
			if got := answered(at, 8); got != want {
				t.Errorf("twin %v, burst %d: %d answered, want %d", twin, i, got, want)
			}
		}
	}
}

// TestPairGarbage: a packet with one bit of any byte changed, cut anywhere, sent back to
// its author or into another session fails, and changes nothing: the genuine one works
// afterwards.
//
// Checks: PAI-6.
func TestPairGarbage(t *testing.T) {
	a, b := pairOf(t)
	other, otherB := pairBetween(t, member(3), member(4))
	connect(t, other, otherB)
	b.off.answerLimit = true
	refuse := func(what string, to *PairSession, packet []byte) {
		t.Helper()
		e, err := to.Receive(epoch0, packet)
		if err == nil {
			t.Fatalf("%s: accepted as %+v", what, e)
		}
	}
	attack := func(what string, to, from *PairSession, packet []byte) {
		t.Helper()
		eachFlip(packet, func(i int, changed []byte) {
			if i == 1 && packet[0] == pairInitiation {
				return // the session byte only names the handshake: see below
			}
			refuse(what+" changed", to, changed)
		})
		for n := range len(packet) {
			if n%7 == 0 || n < 64 {
				refuse(what+" cut", to, packet[:n])
			}
		}
		refuse(what+" reflected", from, packet)
		refuse(what+" crossed", other, packet)
		refuse(what+" crossed", otherB, packet)
	}
	initiation := must(a.Initiate(epoch0, nil))
	attack("initiation", b, a, initiation)
	if b.offered != nil || len(b.pending) != 0 {
		t.Fatal("something stayed of it")
	}
	must(b.Receive(epoch0, initiation))
	response := must(b.Respond(epoch0, nil))
	attack("response", a, b, response)
	e := must(a.Receive(epoch0, response))
	attack("confirmation", b, a, e.Reply)
	must(b.Receive(epoch0, e.Reply))
	data := must(a.Seal(epoch0, []byte("x")))
	attack("data", b, a, data)
	must(b.Receive(epoch0, data))
	exchange(t, epoch0, a, b)

	// With another session byte the answer doesn't reach the handshake it is for.
	renamed := must(a.Initiate(epoch0, nil))
	renamed[1]++
	must(b.Receive(epoch0, renamed))
	refuse("renamed response", a, must(b.Respond(epoch0, nil)))
	exchange(t, epoch0, a, b)
}

// TestPairSmallOrderEphemeral: a response with an ephemeral of small order changes
// nothing: the genuine response works afterwards. In the twin, where the Noise library
// sees it, it ends the handshake.
//
// Checks: PAI-6.
func TestPairSmallOrderEphemeral(t *testing.T) {
	for i, point := range smallOrderPoints {
		for _, twin := range []bool{false, true} {
			a, b := pairOf(t)
			a.off.ephemeralCheck = twin
			initiation := must(a.Initiate(epoch0, nil))
			must(b.Receive(epoch0, initiation))
			response := must(b.Respond(epoch0, nil))
			forged := bytes.Clone(response)
			copy(forged[2:], point[:])
			if _, err := a.Receive(epoch0, forged); !errors.Is(err, ErrRefused) {
				t.Fatalf("point %d: %v", i, err)
			}
			_, err := a.Receive(epoch0, response)
			if dead := err != nil; dead != twin {
				t.Errorf("point %d, twin %v: handshake dead %v", i, twin, dead)
			}
			forged = bytes.Clone(initiation)
			copy(forged[2:], point[:])
			if _, err := b.Receive(epoch0, forged); !errors.Is(err, ErrRefused) {
				t.Errorf("initiation with point %d: %v", i, err)
			}
		}
	}
}

// TestPairStrangers: the bundles of both, and the meeting, are part of the handshake.
//
// Checks: PAI-6, IDN-3.
func TestPairStrangers(t *testing.T) {
	elsewhere := memberOf(MeetingID(HashOf("elsewhere")), 2)
	if _, err := NewPairSession(member(1), elsewhere.Bundle()); !errors.Is(err, ErrBundle) {
		t.Errorf("bundle of another meeting: %v", err)
	}
	if _, err := NewPairSession(member(1), member(1).Bundle()); err == nil {
		t.Error("session with oneself")
	}
	// The same keys under another identity: a member who took somebody's meeting key
	// and static for its own bundle (it can't use them).
	a, b := pairOf(t)
	thief := member(5)
	bundle := b.inc.Bundle()
	bundle.Identity = thief.Identity()
	random := seeded(5)
	id := generateIdentity(random)
	bundle.Signature = Signature(must(id.signer.Sign(nil, signed(labelBundle, testMeeting[:], bundle.MeetingKey[:], bundle.Static[:]), stdcrypto.Hash(0))))
	misled := must(NewPairSession(a.inc, bundle))
	if _, err := b.Receive(epoch0, must(misled.Initiate(epoch0, nil))); !errors.Is(err, ErrRefused) {
		t.Errorf("another bundle of the same keys: %v", err)
	}
}
