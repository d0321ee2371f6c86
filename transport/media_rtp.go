package transport

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// The two streams of a link, fixed: nothing is negotiated. The sealed payload names the
// stream it belongs to, so tracks come and go without the link noticing. The RTP header
// belongs to the hop: sequence number and send time of this link.
//
// Retransmissions have a stream of their own (RFC 4588): to send a packet again under
// its old sequence number with a new transport-wide number would be to seal two
// different packets under one SRTP nonce (meet/SPEC.md TRA-9).
const (
	payloadType        = 96 // audio 96, video 97, their retransmissions 98, 99
	retransmitType     = 98
	transportCCID      = 1 // header extension
	transportCCURI     = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	maxResends         = 3
	nackInterval       = 50 * time.Millisecond
	reportInterval     = time.Second
	feedbackInterval   = 100 * time.Millisecond
	rtpOverhead        = 12 + 8 + 2 + 16 // header, extension, original number, SRTP tag
	earlyPackets       = 32              // kept until the keys are there
	maxNacksPerMessage = 512
)

var sentPackets = [2]int{128, 512} // kept for retransmission, by kind
var clockRate = [2]uint32{48000, 90000}

// ssrcOf is the SSRC of a stream: 1–4 from the offerer, 5–8 from the answerer.
func ssrcOf(offerer bool, kind Kind, retransmit bool) uint32 {
	ssrc := uint32(1 + kind)
	if retransmit {
		ssrc += 2
	}
	if !offerer {
		ssrc += 4
	}
	return ssrc
}

func (s *session) streamInfo(offerer bool, kind Kind) *interceptor.StreamInfo {
	mime := "audio/sealed"
	if kind == Video {
		mime = "video/sealed"
	}
	return &interceptor.StreamInfo{
		SSRC: ssrcOf(offerer, kind, false), PayloadType: payloadType + uint8(kind),
		SSRCRetransmission: ssrcOf(offerer, kind, true), PayloadTypeRetransmission: retransmitType + uint8(kind),
		RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: transportCCURI, ID: transportCCID}},
		RTCPFeedback:        []interceptor.RTCPFeedback{{Type: "nack"}, {Type: "transport-cc"}},
		ClockRate:           clockRate[kind], MimeType: mime,
	}
}

// outStream is one of the two streams we send.
type outStream struct {
	mu     sync.Mutex
	writer interceptor.RTPWriter
	header rtp.Header
	twcc   [2]byte
	start  time.Time
	sent   []sentPacket // ring by sequence number
	resend uint16       // sequence number of the retransmission stream
}

type sentPacket struct {
	payload *sharedPayload
	seq     uint16
	resends uint8
}

// sharedPayload is one copy of a payload for all links it is sent on.
type sharedPayload struct {
	refs atomic.Int32
	data []byte
}

var payloads = sync.Pool{New: func() any { return &sharedPayload{data: make([]byte, 0, MaxPacket)} }}

func sharePayload(b []byte) *sharedPayload {
	p := payloads.Get().(*sharedPayload)
	p.refs.Store(1)
	p.data = append(p.data[:0], b...)
	return p
}

func (p *sharedPayload) release() {
	if p.refs.Add(-1) == 0 {
		payloads.Put(p)
	}
}

// bindInterceptors builds the chain: congestion controller, loss reports, receiver and
// sender reports, transport-wide feedback. Our own code adds the transport-wide number
// and answers loss reports, since it must choose the sequence numbers.
func (s *session) bindInterceptors() error {
	var list []interceptor.Interceptor
	if f := s.host.config.BandwidthEstimator; f != nil {
		factory, err := cc.NewInterceptor(func() (cc.BandwidthEstimator, error) { return f(s.link.key) })
		if err != nil {
			return err
		}
		factory.OnNewPeerConnection(func(_ string, e cc.BandwidthEstimator) { s.estimator = e })
		i, err := factory.NewInterceptor("")
		if err != nil {
			return err
		}
		list = append(list, i)
	}
	loggers := s.host.media.loggers
	nacks, err := nack.NewGeneratorInterceptor(nack.GeneratorMaxNacksPerPacket(maxResends),
		nack.GeneratorInterval(nackInterval), nack.WithGeneratorLoggerFactory(loggers))
	if err != nil {
		return err
	}
	received, err := report.NewReceiverInterceptor(report.ReceiverInterval(reportInterval), report.WithReceiverLoggerFactory(loggers))
	if err != nil {
		return err
	}
	sent, err := report.NewSenderInterceptor(report.SenderInterval(reportInterval), report.WithSenderLoggerFactory(loggers))
	if err != nil {
		return err
	}
	feedback, err := twcc.NewSenderInterceptor(twcc.SendInterval(feedbackInterval), twcc.WithLoggerFactory(loggers))
	if err != nil {
		return err
	}
	for _, f := range []interceptor.Factory{nacks, received, sent, feedback} {
		i, err := f.NewInterceptor("")
		if err != nil {
			return err
		}
		list = append(list, i)
	}
	s.chain = interceptor.NewChain(list)
	for kind := Audio; kind <= Video; kind++ {
		s.bindStreams(kind)
	}
	s.rx.rtcp = s.chain.BindRTCPReader(interceptor.RTCPReaderFunc(s.rx.current))
	s.chain.BindRTCPWriter(interceptor.RTCPWriterFunc(s.tx.writeRTCP))
	return nil
}

func (s *session) bindStreams(kind Kind) {
	o := &s.out[kind]
	o.header = rtp.Header{Version: 2, PayloadType: payloadType + uint8(kind), SSRC: ssrcOf(s.offerer, kind, false)}
	_ = o.header.SetExtension(transportCCID, o.twcc[:])
	o.start = time.Now()
	o.sent = make([]sentPacket, sentPackets[kind])
	o.writer = s.chain.BindLocalStream(s.streamInfo(s.offerer, kind), interceptor.RTPWriterFunc(s.tx.writeRTP))
	s.rx.in[kind] = s.chain.BindRemoteStream(s.streamInfo(!s.offerer, kind), interceptor.RTPReaderFunc(s.rx.current))
}

// write sends one packet and keeps it for retransmission. It copies nothing and, with
// no congestion controller, allocates nothing.
func (s *session) write(kind Kind, p *sharedPayload, now time.Time) error {
	o := &s.out[kind]
	o.mu.Lock()
	defer o.mu.Unlock()
	o.header.SequenceNumber++
	o.header.Timestamp = uint32(uint64(now.Sub(o.start)) * uint64(clockRate[kind]) / uint64(time.Second))
	binary.BigEndian.PutUint16(o.twcc[:], uint16(s.twcc.Add(1)))
	slot := &o.sent[int(o.header.SequenceNumber)%len(o.sent)]
	if slot.payload != nil {
		slot.payload.release()
	}
	p.refs.Add(1)
	*slot = sentPacket{payload: p, seq: o.header.SequenceNumber}
	var attributes interceptor.Attributes
	if s.estimator != nil {
		attributes = interceptor.Attributes{} // congestion controllers note things in it
	}
	if _, err := o.writer.Write(&o.header, p.data, attributes); err != nil {
		return ErrLinkDown
	}
	s.link.stats.packetsSent.Add(1)
	if kind == Audio {
		s.link.stats.audioSent.Add(1)
	}
	s.link.stats.bytesSent.Add(uint64(len(p.data)))
	return nil
}

// resend answers a loss report: at most maxResends times per packet, each time under a
// sequence number of its own.
func (s *session) resend(report *rtcp.TransportLayerNack) {
	for kind := Audio; kind <= Video; kind++ {
		if report.MediaSSRC != ssrcOf(s.offerer, kind, false) {
			continue
		}
		left := maxNacksPerMessage
		for i := range report.Nacks {
			report.Nacks[i].Range(func(seq uint16) bool {
				s.resendPacket(kind, seq)
				left--
				return left > 0
			})
			if left <= 0 {
				return
			}
		}
	}
}

func (s *session) resendPacket(kind Kind, seq uint16) {
	o := &s.out[kind]
	o.mu.Lock()
	defer o.mu.Unlock()
	slot := &o.sent[int(seq)%len(o.sent)]
	if slot.payload == nil || slot.seq != seq || slot.resends >= maxResends {
		return
	}
	slot.resends++
	if s.host.config.unsafe.resendPlain {
		header := o.header
		binary.BigEndian.PutUint16(o.twcc[:], uint16(s.twcc.Add(1)))
		header.SequenceNumber = seq
		_, _ = s.tx.writeRTP(&header, slot.payload.data, nil)
		return
	}
	o.resend++
	header := o.header // its extension's number is set anew here
	binary.BigEndian.PutUint16(o.twcc[:], uint16(s.twcc.Add(1)))
	header.PayloadType, header.SSRC = retransmitType+uint8(kind), ssrcOf(s.offerer, kind, true)
	header.SequenceNumber = o.resend
	if s.tx.writeAgain(&header, seq, slot.payload.data) == nil {
		s.link.stats.resent.Add(1)
	}
}

func (s *session) releaseSent() {
	for kind := range s.out {
		o := &s.out[kind]
		o.mu.Lock()
		for i := range o.sent {
			if p := o.sent[i].payload; p != nil {
				p.release()
				o.sent[i].payload = nil
			}
		}
		o.mu.Unlock()
	}
}

// transmitter seals packets and puts them on the path.
type transmitter struct {
	mu      sync.Mutex
	context *srtp.Context
	conn    *ice.Conn
	parsed  rtp.Header
	buf     [MaxPacket + rtpOverhead + 64]byte
}

func (t *transmitter) open(c *srtp.Context, conn *ice.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.context, t.conn = c, conn
}

func (t *transmitter) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.context = nil
}

func (t *transmitter) writeRTP(h *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sealLocked(h, nil, payload)
}

// writeAgain sends a retransmission: the original number goes before the payload.
func (t *transmitter) writeAgain(h *rtp.Header, original uint16, payload []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := t.sealLocked(h, &original, payload)
	return err
}

func (t *transmitter) sealLocked(h *rtp.Header, original *uint16, payload []byte) (int, error) {
	if t.context == nil {
		return 0, ErrLinkDown
	}
	n, err := h.MarshalTo(t.buf[:])
	if err != nil {
		return 0, err
	}
	if original != nil {
		binary.BigEndian.PutUint16(t.buf[n:], *original)
		n += 2
	}
	n += copy(t.buf[n:], payload)
	sealed, err := t.context.EncryptRTP(t.buf[:0], t.buf[:n], &t.parsed)
	if err != nil {
		return 0, err
	}
	return t.conn.Write(sealed)
}

func (t *transmitter) writeRTCP(packets []rtcp.Packet, _ interceptor.Attributes) (int, error) {
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.context == nil {
		return 0, ErrLinkDown
	}
	sealed, err := t.context.EncryptRTCP(nil, raw, nil)
	if err != nil {
		return 0, err
	}
	return t.conn.Write(sealed)
}

// receiver opens packets. Only the session's reader goroutine handles packets, except
// that the early ones are handled when the keys come.
type receiver struct {
	mu         sync.Mutex
	context    *srtp.Context
	early      [][]byte
	in         [2]interceptor.RTPReader
	rtcp       interceptor.RTCPReader
	now        []byte // the packet being handled
	parsed     rtp.Header
	attributes interceptor.Attributes
}

// current is the innermost reader of every chain: it yields the packet being handled.
func (r *receiver) current(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
	return copy(b, r.now), a, nil // b is r.now, mostly: then copy does nothing
}

// open sets the keys and handles what came before them.
func (r *receiver) open(s *session, c *srtp.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.context = c
	r.attributes = interceptor.Attributes{}
	for _, b := range r.early {
		r.handleLocked(s, b)
	}
	r.early = nil
}

func (r *receiver) handle(s *session, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.context != nil {
		r.handleLocked(s, b)
	} else if len(r.early) < earlyPackets {
		r.early = append(r.early, append([]byte(nil), b...))
	}
}

func (r *receiver) handleLocked(s *session, b []byte) {
	clear(r.attributes)
	if b[1] >= 192 && b[1] <= 223 { // RFC 5761 §4
		r.handleRTCP(s, b)
		return
	}
	plain, err := r.context.DecryptRTP(b[:0], b, &r.parsed)
	if err != nil {
		return
	}
	for kind := Audio; kind <= Video; kind++ {
		switch r.parsed.SSRC {
		case ssrcOf(!s.offerer, kind, false):
		case ssrcOf(!s.offerer, kind, true):
			if plain = unwrapRetransmission(plain, r.parsed.MarshalSize(), ssrcOf(!s.offerer, kind, false), kind); plain == nil {
				return
			}
		default:
			continue
		}
		r.deliver(s, kind, plain)
		return
	}
}

// unwrapRetransmission turns a packet of the retransmission stream into the original
// one, in place: the header moves up over the original number.
func unwrapRetransmission(b []byte, headerLen int, ssrc uint32, kind Kind) []byte {
	if len(b) < headerLen+2 {
		return nil
	}
	original := binary.BigEndian.Uint16(b[headerLen:])
	copy(b[2:], b[:headerLen])
	b = b[2:]
	b[1] = b[1]&0x80 | (payloadType + uint8(kind))
	binary.BigEndian.PutUint16(b[2:], original)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return b
}

func (r *receiver) deliver(s *session, kind Kind, packet []byte) {
	r.now = packet
	n, attributes, err := r.in[kind].Read(packet, r.attributes)
	if err != nil || n != len(packet) {
		return
	}
	header, err := attributes.GetRTPHeader(packet)
	if err != nil {
		return
	}
	at := header.MarshalSize()
	if header.Padding || at >= len(packet) {
		return // we send neither padding nor empty packets
	}
	s.link.deliver(s.ctx, kind, packet[at:])
}

func (r *receiver) handleRTCP(s *session, b []byte) {
	plain, err := r.context.DecryptRTCP(nil, b, nil)
	if err != nil {
		return
	}
	r.now = plain
	n, attributes, err := r.rtcp.Read(plain, r.attributes)
	if err != nil {
		return
	}
	packets, err := attributes.GetRTCPPackets(plain[:n])
	if err != nil {
		return
	}
	for _, p := range packets {
		if loss, ok := p.(*rtcp.TransportLayerNack); ok {
			s.resend(loss)
		}
	}
}

// read takes what the ICE agent passes on until the agent closes.
func (s *session) read() {
	defer s.running.Done()
	defer close(s.wire)
	var buf [muxDatagram]byte
	for {
		n, err := s.conn.Read(buf[:])
		if err != nil {
			if errors.Is(err, io.ErrShortBuffer) {
				continue
			}
			return
		}
		if n < 12 {
			continue
		}
		s.heard()
		switch b := buf[0]; {
		case b >= 20 && b <= 63:
			select {
			case s.dtlsIn <- append([]byte(nil), buf[:n]...):
			default: // DTLS repeats itself
			}
		case b >= 128 && b <= 191:
			s.rx.handle(s, buf[:n])
		}
	}
}
