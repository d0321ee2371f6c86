package meet

import (
	"bytes"
	"testing"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/roster"
)

// wireSeeds are messages of each kind, and some that are none.
func wireSeeds(f *testing.F, messages ...any) {
	for _, m := range messages {
		raw := encode(m)
		f.Add(raw)
		f.Add(raw[:len(raw)-1])
		f.Add(append(bytes.Clone(raw), 0))
	}
	f.Add([]byte{})
	f.Add([]byte{0xa0})
	f.Add([]byte{0xbf, 1, 0x41, 0, 0xff})       // of indefinite length
	f.Add([]byte{0xa1, 0x18, 1, 0x41, 0})       // a key that isn't as short as it can be
	f.Add([]byte{0xa2, 1, 0x41, 0, 3, 0x41, 0}) // two fields
	f.Add([]byte{0xa2, 1, 0x41, 0, 1, 0x41, 0}) // one twice
	f.Add([]byte{0xa1, 0x18, 99, 0x41, 0})      // one that doesn't exist
}

// same decodes and encodes again: the bytes are the same, or refused (COD-1, COD-2).
func same(t *testing.T, data []byte, v any, err error) {
	if err == nil && !bytes.Equal(encode(v), data) {
		t.Fatalf("two encodings of one message: %x", data)
	}
}

func FuzzPairMessage(f *testing.F) {
	hash, nonce := crypto.Hash{1}, crypto.Nonce{2}
	a := newStage(f).actor()
	wireSeeds(f,
		pairMessage{Wrap: []byte{1}}, pairMessage{Ack: &keyAck{Generation: 1, Step: 2}}, pairMessage{Heartbeat: []byte{3}},
		pairMessage{Sync: &roster.Sync{Count: 1, Digest: hash}}, pairMessage{Have: &roster.Have{Hashes: []roster.ShortHash{{1}}}},
		pairMessage{Want: []roster.ShortHash{{2}}}, pairMessage{Operations: [][]byte{{1}, {2}}}, pairMessage{Addresses: [][]byte{{3}}},
		pairMessage{Mute: &muteRequest{SourceCamera}}, pairMessage{Offer: []byte{4}}, pairMessage{Answer: []byte{5}}, pairMessage{State: a.announced(1, opusStream(16))},
		pairMessage{KeyFrame: &keyFrameRequest{Stream: 17}}, pairMessage{Invites: []sharedInvite{{Invite: crypto.NewInvite(), Operation: hash}}},
		pairMessage{Received: []crypto.MessageID{{6}}}, pairMessage{Resend: &resentMessage{Stream: 1, Signed: []byte{7}}},
		pairMessage{Commit: &hash}, pairMessage{Nonce: &nonce}, pairMessage{Reveal: &nonce}, pairMessage{Announce: &crypto.KeyAnnounce{}},
		pairMessage{Waiting: &waitingList{}}, pairMessage{Waiting: &waitingList{Knocks: []waitingKnock{{Knock: crypto.Knock{Name: "Ada", ResponderNonce: nonce}, Waited: 8}}}},
		pairMessage{Decision: &knockDecision{Knock: nonce}}, pairMessage{Decision: &knockDecision{Knock: nonce, Admit: true}},
		pairMessage{Contradiction: &memberHeartbeat{Author: crypto.MeetingKey{8}, Heartbeat: []byte{9}}},
		pairMessage{FileAsk: &fileAsk{File: crypto.FileID{1}, From: 2, Key: crypto.NewFileKey(), Number: 1}},
	)
	f.Fuzz(func(t *testing.T, data []byte) {
		var m pairMessage
		err := decodeOne(data, maxPairMessage, &m)
		same(t, data, m, err)
	})
}

func FuzzGossipMessage(f *testing.F) {
	wireSeeds(f, gossipMessage{Operation: []byte{1}}, gossipMessage{Announce: []byte{2}}, gossipMessage{Sealed: []byte{3}},
		gossipMessage{Heartbeat: &memberHeartbeat{Author: crypto.MeetingKey{4}, Heartbeat: []byte{5}}})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m gossipMessage
		err := decodeOne(data, maxGossip, &m)
		same(t, data, m, err)
	})
}

func FuzzDoorMessage(f *testing.F) {
	hash := crypto.Hash{1}
	wireSeeds(f, doorMessage{Waiting: &struct{}{}}, doorMessage{Denied: &doorDenied{Reason: DeniedByHost, Operation: []byte{1}}},
		doorMessage{Roster: &doorRoster{Genesis: []byte{1}, Operations: [][]byte{{2}}}},
		doorMessage{Welcome: &doorWelcome{Admit: &hash, Addresses: [][]byte{{3}}}}, doorMessage{Resume: []byte{4}})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m doorMessage
		err := decodeOne(data, maxDoorMessage, &m)
		same(t, data, m, err)
	})
}

func FuzzEarlyData(f *testing.F) {
	wireSeeds(f, earlyData{}, earlyData{Media: []byte{1, 2, 3}})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m earlyData
		err := codec.Unmarshal(data, maxEarly, &m)
		same(t, data, m, err)
	})
}

// FuzzAddressRecord also covers ADR-1: what is taken is signed by its author, with at most eight addresses.
func FuzzAddressRecord(f *testing.F) {
	s := newStage(f)
	a := s.actor()
	record := signRecord(a.incarn, 7, [][]byte{{4, 127, 0, 0, 1, 6, 0, 80}})
	many := signRecord(a.incarn, 8, make([][]byte, crypto.MaxDoorAddresses+1))
	stolen := *record
	stolen.Author[0] ^= 1
	wireSeeds(f, record, many, &stolen, &addressRecord{Author: a.key, Number: 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := readRecord(data)
		if err != nil {
			return
		}
		same(t, data, r, nil)
		if len(r.Addresses) > crypto.MaxDoorAddresses || r.verify(s.meeting) && r.Author != a.key {
			t.Fatalf("taken: %+v", r)
		}
		_ = multiaddrs(r.Addresses)
	})
}

// TestExactlyOne covers COD-3 and the rule that a message has exactly one field: none, two, and what is too long are
// refused before anything is decoded.
func TestExactlyOne(t *testing.T) {
	var m pairMessage
	two := encode(pairMessage{Wrap: []byte{1}, Heartbeat: []byte{2}})
	for what, raw := range map[string][]byte{"none": {0xa0}, "two": two, "empty": {}, "no map": {0x41, 1}} {
		if decodeOne(raw, maxPairMessage, &m) == nil {
			t.Errorf("%s: taken", what)
		}
	}
	long := encode(pairMessage{Wrap: make([]byte, maxPairMessage)})
	if decodeOne(long, maxPairMessage, &m) == nil {
		t.Error("a message over its limit was taken")
	}
	if decodeOne(encode(pairMessage{Wrap: []byte{1}}), maxPairMessage, &m) != nil {
		t.Error("control: a message was refused")
	}
}

// TestLimiter: so many at once, then so many a second, and never more after a pause.
func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1e9, 0)
	count := func(n int) (allowed int) {
		for range n {
			if l.allow(now, 4, 2) {
				allowed++
			}
		}
		return allowed
	}
	if n := count(10); n != 4 {
		t.Errorf("%d at once", n)
	}
	now = now.Add(time.Second)
	if n := count(10); n != 2 {
		t.Errorf("%d a second later", n)
	}
	now = now.Add(time.Hour)
	if n := count(10); n != 4 {
		t.Errorf("%d after a pause", n)
	}
}
