package transport

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// newResources bounds what peers may make us hold. Members of one office share an
// address, so the limits per subnet are the same as those in all.
func newResources(c Config) (network.ResourceManager, error) {
	conns := rcmgr.LimitVal(1024 + c.MaxStrangers)
	circuits := rcmgr.ResourceLimits{Streams: 2 * maxCircuitsOfPeer, StreamsInbound: maxCircuitsOfPeer + 8,
		StreamsOutbound: maxCircuitsOfPeer + 8, Memory: 32 << 20}
	negotiated := rcmgr.LimitVal(16384) // of one member far fewer, as below, of a stranger strangerStreams (TRA-13)
	if c.unsafe.fewStreams {
		negotiated = 512
	}
	limits := rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{Conns: conns, ConnsInbound: conns, ConnsOutbound: conns, FD: conns,
			Streams: 32768, StreamsInbound: 16384, StreamsOutbound: 16384, Memory: 1 << 30},
		// Those whose other end has not proved its key yet: of one address far fewer (gate.InterceptAccept).
		Transient: rcmgr.ResourceLimits{Conns: 768, ConnsInbound: 512, ConnsOutbound: 256, FD: 768,
			Streams: 2 * negotiated, StreamsInbound: negotiated, StreamsOutbound: negotiated, Memory: 128 << 20},
		PeerDefault: rcmgr.ResourceLimits{Conns: 8, ConnsInbound: 8, ConnsOutbound: 8, Streams: 256, StreamsInbound: 160,
			StreamsOutbound: 224, FD: 8, Memory: 64 << 20},
		ProtocolPeer:        map[protocol.ID]rcmgr.ResourceLimits{protocolHop: circuits, protocolStop: circuits},
		ProtocolPeerDefault: rcmgr.ResourceLimits{Streams: 64, StreamsInbound: 32, StreamsOutbound: 64, Memory: 32 << 20},
		Conn:                rcmgr.ResourceLimits{Conns: 1, ConnsInbound: 1, ConnsOutbound: 1, FD: 1, Memory: 32 << 20},
	}.Build(rcmgr.InfiniteLimits)
	perSubnet := func(bits int) []rcmgr.ConnLimitPerSubnet {
		return []rcmgr.ConnLimitPerSubnet{{PrefixLength: bits, ConnCount: int(conns)}}
	}
	// By default an address may connect 16 times and then once in 5 s, circuits through a bridge with it.
	often := rate.Limit{RPS: 16, Burst: 256} // TRA-5
	if c.unsafe.anyRate {
		often = rate.Limit{RPS: 1 << 20, Burst: 1 << 20}
	}
	perSecond := func(bits int) []rate.SubnetLimit { return []rate.SubnetLimit{{PrefixLength: bits, Limit: often}} }
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits), rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(perSubnet(32), perSubnet(64)),
		rcmgr.WithConnRateLimiters(&rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: perSecond(32), IPv6SubnetLimits: perSecond(64), GracePeriod: time.Minute}}))
}
