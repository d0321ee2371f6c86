//go:build unix

package transport_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/huisclos/huisclos/transport"
)

// BenchmarkFanout sends one stream of 1,200-byte packets to 25 receivers in another
// process over loopback, by this package and by pion alone, and compares the sender's
// CPU time: "bare" is one webrtc.TrackLocalStaticRTP on 25 PeerConnections with no
// interceptors, "default" the same with pion's default interceptors.
//
//	go test -run - -bench Fanout -benchtime 3000x ./transport
func BenchmarkFanout(b *testing.B) {
	const receivers = 25
	send := map[string]func(i int){}
	payload := make([]byte, 1200)

	ours, stop := fanoutOurs(b, receivers)
	defer stop()
	send["ours"] = func(int) { ours(payload) }
	for _, variant := range []string{"bare", "default"} {
		track, stop := fanoutPion(b, variant, receivers)
		defer stop()
		packet := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: payload}
		send[variant] = func(i int) {
			packet.SequenceNumber = uint16(i)
			packet.Timestamp = uint32(i) * 600
			_ = track.WriteRTP(packet)
		}
	}
	cost := map[string]time.Duration{}
	next := 0
	b.ResetTimer()
	for round := 0; round < b.N; round += 200 { // in turns, so that all see the same machine
		for _, variant := range []string{"ours", "bare", "default"} {
			start := cpuTime()
			for range 200 {
				next++
				send[variant](next)
				time.Sleep(500 * time.Microsecond)
			}
			cost[variant] += cpuTime() - start
		}
	}
	rounds := (b.N + 199) / 200 * 200
	for variant, spent := range cost {
		b.ReportMetric(float64(spent.Nanoseconds())/float64(rounds)/1000, variant+"-cpu-µs/packet")
	}
	b.ReportMetric(float64(cost["ours"])/float64(cost["bare"]), "ours/bare")
	b.ReportMetric(float64(cost["ours"])/float64(cost["default"]), "ours/default")
	b.ReportMetric(0, "ns/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const childEnv = "TRANSPORT_FANOUT_CHILD"

// receiver is a line between the processes.
type receiver struct {
	Key     string
	Address string
	SDP     *webrtc.SessionDescription
}

func startChild(b *testing.B, kind string) (*json.Encoder, *json.Decoder, func()) {
	cmd := exec.Command(os.Args[0], "-test.run", "-")
	cmd.Env = append(os.Environ(), childEnv+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out)), func() { _ = in.Close(); _ = cmd.Wait() }
}

// fanoutChild is the receivers' process; it ends with its standard input.
func fanoutChild() bool {
	kind := os.Getenv(childEnv)
	if kind == "" {
		return false
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for n := 0; ; n++ {
		var r receiver
		if err := in.Decode(&r); err != nil {
			return true
		}
		answer, err := childReceiver(kind, n, r)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := out.Encode(answer); err != nil {
			return true
		}
	}
}

func childReceiver(kind string, n int, r receiver) (receiver, error) {
	if kind != "ours" {
		return childPion(kind, r)
	}
	sender, err := hex.DecodeString(r.Key)
	if err != nil {
		return receiver{}, err
	}
	h, err := transport.Listen(context.Background(), transport.Config{Key: testKey(int64(1000 + n)), RoomID: room,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		return receiver{}, err
	}
	h.Allow(transport.PeerKey(sender))
	go func() {
		for ev := range h.Events() {
			if m, ok := ev.(transport.Message); ok {
				if answer, err := h.MediaAnswer(m.Peer, m.Data); err == nil {
					_ = h.Send(m.Peer, answer)
				}
			}
		}
	}()
	key := h.Key()
	return receiver{Key: hex.EncodeToString(key[:]), Address: h.Addresses()[0].String()}, nil
}

// fanoutOurs returns a function that sends to all receivers.
func fanoutOurs(b *testing.B, n int) (func([]byte), func()) {
	out, in, stop := startChild(b, "ours")
	var smallest int64
	for seed := int64(5000); ; seed++ { // the offerer has the smallest key
		if k := testPeer(seed); k[0] == 0 {
			smallest = seed
			break
		}
	}
	h, err := transport.Listen(context.Background(), transport.Config{Key: testKey(smallest), RoomID: room,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		b.Fatal(err)
	}
	key := h.Key()
	var peers []transport.PeerKey
	for range n {
		var r receiver
		if err := out.Encode(receiver{Key: hex.EncodeToString(key[:])}); err != nil {
			b.Fatal(err)
		}
		if err := in.Decode(&r); err != nil {
			b.Fatal(err)
		}
		raw, _ := hex.DecodeString(r.Key)
		peer := transport.PeerKey(raw)
		h.Allow(peer)
		if err := h.Connect(context.Background(), peer, []ma.Multiaddr{ma.StringCast(r.Address)}); err != nil {
			b.Fatal(err)
		}
		peers = append(peers, peer)
	}
	for up := 0; up < n; {
		switch ev := (<-h.Events()).(type) {
		case transport.PeerConnected:
			offer, err := h.MediaOffer(ev.Peer)
			if err == nil {
				err = h.Send(ev.Peer, offer)
			}
			if err != nil {
				b.Fatal(err)
			}
		case transport.Message:
			if err := h.MediaAccept(ev.Peer, ev.Data); err != nil {
				b.Fatal(err)
			}
		case transport.MediaState:
			if !ev.Up {
				b.Fatal(ev.Reason)
			}
			up++
		}
	}
	return func(p []byte) {
		if h.Fanout(transport.Video, p, peers) != n {
			b.Fatal("a link is down")
		}
	}, func() { _ = h.Close(); stop() }
}

func pionAPI(variant string) (*webrtc.API, error) {
	var engine webrtc.MediaEngine
	if err := engine.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	if variant == "default" {
		if err := webrtc.RegisterDefaultInterceptors(&engine, registry); err != nil {
			return nil, err
		}
	}
	loggers := logging.NewDefaultLoggerFactory()
	loggers.Writer = io.Discard
	setting := webrtc.SettingEngine{LoggerFactory: loggers}
	setting.SetIncludeLoopbackCandidate(true)
	setting.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	setting.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
	return webrtc.NewAPI(webrtc.WithMediaEngine(&engine), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(setting)), nil
}

func childPion(variant string, r receiver) (receiver, error) {
	api, err := pionAPI(variant)
	if err != nil {
		return receiver{}, err
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return receiver{}, err
	}
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		buf := make([]byte, 1500)
		for {
			if _, _, err := t.Read(buf); err != nil {
				return
			}
		}
	})
	if err := pc.SetRemoteDescription(*r.SDP); err != nil {
		return receiver{}, err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	answer, err := pc.CreateAnswer(nil)
	if err == nil {
		err = pc.SetLocalDescription(answer)
	}
	<-gathered
	return receiver{SDP: pc.LocalDescription()}, err
}

func fanoutPion(b *testing.B, variant string, n int) (*webrtc.TrackLocalStaticRTP, func()) {
	out, in, stop := startChild(b, variant)
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "v", "s")
	if err != nil {
		b.Fatal(err)
	}
	api, err := pionAPI(variant)
	if err != nil {
		b.Fatal(err)
	}
	connected := make(chan struct{}, n)
	var all []*webrtc.PeerConnection
	for range n {
		pc, err := api.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, pc)
		sender, err := pc.AddTrack(track)
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			buf := make([]byte, 1500)
			for {
				if _, _, err := sender.Read(buf); err != nil {
					return
				}
			}
		}()
		pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
			if s == webrtc.PeerConnectionStateConnected {
				connected <- struct{}{}
			}
		})
		gathered := webrtc.GatheringCompletePromise(pc)
		offer, err := pc.CreateOffer(nil)
		if err == nil {
			err = pc.SetLocalDescription(offer)
		}
		if err != nil {
			b.Fatal(err)
		}
		<-gathered
		var r receiver
		if err := out.Encode(receiver{SDP: pc.LocalDescription()}); err != nil {
			b.Fatal(err)
		}
		if err := in.Decode(&r); err != nil {
			b.Fatal(err)
		}
		if err := pc.SetRemoteDescription(*r.SDP); err != nil {
			b.Fatal(err)
		}
	}
	for range n {
		<-connected
	}
	return track, func() {
		for _, pc := range all {
			_ = pc.Close()
		}
		stop()
	}
}
