package crypto

import (
	"encoding/binary"
	"time"

	"github.com/huisclos/huisclos/crypto/sframe"
)

// MaxMediaOverhead is the most bytes sealing adds to a media payload: the clear byte,
// SFrame's header and tag, and the inner header with a level. Usual is 1+4+16+7.
const MaxMediaOverhead = 1 + sframe.MaxHeaderSize + sframe.TagSize + innerHeaderSize + 1

// MediaFlags is the clear byte of a sealed packet (SPEC section 7.1): what a forwarder
// may know in order to choose. It is authenticated, not encrypted.
type MediaFlags struct {
	// StartOfFrame marks the first packet of a frame.
	StartOfFrame bool
	// KeyFrame marks the packets of a frame that needs no other.
	KeyFrame bool
	// Discardable marks the packets of a frame that no other needs.
	Discardable bool
	// TemporalLayer is 0 to 7, 0 for the base.
	TemporalLayer uint8
}

func (f MediaFlags) encode() byte {
	b := f.TemporalLayer & clearTemporal
	if f.StartOfFrame {
		b |= clearStart
	}
	if f.KeyFrame {
		b |= clearKeyFrame
	}
	if f.Discardable {
		b |= clearDiscardable
	}
	return b
}

func decodeFlags(b byte) MediaFlags {
	return MediaFlags{
		StartOfFrame:  b&clearStart != 0,
		KeyFrame:      b&clearKeyFrame != 0,
		Discardable:   b&clearDiscardable != 0,
		TemporalLayer: b & clearTemporal,
	}
}

// MediaHeader is what a sealed packet shows without a key. Before it was opened it is
// only what somebody claims.
type MediaHeader struct {
	// Flags is the clear byte.
	Flags MediaFlags
	// Epoch names the sender's key.
	Epoch Epoch
	// Stream is the stream number.
	Stream uint8
	// Counter numbers the packets of this epoch and stream.
	Counter uint64
}

// MediaPacket is one source packet (SPEC section 7.1).
type MediaPacket struct {
	// Flags travels in clear.
	Flags MediaFlags
	// Marker is RTP's marker bit.
	Marker bool
	// SequenceNumber is RTP's, of the source.
	SequenceNumber uint16
	// Timestamp is RTP's, of the source.
	Timestamp uint32
	// HasLevel says that AudioLevel is there.
	HasLevel bool
	// AudioLevel is the byte of RFC 6464: voice flag, and level in -dBov.
	AudioLevel uint8
	// Payload is RTP's payload.
	Payload []byte
}

// InspectMedia reads what a forwarder needs of a sealed packet. It refuses with
// ErrMalformed one that has a reserved bit set or is shorter than its parts (MED-2).
func InspectMedia(packet []byte) (MediaHeader, error) {
	h, _, err := inspect(packet)
	return h, err
}

// inspect also returns the length of clear byte and SFrame header.
func inspect(packet []byte) (MediaHeader, int, error) {
	if len(packet) < 2 || packet[0]&clearReserved != 0 { // MED-2
		return MediaHeader{}, 0, ErrMalformed
	}
	sealed, n, err := sframe.ParseHeader(packet[1:])
	if err != nil {
		return MediaHeader{}, 0, ErrMalformed
	}
	h := MediaHeader{Flags: decodeFlags(packet[0]), Counter: sealed.CTR}
	h.Epoch, h.Stream = splitKID(sealed.KID)
	least := 1 // of a message
	if h.Stream >= FirstMediaStream {
		least = innerHeaderSize
	} else if packet[0] != 0 {
		return MediaHeader{}, 0, ErrMalformed
	}
	if !h.Epoch.valid() || len(packet) < 1+n+least+sframe.TagSize { // MED-2
		return MediaHeader{}, 0, ErrMalformed
	}
	return h, 1 + n, nil
}

// SealMedia appends the sealed packet to dst and returns the longer slice; on error, dst
// as it was. Nothing of p is outside the seal but p.Flags (MED-1). It allocates nothing
// if dst has room for len(p.Payload)+MaxMediaOverhead bytes more. The errors are
// ErrDuplicate (MED-3), ErrNoKey, ErrKeyLimit, ErrTooLarge and ErrStream.
func (s *SenderStream) SealMedia(dst []byte, p *MediaPacket) ([]byte, error) {
	if s.number < FirstMediaStream || p.Flags.TemporalLayer > clearTemporal {
		return dst, ErrStream
	}
	if err := s.begin(); err != nil {
		return dst, err
	}
	defer s.end()
	// MED-3: browsers probe by sending packets again, which must not be sealed twice.
	if s.sealed.has(p.SequenceNumber) && !s.off.sourceReplay {
		return dst, ErrDuplicate
	}
	s.scratch = append(appendInner(s.scratch[:0], p), p.Payload...)
	out, err := s.seal(dst, p.Flags.encode(), s.scratch)
	if err == nil {
		s.sealed.add(p.SequenceNumber)
	}
	return out, err
}

func appendInner(b []byte, p *MediaPacket) []byte {
	var flags byte
	if p.Marker {
		flags |= innerMarker
	}
	if p.HasLevel {
		flags |= innerLevel
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint16(b, p.SequenceNumber)
	b = binary.BigEndian.AppendUint32(b, p.Timestamp)
	if p.HasLevel {
		b = append(b, p.AudioLevel)
	}
	return b
}

func parseInner(b []byte) (MediaPacket, error) {
	if len(b) < innerHeaderSize || b[0]&innerReserved != 0 {
		return MediaPacket{}, ErrMalformed
	}
	p := MediaPacket{
		Marker:         b[0]&innerMarker != 0,
		HasLevel:       b[0]&innerLevel != 0,
		SequenceNumber: binary.BigEndian.Uint16(b[1:]),
		Timestamp:      binary.BigEndian.Uint32(b[3:]),
		Payload:        b[innerHeaderSize:],
	}
	if p.HasLevel {
		if len(p.Payload) == 0 {
			return MediaPacket{}, ErrMalformed
		}
		p.AudioLevel, p.Payload = p.Payload[0], p.Payload[1:]
	}
	return p, nil
}

// OpenMedia opens a sealed packet of this sender. It appends the plaintext to dst, and
// the returned Payload lies in there: it allocates nothing if dst has room for
// len(packet) bytes more. dst and packet must not overlap. It is safe for concurrent
// use. The errors are ErrMalformed (MED-2), ErrStream, ErrUnknownKey (the packet was
// kept: see Release), ErrOldKey, ErrReplay and ErrRefused.
func (r *ReaderKeys) OpenMedia(now time.Time, dst, packet []byte) (MediaHeader, MediaPacket, error) {
	h, _, err := inspect(packet)
	if err != nil {
		return MediaHeader{}, MediaPacket{}, err
	}
	if h.Stream < FirstMediaStream {
		return MediaHeader{}, MediaPacket{}, ErrStream
	}
	out, err := r.open(now, dst, packet, h)
	if err != nil {
		return MediaHeader{}, MediaPacket{}, err
	}
	p, err := parseInner(out[len(dst):])
	if err != nil {
		return MediaHeader{}, MediaPacket{}, err
	}
	p.Flags = h.Flags
	return h, p, nil
}

// sourceWindow remembers the last 1,024 sequence numbers that were sealed (MED-3). It
// goes by what was sealed, not by how far numbers lie apart: a source that starts again
// elsewhere is no replay.
type sourceWindow struct {
	seen   [1 << 16 / 64]uint64
	order  [1024]uint16
	next   int
	filled bool
}

func (w *sourceWindow) has(seq uint16) bool { return w.seen[seq/64]&(1<<(seq%64)) != 0 }

func (w *sourceWindow) add(seq uint16) {
	if w.has(seq) {
		return
	}
	if w.filled {
		oldest := w.order[w.next]
		w.seen[oldest/64] &^= 1 << (oldest % 64)
	}
	w.order[w.next] = seq
	w.next = (w.next + 1) % len(w.order)
	w.filled = w.filled || w.next == 0
	w.seen[seq/64] |= 1 << (seq % 64)
}
