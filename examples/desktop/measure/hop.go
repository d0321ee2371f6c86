package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/huisclos/huisclos/examples/desktop/internal/bridge"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Packets of the hop: as many and as large as those of one member's picture.
const (
	hopEvery   = 4 * time.Millisecond
	hopPayload = 1000
)

// began is what times in packets count from; it has a monotonic clock.
var began = time.Now()

// hop sends packets from a peer in the page's place to the bridge, and has it send each back. It returns the delays of
// both ways.
func hop(ctx context.Context, length time.Duration) (up, down []time.Duration, err error) {
	pc, err := peer()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, pc.GracefulClose()) }()
	back := &echo{packets: make(chan []byte, 256)}
	came := make(chan *bridge.Source, 1)
	b := bridge.New(bridge.Config{
		OnSource: func(s *bridge.Source) { came <- s }, OnSlots: func() {}, OnGrow: func(int, int) {}, OnConnection: func(string) {},
	})
	defer func() {
		close(back.packets)
		err = errors.Join(err, b.Close())
	}()
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "microphone", "page")
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return
			}
			mu.Lock()
			down = append(down, since(p.Payload))
			mu.Unlock()
		}
	})
	if err := connect(ctx, pc, b, track); err != nil {
		return nil, nil, err
	}
	tick := time.NewTicker(hopEvery)
	defer tick.Stop()
	end := time.After(length)
	bound := false
	for n := uint16(0); ; n++ {
		select {
		case <-tick.C:
		case s := <-came:
			back.codec = webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: s.MimeType(), ClockRate: 48000, Channels: 2}, PayloadType: 111}
			if _, err := s.Tracks()[0].Bind(back); err != nil {
				return nil, nil, err
			}
			b.Add(back)
			bound = true
		case <-end:
			mu.Lock()
			defer mu.Unlock()
			if !bound || len(down) == 0 {
				return nil, nil, errors.New("nothing came back")
			}
			return back.delays(), down, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		packet := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 192}, Payload: make([]byte, hopPayload)}
		stamp(packet.Payload)
		if err := track.WriteRTP(packet); err != nil {
			return nil, nil, err
		}
	}
}

func stamp(payload []byte) { binary.BigEndian.PutUint64(payload, uint64(time.Since(began))) }

func since(payload []byte) time.Duration {
	return time.Since(began) - time.Duration(binary.BigEndian.Uint64(payload))
}

// peer is a WebRTC peer on this machine alone.
func peer() (*webrtc.PeerConnection, error) {
	var codecs webrtc.MediaEngine
	if err := codecs.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	var chain interceptor.Registry
	if err := webrtc.RegisterDefaultInterceptors(&codecs, &chain); err != nil {
		return nil, err
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&codecs), webrtc.WithInterceptorRegistry(&chain), webrtc.WithSettingEngine(settings))
	return api.NewPeerConnection(webrtc.Configuration{})
}

// connect negotiates as the page does: one m-line to send on, one to receive on.
func connect(ctx context.Context, pc *webrtc.PeerConnection, b *bridge.Bridge, track webrtc.TrackLocal) error {
	sender, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return err
	}
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		return err
	}
	up := make(chan struct{})
	var once sync.Once
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(offer); err != nil {
		return err
	}
	<-gathered
	answer, err := b.Offer(ctx, pc.LocalDescription().SDP, map[string]string{sender.Mid(): "microphone"}, true)
	if err != nil {
		return err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return err
	}
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// echo stands in the place of a meeting: what the page sends comes back as if another member sent it.
type echo struct {
	codec   webrtc.RTPCodecParameters
	packets chan []byte

	mu sync.Mutex
	up []time.Duration
}

func (e *echo) delays() []time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.up
}

// WriteRTP takes a packet from the page: it is stamped anew and sent back.
func (e *echo) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	e.mu.Lock()
	e.up = append(e.up, since(payload))
	e.mu.Unlock()
	raw, err := (&rtp.Packet{Header: *h, Payload: payload}).Marshal()
	if err != nil {
		return 0, err
	}
	stamp(raw[len(raw)-len(payload):])
	select {
	case e.packets <- raw:
	default: // the way back is jammed; what is late shows there
	}
	return len(payload), nil
}

func (e *echo) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// As bridge.Remote.

func (e *echo) Kind() webrtc.RTPCodecType        { return webrtc.RTPCodecTypeAudio }
func (e *echo) Codec() webrtc.RTPCodecParameters { return e.codec }
func (e *echo) RequestKeyFrame()                 {}
func (e *echo) Read(b []byte) (int, interceptor.Attributes, error) {
	raw, ok := <-e.packets
	if !ok {
		return 0, nil, io.EOF
	}
	return copy(b, raw), nil, nil
}

// As webrtc.TrackLocalContext.

func (e *echo) ID() string { return "echo" }
func (e *echo) CodecParameters() []webrtc.RTPCodecParameters {
	return []webrtc.RTPCodecParameters{e.codec}
}
func (e *echo) HeaderExtensions() []webrtc.RTPHeaderExtensionParameter { return nil }
func (e *echo) SSRC() webrtc.SSRC                                      { return 1 }
func (e *echo) SSRCRetransmission() webrtc.SSRC                        { return 0 }
func (e *echo) SSRCForwardErrorCorrection() webrtc.SSRC                { return 0 }
func (e *echo) WriteStream() webrtc.TrackLocalWriter                   { return e }
func (e *echo) RTCPReader() interceptor.RTCPReader                     { return nil }
