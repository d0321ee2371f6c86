package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/huisclos/huisclos/crypto/codec"
)

// Every byte this package defines on the wire is in this file. The rest is libp2p's
// (multistream, QUIC, Noise and yamux over TCP), GossipSub's, and ICE, DTLS and SRTP.
// Decoders take one encoding for each value and check limits before use (TRA-12).

// Protocol names, negotiated inside the encrypted connection. A stranger is offered
// the door alone (meet/SPEC.md TRA-3).
const (
	protocolDoor  = "/huisclos/door/1"
	protocolPair  = "/huisclos/pair/1"
	protocolRoom  = "/huisclos/room/1"
	protocolFile  = "/huisclos/file/1"
	protocolMedia = "/huisclos/media/1"
	// protocolRelay is what a relay is shown a ticket by. Circuits are libp2p's circuit relay v2 (meet/SPEC.md §10.2).
	protocolRelay = "/huisclos/relay/1"
	// protocolIdentify is libp2p's: a limited relay is asked where it sees us, and told nothing (TRA-27).
	protocolIdentify = "/ipfs/id/1.0.0"
)

// punchPrologue is Noise's in circuits through limited relays, so that nothing else can be talked there (TRA-26).
const punchPrologue = "huisclos v1 punch"

// What a limited relay and whoever comes through it may say, in bytes.
const (
	maxIdentify       = 8 << 10
	maxCircuitMessage = 4 << 10
	maxPunchFrame     = 64
)

// MaxFrame is the longest message on a door, pair or file stream and in the room, in bytes.
const MaxFrame = 65535

// Errors of the wire formats.
var (
	// ErrFrame reports a frame of a length that is not 1 to MaxFrame.
	ErrFrame = errors.New("transport: frame is empty or longer than 65,535 bytes")
	// ErrSignal reports a media signal that is malformed or breaks a limit.
	ErrSignal = errors.New("transport: malformed media signal")
)

// A frame is a length of two bytes, big-endian, at least 1, and that many bytes. So a
// peer can make us hold 64 KiB at most, whatever it announces.
func writeFrame(w io.Writer, payload []byte) error {
	if len(payload) == 0 || len(payload) > MaxFrame {
		return ErrFrame
	}
	b := make([]byte, 2, 2+len(payload))
	binary.BigEndian.PutUint16(b, uint16(len(payload)))
	_, err := w.Write(append(b, payload...)) // one write: one QUIC frame for short messages
	return err
}

// readFrame returns the next frame. io.EOF means the stream ended between frames.
func readFrame(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(head[:]))
	if size == 0 {
		return nil, ErrFrame
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return payload, nil
}

// welcome is the first frame an accepting side sends on a door or pair stream. It
// means: you are let in here. Observed is the UDP address the opener was seen at, in
// addrPortBytes form, or absent: the opener's server-reflexive candidate.
type welcome struct {
	Observed []byte `cbor:"1,keyasint,omitempty"`
}

const maxWelcome = 32

func encodeWelcome(observed netip.AddrPort) ([]byte, error) {
	var w welcome
	if observed.IsValid() {
		w.Observed = addrPortBytes(observed)
	}
	return codec.Marshal(w)
}

func decodeWelcome(b []byte) (netip.AddrPort, error) {
	var w welcome
	if err := codec.Unmarshal(b, maxWelcome, &w); err != nil {
		return netip.AddrPort{}, err
	}
	if len(w.Observed) == 0 {
		return netip.AddrPort{}, nil
	}
	return parseAddrPortBytes(w.Observed)
}

// beginPunch proves to the other end of a circuit that we may be told where it is seen, tells it where we are, reads that,
// and says that it begins now. It returns how long an answer takes.
func beginPunch(c io.ReadWriter, proof []byte, sees netip.AddrPort) (theirs netip.AddrPort, apart time.Duration, err error) {
	begun := time.Now()
	if err := writeFrame(c, proof); err != nil {
		return noAddr, 0, err
	}
	if err := writeSignal(c, sees); err != nil {
		return noAddr, 0, err
	}
	if theirs, err = readSignal(c); err != nil {
		return noAddr, 0, err
	}
	return theirs, time.Since(begun), writeSignal(c, noAddr)
}

// answerPunch is the other end of beginPunch: it returns when it is time to begin. Who hasn't proven anything is told nothing
// (TRA-28).
func answerPunch(c io.ReadWriter, proven func(proof []byte) bool, sees netip.AddrPort) (theirs netip.AddrPort, err error) {
	proof, err := readFrame(io.LimitReader(c, maxPunchFrame))
	if err != nil {
		return noAddr, err
	}
	if !proven(proof) {
		return noAddr, ErrSignal
	}
	if theirs, err = readSignal(c); err != nil {
		return noAddr, err
	}
	if err = writeSignal(c, sees); err != nil {
		return noAddr, err
	}
	if now, err := readSignal(c); err != nil || now.IsValid() {
		return noAddr, ErrSignal
	}
	return theirs, nil
}

// A signal of hole punching is a frame as a welcome is: where its sender is seen, or no address, which means now.
func writeSignal(w io.Writer, sees netip.AddrPort) error {
	frame, err := encodeWelcome(sees)
	if err != nil {
		return err
	}
	return writeFrame(w, frame)
}

func readSignal(r io.Reader) (netip.AddrPort, error) {
	frame, err := readFrame(io.LimitReader(r, maxPunchFrame))
	if err != nil {
		return noAddr, err
	}
	return decodeWelcome(frame)
}

// maxTicket bounds a relay's ticket, maxRelayAnswer its answer, in bytes.
const (
	maxTicket      = 512
	maxRelayAnswer = 256
)

// relayAnswer is a relay's to a ticket.
type relayAnswer struct {
	observed netip.AddrPort // where it sees the sender's UDP socket, if it does
	refused  string         // why not, in English
	clock    time.Time      // the time it has, where the ticket's is over by it (CLK-2)
}

// decodeRelayAnswer reads it: 0, and the address, if any, in addrPortBytes form; 1 and why not; or 2 and the relay's time
// (8 bytes, Unix seconds).
func decodeRelayAnswer(b []byte) (a relayAnswer, err error) {
	switch {
	case len(b) == 1 && b[0] == 0:
	case len(b) > 1 && b[0] == 0:
		a.observed, err = parseAddrPortBytes(b[1:])
	case len(b) > 0 && len(b) <= maxRelayAnswer && b[0] == 1:
		a.refused = printable(b[1:])
	case len(b) == 9 && b[0] == 2 && binary.BigEndian.Uint64(b[1:]) < 1<<40: // the year 36812; time.Time has its limits too
		a.clock = time.Unix(int64(binary.BigEndian.Uint64(b[1:])), 0)
	default:
		err = fmt.Errorf("%w: relay's answer", ErrSignal)
	}
	return a, err
}

// printable is text fit for a log or a screen.
func printable(b []byte) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b))
	if text == "" {
		return "no reason given"
	}
	return text
}

// addrPortBytes is an IP address (4 or 16 bytes) and a port (2 bytes, big-endian).
func addrPortBytes(a netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(a.Addr().Unmap().AsSlice(), a.Port())
}

func parseAddrPortBytes(b []byte) (netip.AddrPort, error) {
	if len(b) != 6 && len(b) != 18 {
		return netip.AddrPort{}, fmt.Errorf("%w: address of %d bytes", ErrSignal, len(b))
	}
	ip, _ := netip.AddrFromSlice(b[:len(b)-2])
	port := binary.BigEndian.Uint16(b[len(b)-2:])
	if ip.Is4In6() || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("%w: address", ErrSignal) // one form per address
	}
	return netip.AddrPortFrom(ip, port), nil
}

// Kinds of media signal.
const (
	signalOffer  = 1
	signalAnswer = 2
)

// Candidate types (RFC 8445 §5.1.1).
const (
	candidateHost            = 1
	candidateServerReflexive = 2
)

// mediaSignal is an offer or an answer: all that ICE (RFC 8445) and DTLS-SRTP
// (RFC 5763) need from the other side. There is no SDP: streams, payload types and
// header extensions are fixed (see media_rtp.go), and the answerer is always the DTLS
// client, which is the sooner to have a checked path.
type mediaSignal struct {
	Kind        uint64   `cbor:"1,keyasint,omitempty"`
	Generation  uint64   `cbor:"2,keyasint,omitempty"` // of the link; an answer repeats the offer's
	Fragment    string   `cbor:"3,keyasint,omitempty"` // ICE user fragment
	Password    string   `cbor:"4,keyasint,omitempty"` // ICE password
	Fingerprint []byte   `cbor:"5,keyasint,omitempty"` // SHA-256 of the DTLS certificate
	Candidates  [][]byte `cbor:"6,keyasint,omitempty"` // type (1 byte) ‖ addrPortBytes
}

type iceCandidate struct {
	kind uint8
	addr netip.AddrPort
}

const (
	maxSignal       = 512
	fragmentLength  = 16
	passwordLength  = 32
	fingerprintSize = 32
)

func (s *mediaSignal) encode() ([]byte, error) { return codec.Marshal(s) }

func (s *mediaSignal) add(kind uint8, addr netip.AddrPort) {
	s.Candidates = append(s.Candidates, append([]byte{kind}, addrPortBytes(addr)...))
}

// decodeSignal returns a signal of this kind and its candidates, all checked but the
// addresses themselves, which are the address filter's to judge.
func decodeSignal(b []byte, kind uint64) (*mediaSignal, []iceCandidate, error) {
	var s mediaSignal
	if err := codec.Unmarshal(b, maxSignal, &s); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSignal, err)
	}
	switch {
	case s.Kind != kind:
		return nil, nil, fmt.Errorf("%w: kind %d, want %d", ErrSignal, s.Kind, kind)
	case s.Generation == 0 || s.Generation >= 1<<32:
		return nil, nil, fmt.Errorf("%w: generation", ErrSignal)
	case len(s.Fragment) != fragmentLength || !iceChars(s.Fragment):
		return nil, nil, fmt.Errorf("%w: user fragment", ErrSignal)
	case len(s.Password) != passwordLength || !iceChars(s.Password):
		return nil, nil, fmt.Errorf("%w: password", ErrSignal)
	case len(s.Fingerprint) != fingerprintSize:
		return nil, nil, fmt.Errorf("%w: fingerprint", ErrSignal)
	case len(s.Candidates) > MaxAddresses:
		return nil, nil, fmt.Errorf("%w: %d candidates", ErrSignal, len(s.Candidates))
	}
	candidates := make([]iceCandidate, 0, len(s.Candidates))
	for _, c := range s.Candidates {
		if len(c) < 1 || c[0] != candidateHost && c[0] != candidateServerReflexive {
			return nil, nil, fmt.Errorf("%w: candidate type", ErrSignal)
		}
		addr, err := parseAddrPortBytes(c[1:])
		if err != nil {
			return nil, nil, err
		}
		candidates = append(candidates, iceCandidate{c[0], addr})
	}
	return &s, candidates, nil
}

// iceChars tells whether s has only letters and digits (a subset of ice-char).
func iceChars(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

// A media frame is one packet on a media stream: two bytes, big-endian, whose upper four bits are the kind and whose
// lower twelve the length, 1 to MaxPacket, and that many bytes. So one is never longer than maxMediaFrame (MST-1).
const (
	mediaFrameHead = 2
	maxMediaFrame  = mediaFrameHead + MaxPacket
)

// ErrMediaFrame reports a media frame of no known kind, or of a length that is not 1 to MaxPacket.
var ErrMediaFrame = errors.New("transport: malformed media frame")

// appendMediaFrame appends the frame of a packet of 1 to MaxPacket bytes.
func appendMediaFrame(b []byte, kind Kind, payload []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(kind)<<12|uint16(len(payload)))
	return append(b, payload...)
}

// splitMediaFrame takes the first frame off b. The payload is a part of b, and nil if b doesn't hold the frame whole
// yet. A bad frame is told by its head, before there is any more of it.
func splitMediaFrame(b []byte) (kind Kind, payload, rest []byte, err error) {
	if len(b) < mediaFrameHead {
		return 0, nil, b, nil
	}
	head := binary.BigEndian.Uint16(b)
	kind, size := Kind(head>>12), int(head&0x0fff)
	switch {
	case kind > Video || size == 0 || size > MaxPacket:
		return 0, nil, nil, ErrMediaFrame
	case len(b) < mediaFrameHead+size:
		return 0, nil, b, nil
	}
	end := mediaFrameHead + size
	return kind, b[mediaFrameHead:end:end], b[end:], nil
}

// An acknowledgement on a media stream is eight bytes, big-endian: how many bytes of frames its sender has taken since
// the stream began. The first is sent at once and says 0; each later one says more than the last.
const mediaAckSize = 8
