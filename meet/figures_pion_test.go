//go:build unix

package meet_test

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/huisclos/huisclos/crypto"
)

// bare is an actor that is pion alone, with pion's default interceptors: the baseline. Signalling costs nothing, since
// the benchmark carries it.
type bare struct {
	api      *webrtc.API
	listener *listener
	camera   *camera
	tracks   []webrtc.TrackLocal
	links    map[byte]*webrtc.PeerConnection
	fanout   *webrtc.TrackLocalStaticRTP
	sequence uint16
}

func (p *bare) do(o order) (a answer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), actorPatience)
	defer cancel()
	switch o.Do {
	case "start":
		err = p.start(o)
	case "offer":
		for _, to := range o.To {
			sdp, err := p.offer(to)
			if err != nil {
				return a, err
			}
			a.SDP = append(a.SDP, sdp)
		}
	case "answer":
		sdp, err := p.answer(o.To[0], o.SDP[0])
		a.SDP = []webrtc.SessionDescription{sdp}
		return a, err
	case "accept":
		for i, to := range o.To {
			if err := p.links[to].SetRemoteDescription(o.SDP[i]); err != nil {
				return a, err
			}
		}
	case "delivered":
		a.Bytes, a.Count = p.listener.delivered()
	case "close":
		return a, p.links[o.To[0]].Close()
	case "send":
		go p.camera.run(context.Background())
		go runVoice(context.Background(), p.tracks[1].(*webrtc.TrackLocalStaticRTP))
	case "connected":
		for _, pc := range p.links {
			for pc.ConnectionState() != webrtc.PeerConnectionStateConnected {
				if err := pause(ctx); err != nil {
					return a, err
				}
			}
		}
	case "burst":
		a.Delays = burst(p.fanout, &p.sequence, o.Count)
	default:
		return p.listener.do(ctx, o)
	}
	return a, err
}

// start makes the tracks: Who says which.
func (p *bare) start(o order) (err error) {
	p.links, p.listener = map[byte]*webrtc.PeerConnection{}, newListener()
	if p.api, err = pionAPI(os.Getenv("MEET_INTERCEPTORS") != "none"); err != nil {
		return err
	}
	switch o.Who[0] {
	case bareCall:
		if p.camera, err = newCamera(); err != nil {
			return err
		}
		v, err := newVoice()
		p.tracks = []webrtc.TrackLocal{p.camera, v}
		return err
	case bareSender:
		p.fanout, err = newFanoutTrack()
		p.tracks = []webrtc.TrackLocal{p.fanout}
	}
	return err
}

// What a bare actor sends.
const (
	bareCall = iota
	bareSender
	bareReceiver
)

func pionAPI(interceptors bool) (*webrtc.API, error) {
	var engine webrtc.MediaEngine
	if err := engine.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if interceptors {
		if err := webrtc.RegisterDefaultInterceptors(&engine, registry); err != nil {
			return nil, err
		}
	}
	loggers := logging.NewDefaultLoggerFactory()
	loggers.Writer = io.Discard
	setting := webrtc.SettingEngine{LoggerFactory: loggers}
	setting.SetIncludeLoopbackCandidate(true)
	setting.SetInterfaceFilter(func(name string) bool { return name == "lo" || name == "lo0" })
	setting.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	setting.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
	return webrtc.NewAPI(webrtc.WithMediaEngine(&engine), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(setting)), nil
}

// link makes the connection with another actor.
func (p *bare) link(to byte) (*webrtc.PeerConnection, error) {
	pc, err := p.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	p.links[to] = pc
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}})
		p.listener.read(crypto.MeetingKey{to}, t)
	})
	for _, track := range p.tracks {
		sender, err := pc.AddTrack(track)
		if err != nil {
			return nil, err
		}
		if track == webrtc.TrackLocal(p.camera) {
			continue // it reads for itself
		}
		go func() { // interceptors act on what is read
			buf := make([]byte, 1500)
			for {
				if _, _, err := sender.Read(buf); err != nil {
					return
				}
			}
		}()
	}
	return pc, nil
}

func (p *bare) offer(to byte) (webrtc.SessionDescription, error) {
	pc, err := p.link(to)
	if err != nil {
		return webrtc.SessionDescription{}, err
	}
	return local(pc, func() (webrtc.SessionDescription, error) { return pc.CreateOffer(nil) })
}

func (p *bare) answer(to byte, offer webrtc.SessionDescription) (webrtc.SessionDescription, error) {
	pc, err := p.link(to)
	if err == nil {
		err = pc.SetRemoteDescription(offer)
	}
	if err != nil {
		return webrtc.SessionDescription{}, err
	}
	return local(pc, func() (webrtc.SessionDescription, error) { return pc.CreateAnswer(nil) })
}

// local sets a description and returns it with all candidates.
func local(pc *webrtc.PeerConnection, make func() (webrtc.SessionDescription, error)) (webrtc.SessionDescription, error) {
	gathered := webrtc.GatheringCompletePromise(pc)
	sdp, err := make()
	if err == nil {
		err = pc.SetLocalDescription(sdp)
	}
	if err != nil {
		return sdp, err
	}
	<-gathered
	if d := pc.LocalDescription(); d != nil {
		return *d, nil
	}
	return sdp, errors.New("no local description")
}

// delivered is how many packets came, and from how many tracks.
func (l *listener) delivered() (packets uint64, tracks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes / fanoutPayload, len(l.first)
}
