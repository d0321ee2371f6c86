package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	roomQueue  = 1024 // messages waiting for the owner, and for each peer's stream
	roomDegree = 6
)

// room is the gossip topic as a closed room: GossipSub among allowed peers only.
//
// GossipSub greets a peer (opens its stream and names its topics) when libp2p's
// identify reports the peer's protocols. There is no identify here; room.greet makes
// that report when the peer is allowed here and has let us in. So admission needs no
// second connection, whichever side admits first, and nobody is greeted too early (TRA-4).
type room struct {
	host   *Host
	pubsub *pubsub.PubSub
	topic  *pubsub.Topic
	sub    *pubsub.Subscription
	taken  cappedBuckets[peer.ID] // GossipSub's goroutine's
}

func newRoom(h *Host) (*room, error) {
	params := pubsub.DefaultGossipSubParams()
	params.D = roomDegree
	params.HeartbeatInterval = h.config.HeartbeatInterval
	params.HeartbeatInitialDelay = h.config.HeartbeatInterval
	// Windows are counted in heartbeats; keep them at the usual 3 and 5 seconds or more.
	params.HistoryGossip, params.HistoryLength = 12, 24
	params.Connectors = 1 // for peer exchange, which is off
	quiet := slog.New(slog.DiscardHandler)
	r := &room{host: h, taken: newRoomLimit()}
	ps, err := pubsub.NewGossipSub(h.ctx, h.libp2p,
		pubsub.WithGossipSubProtocols([]protocol.ID{protocolRoom}, roomFeature),
		pubsub.WithGossipSubParams(params), pubsub.WithFloodPublish(true), pubsub.WithPeerExchange(false),
		pubsub.WithNoAuthor(), pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithMessageIdFn(func(m *pb.Message) string { sum := sha256.Sum256(m.Data); return string(sum[:]) }),
		pubsub.WithMaxMessageSize(MaxFrame+1024), pubsub.WithMaxControlMessageSize(32<<10),
		pubsub.WithPeerOutboundQueueSize(roomQueue),
		pubsub.WithBlacklist(roomBlacklist{h.gate}),
		pubsub.WithAppSpecificRpcInspector(r.inspect),
		pubsub.WithSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(topicName(h.config.RoomID))),
		pubsub.WithLogger(quiet), pubsub.WithRPCLogger(quiet))
	if err != nil {
		return nil, err
	}
	r.pubsub = ps
	if r.topic, err = ps.Join(topicName(h.config.RoomID)); err != nil {
		return nil, err
	}
	r.sub, err = r.topic.Subscribe(pubsub.WithBufferSize(roomQueue))
	return r, err
}

// Bytes of messages that the room takes, each with what it costs besides: at once, and a second (TRA-23).
const (
	gossipBurst, gossipRate       = 512 << 10, 64 << 10 // of one peer
	gossipBurstAll, gossipRateAll = 2 << 20, 256 << 10
	gossipCost                    = 64 // of a message
	gossipPeers                   = 1024
)

func newRoomLimit() cappedBuckets[peer.ID] {
	return cappedBuckets[peer.ID]{burstAll: gossipBurstAll, perSecondAll: gossipRateAll, buckets: buckets[peer.ID]{
		burst: gossipBurst, perSecond: gossipRate, most: gossipPeers, of: map[peer.ID]*bucket{},
	}}
}

// inspect leaves out what is too much, before GossipSub sees it: a message that this peer may not bring now another may,
// or the same one later. What isn't taken isn't passed on, so nobody has all others' uplinks carry a flood (TRA-23).
func (r *room) inspect(from peer.ID, rpc *pubsub.RPC) error {
	if len(rpc.Publish) > 0 && !r.host.config.unsafe.anyGossip && r.host.gate.open(from) {
		now := time.Now()
		rpc.Publish = slices.DeleteFunc(rpc.Publish, func(m *pb.Message) bool {
			return !r.taken.take(from, float64(len(m.Data)+gossipCost), now)
		})
	}
	return nil
}

// roomFeature is what our one version of the protocol can do: a mesh, and to decline
// messages already had; no peer exchange.
func roomFeature(f pubsub.GossipSubFeature, _ protocol.ID) bool {
	return f == pubsub.GossipSubFeatureMesh || f == pubsub.GossipSubFeatureIdontwant
}

// roomBlacklist is everybody who is not allowed right now.
type roomBlacklist struct{ gate *gate }

func (roomBlacklist) Add(peer.ID) bool { return true }

// Contains is asked of the peer a message came through, and of its author, who is
// unknown here: the empty ID.
func (b roomBlacklist) Contains(id peer.ID) bool { return id != "" && !b.gate.open(id) }

// greet has GossipSub open its stream to a peer.
func (r *room) greet(id peer.ID) {
	_ = r.host.libp2p.greet.Emit(event.EvtPeerIdentificationCompleted{Peer: id, Protocols: []protocol.ID{protocolRoom}})
}

// revoke drops a peer from the mesh at once.
func (r *room) revoke(id peer.ID) { r.pubsub.BlacklistPeer(id) }

// run delivers messages until the host closes.
func (r *room) run() {
	for {
		m, err := r.sub.Next(r.host.ctx)
		if err != nil {
			return
		}
		if m.ReceivedFrom == r.host.libp2p.ID() {
			continue
		}
		from, _ := keyOfID(m.ReceivedFrom)
		if tap := r.host.config.Tap; tap != nil {
			tap(TapGossip, from, m.Data)
		}
		if !r.host.gate.open(m.ReceivedFrom) {
			continue
		}
		if !r.host.events.deliver(r.host.ctx, Gossip{from, bytes.Clone(m.Data)}) {
			return
		}
	}
}

// Publish sends a message of at most MaxFrame bytes, and better of about 1 KB, to
// every member the room reaches. It is neither confirmed nor kept for whoever is not
// there; publishing the same bytes again within two minutes does nothing.
func (h *Host) Publish(data []byte) error {
	if len(data) == 0 || len(data) > MaxFrame {
		return ErrTooLarge
	}
	err := h.room.topic.Publish(h.ctx, data)
	switch {
	case errors.Is(err, context.Canceled):
		return ErrClosed
	}
	return err
}
