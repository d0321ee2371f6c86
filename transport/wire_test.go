package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/huisclos/huisclos/crypto/codec"
)

func goodSignal(kind uint64) *mediaSignal {
	s := &mediaSignal{Kind: kind, Generation: 7, Fragment: strings.Repeat("a", fragmentLength),
		Password: strings.Repeat("B", passwordLength), Fingerprint: bytes.Repeat([]byte{3}, fingerprintSize)}
	s.add(candidateHost, netip.MustParseAddrPort("5.0.0.1:4000"))
	s.add(candidateServerReflexive, netip.MustParseAddrPort("[2a01::1]:4001"))
	return s
}

func TestSignalRoundTrip(t *testing.T) {
	for _, kind := range []uint64{signalOffer, signalAnswer} {
		b, err := goodSignal(kind).encode()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d bytes", len(b))
		s, candidates, err := decodeSignal(b, kind)
		if err != nil {
			t.Fatal(err)
		}
		if s.Generation != 7 || len(candidates) != 2 || candidates[1].addr.String() != "[2a01::1]:4001" {
			t.Errorf("decoded %+v %v", s, candidates)
		}
		if _, _, err := decodeSignal(b, 3-kind); err == nil {
			t.Error("an offer passes for an answer or the reverse")
		}
	}
}

// TestSignalLimits covers TRA-12. Its twin is the codec alone, which takes all of these: that there is one encoding for each
// value is the codec's rule, and has twins there (COD-2).
func TestSignalLimits(t *testing.T) {
	for name, spoil := range map[string]func(*mediaSignal){
		"kind":             func(s *mediaSignal) { s.Kind = 3 },
		"generation 0":     func(s *mediaSignal) { s.Generation = 0 },
		"generation 2^32":  func(s *mediaSignal) { s.Generation = 1 << 32 },
		"short fragment":   func(s *mediaSignal) { s.Fragment = "abc" },
		"fragment colon":   func(s *mediaSignal) { s.Fragment = strings.Repeat(":", fragmentLength) },
		"long password":    func(s *mediaSignal) { s.Password += "B" },
		"password newline": func(s *mediaSignal) { s.Password = strings.Repeat("\n", passwordLength) },
		"fingerprint":      func(s *mediaSignal) { s.Fingerprint = s.Fingerprint[1:] },
		"candidate type":   func(s *mediaSignal) { s.Candidates[0][0] = 3 },
		"short address":    func(s *mediaSignal) { s.Candidates[0] = []byte{1, 5, 0, 0, 1, 1, 1, 1, 1, 1, 1} },
		"empty candidate":  func(s *mediaSignal) { s.Candidates[0] = nil },
		"port 0":           func(s *mediaSignal) { copy(s.Candidates[0][5:], []byte{0, 0}) },
		"mapped address": func(s *mediaSignal) {
			s.Candidates[0] = append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 5, 0, 0, 1, 1, 1)
		},
		"nine candidates": func(s *mediaSignal) {
			for range 7 {
				s.add(candidateHost, netip.MustParseAddrPort("5.0.0.1:4000"))
			}
		},
	} {
		s := goodSignal(signalOffer)
		spoil(s)
		b, err := s.encode()
		if err != nil {
			t.Fatal(name, err)
		}
		if _, _, err := decodeSignal(b, signalOffer); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := codec.Unmarshal(b, maxSignal, new(mediaSignal)); err != nil {
			t.Errorf("%s: the twin refuses it as well: %v", name, err)
		}
	}
}

// TestLongest: no decoder looks at what is longer than its limit; the twin is the codec, which takes the same with a greater
// one.
//
// Checks: TRA-12.
func TestLongest(t *testing.T) {
	s := goodSignal(signalOffer)
	s.Password = strings.Repeat("B", maxSignal)
	long, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := decodeSignal(long, signalOffer); !errors.Is(err, codec.ErrTooLarge) || codec.Unmarshal(long, len(long), s) != nil {
		t.Errorf("a long signal: %v", err)
	}
	w := welcome{Observed: make([]byte, maxWelcome)}
	if long, err = codec.Marshal(w); err != nil {
		t.Fatal(err)
	}
	if _, err := decodeWelcome(long); !errors.Is(err, codec.ErrTooLarge) || codec.Unmarshal(long, len(long), &w) != nil {
		t.Errorf("a long welcome: %v", err)
	}
	reason := bytes.Repeat([]byte{'x'}, maxRelayAnswer)
	if _, err := decodeRelayAnswer(append([]byte{1}, reason...)); err == nil {
		t.Error("a long reason is taken")
	}
	if a, err := decodeRelayAnswer(append([]byte{1}, reason[1:]...)); err != nil || a.refused != string(reason[1:]) {
		t.Errorf("a reason of %d bytes: %v", len(reason)-1, err)
	}
	if _, err := decodeRelayAnswer([]byte{2, 0, 0, 1, 0, 0, 0, 0, 0}); err == nil {
		t.Error("a time far beyond those there are is taken")
	}
	if _, err := readFrame(bytes.NewReader([]byte{0, 0, 0, 1, 'x'})); !errors.Is(err, ErrFrame) {
		t.Errorf("an empty frame: %v", err)
	}
}

// FuzzSignal: whatever is accepted has one encoding, and is within every limit (TRA-12).
func FuzzSignal(f *testing.F) {
	for _, kind := range []uint64{signalOffer, signalAnswer} {
		b, _ := goodSignal(kind).encode()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []uint64{signalOffer, signalAnswer} {
			s, candidates, err := decodeSignal(b, kind)
			if err != nil {
				continue
			}
			again, err := s.encode()
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("malleable: %x and %x (%v)", b, again, err)
			}
			if len(b) > maxSignal || len(candidates) > MaxAddresses || len(candidates) != len(s.Candidates) {
				t.Fatal("over a limit")
			}
			for i, c := range candidates {
				if !bytes.Equal(append([]byte{c.kind}, addrPortBytes(c.addr)...), s.Candidates[i]) {
					t.Fatalf("candidate %v is malleable", c)
				}
			}
		}
	})
}

func FuzzWelcome(f *testing.F) {
	for _, a := range []string{"5.0.0.1:4000", "[2a01::1]:4001"} {
		b, _ := encodeWelcome(netip.MustParseAddrPort(a))
		f.Add(b)
	}
	b, _ := encodeWelcome(noAddr)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeWelcome(b)
		if err != nil {
			return
		}
		if again, err := encodeWelcome(a); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("malleable: %x and %x (%v)", b, again, err)
		}
	})
}

// FuzzFrame reads frames off a stream: they are what writeFrame writes (TRA-12). That none is longer than 64 KiB has no
// twin, as there is no check to take away: its length has two bytes.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 1, 7, 0, 2, 8, 9})
	f.Add([]byte{0, 0})
	f.Add([]byte{0xff, 0xff, 1})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		var again bytes.Buffer
		for {
			frame, err := readFrame(r)
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
			if len(frame) == 0 || len(frame) > MaxFrame {
				t.Fatal("frame over its limits")
			}
			if err := writeFrame(&again, frame); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("malleable: %x and %x", b, again.Bytes())
		}
	})
}

// FuzzDatagram feeds the demultiplexer: no datagram makes it fail or reach an agent
// whose fragment it does not name.
func FuzzDatagram(f *testing.F) {
	f.Add(append([]byte{0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42}, "transactions\x00\x06\x00\x0cabcd:efghijk"...))
	f.Add([]byte{0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 6, 0xff, 0xff})
	f.Add([]byte{128, 96})
	f.Add([]byte{20})
	f.Add([]byte{})
	from := netip.MustParseAddrPort("5.0.0.1:4000")
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMediaMux(nil)
		c := &muxConn{mux: m, user: muxUser{"abcd", false}, queue: make(chan muxPacket, 1), done: make(chan struct{})}
		m.byUser[c.user] = c
		m.dispatch(b, from)
		named := isSTUN(b) && binary.BigEndian.Uint16(b)&0x0110 == 0 && bytes.Contains(b, []byte("abcd:"))
		if len(c.queue) == 1 && !named {
			t.Fatalf("%x reached the agent", b)
		}
	})
}

// FuzzRetransmission unwraps any packet without failing.
func FuzzRetransmission(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x90}, 30), 20)
	f.Add(bytes.Repeat([]byte{0x80}, 13), 12)
	f.Fuzz(func(t *testing.T, b []byte, headerLen int) {
		if headerLen < 12 || headerLen > len(b) {
			return // DecryptRTP has parsed the header
		}
		size := len(b)
		out := unwrapRetransmission(b, headerLen, 2, Video)
		if out != nil && len(out) != size-2 {
			t.Fatalf("%d bytes of %d", len(out), size)
		}
	})
}
