package bridge

import (
	"io"
	"net"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
)

const (
	audioLevelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	midURI        = "urn:ietf:params:rtp-hdrext:sdes:mid"
)

// opusFormat is what the browser is told to encode: constant bit rate without pauses, since packet sizes leak speech.
const opusFormat = "minptime=10;useinbandfec=1;cbr=1;usedtx=0"

// h264Format is what all browsers can decode.
const h264Format = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"

var (
	audioCodecs = []webrtc.RTPCodecParameters{{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: opusFormat}, PayloadType: 111,
	}}
	videoCodecs = []webrtc.RTPCodecParameters{
		video(webrtc.MimeTypeVP8, "", 96), retransmission("apt=96", 97),
		video(webrtc.MimeTypeVP9, "profile-id=0", 98), retransmission("apt=98", 99),
		video(webrtc.MimeTypeH264, h264Format, 106), retransmission("apt=106", 107),
		video(webrtc.MimeTypeAV1, "", 45), retransmission("apt=45", 46),
	}
)

func video(mime, format string, payloadType webrtc.PayloadType) webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{PayloadType: payloadType, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: mime, ClockRate: 90000, SDPFmtpLine: format, RTCPFeedback: []webrtc.RTCPFeedback{
			{Type: "goog-remb"}, {Type: "ccm", Parameter: "fir"}, {Type: "nack"}, {Type: "nack", Parameter: "pli"},
		},
	}}
}

func retransmission(format string, payloadType webrtc.PayloadType) webrtc.RTPCodecParameters {
	return webrtc.RTPCodecParameters{PayloadType: payloadType, RTPCodecCapability: webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: format,
	}}
}

// maxResends is how often a lost packet is asked for. On this machine packets are lost in full buffers only.
const maxResends = 3

// quiet logs nothing: what pion says at the end of a connection is nothing to a person.
var quiet = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// newAPI sets pion up for a browser on the same machine.
func newAPI() (*webrtc.API, error) {
	engine := &webrtc.MediaEngine{}
	for kind, codecs := range map[webrtc.RTPCodecType][]webrtc.RTPCodecParameters{
		webrtc.RTPCodecTypeAudio: audioCodecs, webrtc.RTPCodecTypeVideo: videoCodecs,
	} {
		for _, c := range codecs {
			if err := engine.RegisterCodec(c, kind); err != nil {
				return nil, err
			}
		}
		if err := engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: midURI}, kind); err != nil {
			return nil, err
		}
	}
	if err := engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: audioLevelURI}, webrtc.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureSimulcastExtensionHeaders(engine); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if err := webrtc.ConfigureTWCCSenderWithOptions(engine, registry, twcc.WithLoggerFactory(quiet)); err != nil {
		return nil, err
	}
	generator, err := nack.NewGeneratorInterceptor(nack.GeneratorMaxNacksPerPacket(maxResends), nack.WithGeneratorLoggerFactory(quiet))
	if err != nil {
		return nil, err
	}
	responder, err := nack.NewResponderInterceptor(nack.WithResponderLoggerFactory(quiet))
	if err != nil {
		return nil, err
	}
	registry.Add(responder)
	registry.Add(generator)
	if err := webrtc.ConfigureRTCPReportsWithOptions(registry, []report.ReceiverOption{report.WithReceiverLoggerFactory(quiet)},
		report.WithSenderLoggerFactory(quiet)); err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(settings())), nil
}

func settings() webrtc.SettingEngine {
	s := webrtc.SettingEngine{LoggerFactory: quiet}
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	// Browsers may have sockets on the host's addresses only, without loopback; both are on this machine.
	s.SetIPFilter(ownAddress)
	s.SetRemoteIPFilter(ownAddress)
	s.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
	return s
}

// ownAddress reports whether an address is one of this machine's.
func ownAddress(ip net.IP) bool {
	if ip.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}
