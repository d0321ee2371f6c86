package meet

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/roster"
	"github.com/huisclos/huisclos/transport"
)

// Create begins a meeting with this member as its creator: the one host nobody can remove. It returns when the
// meeting can be invited to. Errors are those of the configuration (crypto.ErrName) and of listening.
func Create(ctx context.Context, config Config) (*Meeting, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	g := roster.Genesis{Creator: config.Identity.Public(), Policy: config.Policy, Suite: uint16(suite)}
	if _, err := rand.Read(g.Nonce[:]); err != nil {
		return nil, err
	}
	raw, id, err := g.Encode()
	if err != nil {
		return nil, err
	}
	set, err := roster.NewSet(raw, id)
	if err != nil {
		return nil, err
	}
	self, err := config.Identity.NewIncarnation(id)
	if err != nil {
		return nil, err
	}
	if _, _, err := set.Author(self, time.Now(), roster.Body{Resume: &roster.Resume{Bundle: self.Bundle(), Name: config.Name}}); err != nil {
		return nil, err
	}
	in := &inbox{}
	host, err := listen(ctx, config, self, id, in)
	if err != nil {
		return nil, err
	}
	m, err := newMeeting(config, self, set, host, in)
	if err != nil {
		_ = host.Close()
		return nil, err
	}
	m.start(nil)
	return m, nil
}

// inbox is the host's way to the plane, which exists only after the host does; and that of what the router brings.
type inbox struct {
	to     atomic.Pointer[plane]
	moved  atomic.Pointer[func()]
	relays relays // that the host was told of
}

// addresses is told when this member's addresses have changed.
func (i *inbox) addresses() {
	if f := i.moved.Load(); f != nil {
		(*f)()
	}
}

func (i *inbox) open(p *plane) { i.to.Store(p) }

func (i *inbox) packet(from transport.PeerKey, kind transport.Kind, payload []byte) {
	if p := i.to.Load(); p != nil {
		p.onPacket(from, kind, payload)
	}
}

func (i *inbox) keyFrame(to transport.PeerKey, stream uint8) {
	if p := i.to.Load(); p != nil {
		p.dropped(to, stream)
	}
}

// describeVideo tells the transport what the clear byte and the stream number of a sealed packet do (SPEC §7.1), for
// where it must drop some.
func describeVideo(packet []byte) transport.VideoFacts {
	h, err := crypto.InspectMedia(packet)
	if err != nil {
		return transport.VideoFacts{}
	}
	return transport.VideoFacts{Stream: h.Stream, Start: h.Flags.KeyFrame && h.Flags.StartOfFrame, Discardable: h.Flags.Discardable}
}

func listen(ctx context.Context, config Config, self *crypto.Incarnation, id crypto.MeetingID, in *inbox) (*transport.Host, error) {
	now := time.Now()
	in.relays = relays{ticketsFor(config.Relays, now), now}
	c := transport.Config{
		Key: self.PrivateKey(), RoomID: crypto.HashOf("room", id[:]), Listen: config.Listen, Network: config.Network,
		Logger: config.Logger, OnPacket: in.packet, OnAddresses: in.addresses, Tap: config.Tap,
		DescribeVideo: describeVideo, WantKeyFrame: in.keyFrame,
		Relays: relaysForHost(in.relays.own), Proxy: config.Proxy,
		LANOnly: config.LANOnly, RelayOnly: config.RelayOnly,
	}
	if config.hooks.noStreams {
		c.StreamDelay = -1
	}
	if config.EstimateBandwidth {
		c.BandwidthEstimator = estimateBandwidth
	}
	host, err := transport.Listen(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("meet: can't listen: %w", err)
	}
	if err := awaitRelay(ctx, config, host); err != nil {
		_ = host.Close()
		return nil, err
	}
	return host, nil
}
