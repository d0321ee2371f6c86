package crypto

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/flynn/noise"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// Every fuzz test below feeds one decoder or state machine. What is accepted must be the
// one encoding of what it decoded to; what is refused must leave things as they were.

func stripSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// FuzzParseLink: one link, one text, but for white space.
func FuzzParseLink(f *testing.F) {
	text := testLink().String()
	f.Add(text)
	f.Add(text[:len(text)-2])
	f.Add(" " + text + "\r\n")
	f.Add("huisclos:2-abc")
	f.Add(linkPrefix)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLink(text, epoch0)
		if err != nil {
			return
		}
		if l.String() != stripSpace(text) {
			t.Fatal("two texts of one link")
		}
		if l.Validate() != nil {
			t.Fatal("accepted what is not valid")
		}
	})
}

// FuzzLinkBody gets past the checksum.
func FuzzLinkBody(f *testing.F) {
	f.Add(must(linkBytes(testLink().String())))
	f.Fuzz(func(t *testing.T, body []byte) {
		text := linkPrefix + linkEncoding.EncodeToString(append(bytes.Clone(body), linkChecksum(body)...))
		l, err := ParseLink(text, epoch0)
		if err == nil && l.String() != text {
			t.Fatal("two texts of one link")
		}
	})
}

// FuzzParseIdentity: one identity, one text.
func FuzzParseIdentity(f *testing.F) {
	text := must(generateIdentity(seeded(1)).Export())
	f.Add(text)
	f.Add(text[:len(text)-1])
	f.Add(strings.ToLower(text))
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseIdentity(text)
		if err == nil && must(id.Export()) != strings.TrimSpace(text) {
			t.Fatal("two texts of one identity")
		}
	})
}

// FuzzBundle: one bundle, one encoding; only a genuine one verifies.
func FuzzBundle(f *testing.F) {
	good := member(1).Bundle()
	f.Add(good.Encode())
	f.Add(memberOf(MeetingID{}, 2).Bundle().Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBundle(data)
		if err != nil {
			return
		}
		if !bytes.Equal(b.Encode(), data) {
			t.Fatal("two encodings of one bundle")
		}
		if b.Verify(testMeeting) == nil && b != good && b.Identity == good.Identity {
			t.Fatal("forged bundle")
		}
	})
}

// FuzzName: what passes for a name is short and shows something.
func FuzzName(f *testing.F) {
	for _, s := range []string{"Ada", "a\u202eb", "\u200b", "👩‍⚖️", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) == nil && (len(name) > MaxName || strings.ContainsAny(name, "\n\r\x00\u202e\u2066") || strings.TrimSpace(name) == "") {
			t.Fatal("bad name")
		}
	})
}

// FuzzDoorFirst: nobody without the secret gets an answer.
func FuzzDoorFirst(f *testing.F) {
	d := newDoor(f)
	var err error // the same frame in each of the fuzzer's processes
	_, d.first, err = newDoorInitiator(d.joiner, "Ada", d.invite.Secret, d.invite.Door.Public(), d.member.Key(), seeded(6))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.first)
	f.Add(d.first[:17])
	f.Fuzz(func(t *testing.T, frame []byte) {
		_, answer, err := NewDoorResponder(d.member, d.invite, d.joiner.Key(), frame)
		if (err == nil) != bytes.Equal(frame, d.first) || (answer != nil) != (err == nil) {
			t.Fatalf("answered: %v", err)
		}
	})
}

// FuzzDoorSecond: the joiner says nothing to what the door did not write.
func FuzzDoorSecond(f *testing.F) {
	d := newDoor(f).knock().answer()
	f.Add(d.second)
	f.Add(d.first)
	f.Fuzz(func(t *testing.T, frame []byte) {
		d := newDoor(t).knock()
		if third, _, err := d.in.Finish(frame); err == nil || third != nil {
			t.Fatal("told its name")
		}
	})
}

// FuzzDoorKnock puts any payload into the third frame, sealed as it should be.
func FuzzDoorKnock(f *testing.F) {
	d := newDoor(f)
	id := d.invite.Secret.ID()
	commitment := nonceCommitment(testMeeting, Nonce{1}, d.joiner.Key())
	f.Add(encode(d.signedKnock("Ada", Nonce{1}, Nonce{2})))
	f.Add(encode(knock{}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		hs := must(noise.NewHandshakeState(noise.Config{
			CipherSuite: noiseSuite, Pattern: noise.HandshakeXX, Initiator: true,
			Prologue:     doorTranscript(testMeeting, d.joiner.Key(), d.member.Key(), id),
			PresharedKey: d.invite.Secret.doorPSK(), StaticKeypair: d.joiner.noiseKey(),
		}))
		first, _, _, _ := hs.WriteMessage(append([]byte{doorVersion}, id[:]...), encode(doorFirst{Commitment: commitment}))
		out, second, err := NewDoorResponder(d.member, d.invite, d.joiner.Key(), first)
		if err != nil {
			t.Fatal(err)
		}
		out.nonce = Nonce{2} // as the seed's signature has it
		if _, _, _, err := hs.ReadMessage(nil, second); err != nil {
			t.Fatal(err)
		}
		if len(payload) > 60000 {
			return
		}
		third, _, _, _ := hs.WriteMessage(nil, payload)
		k, channel, err := out.Finish(third)
		if err != nil {
			if channel != nil || k != (Knock{}) {
				t.Fatal("something stays of a refused knock")
			}
			return
		}
		if !bytes.Equal(encode(knock{Name: k.Name, Bundle: k.Bundle, Nonce: k.JoinerNonce, Signature: k.Signature}), payload) {
			t.Fatal("two encodings of one knock")
		}
		if k.Bundle != d.joiner.Bundle() || k.JoinerNonce != (Nonce{1}) || CheckName(k.Name) != nil {
			t.Fatal("forged knock")
		}
	})
}

// FuzzPairReceive gives both ends of a session anything, at any stage of a handshake; a
// session that stood before stands afterwards.
func FuzzPairReceive(f *testing.F) {
	a, b := pairOf(f)
	initiation := must(a.Initiate(epoch0, nil))
	must(b.Receive(epoch0, initiation))
	response := must(b.Respond(epoch0, nil))
	e := must(a.Receive(epoch0, response))
	for _, packet := range [][]byte{initiation, response, e.Reply, {4, 0}, {3, 0}, {1, 1}, {2, 1}} {
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		a, b := pairOf(t)
		connect(t, a, b)
		now := epoch0.Add(time.Minute)
		next := must(a.Initiate(now, nil))
		for _, p := range []*PairSession{a, b} {
			e, err := p.Receive(now, packet)
			if err == nil && (e.Data != nil || e.Early != nil || e.Installed) { // hints alone
				t.Fatalf("accepted as %+v", e)
			}
		}
		exchange(t, now, a, b)
		must(b.Receive(now, next))
		response := must(b.Respond(now, nil))
		if e, err := a.Receive(now, packet); err == nil && (e.Data != nil || e.Early != nil || e.Installed) {
			t.Fatalf("accepted as %+v", e)
		}
		if e := must(a.Receive(now, response)); !e.Installed {
			t.Fatal("handshake disturbed")
		}
	})
}

// FuzzWrap: one wrap, one encoding; only the author's own are accepted, or, without the
// signature check, nothing out of range.
func FuzzWrap(f *testing.F) {
	w := newWorld(f)
	w.rotate()
	f.Add(must(w.keys.Wrap()), false)
	w.ratchet()
	f.Add(must(w.keys.Wrap()), true)
	f.Add(encode(wrap{Generation: MaxGeneration, Step: MaxStep, Key: make([]byte, 32)}), true)
	f.Fuzz(func(t *testing.T, data []byte, unsigned bool) {
		r := w.reader()
		r.off.wrapSignature = unsigned
		e, err := r.AcceptWrap(epoch0, data)
		if err != nil {
			if len(r.epochs) != 0 || len(r.said) != 0 {
				t.Fatal("something stays of a refused wrap")
			}
			return
		}
		var m wrap
		if decode(data, maxWrap, &m) != nil || !bytes.Equal(encode(m), data) || !e.valid() {
			t.Fatal("two encodings of one wrap")
		}
		if again, err := r.AcceptWrap(epoch0, data); err != nil || again != e {
			t.Fatalf("the same again: %v", err)
		}
	})
}

// FuzzKeyAnnounce: one announcement, one encoding.
func FuzzKeyAnnounce(f *testing.F) {
	w := newWorld(f)
	w.rotate()
	good := must(w.keys.Announce())
	f.Add(good.Encode())
	f.Add(encode(KeyAnnounce{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseKeyAnnounce(data)
		if err != nil {
			return
		}
		if !bytes.Equal(a.Encode(), data) {
			t.Fatal("two encodings of one announcement")
		}
		if r := w.reader(); r.AcceptAnnounce(a) == nil && a.Statement() != good.Statement() {
			t.Fatal("forged announcement")
		}
	})
}

// FuzzMedia gives a forwarder and a reader anything. What the one can read begins with
// the one encoding of what it read; the other opens the genuine packet alone.
func FuzzMedia(f *testing.F) {
	w := newWorld(f)
	keep := w.reader()
	w.rotate(keep)
	good := w.packet(20)
	f.Add(good)
	f.Add(good[:20])
	f.Add(append(sframe.AppendHeader([]byte{0xe7}, sframe.Header{KID: Epoch{1, 9}.kid(20), CTR: 1 << 40}), make([]byte, 40)...))
	f.Add(append(sframe.AppendHeader([]byte{0}, sframe.Header{KID: Epoch{2, 0}.kid(0)}), make([]byte, 40)...))
	wrapped := must(w.keys.Wrap())
	f.Fuzz(func(t *testing.T, packet []byte) {
		r := w.reader()
		must(r.AcceptWrap(w.now, wrapped))
		before := bytes.Clone(packet)
		h, err := InspectMedia(packet)
		if err == nil {
			again := sframe.AppendHeader([]byte{h.Flags.encode()}, sframe.Header{KID: h.Epoch.kid(h.Stream), CTR: h.Counter})
			if !bytes.HasPrefix(packet, again) {
				t.Fatal("two encodings of one header")
			}
		}
		_, _, mediaErr := r.OpenMedia(w.now, nil, packet)
		_, messageErr := r.OpenMessage(w.now, packet)
		if opened := mediaErr == nil; opened != bytes.Equal(packet, good) || messageErr == nil {
			t.Fatalf("%v, %v", mediaErr, messageErr)
		}
		if err != nil && len(r.waiting) > 0 || !bytes.Equal(before, packet) || len(r.epochs) != 1 {
			t.Fatal("something stays of a refused packet")
		}
		r.Release(w.now)
		r.Expire(w.now.Add(time.Hour))
		if len(r.waiting) != 0 || r.kept != 0 {
			t.Fatal("something waits for ever")
		}
	})
}

// FuzzInner: one inner header, one encoding.
func FuzzInner(f *testing.F) {
	f.Add(appendInner(nil, &MediaPacket{Marker: true, HasLevel: true, AudioLevel: 3, SequenceNumber: 4, Timestamp: 5}))
	f.Add(make([]byte, innerHeaderSize))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parseInner(data)
		if err == nil && !bytes.Equal(append(appendInner(nil, &p), p.Payload...), data) {
			t.Fatal("two encodings of one inner header")
		}
	})
}

// FuzzMessage: one message, one encoding, within the limits, even if the signature
// didn't matter.
func FuzzMessage(f *testing.F) {
	inc := member(1)
	f.Add(must(SignMessage(inc, StreamChat, MessageID{1}, epoch0, []byte("bonjour"))), uint8(StreamChat))
	f.Add(must(SignMessage(inc, StreamData, MessageID{1}, epoch0, make([]byte, MaxDataBody))), uint8(StreamData))
	f.Fuzz(func(t *testing.T, data []byte, stream uint8) {
		m, err := verifyMessage(testMeeting, inc.Key(), stream, data, hooks{messageSigned: true})
		if err != nil {
			return
		}
		if len(m.Body) > maxBody(stream) {
			t.Fatal("too large")
		}
		var inner innerMessage
		if decode(data, maxInnerMessage, &inner) != nil || !bytes.Equal(encode(inner), data) || uint64(m.Time.UnixMilli()) != inner.Time {
			t.Fatal("two encodings of one message")
		}
	})
}

// FuzzSealedMessage: one sealed message, one encoding.
func FuzzSealedMessage(f *testing.F) {
	w := newWorld(f)
	w.rotate()
	inner := must(SignMessage(w.sender, StreamChat, MessageID{1}, epoch0, []byte("bonjour")))
	f.Add(must(w.keys.Stream(StreamChat).SealMessage(inner)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseSealedMessage(data)
		if err == nil && !bytes.Equal(encode(m), data) {
			t.Fatal("two encodings of one sealed message")
		}
	})
}

// FuzzInvite: one invite, one encoding.
func FuzzInvite(f *testing.F) {
	f.Add(encode(testInvite(1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var i Invite
		if decode(data, 128, &i) == nil && !bytes.Equal(encode(i), data) {
			t.Fatal("two encodings of one invite")
		}
	})
}
